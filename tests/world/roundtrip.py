"""Reads a host's addresses, routes, rules and neighbours, takes all away, and makes them again; run in a sandbox."""

from __future__ import annotations

import json
import subprocess
import sys

from guestwire.kinds import Link, Thing, kinds
from guestwire.kinds.linklocal import LinkLocal
from guestwire.kinds.neighbour import Neighbour
from guestwire.kinds.proxy import Proxy
from guestwire.kinds.rule import Rule
from guestwire.kinds.tableroute import TableRoute
from guestwire.linux.kernel import Kernel
from guestwire.observe import look_up, observe
from guestwire.picture import Key, Picture

__all__ = ["main"]

ASKED = (LinkLocal, TableRoute, Rule, Neighbour, Proxy)


def main() -> None:
    """Do it by requests, or with the argument `commands` by the commands that say the same; print what differs."""
    commands = sys.argv[1:] == ["commands"]
    before = picture()
    things = [value for value in before if isinstance(value, Thing) and not isinstance(value, Link)]
    again = [kinds()[value.KIND].from_json(json.loads(json.dumps(value.to_json()))) for value in things]
    places = {6: [i for i, v in enumerate(again) if getattr(v, "interface", "") and ":" in v.name]}[6]
    for place, value in zip(places, [again[i] for i in reversed(places)], strict=True):
        again[place] = value
    again.sort(key=lambda value: value.rank())
    if commands:
        script = "\n".join(line for value in reversed(again) for line in value.delete_commands())
        script += "\n" + "\n".join(line for value in again for line in value.create_commands())
        subprocess.run(["sh", "-eu"], input=script, text=True, check=True)
    else:
        with Kernel() as kernel:
            for value in reversed(again):
                kernel.token = f"delete {value.key}"
                value.delete(kernel)
            for value in again:
                kernel.token = f"create {value.key}"
                value.create(kernel)
            assert not (refused := kernel.refused()), refused
    after = picture()
    missing = [str(value) for value in before if value != after.get(value.key)]
    print(
        json.dumps({"things": len(things), "missing": missing, "new": [str(v) for v in after if v.key not in before]})
    )


def picture() -> Picture:
    """The host with all that is read only where somebody asks."""
    with Kernel() as kernel:
        found = observe(kernel, "")
        look_up(kernel, found, [Key("", "", kind.KIND, "") for kind in ASKED])
    return found


if __name__ == "__main__":
    main()
