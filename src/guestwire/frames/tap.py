"""Tap and Tun: opens the tap that is meant, and no other, or says why not.

/dev/net/tun refuses with bare numbers, and makes a new tap where the one that was meant isn't there: a program then
runs on a device that nobody is plugged into. So what is there is read before and after, and each refusal is explained.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from typing import ClassVar

from guestwire.errors import GuestwireError, NotPermitted, Refused, Unavailable, UsageError
from guestwire.frames.device import Device
from guestwire.linux import namespaces, tuntap
from guestwire.linux.accounts import group_name, user_name
from guestwire.linux.holders import tap_holders
from guestwire.linux.netlink import Socket
from guestwire.linux.rtnetlink import LinkMessage, read_link

__all__ = ["Tap", "Tun", "link_called", "opened"]

HEADER = 10  # bytes of a virtio-net header, as the driver has it unless it is told otherwise
NO_DOOR = (errno.ENOENT, errno.ENODEV, errno.ENXIO)


class Tap(Device):
    """A descriptor of the tap `name` in a network namespace ("" is the calling thread's); Ethernet frames.

    It must be there, unless `create` makes it, which then goes with its last descriptor unless it is told to `persist`.
    `vnet_header` puts a virtio-net header before each frame, of 10 bytes or as many as it says; `multi_queue` opens one
    more queue of a tap that has several.

    Raises UsageError (there is none, or it is something else), Refused (a program holds it), NotPermitted (it is
    another user's, or making one takes CAP_NET_ADMIN) or Unavailable (no /dev/net/tun). Nothing is left behind then.
    """

    TUN: ClassVar[bool] = False

    def __init__(
        self,
        name: str,
        *,
        netns: str = "",
        create: bool = False,
        vnet_header: bool | int = False,
        multi_queue: bool = False,
    ) -> None:
        header = HEADER if vnet_header is True else int(vnet_header)
        fd = opened(netns, lambda: _open(name, netns, self.TUN, create, bool(header), multi_queue))
        try:
            super().__init__(fd, header)
        except BaseException:
            os.close(fd)
            raise

    def persist(self, wanted: bool = True) -> None:
        """Let the link stay when the last descriptor is closed, or go with it."""
        tuntap.set_persistent(self.fileno(), wanted)


class Tun(Tap):
    """The same for a tun: IP packets, without Ethernet."""

    TUN: ClassVar[bool] = True


def opened(netns: str, attempt: Callable[[], int]) -> int:
    """The descriptor that `attempt` opens in a namespace; UsageError or NotPermitted where that can't be entered."""
    try:
        with namespaces.visiting(netns):
            return attempt()
    except FileNotFoundError:
        raise UsageError(f"there is no network namespace {netns}.", hint="`ip netns list` shows them.") from None
    except PermissionError:
        message = f"entering network namespace {netns} takes CAP_SYS_ADMIN."
        raise NotPermitted(message, hint="As root, start this program in there: `ip netns exec`.") from None


def link_called(name: str) -> LinkMessage | None:
    """The link of that name in the calling thread's namespace, or None."""
    sock = Socket()
    try:
        return read_link(sock, name)
    finally:
        sock.close()


def _open(name: str, netns: str, tun: bool, create: bool, header: bool, multi_queue: bool) -> int:
    what = "tun" if tun else "tap"
    if not name or len(name.encode()) > 15 or "/" in name:
        raise UsageError(f"{name!r} can't be the name of a {what}.", hint="A link's name has 1 to 15 characters.")
    link = link_called(name) if "%" not in name else None
    if link is None and not create:
        raise _absent(name, netns, what)
    if link is not None and create:
        raise UsageError(f"there is a link {name} already{_in(netns)} ({_kind(link)}).", hint="Use another name.")
    try:
        fd = tuntap.attach(name, tun=tun, vnet_header=header, multi_queue=multi_queue, exclusive=create, blocking=False)
    except OSError as error:
        raise _why(error, name, netns, what, link, multi_queue) from error
    now = link_called(tuntap.told(fd).name)
    if link is not None and (now is None or now.ifindex != link.ifindex):
        os.close(fd)  # it went between the look and the opening, which made another: that goes with us
        raise _absent(name, netns, what)
    return fd


def _absent(name: str, netns: str, what: str) -> UsageError:
    elsewhere = []
    for other in namespaces.names():
        with contextlib.suppress(OSError), namespaces.visiting(other):
            if other != netns and link_called(name) is not None:
                elsewhere.append(other)
    hint = f"Make it first: `guestwire tap add {name}{' --tun' if what == 'tun' else ''}`."
    if elsewhere:
        hint = f"Namespace {', '.join(elsewhere[:3])} has a link of that name: say netns, or run in there."
    return UsageError(f"there is no {what} {name}{_in(netns)}, and opening one of that name would make it.", hint=hint)


def _why(
    error: OSError, name: str, netns: str, what: str, link: LinkMessage | None, multi_queue: bool
) -> GuestwireError:
    """What a refusal means, from what the link is."""
    if error.filename == tuntap.DOOR:
        return _closed_door(error)
    standing = tuntap.Standing.parse(link.data) if link and link.kind == "tun" else None
    if error.errno == errno.EPERM:
        return _not_yours(name, what, standing)
    if error.errno == errno.EINVAL and link is not None:
        return _otherwise(name, what, link, standing, multi_queue)
    if error.errno in (errno.EBUSY, errno.E2BIG) and standing is not None:
        return _held(name, what, standing)
    return Refused(f"{what} {name}{_in(netns)} can't be opened: {error.strerror}.")


def _closed_door(error: OSError) -> GuestwireError:
    if error.errno in NO_DOOR:
        message = f"there is no {tuntap.DOOR} ({error.strerror})."
        return Unavailable(message, hint="Load its module (modprobe tun), or give this container that device.")
    mode = ""
    with contextlib.suppress(OSError):
        seen = os.stat(tuntap.DOOR)
        mode = f": its mode is {seen.st_mode & 0o777:04o} and its owner {user_name(seen.st_uid)}"
    message = f"{tuntap.DOOR} can't be opened ({error.strerror}){mode}."
    hint = "`chmod 0666 /dev/net/tun`, as udev has it, lets everybody in; who may open which tap the tap itself says."
    return NotPermitted(message, hint=hint)


def _not_yours(name: str, what: str, standing: tuntap.Standing | None) -> NotPermitted:
    me = user_name(os.geteuid())
    if standing is None:
        message = f"making {what} {name} takes CAP_NET_ADMIN, which {me} hasn't."
        return NotPermitted(message, hint=f"Have root make it: `guestwire tap add {name} --owner {me}`.")
    whose = [f"user {user_name(standing.user)}"] if standing.user >= 0 else []
    whose += [f"group {group_name(standing.group)}"] if standing.group >= 0 else []
    message = f"{what} {name} is open to {' in '.join(whose)} only, and this is {me}."
    return NotPermitted(message, hint=f"Have root make it anew with `guestwire tap add {name} --owner {me}`.")


def _otherwise(
    name: str, what: str, link: LinkMessage, standing: tuntap.Standing | None, multi_queue: bool
) -> UsageError:
    if standing is None:
        hint = "Use MacvTap." if link.kind == "macvtap" else "`guestwire tap list` shows the taps that there are."
        return UsageError(f"{name} is no {what}: it is a {_kind(link)}.", hint=hint)
    if standing.tun != (what == "tun"):
        other = "tun" if standing.tun else "tap"
        return UsageError(f"{name} is a {other}, not a {what}.", hint=f"Use {other.capitalize()}.")
    if standing.multi_queue != multi_queue:
        has = "has several queues" if standing.multi_queue else "has one queue"
        hint = f"Open it with multi_queue={standing.multi_queue}."
        return UsageError(f"{what} {name} {has}, and every opening must say so.", hint=hint)
    return UsageError(f"{what} {name} can't be opened: {os.strerror(errno.EINVAL)}.")


def _held(name: str, what: str, standing: tuntap.Standing) -> Refused:
    here = namespaces.current()
    try:
        holders = tap_holders(namespaces.identity(here)).get(name, [])
    finally:
        os.close(here)
    who = ", ".join(map(str, holders)) or "a program that we may not look into"
    if standing.multi_queue:
        return Refused(f"{what} {name} has no queue left: it is held by {who}.", hint="End one of them.")
    hint = f"End it, or make the {what} with several queues: `guestwire tap add {name} --queues 2`."
    return Refused(f"{what} {name} is held by {who}, and has one queue.", hint=hint)


def _kind(link: LinkMessage) -> str:
    if link.kind == "tun":
        return "tun" if tuntap.Standing.parse(link.data).tun else "tap"
    return link.kind or "NIC"


def _in(netns: str) -> str:
    return f" in namespace {netns}" if netns else " in this namespace"
