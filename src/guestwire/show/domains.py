"""libvirt's domains and networks in words: which link of the host is whose NIC."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["domain_rows", "explained", "network_rows"]


def domain_rows(document: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """A table of domains, each with its NICs; nothing where there are none."""
    if document.get("domains"):
        yield ("DOMAIN", "STATE", "NIC", "PLUGGED INTO", "ON THE HOST", "PROJECT")
    for domain in document.get("domains", ()):
        for i, nic in enumerate(domain["nics"] or [{}]):
            first = (domain["name"], "running" if domain["running"] else "off") if i == 0 else ("", "")
            into = f"{nic['type']} {nic['source']}".strip() if nic else ""
            yield (*first, nic.get("mac", ""), into, nic.get("host_link") or "", nic.get("project") or "")


def network_rows(document: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """A table of libvirt's networks; nothing where there are none."""
    if document.get("libvirt"):
        yield ("LIBVIRT NETWORK", "FORWARD", "ON", "STATE", "PROJECT")
    for each in document.get("libvirt", ()):
        state = "active" if each["active"] else "inactive"
        yield (each["name"], each["forward"], each["link"] or "", state, each["project"] or "")


def explained(document: Mapping[str, Any]) -> str:
    """Whose the ports of a project's networks are that libvirt has made for others."""
    ports = {port: each["link"] for each in document["networks"] for port in each["ports"]}
    return "".join(
        f"{nic['host_link']}, a port of {ports[nic['host_link']]}, is libvirt's: a NIC of domain {domain['name']}.\n"
        for domain in document.get("domains", ())
        for nic in domain["nics"]
        if nic["host_link"] in ports and nic["project"] != document["project"]
    )
