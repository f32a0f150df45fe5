"""MacvTap: opens the macvtap that is meant through a node that is certainly its own, or says why not.

/dev/tapN is named by the link's index inside its namespace, and /dev is one for all: two namespaces with a macvtap of
index 4 share the name /dev/tap4, which is the first one's. So whoever may make nodes opens one made from the number
that the link's own namespace shows. Whoever may not, but was given /dev/tapN, has what it opens compared.
"""

from __future__ import annotations

import errno
import os

from guestwire.errors import GuestwireError, NotPermitted, Refused, UsageError
from guestwire.frames.device import Device
from guestwire.frames.tap import HEADER, link_called, opened
from guestwire.linux import tuntap
from guestwire.linux.rtnetlink import LinkMessage

__all__ = ["MacvTap"]


class MacvTap(Device):
    """A descriptor of macvtap `name` in a network namespace ("" is the calling thread's); each is a queue of it.

    Frames must bear the link's MAC as their source, and only those to it come in. Raises UsageError (there is none, or
    it is something else), NotPermitted (its node is another's), Refused. Nothing is left behind then.
    """

    def __init__(self, name: str, *, netns: str = "", vnet_header: bool | int = False) -> None:
        header = HEADER if vnet_header is True else int(vnet_header)
        fd = opened(netns, lambda: _open(name, netns, bool(header)))
        try:
            super().__init__(fd, header)
        except BaseException:
            os.close(fd)
            raise


def _open(name: str, netns: str, header: bool) -> int:
    place = f" in namespace {netns}" if netns else " in this namespace"
    link = link_called(name)
    if link is None:
        hint = f"`ip link add link eth0 name {name} type macvtap mode bridge` makes one on eth0."
        raise UsageError(f"there is no macvtap {name}{place}.", hint=hint)
    if link.kind != "macvtap":
        hint = "Use Tap, or Tun." if link.kind == "tun" else "A macvlan is opened by nobody: it is a link of its own."
        raise UsageError(f"{name} is no macvtap: it is a {link.kind or 'NIC'}.", hint=hint)
    try:
        return tuntap.open_macvtap(name, vnet_header=header, multi_queue=True, blocking=False)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EACCES):
            raise _why(error, name, place) from error
    return _open_node(link, header)


def _open_node(link: LinkMessage, header: bool) -> int:
    """Through /dev/tapN, which somebody may have given us, if it is that link's."""
    node = f"/dev/tap{link.ifindex}"
    try:
        fd = tuntap.open_node(node, vnet_header=header, multi_queue=True, blocking=False)
    except OSError as error:
        message = f"macvtap {link.name} can't be opened: its {node} can't ({error.strerror}), nor may we make a node."
        hint = f"As root, `chown` {node} to this user, if the node is this link's; or take the descriptor from root."
        raise NotPermitted(message, hint=hint) from error
    if tuntap.told(fd).name == link.name and tuntap.mac(fd) == link.mac:
        return fd
    os.close(fd)
    message = f"{node} is the macvtap of another namespace, not {link.name} here: the two have one index."
    raise NotPermitted(message, hint="As root it is opened by its own number; or make the link anew.")


def _why(error: OSError, name: str, place: str) -> GuestwireError:
    if error.errno == errno.ENODEV:
        return UsageError(f"macvtap {name} has just gone{place}.")
    return Refused(f"macvtap {name}{place} can't be opened: {error.strerror}.")
