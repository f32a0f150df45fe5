"""What every kind can do: be made, changed and deleted through a kernel, and say the commands that do the same."""

from __future__ import annotations

import shlex
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from guestwire.errors import Problem
from guestwire.linux.kernel import Kernel
from guestwire.linux.netlink import Socket
from guestwire.linux.programs import find_program
from guestwire.picture import Key, Value

__all__ = ["Thing", "ip", "unknown_attributes"]


def ip(netns: str, *words: object, tool: str = "ip") -> str:
    """An `ip` (or `bridge`) command line for a namespace; words that are empty are left out."""
    where = ["-n", netns] if netns else []
    return shlex.join([tool, *where, *(str(word) for word in words if word != "")])


def unknown_attributes(family: str, numbers: Iterable[int]) -> str | None:
    """Why what has attributes of those numbers can't be made as it is; None where there are none."""
    told = ", ".join(map(str, numbers))
    return f"it has attributes that this version doesn't know ({family} {told})" if told else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Thing(Value):
    """A value that guestwire can make. Requests are queued on the kernel; what it refuses shows in `Kernel.refused`."""

    NAMED: ClassVar[bool] = False
    """Whether it is read only where its key is asked for (`read`), rather than with all of its namespace."""

    DUMPED: ClassVar[bool] = False
    """Whether it is read with all of its kind in a namespace where the key of one is asked for (`dump`)."""

    MARKED: ClassVar[bool] = True
    """Whether it bears its owner's mark from its making on, so that one without is a stranger's."""

    RANK: ClassVar[int] = 0
    """Where in the order of making it stands; deleting goes the other way round."""

    OUTLASTS: ClassVar[bool] = False
    """Whether it must be deleted itself where the links that it is on go."""

    ASKED: ClassVar[bool] = False
    """Whether nobody tells of its changes, so that who wants to hear of them asks it again and again."""

    COPIED: ClassVar[bool] = True
    """Whether a copy of a host can have one of its own: not what a daemon keeps that the copy doesn't have."""

    @classmethod
    def read(cls, kernel: Kernel, key: Key) -> Thing | None:
        """What the host has under that key, for kinds that are NAMED."""
        raise NotImplementedError(cls.KIND)

    @classmethod
    def read_all(cls, kernel: Kernel, keys: Iterable[Key]) -> Iterator[Thing]:
        """What the host has under those keys, for kinds that are NAMED and can be asked for many at once."""
        for key in keys:
            found = cls.read(kernel, key)
            if found is not None:
                yield found

    def trial_name(self) -> str:
        """What of its kind need be tried only once."""
        return self.KIND

    def lacks(self, sock: Socket) -> Problem | None:
        """What this machine lacks to make one, tried in the socket's namespace, which is empty; None where nothing."""
        return None

    def title(self) -> str:
        """What it is called for a person."""
        return f"{self.KIND} {self.name}"

    def without(self, program: str, package: str) -> Problem | None:
        """What to say where the program that makes it is missing; None where it is there."""
        if find_program(program):
            return None
        return Problem(f"`{program}` is missing, and {self.title()} needs it.", f"Install the package {package}.")

    @classmethod
    def dump(cls, kernel: Kernel, netns: str, links: Mapping[int, Thing]) -> list[Thing]:
        """All of the kind in a namespace, for kinds that are DUMPED; `links` are those there, by their numbers."""
        raise NotImplementedError(cls.KIND)

    @classmethod
    def dump_all(cls, kernel: Kernel, links: Mapping[str, Mapping[int, Thing]]) -> Iterator[Thing]:
        """All of the kind in several namespaces, each with its links."""
        for netns, these in links.items():
            yield from cls.dump(kernel, netns, these)

    @property
    def claimable(self) -> bool:
        """Of a kind that isn't MARKED: whether one that the project's state names counts as the project's own."""
        return not self.MARKED

    @property
    def goes_first(self) -> bool:
        """Whether, where it isn't wanted, it goes before anything else comes."""
        return bool(self.carries())

    @property
    def final(self) -> bool:
        """Whether with it goes what nothing brings back: then it is ended last, past the point of return."""
        return False

    @property
    def fleeting(self) -> bool:
        """Whether it comes and goes by itself, so that nobody need bring it back."""
        return False

    @abstractmethod
    def create(self, kernel: Kernel) -> None:
        """Make it."""

    def finish(self, kernel: Kernel) -> None:
        """What is left to do in its own namespace once all links are made, wherever they were made from."""

    @abstractmethod
    def change(self, kernel: Kernel, seen: Value) -> None:
        """Make `seen` into this; only settings differ."""

    def announce(self, kernel: Kernel) -> None:
        """Tell it that it is about to be removed; all that are removed are told before the first is."""

    @abstractmethod
    def delete(self, kernel: Kernel) -> None:
        """Remove it."""

    def let_go(self, kernel: Kernel) -> None:
        """Remove it from the one link once it is in force on the other to which it goes."""
        self.delete(kernel)

    @abstractmethod
    def create_commands(self) -> list[str]:
        """The shell commands that do what `create` does."""

    def joint_commands(self, parts: Sequence[Thing]) -> list[str] | None:
        """The shell commands that make it together with what stands on it; None where each is made by its own."""
        return None

    def finish_commands(self) -> list[str]:
        """The shell commands that do what `finish` does."""
        return []

    @abstractmethod
    def change_commands(self, seen: Value) -> list[str]:
        """The shell commands that do what `change` does."""

    @abstractmethod
    def delete_commands(self) -> list[str]:
        """The shell commands that do what `delete` does."""

    def rank(self) -> int:
        """Where in the order of making this one stands."""
        return self.RANK

    def change_rank(self, seen: Value) -> int:
        """Where in the order of making the change from `seen` stands."""
        return self.RANK

    def why_refused(self, number: int) -> str | None:
        """What the kernel most likely means by that errno for this, and what to do; None where its words say enough."""
        return None

    def moved(self, old: str, new: str) -> Thing | None:
        """The same on the link `new` in place of `old`, in the same namespace; None where it isn't on `old`."""
        return None

    def uncarried(self) -> str | None:
        """Why it can't be as it is on another link; None where it can."""
        return None

    def carries(self) -> tuple[Key, ...]:
        """The keys of what it has made by itself, which goes when it goes and comes when it comes."""
        return ()

    def uses(self) -> tuple[tuple[str, str], ...]:
        """The links (namespace, name) that it works on, so that another in the place of one means another of it."""
        return ()

    def can_return(self) -> bool:
        """Whether it can be made again as it is: not what is left of something that has ended."""
        return True

    def on_links(self) -> tuple[tuple[str, str], ...]:
        """The links (namespace, name) without which this is gone."""
        return ()

    def stands_on(self) -> tuple[Key, ...]:
        """The keys of what, besides links and namespaces, this is gone without."""
        return ()

    def loss(self, wanted: Thing) -> str | None:
        """What is lost where this is made anew as `wanted`, in words; None where nothing is."""
        return None

    def namespaces(self) -> tuple[str, ...]:
        """The namespaces without which this is gone."""
        return (self.netns,) if self.netns else ()

    def to_json(self) -> dict[str, Any]:
        """Every field but the facts, as JSON knows them."""
        names = (f.name for f in fields(self) if f.metadata.get("sort") != "fact")
        return {"kind": self.KIND, **{name: getattr(self, name) for name in names}}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """What `to_json` gave, as a value again."""
        return cls(**{name: _tuples(value) for name, value in data.items() if name != "kind"})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
