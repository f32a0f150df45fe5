"""What this host hangs on, as it says itself: the DNS servers that it asks, the ssh connection that we run under."""

from __future__ import annotations

import ipaddress
import os

__all__ = ["is_loopback", "resolvers", "ssh_connection"]

RESOLV, STUB_OF = "/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"
PARENTS = 64  # processes above us that are looked at


def is_loopback(address: str) -> bool:
    """Whether that is an address of this host's own loopback, or no address at all."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return True


def resolvers(netns: str, *, own: bool = False) -> list[str]:
    """The DNS servers of the namespace that is the host, as resolv.conf has them; with `own` only of a file of its own.

    Where all are systemd-resolved's on this host, those that it asks.
    """
    place = f"/etc/netns/{netns}/resolv.conf"
    if netns and (own or os.path.exists(place)):
        return _servers(place)
    found = _servers(RESOLV)
    return _servers(STUB_OF) if found and all(is_loopback(each) for each in found) else found


def _servers(path: str) -> list[str]:
    try:
        with open(path, errors="replace") as file:
            lines = [line.split() for line in file]
    except OSError:
        return []
    return [words[1] for words in lines if len(words) > 1 and words[0] == "nameserver"]


def ssh_connection() -> str:
    """SSH_CONNECTION of ours, or of the nearest process above us that has it: sudo(8) takes it away; "" where none."""
    found, pid = os.environ.get("SSH_CONNECTION", ""), os.getpid()
    for _ in range(PARENTS):
        if found:
            return found
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                pid = int(file.read().rpartition(b")")[2].split()[1])
            with open(f"/proc/{pid}/environ", "rb") as file:
                words = file.read().split(b"\0")
        except (OSError, ValueError):
            return ""
        found = next((w.partition(b"=")[2].decode() for w in words if w.startswith(b"SSH_CONNECTION=")), "")
    return found
