"""rtnetlink: the numbers of its messages, and links and addresses as the kernel tells them; routes are in routes.py.

Numbers are those of include/uapi/linux/{rtnetlink,if_link,if_addr,neighbour,if}.h. What a *kind* of link keeps in its
IFLA_INFO_DATA is left to the file of that kind, and so is what few addresses have (`rest`).
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Mapping
from typing import NamedTuple

from guestwire.linux.netlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    NetlinkError,
    Request,
    Socket,
    attributes,
    left_over,
    nested,
    read_address,
    read_text,
    read_u32,
    text,
    u8,
    u32,
)

__all__ = [
    "AF_BRIDGE",
    "ARPHRD_ETHER",
    "BRIDGE_FLAGS_SELF",
    "IFA_ADDRESS",
    "IFA_BROADCAST",
    "IFA_CACHEINFO",
    "IFA_FLAGS",
    "IFA_F_NODAD",
    "IFA_F_NOPREFIXROUTE",
    "IFA_LABEL",
    "IFA_LOCAL",
    "IFA_PROTO",
    "IFF_ALLMULTI",
    "IFF_LOWER_UP",
    "IFF_UP",
    "IFLA_ADDRESS",
    "IFLA_AF_SPEC",
    "IFLA_BRIDGE_FLAGS",
    "IFLA_BRIDGE_VLAN_INFO",
    "IFLA_GROUP",
    "IFLA_IFALIAS",
    "IFLA_IFNAME",
    "IFLA_INFO_DATA",
    "IFLA_INFO_KIND",
    "IFLA_LINK",
    "IFLA_LINKINFO",
    "IFLA_MASTER",
    "IFLA_MTU",
    "IFLA_NET_NS_FD",
    "IFLA_NUM_RX_QUEUES",
    "IFLA_NUM_TX_QUEUES",
    "LO",
    "RTM_DELADDR",
    "RTM_DELLINK",
    "RTM_DELNEIGH",
    "RTM_GETNEIGH",
    "RTM_NEWADDR",
    "RTM_NEWLINK",
    "RTM_NEWNEIGH",
    "AddressMessage",
    "LinkMessage",
    "VlanInfo",
    "change_port",
    "create_link",
    "delete_link",
    "dump_addresses",
    "dump_links",
    "dump_vlans",
    "link_index",
    "link_local",
    "namespace_id",
    "parse_link",
    "read_link",
    "set_link",
    "told_port",
    "told_vlans",
]

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30

IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK = 1, 3, 4, 5
IFLA_MASTER, IFLA_PROTINFO, IFLA_OPERSTATE, IFLA_LINKINFO, IFLA_IFALIAS = 10, 12, 16, 18, 20
IFLA_GROUP, IFLA_NET_NS_FD, IFLA_EXT_MASK, IFLA_PROMISCUITY = 27, 28, 29, 30
IFLA_AF_SPEC, IFLA_NUM_TX_QUEUES, IFLA_NUM_RX_QUEUES = 26, 31, 32
IFLA_CARRIER, IFLA_LINK_NETNSID, IFLA_PARENT_DEV_NAME = 33, 37, 56
IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE = 8, 1
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
LO = 1  # the index of lo in every namespace
IFF_UP, IFF_ALLMULTI, IFF_LOWER_UP = 0x1, 0x200, 0x10000
ARPHRD_ETHER, AF_BRIDGE, RTEXT_FILTER_SKIP_STATS, RTEXT_FILTER_BRVLAN_COMPRESSED = 1, 7, 8, 4
IFLA_BRIDGE_FLAGS, IFLA_BRIDGE_VLAN_INFO, BRIDGE_FLAGS_SELF = 0, 2, 2

IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_BROADCAST, IFA_CACHEINFO, IFA_FLAGS, IFA_PROTO = 1, 2, 3, 4, 6, 8, 11
IFA_F_NODAD, IFA_F_NOPREFIXROUTE = 0x02, 0x200

RTM_GETNSID, NETNSA_NSID, NETNSA_FD = 90, 1, 3

_IFINFO, _IFADDR = struct.Struct("=BxHiII"), struct.Struct("=BBBBi")


VlanInfo = tuple[int, int]
"""Flags and number of a VLAN (struct bridge_vlan_info)."""


class LinkMessage(NamedTuple):
    """A link as RTM_NEWLINK tells it; 0 in `master` or `link` stands for none, `kind` is "" where there is none."""

    ifindex: int
    type: int
    flags: int
    name: str
    kind: str
    mac: str
    mtu: int
    master: int
    link: int
    link_netnsid: int | None
    alias: str
    group: int
    promiscuity: int
    operstate: int
    carrier: bool
    bus: bool
    families: bytes
    data: bytes
    slave_kind: str
    slave_data: bytes

    @property
    def generated(self) -> int | None:
        """How the kernel makes the IPv6 link-local address that the link gets when it goes up; None where it gets none.

        By its MAC is IN6_ADDR_GEN_MODE_EUI64, 0.
        """
        inet6 = attributes(self.families).get(socket.AF_INET6)
        mode = attributes(inet6).get(IFLA_INET6_ADDR_GEN_MODE) if inet6 is not None else None
        return mode[0] if mode and mode[0] != IN6_ADDR_GEN_MODE_NONE else None


class AddressMessage(NamedTuple):
    """An address as RTM_NEWADDR tells it; lifetimes in seconds, 0xFFFFFFFF for ever."""

    family: int
    prefix: int
    scope: int
    ifindex: int
    flags: int
    local: str
    peer: str
    broadcast: str
    label: str
    protocol: int
    preferred: int
    valid: int
    rest: Mapping[int, bytes]


_READ = frozenset(
    {IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER, IFLA_OPERSTATE, IFLA_LINKINFO, IFLA_IFALIAS}
    | {IFLA_AF_SPEC, IFLA_GROUP, IFLA_PROMISCUITY, IFLA_CARRIER, IFLA_LINK_NETNSID, IFLA_PARENT_DEV_NAME}
)
"""Of a link's fifty attributes those that LinkMessage tells."""
_ADDRESS_TOLD = {IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_BROADCAST, IFA_CACHEINFO, IFA_FLAGS, IFA_PROTO}


def parse_link(body: bytes) -> LinkMessage:
    """A link as the body of an RTM_NEWLINK tells it, which is an answer or news."""
    _, device, index, flags, _ = _IFINFO.unpack_from(body)
    found = attributes(body, 16, _READ)
    get = found.get
    kind = slave_kind = ""
    data = slave_data = b""
    if IFLA_LINKINFO in found:
        info = attributes(found[IFLA_LINKINFO])
        kind, data = read_text(info.get(IFLA_INFO_KIND)), info.get(IFLA_INFO_DATA, b"")
        slave_kind, slave_data = read_text(info.get(IFLA_INFO_SLAVE_KIND)), info.get(IFLA_INFO_SLAVE_DATA, b"")
    netnsid = get(IFLA_LINK_NETNSID)
    return LinkMessage(
        ifindex=index,
        type=device,
        flags=flags,
        name=found[IFLA_IFNAME][:-1].decode(errors="replace"),
        kind=kind,
        mac=get(IFLA_ADDRESS, b"").hex(":"),
        mtu=read_u32(get(IFLA_MTU)),
        master=read_u32(get(IFLA_MASTER)),
        link=read_u32(get(IFLA_LINK)),
        link_netnsid=None if netnsid is None else read_u32(netnsid),
        alias=read_text(get(IFLA_IFALIAS)),
        group=read_u32(get(IFLA_GROUP)),
        promiscuity=read_u32(get(IFLA_PROMISCUITY)),
        operstate=get(IFLA_OPERSTATE, b"\0")[0],
        carrier=get(IFLA_CARRIER, b"\0")[0] == 1,
        bus=IFLA_PARENT_DEV_NAME in found,
        families=get(IFLA_AF_SPEC, b""),
        data=data,
        slave_kind=slave_kind,
        slave_data=slave_data,
    )


def link_local(mode: int | None) -> bytes:
    """The attribute that says how a link gets its link-local address, or that it gets none.

    It must come before the link goes up, and not in the message that makes it (EAFNOSUPPORT there).
    """
    mode = IN6_ADDR_GEN_MODE_NONE if mode is None else mode
    return nested(IFLA_AF_SPEC, nested(socket.AF_INET6, u8(IFLA_INET6_ADDR_GEN_MODE, mode)))


def dump_links(sock: Socket) -> list[LinkMessage]:
    """Every link of the socket's namespace, in the order of their indexes."""
    body = _IFINFO.pack(0, 0, 0, 0, 0) + u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS)
    return [parse_link(answer) for answer in sock.dump(Request(RTM_GETLINK, 0, body))]


def told_port(body: bytes) -> bytes:
    """The options of a bridge's port in a message of family AF_BRIDGE; b"" of the bridge itself."""
    return attributes(body, 16, {IFLA_PROTINFO}).get(IFLA_PROTINFO, b"")


def told_vlans(body: bytes) -> list[VlanInfo]:
    """The VLANs of a bridge's port, or of the bridge, in a message of family AF_BRIDGE.

    Several attributes of one number are told, so they are gone through one by one.
    """
    data = attributes(body, 16, {IFLA_AF_SPEC}).get(IFLA_AF_SPEC, b"")
    found, at = [], 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from("=HH", data, at)
        if kind == IFLA_BRIDGE_VLAN_INFO:
            found.append(struct.unpack_from("=HH", data, at + 4))
        at += max(4, size + 3 & ~3)
    return found


def dump_vlans(sock: Socket) -> dict[int, list[VlanInfo]]:
    """The VLANs of all bridges and their ports in the socket's namespace, by the links' indexes."""
    body = _IFINFO.pack(AF_BRIDGE, 0, 0, 0, 0) + u32(IFLA_EXT_MASK, RTEXT_FILTER_BRVLAN_COMPRESSED)
    found: dict[int, list[VlanInfo]] = {}
    for answer in sock.dump(Request(RTM_GETLINK, 0, body)):
        found.setdefault(_IFINFO.unpack_from(answer)[2], []).extend(told_vlans(answer))
    return found


def read_link(sock: Socket, name: str) -> LinkMessage | None:
    """The link called `name` in the socket's namespace, or None."""
    body = _IFINFO.pack(0, 0, 0, 0, 0) + u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS) + text(IFLA_IFNAME, name)
    try:
        found = parse_link(sock.ask(Request(RTM_GETLINK, 0, body)))
    except NetlinkError as error:
        if error.errno == errno.ENODEV:
            return None
        raise
    return found if found.name == name else None  # it may have that for an alternative name (rtnl_dev_get)


def link_index(sock: Socket, name: str) -> int:
    """The index of the link called `name`; raises NetlinkError (ENODEV) where there is none."""
    called = text(IFLA_IFNAME, name)
    answer = sock.ask(Request(RTM_GETLINK, 0, _IFINFO.pack(0, 0, 0, 0, 0) + called))
    if not answer.startswith(called, _IFINFO.size):  # the first that is told (rtnl_fill_ifinfo): it is only an altname
        raise NetlinkError(errno.ENODEV, None)
    return int(_IFINFO.unpack_from(answer)[2])


def dump_addresses(sock: Socket, *, lo: bool = False) -> list[AddressMessage]:
    """Every address of the socket's namespace, both families: those that aren't on lo, or those that are."""
    found = []
    for body in sock.dump(Request(RTM_GETADDR, 0, _IFADDR.pack(0, 0, 0, 0, 0))):
        family, prefix, flags, scope, index = _IFADDR.unpack_from(body)
        if (index == LO) != lo:
            continue
        attrs = attributes(body, 8)
        get = attrs.get
        local, peer = get(IFA_LOCAL), get(IFA_ADDRESS)
        lifetimes = get(IFA_CACHEINFO)
        preferred, valid = struct.unpack_from("=II", lifetimes) if lifetimes else (0xFFFFFFFF, 0xFFFFFFFF)
        protocol = get(IFA_PROTO)
        found.append(
            AddressMessage(
                family=family,
                prefix=prefix,
                scope=scope,
                ifindex=index,
                flags=read_u32(get(IFA_FLAGS)) or flags,
                local=read_address(family, local or peer),
                peer=read_address(family, peer if local and peer != local else None),
                broadcast=read_address(family, get(IFA_BROADCAST)),
                label=read_text(get(IFA_LABEL)),
                protocol=protocol[0] if protocol else 0,
                preferred=preferred,
                valid=valid,
                rest=left_over(attrs, _ADDRESS_TOLD),
            )
        )
    return found


def namespace_id(sock: Socket, fd: int) -> int | None:
    """The number by which the socket's namespace knows the namespace of `fd`; None where it does not."""
    body = sock.ask(Request(RTM_GETNSID, 0, b"\0\0\0\0" + u32(NETNSA_FD, fd)))
    number: int = struct.unpack("=i", attributes(body, 4)[NETNSA_NSID])[0]
    return None if number < 0 else number


def create_link(name: str, kind: str, *parts: bytes, data: bytes = b"", up: bool = False, index: int = 0) -> Request:
    """The request that makes a link, with a number of its own choosing where `index` isn't 0.

    Refused (EEXIST) where the name is taken.
    """
    info = [text(IFLA_INFO_KIND, kind)]
    if data:
        info.append(nested(IFLA_INFO_DATA, data))
    flag = IFF_UP if up else 0
    body = (
        _IFINFO.pack(0, 0, index, flag, flag) + text(IFLA_IFNAME, name) + b"".join(parts) + nested(IFLA_LINKINFO, *info)
    )
    return Request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body)


def set_link(
    index: int, *parts: bytes, up: bool | None = None, all_multicast: bool | None = None, family: int = 0
) -> Request:
    """The request that changes a link; None leaves a flag as it is."""
    flags = mask = 0
    for bit, wanted in ((IFF_UP, up), (IFF_ALLMULTI, all_multicast)):
        if wanted is not None:
            flags, mask = flags | bit * wanted, mask | bit
    return Request(RTM_NEWLINK, 0, _IFINFO.pack(family, 0, index, flags, mask) + b"".join(parts))


def change_port(index: int, *parts: bytes, delete: bool = False) -> Request:
    """The request that sets, or takes away, what a bridge knows of a port of it, or of itself."""
    return Request(RTM_DELLINK if delete else RTM_SETLINK, 0, _IFINFO.pack(AF_BRIDGE, 0, index, 0, 0) + b"".join(parts))


def delete_link(index: int, *parts: bytes) -> Request:
    """The request that deletes a link; with index 0 and a group, all links of that group at once."""
    return Request(RTM_DELLINK, 0, _IFINFO.pack(0, 0, index, 0, 0) + b"".join(parts))
