"""Draws a picture's chains as a standalone SVG: a box for each namespace, in it its links, and lines that join them.

No scripts, no fonts from elsewhere; readable on light and on dark pages, and by a screen reader.
"""

from __future__ import annotations

from html import escape  # xml.sax.saxutils does the same, and loads urllib

from guestwire.picture import Picture
from guestwire.show.block import wide
from guestwire.show.chains import NOBODYS, Chains, Node, Role, chains
from guestwire.show.page import CHARACTER, LINE, Box, Line, Page, Tile, page
from guestwire.show.wiring import UNREAD, Edge

__all__ = ["svg"]

CORNER = 7.0
STYLES = {
    Edge.PORT: "line",
    Edge.CABLE: "line cable",
    Edge.HELD: "line held",
    Edge.PARENT: "line parent",
    Edge.ROUTED: "line routed",
}
STYLE = """
.guestwire text { font: 12px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.guestwire text { fill: #1f2937; }
.guestwire .paper { fill: #ffffff; }
.guestwire .box { fill: #f4f6f9; stroke: #cbd3de; }
.guestwire .title { font-weight: bold; fill: #475569; }
.guestwire .tile { fill: #ffffff; stroke: #94a3b8; }
.guestwire .ours { stroke: #7c3aed; }
.guestwire .off { stroke-dasharray: 4 3; }
.guestwire .outside { fill: none; stroke: #94a3b8; stroke-dasharray: 4 3; }
.guestwire .name { font-weight: bold; }
.guestwire .label { fill: #64748b; }
.guestwire .words { fill: #64748b; }
.guestwire .address { fill: #0f766e; }
.guestwire .state { fill: #b45309; }
.guestwire .fold { fill: #64748b; font-style: italic; }
.guestwire .mark { fill: #7c3aed; font-weight: bold; }
.guestwire .line { fill: none; stroke: #64748b; stroke-width: 1.6; stroke-linejoin: round; }
.guestwire .cable { stroke: #2563eb; stroke-width: 3; }
.guestwire .held { stroke: #7c3aed; stroke-width: 3; }
.guestwire .parent { stroke: #0f766e; stroke-width: 2; stroke-dasharray: 7 4; }
.guestwire .routed { stroke-dasharray: 1.5 4; stroke-linecap: round; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
.guestwire text { fill: #e5e7eb; }
.guestwire .paper { fill: #11161d; }
.guestwire .box { fill: #1a212b; stroke: #384454; }
.guestwire .title { fill: #a9b6c6; }
.guestwire .tile { fill: #222b37; stroke: #5b6b80; }
.guestwire .ours { stroke: #a78bfa; }
.guestwire .outside { fill: none; stroke: #5b6b80; }
.guestwire .label { fill: #9aa8ba; }
.guestwire .words { fill: #9aa8ba; }
.guestwire .fold { fill: #9aa8ba; }
.guestwire .address { fill: #5eead4; }
.guestwire .state { fill: #fbbf24; }
.guestwire .mark { fill: #a78bfa; }
.guestwire .line { stroke: #8b99ab; }
.guestwire .cable { stroke: #60a5fa; }
.guestwire .held { stroke: #a78bfa; }
.guestwire .parent { stroke: #2dd4bf; }
}
"""


def svg(picture: Picture) -> str:
    """The drawing as an SVG document. What is folded in the text's drawing is folded here."""
    forest = chains(picture)
    laid = page(forest)
    marks = len(forest.owners) + forest.foreign > 1
    legend = _legend(forest, marks)
    width = max(laid.width, 320.0)
    body = [_box(box) for box in laid.boxes if not box.frameless]
    body += [_line(line) for line in laid.lines]
    body += [_tile(tile, marks) for tile in laid.tiles]
    drawn, height = _set_legend(legend, laid.height, width)
    if not laid.tiles:
        drawn.append(_text(24, 34, "words", "There are no links here but lo."))
    return "\n".join([*_head(laid, width, height), *body, *drawn, "</svg>", ""])


def _head(laid: Page, width: float, height: float) -> list[str]:
    links = sum(1 for tile in laid.tiles if tile.node.role is Role.LINK)
    titles = [box.title for box in laid.boxes if not box.frameless]
    some = ", ".join(titles[:20]) + (" …" if len(titles) > 20 else "")
    size = f'width="{_n(width)}" height="{_n(height)}" viewBox="0 0 {_n(width)} {_n(height)}"'
    named = 'role="img" aria-labelledby="guestwire-title guestwire-desc"'
    return [
        f'<svg class="guestwire" xmlns="http://www.w3.org/2000/svg" {size} {named}>',
        '<title id="guestwire-title">What is plugged into what</title>',
        f'<desc id="guestwire-desc">{escape(f"{links:,} links drawn, in {len(titles):,} namespaces: {some}")}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="paper" width="{_n(width)}" height="{_n(height)}"/>',
    ]


def _n(number: float) -> str:
    """A number as short as it can be written."""
    return f"{number:.1f}".removesuffix(".0")


def _text(x: float, y: float, style: str, words: str) -> str:
    return f'<text class="{style}" x="{_n(x)}" y="{_n(y)}" xml:space="preserve">{escape(words)}</text>'


def _rect(x: float, y: float, width: float, height: float, style: str, round: float) -> str:
    size = f'width="{_n(width)}" height="{_n(height)}"'
    return f'<rect class="{style}" x="{_n(x)}" y="{_n(y)}" {size} rx="{_n(round)}"/>'


def _stack(x: float, y: float, width: float, height: float, style: str, round: float, many: bool) -> list[str]:
    """A rectangle; with others behind it where it stands for many."""
    shifts = (6.0, 3.0, 0.0) if many else (0.0,)
    return [_rect(x + shift, y + shift, width, height, style, round) for shift in shifts]


def _box(box: Box) -> str:
    frame = _stack(box.x, box.y, box.width, box.height, "box", 10, bool(box.fold))
    return "\n".join([*frame, _text(box.x + 14, box.y + 20, "title", box.title)])


def _tile(tile: Tile, marks: bool) -> str:
    node = tile.node
    style = "tile" if node.role is Role.LINK else "outside"
    if marks and node.owner is not None:
        style += " ours"
    if node.states:
        style += " off"
    many = bool(node.like)
    parts = ["<g>", f"<title>{escape(_said(node))}</title>"]
    parts += _stack(
        tile.x, tile.y, tile.width, tile.height, style, 5 if node.role is Role.LINK else tile.height / 2, many
    )
    x, y = tile.x + 10, tile.y + LINE
    if node.role is not Role.LINK:
        parts.append(_text(x, y, "label", node.name))
    else:
        parts.append(_text(x, y, "name", node.name))
        if marks and node.owner is not None:
            parts.append(_text(x + wide(node.name) * CHARACTER, y, "mark", "°"))
    parts += [_text(x, y + LINE * number, kind, words) for number, (words, kind) in enumerate(tile.details, 1)]
    return "\n".join([*parts, "</g>"])


def _said(node: Node) -> str:
    """A link in one line, for a screen reader and a mouse."""
    mark = f"made by guestwire for {node.owner or NOBODYS}" if node.owner is not None else ""
    said = [node.long, node.label, *node.addresses, *node.states, mark, node.fold()]
    return ", ".join([f"{node.where}: {node.name}" if node.where else node.name, *filter(None, said)])


def _line(line: Line) -> str:
    begin, end = line.begin, line.end
    edge = line.node.edge or Edge.PORT
    style = STYLES.get(edge, "line")
    x, y = begin.x + begin.width, begin.middle
    if end.x > x:
        trunk = x + 18
        path = _elbow(x, y, trunk, line.row)
        if abs(end.middle - line.row) < 0.05:
            path += f" H {_n(end.x)}"
        else:
            out = max(begin.box.x + begin.box.width, trunk) if end.box is not begin.box else trunk
            bend = (out + end.x) / 2
            path += f" H {_n(out)} C {_n(bend)} {_n(line.row)} {_n(bend)} {_n(end.middle)} {_n(end.x)} {_n(end.middle)}"
    else:  # back, or to a link in the same column: around on the right
        far = max(x, end.x + end.width) + 40
        other = end.x + end.width
        path = f"M {_n(x)} {_n(y)} C {_n(far)} {_n(y)} {_n(far)} {_n(end.middle)} {_n(other)} {_n(end.middle)}"
    return f'<path class="{style}" d="{path}"/>'


def _elbow(x: float, y: float, trunk: float, row: float) -> str:
    """From a tile to its trunk, along it, and out on a row, with rounded corners."""
    if abs(row - y) < 0.05:
        return f"M {_n(x)} {_n(y)}"
    turn = min(CORNER, abs(row - y) / 2)
    way = turn if row > y else -turn
    down = f"Q {_n(trunk)} {_n(y)} {_n(trunk)} {_n(y + way)} V {_n(row - way)}"
    return f"M {_n(x)} {_n(y)} H {_n(trunk - turn)} {down} Q {_n(trunk)} {_n(row)} {_n(trunk + turn)} {_n(row)}"


def _legend(forest: Chains, marks: bool) -> list[tuple[str, str]]:
    """Style and words of what the legend explains."""
    used = {node.edge for node in forest.nodes()}
    said = [(style, edge.value) for edge, style in STYLES.items() if edge in used]
    if any(node.name == UNREAD for node in forest.nodes()):
        said.append(("", f"{UNREAD} in a namespace that wasn't read"))
    if forest.owners:
        whose = f"made by guestwire for {', '.join(forest.owners)}"
        said.append(("mark", whose) if marks else ("", f"all {whose}"))
    if forest.shortened:
        said.append(("", f"namespaces' names are without {forest.shortened} in front"))
    return said


def _set_legend(said: list[tuple[str, str]], top: float, width: float) -> tuple[list[str], float]:
    """The legend drawn from `top` down, and where it ends."""
    parts = []
    x, y = 24.0, top + 8
    for style, words in said:
        size = (34 if style else 0) + wide(words) * CHARACTER + 24
        if x > 24 and x + size > width:
            x, y = 24.0, y + LINE + 4
        at = x
        if style == "mark":
            parts.append(_text(x + 8, y + 4, style, "°"))
        elif style:
            parts.append(f'<path class="{style}" d="M {_n(x)} {_n(y)} H {_n(x + 26)}"/>')
        at += 34 if style else 0
        parts.append(_text(at, y + 4, "words", words))
        x += size
    return parts, y + (24 if said else 0)
