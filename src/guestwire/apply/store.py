"""What the kernel can't hold of a project: its file's place, what it borrowed, and the journal of an unsettled change.

A journal of `up --confirm` says how long it shall wait, and once the change is whole, until when. Beside it lies the
pid of the process that takes the change back then (api/timer.py).

It lies under /run/guestwire/PROJECT/, which a reboot forgets as the kernel forgets the rest. Files are written beside
and renamed, so each is whole or not there; nothing is synced, since what a power cut loses here it loses in the kernel
too.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import dataclass, field
from typing import Any

from guestwire.errors import Unavailable
from guestwire.kinds import Link, Thing, kinds
from guestwire.kinds.pidfile import end
from guestwire.linux.processes import started
from guestwire.picture import Key
from guestwire.places import RUN
from guestwire.plan import Plan

__all__ = ["Entry", "Journal", "Program", "State", "Store", "Timer", "projects"]


@dataclass(frozen=True)
class Program:
    """A program that `run` gave a NIC: the guest that it is, in a file's words, and the process that has the NIC."""

    name: str
    guest: dict[str, Any]
    pid: int
    start: int
    command: str

    @property
    def lives(self) -> bool:
        """Whether its process is there."""
        return started(self.pid) == self.start


@dataclass(frozen=True)
class State:
    """A project that is up. `host` is its host's namespace, `named` the keys of what must be asked for by name.

    `uses` are the keys of what isn't ours and it needs as it is now: its uplinks, and all that it borrowed or found
    right already. `loans` are those of them that it is to give back, as they were. `programs` are guests besides those
    of the file, each for as long as it runs. `renamed` says that the project isn't called as its file says.
    """

    project: str
    host: str
    lab: bool = False
    file: str | None = None
    named: tuple[Key, ...] = ()
    loans: dict[Key, Thing] = field(default_factory=dict)
    uses: tuple[Key, ...] = ()
    programs: tuple[Program, ...] = ()
    renamed: bool = False

    @property
    def living(self) -> tuple[Program, ...]:
        """The programs that run yet."""
        return tuple(program for program in self.programs if program.lives)

    def to_json(self) -> dict[str, Any]:
        """As JSON knows it."""
        loans = [[*key, value.to_json()] for key, value in self.loans.items()]
        named, uses = ([list(key) for key in keys] for keys in (self.named, self.uses))
        programs = [program.__dict__ for program in self.programs]
        return {**self.__dict__, "named": named, "uses": uses, "loans": loans, "programs": programs}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> State:
        """What `to_json` gave, as a state again; an older version's may lack what this one knows.

        Raises LookupError, TypeError or ValueError where it is nothing of ours.
        """
        loans = {Key(*key): _thing(value) for *key, value in data.get("loans", ())}
        named = tuple(Key(*key) for key in data.get("named", ()))
        uses = tuple(Key(*key) for key in data.get("uses", loans))
        programs = tuple(Program(**each) for each in data.get("programs", ()))
        return cls(**{**data, "named": named, "loans": loans, "uses": uses, "programs": programs})


@dataclass(frozen=True)
class Entry:
    """What one key was before the change, and of what was to come or go there as much as tells it from a stranger's.

    `mac` is that of a link that was to come, `marked` whether what was to come bears our mark, `goes` whether what was
    there was to go. `comes` is what was to come past the point of return, in the place of what was ended there.
    """

    key: Key
    before: Thing | None
    mac: str | None
    marked: bool
    goes: bool
    comes: Thing | None = None


@dataclass(frozen=True)
class Journal:
    """A change that was begun and not settled. Past its commit point it can only be finished.

    `pid` and `start` are of the process that made it. `confirm` are the seconds that it shall wait to be confirmed,
    None where it needn't be; `deadline` is until when it waits, on the monotonic clock, None where it isn't whole.
    """

    host: str
    entries: tuple[Entry, ...]
    before: State | None
    after: State | None
    committed: bool
    pid: int
    start: int
    confirm: int | None = None
    deadline: float | None = None

    @property
    def waits(self) -> bool:
        """Whether the change is whole, and waits to be confirmed."""
        return self.deadline is not None and not self.committed

    @property
    def left(self) -> float:
        """The seconds that are left to confirm it; below 0 where that time is over."""
        return (self.deadline or 0) - time.monotonic()

    @property
    def is_under_way(self) -> bool:
        """Whether the process that makes the change is at it yet."""
        return self.deadline is None and started(self.pid) == self.start

    @property
    def lab(self) -> bool:
        """Whether the project is, or was to be, in a lab."""
        state = self.after or self.before
        return bool(state and state.lab)


@dataclass(frozen=True)
class Timer:
    """The process that takes a change back unless it is confirmed in time; `unit` is its systemd service, or ""."""

    pid: int
    start: int
    unit: str = ""

    @property
    def lives(self) -> bool:
        """Whether it is there."""
        return started(self.pid) == self.start


class Store:
    """The folder of one project."""

    def __init__(self, project: str, root: str = "") -> None:
        self.project = project
        self.folder = f"{root}{RUN}/{project}"
        self._journal = f"{self.folder}/journal"
        self._state = f"{self.folder}/state.json"
        self._timer = f"{self.folder}/timer.json"

    def state(self) -> State | None:
        """The project as it was last left, or None where it isn't up.

        Raises Unavailable where what is there can't be read: a newer version's, say.
        """
        try:
            with open(self._state) as file:
                return State.from_json(json.load(file))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            message = f"{self._state} can't be read ({error}): another version of guestwire wrote it, or somebody else."
            hint = (
                f"Take project {self.project} down with that version. Or remove the file: its links and namespaces "
                "are found by their marks then, but nothing that it borrowed is given back."
            )
            raise Unavailable(message, hint=hint) from error

    def stamp(self) -> tuple[int, int] | None:
        """What changes with each writing of the state, None where there is none."""
        try:
            seen = os.stat(self._state)
        except FileNotFoundError:
            return None
        return seen.st_ino, seen.st_mtime_ns

    def write(self, state: State | None) -> None:
        """Keep a state, or with None forget the project; its folder goes when nothing else is in it."""
        if state is not None:
            self._put(self._state, json.dumps(state.to_json()))
            return
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._state)

    def standing(self) -> State | None:
        """The project as it stands now: also a change that waits to be confirmed counts."""
        journal = self.journal()
        return journal.after if journal is not None and journal.waits else self.state()

    def begin(self, plan: Plan, host: str, after: State | None, confirm: int | None = None) -> None:
        """Write the journal of a change that is about to be made: for each key that it touches, what was there.

        With `confirm` it shall wait so many seconds to be confirmed.

        Raises OSError (say ENOSPC) with nothing written; then no step may run.
        """
        before = self.state()
        head = {
            "host": host,
            "pid": os.getpid(),
            "start": started(os.getpid()),
            "confirm": confirm,
            "before": before and before.to_json(),
            "after": after and after.to_json(),
        }
        steps = [(step.key, step) for step in plan.steps]
        macs = {key: step.value.mac for key, step in steps if isinstance(step.value, Link)}
        made = {key for key, step in steps if step.action == "create"}
        late = {key: step.value.to_json() for key, step in steps if step.action == "create" and step.late}
        goes = {key for key, step in steps if step.action == "delete" and not step.early} - made
        marked = {key for key, step in steps if step.value.MARKED and step.value.owner == plan.project}
        lines = [json.dumps(head)]
        for key, value in plan.touched().items():
            old = None if value is None else value.to_json()
            entry = [*key, old, macs.get(key), key in marked, key in goes, late.get(key)]
            lines.append(json.dumps(entry, separators=(",", ":")))
        self._put(self._journal, "\n".join(lines) + "\n")

    def commit(self) -> None:
        """Mark the point from which the change can only go forward."""
        with open(self._journal, "a") as file:
            file.write("commit\n")

    def wait(self, deadline: float) -> None:
        """Note that the change is whole, and until when it waits to be confirmed. Raises OSError with nothing noted.

        The journal is renamed to its place again, which who watches the folder sees.
        """
        with open(self._journal) as file:
            self._put(self._journal, f"{file.read()}waiting {deadline}\n")

    def tell_timer(self, timer: Timer) -> None:
        """Note who will take the change back."""
        self._put(self._timer, json.dumps(timer.__dict__))

    def timer(self) -> Timer | None:
        """Who will take the change back, or was to and has ended; None where nobody."""
        try:
            with open(self._timer) as file:
                return Timer(**json.load(file))
        except FileNotFoundError:
            return None

    @property
    def has_journal(self) -> bool:
        """Whether there is a journal of an unsettled change, that can be read or not."""
        return os.path.exists(self._journal)

    def journal(self) -> Journal | None:
        """The journal of an unsettled change, or None. Raises Unavailable where what is there can't be read."""
        try:
            with open(self._journal) as file:
                return self._parsed(file.read())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            message = (
                f"{self._journal} can't be read ({error}): another version of guestwire wrote it, or somebody else."
            )
            hint = (
                f"Settle project {self.project} with that version's `guestwire rollback`. Or remove the file: what the "
                f"change has made is found by its marks then, and `guestwire down --project {self.project}` ends it, "
                "but nothing that it borrowed is given back."
            )
            raise Unavailable(message, hint=hint) from error

    def _parsed(self, text: str) -> Journal:
        first, *rest, _ = text.split("\n")  # a commit that found no room for its end is none
        head = json.loads(first)
        said = dict([*line.split(), ""][:2] for line in rest if not line.startswith("["))
        deadline = float(said["waiting"]) if "waiting" in said else None
        entries = []
        for line in (line for line in rest if line.startswith("[")):
            *key, old, mac, marked, goes, comes = json.loads(line)
            things = (None if each is None else _thing(each) for each in (old, comes))
            entries.append(Entry(Key(*key), next(things), mac, marked, goes, next(things)))
        before, after = (State.from_json(head[name]) if head[name] else None for name in ("before", "after"))
        made_by = head["pid"], head["start"]
        return Journal(
            head["host"], tuple(entries), before, after, "commit" in said, *made_by, head["confirm"], deadline
        )

    def settled(self) -> None:
        """Forget the journal; where the project isn't up, its folder too, with what its processes left there.

        None of them lives any more: a socket or pid file is that of one which was killed. Who was to take the change
        back ends, unless that is us.
        """
        timer = self.timer()
        if self.state() is None:
            with contextlib.suppress(FileNotFoundError):
                for entry in list(os.scandir(self.folder)):
                    if entry.path != self._journal and not entry.is_dir(follow_symlinks=False):
                        os.unlink(entry.path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._journal)
        if timer is not None and timer.lives and timer.pid != os.getpid():
            end(timer.pid, lambda pid: timer.lives)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._timer)
        for folder in (self.folder, RUN):
            with contextlib.suppress(OSError):
                os.rmdir(folder)

    def _put(self, path: str, content: str) -> None:
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        beside = f"{path}.{os.getpid()}.new"  # by which `tidy` knows whether anybody writes it yet
        try:
            with open(beside, "w") as file:
                file.write(content)
            os.rename(beside, path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(beside)
            for folder in (self.folder, RUN):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
            raise


def projects() -> list[str]:
    """The projects that have a folder, sorted: those that are up, and those with an unsettled journal."""
    try:
        return sorted(name for name in os.listdir(RUN) if os.path.isdir(f"{RUN}/{name}"))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _thing(data: dict[str, Any]) -> Thing:
    return kinds()[data["kind"]].from_json(data)
