"""What the verbs `tap add` and `tap list` say, as lines for a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from guestwire.show.words import table

__all__ = ["added", "taps"]


def added(entry: Mapping[str, Any]) -> str:
    """What `tap add` made."""
    return f"{entry['device']} {entry['name']} is made, and waits for a program of {_whose(entry)} to open it.\n"


def taps(entries: Sequence[Mapping[str, Any]]) -> str:
    """The taps of a host."""
    if not entries:
        return "No tap, tun or macvtap is here.\n"
    rows: list[tuple[str, ...]] = [("NAME", "DEVICE", "OPEN TO", "PORT OF", "QUEUES", "CARRIER", "HELD BY")]
    for each in entries:
        queues = str(each["queues"]) + (" of several" if each["multi_queue"] and each["device"] != "macvtap" else "")
        carrier = "yes" if each["carrier"] else f"no: {each['why']}"
        rows.append((each["name"], each["device"], _whose(each), each["master"] or "", queues, carrier, _held(each)))
    return table(rows)


def _whose(entry: Mapping[str, Any]) -> str:
    if entry["device"] == "macvtap":
        return "its node's owner"
    names = [entry["owner"], entry["group"] and f"group {entry['group']}"]
    return " in ".join(filter(None, names)) or "everybody"


def _held(entry: Mapping[str, Any]) -> str:
    who = ", ".join(f"{each['command']} (pid {each['pid']})" for each in entry["holders"])
    return who or ("a program out of sight" if entry["queues"] else "nobody")
