"""cable: plug in and pull out single cables of a project's process, and see what they carry."""

from __future__ import annotations

from dataclasses import replace

from guestwire.api.work import get_in, no_journal
from guestwire.errors import NotPermitted, Refused, UsageError
from guestwire.kinds.cable import Cable
from guestwire.linux import tuntap
from guestwire.linux.kernel import Kernel
from guestwire.linux.userns import capable
from guestwire.spec.report import quote

__all__ = ["add_cable", "cables", "remove_cable"]


def add_cable(project: str, nic: str, link: str, *, netns: str | None = None) -> Cable:
    """Plug a cable between the tap `nic` and the tap or macvtap `link`; one that `nic` has already is replaced.

    Each is "NETNS/LINK", or "LINK" in the namespace `netns`, or here. Raises Refused with nothing plugged in by us,
    NotPermitted, Busy.
    """
    get_in(project, lab=False, changes=True)
    no_journal(project, netns or "")
    with Kernel() as kernel:
        near, far = _place(kernel, nic, netns), _place(kernel, link, netns)
        cable = Cable(netns=near[0], name=near[1], owner=project, end=(*far, "tap"))
        try:
            if kernel.call(far[0], lambda: tuntap.device_number(far[1])) is not None:
                cable = replace(cable, end=(*far, "macvtap"))
            cable.create(kernel)
        except OSError as error:
            refusal = NotPermitted if isinstance(error, PermissionError) else Refused
            why = cable.why_refused(error.errno or 0)
            raise refusal(f"cable from {nic} to {link}: {error.strerror or error}.", hint=why) from error
        return cable


def remove_cable(project: str, nic: str, *, netns: str | None = None) -> None:
    """Pull out the cable of the tap `nic`. Raises UsageError where there is none, Busy."""
    get_in(project, lab=False, changes=True)
    no_journal(project, netns or "")
    with Kernel() as kernel:
        place = _place(kernel, nic, netns)
        found = [cable for cable in _read(kernel, project) if (cable.netns, cable.name) == place]
        if not found:
            raise UsageError(f"project {project} has no cable of {quote(nic)}.", hint="`guestwire cable list` has all.")
        found[0].delete(kernel)


def cables(project: str | None = None) -> list[Cable]:
    """The cables of a project, or all that there are. Raises NotPermitted where we may not ask."""
    if project is not None:
        get_in(project, lab=False, changes=True)
    elif not capable():
        raise NotPermitted("only root can ask for all cables.", hint="Name the project whose lab is yours.")
    with Kernel() as kernel:
        return _read(kernel, project)


def _read(kernel: Kernel, project: str | None) -> list[Cable]:
    found = Cable.read_all(kernel, None)
    return [cable for cable in found if isinstance(cable, Cable) and project in (None, cable.owner)]


def _place(kernel: Kernel, words: str, netns: str | None) -> tuple[str, str]:
    where, _, link = words.rpartition("/")
    place = where or netns or "", link
    try:
        kernel.fd(place[0])
    except OSError as error:
        raise UsageError(f"there is no network namespace {quote(place[0])}.") from error
    return place
