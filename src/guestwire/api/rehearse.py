"""try: `up` on a copy of this host, in a child whose namespaces end with it; the host itself is only read.

The plan is made on the host first, so a file that is wrong for it is refused as by `up`. Then the copy is built as any
picture is, by a plan from nothing to it, and `up` and `check` run there, the same functions on the same kernel. What of
the copy isn't as on the host is told.
"""

from __future__ import annotations

import io
import os
import re
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guestwire.api.change import up
from guestwire.api.loans import to_look_up
from guestwire.api.measure import check
from guestwire.api.outcome import Outcome
from guestwire.api.situation import Situation, see_settled, situation
from guestwire.apply import State, Store, attempt, projects
from guestwire.errors import FileError, GuestwireError, NotPermitted
from guestwire.kinds import Link, Thing
from guestwire.kinds.mark import NO_PROJECT
from guestwire.kinds.nft import Nft
from guestwire.kinds.sysctl import FOLDER, Sysctl
from guestwire.kinds.tap import Tap
from guestwire.lab.rehearsal import Copy
from guestwire.linux import namespaces
from guestwire.linux.aside import do_aside
from guestwire.linux.census import Listener
from guestwire.linux.holders import tap_holders
from guestwire.linux.kernel import Kernel
from guestwire.linux.userns import capable
from guestwire.observe import look_up, observe
from guestwire.observe.whole import Whole, read_whole
from guestwire.picture import Desired, Key, Picture
from guestwire.plan import Plan, Step, make_plan
from guestwire.reach import Progress, Report

__all__ = ["Rehearsal", "rehearse"]

ROUNDS = 3  # in the second and third, what the first could not yet do, as a route whose gateway came after it
FEW = 8  # of a kind that are named
OTHERWISE = "it is otherwise in the copy"
RUNNING = re.compile(r"packets \d+ bytes \d+|expires \S+")
STDIN = "-"
RESOLVERS = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")


@dataclass(frozen=True)
class Rehearsal:
    """What came of it. `outcome` is what `up` did, None where it was refused, and `error` says how; `report` is what
    was measured then. `missing` is what couldn't be copied, each with what that means."""

    project: str
    plan: Plan
    outcome: Outcome | None
    report: Report | None
    error: GuestwireError | None
    missing: tuple[tuple[str, str], ...]

    @property
    def code(self) -> int:
        """The exit code: that of `up`'s refusal, else of the check."""
        if self.error is not None:
            return self.error.code
        return self.report.code if self.report is not None else 0

    def to_json(self) -> dict[str, Any]:
        """The document of `try`."""
        errors = self.error.problems if self.error else ()
        done = self.outcome or Outcome(self.project, self.plan)
        return {
            "project": self.project,
            "plan": done.to_json(),
            "refused": [str(problem) for problem in errors],
            "check": self.report.to_json() if self.report else None,
            "missing": [{"what": what, "means": means} for what, means in self.missing],
            "held": self.code == 0,
        }


def rehearse(path: str | None = None, *, netns: str | None = None, progress: Progress | None = None) -> Rehearsal:
    """Run `up` on a copy of the host, measure, and leave nothing: neither there nor on the host, whatever happens.

    Raises FileError where the file is wrong, or wrong for this host, Busy, Unavailable, NotPermitted. That `up` was
    refused in the copy is no error of this function's, but part of what it tells.
    """
    text = sys.stdin.buffer.read() if path == STDIN else None
    _say_again(text)
    where = situation(path, lab=False, project=None, netns=netns)
    if where.lab:
        message = f"project {where.project} is up in a lab, and so `up` would change that, not this host."
        raise FileError(message, hint="Take it down first.")
    with Kernel() as kernel:
        see_settled(kernel, where)
        made = where.plan(kernel)
        assert where.seen is not None
        assert where.site is not None
        states = [state for state in map(_state, projects()) if state and state.host == where.host and not state.lab]
        named = [key for state in states for key in to_look_up(state) if key.netns in ("", where.host)]
        whole = read_whole(kernel, where.host, where.seen, named)
        copy = Copy(whole, where.site.desired.picture, _asked(), _held(kernel, whole))
    files = _hidden(where)

    def act() -> Rehearsal:
        for place, content in files.items():
            os.makedirs(os.path.dirname(place), exist_ok=True)
            Path(place).write_bytes(content)
        missing = (*copy.missing, *_build(copy, states))
        with Kernel() as kernel:
            listening = kernel.call(where.host, lambda: list(_listen(whole.census.listeners)))
        outcome = report = None
        try:
            _say_again(text)
            outcome = up(path, netns=netns)
            missing += tuple(_otherwise(made, outcome.plan))
            _say_again(text)
            report = check(path, netns=netns, progress=progress)
        except GuestwireError as error:
            return Rehearsal(where.project, made, outcome, report, error, missing)
        finally:
            for each in listening:
                each.close()
        return Rehearsal(where.project, made, outcome, report, None, missing)

    try:
        found: Rehearsal = do_aside(act, user=not capable())
    except OSError as error:
        what = f" ({error.filename})" if error.filename else ""
        hint = "Try it as root, or in a lab: `guestwire up --lab`."
        raise NotPermitted(f"no copy of this host can be made: {error.strerror}{what}.", hint=hint) from error
    return found


def _say_again(text: bytes | None) -> None:
    """Have standard input, which can be read once, hold the file anew."""
    if text is not None:
        sys.stdin = io.TextIOWrapper(io.BytesIO(text))


def _state(project: str) -> State | None:
    return Store(project).state()


def _hidden(where: Situation) -> dict[str, bytes]:
    """The files that the copy needs and its empty /run would hide."""
    found = {}
    for path in (where.path, RESOLVERS[1]):
        if os.path.realpath(path).startswith("/run/") and os.path.exists(path):
            found[os.path.realpath(path)] = Path(path).read_bytes()
    return found


def _asked() -> Iterator[str]:
    """Whom the host talks to beyond its LAN, as far as we know: its name servers, and who is logged in by ssh."""
    for path in RESOLVERS:
        try:
            lines = Path(path).read_text(errors="replace").splitlines()
        except OSError:
            continue
        yield from (words[1].partition("%")[0] for words in map(str.split, lines) if words[:1] == ["nameserver"])
    if peer := os.environ.get("SSH_CONNECTION", "").split(" ")[0]:
        yield peer.partition("%")[0]


def _held(kernel: Kernel, whole: Whole) -> dict[str, str]:
    """Which program holds each of the host's taps."""
    if not whole.picture.of(Tap, whole.host):
        return {}
    held = tap_holders(namespaces.identity(kernel.fd(whole.host)))
    return {name: ", ".join(map(str, holders)) for name, holders in held.items()}


def _build(copy: Copy, states: list[State]) -> Iterator[tuple[str, str]]:
    """Build the copy in the namespace that we are in; what isn't as on the host, each with why."""
    host = copy.whole.host
    wanted = copy.host.copy()
    absent = [s for s in wanted.of(Sysctl, host) if s.link is None and not os.path.exists(f"{FOLDER}/{s.name}")]
    for sysctl in absent:
        wanted.remove(sysctl.key)
    if absent:
        yield f"{len(absent)} sysctls of the whole machine", "they hold in the copy as well"
    for state in states:
        Store(state.project).write(state)
    failed: dict[Key, tuple[Thing, str]] = {}
    with Kernel() as kernel:
        for number in range(ROUNDS):
            steps = _steps(kernel, copy, Picture([*wanted, *(copy.around if number == 0 else ())]))
            if number:
                for key in failed.keys() & wanted.values.keys() - {step.key for step in steps}:
                    del failed[key]  # made good since
            if not steps:
                break
            failed |= {step.key: (step.value, _words(error)) for step, error in _attempt(kernel, steps)}
        else:
            left = _steps(kernel, copy, wanted)
            failed |= {step.key: (step.value, OTHERWISE) for step in left if step.key not in failed}
        for table in wanted.of(Nft, host):
            there = Nft.read(kernel, table.key)
            if there is not None and _rules(there) != _rules(table):
                failed[table.key] = table, OTHERWISE
    yield from _told(failed)


def _steps(kernel: Kernel, copy: Copy, wanted: Picture) -> list[Step]:
    """What is yet to be made or changed for the copy to be as wanted."""
    seen = observe(kernel, copy.whole.host, copy.namespaces)
    look_up(kernel, seen, wanted.values)
    plan = make_plan(seen, Desired(wanted, borrowed=set(wanted.values)), NO_PROJECT, sweep=False)
    return [step for step in plan.steps if step.action != "delete"]


def _attempt(kernel: Kernel, steps: list[Step]) -> Iterator[tuple[Step, Exception]]:
    for step, error in attempt(kernel, Plan(NO_PROJECT, steps)):
        if step is None:
            raise error
        yield step, error


def _words(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _rules(table: Nft) -> str:
    """A table's rules, without what counts and runs down."""
    return " ".join(RUNNING.sub("", table.rules or "").split())


def _told(failed: Mapping[Key, tuple[Thing, str]]) -> Iterator[tuple[str, str]]:
    """What failed, and why, but not what only followed from another's failure."""
    links = {(value.netns, value.name) for value, _ in failed.values() if isinstance(value, Link)}
    found: dict[tuple[str, str], list[str]] = {}
    for value, why in failed.values():
        if isinstance(value, Link) or links.isdisjoint(value.on_links()):
            found.setdefault((value.KIND, why), []).append(value.name)
    for (kind, why), names in found.items():
        more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
        yield f"{kind} {', '.join(names[:FEW])}{more}", why


def _otherwise(there: Plan, here: Plan) -> Iterator[tuple[str, str]]:
    """Where `up` on the copy did other steps than it would do on the host."""
    on_host, in_copy = ({(step.action, step.key): step for step in plan.steps} for plan in (there, here))
    for step in [on_host[key] for key in on_host.keys() - in_copy.keys()][:FEW]:
        yield f"the step “{step.describe()}”", "`up` would take it here, and did not in the copy"
    for step in [in_copy[key] for key in in_copy.keys() - on_host.keys()][:FEW]:
        yield f"the step “{step.describe()}”", "`up` took it in the copy, and would not here"


def _listen(listeners: Sequence[Listener]) -> Iterator[socket.socket]:
    """Open the TCP ports that are open on the host, as far as they can be: the kernel answers for them."""
    plain = {each.port for each in listeners if each.protocol == "tcp" and ":" not in each.address}
    for each in listeners:
        if each.protocol != "tcp":
            continue
        six = ":" in each.address
        sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if six:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, each.port in plain)
            sock.bind((each.address, each.port))
            sock.listen()
        except OSError:  # a daemon of guestwire's has it by now, or the address isn't there
            sock.close()
            continue
        yield sock
