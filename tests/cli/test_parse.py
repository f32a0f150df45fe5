"""Words in: the right verb and arguments out, or an error that names the nearest."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guestwire.cli.parse import overview, parse, wants_help, whole_parser
from guestwire.cli.table import GLOBALS, load, names
from guestwire.errors import UsageError


def refused(*words: str) -> str:
    """What is said against these words."""
    with pytest.raises(UsageError) as caught:
        parse(words)
    return str(caught.value)


@pytest.mark.parametrize("name", names())
def test_every_verb_is_whole(name: str) -> None:
    module = load(name)
    assert module.VERB.name == name
    assert module.VERB.summary
    assert not module.VERB.summary.endswith(".")
    assert callable(module.run)
    dests = [a.dest for a in (*module.VERB.arguments, *GLOBALS)]
    assert len(set(dests)) == len(dests)
    assert name in overview()
    help_text = wants_help([*name.split(), "--help"])
    assert help_text
    assert module.VERB.synopsis in help_text


def test_help_is_as_wide_as_the_terminal_and_its_columns_stand_below_one_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    for name in names():
        said = (wants_help([*name.split(), "--help"]) or "").split("\n\n", 1)[1].partition("\nexamples:")[0]
        assert [line for line in said.splitlines() if len(line) > 70] == []
    lines = overview().splitlines()
    summaries = [load(name).VERB.summary for name in names()]
    assert len({line.index(summary) for summary in summaries for line in lines if line.endswith(f"  {summary}")}) == 1


@pytest.mark.parametrize("name", names())
def test_examples_of_a_verb_parse(name: str) -> None:
    for command, _ in load(name).VERB.examples:
        words = command.split(" | ")[0].split(" > ")[0].split()
        assert words[0] == "guestwire"
        module, _ = parse(words[1:])
        assert module.VERB.name == name


def test_globals_stand_before_or_after_the_verb() -> None:
    words = ["--json", "--yes", "--netns", "up", "up", "a.yaml", "--lab"]
    for order in (words, ["up", "a.yaml", "--lab", "--json", "--yes", "--netns=up"], ["--json", *words[2:], "--yes"]):
        module, args = parse(order)
        assert module.VERB.name == "up"
        assert (args.file, args.lab, args.json, args.yes, args.netns) == ("a.yaml", True, True, True, "up")
        assert not args.quiet


def test_what_follows_two_dashes_is_the_command() -> None:
    _, args = parse(["exec", "web", "--json", "--", "ls", "--json", "--help", "--", "-l"])
    assert args.guest == "web"
    assert args.command == ["ls", "--json", "--help", "--", "-l"]
    assert args.json
    assert wants_help(["exec", "web", "--", "ls", "--help"]) is None


def test_a_file_may_begin_with_a_dash() -> None:
    assert parse(["up", "--", "-odd.yaml"])[1].file == "-odd.yaml"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["upp"], "Did you mean `up`?"),
        (["staus"], "Did you mean `status`?"),
        (["zzzzz"], "lists the verbs"),
        (["tap"], "Say which: `guestwire tap add`"),
        (["tap", "ad", "t0"], "Did you mean `tap add`?"),
        (["--json", "tap", "zzzz"], "There is tap add"),
        (["tapp", "add", "t0"], "Did you mean `tap`?"),
        (["up", "--lba"], "Did you mean `--lab`?"),
        (["--jsn", "up"], "Did you mean `--json`?"),
        (["up", "--proj", "x"], "Did you mean `--project`?"),
        (["up", "a", "b"], "`b` is one word too many"),
        (["exec", "web", "ls"], "A command stands after `--`"),
        (["exec", "web"], "wants `--` and then a command"),
        (["exec", "web", "--"], "wants `--` and then a command"),
        (["exec", "--", "ls"], "GUEST"),
        (["pcap", "web", "--count", "0"], "1 or more"),
        (["draw", "--format", "png"], "png"),
        (["--json"], "no verb"),
        (["up", "--netns"], "expected one argument"),
        (["up", ""], "FILE is empty"),
        (["down", "--netns="], "--netns is empty"),
        (["run", "--network", "", "--", "true"], "--network is empty"),
    ],
)
def test_misspelt_words_are_named(words: list[str], said: str) -> None:
    assert said in refused(*words)


def test_all_that_is_off_is_said_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        parse(["up", "a", "b", "--lba", "--jsn"])
    assert len(caught.value.problems) == 3


@given(
    st.lists(
        st.sampled_from(
            ["up", "exec", "tap", "add", "web", "--", "--json", "--netns", "-x", "--lab", "", "-", "--=", "a=b"]
        )
    )
)
def test_any_words_parse_or_are_refused(words: list[str]) -> None:
    with contextlib.suppress(UsageError):
        module, _ = parse(words)
        assert set(module.VERB.name.split()) <= set(words)


def test_the_parser_of_completions_has_every_option() -> None:
    parser = whole_parser()
    verbs = next(action for action in parser._actions if isinstance(action.choices, dict))
    assert isinstance(verbs.choices, dict)
    for name in names():
        first, _, second = name.partition(" ")
        chosen = verbs.choices[first]
        if second:
            inner = next(action for action in chosen._actions if isinstance(action.choices, dict))
            assert isinstance(inner.choices, dict)
            chosen = inner.choices[second]
        text = chosen.format_help()
        assert all(a.name in text for a in (*load(name).VERB.arguments, *GLOBALS))
