"""What a project borrowed of a host: the host as it is without the project, and giving back what was lent, as it was.

Of a link only what we set is lent: its master and port, whether it is up, and for a passthru child its MAC. What
somebody else has set since stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from guestwire.apply import State, Store, projects
from guestwire.kinds import Link, Thing
from guestwire.kinds.macvlan import Macvlan
from guestwire.picture import Desired, Key, Picture

__all__ = ["give_back", "hand_over", "others", "without_us"]


def others(project: str, host: str) -> dict[str, State]:
    """The other projects that are up on a host."""
    states = {name: Store(name).state() for name in projects() if name != project}
    return {name: state for name, state in states.items() if state is not None and state.host == host}


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
    there = {(link.netns, link.name) for link in seen.of(Link)}
    for key, loan in loans.items():
        if isinstance(loan, Link):
            have = seen.get(key)
            if isinstance(have, Link):
                base.add(_as_lent(loan, have, seen, project))
        elif there.issuperset(loan.on_links()):
            base.add(loan)
    return base


def give_back(
    desired: Desired, seen: Picture, project: str, loans: Mapping[Key, Thing], heirs: Mapping[str, str]
) -> None:
    """Want what was borrowed to be as it was, as far as the links that it needs are there.

    Not what one of the `heirs`, other projects by the uplinks that they use, needs yet.
    """
    there = {(link.netns, link.name) for link in seen.of(Link)}
    for key, loan in loans.items():
        have = seen.get(key)
        if isinstance(loan, Link):
            if isinstance(have, Link) and loan.name not in heirs:
                desired.borrowed.add(key)
                desired.picture.add(_as_lent(loan, have, seen, project))
        elif there.issuperset(loan.on_links()):
            desired.borrowed.add(key)
            desired.picture.add(loan)


def hand_over(loans: Mapping[Key, Thing], heirs: Mapping[str, str]) -> None:
    """Note with the projects that use a lent link yet that it is theirs to give back. Asked twice, it does it once."""
    for key, loan in loans.items():
        if isinstance(loan, Link) and loan.name in heirs:
            store = Store(heirs[loan.name])
            state = store.state()
            if state is not None and key not in state.loans:
                store.write(replace(state, loans={**state.loans, key: loan}))


def _as_lent(loan: Link, have: Link, seen: Picture, project: str) -> Link:
    """A link as it is now, but for what of it we have set since it was lent."""
    ours = {(link.netns, link.name) for link in seen.of(Link) if link.owner == project}
    if (have.netns, have.master or "") in ours or have.master == loan.master:
        have = replace(have, master=loan.master, port=loan.port)
    place = (have.netns, have.name)
    if any(c.mode == "passthru" and c.parent == place and c.owner == project for c in seen.of(Macvlan)):
        have = replace(have, mac=loan.mac)
    return replace(have, up=loan.up)
