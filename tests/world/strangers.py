"""Does a list of actions among links, addresses and routes that aren't guestwire's, and tells which of them changed."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial

from guestwire import api
from guestwire.apply import projects
from tests.world.faults import forked, snapshot

__all__ = ["main"]

UPLINKS = ("eth0", "eth1", "eth2")  # the file names them, so they may be borrowed


def main() -> None:
    """Build what the first argument says with a shell, then do the actions of the second: [verb, file, fault] each."""
    subprocess.run(["sh", "-eu"], input=sys.argv[1], text=True, check=True)
    before = snapshot()
    theirs = {key: value for key, value in before.items() if key.split()[-1] not in UPLINKS}
    wrong = []
    for number, (verb, path, fault) in enumerate(json.loads(sys.argv[2])):
        code, said = forked(partial(_do, verb, path), fault)
        if code not in ({0, 71, 130, -9} if fault else {0}):
            wrong.append(f"{number} {verb} {path} {fault}: {code}: {said}")
        wrong += _changed(f"{number} {verb} {path} {fault}", theirs)
        if fault:
            code, said = forked(lambda: "\n".join(api.rollback()))
            wrong += [f"{number} rollback: {code}: {said}"] if code else []
            wrong += _changed(f"{number} rollback", theirs)
    for name in projects():
        code, said = forked(partial(_do, "down", None, name))
        wrong += [f"down {name}: {code}: {said}"] if code else []
    wrong += _changed("at the end", before)
    wrong += [f"left {key}" for key in snapshot() if key not in before]
    print(json.dumps(wrong))


def _do(verb: str, path: str | None, project: str | None = None) -> str:
    if verb == "up":
        api.up(path)
    else:
        api.down(path, project=project)
    return ""


def _changed(when: str, wanted: dict[str, object]) -> list[str]:
    found = snapshot()
    return [
        f"{when}: {key} was {value}, is {found.get(key)}" for key, value in wanted.items() if found.get(key) != value
    ]
