"""Plays the services of a copy of a host that it is asked for: its open TCP ports, and the name servers outside.

Who connects to an open port is answered by the kernel, and hears no more. A name server answers each question that it
refuses it (RFC 1035, RCODE 5): it is there, and that is all that is asked of it.
"""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial

from guestwire.linux.census import Listener
from guestwire.linux.child import dies_with_its_parent
from guestwire.linux.kernel import Kernel

__all__ = ["play"]

DNS = 53
REFUSED = b"\x81\x85"  # an answer, recursion asked for and to be had, refused


def play(kernel: Kernel, host: str, listeners: Sequence[Listener], servers: Iterable[tuple[str | None, str]]) -> None:
    """Play the listeners of the host, and name servers by their namespace outside and address.

    It goes on in a child until this process ends; the ports are open when this returns. What can't be opened isn't.
    """
    sockets = kernel.call(host, lambda: list(_listening(listeners)))
    names = [sock for netns, address in servers if netns for sock in kernel.call(netns, partial(_named, address))]
    if not sockets and not names:
        return
    if os.fork() == 0:
        try:
            dies_with_its_parent()
            _answer(names)
        finally:
            os._exit(0)
    for sock in (*sockets, *names):
        sock.close()


def _listening(listeners: Sequence[Listener]) -> Iterator[socket.socket]:
    plain = {each.port for each in listeners if each.protocol == "tcp" and ":" not in each.address}
    for each in listeners:
        if each.protocol != "tcp":
            continue
        six = ":" in each.address
        sock = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if six:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, each.port in plain)
            sock.bind((each.address, each.port))
            sock.listen()
        except OSError:  # a daemon of guestwire's has it already, or the address couldn't be copied
            sock.close()
            continue
        yield sock


def _named(address: str) -> list[socket.socket]:
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.bind((address, DNS))
    except OSError:
        sock.close()
        return []
    return [sock]


def _answer(names: Sequence[socket.socket]) -> None:
    poll = select.poll()
    by_number = {sock.fileno(): sock for sock in names}
    for number in by_number:
        poll.register(number, select.POLLIN)
    while True:
        for number, _ in poll.poll():
            with suppress(OSError):
                question, whence = by_number[number].recvfrom(4096)
                by_number[number].sendto(question[:2] + REFUSED + question[4:], whence)
