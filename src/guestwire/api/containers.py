"""The namespaces that somebody else keeps and a file's guests are: found, and led to by their guests' names."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace

from guestwire.api.copied import is_copy
from guestwire.compile import BuiltGuest
from guestwire.compile.whereabouts import Absent, Found
from guestwire.daemons.containers import RUNTIMES, Keeper
from guestwire.errors import FileError, Problem, Unavailable
from guestwire.kinds.attachment import Attachment
from guestwire.kinds.veth import Veth
from guestwire.linux import namespaces, signposts
from guestwire.linux.kernel import Kernel
from guestwire.linux.processes import Process
from guestwire.linux.programs import find_program, run_program
from guestwire.observe.observe import UNKNOWN
from guestwire.picture import Picture
from guestwire.spec import File

__all__ = ["led_to", "refuse_absent", "see_running", "whereabouts", "without"]

NOT_HERE = Absent("it isn't part of the copy", "")
SECONDS = 10  # that a tool gets to answer


def whereabouts(file: File) -> dict[str, Found | Absent]:
    """Where the namespaces of a file's containers are now, by the guests' names, or why they are nowhere.

    In a copy of a host there is none, and what looks like it isn't.
    """
    guests = [(each.name, each.guest) for each in file.expand() if isinstance(each.guest, BuiltGuest)]
    keepers = {name: keeper for name, guest in guests if (keeper := guest.keeper) is not None}
    if is_copy():
        return dict.fromkeys(keepers, NOT_HERE)
    return {name: _known(file.name, name, _find(keeper)) for name, keeper in keepers.items()}


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


def without(seen: Picture, names: Iterable[str]) -> Picture:
    """A picture without some containers, as if it hadn't been looked into them."""
    away = set(names)
    left = [value for value in seen if value.netns not in away]
    cut = (
        replace(v, peer=(UNKNOWN, v.name)) if isinstance(v, Veth) and v.peer and v.peer[0] in away else v for v in left
    )
    return Picture(cut, seen.scope - away)


def see_running(wanted: Picture) -> None:
    """Raise Unavailable where a container that is plugged in has ended by now."""
    gone = [each.name for each in wanted.of(Attachment) if not each.can_return()]
    if gone:
        message = f"the container of {' and '.join(gone)} ended while it was being plugged in; all was undone."
        raise Unavailable(message, hint="Start it, and try again.")


def _find(keeper: Keeper) -> Found | Absent:
    if keeper.way == "netns":
        return _by_file(keeper.name)
    if keeper.way == "pid":
        pid = int(keeper.name)
        return _of_process(pid) or Absent(f"there is no process {pid}", "Say a running one's number.")
    runtime = RUNTIMES[keeper.way]
    if find_program(runtime.program) is None:
        hint = "Install it, or say which process is meant, as pid: NUMBER."
        return Absent(f"`{runtime.program}` isn't there to say where {keeper} is", hint, missing=True, unknown=True)
    start = f"`{runtime.start} {keeper.name}` starts it."
    try:
        said = run_program((runtime.program, *(word.replace("{}", keeper.name) for word in runtime.words)), SECONDS)
        pid = runtime.read(said)
    except OSError as error:
        hint = "Is it running, under this name?"
        return Absent(f"`{runtime.program}` knows no {keeper} ({error.strerror})", hint, unknown=True)
    except (ValueError, AttributeError) as error:
        return Absent(f"`{runtime.program}` said something else than where {keeper} is ({error})", start, unknown=True)
    if pid <= 0:
        return Absent(f"{keeper} isn't running", start)
    return _of_process(pid) or Absent(f"{keeper} has just ended", start)


def _of_process(pid: int) -> Found | None:
    process = Process.of(pid)
    return Found(signposts.to_process(pid), process) if process else None


def _by_file(name: str) -> Found | Absent:
    file = name if "/" in name else namespaces.path(name)
    try:
        os.close(namespaces.open_file(file))
    except OSError as error:
        what = "there is none" if isinstance(error, FileNotFoundError) else error.strerror
        return Absent(f"{file} holds no network namespace ({what})", "`lsns -t net` lists those that there are.")
    return Found(os.path.abspath(file), None)
