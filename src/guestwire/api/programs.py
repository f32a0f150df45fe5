"""Programs that `run` gave a NIC: guests besides those of the file, each for as long as its process runs.

The project's state names them. So `up` and `watch` want their NICs too, nobody else is given their addresses, and
`status` shows them; where such a process has ended without anybody noticing, its NIC isn't wanted any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field, ValidationError

from guestwire.apply import Program
from guestwire.compile import BuiltNetwork
from guestwire.errors import UsageError
from guestwire.guests import KINDS
from guestwire.guests.process import Process
from guestwire.spec import File
from guestwire.spec.models import Guest

__all__ = ["DESCRIPTOR", "NAMESPACE", "guest_of", "with_programs"]

DESCRIPTOR, NAMESPACE = "program", "namespace"
"""The two kinds of guests that they are."""


class _Opener(Process):
    """A program whose NIC `run` has opened for it; it has an address to use."""

    kind: Literal["program"] = Field("program", description="a program of `run`'s")  # type: ignore[assignment]

    def takes_addresses(self, network: BuiltNetwork) -> bool:
        return True


def guest_of(words: dict[str, Any]) -> Guest:
    """The guest that a program is, from a file's words; raises UsageError where one of them is off."""
    kind = _Opener if words["kind"] == DESCRIPTOR else KINDS[words["kind"]]
    try:
        return kind.model_validate(words)
    except ValidationError as error:
        first = error.errors()[0]
        key = next((part for part in reversed(first["loc"]) if isinstance(part, str)), "")
        context = first.get("ctx", {})
        raise UsageError(f"--{key}: {context.get('message', first['msg'])}", hint=context.get("hint")) from None


def with_programs(file: File, programs: Iterable[Program]) -> File:
    """A file with its programs as guests; a guest of the file's own goes before one of that name."""
    guests = {each.name: guest_of(each.guest) for each in programs if each.name not in file.guests}
    return file.with_guests(guests) if guests else file
