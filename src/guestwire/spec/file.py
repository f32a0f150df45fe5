"""The whole file as one value: its networks and guests by name, who is plugged where, and the place of each value."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

from pydantic import Field

from guestwire.errors import FileError, Problem
from guestwire.places import PLACES
from guestwire.spec.expect import Expectation
from guestwire.spec.models import Guest, Lab, Network, Nic, Part
from guestwire.spec.report import Places, Where, subject

__all__ = ["File", "Instance", "Plug", "numbered"]

_NUMBERED = re.compile(r"(.+)-([1-9][0-9]{0,5})")


class Instance(NamedTuple):
    """One concrete guest: with `count`, one of many."""

    name: str
    guest: Guest
    ordinal: int
    """Which of its `count`, from 0."""


class Plug(NamedTuple):
    """A NIC as the file has it; it stands for `guest.number` NICs."""

    guest: Guest
    nic: Nic


class File(Part):
    """All that a file says. `spec.load` makes one that has been checked; one made in Python has no places."""

    name: str = Field(description="the project's name; else that of the file's folder")
    lab: Lab = Field(Lab(), description="how a lab behaves; only --lab makes one")
    networks: dict[str, Network] = Field({}, description="the networks, by name")
    guests: dict[str, Guest] = Field({}, description="the guests, by name")
    expect: tuple[Expectation, ...] = Field((), description="who shall reach whom; `check` measures it")

    __slots__ = ("_own_name", "_source")
    _own_name: ClassVar[str]
    _source: ClassVar[Places]

    def model_post_init(self, context: Any, /) -> None:
        self.lab.put(("lab",))
        for name, network in self.networks.items():
            network.put(("networks", name))
        for name, guest in self.guests.items():
            guest.put(("guests", name))
        for i, expectation in enumerate(self.expect):
            expectation.put(expectation.path or ("expect", i))

    def located(self, source: Places, own_name: str) -> File:
        """Itself, now knowing the place of each value, and how the file calls the project where it was given a name."""
        object.__setattr__(self, "_source", source)
        object.__setattr__(self, "_own_name", own_name)
        return self

    @property
    def renamed(self) -> bool:
        """Whether the project isn't called as the file says."""
        return self.name != getattr(self, "_own_name", self.name)

    def with_guests(self, guests: Mapping[str, Guest]) -> File:
        """The same file with some guests more."""
        own = {name: getattr(self, name) for name in type(self).model_fields}
        source: Places | None = getattr(self, "_source", None)
        more = File(**{**own, "guests": {**self.guests, **guests}})
        return more.located(source, self._own_name) if source is not None else more

    def problem(self, where: Where, message: str, hint: str | None = None) -> Problem:
        """A problem of the value at this path, or its nearest ancestor, with whose it is put before the message.

        ``file.problem(("networks", "lan", "uplink"), "eth0 is Wi-Fi.", "Use …")`` says ``network "lan": eth0 is …``.
        """
        message = subject(where, message)
        source: Places | None = getattr(self, "_source", None)
        if source is None:
            return Problem(message, hint)
        mark = source.place(where)
        return Problem(message, hint, source.file, mark.line, mark.column)

    @property
    def folder(self) -> str:
        """The folder that paths in the file are from: the file's own; the current one where it has none."""
        source: Places | None = getattr(self, "_source", None)
        return os.path.dirname(source.file) if source is not None else ""

    def error(self, where: Where, message: str, hint: str | None = None) -> FileError:
        """The same as an error to raise, for a stage that finds one thing at a time."""
        return FileError(self.problem(where, message, hint))

    def expand(self) -> tuple[Instance, ...]:
        """Every concrete guest, in the file's order; made once."""
        return tuple(self._instances.values())

    def instance(self, name: str) -> Instance | None:
        """The concrete guest of this name, or None."""
        return self._instances.get(name)

    def members(self, name: str) -> tuple[str, ...]:
        """Whom a name in an expectation means: itself, or each guest of a `count`; none where there is no such name."""
        guest = self.guests.get(name)
        if guest is not None and guest.count is not None:
            return tuple(f"{name}-{i}" for i in range(1, guest.count + 1))
        return (name,) if guest is not None or name in PLACES or name in self._instances else ()

    def plugs(self, network: str) -> tuple[Plug, ...]:
        """The NICs on this network, as the file has them."""
        return tuple(self._plugs.get(network, ()))

    def ports(self, network: str) -> int:
        """How many NICs are on this network once `count` is expanded."""
        return sum(plug.guest.number for plug in self._plugs.get(network, ()))

    @cached_property
    def _instances(self) -> dict[str, Instance]:
        made: dict[str, Instance] = {}
        for name, guest in self.guests.items():
            if guest.count is None:
                made[name] = Instance(name, guest, 0)
            else:
                made.update((full := f"{name}-{i + 1}", Instance(full, guest, i)) for i in range(guest.count))
        return made

    @cached_property
    def _plugs(self) -> dict[str, list[Plug]]:
        plugs: dict[str, list[Plug]] = {}
        for guest in self.guests.values():
            for nic in guest.nics:
                plugs.setdefault(nic.network, []).append(Plug(guest, nic))
        return plugs


def numbered(name: str, guests: Mapping[str, int | None]) -> str | None:
    """The guest with a `count` that one of this name comes from (``many-7`` from ``many``), or None."""
    match = _NUMBERED.fullmatch(name)
    if not match:
        return None
    count = guests.get(match[1])
    return match[1] if count is not None and int(match[2]) <= count else None
