"""The file as frozen values: what each key is called, holds, defaults to and means.

These models are the one table of the file's keys: validation, JSON Schema and the reference page come from them. A
network type adds its keys in `networks/`, a guest kind in `guests/`, each as a subclass of what is here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from guestwire.errors import Problem
from guestwire.spec.addresses import Address, Addresses, Host, Hosts, NicAddresses, Subnets
from guestwire.spec.report import Where
from guestwire.spec.scalars import (
    Count,
    Flag,
    GroupMask,
    LinkName,
    Mac,
    Mtu,
    PortNumber,
    Queues,
    VlanId,
    VlanIds,
    Word,
    fail,
    listed,
)

if TYPE_CHECKING:
    from guestwire.spec.file import File

__all__ = ["Forward", "Guest", "Lab", "Network", "Nic", "Part", "Port", "kebab"]


def kebab(name: str) -> str:
    """A field's name as the file writes it: `host_access` is ``host-access``."""
    return name.replace("_", "-")


class Part(BaseModel):
    """A piece of the file, which remembers where it stands there. Its fields are the file's keys with _ for -."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        alias_generator=kebab,
        validate_by_alias=True,
        validate_by_name=True,
        defer_build=True,  # of the types and kinds a file has few, and each takes a millisecond
    )
    # A slot, not pydantic's PrivateAttr: that costs microseconds each time, and would make equal parts differ by place.
    __slots__ = ("_path",)
    _path: ClassVar[Where]

    @property
    def path(self) -> Where:
        """Its path in the file, as ``("networks", "lan")``; empty when it is in no `File` yet."""
        return getattr(self, "_path", ())

    def put(self, path: Where) -> None:
        """Tell it its path; `File` does."""
        object.__setattr__(self, "_path", path)

    def at(self, *keys: str | int) -> Where:
        """The path of a value below it: ``nic.at("address", 0)``. Keys as the file writes them."""
        return (*self.path, *keys)


class Lab(Part):
    """How a lab behaves. Only `--lab` makes one; elsewhere this says nothing."""

    relay: Flag = Field(False, description="the switch returns a frame by the port it came from (reflective relay)")
    one_mac: Flag = Field(False, description="the switch admits one MAC on each port, as port security does")
    dhcp: Flag = Field(True, description="the LAN's gateway answers DHCP")
    stp: Flag = Field(False, description="the switch runs STP")
    host_dhcp: Flag = Field(False, description="the host has its first uplink's IPv4 address by DHCP, not for good")
    same_lan: Flag = Field(False, description="all uplinks are on the first LAN, not each on its own")


class Port(Part):
    """How a bridge treats the port of a guest's NIC. What isn't given stays as the kernel has it."""

    isolated: Flag | None = Field(None, description="talks to ports that aren't isolated, and to no isolated one")
    hairpin: Flag | None = Field(None, description="frames may leave by the port that they came in on")
    learning: Flag | None = Field(None, description="the bridge learns MACs from what comes in here")
    flood: Flag | None = Field(None, description="frames to MACs that the bridge doesn't know leave here too")
    group_fwd_mask: GroupMask | None = Field(
        None, description="which of 01-80-C2-00-00-0X are forwarded: bit X, from 0 to 65535, without bit 1 (value 2)"
    )


class Forward(Part):
    """A port of the host's that leads to a guest."""

    host: PortNumber = Field(description="the host's port")
    to: Word = Field(description="the guest, which has a NIC on this network")
    port: PortNumber | None = Field(None, description="the guest's port; else the same as the host's")
    proto: Literal["tcp", "udp"] = Field("tcp", description="the protocol")


class Nic(Part):
    """A guest's NIC. A network's name alone is short for `{network: NAME}`."""

    network: Word = Field(description="the network that it is plugged into")
    address: NicAddresses = Field(
        (),
        description="its addresses, with prefix or without, or dhcp; else one is assigned, or on a LAN asked for",
    )
    mac: Mac | None = Field(None, description="its MAC; else one made from project and name, the same each time")
    mtu: Mtu | None = Field(None, description="its MTU in bytes, 68 to 65535; else the network's")
    device: Literal["tap", "macvtap", "tun"] | None = Field(
        None, description="the device on the host: held by guestwire as by a hypervisor, or opened by a program"
    )
    name: LinkName | None = Field(None, description="the link's name inside the guest; else eth0, eth1 … in order")
    default_route: Flag | None = Field(None, description="the guest's default route goes here; else by its first NIC")
    gateway: Hosts | None = Field(None, description="where its default route leads; else the network's gateway")
    queues: Queues | None = Field(None, description="how many queues a machine's NIC has, 1 to 256; else the guest's")
    model: Literal["virtio", "e1000", "rtl8139"] | None = Field(
        None, description="what a machine's NIC is; else the guest's"
    )
    vhost: Flag | None = Field(None, description="the kernel carries a machine's frames; else as the guest says")
    link_state: Literal["up", "down"] | None = Field(
        None, alias="link", description="whether a machine's NIC has its cable in"
    )
    portgroup: Word | None = Field(None, description="which of a libvirt network's port groups its port is of")
    port: Port | None = Field(None, description="how a bridge treats its port, over what the network says")
    vlan: VlanId | None = Field(
        None, description="on a bridge with vlans: the VLAN of its untagged frames, 1 to 4094; else the network's"
    )
    vlans: VlanIds | None = Field(
        None,
        description="the VLANs whose frames come and go with a tag, as [10, 20-30]; then untagged ones only by vlan",
    )

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"network": value}
        if not isinstance(value, dict | Nic):
            raise fail("expected a network's name or a mapping, not a list.", "Write {network: NAME}.")
        return value

    @property
    def index(self) -> int:
        """Which of its guest's NICs it is, from 0."""
        path = self.path
        return int(path[-1]) if path else 0

    @property
    def link(self) -> str:
        """The link's name inside the guest."""
        return self.name or f"eth{self.index}"

    @property
    def dhcp(self) -> bool:
        """Whether it asks a DHCP server, as the file says outright."""
        return "dhcp" in self.address

    @property
    def fixed(self) -> tuple[Address | Host, ...]:
        """The addresses given for it; those given with a prefix are a Host."""
        return tuple(a for a in self.address if not isinstance(a, str))


class Network(Part):
    """What all network types have in common. A type is a subclass, and its `type` field says its names."""

    devices: ClassVar[tuple[str, ...]] = ()
    """The devices that a NIC may ask for on this type."""

    type: Word = Field(description="the network's type")
    uplink: LinkName | None = Field(None, description="the host's NIC that the network uses")
    mtu: Mtu | None = Field(None, description="the MTU in bytes, 68 to 65535; else the least of what it is made of")
    subnet: Subnets = Field((), description="the addresses of its guests: one IPv4 and one IPv6 subnet at most")

    @property
    def name(self) -> str:
        """The key it has in the file."""
        return str(self.path[-1]) if self.path else ""

    def why_exclusive(self) -> str | None:
        """Why no second network can use this one's uplink, or None where one can."""
        return None

    @property
    def segmented(self) -> bool:
        """Whether its NICs may name VLANs."""
        return False

    def shares_as(self) -> str:
        """How it uses its uplink: others there must do so in the same way, or in none ("")."""
        return ""

    def why_no_dhcp(self) -> str | None:
        """Why nobody on the network answers a guest's DHCP client, said of it: "which …"; None where somebody may.

        On a LAN that is taken for granted.
        """
        return None if self.uplink else "which has no uplink"

    def hosts(self) -> tuple[Host, ...]:
        """The addresses, with prefix, that the host takes in its subnets: no guest can have them."""
        return ()

    def check(self, file: File) -> Iterable[Problem]:
        """What is wrong with it that its fields alone don't show; `file.problem` makes each."""
        return ()


class Guest(Part):
    """What all guest kinds have in common. A kind is a subclass, and its `kind` field says its names."""

    kind: Word = Field(description="the guest's kind")
    count: Count | None = Field(None, description="as many guests, 1 to 10000, named NAME-1, NAME-2 …")
    nics: Annotated[tuple[Nic, ...], BeforeValidator(listed)] = Field((), description="its NICs, in order")
    dns: Addresses = Field((), description="the name servers that it uses")

    @property
    def name(self) -> str:
        """The key it has in the file; with `count`, what its guests' names start with."""
        return str(self.path[-1]) if self.path else ""

    @property
    def number(self) -> int:
        """How many guests it makes."""
        return self.count or 1

    def put(self, path: Where) -> None:
        super().put(path)
        for i, nic in enumerate(self.nics):
            nic.put((*path, "nics", i))

    def check(self, file: File) -> Iterable[Problem]:
        """What is wrong with it that its fields alone don't show; `file.problem` makes each."""
        return ()
