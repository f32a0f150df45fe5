"""The chains of links that drawings show: a picture as a forest that grows from the uplink to the guests.

What is joined in more than one way (two cables between two bridges) is drawn once, and pointed to from elsewhere.
Branches that look alike are folded when they are many, so that a drawing of a thousand guests fits on a page.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from ipaddress import ip_address

from guestwire.kinds.address import Address
from guestwire.kinds.domainnic import DomainNic
from guestwire.kinds.link import Link
from guestwire.kinds.macvlan import Macvlan
from guestwire.kinds.namespace import Namespace
from guestwire.kinds.tap import Tap
from guestwire.kinds.veth import Veth
from guestwire.kinds.vmnic import VmNic
from guestwire.picture import Picture
from guestwire.printable import printable
from guestwire.show.wiring import UNREAD, Edge, Place, Wiring, natural

__all__ = ["NOBODYS", "Chains", "Node", "Role", "chains"]

FOLD = 12  # so many alike, named alike but for a number, are drawn one by one
FOLD_ANY = 48  # and so many whose names may tell more
DEEPEST = 24  # links in a row; what follows is drawn as a chain of its own
SMALL = 6  # links of a branch that is drawn before those which lead far
NOBODYS = "no project"  # what bears the mark without one, as `tap add` makes
UNIVERSE = 0  # RT_SCOPE_UNIVERSE: an address that is valid everywhere


class Role(Enum):
    """What a node of a chain stands for."""

    LINK = auto()
    UNREAD = auto()  # the other half of a link, in a namespace that wasn't read
    PROGRAM = auto()  # the end of a descriptor
    ELSEWHERE = auto()  # a link that is drawn elsewhere


@dataclass
class Node:
    """One link in a chain, with what hangs on it; all its text is printable."""

    role: Role
    place: Place
    name: str
    where: str = ""
    edge: Edge | None = None
    enters: bool = False
    label: str = ""
    owner: str | None = None
    long: str = ""
    addresses: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    children: list[Node] = field(default_factory=list)
    size: int = 1
    """How many links this branch has."""
    like: list[Node] = field(default_factory=list)
    """Siblings that look like this one and are folded behind it."""

    def walk(self) -> Iterator[Node]:
        """This node and all below it that are drawn."""
        queue = deque([self])
        while queue:
            node = queue.popleft()
            yield node
            queue.extend(node.children)

    def guest(self) -> str:
        """What to call this branch by: the first namespace that it leads into, else its own name."""
        return next((node.where for node in self.walk() if node.enters and node.role is Role.LINK), self.name)

    def fold(self) -> str:
        """What is folded behind this branch, in words; "" where nothing is."""
        if not self.like:
            return ""
        return f"{self.guest()} … {self.like[-1].guest()} ({len(self.like) + 1:,} like this)"

    def shape(self) -> tuple[object, ...]:
        """What this branch looks like, names and numbers aside."""
        families = tuple(":" in address for address in self.addresses)
        rest = tuple(sorted((child.shape() for child in self.children), key=repr))
        target = self.place if self.role is Role.ELSEWHERE else ()  # ways to different places aren't alike
        return self.role, self.edge, self.enters, target, self.label, self.owner or "", families, self.states, rest


@dataclass
class Chains:
    """The forest: trees by the namespace in which they begin, and what of the picture concerns all of it."""

    groups: list[tuple[str, list[Node]]]
    owners: tuple[str, ...]
    """The projects whose marks are on links that are drawn."""
    foreign: bool
    """Whether any link that is drawn bears no mark."""
    shortened: str
    """The project whose name was left out in front of its namespaces' names; "" where none was."""

    def nodes(self) -> Iterator[Node]:
        """Every node that is drawn."""
        for _, trees in self.groups:
            for tree in trees:
                yield from tree.walk()


def chains(picture: Picture) -> Chains:
    """The chains of a picture, observed or desired."""
    return _Builder(picture).chains()


class _Builder:
    def __init__(self, picture: Picture) -> None:
        self.wiring = Wiring(picture)
        self.addresses: dict[Place, list[str]] = {}
        for address in picture.of(Address):
            if (address.scope or UNIVERSE) == UNIVERSE and not (
                address.family == 6 and ip_address(address.address).is_link_local
            ):
                self.addresses.setdefault((address.netns, address.link), []).append(address.interface)
        self.domains = {(nic.netns, nic.link): nic.domain for nic in picture.of(DomainNic) if nic.link}
        self.machines = {(nic.netns, nic.end[0]): nic for nic in picture.of(VmNic) if nic.end}
        self.titles, self.shortened = _titles(picture.of(Namespace))
        self.claimed: set[Place] = set()
        self.pointed: set[frozenset[Place]] = set()

    def chains(self) -> Chains:
        trees: dict[str, list[Node]] = {}
        for group in self.wiring.components():
            pending = deque([self.wiring.beginning(group)])
            while pending:
                tree = self._tree(pending.popleft(), pending)
                if tree is not None:
                    trees.setdefault(self._home(tree), []).append(tree)
        for grown in trees.values():
            grown.sort(key=lambda tree: not tree.children)  # what hangs nowhere comes last
        groups = [(self._title(netns), _folded(grown)) for netns, grown in sorted(trees.items(), key=_by_namespace)]
        owners = {link.owner for link in self.wiring.links.values()}
        named = tuple(sorted(printable(owner) or NOBODYS for owner in owners if owner is not None))
        return Chains(groups, named, None in owners, self.shortened)

    def _home(self, tree: Node) -> str:
        """The namespace under which a tree is drawn: its first link's that was read."""
        if tree.role is Role.UNREAD and tree.place[0] == UNREAD and tree.children:
            tree.children[0].enters = False
            return tree.children[0].place[0]
        return tree.place[0]

    def _tree(self, start: Place, pending: deque[Place]) -> Node | None:
        """The tree that grows from a place by the shortest ways; what is too deep is put into `pending`."""
        if start in self.claimed:
            return None
        self.claimed.add(start)
        root = self._node(start, None, start[0])
        queue = deque([(root, 0)])
        while queue:
            node, depth = queue.popleft()
            for edge, other in self.wiring.neighbours(node.place):
                pair = frozenset((node.place, other))
                if pair in self.pointed:
                    continue
                self.pointed.add(pair)
                if other in self.claimed or depth == DEEPEST:
                    node.children.append(self._pointer(other, edge, node.place[0]))
                    if other not in self.claimed:
                        pending.append(other)
                    continue
                self.claimed.add(other)
                child = self._node(other, edge, node.place[0])
                node.children.append(child)
                queue.append((child, depth + 1))
            node.children += self._descriptor(node)
        _fold_below(root)
        return root

    def _title(self, netns: str) -> str:
        return self.titles.get(netns, printable(netns)) if netns else "this host"

    def _node(self, place: Place, edge: Edge | None, before: str) -> Node:
        link = self.wiring.links.get(place)
        netns, name = place
        enters = netns != before
        if link is None:
            if netns == UNREAD:
                return Node(Role.UNREAD, place, UNREAD, "", edge)
            where = self._title(netns)
            return Node(Role.UNREAD, place, printable(name), where, edge, enters, states=("not read",))
        edges = self.wiring.joined[place].values()
        cabled = (isinstance(link, Veth) and Edge.CABLE in edges) or (edge is Edge.HELD and isinstance(link, Tap))
        return Node(
            Role.LINK,
            place,
            printable(name),
            self._title(netns),
            edge,
            enters,
            "" if cabled else printable(link.label()),  # the line says it already
            link.owner,
            printable(link.long or ""),
            tuple(sorted(map(printable, self.addresses.get(place, ())), key=lambda a: (":" in a, natural(a)))),
            _states(link),
        )

    def _pointer(self, place: Place, edge: Edge, before: str) -> Node:
        enters = place[0] != before and place[0] != UNREAD
        name = UNREAD if place[0] == UNREAD else printable(place[1])
        return Node(Role.ELSEWHERE, place, name, self._title(place[0]), edge, enters)

    def _descriptor(self, node: Node) -> list[Node]:
        """The program's end of a tap or macvtap, where there is one."""
        link = self.wiring.links.get(node.place)
        end = ""
        if Edge.HELD in self.wiring.joined[node.place].values():
            return []
        if (nic := self.machines.get(node.place)) is not None:
            end = nic.name.partition("/")[2]
            addresses = tuple(map(printable, nic.addresses))
            place = (node.place[0], nic.name)
            return [Node(Role.PROGRAM, place, printable(end), node.where, Edge.DESCRIPTOR, addresses=addresses)]
        if link is not None and node.place in self.domains:
            end = f"domain {printable(self.domains[node.place])}"
        elif isinstance(link, Tap) and link.carrier and link.up:
            end = "program" if link.tun else "guest NIC"
        elif isinstance(link, Macvlan) and link.device == "macvtap":
            end = f"/dev/tap{link.index}" if link.index else "guest NIC"
        if not end:
            return []
        return [Node(Role.PROGRAM, (node.place[0], f"{node.place[1]}/{end}"), end, node.where, Edge.DESCRIPTOR)]


def _titles(spaces: list[Namespace]) -> tuple[dict[str, str], str]:
    """What to call the namespaces; without the project in front where there is but one, then named."""
    projects = {space.owner for space in spaces if space.owner}
    if len(projects) == 1:
        project = projects.pop()
        short = {
            s.name: s.name[len(project) + 1 :]
            for s in spaces
            if s.owner and s.name.startswith((f"{project}-", f"{project}."))
        }
        titles = {space.name: printable(short.get(space.name) or space.name) for space in spaces}
        if short and len({*titles.values()}) == len(titles):  # there's no "web" of another beside our "demo-web"
            return titles, printable(project)
    return {space.name: printable(space.name) for space in spaces}, ""


def _states(link: Link) -> tuple[str, ...]:
    vlans = () if link.vlans is None else (f"VLAN {link.vlans}",)
    if link.up is False:
        return (*vlans, "down")
    if link.carrier:
        return vlans
    return (*vlans, "no program holds it" if isinstance(link, Tap) else "no carrier")


def _by_namespace(item: tuple[str, list[Node]]) -> tuple[object, ...]:
    netns, grown = item
    return -max(sum(1 for _ in tree.walk()) for tree in grown), natural(netns), netns


def _fold_below(root: Node) -> None:
    # From the leaves up: what is folded below has its say in what a branch looks like.
    for node in reversed(list(root.walk())):
        node.children = _folded(node.children)
        node.size = 1 + sum(child.size for child in node.children)
        # What is small comes before what leads far, so that its line is short.
        node.children.sort(key=lambda child: (child.edge is Edge.ROUTED, child.size > SMALL))


def _folded(nodes: list[Node]) -> list[Node]:
    """The nodes, with those folded away that look like another, where they are more than FOLD.

    Those that are named alike too, but for a number, are taken together first: many-1 … many-100, and then all veth….
    """
    if len(nodes) <= FOLD:
        return nodes
    shapes = {id(node): node.shape() for node in nodes}
    nodes = _fold(nodes, {id(node): (re.sub(r"\d+", "", node.guest()), shapes[id(node)]) for node in nodes}, FOLD)
    return _fold(nodes, {id(node): (shapes[id(node)], id(node) if node.like else 0) for node in nodes}, FOLD_ANY)


def _fold(nodes: list[Node], looks: dict[int, tuple[object, ...]], most: int) -> list[Node]:
    alike: dict[object, list[Node]] = {}
    for node in nodes:
        alike.setdefault(looks[id(node)], []).append(node)
    kept = []
    for node in nodes:
        first, *others = alike[looks[id(node)]]
        if len(others) < most:
            kept.append(node)
        elif node is first:
            node.like = others
            kept.append(node)
    return kept
