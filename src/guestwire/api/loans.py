"""What a project borrowed of a host: the host as it is without the project, and giving back what was lent, as it was.

Of a link only what we set is lent: its master and port, whether it is up, and for a passthru child its MAC. What
somebody else has set since stays as it is. Where another project needs a loan yet, it goes on to that one.

What lies on our bridge without our mark is the host's, and on its NIC but for us: what went there with the NIC, what a
router has told since, what a client was leased, what somebody has added. It goes with the NIC, with the lifetimes that
it has by then. So what has a lifetime comes back only where it is still there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from guestwire.apply import State, Store, projects
from guestwire.kinds import Link, Thing, kinds
from guestwire.kinds.address import AnyAddress
from guestwire.kinds.hostclient import HostClient, passes
from guestwire.kinds.linklocal import LinkLocal
from guestwire.kinds.macvlan import Macvlan
from guestwire.kinds.route import AnyRoute
from guestwire.kinds.sysctl import Sysctl
from guestwire.picture import Desired, Key, Picture

__all__ = ["claim", "give_back", "hand_over", "heirs_of", "to_look_up", "without_us"]


def heirs_of(project: str, host: str) -> dict[Key, str]:
    """Which other project on a host uses what isn't its own: uplinks, sysctls."""
    states = {name: Store(name).state() for name in projects() if name != project}
    return {
        key: name for name, state in states.items() if state is not None and state.host == host for key in state.uses
    }


def without_us(seen: Picture, host: str, project: str, loans: Mapping[Key, Thing]) -> Picture:
    """A host's own namespace as it is without a project, what the project borrowed being as it was."""
    ours = {(link.netns, link.name) for link in seen.of(Link) if link.owner == project}
    base = Picture(
        value
        for value in seen
        if isinstance(value, Thing)
        and value.netns == host
        and value.owner != project
        and ours.isdisjoint(value.on_links() if not isinstance(value, Link) else ())
    )
    for link in base.of(Link):
        if (link.netns, link.master or "") in ours:  # its loan may be lost, as with /run; it is ours all the same
            base.add(replace(link, master="", port=None, link_local=True))
    base.add(*_as_lent(seen, project, loans, _moved(seen, project)))
    return base


def give_back(
    desired: Desired, seen: Picture, project: str, loans: Mapping[Key, Thing], heirs: Mapping[Key, str]
) -> None:
    """Want what was borrowed to be as it was, as far as the links that it needs are there.

    Not what one of the `heirs`, other projects by what they use, needs yet.
    """
    wanted = {nic.key: desired.picture.get(nic.key) for _, nic in _moved(seen, project)}
    masters = {key: value.master or "" if isinstance(value, Link) else "" for key, value in wanted.items()}
    leaving = [(bridge, nic) for bridge, nic in _moved(seen, project) if masters[nic.key] != bridge.name]
    back = [(bridge, nic) for bridge, nic in leaving if not masters[nic.key]]
    for value in _as_lent(seen, project, loans, back):
        if value.key not in heirs:
            desired.borrowed.add(value.key)
            desired.picture.add(value)
    for value, _ in _carried(seen, leaving):
        if value.key not in desired.picture:
            desired.borrowed.add(value.key)
            desired.absent.add(value.key)


def hand_over(loans: Mapping[Key, Thing], heirs: Mapping[Key, str]) -> None:
    """Note with the projects that use what was lent yet that it is theirs to give back.

    Asked twice, it does it once.
    """
    for key, loan in loans.items():
        if key in heirs:
            store = Store(heirs[key])
            state = store.state()
            if state is not None and key not in state.loans:
                store.write(replace(state, loans={**state.loans, key: loan}))


def to_look_up(state: State | None) -> dict[Key, None]:
    """What must be read by its key for a project that is up to be changed or taken down."""
    if state is None:
        return {}
    overruling = [loan.overruled_by for loan in state.loans.values() if isinstance(loan, Sysctl)]
    netns = {loan.netns for loan in state.loans.values() if isinstance(loan, Link)}
    movable = [kind for kind in kinds().values() if kind.DUMPED and kind.moved is not Thing.moved]
    moved = [Key("", each, kind.KIND, "") for each in netns for kind in movable]
    return dict.fromkeys([*state.named, *state.loans, *(key for key in overruling if key is not None), *moved])


def claim(seen: Picture, state: State | None) -> None:
    """Have what can't bear a mark, and the project's state says to be its own, count as its own."""
    if state is None:
        return
    uses = set(state.uses)
    for key in state.named:
        value = seen.get(key)
        if isinstance(value, Thing) and value.claimable and value.owner is None and key not in uses:
            seen.add(replace(value, owner=state.project))


def _moved(seen: Picture, project: str) -> list[tuple[Link, Link]]:
    """Our bridges, each with the host's NIC that is a port of it: it isn't ours, and the bridge has its MAC."""
    links = {link.place: link for link in seen.of(Link)}
    ports = [link for link in links.values() if link.master and link.owner is None]
    masters = ((links.get((port.netns, port.master or "")), port) for port in ports)
    return [(master, port) for master, port in masters if master and (master.owner, master.mac) == (project, port.mac)]


def _carried(seen: Picture, moves: Iterable[tuple[Link, Link]]) -> Iterator[tuple[Thing, Thing]]:
    """What lies on our bridges and isn't ours, each with what it is on the NIC."""
    for bridge, nic in moves:
        for value in seen:
            if isinstance(value, Thing) and value.netns == bridge.netns and value.owner != bridge.owner:
                moved = value.moved(bridge.name, nic.name)
                if moved is not None:
                    yield value, moved


def _as_lent(
    seen: Picture, project: str, loans: Mapping[Key, Thing], moves: Iterable[tuple[Link, Link]]
) -> list[Thing]:
    """What was lent as it was, as far as the links that it needs are there; and what has moved along with it.

    A link is as it is now, but for what of it we have set since it was lent.
    """
    moves = list(moves)
    carried = {moved.key: moved for _, moved in _carried(seen, moves)}
    away = {nic.place for _, nic in _moved(seen, project)}
    clients = {place for value in carried.values() if isinstance(value, HostClient) for place in value.places()}
    links = {(link.netns, link.name): link for link in seen.of(Link)}
    taken = {c.parent for c in seen.of(Macvlan) if c.mode == "passthru" and c.owner == project}
    found: list[Thing] = []
    for loan in loans.values():
        if not isinstance(loan, Link):
            now = carried.pop(loan.key, None)
            if isinstance(now, AnyAddress | AnyRoute):
                passed: dict[str, Any] = {"until": now.until}
                loan = replace(loan, **passed)
            if now is None and passes(loan, clients) and not away.isdisjoint(loan.on_links()):
                continue
            if links.keys() >= set(loan.on_links()) and not _overruled(seen, loan):
                found.append(loan)
            continue
        place = (loan.netns, loan.name)
        have = links.get(place)
        if have is None or have.key != loan.key:
            continue
        master = links.get((have.netns, have.master or ""))
        if have.master == loan.master or (master is not None and master.owner == project):
            have = replace(
                have, master=loan.master, port=loan.port, link_local=loan.link_local, generated=loan.generated
            )
        found.append(replace(have, up=loan.up, mac=loan.mac if place in taken else have.mac))
    down = {loan.place for loan in loans.values() if isinstance(loan, Link) and not loan.up}
    return [*found, *(v for v in carried.values() if not isinstance(v, LinkLocal) or down.isdisjoint(v.on_links()))]


def _overruled(seen: Picture, loan: Thing) -> bool:
    """Whether somebody has turned on for all links since what was lent of one, as who sets ip_forward does."""
    if not isinstance(loan, Sysctl) or loan.overruled:
        return False
    overruling = seen.get(loan.overruled_by) if loan.overruled_by else None
    return isinstance(overruling, Sysctl) and overruling.content == "1"
