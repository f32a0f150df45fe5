"""Draws a picture's chains with box characters, for a terminal: `eth0 ── br0 ── tap0 ── guest NIC`.

Below a link stands what it is and which addresses it has; with the last one of a chain they stand beside it, where
there is room. A chain that is too long for the line goes on below, as a wire would:

    eth0 ══ gateway:wan ┈┈ eth1 ══ switch:p1 ── lan0 ─┐
    ┌─────────────────────────────────────────────────┘
    ├─ p2 ══ host:eth0
    └─ p3 ══ lan:eth0
"""

from __future__ import annotations

from dataclasses import dataclass

from guestwire.picture import Picture
from guestwire.show.block import Block, Span, lines, wide
from guestwire.show.chains import Chains, Node, Role, chains
from guestwire.show.wiring import UNREAD, Edge

__all__ = ["text"]

INDENT = 2
GAP = 2  # columns between details
ROOM = 24  # columns that a branch gets, however far right it begins


@dataclass(frozen=True)
class _Pen:
    """The characters that lines are drawn with."""

    dashes: dict[Edge, str]
    fans: dict[Edge, str]  # where a branch leaves the trunk: one with others below it, and the last
    top: str  # where the trunk begins
    down: str
    more: str  # beside what is folded
    out: str  # at the right end of a line that goes on below
    back: str  # below it
    start: str  # at the left end of what goes on
    flat: str
    mark: str
    elsewhere: str
    dots: str


UNICODE = _Pen(
    {Edge.PORT: "─", Edge.CABLE: "═", Edge.HELD: "━", Edge.PARENT: "╌", Edge.DESCRIPTOR: "─", Edge.ROUTED: "┈"},
    {**dict.fromkeys(Edge, "├└"), Edge.CABLE: "╞╘", Edge.HELD: "┝┕"},
    "┬", "│", "┆", "┐", "┘", "┌", "─", "°", "→", "…",
)  # fmt: skip
ASCII = _Pen(
    {Edge.PORT: "-", Edge.CABLE: "=", Edge.HELD: "#", Edge.PARENT: "~", Edge.DESCRIPTOR: "-", Edge.ROUTED: "."},
    dict.fromkeys(Edge, "++"),
    "+", "|", ":", "+", "+", "+", "-", "*", "->", "...",
)  # fmt: skip


def text(picture: Picture, *, width: int = 100, colour: bool = False, ascii: bool = False) -> str:
    """The drawing, without a line end at its end. `ascii` draws the lines with -, = and |; names stay as they are.

    It is as wide as `width` where names and addresses let it.
    """
    forest = chains(picture)
    pen = ASCII if ascii else UNICODE
    found: list[str] = []
    for title, trees in forest.groups:
        draw = _Drawing(pen, len(forest.owners) + forest.foreign > 1)
        spans: list[Span] = [(0, 0, title, "where")]
        y = 1
        for tree in trees:
            block = draw.tree(tree, max(width - INDENT, ROOM))
            spans += block.at(INDENT, y)
            y += block.height + (block.height > 1)
        found += [*lines(spans, colour), ""]
    if not found:
        return "There are no links here but lo."
    return "\n".join([*found, *_legend(forest, pen, width, colour)]).rstrip("\n")


class _Drawing:
    """Draws trees as blocks. `marks`: whether to tell ours from others'."""

    def __init__(self, pen: _Pen, marks: bool) -> None:
        self.pen = pen
        self.marks = marks

    def tree(self, node: Node, width: int) -> Block:
        """A tree, within `width` if that can be, and what is folded behind it."""
        block = self._tree(node, width)
        if not node.like:
            return block
        return Block((*block.spans, (0, block.height, f"{self.pen.more} {self._fold(node)}", "fold")))

    def _tree(self, node: Node, width: int) -> Block:
        best = self._flat(node, width)
        wrapped = self._wrapped(node, width)
        # A line that goes on below costs the reader something: it must save rows.
        if best.width > width or (wrapped.width <= width and wrapped.height < best.height):
            best = wrapped
        return best

    def _fold(self, node: Node) -> str:
        return node.fold().replace("…", self.pen.dots)

    # One link

    def _name(self, node: Node) -> Block:
        spans: list[Span] = []
        x = 0

        def put(part: str, style: str) -> None:
            nonlocal x
            if part:
                spans.append((x, 0, part, style))
                x += wide(part)

        if node.role is Role.ELSEWHERE:
            put(f"{self.pen.elsewhere} ", "fold")
        if node.enters and node.where:
            put(f"{node.where}:", "where")
        put(node.name, "label" if node.role is Role.PROGRAM else "name")
        if self.marks and node.owner is not None:
            put(self.pen.mark, "mark")
        return Block(tuple(spans))

    def _details(self, node: Node) -> list[tuple[str, str]]:
        full = [(f"= {node.long}", "label")] if node.long else []
        label = [(node.label, "label")] if node.label else []
        addresses = [(address, "address") for address in node.addresses]
        return [*full, *label, *addresses, *((state, "state") for state in node.states)]

    def _cell(self, node: Node) -> Block:
        """A link with its details below its name."""
        below = ((0, y, detail, style) for y, (detail, style) in enumerate(self._details(node), 1))
        return Block((*self._name(node).spans, *below))

    def _last(self, node: Node, room: int, column: int) -> Block:
        """The last link of a chain, with its details beside it from `column` on; below it where there is no room."""
        spans = list(self._name(node).spans)
        details = self._details(node)
        start = max(self._name(node).width, column) + GAP
        if start + max((wide(detail) for detail, _ in details), default=0) > room:
            return self._cell(node)
        x, y = start, 0
        for detail, style in details:
            if x > start and x + wide(detail) > room:
                x, y = start, y + 1
            spans.append((x, y, detail, style))
            x += wide(detail) + GAP
        return Block(tuple(spans))

    # Trees

    def _flat(self, node: Node, room: int, widths: tuple[int, ...] = ()) -> Block:
        """A tree on as few rows as it takes; `widths` are the columns that the links of a plain chain get."""
        if not node.children:
            return self._last(node, room, widths[0] if widths else 0)
        cell = self._cell(node)
        x = max(cell.width, widths[0] if widths else 0)
        start = cell.row(0) + 1
        if _straight(node):
            child = node.children[0]
            line = self.pen.dashes[child.edge or Edge.PORT] * (x + 3 - start)
            rest = self._flat(child, room - x - 4, widths[1:])
            return Block((*cell.spans, (start, 0, line, "line"), *rest.at(x + 4, 0)))
        spans = (*cell.spans, (start, 0, self._dash(node) * (x + 2 - start), "line"))
        return Block(spans + self._fan(node, self._rows(node, room - x - 5), self.pen.top).at(x + 2, 0))

    def _dash(self, node: Node) -> str:
        """What the line to a fan is drawn with."""
        edges = {child.edge or Edge.PORT for child in node.children}
        return self.pen.dashes[edges.pop() if len(edges) == 1 else Edge.PORT]

    def _rows(self, node: Node, room: int) -> list[Block]:
        """The children of a fan; what of them is plain chains has its links one below the other."""
        plain = {id(child): run for child in node.children if (run := _run(child)) is not None}
        widths: dict[tuple[int, bool], int] = {}
        for run in plain.values():
            for number, link in enumerate(run):
                last = number == len(run) - 1
                size = (self._name(link) if last else self._cell(link)).width
                widths[number, last] = max(widths.get((number, last), 0), size)
        rows = []
        for child in node.children:
            run = plain.get(id(child), [])
            columns = tuple(widths[number, number == len(run) - 1] for number in range(len(run)))
            rows.append(self._flat(child, room, columns))
        return rows

    def _fan(self, node: Node, rows: list[Block], top: str) -> Block:
        """Children below one another on a trunk, which begins with `top` or, where that is "", comes from above."""
        spans: list[Span] = []
        y = 0
        for number, (child, block) in enumerate(zip(node.children, rows, strict=True)):
            edge = child.edge or Edge.PORT
            last = number == len(rows) - 1
            tee = top if top and not number else self.pen.fans[edge][last and not child.like]
            spans += [(0, y, tee + self.pen.dashes[edge], "line"), *block.at(3, y)]
            if child.like or not last:
                spans += [(0, y + row, self.pen.down, "line") for row in range(1, block.height)]
            y += block.height
            if child.like:
                spans += [(0, y, self.pen.more, "line"), (3, y, self._fold(child), "fold")]
                y += 1
        return Block(tuple(spans))

    def _wrapped(self, node: Node, width: int) -> Block:
        """A tree that is too wide: as much of its first chain as there is room for, and what follows below."""
        spans: list[Span] = []
        x = height = 0
        while True:
            cell = self._cell(node)
            spans += cell.at(x, 0)
            end, x, height = x + cell.row(0) + 1, x + cell.width, max(height, cell.height)
            # One more link of the chain, where there is room for the bend behind it.
            if not _straight(node) or x + 8 + self._cell(node.children[0]).width > width:
                break
            node = node.children[0]
            spans.append((end, 0, self.pen.dashes[node.edge or Edge.PORT] * (x + 3 - end), "line"))
            x += 4
        if not node.children:
            return Block(tuple(spans))
        spans.append((end, 0, self._dash(node) * (x + 2 - end) + self.pen.out, "line"))
        spans += [(x + 2, y, self.pen.down, "line") for y in range(1, height)]
        spans.append((0, height, self.pen.start + self.pen.flat * (x + 1) + self.pen.back, "line"))
        room = max(width - 3, ROOM)
        rows = [
            row if row.width <= room and _run(child) else self._tree(child, room)
            for child, row in zip(node.children, self._rows(node, room), strict=True)
        ]
        return Block((*spans, *self._fan(node, rows, "").at(0, height + 1)))


def _straight(node: Node) -> bool:
    """Whether the chain goes on without branching."""
    return len(node.children) == 1 and not node.children[0].like


def _run(node: Node) -> list[Node] | None:
    """The links of a plain chain, one after the other; None where it branches."""
    run = [node]
    while node.children:
        if not _straight(node):
            return None
        node = node.children[0]
        run.append(node)
    return run


def _legend(forest: Chains, pen: _Pen, width: int, colour: bool) -> list[str]:
    """What the lines and signs mean, as far as they were drawn."""
    nodes = list(forest.nodes())
    used = {node.edge for node in nodes}
    said: list[list[tuple[str, str]]] = [
        [(pen.dashes[edge] * 2, "line"), (f" {edge.value}", "label")]
        for edge in Edge
        if edge in used and edge is not Edge.DESCRIPTOR
    ]
    if any(node.role is Role.ELSEWHERE for node in nodes):
        said.append([(pen.elsewhere, "fold"), (" drawn elsewhere", "label")])
    if any(node.name == UNREAD for node in nodes):
        said.append([(UNREAD, "name"), (" in a namespace that wasn't read", "label")])
    if forest.owners:
        whose = f"made by guestwire for {', '.join(forest.owners)}"
        marked = len(forest.owners) + forest.foreign > 1
        said.append([(pen.mark, "mark"), (f" {whose}", "label")] if marked else [(f"all {whose}", "label")])
    if forest.shortened:
        said.append([(f"namespaces' names are without {forest.shortened} in front", "label")])
    spans: list[Span] = []
    x = y = 0
    for parts in said:
        size = sum(wide(part) for part, _ in parts)
        if x and x + size > width:
            x, y = 0, y + 1
        for part, style in parts:
            spans.append((x, y, part, style))
            x += wide(part)
        x += GAP + 1
    return lines(spans, colour)
