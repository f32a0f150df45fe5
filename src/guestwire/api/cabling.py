"""cable: plug in and pull out single cables of a project's process, and see what they carry."""

from __future__ import annotations

from collections.abc import Mapping

from guestwire.api.work import get_in, no_journal, see_there
from guestwire.errors import NotPermitted, Refused, UsageError
from guestwire.kinds.cable import Cable
from guestwire.linux.kernel import Kernel
from guestwire.linux.rtnetlink import read_link
from guestwire.linux.userns import capable
from guestwire.printable import quote

__all__ = ["add_cable", "cables", "remove_cable"]

TAPS = {"tun": "tap"}
ENDS = {**TAPS, "macvtap": "macvtap"}
"""What a cable's end can be, by the kernel's word for such a link."""


def add_cable(project: str, nic: str, link: str, *, netns: str | None = None) -> Cable:
    """Plug a cable between the tap `nic` and the tap or macvtap `link`; one that `nic` has already is replaced.

    Each is "NETNS/LINK", or "LINK" in the namespace `netns`, or here. Raises UsageError where an end is none, Refused
    with nothing plugged in by us, NotPermitted, Busy.
    """
    get_in(project, lab=False, changes=True)
    no_journal(project, netns or "")
    with Kernel() as kernel:
        near, far = _place(nic, netns), _place(link, netns)
        _see_end(kernel, near, TAPS)
        cable = Cable(netns=near[0], name=near[1], owner=project, end=(*far, _see_end(kernel, far, ENDS)))
        try:
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
        place = _place(nic, netns)
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


def _place(words: str, netns: str | None) -> tuple[str, str]:
    where, _, link = words.rpartition("/")
    see_there(where or netns)
    return where or netns or "", link


def _see_end(kernel: Kernel, place: tuple[str, str], fit: Mapping[str, str]) -> str:
    """Which device a cable's end is; raises UsageError where there is none of that name, or it's none that fits."""
    netns, link = place
    found = read_link(kernel.socket(netns), link)
    if found is None:
        where = f"in the namespace {netns}" if netns else "here"
        raise UsageError(f"there is no link {quote(link)} {where}.", hint="Write it as LINK, or NETNS/LINK.")
    if found.kind not in fit:
        message = f"{link} is no {' or '.join(fit.values())}{f', but a {found.kind}' if found.kind else ''}."
        raise UsageError(message, hint="A cable leads from a tap to another, or to a macvtap.")
    return fit[found.kind]
