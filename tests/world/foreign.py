"""What a host has as iproute2, bridge and nft tell it: everything that they know, to see whether any of it changed.

guestwire's own eyes see only what it works with; these see the rest: rules, other tables, other attributes.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["foreign"]

EITHER = "route show table all\nrule show\nneighbour show nud permanent\n"
ASKED = {"-d": f"address show\n{EITHER}", "-6": EITHER}  # without a family addresses are of both, the rest of IPv4
PASSING = ("operstate", "carrier", "flags", "offload")
"""Told late, or what the cable's other end does; whether a link is up is kept."""
KERNELS = ("fe80:", "ff00:", "ff02:", "33:33:", "01:00:5e:")
"""Addresses that come by themselves, some time after a link was set up."""
LOOKED_INTO = ("tentative",)
"""Of an address, until the kernel has looked into it."""


def foreign(names: Iterable[str]) -> dict[str, object]:
    """Everything in the namespaces of these names, each under a name that ends with its link's."""
    found: dict[str, object] = {}
    for netns in names:
        for thing in _told(netns):
            name = str(thing.get("ifname") or thing.get("dev"))
            if "addr_info" in thing:
                thing["addr_info"] = [_settled(each) for each in thing["addr_info"] if not _by_itself(each)]
                found[f"{netns} link {name}"] = thing
            elif not _by_itself(thing):
                found[f"{netns} {json.dumps(thing)} {name}"] = True
    return found


def _told(netns: str) -> Iterator[dict[str, Any]]:
    inside = ["-n", netns] if netns else []
    for option, words in ASKED.items():
        for line in _said(["ip", *inside, option, "-d", "-j", "-b", "-"], words).splitlines():
            for thing in json.loads(line or "[]"):
                seen = {key: _still(value) for key, value in thing.items() if key not in PASSING}
                if "addr_info" in seen:
                    seen["up"] = "UP" in thing["flags"]
                    seen["qdisc"] = seen["qdisc"].replace("noop", "noqueue")  # which it stays once it has been up
                yield seen
    within = ["ip", "netns", "exec", netns] if netns else []
    yield from json.loads(_said(["bridge", *inside, "-d", "-j", "fdb", "show", "permanent"]) or "[]")
    yield from json.loads(_said([*within, "nft", "-j", "list", "ruleset"]))["nftables"]


def _said(command: list[str], words: str = "") -> str:
    return subprocess.run(command, input=words, text=True, check=True, stdout=subprocess.PIPE).stdout


def _still(value: Any) -> Any:
    """A value without the timers in it."""
    if not isinstance(value, dict):
        return value
    return {key: _still(each) for key, each in value.items() if "timer" not in key}


def _settled(address: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in address.items() if key not in LOOKED_INTO}


def _by_itself(thing: dict[str, Any]) -> bool:
    if thing.get("type") in ("local", "anycast") and ":" in thing["dst"] and thing["protocol"] == "kernel":
        return True  # an IPv6 address's, made by a thread of the kernel's when that gets to it
    return any(str(thing.get(key, "")).startswith(KERNELS) for key in ("local", "dst", "mac"))
