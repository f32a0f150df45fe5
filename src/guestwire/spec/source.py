"""YAML text as a tree of plain dict, list and str, in which every value knows its line and column.

YAML's own guesses at types are left out: ``52:54:00:12:34:56`` is no number to base 60 here and ``on`` no truth value.
All scalars are text, and an absent one is the empty text; the models say what it means. Nothing here knows the keys.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from guestwire.errors import FileError, NotPermitted, Problem
from guestwire.printable import quote
from guestwire.spec.report import Mark, Report, Where

__all__ = ["Map", "Seq", "Source", "Tree", "parse", "read"]

MAX_BYTES = 64 << 20
MAX_DEPTH = 20  # the file's own keys go seven deep
MAX_ALIASED = 100_000  # values that aliases may add: a few kilobytes of aliases of aliases would make billions
STDIN = "-"

# libyaml where PyYAML was built with it: ten times as fast, the same events.
_Parser: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufeff\ufffe\uffff]")

START = Mark(1, 1)


class Map(dict[str, Any]):
    """A mapping; ``marks`` has the place of each key and of its value."""

    __slots__ = ("marks",)

    def __init__(self) -> None:
        super().__init__()
        self.marks: dict[str, tuple[Mark, Mark]] = {}


class Seq(list[Any]):
    """A list; ``marks`` has the place of each item."""

    __slots__ = ("marks",)

    def __init__(self) -> None:
        super().__init__()
        self.marks: list[Mark] = []


Tree: TypeAlias = "Map | Seq | str"


@dataclass(frozen=True)
class Source:
    """A file's tree, under the name that errors give the file."""

    file: str
    root: Tree

    def place(self, where: Where, key: bool = False) -> Mark:
        """Line and column, from 1, of the value at this path, or of its nearest ancestor that was written.

        Of a list or mapping, and with `key`, it is the key's: a block's first value may stand lines below its name.
        """
        node, mark = self.root, START
        for part in where:
            if isinstance(node, Map) and part in node.marks:
                at_key, at_value = node.marks[str(part)]
                node = node[str(part)]
                mark = at_value if isinstance(node, str) and node and not key else at_key
            elif isinstance(node, Seq) and isinstance(part, int) and 0 <= part < len(node):
                mark, node = node.marks[part], node[part]
            else:
                break
        return mark


def read(path: str | Path) -> bytes:
    """The file's bytes; ``-`` is standard input. Raises FileError, or NotPermitted where it may not be read."""
    name = str(path)
    try:
        if name == STDIN:
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with open(path, "rb") as stream:
                data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise FileError(Problem(f"there is no file {quote(name)}.", _absent(Path(path)))) from None
    except IsADirectoryError:
        raise FileError(Problem(f"{quote(name)} is a folder.", "Name the file in it.")) from None
    except PermissionError:
        hint = "`chmod a+r` on it lets everybody read it; or be who may."
        raise NotPermitted(Problem(f"{quote(name)} may not be read by this user.", hint)) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(Problem(f"{quote(name)} can't be read: {reason}.", "Name a YAML file.")) from None
    if len(data) > MAX_BYTES:
        raise FileError(Problem(f"the file is larger than {MAX_BYTES >> 20} MiB.", "Name a YAML file.", file=name))
    return data


def _absent(path: Path) -> str:
    """What to do about a file that isn't there: the YAML files beside it are the likeliest meant."""
    is_name = re.fullmatch(r"[A-Za-z0-9-]+", str(path))
    project = f" A project's name goes after `--project`: `--project {path}`." if is_name else ""
    try:
        beside = sorted(p.name for p in path.parent.iterdir() if p.suffix in (".yaml", ".yml"))[:3]
    except OSError:
        beside = []
    if beside:
        are, one = ("is", "it") if len(beside) == 1 else ("are", "one")
        return f"There {are} {', '.join(beside)}: name {one} after the verb.{project}"
    write = "Write one, or name it after the verb: `guestwire plan FILE`."
    return f"{write}{project or ' `guestwire list` has the files of what is up.'}"


def parse(data: bytes, file: str) -> tuple[Source, Report]:
    """The tree, and what is wrong with it so far (keys given twice, tags). Raises FileError where there is no tree."""
    text = _decode(data, file)
    try:
        try:
            return _built(_Parser, text, file)
        except yaml.YAMLError as error:
            if "nesting depth" not in str(error):
                raise
        # libyaml from 0.2.6 on stops at its own depth while it looks ahead, before we see where ours is passed.
        return _built(yaml.SafeLoader, text, file)
    except yaml.YAMLError as error:
        raise FileError(_syntax(error, text, file)) from None


def _built(parser: Any, text: str, file: str) -> tuple[Source, Report]:
    builder = _Builder(file)
    loader = None
    try:
        loader = parser(text)
        builder.run(loader.get_event)
    finally:
        if loader is not None:
            loader.dispose()
    return builder.source(), builder.report


def _decode(data: bytes, file: str) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        hint = "Name a YAML file, saved as UTF-8."
        raise FileError(Problem("this is binary, or text that isn't UTF-8.", hint, file, line, 1)) from None
    if control := _CONTROL.search(text):
        line = text.count("\n", 0, control.start()) + 1
        column = control.start() - text.rfind("\n", 0, control.start())
        message = f"this is binary: it holds the control character U+{ord(control[0]):04X}."
        raise FileError(Problem(message, "Name a YAML file.", file, line, column))
    return text


def _syntax(error: yaml.YAMLError, text: str, file: str) -> Problem:
    """libyaml's complaint in a person's words."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    what = str(getattr(error, "problem", None) or "it can't be read")
    if mark is None:
        return Problem(f"this is not YAML: {what}.", None, file, 1, 1)
    lines = text.split("\n")
    line = lines[mark.line] if mark.line < len(lines) else ""
    indent = line[: len(line) - len(line.lstrip())]
    if "\t" in indent:
        column = indent.index("\t") + 1
        return Problem("a tab in the indentation, which YAML forbids.", "Use spaces.", file, mark.line + 1, column)
    return Problem(f"this is not YAML: {what}.", _syntax_hint(what), file, mark.line + 1, mark.column + 1)


def _syntax_hint(what: str) -> str:
    if "mapping values are not allowed" in what:
        return 'Check the indentation above; a text with ": " in it needs quotes.'
    if "undefined alias" in what:
        return "Write &name where the value stands, before *name."
    if "cannot start any token" in what:
        return "A text that starts so needs quotes."
    return "Check the brackets, quotes and indentation here and on the line above."


@dataclass
class _Open:
    """A list or mapping whose end has not come yet."""

    node: Map | Seq
    mark: Mark
    anchor: str | None
    size: int = 1
    key: str | None = None
    key_mark: Mark = START
    skip: bool = False  # the value that comes belongs to a key that can't be kept


@dataclass
class _Builder:
    """Builds the tree from the parser's events, without recursion and within bounds."""

    file: str
    stack: list[_Open] = field(default_factory=list)
    root: Tree | None = None
    anchors: dict[str, tuple[Tree, int] | None] = field(default_factory=dict)  # None: not closed yet
    aliased: int = 0
    documents: int = 0

    def __post_init__(self) -> None:
        self.report = Report(Source(self.file, ""))

    def source(self) -> Source:
        source = Source(self.file, "" if self.root is None else self.root)
        self.report.source = source
        return source

    def run(self, next_event: Callable[[], Any]) -> None:
        while True:
            event = next_event()
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self.scalar(event)
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                self.open(event, Map() if kind is yaml.MappingStartEvent else Seq())
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self.close()
            elif kind is yaml.AliasEvent:
                self.alias(event)
            elif kind is yaml.DocumentStartEvent:
                self.document(event)
            elif kind is yaml.StreamEndEvent:
                return

    def fatal(self, mark: Mark, message: str, hint: str) -> FileError:
        return FileError(Problem(message, hint, self.file, mark.line, mark.column))

    def document(self, event: Any) -> None:
        self.documents += 1
        if self.documents > 1:
            raise self.fatal(_mark(event), "a second YAML document starts here.", "Make it a file of its own.")

    def scalar(self, event: Any) -> None:
        mark, text = _mark(event), str(event.value)
        if event.tag:
            self.tag(event, mark)
        if not event.style and text == "~":
            text = ""
        if event.anchor:
            self.anchors[event.anchor] = (text, 1)
        self.value(text, mark, 1)

    def tag(self, event: Any, mark: Mark) -> None:
        if event.tag != "!" and not event.tag.startswith("tag:yaml.org,2002:"):
            self.report.add(mark, f"the tag {quote(event.tag)} means nothing here.", "Leave it out.")

    def open(self, event: Any, node: Map | Seq) -> None:
        mark = _mark(event)
        if len(self.stack) == MAX_DEPTH:
            raise self.fatal(mark, f"nested more than {MAX_DEPTH} deep.", "The file's own keys go seven deep.")
        if event.tag:
            self.tag(event, mark)
        if event.anchor:
            self.anchors[event.anchor] = None
        self.stack.append(_Open(node, mark, event.anchor))

    def close(self) -> None:
        done = self.stack.pop()
        if done.anchor:
            self.anchors[done.anchor] = (done.node, done.size)
        self.value(done.node, done.mark, done.size)

    def alias(self, event: Any) -> None:
        mark, name = _mark(event), event.anchor
        if name not in self.anchors:
            hint = "Write &name where the value stands, before *name."
            raise self.fatal(mark, f"*{name} names an anchor that isn't above it.", hint)
        target = self.anchors[name]
        if target is None:
            raise self.fatal(mark, f"*{name} stands inside what it names: it would never end.", "Write the value out.")
        self.aliased += target[1]
        if self.aliased > MAX_ALIASED:
            message = f"the aliases add up to more than {MAX_ALIASED:,} values."
            raise self.fatal(mark, message, 'Write guests that are alike once, with "count".')
        self.value(*_at(target, mark))

    def value(self, value: Tree, mark: Mark, size: int) -> None:
        """Put a finished value where it belongs."""
        if not self.stack:
            self.root = value
            return
        top = self.stack[-1]
        top.size += size
        node = top.node
        if isinstance(node, Seq):
            node.append(value)
            node.marks.append(mark)
        elif top.skip:
            top.skip = False
        elif top.key is None:
            self.key(top, value, mark)
        else:
            node[top.key] = value
            node.marks[top.key] = (top.key_mark, mark)
            top.key = None

    def key(self, top: _Open, value: Tree, mark: Mark) -> None:
        node = top.node
        if value == "<<":
            hint = "Write the keys out. A whole value is repeated by &name where it stands and *name elsewhere."
            raise self.fatal(mark, "YAML's merge key << isn't known here.", hint)
        if not isinstance(value, str):
            top.skip = True
            self.report.add(mark, "a list or mapping where a key belongs.", "A text that starts so needs quotes.")
        elif isinstance(node, Map) and value in node.marks:
            first = node.marks[value][0]
            top.skip = True
            hint = f"The first is at line {first.line}, column {first.column}: keep one of the two."
            self.report.add(mark, f"the key {quote(value)} is given twice.", hint)
        else:
            top.key, top.key_mark = value, mark


def _mark(event: Any) -> Mark:
    start = event.start_mark
    return Mark(start.line + 1, start.column + 1)


def _at(target: tuple[Tree, int], mark: Mark) -> tuple[Tree, Mark, int]:
    return target[0], mark, target[1]
