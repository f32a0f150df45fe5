"""Breaks guestwire off at its steps, one after the other, and compares what is left with what was there before.

It runs in a sandbox. guestwire is loaded once; each attempt is a fork, which fails, is interrupted or kills itself.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from guestwire import api
from guestwire.apply import Store
from guestwire.errors import GuestwireError
from guestwire.kinds import Link, Thing
from guestwire.kinds.cable import Cable
from guestwire.kinds.neighbour import Neighbour
from guestwire.kinds.prefixroute import PrefixRoute
from guestwire.kinds.proxy import Proxy
from guestwire.kinds.rule import Rule
from guestwire.kinds.tableroute import TableRoute
from guestwire.linux import namespaces
from guestwire.linux.kernel import Kernel
from guestwire.linux.programs import run_program
from guestwire.observe import observe

__all__ = ["Job", "forked", "main", "snapshot"]

SEED = 2
CODES = {"fail": 71, "int": 130, "kill": -signal.SIGKILL}
FOLDERS = ("/run", "/etc/netns")
NAMED = "/run/netns"
HOSTS_OWN = (Neighbour, PrefixRoute, Proxy, Rule, TableRoute)
LENT = ("forwarding", "accept_ra", "proxy_ndp")


@dataclass(frozen=True)
class Job:
    """What is broken off: `verb` with `file` on a host where `base` is up, or nothing; `most` of its steps, or all."""

    verb: str
    how: str
    lab: bool
    file: str
    base: str | None = None
    most: int | None = None
    project: str = "three"

    def words(self) -> str:
        """The job as JSON, for `main`."""
        return json.dumps(asdict(self))


def main() -> None:
    """Do the job that the first argument describes; print how many attempts were made and all that was wrong."""
    run = _Run(Job(**json.loads(sys.argv[1])))
    print(json.dumps({"steps": run.steps, "attempts": run.attempts, "committed": run.committed, "wrong": run.wrong}))


class _Run:
    def __init__(self, job: Job) -> None:
        self.job = job
        self.attempts = self.committed = 0
        self.wrong: list[str] = []
        self.empty = snapshot()
        self._prepared()
        _must(self._act)
        self.before = self._prepared()  # again, since it differs in what the change before let go of: addresses, say
        self.steps = int(_must(self._act))
        self.after = snapshot()
        self.before = self._prepared()
        chances = list(range(self.steps + 2 * (job.how == "kill")))
        if job.most is not None and job.most < len(chances):
            *others, last = chances
            chances = [*sorted(random.Random(SEED).sample(others, job.most - 1)), last]
        for number in chances:
            self._attempt(number)
        _must(self._nothing)
        self._compare("at the end", self.empty)

    def _act(self) -> str:
        made = api.up(self.job.file, lab=self.job.lab) if self.job.verb == "up" else api.down(self.job.file)
        return str(len(made.plan.acts()))

    def _base(self) -> str:
        assert self.job.base is not None
        api.up(self.job.base, lab=self.job.lab)
        return ""

    def _nothing(self) -> str:
        api.down(project=self.job.project)
        return ""

    def _prepared(self) -> dict[str, object]:
        _must(self._nothing if self.job.base is None else self._base)
        return snapshot()

    def _attempt(self, number: int) -> None:
        job, where = self.job, f"{self.job.how}:{number}"
        self.attempts += 1
        code, said = forked(self._act, where)
        journal = Store(job.project).journal()
        committed = bool(journal and journal.committed) or code == 0
        if not (code == CODES[job.how] or (committed and code in (0, 71))):
            self.wrong.append(f"{where}: ended with {code}: {said}")
        if journal:
            code, said = forked(_rollback)
            if code:
                self.wrong.append(f"{where}: rollback ended with {code}: {said}")
            if job.how == "int":
                self.wrong.append(f"{where}: a journal was left")
        self.committed += committed
        good = self._compare(where, self.after if committed else self.before)
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
            self.wrong.append(f"{where}: {'; '.join((gone + new + other)[:4])}")
        return not (gone or new or other)


def _rollback() -> str:
    return "\n".join(api.rollback())


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
    found["nft tables"] = run_program(["nft", "list", "tables"], 5)
    found |= {f"promiscuity of {link.netns} {link.name}": link.promiscuity for link in picture.of(Link)}
    for folder in FOLDERS:
        found |= {str(path): _content(path) for path in Path(folder).rglob("*") if not path.is_relative_to(NAMED)}
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        words = process.read_bytes().replace(b"\0", b" ").decode()
        passing = not words or "/dhcp.sh " in words  # a client's script, which ends when it has told of the lease
        if not passing and process.parent.name != str(os.getpid()):
            found[f"process {words}"] = 1
    return found


def _content(path: Path) -> Any:
    if not path.is_file() or path.suffix in (".pid", ".lease", ".leases"):
        return None
    return re.sub(
        r'"until": (\[[^]]*\]|[0-9.]+)', "", path.read_text()
    )  # what has a lifetime is made again with what is left


if __name__ == "__main__":
    main()
