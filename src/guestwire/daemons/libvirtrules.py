"""The firewall rules that libvirt makes for a network by iptables, found again and deleted where it knows them no more.

They lie in chains of its own (LIBVIRT_INP, LIBVIRT_FWI, LIBVIRT_PRT …), and name the network's bridge or, where they
masquerade, its subnets; no two networks have these in common (libvirt's page firewall). libvirt deletes a network's
rules when it stops it. One that was killed while it started a network doesn't know that there are any, adds them once
more with the next start, and the first ones stay.

From libvirt 10.4 on it may use nft instead, tables `libvirt_network`; those rules are left alone here.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Collection, Iterator
from itertools import pairwise

from guestwire.linux.programs import run_program

__all__ = ["delete_rules"]

SECONDS = 10  # for one program; others may hold iptables' lock
CHAIN = "-A LIBVIRT_"


def delete_rules(bridge: str, subnets: Collection[str]) -> None:
    """Delete them in the namespace that this thread is in. Raises OSError where iptables refuses; some stay then."""
    for program in ("iptables", "ip6tables"):
        with contextlib.suppress(FileNotFoundError):
            stale = list(_deletions(run_program((f"{program}-save",), SECONDS), bridge, subnets))
            if stale:
                run_program((f"{program}-restore", "-w", "--noflush"), SECONDS, "\n".join([*stale, ""]))


def _deletions(saved: str, bridge: str, subnets: Collection[str]) -> Iterator[str]:
    """What iptables-restore takes to delete the network's rules from among those that iptables-save has told."""
    for part in saved.split("\n*")[0 if saved.startswith("*") else 1 :]:
        table, *lines = part.removeprefix("*").splitlines()
        rules = [line for line in lines if line.startswith(CHAIN) and _is_of(shlex.split(line), bridge, subnets)]
        if rules:
            yield f"*{table}"
            yield from (f"-D{line.removeprefix('-A')}" for line in rules)
            yield "COMMIT"


def _is_of(words: list[str], bridge: str, subnets: Collection[str]) -> bool:
    """Whether a rule is of the network, by its bridge, or where it names none by the subnet that it is about."""
    named = dict(pairwise(words))
    links = {named[option] for option in ("-i", "-o") if option in named}
    return bridge in links if links else named.get("-s") in subnets
