"""A verb at work: which project and file are meant, the way into a lab, the host's lock, and journals to be settled."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager

from guestwire import rootless
from guestwire.api.foreseen import NOTHING, Foreseen
from guestwire.apply import Journal, State, Store, locked, projects
from guestwire.errors import Busy, FileError, UsageError
from guestwire.kinds import Link, kinds
from guestwire.kinds.attachment import Attachment
from guestwire.kinds.namespace import owner_in
from guestwire.linux import namespaces
from guestwire.linux.kernel import Kernel
from guestwire.linux.userns import capable
from guestwire.picture import Key, Picture
from guestwire.places import DEFAULT_FILE
from guestwire.printable import quote

__all__ = [
    "at_work",
    "get_in",
    "is_some_project",
    "lock_of",
    "named",
    "no_journal",
    "owner_of",
    "ports_of",
    "related",
    "see_on",
    "see_there",
    "standing",
    "store_of",
]


def get_in(project: str, *, lab: bool, changes: bool) -> str | None:
    """Go on inside this user's lab of a project, where we have no rights outside; the command that leads a shell there.

    With `lab` it is made where it isn't there. Raises NotPermitted where that can't be, or where `changes` needs
    rights.
    """
    if capable():
        return None
    holder = rootless.find(project)
    if holder is not None or lab or changes:
        rootless.enter(project, make=lab)
    return rootless.nsenter_line(holder) if holder else None


def is_some_project() -> bool:
    """Whether, where no file is named, there is one that is meant: this folder's, or that of a project that is up."""
    return os.path.exists(DEFAULT_FILE) or bool(projects()) or bool(rootless.holders())


def standing(project: str | None = None) -> list[State]:
    """The projects that are up, or that one, if it is; also those in labs of an ordinary user's."""
    stores = [Store(name) for name in projects()]
    if not capable():
        stores += [store_of(holder) for holder in rootless.holders()]
    return [state for store in stores if project in (None, store.project) and (state := store.standing()) is not None]


def store_of(holder: rootless.Holder) -> Store:
    """The folder of a project in an ordinary user's lab, as it is seen from outside: through its keeper's root."""
    return Store(holder.project, f"/proc/{holder.pid}/root")


def owner_of(netns: str) -> str | None:
    """Whose a namespace is by its mark: a name may begin as a project's, and be another's, or nobody's."""
    attachment = Attachment.named(netns)
    if attachment is not None:
        return attachment.owner
    with Kernel() as kernel, contextlib.suppress(OSError):  # what is no namespace has no mark
        return owner_in(kernel.socket(netns))
    return None


def see_there(netns: str | None) -> None:
    """Raise UsageError where --netns names a namespace that isn't there."""
    if netns and not namespaces.exists(netns):
        message = f"there is no network namespace {quote(netns)}."
        raise UsageError(message, hint="`ip netns list` shows those that there are.")


def see_on(project: str, host: str, netns: str | None) -> None:
    """Raise FileError where --netns names another host than the project's."""
    if netns not in (None, host):
        place = f"on host {host}" if host else "on this host"
        raise FileError(f"project {project} is {place}, not on {quote(netns)}.", hint="Leave --netns out.")


@contextmanager
def at_work(
    project: str, host: str, lab: bool, *, brief: bool = False, foreseen: Foreseen = NOTHING
) -> Iterator[Kernel]:
    """A kernel, with the host locked and no journal unsettled; raises Busy else."""
    with Kernel(*foreseen) as kernel, lock_of(kernel, project, host, lab, brief=brief):
        no_journal(project, host)
        yield kernel


def lock_of(kernel: Kernel, project: str, host: str, lab: bool, *, brief: bool = False) -> AbstractContextManager[None]:
    """The lock of a host: of its namespace, or, since a lab's may not be there yet, of the lab."""
    return locked(f"lab-{project}" if lab else f"host-{namespaces.identity(kernel.fd(host))}", brief=brief)


def no_journal(project: str, host: str) -> None:
    """Raise Busy where a change of the project, or of another on this host, was broken off."""
    for other in projects():
        journal = Store(other).journal()
        if journal is not None and (other == project or journal.host == host):
            raise _busy(other, journal)


def _busy(project: str, journal: Journal) -> Busy:
    back = f"`guestwire rollback --project {project}` takes it back"
    if journal.is_under_way:
        return Busy(
            f"another guestwire (process {journal.pid}) is at work on project {project}.",
            hint="Try again when it is done.",
        )
    if not journal.waits:
        return Busy(
            f"a change of project {project} was broken off (process {journal.pid}), and its journal is unsettled.",
            hint=f"`guestwire rollback --project {project}` settles it.",
        )
    keep = f"`guestwire confirm --project {project}` keeps the change"
    timer = Store(project).timer()
    if timer is not None and timer.lives:
        return Busy(f"project {project} is waiting for confirm, {_seconds(journal)} left.", hint=f"{keep}, {back}.")
    gone = f"and the process that was to take it back{f' ({timer.pid})' if timer else ''} is gone"
    over = "project {0} is waiting for confirm, {1} left," if journal.left > 0 else "project {0} was not confirmed,"
    return Busy(f"{over.format(project, _seconds(journal))} {gone}.", hint=f"{back}, {keep}.")


def _seconds(journal: Journal) -> str:
    return f"{max(0, math.ceil(journal.left))} s"


def related(project: str) -> list[str]:
    """The namespaces whose names a project's have: its guests', and a lab's."""
    return [name for name in namespaces.names() if name.startswith((f"{project}-", f"{project}."))]


def ports_of(links: Iterable[Link]) -> dict[str, list[str]]:
    """The names of those links that are ports, by what they are ports of; of one namespace's."""
    found: dict[str, list[str]] = {}
    for link in links:
        if link.master:
            found.setdefault(link.master, []).append(link.name)
    return found


def named(picture: Picture) -> list[Key]:
    """The keys of a picture that must be asked for one by one."""
    by_name = {kind.KIND for kind in kinds().values() if kind.NAMED or kind.DUMPED}
    return [key for key in picture.values if key.kind in by_name]
