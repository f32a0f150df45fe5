"""Compares the picture that is wanted with the one that is, and puts the steps between them in order.

Nothing is planned for what was not read, and nothing that bears another mark, or none, is changed unless the file names
it. What vanishes by itself, because the link or namespace it is on is deleted, gets no step, but counts as touched: an
undo must bring it back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from guestwire.errors import FileError, Problem
from guestwire.kinds import Link, Thing
from guestwire.kinds.address import AnyAddress
from guestwire.kinds.domainnic import DomainNic
from guestwire.kinds.file import File
from guestwire.kinds.libvirtnetwork import LibvirtNetwork
from guestwire.kinds.link import LEAST_MTU_IPV6, fits_ipv6
from guestwire.kinds.mark import NO_PROJECT
from guestwire.kinds.namespace import Namespace
from guestwire.kinds.nft import Nft
from guestwire.kinds.route import RTPROT_RA, Route
from guestwire.picture import Desired, Key, Picture
from guestwire.plan.step import PROCESSES, Act, Step

__all__ = ["Plan", "make_plan"]

OURS_ALONE = (Namespace, Link, Nft, File, Route, DomainNic, LibvirtNetwork)
"""The kinds of which two can't share a name: one that is here without our mark is in the way."""

Blame = Callable[[Key, str, str], Problem]
"""Makes a problem of a wanted key, a message and a hint."""


@dataclass(frozen=True)
class Plan:
    """Steps in order, and the values that go without a step of their own (`implied`)."""

    project: str
    steps: list[Step]
    implied: list[Thing] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.steps)

    def acts(self) -> list[Act]:
        """Every call of every step, in the order in which they are done."""
        found = [(act.order, place, act) for place, step in self._placed() for act in step.acts()]
        return [act for _, _, act in sorted(found, key=lambda part: part[:2])]

    def commands(self) -> list[str]:
        """The shell commands that do the same as the whole plan, in order."""
        return [line for act in self.acts() for line in self._commands_of(act)]

    def commands_of(self, step: Step) -> list[str]:
        """The shell commands that do the same as a step of the plan."""
        return [line for act in step.acts() for line in self._commands_of(act)]

    def _commands_of(self, act: Act) -> list[str]:
        made = act.step.action == "create" and not act.part
        joint = self._joint.get(act.step.key) if made else None
        return act.commands() if joint is None else joint

    @cached_property
    def _joint(self) -> dict[Key, list[str]]:
        """The commands of what is made together with what stands on it, and of that, which needs none of its own."""
        made = {step.key: step.value for step in self.steps if step.action == "create"}
        parts: dict[Key, list[Thing]] = defaultdict(list)
        for value in made.values():
            for key in value.stands_on():
                parts[key].append(value)
        joint: dict[Key, list[str]] = {}
        for key in parts.keys() & made.keys():
            told = made[key].joint_commands(parts[key])
            if told is not None:
                joint |= {key: told, **{part.key: [] for part in parts[key]}}
        return joint

    def _placed(self) -> Iterator[tuple[int, Step]]:
        """Steps with their place among equals: deleting goes backwards, so a link's first address is its last to go.

        Of IPv6 the first that is listed is the last that came. What is still there when a change is broken off so keeps
        its place beside what an undo makes again.
        """

        def backwards(step: Step) -> bool:
            return step.action == "delete" and not (isinstance(step.value, AnyAddress) and step.value.family == 6)

        return ((-place if backwards(step) else place, step) for place, step in enumerate(self.steps))

    def touched(self) -> dict[Key, Thing | None]:
        """Every key that the plan touches, with the value that it had before (None: it wasn't there)."""
        before: dict[Key, Thing | None] = {}
        for step in self.steps:
            key, old = step.key, step.value if step.action == "delete" else step.before
            if before.get(key) is None:
                before[key] = old if old is None or old.can_return() else None
        for value in self.implied:
            before[value.key] = value
        return before

    def losses(self) -> list[tuple[Key, str]]:
        """What is lost by what is ended to be made anew, in words, with its key."""
        made = {step.key: step.value for step in self.steps if step.action == "create"}
        ended = [step.value for step in self.steps if step.action == "delete" and step.key in made]
        return [(value.key, loss) for value in ended if (loss := value.loss(made[value.key])) is not None]

    def loans(self) -> dict[Key, Thing]:
        """What the plan touches of somebody else's, as it was."""
        return {
            key: value for key, value in self.touched().items() if value is not None and value.owner != self.project
        }


def make_plan(
    observed: Picture, desired: Desired, project: str, *, sweep: bool = True, problem: Blame | None = None
) -> Plan:
    """The steps from what is to what is wanted; with `sweep`, also away with what is `project`'s and not wanted.

    Raises FileError (all problems at once) where something that isn't the project's has a name that is needed;
    `problem` makes one of a wanted key, a message and a hint, and knows where in the file that key comes from.
    """
    return _Planner(observed, desired, project, problem or _nowhere).plan(sweep)


class _Planner:
    def __init__(self, observed: Picture, desired: Desired, project: str, problem: Blame) -> None:
        self.problem = problem
        self.observed = observed
        self.desired = desired
        self.project = project
        self.links = {(link.netns, link.name): link for link in observed.of(Link)}
        self.problems: list[Problem] = []

    def plan(self, sweep: bool) -> Plan:
        values = _as_listed([value for value in self.desired.picture if isinstance(value, Thing)])
        wanted = [(value.key, value) for value in values]
        replaced = [old for key, value in wanted if (old := self._in_the_way(key, value)) is not None]
        if self.problems:
            raise FileError(*self.problems)
        away = list(self._unwanted(sweep))
        ended = self._closure([old for old in replaced if old.final])
        replaced = [old for old in replaced if old.key not in ended]
        replaced = list({old.key: old for old in [*replaced, *self._making_room(values, replaced, away)]}.values())
        replaced += self._users(self._closure(replaced), values)
        lost = self._closure(replaced)
        replaced += [value for value in lost.values() if value.OUTLASTS and value not in replaced]
        steps = [Step("delete", value, early=True) for value in _roots(replaced)]
        for key, value in wanted:
            have = self.observed.get(key)
            if key in ended or not ended.keys().isdisjoint(value.stands_on()):
                steps += [Step("create", value, late=True)] if value.can_return() else []
            elif have is None or key in lost:
                steps += [Step("create", value)] if value.can_return() else []
            elif isinstance(have, Thing) and self._differs(value, have):
                steps += self._changes(value, have)
        steps += [Step("delete", value) for value in _roots(list(ended.values()))]
        away = [value for value in away if value.key not in lost and value.key not in ended]
        gone = {*lost, *ended}  # what comes again in their place has their keys
        going = {key: value for key, value in self._closure(away).items() if key not in gone}
        steps += self._endings(steps, away, {**ended, **going})
        deleted = {step.key for step in steps if step.action == "delete"}
        deleted |= {key for value in self.observed if isinstance(value, Thing) for key in value.carries()}
        implied = [
            value for key, value in {**lost, **ended, **going}.items() if key not in deleted and not value.fleeting
        ]
        return Plan(self.project, steps, implied)

    def _changes(self, value: Thing, have: Thing) -> Iterator[Step]:
        """One step, or two: a link is set down last, with nothing on it any more, and so it loses IPv6 by its MTU.

        A macvlan that goes after its parent is down leaves the parent promiscuous.
        """
        leaves = isinstance(have, Link) and bool(have.master) and self._leaves(value)
        last: dict[str, Any] = {}
        if isinstance(value, Link) and isinstance(have, Link):
            last |= {"up": True} if value.up is False and have.up else {}
            last |= {"mtu": have.mtu} if fits_ipv6(have.mtu) and not fits_ipv6(value.mtu) else {}
        if not last:
            yield Step("change", value, have, moves=leaves)
            return
        unset: dict[str, Any] = dict.fromkeys(last)
        if "mtu" in last and isinstance(value, Link) and value.SELF:
            # Else it follows its ports, which come meanwhile. One that was set doesn't.
            unset["mtu"] = last["mtu"] = LEAST_MTU_IPV6
        first = replace(value, **unset)
        if self._differs(first, have):
            yield Step("change", first, have, moves=leaves)
            have = replace(value, **last)
        yield Step("change", value, have, late=True)

    def _leaves(self, value: Thing) -> bool:
        """Whether a link is taken from its master once its addresses are on it, as nothing else needs it before."""
        return isinstance(value, Link) and value.master == "" and value.place not in self._built_on

    @cached_property
    def _built_on(self) -> set[tuple[str, str]]:
        """The links that others come to be on."""
        coming = (link for link in self.desired.picture.of(Link) if link.key not in self.observed)
        return {place for link in coming for place in link.on_links()}

    def _endings(self, steps: list[Step], away: list[Thing], going: Mapping[Key, Thing]) -> Iterator[Step]:
        """How what isn't wanted goes.

        An address that goes to another link is taken from the one that was as soon as it is there, though that link may
        go as well: until then the host would send by either. So is whatever else of somebody else's moves.
        """
        coming = {v.place for step in steps if step.action == "create" and isinstance(v := step.value, AnyAddress)}
        ended = {value.name for value in away if isinstance(value, Namespace)}
        roots = _roots(away)
        known = {value.key for value in roots}

        def moves(value: Thing) -> bool:
            if isinstance(value, AnyAddress) and value.place in coming:
                return True
            foreign = value.key in self.desired.absent and value.owner != self.project
            return foreign and type(value).moved is not Thing.moved and value.RANK < PROCESSES

        # What goes with what is ended last was at work until then.
        held = {
            place
            for value in going.values()
            if not going.keys().isdisjoint(value.stands_on())
            for place in value.on_links()
        }

        def waits(value: Thing) -> bool:
            return isinstance(value, Link) and value.place in held

        yield from (Step("delete", value, moves=moves(value), final=waits(value)) for value in roots)
        for key, value in going.items():
            if key not in known and value.netns not in ended and moves(value):
                yield Step("delete", value, moves=True)

    def _differs(self, value: Thing, have: Thing) -> bool:
        remarked = isinstance(value, Link) and value.owner == self.project != have.owner
        return bool(value.differs(have)) or remarked

    def _in_the_way(self, key: Key, value: Thing) -> Thing | None:
        """What is here under a wanted value's name and must go first; None where nothing, or where it can stay."""
        have: Thing | None
        if isinstance(value, Link):
            have = self.links.get((value.netns, value.name))
        else:
            found = self.observed.get(key)
            have = found if isinstance(found, Thing) else None
        if have is None:
            return None
        foreign = isinstance(value, OURS_ALONE) and have.owner != self.project
        if foreign and value.owner is not None and have.key not in self.desired.borrowed:
            self.problems.append(self._conflict(value, have))
            return None
        return have if value.must_be_anew(have) else None

    def _conflict(self, value: Thing, have: Thing) -> Problem:
        where = f" in namespace {have.netns}" if have.netns and not isinstance(have, Namespace) else ""
        whose = f"belongs to project {have.owner}" if have.owner else "isn't guestwire's"
        if have.owner == NO_PROJECT:
            whose = "was made by `guestwire tap add`"
        message = f"{have.title()}{where} is already there and {whose}; it is left as it is."
        return self.problem(value.key, message, "Rename it, or choose another name for the project, network or guest.")

    def _making_room(self, values: list[Thing], replaced: list[Thing], away: list[Thing]) -> list[Thing]:
        """What keeps others from coming, and so goes first.

        A macvlan's parent can't become a port, nor have another child beside one in passthru, nor two with one MAC. An
        address that a client has set may be wanted for good, and would go with it afterwards. A router's advertisement
        may have brought a route such as is wanted, and outlasts the router.
        """
        anew = {value.key for value in replaced}
        links = [value for value in values if isinstance(value, Link)]
        needed = {(link.netns, link.name) for link in links if link.master}
        coming = [link for link in links if link.key not in self.observed or link.key in anew]
        needed |= {below for link in coming for below in link.on_links()}
        claimed: dict[tuple[object, ...] | None, Key] = {link.claim(): link.key for link in links}
        claimed.pop(None, None)
        unwanted = [value for value in away if isinstance(value, Link)]
        holders = [link for link in self.links.values() if link.key in self.desired.picture] if claimed else []
        routes = [value for value in values if isinstance(value, Route) and value.key not in self.observed]
        ways = {route.way for route in routes if not route.fleeting}
        advertised = (route for route in self.observed.of(Route) if route.protocol == RTPROT_RA) if ways else ()
        return [
            *(value for value in away if value.goes_first),
            *(route for route in advertised if route.way in ways),
            *(value for value in unwanted if not needed.isdisjoint(value.on_links())),
            *(value for value in [*unwanted, *holders] if claimed.get(value.claim(), value.key) != value.key),
        ]

    def _users(self, lost: Mapping[Key, Thing], wanted: list[Thing]) -> list[Thing]:
        """What works on a link that is lost, or was and is to be made, and doesn't go by itself: it would go on with
        the one that was."""
        links = {(value.netns, value.name) for value in lost.values() if isinstance(value, Link)}
        links |= {(link.netns, link.name) for link in wanted if isinstance(link, Link)} - self.links.keys()
        users = [v for v in self.observed if isinstance(v, Thing) and not links.isdisjoint(v.uses())] if links else []
        return [value for value in users if value.key not in lost]

    def _unwanted(self, sweep: bool) -> Iterable[Thing]:
        wanted = self.desired.picture
        for key, value in self.observed.values.items():
            if isinstance(value, Thing) and key not in wanted:
                ours = sweep and value.owner == self.project
                if ours or key in self.desired.absent:
                    yield value

    def _closure(self, going: list[Thing]) -> dict[Key, Thing]:
        """Some values, and all that goes with them: what is on their links, in their namespaces, and so on."""
        found = {value.key: value for value in going}
        if not going:
            return found
        on_link: dict[tuple[str, str], list[Thing]] = defaultdict(list)
        inside: dict[str, list[Thing]] = defaultdict(list)
        on_key: dict[Key, list[Thing]] = defaultdict(list)
        for value in self.observed:
            assert isinstance(value, Thing)
            for link in value.on_links():
                on_link[link].append(value)
            for netns in value.namespaces():
                inside[netns].append(value)
            for key in value.stands_on():
                on_key[key].append(value)
        stack = list(going)
        while stack:
            value = stack.pop()
            after = [self.observed.get(key) for key in value.carries()]
            after += on_key.pop(value.key, [])
            if isinstance(value, Link):
                after += on_link.pop((value.netns, value.name), [])
            elif isinstance(value, Namespace):
                after += inside.pop(value.name, [])
            for other in after:
                if isinstance(other, Thing) and other.key not in found:
                    found[other.key] = other
                    stack.append(other)
        return found


def _as_listed(values: list[Thing]) -> list[Thing]:
    """Values in an order of making in which the kernel lists them as they stand here.

    IPv6 addresses of a link are listed the other way round than they came.
    """
    listed: dict[tuple[str, str], list[int]] = defaultdict(list)
    for place, value in enumerate(values):
        if isinstance(value, AnyAddress) and value.family == 6 and value.settled:
            listed[value.netns, value.link].append(place)
    values = [*values]
    for places in listed.values():
        for place, value in zip(places, [values[place] for place in reversed(places)], strict=True):
            values[place] = value
    return values


def _roots(going: list[Thing]) -> list[Thing]:
    """Those of the values that must be deleted for all of them to go.

    A link outside the namespaces that end is deleted itself, at once; what is in a namespace ends with it, in its own
    time, unless until then it would keep something outside from being as it was.
    """
    ended = {value.name for value in going if isinstance(value, Namespace)}
    outside = [value for value in going if isinstance(value, Namespace) or not ended.intersection(value.namespaces())]
    outside += [
        value
        for value in going
        if isinstance(value, Link)
        and value.holds_parent()
        and not ended.isdisjoint(value.namespaces())
        and ended.isdisjoint(netns for netns, _ in value.on_links())
    ]
    names: set[tuple[str, str]] = set()
    for link in sorted((v for v in outside if isinstance(v, Link)), key=lambda link: not link.master):
        if names.isdisjoint(link.on_links()):
            names.add((link.netns, link.name))
    links = {(v.netns, v.name) for v in going if isinstance(v, Link)}
    keys = {value.key for value in going}

    def is_root(value: Thing) -> bool:
        if isinstance(value, Link):
            return value.place in names
        return keys.isdisjoint(value.stands_on()) and (value.OUTLASTS or links.isdisjoint(value.on_links()))

    return [value for value in outside if is_root(value)]


def _nowhere(key: Key, message: str, hint: str) -> Problem:
    return Problem(message, hint)
