"""Places a picture's chains on a page: a box for each namespace, its links in columns, each line with a row of its own.

Boxes stand in layers, from the outside on the left to the guests on the right. What hangs on a link has room of its own
to the right of it, so that lines are straight and no two boxes of a layer meet. Lines to a box that has its place
already (a guest's second NIC) go there as a curve.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from guestwire.show.block import wide
from guestwire.show.chains import Chains, Node, Role
from guestwire.show.wiring import Place

__all__ = ["CHARACTER", "LINE", "Box", "Line", "Page", "Tile", "page"]

CHARACTER, LINE = 7.3, 16.0  # of a text of 12 pixels in a typewriter face
TILE_PAD, TILE_GAP = 10.0, 10.0
BETWEEN = 44.0  # columns of links in a box
BOX_PAD, BOX_TITLE, BOX_GAP = 16.0, 24.0, 18.0
LAYER_GAP = 72.0
MARGIN = 24.0
ROW = 22.0  # a line without a tile


@dataclass(eq=False)
class Tile:
    """A link on the page; x and y are its upper left corner."""

    node: Node
    details: list[tuple[str, str]]
    fold: bool
    box: Box
    children: list[Tile] = field(default_factory=list)
    elsewhere: list[Node] = field(default_factory=list)
    x: float = 0
    y: float = 0
    row: float = 0
    """The row on which the line from its parent comes."""

    @property
    def width(self) -> float:
        """As wide as its longest line; a name is bold, and may bear our mark."""
        texts = [self.node.name + "°" * (self.node.owner is not None), *(text for text, _ in self.details)]
        return max(map(wide, texts)) * CHARACTER + 2 * TILE_PAD

    @property
    def height(self) -> float:
        """As high as its lines."""
        return LINE * (1 + len(self.details)) + TILE_PAD

    @property
    def middle(self) -> float:
        """Where lines come in and go out."""
        return self.y + self.height / 2


@dataclass(eq=False)
class Box:
    """A namespace on the page, or what stands outside of all: an end that wasn't read, a program."""

    title: str
    fold: str
    layer: int
    tops: list[Tile] = field(default_factory=list)
    columns: list[float] = field(default_factory=list)
    x: float = 0
    y: float = 0
    width: float = 0
    height: float = 0

    @property
    def frameless(self) -> bool:
        """Whether it is only what holds a lone tile."""
        return not self.title


@dataclass(frozen=True)
class Line:
    """A line between two tiles; it goes along its `row`, and bends where that isn't the other's middle."""

    begin: Tile
    end: Tile
    node: Node
    """Whose `edge` says what the line is."""
    row: float


@dataclass
class Page:
    """What to draw where."""

    boxes: list[Box]
    tiles: list[Tile]
    lines: list[Line]
    width: float
    height: float


def page(forest: Chains) -> Page:
    """The page for a forest of chains."""
    return _Setter(forest).page()


class _Setter:
    def __init__(self, forest: Chains) -> None:
        self.boxes: dict[object, Box] = {}
        self.tiles: dict[Place, Tile] = {}
        self.homes: dict[int, Tile] = {}
        """By box: the tile through which it has its place."""
        for _, trees in forest.groups:
            for tree in trees:
                self._grow(tree)

    def _grow(self, tree: Node) -> None:
        """Tiles for a tree, each in the box of its namespace."""
        queue: deque[tuple[Node, Tile | None, str]] = deque([(tree, None, "")])
        while queue:
            node, parent, fold = queue.popleft()
            if node.role is Role.ELSEWHERE:
                assert parent is not None
                parent.elsewhere.append(node)
                continue
            fold = node.fold() or fold
            box = self._box(node, parent, fold)
            tile = self.tiles[node.place] = Tile(node, _details(node), bool(fold), box)
            if parent is not None:
                parent.children.append(tile)
            if parent is None or parent.box is not box:
                box.tops.append(tile)
            queue.extend((child, tile, fold) for child in node.children)

    def _box(self, node: Node, parent: Tile | None, fold: str) -> Box:
        framed = node.role is Role.LINK
        key: object = ("namespace", node.place[0]) if framed else ("alone", node.place)
        box = self.boxes.get(key)
        if box is None:
            title = (fold or node.where) if framed else ""
            layer = parent.box.layer + 1 if parent is not None else 0
            box = self.boxes[key] = Box(title, fold, layer)
        return box

    def page(self) -> Page:
        for tile in self.tiles.values():
            for child in tile.children:
                if child.box is not tile.box and child.box.layer == tile.box.layer + 1:
                    self.homes.setdefault(id(child.box), child)
        y = MARGIN
        for box in self.boxes.values():
            self._columns(box)
            if id(box) not in self.homes:
                y = self._place(box, y) + BOX_GAP
        self._across()
        for box in self.boxes.values():
            self._frame(box)
        self._up()
        lines = [Line(tile, child, child.node, child.row) for tile in self.tiles.values() for child in tile.children]
        lines += self._elsewhere()
        boxes = list(self.boxes.values())
        width = max((box.x + box.width for box in boxes), default=0) + MARGIN
        height = max((box.y + box.height for box in boxes), default=0) + MARGIN
        return Page(boxes, list(self.tiles.values()), lines, width, height)

    def _columns(self, box: Box) -> None:
        """How wide the columns of a box are."""
        level = list(box.tops)
        box.columns = []
        while level:
            box.columns.append(max(tile.width for tile in level))
            level = [child for tile in level for child in tile.children if child.box is box]
        pad = 0 if box.frameless else BOX_PAD
        box.width = sum(box.columns) + BETWEEN * (len(box.columns) - 1) + 2 * pad
        if any(child.box is not box for tile in self._within(box) for child in tile.children) and len(box.columns) > 1:
            box.width += BETWEEN / 3  # the lines' way out
        box.width = max(box.width, wide(box.title) * CHARACTER + 2 * pad)

    def _within(self, box: Box) -> list[Tile]:
        found, level = [], list(box.tops)
        while level:
            found += level
            level = [child for tile in level for child in tile.children if child.box is box]
        return found

    def _place(self, box: Box, y: float) -> float:
        """Give a box's tiles and what hangs on them their y, from `y` down; returns where they end."""
        y += 0 if box.frameless else BOX_TITLE + BOX_PAD / 2
        for number, top in enumerate(box.tops):
            y = self._place_tile(top, y + (TILE_GAP if number else 0))
        return y + (0 if box.frameless else BOX_PAD)

    def _hangs_on(self, child: Tile, tile: Tile) -> bool:
        """Whether a child has its place because of that tile, so that it moves with it."""
        return child.box is tile.box or self.homes.get(id(child.box)) is child

    def _place_tile(self, tile: Tile, y: float) -> float:
        """Give a tile and what hangs on it their y; returns where they end. It stands at its children's middle."""
        begin = y
        for number, child in enumerate(tile.children):
            y += TILE_GAP if number else 0
            if child.box is tile.box:
                y = self._place_tile(child, y)
            elif self._hangs_on(child, tile):
                y = self._place(child.box, y) + BOX_GAP - TILE_GAP
            else:
                y += ROW
                child.row = y - ROW / 2
                continue
            child.row = child.middle
        rows = [child.row for child in tile.children]
        tile.y = (rows[0] + rows[-1] - tile.height) / 2 if rows else begin
        down = begin - tile.y
        if down > 0:
            self._move(tile, down)
            y += down
        return max(y, tile.y + tile.height)

    def _move(self, tile: Tile, down: float) -> None:
        queue = deque([tile])
        while queue:
            tile = queue.popleft()
            tile.y += down
            for child in tile.children:
                child.row += down
                if child.box is tile.box:
                    queue.append(child)
                elif self._hangs_on(child, tile):
                    queue.extend(child.box.tops)

    def _frame(self, box: Box) -> None:
        """Draw a box's frame around its tiles and the lines between them."""
        tiles = self._within(box)
        last = max(tile.x for tile in tiles)
        rows = [child.row for tile in tiles if tile.x < last for child in tile.children]
        top, bottom = min(tile.y for tile in tiles), max(tile.y + tile.height for tile in tiles)
        if not box.frameless:
            top = min([top, *(row - ROW / 2 for row in rows)]) - BOX_TITLE - BOX_PAD / 2
            bottom = max([bottom, *(row + ROW / 2 for row in rows)]) + BOX_PAD
        box.y, box.height = top, bottom - top

    def _across(self) -> None:
        """Give every box and tile its x."""
        layers: dict[int, float] = {}
        for box in self.boxes.values():
            layers[box.layer] = max(layers.get(box.layer, 0), box.width)
        x = MARGIN
        lefts = {}
        for layer in sorted(layers):
            lefts[layer] = x
            x += layers[layer] + LAYER_GAP
        for box in self.boxes.values():
            box.x = lefts[box.layer]
            level, column = list(box.tops), box.x + (0 if box.frameless else BOX_PAD)
            for width in box.columns:
                for tile in level:
                    tile.x = column
                level = [child for tile in level for child in tile.children if child.box is box]
                column += width + BETWEEN

    def _up(self) -> None:
        """Move all to the page's top."""
        up = min((box.y for box in self.boxes.values()), default=MARGIN) - MARGIN
        for box in self.boxes.values():
            box.y -= up
        for tile in self.tiles.values():
            tile.y -= up
            tile.row -= up

    def _elsewhere(self) -> list[Line]:
        """The lines to links that have their place already; where that is folded away there is none."""
        return [
            Line(tile, self.tiles[node.place], node, tile.middle)
            for tile in self.tiles.values()
            for node in tile.elsewhere
            if node.place in self.tiles
        ]


def _details(node: Node) -> list[tuple[str, str]]:
    full = [(f"= {node.long}", "label")] if node.long else []
    label = [(node.label, "label")] if node.label else []
    addresses = [(address, "address") for address in node.addresses]
    count = [(f"{len(node.like) + 1:,} like this", "fold")] if node.like else []
    return [*full, *label, *addresses, *((state, "state") for state in node.states), *count]
