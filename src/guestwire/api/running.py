"""run: gives a program NICs of its own on networks that are up, for as long as the program runs.

The program is a guest of the project for that time (api/programs.py). What of the desired picture is otherwise with it
than without is what is made before, and what is taken away after it: two changes with journal and lock as any others,
and no more of the project is touched. A tap doesn't persist once it is open, so it goes with the program even where
guestwire was killed; what else is left then isn't wanted any more by the next `up`.
"""

from __future__ import annotations

import os
import select
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest
from typing import Any, NamedTuple

from guestwire.api.braces import Asked, filled
from guestwire.api.leases import PATIENCE as ANSWERED
from guestwire.api.programs import DESCRIPTOR, NAMESPACE, guest_of
from guestwire.api.situation import Situation, meant, situation
from guestwire.api.work import at_work, named
from guestwire.apply import Program, apply, preflight
from guestwire.compile import BuiltNetwork, Seat
from guestwire.errors import Busy, FileError, GuestwireError, NotPermitted, Problem, UsageError
from guestwire.kinds.dhcp import DhcpClient, without_lease
from guestwire.linux import namespaces, tuntap
from guestwire.linux.accounts import user_number
from guestwire.linux.handing import become_user, hand_over
from guestwire.linux.inside import STDERR, STDOUT, go_in, run_prepared
from guestwire.linux.kernel import Kernel
from guestwire.linux.processes import started
from guestwire.naming import name_fault
from guestwire.nearest import nearest
from guestwire.picture import Desired
from guestwire.places import PLACES
from guestwire.plan import Plan, make_plan
from guestwire.printable import quote
from guestwire.watch.web import Web, part

__all__ = ["Ran", "Wish", "run"]

PATIENCE = 10  # seconds that another guestwire gets to be through with its work, before ours is left to the next `up`
INTERVAL = 0.1


@dataclass(frozen=True)
class Wish:
    """What NICs are wanted, one on each of the networks; what is None or left out the network decides, or guestwire.

    Addresses and MACs are in the networks' order.
    """

    networks: Sequence[str]
    device: str | None = None
    name: str | None = None
    addresses: Sequence[str] = ()
    macs: Sequence[str] = ()
    queues: int = 1
    vnet_header: bool = False
    user: str | None = None
    """Who the program runs as, in place of who calls."""
    silent: bool = False
    """Whether what it writes to standard output goes to standard error."""


class Ran(NamedTuple):
    """How a program ended, and what it had. `left` is what of it couldn't be taken away, where that is so."""

    code: int
    guest: str
    nics: tuple[dict[str, Any], ...]
    left: str | None

    def to_json(self) -> dict[str, Any]:
        """As JSON knows it."""
        return {"guest": self.guest, "code": self.code, "nics": list(self.nics), "left": self.left}


def run(
    command: Sequence[str],
    wish: Wish,
    *,
    path: str | None = None,
    project: str | None = None,
    netns: str | None = None,
    warn: Callable[[Problem], None] = lambda warning: None,
) -> Ran:
    """Run a command with such NICs. `warn` is told of those that have no address yet as it begins.

    Raises UsageError, FileError, Busy and what `up` raises, with nothing changed and the command not run.
    """
    user = user_number(wish.user) if wish.user else None
    if wish.user and user is None:
        raise UsageError(f"there is no user {quote(wish.user)} on this machine.", hint="Write a name or number.")
    where = meant(path, project=project, netns=netns, changes=True)
    nics = _Nics(where, wish, shlex.join(command))
    again = partial(situation, where.path, lab=False, project=where.project, netns=netns, changes=True)
    try:
        fds = nics.plug_in()
        try:
            words = [filled(word, nics.asked()) for word in command]
            for link in nics.without_lease():
                warn(Problem(f"no DHCP server has answered {link} of {nics.name} yet.", "It goes on asking."))
            prepare = partial(_prepare, nics, fds, user)
            code = run_prepared(words, prepare, partial(_begun, nics, fds))
        except OSError as error:
            raise NotPermitted(f"the command can't be started: {error.strerror} ({error.filename}).") from error
        finally:
            _close(fds)
    except BaseException:
        nics.plug_out(again)
        raise
    return Ran(code, nics.name, nics.to_json(), nics.plug_out(again))


def _prepare(nics: _Nics, fds: list[int], user: int | None) -> None:
    """In the process that is about to become the program."""
    if nics.is_namespace:
        netns = nics.seats[0].netns
        go_in(namespaces.open_namespace(netns), netns)
    if nics.wish.silent:
        os.dup2(STDERR, STDOUT)
    if fds:
        hand_over(fds, [network for network in nics.wish.networks for _ in range(nics.wish.queues)])
    if user is not None:
        become_user(user)


def _begun(nics: _Nics, fds: list[int], pid: int) -> None:
    """The program has its descriptors: ours would keep a tap that it has closed."""
    _close(fds)
    nics.note(pid)


def _close(fds: list[int]) -> None:
    while fds:
        os.close(fds.pop())


class _Nics:
    """The NICs of one program, on a project that is up."""

    def __init__(self, where: Situation, wish: Wish, command: str) -> None:
        if where.state is None:
            raise FileError(f"project {where.project} is not up.", hint="Bring it up first: `guestwire up`.")
        self.where, self.wish, self.command = where, wish, command
        self.networks = [self._network(name) for name in wish.networks]
        self.devices = [wish.device or [NAMESPACE, *network.devices][-1] for network in self.networks]
        self.is_namespace = NAMESPACE in self.devices
        self._check()
        self.name = wish.name or self._free_name()
        self.guest = self._guest(wish.addresses, wish.macs)
        self.seats: list[Seat] = []
        self.clients: list[DhcpClient] = []

    def _network(self, name: str) -> BuiltNetwork:
        known = self.where.file.networks
        network = known.get(name)
        if not isinstance(network, BuiltNetwork):
            close = nearest(name, list(known))
            hint = f"Did you mean {close}?" if close else f"There is {', '.join(known) or 'none'}."
            raise UsageError(f"project {self.where.project} has no network {quote(name)}.", hint=hint)
        return network

    def _check(self) -> None:
        wish = self.wish
        for network, device in zip(self.networks, self.devices, strict=True):
            if device != NAMESPACE and device not in network.devices:
                can = ", ".join((*network.devices, NAMESPACE))
                message = f"network {network.name} of type {network.type} has no {device} for a program."
                raise UsageError(message, hint=f"--device can be {can} there.")
            if (device == NAMESPACE) != self.is_namespace:
                message = "a program gets descriptors or a namespace, and not each of its networks has a descriptor."
                raise UsageError(message, hint="--namespace gives it a link on each.")
        if len(set(wish.networks)) < len(wish.networks):
            raise UsageError("a network is named twice: a program gets one NIC on each.", hint="Name it once.")
        for option, given in (("--address", wish.addresses), ("--mac", wish.macs)):
            if len(given) > len(self.networks):
                raise UsageError(f"there are more {option} than --network.", hint="They are in the networks' order.")
        if self.is_namespace and (wish.queues > 1 or wish.vnet_header):
            option = "--queues" if wish.queues > 1 else "--vnet-header"
            raise UsageError(f"{option} is about a descriptor, and a namespace has a link.", hint="Leave it out.")
        other = "Give the program another --name."
        if wish.name and (fault := name_fault(wish.name, "program")):
            raise UsageError(f"--name: {fault[0]}", hint=fault[1])
        if wish.name and wish.name.lower() in PLACES:
            raise UsageError(f"{wish.name} means the {wish.name} itself.", hint=other)
        if wish.name and self._is_guest(wish.name):
            raise UsageError(f"there is a guest {wish.name} already.", hint=other)

    def _free_name(self) -> str:
        number = 1
        while self._is_guest(name := f"run-{number}"):
            number += 1
        return name

    def _is_guest(self, name: str) -> bool:
        """Whether the file has one of that name, of a `count` too."""
        return name in self.where.file.guests or self.where.file.instance(name) is not None

    def _guest(self, addresses: Sequence[str | Sequence[str]], macs: Sequence[str]) -> dict[str, Any]:
        """The guest that the program is, in a file's words."""
        nics = []
        for network, device, address, mac in zip_longest(self.wish.networks, self.devices, addresses, macs):
            nic = {"network": network, "address": address, "mac": mac}
            nic["device"] = None if self.is_namespace else device
            nics.append({key: value for key, value in nic.items() if value})
        kind = {"kind": NAMESPACE} if self.is_namespace else {"kind": DESCRIPTOR, "queues": self.wish.queues}
        return {**kind, "nics": nics}

    def asked(self) -> list[Asked]:
        """The NICs as a command's words may ask for them."""
        each = 0 if self.is_namespace else self.wish.queues
        return [
            Asked(
                self.name,
                seat.nic.network,
                seat.link,
                None if device == "tun" else seat.mac,
                next((address.partition("/")[0] for address in seat.addresses), None),
                place * each,
                each,
            )
            for place, (seat, device) in enumerate(zip(self.seats, self.devices, strict=True))
        ]

    def to_json(self) -> tuple[dict[str, Any], ...]:
        """The NICs as JSON knows them."""
        return tuple(
            {
                "network": seat.nic.network,
                "device": device,
                "link": seat.link,
                "mac": None if device == "tun" else seat.mac,
                "addresses": list(seat.addresses),
            }
            for seat, device in zip(self.seats, self.devices, strict=True)
        )

    def without_lease(self) -> list[str]:
        """The links whose DHCP clients have none once they were waited for."""
        return [client.link for client in without_lease(self.clients, ANSWERED)] if self.is_namespace else []

    # In

    def plug_in(self) -> list[int]:
        """Make the NICs, and open each as often as is wished; a namespace has nothing to open."""
        where = self.where
        with at_work(where.project, where.host, where.lab) as kernel:
            without = self._desired(kernel, where)
            self._see_that_it_is_up(where)
            more = replace(where, file=where.file.with_guests({self.name: guest_of(self.guest)}))
            desired = self._desired(kernel, more)
            assert more.site is not None
            self.seats = [more.site.seats[self.name, place] for place in range(len(self.networks))]
            self._see_that_it_is_free(where)
            # From now on it has what it was given, whoever comes after it.
            self.guest = self._guest([seat.addresses for seat in self.seats], [seat.mac for seat in self.seats])
            made = self._difference(more, without, desired)
            self.clients = [each for each in desired.picture.of(DhcpClient) if each.netns == self.seats[0].netns]
            pid = os.getpid()
            program = Program(self.name, self.guest, pid, started(pid) or 0, self.command)
            assert where.state is not None
            keys = [key for key in named(desired.picture) if key not in named(without.picture)]
            names = tuple(dict.fromkeys([*where.state.named, *keys]))
            state = replace(where.state, named=names, programs=(*where.state.living, program))
            preflight(kernel, made)
            apply(kernel, made, where.store, where.host, state)
            return kernel.call(where.host, self._opened)

    def _desired(self, kernel: Kernel, where: Situation) -> Desired:
        where.plan(kernel)
        assert where.site is not None
        return where.site.desired

    def _difference(self, where: Situation, old: Desired, new: Desired) -> Plan:
        """The steps that a program's coming or going takes, and none of those that the project may need besides."""
        assert where.site is not None
        assert where.seen is not None
        before, after = old.picture, new.picture
        keys = {key for key in {*before.values, *after.values} if before.get(key) != after.get(key)}
        seen, wanted = Web(where.seen, where.seen.scope), Desired(Web(new.picture), new.absent, new.borrowed)
        return make_plan(*part(seen, wanted, keys), where.project, problem=where.site.problem)

    def _see_that_it_is_up(self, where: Situation) -> None:
        assert where.site is not None
        assert where.seen is not None
        there = {key.name for key in where.seen.values if key.netns == where.host}
        for network in self.networks:
            link = network.link(where.site)
            if link and link not in there:
                message = f"network {network.name} isn't up: there is no link {link}."
                raise FileError(message, hint="`guestwire up` makes it.")

    def _see_that_it_is_free(self, where: Situation) -> None:
        """Refuse an address or MAC that a guest has."""
        assert where.site is not None
        macs = {seat.mac for seat in self.seats}
        plain = {each.partition("/")[0] for seat in self.seats for each in seat.addresses}
        for (guest, _), seat in where.site.seats.items():
            for address in plain.intersection(each.partition("/")[0] for each in seat.addresses):
                raise UsageError(f"--address {address} is guest {guest}'s.", hint="Use another, or none.")
            if seat.mac in macs:
                raise UsageError(f"--mac {seat.mac} is guest {guest}'s.", hint="Use another, or none.")

    def _opened(self) -> list[int]:
        fds: list[int] = []
        try:
            for seat, device in zip(self.seats, self.devices, strict=True) if not self.is_namespace else ():
                for _ in range(self.wish.queues):
                    fds.append(self._open(seat.host_link, device))
                if device != "macvtap":
                    tuntap.set_persistent(fds[-1], False)
        except BaseException:
            _close(fds)
            raise
        return fds

    def _open(self, link: str, device: str) -> int:
        header, several = self.wish.vnet_header, self.wish.queues > 1
        if device == "macvtap":
            return tuntap.open_macvtap(link, vnet_header=header, multi_queue=several)
        return tuntap.attach(link, tun=device == "tun", vnet_header=header, multi_queue=several)

    def note(self, pid: int) -> None:
        """Have the state say that the NICs are that process's: where guestwire is killed, the program has them yet."""
        where = self.where
        program = Program(self.name, self.guest, pid, started(pid) or 0, self.command)
        with suppress(GuestwireError), _patiently(where) as _:
            state = where.store.state()
            if state is not None:
                others = tuple(each for each in state.programs if each.name != self.name)
                where.store.write(replace(state, programs=(*others, program)))

    # Out

    def plug_out(self, found: Callable[[], Situation]) -> str | None:
        """Take the NICs away; what is against it, where they have to be left to the next `up`."""
        try:
            where = found()
            if where.state is None or all(each.name != self.name for each in where.state.programs):
                return None  # somebody has taken the project down, or has noticed that the program has ended
            with _patiently(where) as kernel:
                self._unplug(kernel, found())
        except GuestwireError as error:
            return f"{error.problems[0].message} The NICs of {self.name} are left to the next `guestwire up`."
        return None

    def _unplug(self, kernel: Kernel, where: Situation) -> None:
        if where.state is None:
            return
        state = where.state
        others = tuple(each for each in state.living if each.name != self.name)
        guests = {name: guest for name, guest in where.file.guests.items() if name != self.name}
        bare = where.file.model_copy(update={"guests": guests}).with_guests({})
        less = replace(where, file=bare)
        with_it = replace(where, file=bare.with_guests({self.name: guest_of(self.guest)}))
        old = self._desired(kernel, with_it)
        new = self._desired(kernel, less)
        made = self._difference(less, old, new)
        gone = set(named(old.picture)) - set(named(new.picture))
        names = tuple(key for key in state.named if key not in gone)
        after = replace(state, named=names, programs=others)
        if made:
            apply(kernel, made, where.store, where.host, after)
        else:
            where.store.write(after)


@contextmanager
def _patiently(where: Situation) -> Iterator[Kernel]:
    """As `at_work`, where another guestwire is waited for that is at work meanwhile."""
    deadline = time.monotonic() + PATIENCE
    with ExitStack() as stack:
        while True:
            try:
                kernel = stack.enter_context(at_work(where.project, where.host, where.lab))
                break
            except Busy:
                if time.monotonic() > deadline:
                    raise
            select.select([], [], [], INTERVAL)
        yield kernel
