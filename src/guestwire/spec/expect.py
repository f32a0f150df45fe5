"""An expectation: who shall reach whom, as a sentence of the file."""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field, model_validator

from guestwire.nearest import nearest
from guestwire.printable import quote
from guestwire.spec.models import Part
from guestwire.spec.scalars import fail

__all__ = ["Expectation"]

"""Whom a guest can reach besides guests. No guest can have such a name."""

PATTERN = r"^\S+ +(does +not +reach|reaches) +\S+( +on +(tcp|udp)/[0-9]+)?$"
_SENTENCE = re.compile(r"(\S+)\s+(does\s+not\s+reach|reaches)\s+(\S+)(?:\s+on\s+(\S+))?")
_FORMS = "Write “A reaches B” or “A does not reach B”, and after it “on tcp/80” or “on udp/53” where a port is meant."


class Expectation(Part):
    """``A reaches B`` or ``A does not reach B``, with ``on tcp/PORT`` or ``on udp/PORT`` after it or not."""

    text: str = Field(description="the sentence as it is written")
    source: str = Field(description="the guest or place that sends")
    target: str = Field(description="the guest or place that answers")
    reaches: bool = Field(description="whether an answer is expected")
    proto: Literal["tcp", "udp"] | None = Field(None, description="the protocol, else ICMP echo")
    port: int | None = Field(None, description="the port, 1 to 65535")

    @model_validator(mode="before")
    @classmethod
    def _parse(cls, value: Any) -> Any:
        if isinstance(value, str):
            return _sentence(value)
        if isinstance(value, Expectation) or (isinstance(value, dict) and "text" in value and "source" in value):
            return value
        raise fail(f"expected a sentence, not a {'mapping' if isinstance(value, dict) else 'list'}.", _FORMS)


def _sentence(text: str) -> dict[str, Any]:
    match = _SENTENCE.fullmatch(text.strip())
    if not match:
        raise fail(f"{quote(text)} is not an expectation.", _FORMS)
    source, verb, target, on = match.groups()
    parts = {"text": text, "source": source, "target": target, "reaches": verb == "reaches"}
    if on is not None:
        parts["proto"], parts["port"] = _port(on)
    return parts


def _port(on: str) -> tuple[str, int]:
    proto, slash, port = on.partition("/")
    if proto not in ("tcp", "udp"):
        near = nearest(proto, ("tcp", "udp")) if slash else None
        hint = f"Did you mean {quote(near)}?" if near else "Write tcp/80 or udp/53."
        raise fail(f"{quote(on)} is not a protocol and port.", hint)
    if not re.fullmatch("[0-9]{1,9}", port):
        raise fail(f"{quote(on)} has no port.", f"Write {proto}/80, with the port in digits.")
    if not 1 <= int(port) <= 65535:
        raise fail(f"{int(port)} is out of range for a port.", "Write one from 1 to 65535.")
    return proto, int(port)
