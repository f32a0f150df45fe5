"""nftables, through the `nft` program: one transaction a call, in the namespace that the calling thread is in.

Which tables there are the kernel is asked itself: `nft` takes 10 ms to start, and says of a table that isn't there what
it says of anything that goes wrong.
"""

from __future__ import annotations

import errno
import json
import struct
from typing import Any, NamedTuple

from guestwire.linux.netlink import NETLINK_NETFILTER, Request, Socket, attributes, read_text
from guestwire.linux.programs import find_program, run_program

__all__ = [
    "FAMILIES",
    "NFNL_SUBSYS_NFTABLES",
    "NFTA_TABLE_NAME",
    "Chain",
    "apply_script",
    "available",
    "chains",
    "list_table",
    "tables",
]

# include/uapi/linux/netfilter/{nfnetlink,nf_tables}.h
NFNL_SUBSYS_NFTABLES, NFT_MSG_GETTABLE, NFTA_TABLE_NAME = 10, 1, 1
FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}  # NFPROTO_*, as nft(8) calls them
UNKNOWN = (errno.EPROTONOSUPPORT, errno.EOPNOTSUPP, errno.EINVAL)  # what a kernel says that has no nftables
SECONDS = 20  # a transaction takes milliseconds; a program that hangs must not hang us


class Chain(NamedTuple):
    """A chain with its rules, each a list of expressions as `nft -j` tells them (libnftables-json(5)).

    `type`, `hook` and `policy` are "" for one that is only jumped to.
    """

    family: str
    table: str
    name: str
    type: str
    hook: str
    policy: str
    rules: tuple[list[Any], ...]


def available() -> bool:
    """Whether the `nft` program is there."""
    return find_program("nft") is not None


def apply_script(script: str) -> None:
    """Apply a script as one transaction: all of it or, with OSError in nft's own words, nothing."""
    run_program(["nft", "-f", "-"], SECONDS, script)


def list_table(name: str) -> str | None:
    """The listing of table "FAMILY NAME", or None where there is none.

    So, too, for who may not look, and so can't change it either. Raises OSError where it can't be said.
    """
    try:
        if name not in tables():
            return None
    except OSError as error:
        if error.errno == errno.EPERM:
            return None
        raise
    try:
        return run_program(["nft", "list", "table", *name.split()], SECONDS)
    except OSError:
        if name in tables():
            raise
        return None  # it has just gone


def tables() -> list[str]:
    """Every table, as "FAMILY NAME"; none without an `nft` to read them. Raises OSError where we may not look."""
    if not available():
        return []
    try:
        sock = Socket(NETLINK_NETFILTER)
        try:
            told = sock.dump(Request(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE, 0, struct.pack("=BBH", 0, 0, 0)))
        finally:
            sock.close()
    except OSError as error:
        if error.errno in UNKNOWN:
            return []
        raise
    named = ((FAMILIES.get(body[0]), read_text(attributes(body, 4).get(NFTA_TABLE_NAME))) for body in told)
    return [f"{family} {name}" for family, name in named if family]


def chains() -> list[Chain]:
    """Every chain of every table, whoever made it: iptables' too, where that is the one over nftables."""
    if not tables():
        return []
    told = json.loads(run_program(["nft", "-j", "list", "ruleset"], SECONDS))["nftables"]
    rules: dict[tuple[str, str, str], list[list[Any]]] = {}
    for rule in (each["rule"] for each in told if "rule" in each):
        rules.setdefault((rule["family"], rule["table"], rule["chain"]), []).append(rule.get("expr", []))
    found = []
    for chain in (each["chain"] for each in told if "chain" in each):
        family, table, name = chain["family"], chain["table"], chain["name"]
        kind, hook, policy = (chain.get(key, "") for key in ("type", "hook", "policy"))
        found.append(Chain(family, table, name, kind, hook, policy, tuple(rules.get((family, table, name), ()))))
    return found
