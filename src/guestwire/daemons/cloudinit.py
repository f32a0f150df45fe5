"""cloud-init, which sets up a virtual machine from inside as it boots: what it is told, and the disk that tells it.

A small ISO 9660 image with the label `cidata` is a *seed* (cloud-init's datasource NoCloud). It holds up to four files:

- `meta-data`: the instance's id and the guest's name. A new id is a new machine to cloud-init, which starts over then.
- `network-config`, version 2: each NIC by its MAC, with its addresses. It is applied at every boot.
- `vendor-data`: what guestwire's file says in keys of its own, a user and keys. What `user-data` says goes before it.
- `user-data`: the user's own, handed on byte by byte.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from guestwire.linux.routes import DEFAULTS

__all__ = ["LABEL", "STARTS", "Nic", "Route", "digest", "image", "mark", "mark_of", "seed"]

LABEL = "cidata"
SYSTEM_AREA, BLOCK = 16, 2048  # ECMA-119, 6.2.1: the volume descriptor comes after 16 blocks
NAMED, APPLICATION = slice(40, 72), slice(574, 702)  # ECMA-119, 8.4: the volume's identifier, the application's
ROOM = 4 << 20
"""The size of every image, mostly a hole: a QEMU that has it open takes no notice of growth."""
STARTS = (
    *("#cloud-config", "#!", "#cloud-boothook", "#include", "#part-handler", "#cloud-config-archive"),
    *("## template:", "Content-Type:", "MIME-Version:", "\x1f\x8b"),
)
"""What user-data may start with, that cloud-init does anything with it."""


@dataclass(frozen=True)
class Route:
    """A NIC's route: the gateway, whether it lies outside the NIC's own subnet, and where it leads; "" is everywhere.

    That it does only netplan is told by cloud-init; its other renderers leave it out, and the route can't be set.
    """

    gateway: str
    onlink: bool = False
    to: str = ""


@dataclass(frozen=True)
class Nic:
    """A NIC as the guest shall set it up; `addresses` have their prefix, `routes` go by it."""

    link: str
    mac: str
    addresses: Sequence[str] = ()
    dhcp: bool = False
    routes: Sequence[Route] = ()
    mtu: int | None = None


def seed(
    instance: str,
    hostname: str,
    nics: Iterable[Nic],
    dns: Sequence[str] = (),
    user: str | None = None,
    keys: Sequence[str] = (),
    data: bytes = b"",
) -> dict[str, bytes]:
    """The files of a seed. `data` is the user's own user-data; a change of that or of the keys is a new instance."""
    vendor: dict[str, Any] = {}
    if user:
        vendor["user"] = user
    if keys:
        vendor["ssh_authorized_keys"] = list(keys)
    told = b"#cloud-config\n" + _yaml(vendor) if vendor else b""
    number = hashlib.blake2b(told + b"\0" + data, digest_size=4).hexdigest()
    files = {
        "meta-data": _yaml({"instance-id": f"{instance}-{number}", "local-hostname": hostname}),
        "network-config": _yaml({"version": 2, "ethernets": {nic.link: _ethernet(nic, dns) for nic in nics}}),
        "user-data": data,  # cloud-init takes a seed without one for no seed
    }
    return {**files, "vendor-data": told} if told else files


def _ethernet(nic: Nic, dns: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"match": {"macaddress": nic.mac}, "set-name": nic.link, "dhcp4": nic.dhcp}
    if nic.addresses:
        found["addresses"] = list(nic.addresses)
    for route in nic.routes:
        version = 6 if ":" in route.gateway else 4
        if route.onlink or route.to:
            way: dict[str, Any] = {"to": route.to or DEFAULTS[version], "via": route.gateway}
            found.setdefault("routes", []).append({**way, "on-link": True} if route.onlink else way)
        else:
            # Not as a route to ::/0, of which cloud-init before 23 makes one to ::/64 (`_normalize_net_keys`).
            found[f"gateway{version}"] = route.gateway
    if dns and (nic.addresses or nic.dhcp):
        found["nameservers"] = {"addresses": list(dns)}
    if nic.mtu:
        found["mtu"] = nic.mtu
    if not nic.addresses and not nic.dhcp:
        found["optional"] = True  # the boot needn't wait for it
    return found


def _yaml(value: object) -> bytes:
    import yaml

    text: str = yaml.safe_dump(value, default_flow_style=False, sort_keys=False, allow_unicode=True)
    return text.encode()


def digest(files: Mapping[str, bytes]) -> str:
    """What tells these files from others."""
    told = hashlib.blake2b(digest_size=8)
    for name, content in sorted(files.items()):
        told.update(b"%s %d\n%b" % (name.encode(), len(content), content))
    return told.hexdigest()


def mark(owner: str, digest: str) -> str:
    """What says in an image whose it is and what is in it."""
    return f"guestwire {owner} {digest}"


def image(files: Mapping[str, bytes], mark: str) -> bytes:
    """The image with those files; Rock Ridge and Joliet leave `-` and small letters in their names as they are."""
    import io

    from pycdlib import PyCdlib

    made, out = PyCdlib(), io.BytesIO()
    made.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=LABEL, app_ident_str=mark)
    for name, content in sorted(files.items()):
        plain = f"/{name.upper().replace('-', '_')}.;1"
        made.add_fp(io.BytesIO(content), len(content), plain, rr_name=name, joliet_path=f"/{name}")
    made.write_fp(out)
    made.close()
    return out.getvalue()


def mark_of(path: str) -> str | None:
    """The mark of an image, "" where it is no seed of ours, None where there is nothing. Raises OSError."""
    try:
        with open(path, "rb") as file:
            file.seek(SYSTEM_AREA * BLOCK)
            head = file.read(BLOCK)
    except FileNotFoundError:
        return None
    labelled = head[1:6] == b"CD001" and head[NAMED].rstrip() == LABEL.encode()
    return head[APPLICATION].decode(errors="replace").rstrip() if labelled else ""
