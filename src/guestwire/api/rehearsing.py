"""try: `up` on a copy of this host, in a child whose namespaces end with it; the host itself is only read.

The plan is made on the host first, so a file that is wrong for it is refused as by `up`. Then the copy is built as any
picture is, by a plan from nothing to it, and `up` and `check` run there, the same functions on the same kernel. What of
the copy isn't as on the host is told.
"""

from __future__ import annotations

import errno
import io
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guestwire import rootless
from guestwire.api.change import up
from guestwire.api.containers import without
from guestwire.api.copied import enter_copy
from guestwire.api.loans import to_look_up
from guestwire.api.measure import check
from guestwire.api.outcome import Outcome
from guestwire.api.players import play
from guestwire.api.situation import Situation, see_settled, situation
from guestwire.apply import State, Store, attempt, projects
from guestwire.errors import FileError, GuestwireError, NotPermitted, Unavailable
from guestwire.kinds import Link, Thing, kinds
from guestwire.kinds.address import Address
from guestwire.kinds.bridge import Bridge
from guestwire.kinds.domainnic import DomainNic
from guestwire.kinds.libvirtnetwork import LibvirtNetwork
from guestwire.kinds.mark import NO_PROJECT, derived_mac
from guestwire.kinds.nft import Nft
from guestwire.kinds.sysctl import FOLDER, Sysctl
from guestwire.kinds.tap import Tap
from guestwire.lab.rehearsal import Copy
from guestwire.linux import namespaces
from guestwire.linux.aside import NoPlace, do_aside
from guestwire.linux.holders import tap_holders
from guestwire.linux.kernel import Kernel
from guestwire.linux.surroundings import is_loopback, resolvers, ssh_connection
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
NFT_PLACE = re.compile(r"/dev/stdin:[\d:-]+: |\^+")
SAID_TWICE = re.compile(r"meta l4proto (\w+) (?=\1 )")
STATES = re.compile(r"\w+(,\w+)+")
RUNNING = re.compile(r"packets \d+ bytes \d+|expires \S+")
STDIN = "-"
STUB_OF = "/run/systemd/resolve/resolv.conf"  # whom systemd-resolved asks


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


def rehearse(
    path: str | None = None,
    *,
    project: str | None = None,
    netns: str | None = None,
    progress: Progress | None = None,
) -> Rehearsal:
    """Run `up` on a copy of the host, measure, and leave nothing: neither there nor on the host, whatever happens.

    Raises FileError where the file is wrong, or wrong for this host, Busy, Unavailable, NotPermitted. That `up` was
    refused in the copy is no error of this function's, but part of what it tells.
    """
    text = sys.stdin.buffer.read() if path == STDIN else None
    _say_again(text)
    where = situation(path, lab=False, project=project, netns=netns)
    if where.lab:
        message = f"project {where.project} is up in a lab, and so `up` would change that, not this host."
        raise FileError(message, hint="Take it down first.")
    with Kernel() as kernel:
        see_settled(kernel, where)
        made = where.plan(kernel)
        where.see_all_there()
        assert where.seen is not None
        assert where.site is not None
        states = [state for state in map(_state, projects()) if state and state.host == where.host and not state.lab]
        whole = _whole(kernel, where, states)
        ssh = ssh_connection()
        servers = [address for address in resolvers(where.host) if not is_loopback(address)]
        asked = [*servers, *(each for each in ssh.split(" ")[:1] if each)]
        uplinks = [network.uplink for network in where.file.networks.values() if network.uplink]
        copy = Copy(whole, where.site.desired.picture, uplinks, asked, _held(kernel, whole))
    files = _hidden(where)

    def act() -> Rehearsal:
        assert where.seen is not None
        enter_copy(where.seen)
        for place, content in files.items():
            os.makedirs(os.path.dirname(place), exist_ok=True)
            Path(place).write_bytes(content)
        missing = (*_left_out(where), *copy.missing, *_build(copy, states))
        os.environ["SSH_CONNECTION"] = ssh  # the processes above us can't be looked at from here
        with Kernel() as kernel:
            play(kernel, where.host, whole.census.listeners, [(copy.places.get(each), each) for each in servers])
        outcome = report = None
        try:
            _say_again(text)
            outcome = up(path, project=project, netns=netns, rehearsed=True)
            missing += tuple(_otherwise(made, outcome.plan))
            _say_again(text)
            report = check(path, project=project, netns=netns, progress=progress)
        except GuestwireError as error:
            return Rehearsal(where.project, made, outcome, report, error, missing)
        return Rehearsal(where.project, made, outcome, report, None, missing)

    try:
        found: Rehearsal = do_aside(act, user=not capable())
    except NoPlace as error:
        raise _refused(error) from error
    return found


def _whole(kernel: Kernel, where: Situation, states: list[State]) -> Whole:
    """The host whole, with the links that stand for what libvirt would make."""
    named = [key for state in states for key in to_look_up(state) if key.netns in ("", where.host)]
    known = [key for key in named if kinds()[key.kind].COPIED]
    whole = read_whole(kernel, where.host, _uncontained(where), known)
    whole.picture.add(*_stand_ins(where))
    return whole


def _uncontained(where: Situation) -> Picture:
    """What is seen, but for what is in containers and what daemons keep."""
    assert where.seen is not None
    found = without(where.seen, [f"{where.project}-{name}" for name in where.found])
    return Picture((value for value in found.of(Thing) if value.COPIED), found.scope)


def _left_out(where: Situation) -> Iterator[tuple[str, str]]:
    """What of the file isn't in the copy: containers, and what libvirt keeps. All else of it is rehearsed."""
    assert where.site is not None
    for name in where.found:
        networks = dict.fromkeys(seat.nic.network for (guest, _), seat in where.site.seats.items() if guest == name)
        yield f"container {name}", f"it isn't plugged in there, into {' and '.join(networks)}"
    nics: dict[str, int] = {}
    for nic in where.site.desired.picture.of(DomainNic):
        nics[nic.domain] = nics.get(nic.domain, 0) + 1
    for domain, number in nics.items():
        yield f"domain {domain}", f"it isn't plugged in there, by {number} NIC{'s' if number > 1 else ''}"
    for network in where.site.desired.picture.of(LibvirtNetwork):
        stands = "a bridge stands for it, without its DHCP and its firewall rules"
        yield f"libvirt network {network.name}", stands if network.network.makes_bridge else "it isn't made there"


def _stand_ins(where: Situation) -> Iterator[Thing]:
    """The bridges that libvirt would make for the file's networks, as somebody else's, where they aren't there yet."""
    assert where.site is not None
    assert where.seen is not None
    there = {link.place for link in where.seen.of(Link)}
    for each in where.site.desired.picture.of(LibvirtNetwork):
        if each.network.makes_bridge and each.bridge and (each.netns, each.bridge) not in there:
            mac = derived_mac(where.project, each.name, "bridge")
            yield Bridge(netns=each.netns, name=each.bridge, mac=mac, mtu=each.network.mtu)
            yield from (
                Address.on(each.netns, each.bridge, f"{ip.address}/{ip.prefix}", None) for ip in each.network.ips
            )


def _refused(error: NoPlace) -> GuestwireError:
    """Why there is no copy."""
    if error.errno == errno.ECHILD:
        return Unavailable("the copy of this host was ended by somebody, or for want of memory.", hint="Try it again.")
    if not capable():
        return rootless.refusal(error, "without root a copy of this host needs a user namespace")
    what = f" ({error.filename})" if error.filename else ""
    message = f"no copy of this host can be made: {error.strerror}{what}."
    return NotPermitted(message, hint="In a container it may be forbidden; `guestwire plan` only reads.")


def _say_again(text: bytes | None) -> None:
    """Have standard input, which can be read once, hold the file anew."""
    if text is not None:
        sys.stdin = io.TextIOWrapper(io.BytesIO(text))


def _state(project: str) -> State | None:
    return Store(project).state()


def _hidden(where: Situation) -> dict[str, bytes]:
    """The files that the copy needs and its empty /run would hide."""
    found = {}
    for path in map(os.path.realpath, (where.path, STUB_OF, f"/etc/netns/{where.host}/resolv.conf")):
        if path.startswith(("/run/", "/etc/netns/")) and os.path.isfile(path):
            found[path] = Path(path).read_bytes()
    return found


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
            new = _rules(there).keys() - _rules(table).keys() if there is not None else ()
            if there is not None and new:
                line = next(line for means, line in _rules(there).items() if means in new)
                failed[table.key] = table, f"nft reads `{line}` there, and not so here"
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
    """Why, in the kernel's words, or those of nft without its pointing at a line that nobody sees."""
    said = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return NFT_PLACE.sub("", said).partition(" ^")[0].rstrip(" .^")


def _rules(table: Nft) -> dict[str, str]:
    """A table's lines by what they mean: without what counts and runs down, and as nft words what iptables has made."""
    lines = [" ".join(RUNNING.sub("", line).split()) for line in (table.rules or "").splitlines()]
    return {SAID_TWICE.sub("", STATES.sub(_in_order, line)): line for line in lines}


def _in_order(found: re.Match[str]) -> str:
    return ",".join(sorted(found[0].split(",")))


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
    on_host, in_copy = (
        {(step.action, step.key): step for step in plan.steps if step.value.COPIED} for plan in (there, here)
    )
    for step in [step for key, step in on_host.items() if key not in in_copy][:FEW]:
        yield f"the step “{step.describe()}”", "`up` would take it here, and did not in the copy"
    for step in [step for key, step in in_copy.items() if key not in on_host][:FEW]:
        yield f"the step “{step.describe()}”", "`up` took it in the copy, and would not here"
