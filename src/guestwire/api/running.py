"""run: gives a program a NIC of its own on a network that is up, for as long as the program runs.

The program is a guest of the project for that time (api/programs.py). What of the desired picture is otherwise with it
than without is what is made before, and what is taken away after it: two changes with journal and lock as any others,
and no more of the project is touched. A tap doesn't persist once it is open, so it goes with the program even where
guestwire was killed; what else is left then isn't wanted any more by the next `up`.
"""

from __future__ import annotations

import os
import re
import select
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from guestwire.api.programs import DESCRIPTOR, NAMESPACE, guest_of
from guestwire.api.situation import Situation, situation
from guestwire.api.work import at_work, named, usual_file
from guestwire.apply import Program, apply, preflight
from guestwire.compile import BuiltNetwork, Seat
from guestwire.errors import Busy, FileError, GuestwireError, NotPermitted, UsageError
from guestwire.linux import namespaces, tuntap
from guestwire.linux.accounts import user_number
from guestwire.linux.handing import FIRST, become_user, hand_over
from guestwire.linux.inside import go_in, run_prepared
from guestwire.linux.kernel import Kernel
from guestwire.linux.processes import started
from guestwire.nearest import nearest
from guestwire.picture import Desired
from guestwire.plan import Plan, make_plan
from guestwire.spec.report import quote
from guestwire.watch.web import Web, part

__all__ = ["Wish", "run"]

PATIENCE = 10  # seconds that another guestwire gets to be through with its work, before ours is left to the next `up`
INTERVAL = 0.1
WORDS = ("fd", "fds", "mac", "address", "name", "link", "network")
"""What a command's words may ask for in braces."""
_WORD = re.compile(r"\{(\{)?(" + "|".join(WORDS) + r")\}(?(1)\})")


@dataclass(frozen=True)
class Wish:
    """What NIC is wanted; what is None the network decides, or guestwire."""

    network: str
    device: str | None = None
    name: str | None = None
    address: str | None = None
    mac: str | None = None
    queues: int = 1
    vnet_header: bool = False
    user: str | None = None
    """Who the program runs as, in place of who calls."""


def run(
    command: Sequence[str], wish: Wish, *, path: str | None = None, project: str | None = None, netns: str | None = None
) -> tuple[int, str | None]:
    """Run a command with such a NIC; its exit code, and what of the NIC couldn't be taken away, where that is so.

    Raises UsageError, FileError, Busy and what `up` raises, with nothing changed and the command not run.
    """
    user = user_number(wish.user) if wish.user else None
    if wish.user and user is None:
        raise UsageError(f"there is no user {quote(wish.user)} on this machine.", hint="Write a name or number.")
    found = partial(situation, usual_file(path, project), lab=False, project=project, netns=netns, changes=True)
    nic = _Nic(found(), wish, shlex.join(command))
    try:
        fds = nic.plug_in()
        try:
            words = [_filled(word, nic.words(len(fds))) for word in command]
            prepare = partial(_prepare, nic, fds, wish, user)
            code = run_prepared(words, prepare, partial(_begun, nic, fds))
        except OSError as error:
            raise NotPermitted(f"the command can't be started: {error.strerror} ({error.filename}).") from error
        finally:
            _close(fds)
    except BaseException:
        nic.plug_out(found)
        raise
    return code, nic.plug_out(found)


def _prepare(nic: _Nic, fds: list[int], wish: Wish, user: int | None) -> None:
    """In the process that is about to become the program."""
    if nic.is_namespace:
        go_in(namespaces.open_namespace(nic.seat.netns), nic.seat.netns)
    if fds:
        hand_over(fds, wish.network)
    if user is not None:
        become_user(user)


def _begun(nic: _Nic, fds: list[int], pid: int) -> None:
    """The program has its descriptors: ours would keep a tap that it has closed."""
    _close(fds)
    nic.note(pid)


def _close(fds: list[int]) -> None:
    while fds:
        os.close(fds.pop())


def _filled(word: str, values: Mapping[str, str | None]) -> str:
    def value(match: re.Match[str]) -> str:
        if match[1]:
            return f"{{{match[2]}}}"
        found = values[match[2]]
        if found is None:
            message = f"{{{match[2]}}} stands in the command, and there is none."
            raise UsageError(message, hint=f"Write {{{{{match[2]}}}}} where the word itself is meant.")
        return found

    return _WORD.sub(value, word)


class _Nic:
    """The NIC of one program, on a project that is up."""

    def __init__(self, where: Situation, wish: Wish, command: str) -> None:
        if where.state is None:
            raise FileError(f"project {where.project} is not up.", hint="Bring it up first: `guestwire up`.")
        network = where.file.networks.get(wish.network)
        if not isinstance(network, BuiltNetwork):
            close = nearest(wish.network, list(where.file.networks))
            hint = f"Did you mean {close}?" if close else f"There is {', '.join(where.file.networks) or 'none'}."
            raise UsageError(f"project {where.project} has no network {quote(wish.network)}.", hint=hint)
        self.where, self.wish, self.network, self.command = where, wish, network, command
        self.device = wish.device or (network.devices[-1] if network.devices else NAMESPACE)
        self.is_namespace = self.device == NAMESPACE
        self._check()
        self.name = wish.name or self._free_name()
        self.guest = self._guest(wish.address, wish.mac)
        self.seat: Seat

    def _check(self) -> None:
        wish = self.wish
        if not self.is_namespace and self.device not in self.network.devices:
            can = ", ".join((*self.network.devices, NAMESPACE))
            message = f"network {wish.network} of type {self.network.type} has no {self.device} for a program."
            raise UsageError(message, hint=f"--device can be {can} there.")
        if self.is_namespace and (wish.queues > 1 or wish.vnet_header):
            option = "--queues" if wish.queues > 1 else "--vnet-header"
            raise UsageError(f"{option} is about a descriptor, and a namespace has a link.", hint="Leave it out.")
        if wish.name in self.where.file.guests:
            raise UsageError(f"there is a guest {wish.name} already.", hint="Give the program another --name.")

    def _free_name(self) -> str:
        number = 1
        while (name := f"run-{number}") in self.where.file.guests:
            number += 1
        return name

    def _guest(self, address: str | Sequence[str] | None, mac: str | None) -> dict[str, Any]:
        """The guest that the program is, in a file's words."""
        nic = {"network": self.wish.network, "address": address, "mac": mac}
        kind: dict[str, Any] = {"kind": NAMESPACE}
        if not self.is_namespace:
            nic["device"] = self.device
            kind = {"kind": DESCRIPTOR, "queues": self.wish.queues}
        return {**kind, "nics": [{key: value for key, value in nic.items() if value}]}

    def words(self, descriptors: int) -> dict[str, str | None]:
        """What stands for each word in braces."""
        numbers = [str(number) for number in range(FIRST, FIRST + descriptors)]
        plain = next((each.partition("/")[0] for each in self.seat.addresses), None)
        return {
            "fd": numbers[0] if numbers else None,
            "fds": ":".join(numbers) or None,
            "mac": None if self.device == "tun" else self.seat.mac,
            "address": plain,
            "name": self.name,
            "link": self.seat.link,
            "network": self.wish.network,
        }

    # In

    def plug_in(self) -> list[int]:
        """Make the NIC, and open it as often as is wished; a namespace has nothing to open."""
        where = self.where
        with at_work(where.project, where.host, where.lab) as kernel:
            without = self._desired(kernel, where)
            self._see_that_it_is_up(where)
            more = replace(where, file=where.file.with_guests({self.name: guest_of(self.guest)}))
            desired = self._desired(kernel, more)
            assert more.site is not None
            self.seat = more.site.seats[self.name, 0]
            self._see_that_it_is_free(where)
            # From now on it has what it was given, whoever comes after it.
            self.guest = self._guest(self.seat.addresses, self.seat.mac)
            made = self._difference(more, without, desired)
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
        link = self.network.link(where.site)
        if link and not any(key.netns == where.host and key.name == link for key in where.seen.values):
            message = f"network {self.network.name} isn't up: there is no link {link}."
            raise FileError(message, hint="`guestwire up` makes it.")

    def _see_that_it_is_free(self, where: Situation) -> None:
        """Refuse an address or MAC that a guest has."""
        assert where.site is not None
        plain = {each.partition("/")[0] for each in self.seat.addresses}
        for (guest, _), seat in where.site.seats.items():
            if not plain.isdisjoint(each.partition("/")[0] for each in seat.addresses):
                raise UsageError(f"--address {self.wish.address} is guest {guest}'s.", hint="Use another, or none.")
            if self.seat.mac == seat.mac:
                raise UsageError(f"--mac {seat.mac} is guest {guest}'s.", hint="Use another, or none.")

    def _opened(self) -> list[int]:
        fds: list[int] = []
        try:
            for _ in range(0 if self.is_namespace else self.wish.queues):
                fds.append(self._open(multi_queue=self.wish.queues > 1))
            if fds and self.device != "macvtap":
                tuntap.set_persistent(fds[0], False)
        except BaseException:
            _close(fds)
            raise
        return fds

    def _open(self, *, multi_queue: bool) -> int:
        header = self.wish.vnet_header
        if self.device == "macvtap":
            return tuntap.open_macvtap(self.seat.host_link, vnet_header=header, multi_queue=multi_queue)
        tun = self.device == "tun"
        return tuntap.attach(self.seat.host_link, tun=tun, vnet_header=header, multi_queue=multi_queue)

    def note(self, pid: int) -> None:
        """Have the state say that the NIC is that process's: where guestwire is killed, the program has it yet."""
        where = self.where
        program = Program(self.name, self.guest, pid, started(pid) or 0, self.command)
        with suppress(GuestwireError), _patiently(where) as _:
            state = where.store.state()
            if state is not None:
                others = tuple(each for each in state.programs if each.name != self.name)
                where.store.write(replace(state, programs=(*others, program)))

    # Out

    def plug_out(self, found: Callable[[], Situation]) -> str | None:
        """Take the NIC away; what is against it, where it has to be left to the next `up`."""
        try:
            where = found()
            if where.state is None or all(each.name != self.name for each in where.state.programs):
                return None  # somebody has taken the project down, or has noticed that the program has ended
            with _patiently(where) as kernel:
                self._unplug(kernel, found())
        except GuestwireError as error:
            return f"{error.problems[0].message} The NIC of {self.name} is left to the next `guestwire up`."
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
