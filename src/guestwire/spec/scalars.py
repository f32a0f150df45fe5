"""What a text in the file means: flags, numbers, names, MACs. Python values of the right type pass."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from guestwire.naming import NAME
from guestwire.printable import quote

__all__ = [
    "DECIMAL",
    "JSON_TEXT",
    "Account",
    "ContainerName",
    "Count",
    "Flag",
    "GroupMask",
    "LinkName",
    "Mac",
    "Macs",
    "Mtu",
    "PortNumber",
    "ProcessNumber",
    "Processors",
    "Queues",
    "Text",
    "Texts",
    "VlanId",
    "VlanIds",
    "VlanNumbers",
    "Word",
    "fail",
    "json_type",
    "listed",
    "once",
    "one_or_many",
    "text_of",
]

DECIMAL = re.compile(r"0|[1-9][0-9]{0,17}")
_MAC = re.compile(r"[0-9A-Fa-f]{1,2}(?:([:-])[0-9A-Fa-f]{1,2})(?:\1[0-9A-Fa-f]{1,2}){4}")
_CONTAINER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
MOST_PROCESSES = 1 << 22  # PID_MAX_LIMIT, include/linux/threads.h
MAC_PAUSE = 2  # bit 1 of a port's group_fwd_mask, 01-80-C2-00-00-01: net/bridge/br_netlink.c answers EINVAL


def fail(message: str, hint: str | None = None) -> PydanticCustomError:
    """The error of a validator: what is wrong with the value, and what to do. The loader adds the place and the key."""
    return PydanticCustomError("guestwire", "{message} {hint}", {"message": message, "hint": hint})


def text_of(value: Any, what: str) -> str:
    """A text that isn't empty; `what` says in words what was expected."""
    if not isinstance(value, str):
        raise fail(f"expected {what}, not a {'mapping' if isinstance(value, dict) else 'list'}.")
    if not value:
        raise fail("has no value.", f"Write {what}, or leave the key out.")
    return value


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = text_of(value, "true or false").lower()
    if text in ("true", "false"):
        return text == "true"
    guess = {"yes": "true", "on": "true", "1": "true", "no": "false", "off": "false", "0": "false"}.get(text)
    raise fail(f"{quote(value)} is neither true nor false.", f"Write {guess or 'true or false'}.")


def _whole(least: int, most: int, hexadecimal: bool = False) -> Callable[[Any], int]:
    what = f"a whole number from {least} to {most}"

    def parse(value: Any) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            number = value
        else:
            text = text_of(value, what)
            if DECIMAL.fullmatch(text):
                number = int(text)
            elif re.fullmatch(r"-?[1-9][0-9]*", text):
                raise fail(f"{quote(text)} is out of range.", f"Write {what}.")
            elif hexadecimal and re.fullmatch(r"0[xX][0-9A-Fa-f]{1,8}", text):
                number = int(text, 16)
            else:
                raise fail(f"{quote(text)} is not a whole number.", f"Write {what}, in digits.")
        if not least <= number <= most:
            raise fail(f"{number} is out of range.", f"Write {what}.")
        return number

    return parse


_vlan = _whole(1, 4094)  # 0 and 4095 are reserved (IEEE 802.1Q): the kernel answers EINVAL


def _group_mask(value: Any) -> int:
    mask = _whole(0, 65535, hexadecimal=True)(value)
    if mask & MAC_PAUSE:
        hint = f"Write {mask & ~MAC_PAUSE:#x}."
        raise fail(f"{mask:#x} has bit 1 (2) set: the kernel never forwards pause frames.", hint)
    return mask


def _vlans(value: Any) -> tuple[int, int]:
    """A VLAN, or several in a row as 20-30: the first and the last."""
    first, dash, last = str(value).partition("-") if isinstance(value, str) else (value, "", "")
    found = _vlan(first), _vlan(last if dash else first)
    if found[0] > found[1]:
        raise fail(f"{value} runs backwards.", f"Write {found[1]}-{found[0]}.")
    return found


def _apart(values: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """Ranges in order, of which no two have a VLAN in common."""
    if not values:
        raise fail("has no VLAN in it.", "Name one at least, or leave the key out.")
    ordered = tuple(sorted(values))
    for (_, last), (first, _) in pairwise(ordered):
        if first <= last:
            raise fail(f"VLAN {first} is given twice.", "Leave one out.")
    return ordered


def _word(value: Any) -> str:
    return text_of(value, "a word")


def _container(value: Any) -> str:
    name = str(value) if isinstance(value, int) else text_of(value, "a container's name")
    if not _CONTAINER.fullmatch(name):
        raise fail(f"{quote(name)} is no container's name.", "Write it as its runtime lists it.")
    return name


def _account(value: Any) -> str:
    return str(value) if type(value) is int and value >= 0 else text_of(value, "a name or number")


def _link(value: Any) -> str:
    name = text_of(value, "the name of a link")
    if len(name.encode(errors="replace")) > 15:
        raise fail(f"{quote(name)} is longer than 15 characters, the kernel's limit for a link.", "Shorten it.")
    if name in (".", "..", "all", "default"):  # the last two are folders in /proc/sys/net, which the kernel keeps free
        raise fail(f"{quote(name)} can't be the name of a link.", "Use another.")
    if bad := next((c for c in name if c in "/:%" or c.isspace() or not c.isprintable()), None):
        raise fail(f"{quote(name)} can't be the name of a link: it has {quote(bad)} in it.", "Leave that out.")
    return name


def _mac(value: Any) -> str:
    text = text_of(value, "a MAC")
    example = "Write six pairs of hexadecimal digits, as 52:54:00:12:34:56."
    if not _MAC.fullmatch(text):
        raise fail(f"{quote(text)} is not a MAC.", example)
    octets = [int(part, 16) for part in re.split("[:-]", text)]
    if octets[0] & 1:
        octets[0] &= 0xFE
        hint = f"Make its first number even, as {_mac_text(octets)}."
        raise fail(f"{text} is a multicast MAC: no NIC can have it.", hint)
    if not any(octets):
        raise fail(f"{text} is no MAC of a NIC: it is all zeros.", "Leave the key out, and one is chosen.")
    return _mac_text(octets)


def _mac_text(octets: list[int]) -> str:
    return ":".join(f"{octet:02x}" for octet in octets)


def one_or_many(value: Any) -> Any:
    """A list as it is; a single value as a list of one."""
    if isinstance(value, list):
        return tuple(value)
    return value if isinstance(value, tuple) else (value,)


def listed(value: Any) -> Any:
    """A list; nothing is an empty one."""
    if isinstance(value, list | tuple):
        return tuple(value)
    if value == "":
        return ()
    hint = (
        f"Write [{value}]."
        if isinstance(value, str) and re.fullmatch(NAME, value)
        else "Start each item with - or use [ ]."
    )
    raise fail("expected a list.", hint)


def once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Values of which none is given twice."""
    seen: set[Any] = set()
    for value in values:
        if value in seen:
            raise fail(f"{value} is given twice.", "Leave one out.")
        seen.add(value)
    return values


def json_type(title: str, schema: dict[str, Any], many: bool = False) -> WithJsonSchema:
    """The JSON Schema of a type, with `many` also of a list of it. The title is what the reference page says."""
    if not many:
        return WithJsonSchema({"title": title, **schema})
    return WithJsonSchema({"title": f"{title}, or a list", "oneOf": [schema, {"type": "array", "items": schema}]})


def _range(least: int, most: int) -> WithJsonSchema:
    return json_type(f"{least} to {most}", {"type": "integer", "minimum": least, "maximum": most})


JSON_TEXT: dict[str, Any] = {"type": "string"}
_JSON_LINK: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 15, "pattern": r"^[^/:%\s]+$"}
_JSON_MAC: dict[str, Any] = {"type": "string", "pattern": "^[0-9A-Fa-f]{1,2}([:-][0-9A-Fa-f]{1,2}){5}$"}
_JSON_MASK: dict[str, Any] = {"type": ["integer", "string"], "pattern": "^0[xX][0-9A-Fa-f]+$", "maximum": 65535}
_JSON_VLANS: dict[str, Any] = {"type": ["integer", "string"], "pattern": "^[0-9]+(-[0-9]+)?$", "maximum": 4094}

Flag = Annotated[bool, PlainValidator(_flag), json_type("true or false", {"type": "boolean"})]
Count = Annotated[int, PlainValidator(_whole(1, 10000)), _range(1, 10000)]
PortNumber = Annotated[int, PlainValidator(_whole(1, 65535)), _range(1, 65535)]
Mtu = Annotated[int, PlainValidator(_whole(68, 65535)), _range(68, 65535)]
Queues = Annotated[int, PlainValidator(_whole(1, 256)), _range(1, 256)]
GroupMask = Annotated[int, PlainValidator(_group_mask), json_type("0 to 65535, or hexadecimal as 0x4000", _JSON_MASK)]
VlanId = Annotated[int, PlainValidator(_vlan), _range(1, 4094)]
VlanNumbers = Annotated[
    tuple[VlanId, ...],
    BeforeValidator(one_or_many),
    AfterValidator(once),
    json_type("a VLAN's number, 1 to 4094", {"type": "integer", "minimum": 1, "maximum": 4094}, True),
]
VlanIds = Annotated[
    tuple[Annotated[tuple[int, int], PlainValidator(_vlans)], ...],
    BeforeValidator(one_or_many),
    AfterValidator(_apart),
    json_type("a VLAN, or several as 20-30", _JSON_VLANS, True),
]
"""The first and the last of each run, in order."""
Processors = Annotated[int, PlainValidator(_whole(1, 255)), _range(1, 255)]
Text = Annotated[str, PlainValidator(lambda value: text_of(value, "a text")), json_type("a text", JSON_TEXT)]
Texts = Annotated[
    tuple[Text, ...], BeforeValidator(one_or_many), AfterValidator(once), json_type("a text", JSON_TEXT, True)
]
Word = Annotated[str, PlainValidator(_word), json_type("a name", JSON_TEXT)]
ProcessNumber = Annotated[int, PlainValidator(_whole(1, MOST_PROCESSES)), _range(1, MOST_PROCESSES)]
ContainerName = Annotated[str, PlainValidator(_container), json_type("a name or ID", JSON_TEXT)]
Account = Annotated[str, PlainValidator(_account), json_type("a name or number", {"type": ["string", "integer"]})]
LinkName = Annotated[str, PlainValidator(_link), json_type("a link's name", _JSON_LINK)]
Mac = Annotated[str, PlainValidator(_mac), json_type("a MAC", _JSON_MAC)]
Macs = Annotated[
    tuple[Mac, ...], BeforeValidator(one_or_many), AfterValidator(once), json_type("a MAC", _JSON_MAC, True)
]
