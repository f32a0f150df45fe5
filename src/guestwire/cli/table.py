"""The one table of the command line: verbs, their options and words, found in the folder `verbs`.

The parser, `--help`, the shell completions, the man page and the reference page are all made from these values. To add
a verb, write one file in `verbs/` with a `VERB` and a `run`; no list names it. A folder in `verbs/` holds verbs that go
together, each called by two words: `verbs/tap/add.py` is `guestwire tap add`.
"""

from __future__ import annotations

import importlib
import pkgutil
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Protocol

from guestwire.errors import UsageError
from guestwire.naming import name_fault

__all__ = [
    "EXITS",
    "FILE",
    "GLOBALS",
    "LAB",
    "PROJECT",
    "Argument",
    "Verb",
    "VerbModule",
    "families",
    "load",
    "names",
    "number",
    "of_project",
    "project_name",
    "queues",
    "within",
]

VERBS = "guestwire.cli.verbs"


@dataclass(frozen=True)
class Argument:
    """An option (its name begins with dashes) or a word that stands by its position (its name is in capitals)."""

    name: str
    help: str
    value: str | None = None  # what an option's value is called; without one the option is a switch
    choices: tuple[str, ...] = ()
    type: Callable[[str], object] = str
    default: object = None
    optional: bool = False  # only for a word
    required: bool = False  # only for an option
    several: bool = False  # only for an option with a value: each time that it is given counts
    complete: str | None = None  # what a shell offers: "file"

    @property
    def is_option(self) -> bool:
        """Whether it is an option, and no word by position."""
        return self.name.startswith("-")

    @property
    def is_switch(self) -> bool:
        """Whether it is an option without a value."""
        return self.is_option and self.value is None

    @property
    def dest(self) -> str:
        """The attribute of the parsed arguments that it is found in."""
        return self.name.lstrip("-").partition("[")[0].replace("-", "_").lower()

    @property
    def synopsis(self) -> str:
        """The argument as it stands in a synopsis: `[--project NAME]`, `[FILE]`, `GUEST`."""
        words = f"{self.name} {self.value}" if self.value else self.name
        words = f"[{words}]" if (self.is_option and not self.required) or self.optional else words
        return f"{words}…" if self.several else words


@dataclass(frozen=True)
class Verb:
    """A verb: what it takes, what it is for, and examples for the pages made from it."""

    name: str
    summary: str  # follows "guestwire VERB  ", no full stop
    arguments: tuple[Argument, ...] = ()
    command: Argument | None = None  # all that follows `--`, a command to run
    details: str = ""  # paragraphs, apart by an empty line
    examples: tuple[tuple[str, str], ...] = ()  # the command and what it does
    exits: tuple[tuple[int, str], ...] = ()  # what an exit code means for this verb in particular

    @property
    def synopsis(self) -> str:
        """The verb with all it takes, on one line."""
        words = [a.synopsis for a in self.arguments if not a.is_option]
        words += [a.synopsis for a in self.arguments if a.is_option]
        tail = ["--", f"{self.command.name}…"] if self.command else []
        return " ".join(["guestwire", self.name, *words, *tail])


class VerbModule(Protocol):
    """What a file in `verbs/` has."""

    VERB: Verb

    def run(self, args: Namespace) -> int:
        """Do it; the exit code."""
        ...


GLOBALS = (
    Argument("--netns", "the host is the network namespace NAME, as `ip netns` lists it", value="NAME"),
    Argument("--json", "one JSON document on standard output, and nothing else there"),
    Argument("--yes", "answer yes to every question"),
    Argument("--quiet", "results and errors only: no warnings, no remarks"),
    Argument("--verbose", "say more; a defect shows its traceback"),
)
FILE = Argument(
    "FILE", "who plugs into what; `guestwire.yaml` in this folder by default", optional=True, complete="file"
)


def project_name(word: str) -> str:
    """What reads a project's name. Raises UsageError where it is none."""
    fault = name_fault(word, "project")
    if fault is not None:
        raise UsageError(fault[0], hint=fault[1])
    return word


def of_project(help: str) -> Argument:
    """The option that names a project, for a verb that means something of its own by it."""
    return Argument("--project", help, value="NAME", type=project_name)


PROJECT = of_project("the project's name, in place of the file's")
LAB = Argument("--lab", "in the project's lab; one that is up is found by the project's name, without this too")

EXITS = (
    (0, "done"),
    (1, "a check, an expectation or a finding says no; also an `up` taken back by its guard or an expectation"),
    (2, "only `plan --exit-code`: there is something to do"),
    (64, "the command's words are off"),
    (65, "the file is wrong, or wrong for this host"),
    (69, "this kernel or machine lacks something needed"),
    (70, "a defect of guestwire"),
    (71, "the kernel or a daemon refused a step, and all was undone"),
    (75, "another guestwire is at work on this host, or an unsettled journal lies there"),
    (77, "not permitted"),
    (130, "interrupted, and all was undone"),
)


def names() -> list[str]:
    """The names of all verbs, as "up" and "tap add", without importing any.

    A file may end in `_` where its verb is a word of Python's.
    """
    return sorted(_homes())


def families() -> dict[str, str]:
    """What the verbs of each folder are about, by the folder's name, which is their first word."""
    firsts = sorted({name.partition(" ")[0] for name in names() if " " in name})
    return {first: importlib.import_module(f"{VERBS}.{first}").SUMMARY for first in firsts}


def within(family: str) -> list[str]:
    """The second words of the verbs whose first word this is; none where it is no folder's."""
    return [name.partition(" ")[2] for name in names() if name.partition(" ")[0] == family and " " in name]


def load(name: str) -> VerbModule:
    """The verb of that name. Raises UsageError, naming the nearest, where there is none."""
    home = _homes().get(name)
    if home is not None:
        found: VerbModule = importlib.import_module(f"{VERBS}.{home}")
        return found
    from guestwire.nearest import nearest

    first, _, second = name.partition(" ")
    known = within(first)
    if second and known:
        close = nearest(second, known)
        hint = f"Did you mean `{first} {close}`?" if close else f"There is {first} {', '.join(known)}."
        raise UsageError(f"there is no verb `{name}`.", hint=hint)
    if known:
        hint = f"Say which: {', '.join(f'`guestwire {first} {each}`' for each in known)}."
        raise UsageError(f"{first} wants a second word.", hint=hint)
    close = nearest(first, sorted({each.partition(" ")[0] for each in names()}))
    hint = f"Did you mean `{close}`?" if close else "`guestwire --help` lists the verbs."
    raise UsageError(f"there is no verb `{first}`.", hint=hint)


def number(what: str, least: int, most: int | None = None) -> Callable[[str], int]:
    """What reads an option's whole number of `what`; out of bounds, or no number, is an error that says the bounds."""

    def read(word: str) -> int:
        if not word.isdecimal() or int(word) < least or (most is not None and int(word) > most):
            bounds = f"{least} or more" if most is None else f"{least} to {most}"
            raise ArgumentTypeError(f"`{word}` is no number of {what}: {bounds}")
        return int(word)

    return read


queues = number("queues", 1, 256)
"""What reads how many queues a tap shall have (MAX_TAP_QUEUES in drivers/net/tun.c)."""


@cache
def _homes() -> dict[str, str]:
    """Each verb's module below the folder of verbs, by the verb's name."""
    found = {}
    for module in pkgutil.iter_modules(importlib.import_module(VERBS).__path__):
        if module.ispkg:
            for inner in pkgutil.iter_modules(importlib.import_module(f"{VERBS}.{module.name}").__path__):
                found[f"{module.name} {inner.name.rstrip('_')}"] = f"{module.name}.{inner.name}"
        else:
            found[module.name.rstrip("_")] = module.name
    return found
