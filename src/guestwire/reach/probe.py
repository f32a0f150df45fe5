"""What a probe asks and what came of it, in words: the question, the answer, and each way to fail."""

from __future__ import annotations

import errno
import os
from typing import Final, Literal, NamedTuple

from guestwire.reach.station import Family

__all__ = ["FULL", "Answer", "Probe", "ProbeProto", "icmp_error", "send_error", "unresolved_error"]

ProbeProto = Literal["icmp", "tcp", "udp"]


class Probe(NamedTuple):
    """One question: does `target` answer what is sent from inside the namespace `netns`?"""

    netns: str
    target: str
    family: Family
    proto: ProbeProto = "icmp"
    port: int = 0
    answerer: str | None = None
    """The namespace that has `target`, where there is a way into it."""
    listen: bool = False
    """Whether guestwire may listen on the port in `answerer` where nothing does."""
    behind: tuple[str, int] | None = None
    """The address and port that `answerer` answers on, where they aren't those that are asked."""
    link: str = ""
    """The sender's link on a network so big that `target` is better introduced to it; "" where ARP may flood."""


class Answer(NamedTuple):
    """What came of a probe; `reached` None where it can't be told. `why` is never empty."""

    reached: bool | None
    why: str


FULL: Final = Answer(
    None, "the sender's kernel had no room for it (ENOBUFS): a full neighbour table, or a queue that drops"
)
"""Not an answer: a refusal that says nothing about the target. Most often the neighbour table is full."""

_SENDING = {
    errno.ENETUNREACH: "no route to {target} (ENETUNREACH)",
    errno.EHOSTUNREACH: "a route says that {target} is unreachable (EHOSTUNREACH)",
    errno.EACCES: "a route prohibits {target} (EACCES)",
    errno.EINVAL: "a blackhole route swallows what goes to {target} (EINVAL)",
    errno.EPERM: "the sender's own firewall drops it (EPERM)",
    errno.EADDRNOTAVAIL: "the sender has no usable address to ask {target} from (EADDRNOTAVAIL)",
    errno.EMSGSIZE: "the packet is too big for the way to {target} (EMSGSIZE)",
    errno.ENETDOWN: "the sender's link is down (ENETDOWN)",
    errno.ENODEV: "the sender's link is gone (ENODEV)",
}


def _named(number: int) -> str:
    return f"{os.strerror(number)} ({errno.errorcode.get(number, str(number))})"


def send_error(number: int, target: str) -> Answer:
    """Not reached, since the sender's own kernel refused to send (ip(7), raw(7))."""
    words = _SENDING.get(number)
    return Answer(False, words.format(target=target) if words else f"can't be sent to {target}: {_named(number)}")


def icmp_error(number: int, target: str, offender: str) -> Answer:
    """Not reached, since a router or the target itself said so by ICMP; `offender` is who said it, or ""."""
    if number == errno.ECONNREFUSED:
        return Answer(False, f"refused by {offender or target}: nothing listens there (ECONNREFUSED)")
    said = f"{offender} says" if offender else "it was said"
    if number == errno.EACCES:
        return Answer(False, f"{said} that a filter prohibits {target}")
    return Answer(False, f"{said} of {target}: {_named(number)}")


def unresolved_error(neighbour: str, target: str, family: Family) -> Answer:
    """Not reached, since a neighbour on the way, or the target as one, did not say its MAC (RFC 826, RFC 4861)."""
    what = "ARP" if family == 4 else "neighbour discovery"
    way = "" if neighbour == target else f", the next hop to {target}"
    return Answer(False, f"{neighbour}{way} doesn't answer {what}")
