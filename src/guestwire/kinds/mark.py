"""The mark by which guestwire knows its own: in a link's alias, an address's and a route's protocol, a file.

The alias reads `guestwire:PROJECT:NAME`, NAME being the full name where the link's own had to be shortened. Addresses
(IFA_PROTO, Linux 5.18) and routes (RTA_PROTOCOL) hold one byte, so theirs says guestwire; the link they are on says
which project.
"""

from __future__ import annotations

import hashlib

__all__ = ["NO_PROJECT", "PROTOCOL", "alias", "derived_mac", "link_name", "owner_of", "read_alias"]

PROTOCOL = 103  # "g"; unassigned in include/uapi/linux/rtnetlink.h and in iproute2's rt_protos
PREFIX = "guestwire"
NO_PROJECT = ""
"""The project of what a verb made that is about no file, as `tap add`: no project can be called so."""
LONGEST = 15  # IFNAMSIZ without the zero byte


def alias(project: str, name: str) -> str:
    """The alias of a link of `project` whose full name is `name`."""
    return f"{PREFIX}:{project}:{name}"


def read_alias(text: str) -> tuple[str, str] | None:
    """Project and full name from an alias, or None where it is not our mark."""
    if not text.startswith(PREFIX + ":"):
        return None
    parts = text.split(":", 2)
    return (parts[1], parts[2]) if len(parts) == 3 else None


def owner_of(text: str) -> str | None:
    """The project that an alias marks as its own, or None where it is not our mark."""
    mark = read_alias(text)
    return mark[0] if mark else None


def link_name(full: str) -> str:
    """The name of a link whose full name is `full`: the same, or shortened to 15 characters, a digest at its end."""
    if len(full) <= LONGEST:
        return full
    return f"{full[:9]}~{hashlib.blake2b(full.encode(), digest_size=3).hexdigest()[:5]}"


def derived_mac(*names: str) -> str:
    """A MAC made from names, the same for the same names: locally administered, unicast."""
    digest = bytearray(hashlib.blake2b("/".join(names).encode(), digest_size=6).digest())
    digest[0] = digest[0] & 0xFC | 0x02
    return digest.hex(":")
