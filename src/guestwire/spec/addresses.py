"""What an address or a subnet in the file means. Python values of the right type pass."""

from __future__ import annotations

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
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, PlainValidator
from pydantic_core import PydanticCustomError

from guestwire.printable import quote
from guestwire.spec.scalars import DECIMAL, JSON_TEXT, fail, json_type, once, one_or_many, text_of

__all__ = [
    "Address",
    "Addresses",
    "Host",
    "Hosts",
    "NicAddresses",
    "Subnet",
    "Subnets",
    "bare",
    "first_usable",
    "unusable",
]

Address = IPv4Address | IPv6Address
Subnet = IPv4Network | IPv6Network
Host = IPv4Interface | IPv6Interface
"""An address with its prefix. Python makes it a kind of Address too: ask for Host first."""

_JSON_SUBNET: dict[str, Any] = {"type": "string", "pattern": "^[0-9A-Fa-f.:]+/[0-9]+$"}


def _subnet(value: Any) -> Subnet:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    text = text_of(value, "a subnet")
    address, slash, prefix = text.partition("/")
    try:
        net = ip_network(text, strict=False)
    except ValueError:
        hint = "Write it as 10.77.0.0/24 or fd00:77::/64."
        raise fail(f"{quote(text)} is not a subnet.", hint) from None
    if not slash:
        wide = f"{net.network_address}/{24 if net.version == 4 else 64}"
        raise fail(f"{quote(text)} has no prefix length.", f"Write it as {wide}.")
    if not DECIMAL.fullmatch(prefix):
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
    text = text_of(value, "an address")
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
    text = text_of(value, "an address, or dhcp")
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
    if not DECIMAL.fullmatch(prefix) or int(prefix) > plain.max_prefixlen:
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


def _one_per_family(values: tuple[Any, ...]) -> tuple[Any, ...]:
    for version in (4, 6):
        same = [v for v in values if v.version == version]
        if len(same) > 1:
            raise fail(f"{same[0]} and {same[1]} are both IPv{version}.", "Give at most one of each family.")
    return values


Subnets = Annotated[
    tuple[Annotated[Subnet, PlainValidator(_subnet)], ...],
    BeforeValidator(one_or_many),
    AfterValidator(_one_per_family),
    json_type("a subnet", _JSON_SUBNET, True),
]
Addresses = Annotated[
    tuple[Annotated[Address, PlainValidator(_host)], ...],
    BeforeValidator(one_or_many),
    AfterValidator(once),
    json_type("an address", JSON_TEXT, True),
]
Hosts = Annotated[Addresses, AfterValidator(_one_per_family), json_type("an address", JSON_TEXT, True)]
NicAddresses = Annotated[
    tuple[Annotated[Address | Host | Literal["dhcp"], PlainValidator(_nic_address)], ...],
    BeforeValidator(one_or_many),
    AfterValidator(once),
    json_type("an address, with its prefix or not, or dhcp", JSON_TEXT, True),
]
