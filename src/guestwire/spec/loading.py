"""Loads a file: text to tree, tree to models, models to a checked `File`; all errors together, each with its place."""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from guestwire.errors import FileError, Problem, UsageError
from guestwire.naming import name_fault
from guestwire.nearest import nearest
from guestwire.printable import quote
from guestwire.spec.check import check
from guestwire.spec.expect import Expectation
from guestwire.spec.file import File
from guestwire.spec.models import Guest, Lab, Network, Part
from guestwire.spec.registry import Registry, keys
from guestwire.spec.report import Report, Where, meant
from guestwire.spec.source import STDIN, Map, Source, Tree, parse, read
from guestwire.spec.translate import translate

__all__ = ["load", "loads"]

P = TypeVar("P", bound=Part)
SECTIONS = keys(File)
_UNFIT = re.compile(r"[^A-Za-z0-9-]+")  # in a folder's name, what a project's can't have


def load(path: str | Path, *, networks: Registry[Network], guests: Registry[Guest], project: str | None = None) -> File:
    """Read and check a file; ``-`` is standard input. `project` is used in place of the file's `name`.

    Raises FileError with everything that is wrong with it, NotPermitted where it can't be opened, UsageError where
    `project` is no name. Nothing but the file is read: whether it fits the host is a later stage's question.
    """
    data = read(path)
    stdin = str(path) == STDIN
    try:
        folder = Path.cwd().name if stdin else Path(path).absolute().parent.name
    except OSError:  # the folder we are in was deleted, or lies where we may not look
        folder = ""
    file = "standard input" if stdin else str(path)
    return loads(data, networks=networks, guests=guests, project=project, file=file, folder=folder)


def loads(
    data: bytes | str,
    *,
    networks: Registry[Network],
    guests: Registry[Guest],
    project: str | None = None,
    file: str = "guestwire.yaml",
    folder: str = "guestwire",
) -> File:
    """The same from a text, which errors call `file`. Without `project` or a name in it, the project is `folder`."""
    if project is not None and (fault := name_fault(project, "project")):
        raise UsageError(Problem(*fault))
    with _no_collections():
        return _loads(data, networks, guests, project, file, folder)


@contextmanager
def _no_collections() -> Iterator[None]:
    """Keep Python's cycle collector off: it would walk the growing tree again and again, a third of the time."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def _loads(
    data: bytes | str,
    networks: Registry[Network],
    guests: Registry[Guest],
    project: str | None,
    file: str,
    folder: str,
) -> File:
    raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    source, report = parse(raw, file)
    root = source.root
    if root == "":
        hint = "Start with “networks:” and “guests:”."
        raise FileError(*report.problems(), Problem("the file is empty.", hint, file, 1, 1))
    if not isinstance(root, Map):
        report.at((), "expected keys and values, as “networks: …”.", "Start with “networks:” and “guests:”.")
        raise FileError(*report.problems())
    reader = _Reader(source, root, report, networks, guests)
    loaded = reader.file(project, folder)
    check(loaded, report, reader.written_networks, reader.written_guests)
    report.settle()
    return loaded


@dataclass
class _Reader:
    """Makes models of a tree's sections. What is wrong goes into the report, and the rest is read on."""

    source: Source
    root: Map
    report: Report
    networks: Registry[Network]
    guests: Registry[Guest]
    written_networks: set[str] = field(default_factory=set)
    written_guests: dict[str, int | None] = field(default_factory=dict)  # a wrong one as if it had any count

    def file(self, project: str | None, folder: str) -> File:
        for key in self.root:
            if key not in SECTIONS:
                hint = partial(meant, key, SECTIONS, "The file has")
                self.report.at((key,), f"unknown key {quote(key)}.", hint, key=True)
        own = self.project(folder, needed=project is None)
        return File(
            name=project or own,
            lab=self.part(Lab, self.root["lab"] or Map(), ("lab",)) or Lab() if "lab" in self.root else Lab(),
            networks=self.named("networks", "network", self.networks),
            guests=self.named("guests", "guest", self.guests),
            expect=self.expectations(),
        ).located(self.source, own)

    def project(self, folder: str, *, needed: bool) -> str:
        """How the file calls the project: by its `name`, or its folder's, which may be none unless it is `needed`."""
        written: Tree | None = self.root.get("name")
        if written is None:
            name = _UNFIT.sub("-", folder).strip("-")
            if needed and (fault := name_fault(name, "project")):
                hint = "The project has its folder's name: give another, as “name: lab” in the file or --project lab."
                self.report.at((), fault[0], hint)
            return name
        if not isinstance(written, str):
            self.report.at(("name",), "name: expected a name, not a list or mapping.", "Write one word.")
        elif not written:
            self.report.at(("name",), "name: has no value.", "Write one, or leave the key out.")
        elif fault := name_fault(written, "project"):
            self.report.at(("name",), f"name: {fault[0]}", fault[1])
        return str(written)

    def named(self, section: str, what: str, registry: Registry[P]) -> dict[str, P]:
        """A section of named parts, each of the class that its tag says."""
        tree = self.root.get(section, "")
        if tree and not isinstance(tree, Map):
            hint = f"Write {section}: {{NAME: {{…}}}}."
            self.report.at((section,), f"{section}: expected a name for each {what}.", hint)
        parts: dict[str, P] = {}
        for name, body in tree.items() if isinstance(tree, Map) else ():
            where = (section, name)
            if fault := name_fault(name, what):
                self.report.at(where, *fault, key=True)
            cls = self.choose(body, where, registry, what)
            part = self.part(cls, body or Map(), where) if cls else None
            self.written(section, name, part)
            if part is not None:
                parts[name] = part
        return parts

    def written(self, section: str, name: str, part: Part | None) -> None:
        if section == "networks":
            self.written_networks.add(name)
        else:
            self.written_guests[name] = part.count if isinstance(part, Guest) else 10**6

    def choose(self, body: Tree, where: Where, registry: Registry[P], what: str) -> type[P] | None:
        """The class for one entry, or None where that was an error."""
        tag = registry.tag
        if body and not isinstance(body, Map):
            hint = f"Write {{{tag}: {body}}}." if isinstance(body, str) and body in registry else f"Write {{{tag}: …}}."
            self.report.at(where, "expected keys and values.", hint)
            return None
        name = body[tag] if isinstance(body, Map) and tag in body else registry.default
        if name is None:
            self.report.at(where, f'missing key "{tag}".', f"Give the {what} one of the {tag}s {', '.join(registry)}.")
            slip = next((key for key in body if nearest(key, [tag])), None) if isinstance(body, Map) else None
            if slip is not None:
                self.report.at((*where, slip), f"unknown key {quote(slip)}.", f"Did you mean {quote(tag)}?", key=True)
        elif not isinstance(name, str):
            self.report.at((*where, tag), f"{tag}: expected a word.", f"There is {', '.join(registry)}.")
        elif name not in registry:
            message = f"{tag}: {quote(name)} is not a {tag} of {what}." if name else f"{tag}: has no value."
            self.report.at((*where, tag), message, lambda: meant(name, registry))
        else:
            return registry[name]
        return None

    def part(self, cls: type[P], body: Any, where: Where) -> P | None:
        try:
            return cls.model_validate(body, by_alias=True, by_name=False)
        except ValidationError as error:
            registries: dict[str | int, Registry[Any]] = {"networks": self.networks, "guests": self.guests}
            translate(error, cls, where, self.report, registries.get(where[0]))
            return None

    def expectations(self) -> tuple[Expectation, ...]:
        tree = self.root.get("expect", "")
        if isinstance(tree, str | Map):
            if tree:
                self.report.at(("expect",), "expect: expected a list of sentences.", "Start each with “- ”.")
            return ()
        made = []
        for i, item in enumerate(tree):
            if expectation := self.part(Expectation, item, ("expect", i)):
                expectation.put(("expect", i))
                made.append(expectation)
        return tuple(made)
