"""Breaks guestwire off at its steps, one after the other, and compares what is left with what was there before.

It runs in a sandbox. guestwire is loaded once; each attempt is a fork, which fails, is interrupted or kills itself.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import random
import re
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

from guestwire.api import Outcome, down, plan, rollback, up
from guestwire.apply import Store
from guestwire.errors import GuestwireError
from guestwire.kinds import Link, Thing
from guestwire.kinds.cable import Cable
from guestwire.kinds.namespace import Namespace
from guestwire.kinds.neighbour import Neighbour
from guestwire.kinds.prefixroute import PrefixRoute
from guestwire.kinds.proxy import Proxy
from guestwire.kinds.rule import Rule
from guestwire.kinds.tableroute import TableRoute
from guestwire.linux import namespaces
from guestwire.linux.kernel import Kernel
from guestwire.linux.programs import run_program
from guestwire.observe import observe
from tests.sandbox import LEARNT

__all__ = ["WAYS", "Done", "Job", "forked", "load", "main", "snapshot"]

SEED = 2
WAYS = ("kill", "term", "int", "ENOBUFS", "EBUSY", "ENOSPC")
CODES = {"kill": -signal.SIGKILL, "term": 130, "int": 130}
REFUSED = 71
UNFIT = (65, 69)
FOLDERS = ("/run", "/etc/netns", "/var/lib/guestwire")
NAMED = "/run/netns"
HOSTS_OWN = (Neighbour, PrefixRoute, Proxy, Rule, TableRoute)
NUMBERS = r"(?<=fd[=/])[0-9]+"
"""Of descriptors, in a program's words."""
PASSING = r'"(until|identity|settled)": (\[[^]]*\]|[0-9.]+|true|false)'
"""What has a lifetime is made again with what is left, a link that is made again has another number, and an address is
settled when the kernel has asked around for it."""
LENT = ("forwarding", "accept_ra", "proxy_ndp")


@dataclass(frozen=True)
class Job:
    """What is broken off: `verb` with `file` on a host where `base` is up, or nothing.

    It is done in all `ways` at all points, or at `most` of these.
    """

    verb: str
    lab: bool
    file: str
    base: str | None = None
    most: int | None = None
    project: str = "three"
    ways: tuple[str, ...] = WAYS


@dataclass
class Done:
    """How often jobs were broken off, and left something then; all that was wrong; or why it can't be done here."""

    injections: int = 0
    leftovers: int = 0
    wrong: list[str] = field(default_factory=list)
    unfit: str = ""


def main() -> None:
    """Do the jobs that the first argument lists as JSON; print what came of them, a `Done`, likewise."""
    done = Done()
    for words in json.loads(sys.argv[1]):
        _Run(Job(**words), done)
    print(json.dumps(asdict(done)))


class _Run:
    def __init__(self, job: Job, done: Done) -> None:
        self.job, self.done = job, done
        self.empty = snapshot()
        load(job.file, job.lab)
        code, said = forked(self._base if job.base else self._act)
        if code in UNFIT:
            self.done.unfit = said
            return
        assert code == 0, f"{code}: {said}"
        self._prepared()
        _must(self._act)
        self.before = self._prepared()  # again, since it differs in what the change before let go of: addresses, say
        steps, writes = map(int, _must(self._act).split())
        self.after = snapshot()
        self.before = self._prepared()
        for way, number in _chosen(job, steps, writes):
            self._attempt(way, number)
        _must(self._nothing)
        self._compare("at the end", self.empty)

    def _act(self) -> str:
        """How many steps were done, and how often journal and state were written to."""
        made = self._up(self.job.file) if self.job.verb == "up" else down(self.job.file, guard=False)
        ends = any(step.action == "delete" and isinstance(step.value, Namespace) for step in made.plan.steps)
        return f"{len(made.plan.acts())} {3 + ends}"

    def _up(self, path: str) -> Outcome:
        """Without the guard, as `down` is: it takes seconds, and some files cut their host off, as passthru does."""
        return up(path, lab=self.job.lab, guard=False)

    def _base(self) -> str:
        assert self.job.base is not None
        self._up(self.job.base)
        return ""

    def _nothing(self) -> str:
        down(project=self.job.project, guard=False)
        return ""

    def _prepared(self) -> dict[str, object]:
        _must(self._nothing if self.job.base is None else self._base)
        return snapshot()

    def _attempt(self, way: str, number: int) -> None:
        job = self.job
        fault = f"{way}:{number}"
        where = f"{job.verb} {job.project} {fault}"
        self.done.injections += 1
        code, said = forked(self._act, fault)
        journal = Store(job.project).journal()
        committed = bool(journal and journal.committed) or code == 0
        if code != CODES.get(way, REFUSED) and (way == "kill" or not committed or code not in (0, REFUSED)):
            self.done.wrong.append(f"{where}: ended with {code}: {said}")
        if journal or way == "kill":
            code, said = forked(_rollback)
            if code:
                self.done.wrong.append(f"{where}: rollback ended with {code}: {said}")
            if way != "kill" and not committed:
                self.done.wrong.append(f"{where}: a journal was left")
        good = self._compare(where, self.after if committed else self.before)
        self.done.leftovers += not good
        if committed or not good:
            self.before = self._prepared()

    def _compare(self, where: str, wanted: dict[str, object]) -> bool:
        found = snapshot()
        gone = [f"missing {key}: {wanted[key]}" for key in wanted if key not in found]
        new = [f"left {key}: {found[key]}" for key in found if key not in wanted]
        other = [
            f"{key}: {wanted[key]} became {found[key]}" for key in wanted if key in found and found[key] != wanted[key]
        ]
        if gone or new or other:
            self.done.wrong.append(f"{where}: {'; '.join((gone + new + other)[:4])}")
        return not (gone or new or other)


def load(file: str, lab: bool) -> None:
    """Have guestwire load all that it loads only when it needs it: each fork would anew, for longer than it works.

    Nor does each try what the kernel has, which waits for the kernel to end what was tried.
    """
    with contextlib.suppress(GuestwireError):
        plan(file, lab=lab)
    mock.patch("guestwire.api.change.preflight").start()
    gc.freeze()
    gc.disable()


def _chosen(job: Job, steps: int, writes: int) -> list[tuple[str, int]]:
    """Each way and the number of the point at which it strikes; of a sample the last point is one."""
    points = [(way, number) for way in job.ways for number in range(writes + (steps if way != "ENOSPC" else 0))]
    if job.most is None or job.most >= len(points):
        return points
    pick = random.Random(f"{SEED} {job.project} {job.verb} {job.lab}")
    return [*sorted(pick.sample(points[:-1], job.most - 1)), points[-1]]


def _rollback() -> str:
    return "\n".join(rollback())


def _must(call: Callable[[], str]) -> str:
    code, said = forked(call)
    assert code == 0, f"{code}: {said}"
    return said


def forked(call: Callable[[], str], fault: str = "") -> tuple[int, str]:
    """The exit code of a fork that makes the call, negative for a signal, and what it returned or raised."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        _child(call, fault, theirs)
    os.close(theirs)
    with open(ours) as answer:
        said = answer.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


def _child(call: Callable[[], str], fault: str, theirs: int) -> NoReturn:
    code, said = 70, ""
    try:
        os.environ["GUESTWIRE_FAULT"] = fault
        said, code = call(), 0
    except GuestwireError as error:
        said, code = str(error), error.code
    except BaseException:
        said = traceback.format_exc()
    finally:
        os.write(theirs, said.encode()[:60000])
        os._exit(code)


def snapshot() -> dict[str, object]:
    """Every link, address and route in every namespace, every file and every process, each under a name.

    Also what of the host is lent: sysctls, rules, neighbours, the addresses that it answers for; and its nft tables.
    """
    with Kernel() as kernel:
        picture = observe(kernel, "", namespaces.names())
        picture.add(*Cable.read_all(kernel, None))
        links = {link.index: link for link in picture.of(Link, "")}
        for kind in HOSTS_OWN:
            picture.add(*kind.dump(kernel, "", links))
    values = {key: value for key, value in picture.values.items() if not (isinstance(value, Thing) and value.fleeting)}
    found: dict[str, object] = {" ".join(key): value for key, value in values.items()}
    found |= {
        str(path): path.read_text() for path in Path("/proc/sys/net").glob("ipv[46]/conf/*/*") if path.name in LENT
    }
    found |= {f"name {name}": "is there" for name in namespaces.names()}
    found["nft tables"] = run_program(["nft", "list", "tables"], 5)
    found |= {f"promiscuity of {link.netns} {link.name}": link.promiscuity for link in picture.of(Link)}
    for folder in FOLDERS:
        left = (path for path in Path(folder).rglob("*") if not path.is_relative_to(NAMED) and str(path) != LEARNT)
        found |= {
            str(path): _content(path) for path in left if path.suffix != ".new"
        }  # which a client's script renames
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        words = ""
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            words = process.read_bytes().replace(b"\0", b" ").decode()
        passing = not words or "/dhcp.sh " in words  # a client's script, which ends when it has told of the lease
        if not passing and process.parent.name != str(os.getpid()):
            found[f"process {re.sub(NUMBERS, '', words)}"] = 1
    return found


def _content(path: Path) -> Any:
    if not path.is_file() or path.suffix in (".pid", ".lease", ".leases", ".qcow2") or path.name == "pid":
        return None
    return re.sub(PASSING, "", path.read_text())


if __name__ == "__main__":
    main()
