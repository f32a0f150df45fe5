"""Whether a change is accepted: the host reaches whom it reached before, and what the file expects holds.

Both are measured before the change and once it is done, up to what can't be undone. Who says no has it taken back
(`apply`). An expectation that can't be measured from where we stand says nothing; it is told, and no reason to go back.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from guestwire.errors import Problem, Rejected, Unavailable
from guestwire.kinds import Link
from guestwire.kinds.address import Address
from guestwire.kinds.file import File
from guestwire.kinds.namespace import Namespace
from guestwire.kinds.route import Route
from guestwire.linux.kernel import Kernel
from guestwire.linux.surroundings import is_loopback, resolvers, ssh_connection
from guestwire.picture import Picture
from guestwire.plan import Plan

if TYPE_CHECKING:  # what measures takes longer to load than most changes take: only where there is something to measure
    from guestwire.reach import Expected, Guard, Guarded
    from guestwire.spec import Expectation

__all__ = ["Acceptance", "Judged", "Trial", "guard_of"]

QUICK = 1.0  # seconds of silence that say "does not reach": inside a machine an answer takes a millisecond
PATIENT = 2.0  # seconds for what didn't hold at once; `check` takes as many
ANYWAY = "`--no-guard` makes the change all the same."
KEPT = "`--keep` keeps the change all the same."


@dataclass(frozen=True)
class Judged:
    """An expectation as it is after a change, and whether it held before; None where that wasn't measured."""

    expected: Expected
    before: bool | None

    @property
    def lost(self) -> bool:
        """Whether it held before, and doesn't any more."""
        return self.before is True and self.expected.held is False

    def to_json(self) -> dict[str, Any]:
        """As JSON knows it."""
        return {**self.expected._asdict(), "before": self.before}


@dataclass
class Acceptance:
    """What was measured of a change."""

    guard: tuple[Guarded, ...] = ()
    expectations: tuple[Judged, ...] = ()

    @property
    def lost(self) -> list[Guarded]:
        """Whom the host doesn't reach any more."""
        return [each for each in self.guard if each.after is False]

    @property
    def failed(self) -> list[Judged]:
        """The expectations that don't hold, first those that held before."""
        failed = [each for each in self.expectations if each.expected.held is False]
        return sorted(failed, key=lambda each: not each.lost)

    @property
    def unknown(self) -> list[Judged]:
        """The expectations that can't be measured from where we stand."""
        return [each for each in self.expectations if each.expected.held is None]

    def problems(self, hint: str, *, anyway: bool) -> Iterator[Problem]:
        """What is against the change, a problem each, the last with the hint; with `anyway`, how it can be had."""
        said = [
            f"{each.contact} answered before the change and doesn't since ({each.means}: {each.why})."
            for each in self.lost
        ]
        for each in self.failed:
            since = ", which held before the change" if each.lost else ""
            said.append(f"expected: {each.expected.text}{since}; but {each.expected.why}.")
        for number, message in enumerate(said, 1):
            option = f" {ANYWAY if self.lost else KEPT}" if anyway else ""
            yield Problem(message, f"{hint}{option}" if number == len(said) else None)

    def to_json(self) -> dict[str, Any]:
        """As JSON knows it."""
        return {
            "guard": [each.to_json() for each in self.guard],
            "expectations": [each.to_json() for each in self.expectations],
        }


Measure = Callable[["list[Expectation]", float], "dict[str, Expected]"]
"""Judges expectations, with so many seconds for one probe."""


@dataclass
class Trial:
    """A change on trial: `begin` before it, `judge` once it is done.

    `measure` judges expectations as the host stands; `settled` waits for what they need, and after a failure, being
    told so, for what may come late. `programs` are the words of those that hold only once somebody's program runs.
    `tell` is told what goes on. With `keep` an expectation that fails is no reason to go back; `anyway` says how a
    change that was taken back can be had all the same.
    """

    guard: Guard | None
    expectations: list[Expectation] = field(default_factory=list)
    tell: Callable[[str], None] = lambda doing: None
    measure: Measure = lambda asked, seconds: {}
    settled: Callable[[bool], None] = lambda late: None
    programs: Collection[str] = ()
    keep: bool = False
    anyway: bool = True
    result: Acceptance = field(default_factory=Acceptance)
    _before: dict[str, Expected] = field(default_factory=dict)

    def begin(self, *, anew: bool) -> None:
        """Measure what is there before the change; expectations only where it isn't all `anew`.

        Raises Unavailable where that can't be measured.
        """
        try:
            if self.guard is not None:
                self.guard.before()
            if self.expectations and not anew:
                self._before = self.measure(self.expectations, QUICK)
        except OSError as error:
            raise Unavailable(f"what holds now can't be measured: {error.strerror}; nothing was done.") from error

    def judge(self) -> None:
        """Measure what is there now. Raises Rejected where that is against the change, Unavailable where it can't."""
        try:
            if self.guard is not None and self.guard.guarded:
                self.tell("is the host still reaching whom it reached?")
                self.result.guard = self.guard.after()
            if not self.result.lost and self.expectations:
                self.result.expectations = tuple(self._judged())
        except OSError as error:
            raise Unavailable(f"the change can't be judged: {error.strerror}.", hint="All was undone.") from error
        if self.result.lost or (self.result.failed and not self.keep):
            rejected = Rejected(*self.result.problems("All was undone.", anyway=self.anyway))
            rejected.details = self.result.to_json()
            raise rejected

    def _judged(self) -> Iterator[Judged]:
        """Each expectation; those that don't hold at once are given what time they can need, and asked again."""
        self.tell("does what the file expects hold?")
        self.settled(False)
        found = self.measure(self.expectations, QUICK)
        before = {text: each.held for text, each in self._before.items()}
        for text in self.programs:
            if found[text].held is False and before.get(text) is not True:
                found[text] = found[text]._replace(held=None, why=f"{found[text].why}; its program may not run yet")
        late = [each for each in self.expectations if found[each.text].held is False and each.reaches]
        if late:
            self.tell("some of what the file expects doesn't hold yet")
            self.settled(True)
            found |= self.measure(late, PATIENT)
        for each in self.expectations:
            yield Judged(found[each.text], before.get(each.text))


def guard_of(kernel: Kernel, plan: Plan, seen: Picture, host: str, lab: Picture | None = None) -> Guard | None:
    """The guard of a host, where a plan touches anything of it, or of what is on a link of its.

    What is inside guests doesn't count, nor a router that has advertised itself on a link of the project's: that the
    host hears it is the project's doing, and it comes again by itself. None where the host itself comes or goes with
    the plan: it has no before, or no after.

    `lab` is what is wanted of a lab, whose outside may change with its file: only who stays counts.
    """
    if host not in seen.scope:
        return None
    servers = [each for each in resolvers(host, own=lab is not None) if not is_loopback(each.partition("%")[0])]
    ssh = "" if host else ssh_connection()
    if not (ssh or any(route.is_default for route in seen.of(Route, host)) or _near(seen, host, servers)):
        return None  # an island
    values = [*(step.value for step in plan.steps if not isinstance(step.value, File)), *plan.implied]
    touched = {type(value) for value in values if host in (value.netns, *(netns for netns, _ in value.on_links()))}
    if not touched or Namespace in touched:
        return None
    from guestwire.reach import Guard, contacts

    own = {link.name for link in seen.of(Link, host) if link.owner == plan.project}
    heard = {(r.gateway, r.link) for r in seen.of(Route, host) if r.fleeting and r.link in own}
    wanted = [each for each in contacts(kernel, host, servers, ssh) if (each.address, each.link) not in heard]
    if lab is not None:
        stays = {address.address for address in lab.of(Address)}
        wanted = [contact for contact in wanted if contact.address in stays]
    closing = {s.value.name for s in plan.steps if s.late and s.value.netns == host and isinstance(s.value, Link)}
    return Guard(kernel, host, wanted, closing)


def _near(seen: Picture, host: str, servers: list[str]) -> bool:
    """Whether one of the servers is in a subnet of the host's own."""
    if not servers:
        return False
    import ipaddress

    near = [ipaddress.ip_interface(each.interface).network for each in seen.of(Address, host)]
    return any(ipaddress.ip_address(server.partition("%")[0]) in network for server in servers for network in near)
