"""tap add, list and del: taps and tuns by themselves, in the namespace that is the host.

What `add_tap` made bears guestwire's mark in its alias, with no project's name in it: `guestwire::NAME`. So
`delete_tap` knows it, and no project's `up` or `down` takes it for its own.
"""

from __future__ import annotations

from typing import Any

from guestwire.api.work import no_journal, see_there
from guestwire.errors import NotPermitted, UsageError
from guestwire.frames.tap import Tap, Tun
from guestwire.kinds.link import Link
from guestwire.kinds.macvlan import Macvlan
from guestwire.kinds.mark import NO_PROJECT, alias
from guestwire.kinds.tap import NOBODY
from guestwire.kinds.tap import Tap as TapLink
from guestwire.linux import namespaces, tuntap
from guestwire.linux.accounts import group_name, group_number, user_name, user_number
from guestwire.linux.holders import Holder, node_holders, tap_holders
from guestwire.linux.kernel import Kernel
from guestwire.linux.netlink import text
from guestwire.linux.rtnetlink import IFLA_IFALIAS, IFLA_IFNAME, delete_link, set_link
from guestwire.observe import observe
from guestwire.picture import Picture

__all__ = ["add_tap", "delete_tap", "find_tap", "list_taps"]


def add_tap(
    name: str,
    *,
    tun: bool = False,
    owner: str | None = None,
    group: str | None = None,
    queues: int = 1,
    netns: str | None = None,
) -> dict[str, Any]:
    """Make a tap or tun that persists, up and marked; its entry in `list_taps`.

    `owner` and `group` are names or numbers; without both it is root's. Raises UsageError (the name is taken, or there
    is no such user), NotPermitted, Unavailable, or Busy where a change of the host is unsettled, with nothing left
    behind.
    """
    no_journal("", netns or "")
    user = None if owner is None else _known("user", owner, user_number(owner))
    members = None if group is None else _known("group", group, group_number(group))
    kind = Tun if tun else Tap
    with Kernel() as kernel, kind(name, netns=netns or "", create=True, multi_queue=queues > 1) as made:
        fd = made.fileno()
        if user is not None or members is None:
            tuntap.set_owner(fd, user or 0)
        if members is not None:
            tuntap.set_group(fd, members)
        named = text(IFLA_IFNAME, made.name)
        mark = text(IFLA_IFALIAS, alias(NO_PROJECT, made.name))
        for error in kernel.socket(netns or "").transact([set_link(0, named, mark, up=True)]):
            raise error
        made.persist()  # from here on it stays; before, it would have gone with us, whatever had ended us
        name = made.name
    return find_tap(name, netns)


def _known(what: str, word: str, number: int | None) -> int:
    if number is None:
        raise UsageError(f"there is no {what} `{word}` on this machine.", hint="Write its name or number.")
    return number


def list_taps(netns: str | None = None) -> list[dict[str, Any]]:
    """Every tap, tun and macvtap of the host, with who holds it, and why it has no carrier where it has none."""
    with Kernel() as kernel:
        return _entries(kernel, _seen(kernel, netns), netns or "")


def find_tap(name: str, netns: str | None = None) -> dict[str, Any]:
    """The entry of that one. Raises UsageError where there is none of that name, or it is something else."""
    with Kernel() as kernel:
        seen = _seen(kernel, netns)
        link = next((link for link in seen.of(Link, netns or "") if link.name == name), None)
        found = next((each for each in _entries(kernel, seen, netns or "") if each["name"] == name), None)
    if found is None:
        what = f"{name} is no tap: it is a {link.label()}." if link else f"there is no tap {name}."
        raise UsageError(what, hint="`guestwire tap list` shows those that there are.")
    return found


def delete_tap(name: str, netns: str | None = None) -> None:
    """Delete a tap or tun that `add_tap` made, also where a program holds it.

    Raises UsageError where there is none, or somebody else made it, Busy where a change of the host is unsettled;
    nothing is deleted then.
    """
    no_journal("", netns or "")
    found = find_tap(name, netns)
    if found["project"] != NO_PROJECT:
        _refuse(found)
    with Kernel() as kernel:
        for error in kernel.socket(netns or "").transact([delete_link(0, text(IFLA_IFNAME, name))]):
            raise NotPermitted(f"{name} can't be deleted: {error.strerror}.", hint="Try it as root.") from error


def _refuse(found: dict[str, Any]) -> None:
    name, device, project = found["name"], found["device"], found["project"]
    where = f" -n {found['netns']}" if found["netns"] else ""
    if project:
        message = f"{device} {name} is project {project}'s."
        raise UsageError(message, hint=f"Take it out of its file, or `guestwire down --project {project}`.")
    message = f"{device} {name} wasn't made by `guestwire tap add`, and so it is left alone."
    queues = " multi_queue" if found["multi_queue"] else ""
    words = f"link del {name}" if device == "macvtap" else f"tuntap del dev {name} mode {device}{queues}"
    raise UsageError(message, hint=f"`ip{where} {words}` deletes it.")


def _seen(kernel: Kernel, netns: str | None) -> Picture:
    see_there(netns)
    return observe(kernel, netns or "")


def _entries(kernel: Kernel, seen: Picture, netns: str) -> list[dict[str, Any]]:
    held = tap_holders(namespaces.identity(kernel.fd(netns))) if seen.of(TapLink, netns) else {}
    found = []
    for link in seen.of(Link, netns):
        if isinstance(link, TapLink):
            # The kernel counts the queues of those that have several; the one of the others is held, or it isn't.
            holders = held.get(link.name, [])
            found.append(_entry(link, holders, link.label(), link.queues or int(bool(holders) or link.carrier)))
        elif isinstance(link, Macvlan) and link.device == "macvtap":
            holders = _node_holders(kernel, link)
            found.append(_entry(link, holders, link.device, sum(holder.descriptors for holder in holders)))
    return found


def _node_holders(kernel: Kernel, link: Link) -> list[Holder]:
    try:
        number = kernel.call(link.netns, lambda: tuntap.device_number(link.name))
    except OSError:  # we may not mount, and so not look
        return []
    return [] if number is None else node_holders(number)


def _entry(link: Link, holders: list[Holder], device: str, queues: int) -> dict[str, Any]:
    tap = link if isinstance(link, TapLink) else None
    return {
        "name": link.name,
        "netns": link.netns,
        "device": device,
        "owner": user_name(tap.user) if tap and tap.user not in (None, NOBODY) else None,
        "group": group_name(tap.group) if tap and tap.group not in (None, NOBODY) else None,
        "queues": queues,
        "multi_queue": bool(tap is None or tap.multi_queue),
        "persistent": tap is None or tap.persistent,
        "master": link.master or None,
        "up": bool(link.up),
        "carrier": link.carrier,
        "why": None if link.carrier else _why(link, queues),
        "holders": [holder._asdict() for holder in holders],
        "project": link.owner,
    }


def _why(link: Link, queues: int) -> str:
    """Why it has no carrier."""
    if not link.up:
        return f"it is down; `ip link set {link.name} up`"
    if isinstance(link, Macvlan):
        return "its parent has none"
    return "its program has switched it off (TUNSETCARRIER)" if queues else "no program holds it"
