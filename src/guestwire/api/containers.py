"""The namespaces that somebody else keeps and a file's guests are: found, and led to by their guests' names."""

from __future__ import annotations

from collections.abc import Iterable

from guestwire.compile import BuiltGuest
from guestwire.daemons.containers import Absent, Found, find
from guestwire.errors import FileError, Problem, Unavailable
from guestwire.kinds.attachment import Attachment
from guestwire.linux import namespaces
from guestwire.linux.kernel import Kernel
from guestwire.picture import Picture
from guestwire.spec import File

__all__ = ["led_to", "refuse_absent", "see_running", "whereabouts"]


def whereabouts(file: File) -> dict[str, Found | Absent]:
    """Where the namespaces of a file's containers are now, by the guests' names, or why they are nowhere."""
    guests = [(each.name, each.guest) for each in file.expand() if isinstance(each.guest, BuiltGuest)]
    sources = {name: source for name, guest in guests if (source := guest.source) is not None}
    places = find(sources.values()) if sources else {}
    return {name: _known(file.name, name, places[source]) for name, source in sources.items()}


def _known(project: str, guest: str, place: Found | Absent) -> Found | Absent:
    """Where a guest is; as it was, where its process lives and nobody can be asked whether it is another by now."""
    there = Attachment.named(f"{project}-{guest}") if isinstance(place, Absent) and place.unknown else None
    if there is None or there.process is None or not there.can_return() or there.target is None:
        return place
    return Found(there.target, there.process)


def led_to(kernel: Kernel, file: File, host: str) -> dict[str, Found | Absent]:
    """The same, with the kernel led to each by the name that it has or is to have under /run/netns.

    One that is the host's own, or another guest's, is no container to be plugged in.
    """
    found = whereabouts(file)
    known = {namespaces.identity(kernel.fd(host)): "the host"} if found and _exists(host) else {}
    for guest, place in found.items():
        if isinstance(place, Absent):
            continue
        try:
            kernel.lead(name := f"{file.name}-{guest}", place.file)
            number = namespaces.identity(kernel.fd(name))
        except OSError as error:
            found[guest] = Absent(f"its namespace can't be entered: {error.strerror} ({place.file})", "Do it as root.")
            continue
        if number in known:
            hint = "Plug in one of them, or start it with a network namespace of its own."
            found[guest] = Absent(f"its network namespace is that of {known[number]}", hint)
        known.setdefault(number, f"guest {guest}")
    return found


def _exists(host: str) -> bool:
    return not host or namespaces.exists(host)


def refuse_absent(absent: Iterable[Problem], found: Iterable[Found | Absent]) -> None:
    """Raise FileError, or where only their tools are missing Unavailable, with all guests that aren't there."""
    problems = list(absent)
    if problems:
        missing = all(each.missing for each in found if isinstance(each, Absent))
        raise (Unavailable if missing else FileError)(*problems)


def see_running(wanted: Picture) -> None:
    """Raise Unavailable where a container that is plugged in has ended by now."""
    gone = [each.name for each in wanted.of(Attachment) if not each.can_return()]
    if gone:
        message = f"the container of {' and '.join(gone)} ended while it was being plugged in; all was undone."
        raise Unavailable(message, hint="Start it, and try again.")
