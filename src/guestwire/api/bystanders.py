"""Who is cut off by a plan though they aren't the project's: others' ports of a bridge that goes, others on a parent.

A bridge that is deleted lets go of its ports, and they stay as they are, plugged into nothing. A macvlan or macvtap
ends with its parent, and has no carrier while that is down. Neither can be kept; it can be said before it is done.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from guestwire.errors import Problem
from guestwire.kinds import Link
from guestwire.kinds.child import Child
from guestwire.kinds.domainnic import DomainNic
from guestwire.kinds.libvirtnetwork import LibvirtNetwork
from guestwire.kinds.macvlan import Macvlan
from guestwire.kinds.mark import NO_PROJECT
from guestwire.kinds.namespace import Namespace
from guestwire.kinds.tap import Tap
from guestwire.kinds.veth import Veth
from guestwire.linux import namespaces, tuntap
from guestwire.linux.holders import Holder, first_within, node_holders, tap_holders
from guestwire.linux.kernel import Kernel
from guestwire.linux.rtnetlink import namespace_id, read_link
from guestwire.picture import Picture
from guestwire.plan import Plan

__all__ = ["cut_off"]

FEW = 8  # of a link's that are named
HINT = "Plug them in elsewhere before it, where they are still to be reached."


class _Hanging(NamedTuple):
    """Others' links that hang on one."""

    ports: list[Link]
    children: list[Link]


NOBODY = _Hanging([], [])


def cut_off(kernel: Kernel, plan: Plan, seen: Picture) -> list[Problem]:
    """What is to be said of each link that the plan deletes or sets down, where others' links hang on it."""
    found: list[Problem] = []

    def say(what: str, links: list[Link]) -> None:
        if links:
            found.append(Problem(f"{what}: {_told(kernel, seen, links)}.", HINT))

    hanging = _hanging(plan, seen)
    for link, goes in _leaving(plan, seen):
        ports, children = hanging.get(link.place, NOBODY)
        if goes:
            say(f"{link.name} goes, and others' links are ports of it, which stay and are cut off", ports)
            say(f"{link.name} goes, and with it others' links that are on it", children)
        else:
            say(f"{link.name} is set down, as it was, and others' links on it are cut off", children)
    return found


def _leaving(plan: Plan, seen: Picture) -> Iterator[tuple[Link, bool]]:
    """The links that a plan deletes, or (False) sets down; but those whose namespace ends, as all in there does."""
    deleted = [step.value for step in plan.steps if step.action == "delete"]
    ended = {value.name for value in deleted if isinstance(value, Namespace)}
    links = {link.place: link for link in seen.of(Link)}
    for value in (*deleted, *plan.implied):
        if isinstance(value, LibvirtNetwork) and value.active and value.network.makes_bridge:
            bridge = links.get((value.netns, value.bridge or ""))
            if bridge is not None:
                yield bridge, True
        elif isinstance(value, Link) and value.netns not in ended and value.owner == plan.project:
            yield value, True
    for step in plan.steps:
        value, before = step.value, step.before
        if isinstance(value, Link) and isinstance(before, Link) and before.up and value.up is False:
            yield value, False


def _hanging(plan: Plan, seen: Picture) -> dict[tuple[str, str], _Hanging]:
    """What hangs on each link though it isn't the plan's: its ports, and its children."""
    steps = {step.key for step in plan.steps}
    plugged = {(nic.netns, nic.link) for nic in seen.of(DomainNic) if nic.owner == plan.project}
    found: dict[tuple[str, str], _Hanging] = {}
    for each in seen.of(Link):
        if each.owner == plan.project or each.key in steps or each.place in plugged:
            continue
        if each.master:
            found.setdefault((each.netns, each.master), _Hanging([], [])).ports.append(each)
        if isinstance(each, Child) and each.parent:
            found.setdefault(each.parent, _Hanging([], [])).children.append(each)
    return found


def _told(kernel: Kernel, seen: Picture, links: list[Link]) -> str:
    """Some links, each with who is at its other end, as far as that can be seen."""
    domains = _domains(kernel, seen, links[0].netns) if any(isinstance(each, Tap | Macvlan) for each in links) else {}
    words = [f"{each.name} ({_who(kernel, each, domains)})" for each in links[:FEW]]
    return ", ".join([*words, *([f"and {len(links) - FEW:,} more"] if len(links) > FEW else [])])


def _domains(kernel: Kernel, seen: Picture, host: str) -> dict[str, str]:
    """The domains that have links on the host, by their names; nothing is added to the picture."""
    from guestwire.api.domains import with_domains  # where libvirt runs, asking it takes a while

    asked = with_domains(kernel, seen.copy(), host)
    return {nic.link: nic.domain for nic in asked.of(DomainNic, host) if nic.link}


def _who(kernel: Kernel, link: Link, domains: dict[str, str]) -> str:
    if link.name in domains:
        return f"domain {domains[link.name]}'s"
    if link.owner == NO_PROJECT:
        return "made by `guestwire tap add`"
    if link.owner:
        return f"project {link.owner}'s"
    if isinstance(link, Veth):
        return _far(kernel, link)
    holders: list[Holder] = []
    if isinstance(link, Tap):
        holders = tap_holders(namespaces.identity(kernel.fd(link.netns))).get(link.name, [])
    elif isinstance(link, Macvlan) and link.device == "macvtap":
        with suppress(OSError):
            number = kernel.call(link.netns, lambda: tuntap.device_number(link.name))
            holders = node_holders(number) if number is not None else []
    return f"{link.label()} of {_brief(holders[0])}" if holders else link.label()


def _far(kernel: Kernel, link: Veth) -> str:
    """Where a veth leads: to a link here, into a namespace that has a name, or into one that a process is in."""
    sock = kernel.socket(link.netns)
    message = read_link(sock, link.name)
    if message is None or message.link_netnsid is None:
        return f"leads to {link.peer[1]}" if link.peer and message is not None else link.label()
    for name in namespaces.names():
        with suppress(OSError):
            if namespace_id(sock, kernel.fd(name)) == message.link_netnsid:
                return f"leads into namespace {name}"
    within = first_within(sock, message.link_netnsid)
    return f"leads into the namespace of {_brief(within)}" if within else "leads into another namespace"


def _brief(holder: Holder) -> str:
    """A process by its program alone: what a hypervisor is started with takes a page."""
    return f"{os.path.basename(holder.command.split()[0])} (pid {holder.pid})"
