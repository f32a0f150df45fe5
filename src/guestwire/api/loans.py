"""What a project borrowed of a host: the host as it is without the project, and giving back what was lent, as it was.

Of a link only what we set is lent: its master and port, whether it is up, and for a passthru child its MAC. What
somebody else has set since stays as it is. Where another project needs a loan yet, it goes on to that one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from guestwire.apply import State, Store, projects
from guestwire.kinds import Link, Thing
from guestwire.kinds.macvlan import Macvlan
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
            base.add(replace(link, master="", port=None))
    base.add(*_as_lent(seen, project, loans))
    return base


def give_back(
    desired: Desired, seen: Picture, project: str, loans: Mapping[Key, Thing], heirs: Mapping[Key, str]
) -> None:
    """Want what was borrowed to be as it was, as far as the links that it needs are there.

    Not what one of the `heirs`, other projects by what they use, needs yet.
    """
    for value in _as_lent(seen, project, loans):
        if value.key not in heirs:
            desired.borrowed.add(value.key)
            desired.picture.add(value)


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
    return dict.fromkeys([*state.named, *state.loans, *(key for key in overruling if key is not None)])


def claim(seen: Picture, state: State | None) -> None:
    """Have what can't bear a mark, and the project's state says to be its own, count as its own."""
    if state is None:
        return
    uses = set(state.uses)
    for key in state.named:
        value = seen.get(key)
        if isinstance(value, Thing) and value.claimable and value.owner is None and key not in uses:
            seen.add(replace(value, owner=state.project))


def _as_lent(seen: Picture, project: str, loans: Mapping[Key, Thing]) -> list[Thing]:
    """What was lent as it was, as far as the links that it needs are there.

    A link is as it is now, but for what of it we have set since it was lent.
    """
    links = {(link.netns, link.name): link for link in seen.of(Link)}
    taken = {c.parent for c in seen.of(Macvlan) if c.mode == "passthru" and c.owner == project}
    found: list[Thing] = []
    for loan in loans.values():
        if not isinstance(loan, Link):
            if links.keys() >= set(loan.on_links()) and not _overruled(seen, loan):
                found.append(loan)
            continue
        place = (loan.netns, loan.name)
        have = links.get(place)
        if have is None or have.key != loan.key:
            continue
        master = links.get((have.netns, have.master or ""))
        if have.master == loan.master or (master is not None and master.owner == project):
            have = replace(have, master=loan.master, port=loan.port)
        found.append(replace(have, up=loan.up, mac=loan.mac if place in taken else have.mac))
    return found


def _overruled(seen: Picture, loan: Thing) -> bool:
    """Whether somebody has turned on for all links since what was lent of one, as who sets ip_forward does."""
    overruling = seen.get(loan.overruled_by) if isinstance(loan, Sysctl) and loan.overruled_by else None
    return isinstance(overruling, Sysctl) and overruling.content == "1"
