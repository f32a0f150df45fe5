"""Regenerates the files that are made from the code's tables; with `--check` only says which are out of date.

From the command line's table: the completions, the man page, docs/reference/cli.md. From the models of the file: the
JSON Schema that ships with the package, docs/reference/file.md. All are checked in, and a test runs `--check`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import shtab

from guestwire import __version__
from guestwire.cli.parse import whole_parser
from guestwire.cli.table import EXITS, GLOBALS, Argument, Verb, load, names

__all__ = ["GENERATED", "main"]

ROOT = Path(__file__).resolve().parent.parent
MADE = "made by tools/generate.py: edit the table it's made from, then `make docs`"


def completions(shell: str) -> str:
    """The completions for bash or zsh."""
    parser = whole_parser()
    for action in _actions(parser):
        if getattr(action, "guestwire_complete", None) == "file":
            action.complete = shtab.FILE  # type: ignore[attr-defined]
    text: str = shtab.complete(parser, shell=shell)
    first, _, rest = text.partition("\n")
    # zsh wants `#compdef` on the first line.
    return f"{first}\n# {MADE}\n{rest}" if first.startswith("#") else f"# {MADE}\n{text}"


def man() -> str:
    """The man page, in roff."""
    lines = [
        f'.\\" {MADE}',
        f'.TH GUESTWIRE 1 "" "guestwire {__version__}" "User Commands"',
        ".SH NAME",
        "guestwire \\- plugs guests into networks on Linux",
        ".SH SYNOPSIS",
    ]
    verbs = _verbs()
    for verb in verbs:
        lines += [".br", _roff(verb.synopsis)]
    lines += [".SH DESCRIPTION"]
    lines += [
        _roff(
            "A guest is a virtual machine, a container, a network namespace or a process; a network is a bridge, a "
            "macvtap parent and more. One file says who plugs into what. guestwire shows the plan, makes it one "
            "transaction, proves with real packets who reaches whom, draws it, and takes it back."
        )
    ]
    lines += [".SH A FIRST FILE", *_first_file()]
    lines += [".SH VERBS"]
    for verb in verbs:
        lines += [f".SS {verb.name}", _roff(_sentence(verb.summary))]
        for paragraph in filter(None, verb.details.split("\n\n")):
            lines += [".PP", _roff(paragraph)]
        lines += _roff_terms((_bare(a), a.help) for a in _arguments(verb))
        for command, does in verb.examples:
            lines += [
                ".PP",
                f"{_roff(_sentence(does).rstrip('.'))}:",
                ".PP",
                ".RS 4",
                ".EX",
                _roff(command),
                ".EE",
                ".RE",
            ]
        if verb.exits:
            lines += [
                ".PP",
                "Exit codes: " + _roff("; ".join(f"{code} {meaning}" for code, meaning in verb.exits) + "."),
            ]
    lines += [".SH THE FILE", *_file_terms()]
    lines += [".SH OPTIONS", "These stand before or after the verb."]
    lines += _roff_terms((_bare(option), option.help) for option in GLOBALS)
    lines += [".SH EXIT STATUS", *_roff_terms((str(code), meaning) for code, meaning in EXITS)]
    lines += [".SH ENVIRONMENT"]
    lines += _roff_terms(
        [
            ("NO_COLOR", "if set and not empty, no colours"),
            ("GUESTWIRE_TRACEBACK", "with 1, a defect shows its traceback, as with --verbose"),
        ]
    )
    return "\n".join(lines) + "\n"


def _first_file() -> Iterator[str]:
    """The file that README.md has first, and what to do with it."""
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0]
    yield from (".EX", _roff(text.rstrip()), ".EE", ".PP")
    yield _roff("Save it as guestwire.yaml in an empty folder, and type there: guestwire up --lab. That can't hurt the")
    yield "machine. All keys are under THE FILE."


def _file_terms() -> Iterator[str]:
    """The keys of the file in roff, from the page that has them."""
    for line in file_page().splitlines()[3:]:
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if line.startswith("## "):
            yield f".SS {_roff(line[3:])}"
        elif line.startswith("#"):
            yield f".PP\n.B {_roff(line.lstrip('# '))}"
        elif len(cells) == 4 and cells[0].startswith("`"):
            key, value, default, meaning = cells
            more = ", required" if default == "required" else f", default {default}" if default else ""
            yield from (".TP", f'.BR {_roff(key)} " ({_roff(value + more)})"')
            yield _roff(meaning)
        elif line and not cells:
            yield f".PP\n{_roff(line)}"


def cli_page() -> str:
    """docs/reference/cli.md."""
    lines = [f"<!-- {MADE} -->", "# The command line", ""]
    lines += ["| verb | what it does |", "|---|---|"]
    verbs = _verbs()
    lines += [f"| [`{verb.name}`](#{verb.name.replace(' ', '-')}) | {verb.summary} |" for verb in verbs]
    lines += ["", "## Global options", "", "They stand before or after the verb.", ""]
    lines += _table("option", ((_bare(option), option.help) for option in GLOBALS))
    lines += ["", "`--version` prints the version, `--help` says what there is, of a verb too.", ""]
    for verb in verbs:
        lines += [f"## {verb.name}", "", _sentence(verb.summary), "", f"    {verb.synopsis}", ""]
        lines += [verb.details, ""] if verb.details else []
        if _arguments(verb):
            lines += [*_table("argument", ((_bare(a), a.help) for a in _arguments(verb))), ""]
        if verb.exits:
            lines += [*_table("exit code", ((str(code), meaning) for code, meaning in verb.exits)), ""]
        for command, does in verb.examples:
            lines += ["```sh", f"{command}  # {does}", "```", ""]
    lines += ["## Exit codes", "", *_table("code", ((str(code), meaning) for code, meaning in EXITS))]
    return "\n".join(lines) + "\n"


def file_schema() -> str:
    """The JSON Schema of the file."""
    from guestwire import guests, networks
    from guestwire.spec.schema import schema

    return json.dumps(schema(networks.TYPES, guests.KINDS), indent=2, ensure_ascii=False) + "\n"


def file_page() -> str:
    """docs/reference/file.md."""
    from guestwire import guests, networks
    from guestwire.spec.schema import reference

    return f"<!-- {MADE} -->\n" + reference(networks.TYPES, guests.KINDS).rstrip() + "\n"


GENERATED: dict[str, Callable[[], str]] = {
    "completions/guestwire.bash": lambda: completions("bash"),
    "completions/guestwire.zsh": lambda: completions("zsh"),
    "man/guestwire.1": man,
    "docs/reference/cli.md": cli_page,
    "docs/reference/file.md": file_page,
    "src/guestwire/schema/guestwire.schema.json": file_schema,
}


def main(words: list[str]) -> int:
    """Write what is out of date, or with `--check` only name it; 1 where there is such."""
    stale = []
    for name, make in GENERATED.items():
        path, text = ROOT / name, make()
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in words:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    if stale and "--check" in words:
        print(f"out of date, run `make docs`: {', '.join(stale)}", file=sys.stderr)
        return 1
    return 0


def _verbs() -> list[Verb]:
    return [load(name).VERB for name in names()]


def _arguments(verb: Verb) -> tuple[Argument, ...]:
    return (*verb.arguments, verb.command) if verb.command else verb.arguments


def _bare(argument: Argument) -> str:
    return f"{argument.name} {argument.value}" if argument.value else argument.name


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _table(head: str, rows: Iterator[tuple[str, str]]) -> list[str]:
    return [
        f"| {head} | |",
        "|---|---|",
        *(f"| `{left}` | {right.replace('|', chr(92) + '|')} |" for left, right in rows),
    ]


def _roff(text: str) -> str:
    """The text with what roff would take for its own commands made plain."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("`", "")
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in text.split("\n"))


def _roff_terms(rows: Iterator[tuple[str, str]] | list[tuple[str, str]]) -> list[str]:
    return [line for term, text in rows for line in (".TP", f".B {_roff(term)}", _roff(text))]


def _actions(parser: object) -> Iterator[object]:
    """All actions of a parser and of its verbs' parsers."""
    for action in parser._actions:  # type: ignore[attr-defined]
        yield action
        if isinstance(action.choices, dict):
            for inner in action.choices.values():
                yield from _actions(inner)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
