"""Which program of the distribution configures a NIC, by what lies on disk, and how it is told to leave the NIC alone.

Each leaves word of the links that it has in its hands: systemd-networkd in /run/systemd/netif/links, NetworkManager in
/run/NetworkManager/devices (both by the link's index), ifupdown in /run/network/ifstate, with /etc/network/interfaces
for what it will do at boot. netplan writes the files of one of the first two. They tell of the machine's initial
namespace.
"""

from __future__ import annotations

import contextlib
import glob
import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["NicOwner", "nic_owners"]


class NicOwner(NamedTuple):
    """A program that configures a NIC, the file that says so, and what has it leave the NIC alone."""

    program: str
    evidence: str
    remedy: str


def nic_owners(name: str, index: int) -> Iterator[NicOwner]:
    """Who configures the link of that name and index, as far as files say; usually one, or none."""
    netplan = _netplan(name)
    networkd = _networkd(name, index)
    if networkd is not None:
        yield netplan if netplan and "netplan" in _said(networkd.evidence).get("NETWORK_FILE", "") else networkd
    manager = _networkmanager(name, index)
    if manager is not None:
        yield netplan if netplan and glob.glob(f"/run/NetworkManager/system-connections/netplan-{name}*") else manager
    ifupdown = _ifupdown(name)
    if ifupdown is not None:
        yield ifupdown


def _networkd(name: str, index: int) -> NicOwner | None:
    evidence = f"/run/systemd/netif/links/{index}"
    if _said(evidence).get("ADMIN_STATE", "unmanaged") in ("unmanaged", "linger"):
        return None
    file = f"/etc/systemd/network/05-{name}.network"
    remedy = f"`[Match]`, `Name={name}`, `[Link]`, `Unmanaged=yes` in {file}, then `networkctl reload`"
    return NicOwner("systemd-networkd", evidence, remedy)


def _networkmanager(name: str, index: int) -> NicOwner | None:
    evidence = f"/run/NetworkManager/devices/{index}"
    if _said(evidence).get("managed", "false") in ("false", "unmanaged", "0", "no"):
        return None
    file = f"/etc/NetworkManager/conf.d/90-{name}.conf"
    remedy = f"`[keyfile]`, `unmanaged-devices=interface-name:{name}` in {file}, then `nmcli general reload`"
    return NicOwner("NetworkManager", evidence, remedy)


def _ifupdown(name: str) -> NicOwner | None:
    for path in ("/etc/network/interfaces", *sorted(glob.glob("/etc/network/interfaces.d/*"))):
        if re.search(rf"^\s*iface\s+{re.escape(name)}\s+inet6?\s+(?!manual\b)", _text(path), re.MULTILINE):
            remedy = f"`iface {name} inet manual` in place of its stanza in {path}"
            return NicOwner("ifupdown", path, remedy)
    for path in (f"/run/network/ifstate.{name}", "/run/network/ifstate"):
        if re.search(rf"^{re.escape(name)}=(?!{re.escape(name)}-manual)", _text(path), re.MULTILINE):
            if any(
                _mentions(each, name) for each in ("/etc/network/interfaces", *glob.glob("/etc/network/interfaces.d/*"))
            ):
                return None  # as manual, which sets nothing
            return NicOwner("ifupdown", path, f"`iface {name} inet manual` in /etc/network/interfaces")
    return None


def _netplan(name: str) -> NicOwner | None:
    for path in sorted(glob.glob("/etc/netplan/*.yaml")):
        if re.search(rf"^\s+{re.escape(name)}:", _text(path), re.MULTILINE):
            remedy = f"no `dhcp4`, `dhcp6`, `addresses` or `routes` for {name} in {path}, then `netplan apply`"
            return NicOwner("netplan", path, remedy)
    return None


def _mentions(path: str, name: str) -> bool:
    return re.search(rf"^\s*iface\s+{re.escape(name)}\s", _text(path), re.MULTILINE) is not None


def _said(path: str) -> dict[str, str]:
    """What a file of lines KEY=VALUE says."""
    return dict(line.strip().split("=", 1) for line in _text(path).splitlines() if "=" in line)


def _text(path: str) -> str:
    with contextlib.suppress(OSError), open(path, errors="replace") as file:
        return file.read()
    return ""
