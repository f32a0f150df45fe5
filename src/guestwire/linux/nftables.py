"""nftables, through the `nft` program: one transaction a call, in the namespace that the calling thread is in."""

from __future__ import annotations

import errno
import json
import shutil
import socket
import struct
from typing import Any, NamedTuple

from guestwire.linux.netlink import NETLINK_NETFILTER, Request, Socket
from guestwire.linux.programs import run_program

__all__ = ["Chain", "apply_script", "available", "chains", "list_table", "tables"]

NFT_MSG_GETTABLE = 10 << 8 | 1  # of the subsystem NFNL_SUBSYS_NFTABLES (linux/netfilter/nf_tables.h)
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
    return shutil.which("nft") is not None


def apply_script(script: str) -> None:
    """Apply a script as one transaction: all of it or, with OSError in nft's own words, nothing."""
    run_program(["nft", "-f", "-"], SECONDS, script)


def _any_table() -> bool:
    """Whether there is anything to be listed, for most namespaces have no tables, and `nft` takes 10 ms to start."""
    sock = Socket(NETLINK_NETFILTER)
    try:
        return bool(sock.dump(Request(NFT_MSG_GETTABLE, 0, struct.pack("=BBH", socket.AF_UNSPEC, 0, 0))))
    finally:
        sock.close()


def list_table(name: str) -> str | None:
    """The listing of table "FAMILY NAME", or None where there is none, or no `nft` that could have made one."""
    if not available():
        return None
    try:
        return run_program(["nft", "list", "table", *name.split()], SECONDS)
    except OSError as error:
        if error.errno != errno.EREMOTEIO:
            raise
        return None  # nft says so of a table that isn't there


def tables() -> list[str]:
    """Every table, as "FAMILY NAME". Raises OSError where we may not look."""
    if not (available() and _any_table()):
        return []
    return [line.removeprefix("table ") for line in run_program(["nft", "list", "tables"], SECONDS).splitlines()]


def chains() -> list[Chain]:
    """Every chain of every table, whoever made it: iptables' too, where that is the one over nftables."""
    if not (available() and _any_table()):
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
