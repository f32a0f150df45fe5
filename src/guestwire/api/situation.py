"""A file and the host it is meant for: which project, which namespace is the host, what is there and what shall be."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

from guestwire.api.containers import led_to, refuse_absent
from guestwire.api.copied import askable, kept, leave_out
from guestwire.api.loans import claim, give_back, heirs_of, to_look_up, without_us
from guestwire.api.work import get_in, lock_of, named, no_journal, owner_of, related, see_there, standing
from guestwire.apply import State, Store
from guestwire.compile import BuiltGuest, BuiltNetwork, Site, compile_file
from guestwire.compile.whereabouts import Absent, Found
from guestwire.errors import FileError, UsageError
from guestwire.guests import KINDS
from guestwire.kinds import Link, Thing, kinds
from guestwire.kinds.dhcp import DhcpClient
from guestwire.lab import Lab
from guestwire.linux import namespaces, nftables
from guestwire.linux.census import listeners
from guestwire.linux.kernel import Kernel
from guestwire.linux.ties import ties
from guestwire.linux.userns import capable
from guestwire.networks import TYPES
from guestwire.observe import look_up, observe
from guestwire.picture import Desired, Key, Picture
from guestwire.places import DEFAULT_FILE, RUN
from guestwire.plan import Plan, make_plan
from guestwire.printable import quote
from guestwire.spec import File, load

__all__ = ["Situation", "meant", "see_settled", "situation"]


@dataclass
class Situation:
    """A project's file on its host. `state` is how guestwire left it last, None where it isn't up."""

    file: File
    path: str
    host: str
    lab: bool
    store: Store
    state: State | None
    site: Site | None = None
    built_lab: Lab | None = None
    borrowed: frozenset[Key] = frozenset()
    way_in: str | None = None
    """The command with which a shell gets into a lab made without root."""
    seen: Picture | None = None
    found: Mapping[str, Found | Absent] = field(default_factory=dict)
    """Where its containers' namespaces are."""

    @property
    def project(self) -> str:
        """The project's name."""
        return self.file.name

    def plan(self, kernel: Kernel) -> Plan:
        """Read the host, compile the file for it, and plan. Raises FileError where the file is wrong for this host.

        Containers that don't run are left out; `see_all_there` refuses them.
        """
        self.found = led_to(kernel, self.file, self.host)
        led = [name for guest in self.found if kernel.is_led(name := f"{self.project}-{guest}")]
        seen = observe(kernel, self.host, [*related(self.project), *led])
        known = to_look_up(self.state) | dict.fromkeys(self._asked_for(seen))
        look_up(kernel, seen, askable(known))
        seen.add(*kept())
        claim(seen, self.state)
        site = self._site(seen)
        site.found = self.found
        compile_file(site)
        leave_out(site.desired.picture)
        if (site.flows or site.apart or site.doors) and self.host in seen.scope:
            with suppress(OSError):  # nft that isn't allowed to look; then nothing can be said
                site.judge(kernel.call(self.host, nftables.chains))
        if site.doors and self.host in seen.scope:
            site.see_doors(kernel.call(self.host, listeners))
        for where, nic, bridge in site.moving:
            site.hold(where, nic.name, bridge, kernel.call(self.host, partial(ties, nic.name, nic.index)))
        self.borrowed = frozenset(site.desired.borrowed)
        give_back(site.desired, seen, self.project, self.returned, self.heirs)
        look_up(kernel, seen, [key for key in named(site.desired.picture) if key not in known])
        self.site, self.seen = site, seen
        return make_plan(seen, site.desired, self.project, problem=site.problem)

    def see_all_there(self) -> None:
        """Raise FileError, or Unavailable, where a container that the file names doesn't run."""
        assert self.site is not None
        refuse_absent(self.site.absent.values(), self.found.values())

    def look(self, kernel: Kernel) -> None:
        """See anew what is there of the guests: once the plan is carried out."""
        assert self.site is not None
        self.seen = observe(kernel, self.host, related(self.project))
        look_up(kernel, self.seen, [key for key in named(self.site.desired.picture) if key.kind == DhcpClient.KIND])

    def after(self, plan: Plan) -> State:
        """The project's state once the plan is carried out."""
        assert self.site is not None
        old = self.state.loans if self.state else {}
        loans = {key: loan for key, loan in {**plan.loans(), **old}.items() if key in self.borrowed}
        uplinks = dict.fromkeys(self.site.uplink(n.uplink) for n in self.file.networks.values() if n.uplink)
        uses = dict.fromkeys([*(link.key for link in uplinks if link), *sorted(self.borrowed)])
        back = self.site.desired.borrowed - self.borrowed  # lies as it did before, and is the host's own
        keys = tuple(key for key in named(self.site.desired.picture) if key not in back)
        programs = self.state.living if self.state else ()
        renamed = self.file.renamed
        return State(self.project, self.host, self.lab, self.path, keys, loans, tuple(uses), programs, renamed)

    @property
    def returned(self) -> dict[Key, Thing]:
        """What was borrowed and the file has no more use for."""
        loans = self.state.loans if self.state else {}
        return {key: loan for key, loan in loans.items() if key not in self.borrowed}

    @cached_property
    def heirs(self) -> dict[Key, str]:
        """Which other project on this host uses what isn't its own."""
        return heirs_of(self.project, self.host)

    def _asked_for(self, seen: Picture) -> Iterator[Key]:
        """What of the host the networks and guests must know that is read only where it is asked for."""
        for network in self.file.networks.values():
            if isinstance(network, BuiltNetwork):
                yield from network.looks_at(seen, self.host)
        for instance in self.file.expand():
            if isinstance(instance.guest, BuiltGuest):
                yield from instance.guest.looks_at(instance.name, self.host)

    def _site(self, seen: Picture) -> Site:
        if self.lab:
            lab = self.built_lab = Lab(self.file, RUN)
            base = lab.picture()
            desired = Desired(base.copy())
            lans, elsewhere = lab.lans(), lab.elsewhere()
            return Site(self.file, lab.host, True, base, seen, self.store.folder, lans, desired, elsewhere=elsewhere)
        base = without_us(seen, self.host, self.project, self.state.loans if self.state else {})
        users = {key.name: project for key, project in self.heirs.items() if issubclass(kinds()[key.kind], Link)}
        return Site(self.file, self.host, False, base, seen, self.store.folder, users=users)


def situation(
    path: str | None, *, lab: bool, project: str | None, netns: str | None, changes: bool = False
) -> Situation:
    """Load a file and find out where it belongs, going into an ordinary user's lab of it where there is one.

    `changes` says that rights are needed in any case. Raises FileError, NotPermitted, or UsageError where lab and
    --netns meet.
    """
    path = path or DEFAULT_FILE
    file = load(path, networks=TYPES, guests=KINDS, project=project)
    way_in = get_in(file.name, lab=lab, changes=changes)
    store = Store(file.name)
    state = store.standing()
    if lab and netns:
        raise UsageError("--lab makes a host of its own, and --netns names another.", hint="Use one of them.")
    if state is not None and netns is None and not lab:
        lab, netns = state.lab, state.host
    lab = lab or (state is None and netns is None and _has_lab(file.name))
    host = f"{file.name}-host" if lab else netns or ""
    if not lab:
        see_there(netns)
    if state is not None and (state.lab, state.host) != (lab, host):
        place = "in a lab" if state.lab else f"on host {state.host or '(this one)'}"
        message = f"project {file.name} is up {place} already."
        raise FileError(message, hint="Take it down first, or give this one another name with --project.")
    place = path if path == "-" else str(Path(path).absolute())
    if state is not None and state.living:
        from guestwire.api.programs import with_programs  # only here: few projects have any

        file = with_programs(file, state.living)
    return Situation(file, place, host, lab, store, state, way_in=way_in)


def meant(
    path: str | None, *, lab: bool = False, project: str | None, netns: str | None, changes: bool = False
) -> Situation:
    """The same where no file need be named: then this folder's is meant, else that of what is up.

    Raises UsageError, too, where several are up and none is named, where the named one isn't, and where its file isn't
    known.
    """
    if path is None and (project is not None or not os.path.exists(DEFAULT_FILE)):
        path, project = _of_what_is_up(project)
    return situation(path, lab=lab, project=project, netns=netns, changes=changes)


def _of_what_is_up(project: str | None) -> tuple[str | None, str | None]:
    up = standing(project)
    if not up and project is not None and not os.path.exists(DEFAULT_FILE):
        hint = (
            f"`guestwire list` has those that are up; for another name its file: guestwire … FILE --project {project}."
        )
        raise UsageError(f"project {quote(project)} isn't up.", hint=hint)
    if not up:
        return None, project
    if len(up) > 1:
        names = " or ".join(sorted(state.project for state in up))
        raise UsageError("several projects are up.", hint=f"Say which is meant: --project {names}.")
    if not up[0].file or not os.path.isabs(up[0].file):
        message = f"project {up[0].project} was built from standard input."
        raise UsageError(message, hint=f"Give its file again: guestwire … FILE --project {up[0].project}.")
    return up[0].file, up[0].project


def _has_lab(project: str) -> bool:
    """Whether a project whose state was lost is in a lab, by the mark on its host."""
    host = f"{project}-host"
    return capable() and namespaces.exists(host) and owner_of(host) == project


def see_settled(kernel: Kernel, where: Situation, *, waiting: bool = False) -> None:
    """Raise Busy where a change of the project is under way or was broken off: what is there is not what stays.

    With `waiting` one that is whole and waits to be confirmed will do.
    """
    journal = where.store.journal()
    if journal is not None and not (waiting and journal.waits):
        with lock_of(kernel, where.project, journal.host, journal.lab):
            no_journal(where.project, where.host)
