"""From the words of a command to one verb and its arguments, and the parser that help and completions are made from.

Only the verb that was asked for is imported. Its parser takes the global options too, and the verb's own word is taken
out before: so they stand before or after it, as one likes.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from guestwire.cli.table import EXITS, GLOBALS, Argument, Verb, VerbModule, families, load, names, within
from guestwire.errors import Problem, UsageError
from guestwire.nearest import nearest

__all__ = ["overview", "parse", "wants", "wants_help", "whole_parser"]

ABOUT = "Plugs guests into networks on Linux, as one file says."
BEGIN = (
    "To begin, with a guestwire.yaml in this folder (`man guestwire` has one):",
    "  guestwire plan --lab   what it would do",
    "  guestwire up --lab     do it in a lab, which can't hurt this machine; without --lab, on this host",
    "  guestwire check        who reaches whom",
    "  guestwire down         take it away again",
    "",
)


class _Parser(argparse.ArgumentParser):
    """argparse with our errors: it exits with 2, which is `plan --exit-code`'s here."""

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would have printed."""
        unquoted = re.sub(r"^argument (.*?):", r"\1:", message)
        raise UsageError(f"{unquoted}.", hint=f"`{self.prog} --help` says what it takes.")


def parse(words: Sequence[str]) -> tuple[VerbModule, argparse.Namespace]:
    """The verb that is asked for, and its arguments. Raises UsageError; `--help` and `--version` are the caller's."""
    head, tail = _split(words)
    name, rest = _named(head)
    if not name:
        _refuse_unknown(head, _Parser(prog="guestwire"), None)
        raise UsageError("no verb is given.", hint="`guestwire --help` lists the verbs.")
    module = load(name)
    verb = module.VERB
    if tail is not None and verb.command is None:
        rest += ["--", *tail]
    parser = _verb_parser(verb)
    args, unknown = parser.parse_known_args(rest)
    if unknown:
        _refuse_unknown(unknown, parser, verb)
    _refuse_empty(args, verb)
    if verb.command is not None:
        if not tail:
            raise UsageError(f"{verb.name} wants `--` and then a command.", hint=f"Usage: {verb.synopsis}")
        setattr(args, verb.command.dest, tail)
    return module, args


def wants_help(words: Sequence[str]) -> str | None:
    """The help text, where the words ask for it; `VERB --help` is that verb's."""
    head, _ = _split(words)
    if not {"-h", "--help"} & set(head):
        return None
    name, _ = _named(head)
    if name in (known := families()):
        return _listing(
            f"{name} VERB", f"{known[name][:1].upper()}{known[name][1:]}.", [f"{name} {w}" for w in within(name)]
        )
    return overview() if not name else _verb_parser(load(name).VERB).format_help()


def wants(words: Sequence[str], option: str) -> bool:
    """Whether that switch stands among the words, also where they can't be parsed; not in a command after `--`."""
    return option in _split(words)[0]


def overview() -> str:
    """What `guestwire --help` prints."""
    return _listing("VERB", ABOUT, names(), BEGIN)


def _listing(usage: str, about: str, wanted: Sequence[str], begin: Sequence[str] = ()) -> str:
    verbs = [load(name).VERB for name in wanted]
    width = max(len(word) for word in (*wanted, *(_bare(option) for option in GLOBALS)))
    lines = [f"Usage: guestwire {usage} …", "", about, "", *begin, "Verbs:"]
    lines += [f"  {verb.name:<{width}}  {verb.summary}" for verb in verbs]
    lines += ["", "Options, before or after the verb:"]
    lines += [f"  {_bare(option):<{width}}  {option.help}" for option in GLOBALS]
    lines += [f"  {'--version':<{width}}  print the version", ""]
    lines += ["Exit codes:", *(f"  {code:<{width}}  {meaning}" for code, meaning in EXITS), ""]
    lines += ["`guestwire VERB --help` says more of a verb; `man guestwire` has it all.", ""]
    return "\n".join(lines)


def whole_parser() -> argparse.ArgumentParser:
    """One parser of everything, as the makers of completions want it; commands are parsed by `parse`."""
    parser = _Parser(prog="guestwire", description=ABOUT)
    parser.add_argument("--version", action="store_true", help="print the version")
    for option in GLOBALS:
        _add(parser, option)
    verbs = parser.add_subparsers(metavar="VERB", dest="verb")
    inner = {}
    for family, about in families().items():
        added = verbs.add_parser(family, help=about, description=about)
        inner[family] = added.add_subparsers(metavar="VERB", dest=f"{family}_verb")
    for name in names():
        verb = load(name).VERB
        first, _, second = name.partition(" ")
        place = inner[first] if second else verbs
        _fill(place.add_parser(second or first, help=verb.summary, description=verb.summary), verb)
    return parser


def _bare(option: Argument) -> str:
    return option.synopsis.strip("[]")


def _split(words: Sequence[str]) -> tuple[list[str], list[str] | None]:
    """What stands before the first `--`, and what after it, where there is one."""
    if "--" not in words:
        return list(words), None
    at = list(words).index("--")
    return list(words[:at]), list(words[at + 1 :])


def _named(head: Sequence[str]) -> tuple[str, list[str]]:
    """The verb's name and the words besides: "up", "tap add", "tap" where the second is missing, "" where both are."""
    at = _verb_at(head)
    if at is None:
        return "", list(head)
    name, rest = head[at], [*head[:at], *head[at + 1 :]]
    at = _verb_at(rest) if within(name) else None
    return (name, rest) if at is None else (f"{name} {rest[at]}", [*rest[:at], *rest[at + 1 :]])


def _verb_at(head: Sequence[str]) -> int | None:
    """Where the verb stands: the first word that is neither an option nor the value of a global one."""
    valued = {option.name for option in GLOBALS if not option.is_switch}
    at = 0
    while at < len(head):
        if not head[at].startswith("-"):
            return at
        at += 2 if head[at] in valued else 1
    return None


def _verb_parser(verb: Verb) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=f"guestwire {verb.name}",
        usage=verb.synopsis.replace("%", "%%"),
        description=_wrapped(f"{verb.summary[:1].upper()}{verb.summary[1:]}.\n\n{verb.details}"),
        epilog=_epilog(verb),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _fill(parser, verb)
    return parser


def _wrapped(text: str) -> str:
    """The paragraphs, as wide as argparse makes all the rest."""
    import shutil
    from textwrap import fill

    width = shutil.get_terminal_size().columns - 2
    return "\n\n".join(fill(paragraph, width, break_on_hyphens=False) for paragraph in text.strip().split("\n\n"))


def _fill(parser: argparse.ArgumentParser, verb: Verb) -> None:
    for argument in verb.arguments:
        _add(parser, argument)
    group = parser.add_argument_group("global options")
    for option in GLOBALS:
        _add(group, option)


def _add(parser: Any, argument: Argument) -> None:
    """Tell argparse of an argument."""
    keywords: dict[str, Any] = {"help": argument.help.replace("%", "%%"), "default": argument.default}
    if argument.is_switch:
        keywords |= {"action": "store_true", "default": False}
    else:
        keywords |= {"metavar": argument.value or argument.name, "type": argument.type}
        keywords |= {"choices": argument.choices} if argument.choices else {}
        keywords |= {"action": "append", "default": []} if argument.several else {}
    if not argument.is_option and argument.optional:
        keywords["nargs"] = "?"
    if argument.required:
        keywords["required"] = True
    action = parser.add_argument(argument.name if argument.is_option else argument.dest, **keywords)
    action.guestwire_complete = argument.complete


def _epilog(verb: Verb) -> str:
    lines = [line for command, does in verb.examples for line in (f"  {command}", f"      {does}")]
    if lines:
        lines.insert(0, "examples:")
    if verb.exits:
        lines += ["", "exit codes:", *(f"  {code:<3} {meaning}" for code, meaning in verb.exits)]
    return "\n".join(lines)


def _refuse_unknown(words: Sequence[str], parser: argparse.ArgumentParser, verb: Verb | None) -> None:
    """Raise for the words that the parser left over, each with the nearest option there is."""
    known = [option.name for option in (*GLOBALS, *(verb.arguments if verb else ())) if option.is_option]
    known += ["--help"] if verb else ["--help", "--version"]
    problems = []
    for word in words:
        name = word.partition("=")[0]
        if not word.startswith("-"):
            hint = f"`{parser.prog} --help` says what it takes."
            if verb and verb.command:
                hint = f"A command stands after `--`: {verb.synopsis}"
            problems.append(Problem(f"`{word}` is one word too many.", hint))
        elif name not in known:
            close = nearest(name, known)
            hint = f"Did you mean `{close}`?" if close else f"`{parser.prog} --help` lists them."
            problems.append(Problem(f"there is no option `{name}` {_of(verb)}.", hint))
    if problems:
        raise UsageError(*problems)


def _refuse_empty(args: argparse.Namespace, verb: Verb) -> None:
    """Raise for an empty word, as of a variable that isn't set: it would mean the same as none."""
    for argument in (*GLOBALS, *verb.arguments):
        if getattr(args, argument.dest) in ("", [""]):
            raise UsageError(f"{argument.name} is empty.", hint="Give it a value, or leave it out.")


def _of(verb: Verb | None) -> str:
    return f"of {verb.name}" if verb else "before a verb"
