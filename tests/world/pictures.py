"""Prints what guestwire sees of a project and its host, for a test that compares two sandboxes."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any

from guestwire.apply import Store, projects
from guestwire.kinds import Thing
from guestwire.kinds.address import AnyAddress
from guestwire.kinds.dhcp import DhcpClient
from guestwire.kinds.seed import Seed
from guestwire.linux import namespaces
from guestwire.linux.kernel import Kernel
from guestwire.observe import look_up, observe
from guestwire.picture import Key

__all__ = ["main"]


PASSING = ("until", "settled")


def main() -> None:
    """Print the picture of all namespaces; the arguments are the keys, as JSON, of what must be asked for by name."""
    keys = [Key(*key) for key in json.loads(sys.argv[1])] if sys.argv[1:] else _named()
    with Kernel() as kernel:
        picture = observe(kernel, "", namespaces.names())
        look_up(kernel, picture, keys)
        leased = {key for client in picture.of(DhcpClient) for key in client.carries()}  # when it comes is up to others
        there = [
            value for value in picture if isinstance(value, Thing) and not value.fleeting and not _is_link_local(value)
        ]
        values = [_plain(value) for value in there if value.key not in leased]
    print(json.dumps({"values": sorted(values, key=json.dumps), "named": keys}))


def _named() -> list[Key]:
    states = [Store(name).state() for name in projects()]
    return [key for state in states if state for key in state.named]


def _plain(value: Thing) -> dict[str, Any]:
    """A value without what a shell can't do: iproute2 6.1 has no word for an address's mark."""
    if isinstance(value, AnyAddress):
        value = replace(value, owner=None, protocol=0)
    if isinstance(value, Seed):  # other programs order an image's bytes otherwise; a digest in it says what is in it
        value = replace(value, content=None)
    return {name: content for name, content in value.to_json().items() if name not in PASSING}


def _is_link_local(value: Thing) -> bool:
    """Whether it is what the kernel makes by itself, which a shell can't mark as such where it makes it again."""
    return isinstance(value, AnyAddress) and value.address.startswith("fe80:")
