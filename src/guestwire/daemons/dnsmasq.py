"""dnsmasq, which answers DHCP and DNS and sends router advertisements: how it is started, and the leases it has given.

Left to itself it takes port 53 and 67 of every link, and the next one that starts, such as libvirt's, finds them taken.
`--bind-interfaces` with one `--interface` binds it to that link alone; it adds the loopback by itself unless told not
to (dnsmasq(8)). It goes into the background once it is ready, and reads its lists of hosts again at SIGHUP.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["PACKAGE", "Lease", "command", "leases", "served"]

PACKAGE = "dnsmasq-base"
LINK = "--interface="


class Lease(NamedTuple):
    """An address that was given; `until` in seconds since 1970, None for ever. IPv6 clients have DUIDs, not MACs."""

    address: str
    mac: str | None
    duid: str | None
    name: str | None
    until: int | None


def command(pidfile: str, link: str, *words: str) -> tuple[str, ...]:
    """The command line of one that serves one link and reads no file but those that `words` name."""
    return (
        "dnsmasq",
        "--conf-file=/dev/null",
        f"--pid-file={pidfile}",
        "--user=root",
        "--group=",  # as it is: in a lab made without root nobody may change groups
        "--no-ping",
        "--dhcp-authoritative",
        "--bind-interfaces",
        f"{LINK}{link}",
        "--except-interface=lo",
        *words,
    )


def served(words: Sequence[str]) -> str | None:
    """The link that one with that command line serves; bound to it, it serves no other that comes under its name."""
    return next((word.removeprefix(LINK) for word in words if word.startswith(LINK)), None)


def leases(path: str) -> list[Lease]:
    """The leases in a lease file, none where there is no such file.

    A line is "UNTIL MAC ADDRESS NAME CLIENT-ID"; after the line "duid …" come those of IPv6, "UNTIL IAID ADDRESS NAME
    DUID" (lease_update_file in src/lease.c).
    """
    try:
        with open(path) as file:
            lines = [line.split() for line in file]
    except FileNotFoundError:
        return []
    found = []
    six = False
    for words in lines:
        if words[:1] == ["duid"]:
            six = True
        elif len(words) >= 5 and words[0].isdigit():
            until, first, address, name, client = words[:5]
            given = None if name == "*" else name
            mac, duid = (None, client) if six else (first, None)
            found.append(Lease(address, mac, duid, given, int(until) or None))
    return found
