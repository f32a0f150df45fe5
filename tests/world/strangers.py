"""Does a list of actions among what others have on a host, and have there later, and tells what of theirs changed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import partial

from guestwire.api import down, rollback, up
from guestwire.apply import Store, projects
from guestwire.linux import namespaces
from tests.world.faults import forked, load, snapshot
from tests.world.foreign import foreign

__all__ = ["UNSETTLED", "main"]

UPLINKS = ("eth0", "eth1", "eth2")  # the file names them, so they may be borrowed
NAMING = re.compile(r'\b[io]if"?:? "?eth[0-2]\b')  # a rule that names an uplink goes along with it, and back
MARKS = re.compile("guestwire:(two|three):")
BROKEN_OFF = {0, 71, 130, -9}
UNSETTLED = 75


def main() -> None:
    """Build what the first argument says with a shell, then do the actions of the second.

    Each is [verb, file, fault], or ["theirs", script, ""] for what others do meanwhile.
    """
    build, actions = sys.argv[1], json.loads(sys.argv[2])
    for path in {path for verb, path, _ in actions if verb in ("up", "down")}:
        load(path, lab=False)
    _theirs(build)
    host = _Host()
    for number, (verb, path, fault) in enumerate(actions):
        when = f"{number} {verb} {path} {fault}"
        if verb == "theirs":
            host.more(path)
            continue
        unsettled = any(Store(name).journal() for name in projects()) and verb != "rollback"
        code, said = forked(partial(_do, verb, path), fault)
        if code not in ({UNSETTLED} if unsettled else BROKEN_OFF if fault else {0}):
            host.wrong.append(f"{when}: {code}: {said}")
        host.compare(when)
    for verb, name in (("rollback", None), *(("down", name) for name in projects())):
        code, said = forked(partial(_do, verb, None, name))
        host.wrong += [f"{verb} {name}: {code}: {said}"] if code else []
    host.finish()
    print(json.dumps(host.wrong))


class _Host:
    """What is there without guestwire. What isn't an uplink's must be so at any time, the rest at the end."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self.names = ["", *namespaces.names()]
        self.before = self._look()

    def _look(self) -> dict[str, object]:
        return snapshot() | foreign(self.names)

    def more(self, script: str) -> None:
        """Others do something; nothing that it makes must be an uplink's, or ours."""
        known, before = set(namespaces.names()), self._look()
        _theirs(script)
        self.names += [name for name in namespaces.names() if name not in known]
        after = self._look()
        ours = {key.split()[-1] for key, value in after.items() if " link " in key and MARKS.search(str(value))}
        self.before = self.before | {
            key: value for key, value in after.items() if before.get(key) != value and key.split()[-1] not in ours
        }

    def compare(self, when: str) -> None:
        lent = {key for key in self.before if key.split()[-1] in UPLINKS or NAMING.search(key)}
        self._changed(when, {key: self.before[key] for key in self.before if key not in lent}, self._look())

    def finish(self) -> None:
        now = self._look()
        self._changed("at the end", self.before, now)
        self.wrong += [f"left {key}" for key in now if key not in self.before]

    def _changed(self, when: str, wanted: dict[str, object], now: dict[str, object]) -> None:
        self.wrong += [
            f"{when}: {key} was {value}, is {now.get(key)}" for key, value in wanted.items() if now.get(key) != value
        ]


def _theirs(script: str) -> None:
    subprocess.run(["sh", "-eu"], input=script, text=True, check=True)


def _do(verb: str, path: str | None, project: str | None = None) -> str:
    if verb == "rollback":
        return "\n".join(rollback(project))
    if verb == "up":
        up(path)
    else:
        down(path, project=project)
    return ""
