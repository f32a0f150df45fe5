"""What a text in the file means: flags, numbers, names, MACs, addresses. Python values of the right type pass."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_interface,
    ip_network,
)
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from guestwire.spec.report import quote

__all__ = [
    "NAME",
    "Account",
    "Address",
    "Addresses",
    "Count",
    "Flag",
    "GroupMask",
    "Host",
    "Hosts",
    "LinkName",
    "Mac",
    "Macs",
    "Mtu",
    "NicAddresses",
    "PortNumber",
    "Processors",
    "Queues",
    "Subnet",
    "Subnets",
    "Text",
    "Texts",
    "VlanId",
    "VlanIds",
    "Word",
    "bare",
    "fail",
    "first_usable",
    "listed",
    "name_fault",
    "one_or_many",
    "unusable",
]

Address = IPv4Address | IPv6Address
Subnet = IPv4Network | IPv6Network
Host = IPv4Interface | IPv6Interface
"""An address with its prefix. Python makes it a kind of Address too: ask for Host first."""

NAME = r"^[A-Za-z0-9][A-Za-z0-9-]{0,62}$"
_NAME = re.compile(NAME)
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,17}")
_MAC = re.compile(r"[0-9A-Fa-f]{1,2}(?:([:-])[0-9A-Fa-f]{1,2})(?:\1[0-9A-Fa-f]{1,2}){4}")
MAC_PAUSE = 2  # bit 1 of a port's group_fwd_mask, 01-80-C2-00-00-01: net/bridge/br_netlink.c answers EINVAL


def fail(message: str, hint: str | None = None) -> PydanticCustomError:
    """The error of a validator: what is wrong with the value, and what to do. The loader adds the place and the key."""
    return PydanticCustomError("guestwire", "{message} {hint}", {"message": message, "hint": hint})


def name_fault(name: str, what: str) -> tuple[str, str] | None:
    """Message and hint where this can't be a name of a guest, network or project; else None."""
    if _NAME.match(name) and "\n" not in name:
        return None
    if len(name) > 63:
        return f"the name has {len(name)} characters; 63 is the most.", "Shorten it."
    hint = "Use letters, digits and -, with a letter or digit first."
    return f"{quote(name)} is no name for a {what}.", hint


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise fail(f"expected {what}, not a {'mapping' if isinstance(value, dict) else 'list'}.")
    if not value:
        raise fail("has no value.", f"Write {what}, or leave the key out.")
    return value


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = _text(value, "true or false").lower()
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
            text = _text(value, what)
            if _DECIMAL.fullmatch(text):
                number = int(text)
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
    return _text(value, "a word")


def _account(value: Any) -> str:
    return str(value) if type(value) is int and value >= 0 else _text(value, "a name or number")


def _link(value: Any) -> str:
    name = _text(value, "the name of a link")
    if len(name.encode(errors="replace")) > 15:
        raise fail(f"{quote(name)} is longer than 15 characters, the kernel's limit for a link.", "Shorten it.")
    if name in (".", "..", "all", "default"):  # the last two are folders in /proc/sys/net, which the kernel keeps free
        raise fail(f"{quote(name)} can't be the name of a link.", "Use another.")
    if bad := next((c for c in name if c in "/:%" or c.isspace() or not c.isprintable()), None):
        raise fail(f"{quote(name)} can't be the name of a link: it has {quote(bad)} in it.", "Leave that out.")
    return name


def _mac(value: Any) -> str:
    text = _text(value, "a MAC")
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


def _subnet(value: Any) -> Subnet:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    text = _text(value, "a subnet")
    address, slash, prefix = text.partition("/")
    try:
        net = ip_network(text, strict=False)
    except ValueError:
        hint = "Write it as 10.77.0.0/24 or fd00:77::/64."
        raise fail(f"{quote(text)} is not a subnet.", hint) from None
    if not slash:
        wide = f"{net.network_address}/{24 if net.version == 4 else 64}"
        raise fail(f"{quote(text)} has no prefix length.", f"Write it as {wide}.")
    if not _DECIMAL.fullmatch(prefix):
        raise fail(f"{quote(text)} has no prefix length.", f"Write {net}.")
    if net.network_address != ip_address(address):
        raise fail(f"{quote(text)} has host bits set.", f"The network is {net}.")
    if why := _unfit(net.network_address):
        raise fail(
            f"{quote(text)} is {why}: no subnet for guests.", "Use a private one, as 10.77.0.0/24 or fd00:77::/64."
        )
    if net.version == 6 and net.network_address.is_link_local:
        raise fail(f"{quote(text)} is link-local, which every link has already.", "Use one as fd00:77::/64.")
    return net


def _address(value: Any) -> Address:
    if isinstance(value, IPv4Address | IPv6Address):
        return value
    text = _text(value, "an address")
    try:
        address = ip_address(text)
    except ValueError:
        hint = "Leave the prefix out." if "/" in text else "Write it as 10.77.0.20 or fd00:77::20."
        raise fail(f"{quote(text)} is not an address.", hint) from None
    if isinstance(address, IPv6Address) and address.scope_id:
        raise fail(f"{quote(text)} names a link.", "Leave % and what follows out.")
    return address


def _host(value: Any) -> Address:
    """An address that a host can have."""
    address = _address(value)
    if why := _unfit(address):
        raise fail(f"{address} is {why}: no address for a guest.", "Use another.")
    return address


def _nic_address(value: Any) -> Address | Host | Literal["dhcp"]:
    if isinstance(value, IPv4Address | IPv6Address):  # a Host is one too
        return value
    text = _text(value, "an address, or dhcp")
    if text == "dhcp":
        return "dhcp"
    address, slash, prefix = text.partition("/")
    try:
        plain = _host(address)
    except PydanticCustomError as error:
        if "not an address" in str(error):
            hint = "Write it as 10.77.0.20, 10.77.0.20/24 or fd00:77::20, or write dhcp."
            raise fail(f"{quote(text)} is not an address.", hint) from None
        raise
    if not slash:
        return plain
    if not _DECIMAL.fullmatch(prefix) or int(prefix) > plain.max_prefixlen:
        most = plain.max_prefixlen
        raise fail(f"{quote(prefix)} is no prefix length.", f"Write a number from 0 to {most}, or leave it out.")
    return ip_interface(text)


def _unfit(address: Address) -> str | None:
    if address.is_multicast:
        return "multicast"
    if address.is_loopback:
        return "loopback"
    if address.is_unspecified or (address.version == 4 and int(address) >> 24 == 0):
        return "unspecified"
    if address.version == 4 and int(address) >> 28 == 0xF:
        return "reserved"
    return None


def bare(given: Address | Host) -> tuple[Address, int | None]:
    """An address without its prefix, and the prefix's length, None where none was given."""
    if isinstance(given, Host):
        return given.ip, given.network.prefixlen
    return given, None


def first_usable(subnet: Subnet) -> Host:
    """The first address of a subnet that a host can have, with its prefix."""
    return ip_interface(f"{next(iter(subnet.hosts()))}/{subnet.prefixlen}")


def unusable(address: Address, subnet: Subnet) -> str | None:
    """What this address of the subnet is where no host can have it: the network's, the broadcast address; else None."""
    if subnet.num_addresses <= 2:
        return None
    if address == subnet.network_address:
        return "the network's own" if address.version == 4 else "the subnet-router anycast"
    return "the broadcast" if address.version == 4 and address == subnet.broadcast_address else None


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


def _one_per_family(values: tuple[Any, ...]) -> tuple[Any, ...]:
    for version in (4, 6):
        same = [v for v in values if v.version == version]
        if len(same) > 1:
            raise fail(f"{same[0]} and {same[1]} are both IPv{version}.", "Give at most one of each family.")
    return values


def _once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    seen: set[Any] = set()
    for value in values:
        if value in seen:
            raise fail(f"{value} is given twice.", "Leave one out.")
        seen.add(value)
    return values


def _json(title: str, schema: dict[str, Any], many: bool = False) -> WithJsonSchema:
    """The JSON Schema of a type, with `many` also of a list of it. The title is what the reference page says."""
    if not many:
        return WithJsonSchema({"title": title, **schema})
    return WithJsonSchema({"title": f"{title}, or a list", "oneOf": [schema, {"type": "array", "items": schema}]})


def _range(least: int, most: int) -> WithJsonSchema:
    return _json(f"{least} to {most}", {"type": "integer", "minimum": least, "maximum": most})


_TEXT: dict[str, Any] = {"type": "string"}
_JSON_LINK: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 15, "pattern": r"^[^/:%\s]+$"}
_JSON_MAC: dict[str, Any] = {"type": "string", "pattern": "^[0-9A-Fa-f]{1,2}([:-][0-9A-Fa-f]{1,2}){5}$"}
_JSON_MASK: dict[str, Any] = {"type": ["integer", "string"], "pattern": "^0[xX][0-9A-Fa-f]+$", "maximum": 65535}
_JSON_VLANS: dict[str, Any] = {"type": ["integer", "string"], "pattern": "^[0-9]+(-[0-9]+)?$", "maximum": 4094}
_JSON_SUBNET: dict[str, Any] = {"type": "string", "pattern": "^[0-9A-Fa-f.:]+/[0-9]+$"}

Flag = Annotated[bool, PlainValidator(_flag), _json("true or false", {"type": "boolean"})]
Count = Annotated[int, PlainValidator(_whole(1, 10000)), _range(1, 10000)]
PortNumber = Annotated[int, PlainValidator(_whole(1, 65535)), _range(1, 65535)]
Mtu = Annotated[int, PlainValidator(_whole(68, 65535)), _range(68, 65535)]
Queues = Annotated[int, PlainValidator(_whole(1, 256)), _range(1, 256)]
GroupMask = Annotated[int, PlainValidator(_group_mask), _json("0 to 65535, or hexadecimal as 0x4000", _JSON_MASK)]
Processors = Annotated[int, PlainValidator(_whole(1, 255)), _range(1, 255)]
Text = Annotated[str, PlainValidator(lambda value: _text(value, "a text")), _json("a text", _TEXT)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(one_or_many), AfterValidator(_once), _json("a text", _TEXT, True)]
VlanId = Annotated[int, PlainValidator(_vlan), _range(1, 4094)]
VlanIds = Annotated[
    tuple[Annotated[tuple[int, int], PlainValidator(_vlans)], ...],
    BeforeValidator(one_or_many),
    AfterValidator(_apart),
    _json("a VLAN, or several as 20-30", _JSON_VLANS, True),
]
"""The first and the last of each run, in order."""
Word = Annotated[str, PlainValidator(_word), _json("a name", _TEXT)]
Account = Annotated[str, PlainValidator(_account), _json("a name or number", {"type": ["string", "integer"]})]
LinkName = Annotated[str, PlainValidator(_link), _json("a link's name", _JSON_LINK)]
Mac = Annotated[str, PlainValidator(_mac), _json("a MAC", _JSON_MAC)]
Macs = Annotated[tuple[Mac, ...], BeforeValidator(one_or_many), AfterValidator(_once), _json("a MAC", _JSON_MAC, True)]
Subnets = Annotated[
    tuple[Annotated[Subnet, PlainValidator(_subnet)], ...],
    BeforeValidator(one_or_many),
    AfterValidator(_one_per_family),
    _json("a subnet", _JSON_SUBNET, True),
]
Addresses = Annotated[
    tuple[Annotated[Address, PlainValidator(_host)], ...],
    BeforeValidator(one_or_many),
    AfterValidator(_once),
    _json("an address", _TEXT, True),
]
Hosts = Annotated[Addresses, AfterValidator(_one_per_family), _json("an address", _TEXT, True)]
NicAddresses = Annotated[
    tuple[Annotated[Address | Host | Literal["dhcp"], PlainValidator(_nic_address)], ...],
    BeforeValidator(one_or_many),
    AfterValidator(_once),
    _json("an address, with its prefix or not, or dhcp", _TEXT, True),
]
