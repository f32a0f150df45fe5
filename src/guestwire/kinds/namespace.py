"""A network namespace: links, addresses, routes, firewall and sysctls of its own, under a name that `ip netns` lists.

It bears our mark on its `lo`, since a namespace itself can hold none. A new one has `lo` down and
bridge-nf-call-iptables on. Of net.ipv4.conf it gets the values of the initial one for "all" and "default", forwarding
too; net.ipv6.conf is as the kernel is built, with forwarding off (devinet_init_net and addrconf_init_net, unless the
sysctl net.core.devconf_inherit_init_net says otherwise). When its name is taken away it lives on while a process or
descriptor is in it; when it ends, virtual links in it are deleted and hardware falls back to the initial one
(network_namespaces(7)).
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import ClassVar

from guestwire.kinds.mark import alias, owner_of
from guestwire.kinds.thing import Thing, ip
from guestwire.linux.kernel import Kernel
from guestwire.linux.netlink import Socket, text
from guestwire.linux.rtnetlink import IFLA_IFALIAS, LO, delete_link, dump_links, read_link, set_link
from guestwire.picture import Value

__all__ = ["Namespace", "owner_in"]


def owner_in(sock: Socket) -> str | None:
    """Whose the socket's namespace is, by the mark on its `lo`; None where it is nobody's."""
    lo = read_link(sock, "lo")
    return owner_of(lo.alias) if lo else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Namespace(Thing):
    """A named namespace; `netns` and `name` are the same."""

    KIND: ClassVar[str] = "namespace"
    RANK: ClassVar[int] = 0

    @classmethod
    def named(cls, name: str, project: str | None) -> Namespace:
        """The namespace of that name, as `project`'s."""
        return cls(netns=name, name=name, owner=project)

    @property
    def final(self) -> bool:
        return True

    def create(self, kernel: Kernel) -> None:
        kernel.create_namespace(self.name)
        mark = b"" if self.owner is None else text(IFLA_IFALIAS, alias(self.owner, self.name))
        for error in kernel.socket(self.name).transact([set_link(LO, mark, up=True)]):
            raise error

    def why_refused(self, number: int) -> str | None:
        if number == errno.EEXIST:
            return f"What lies under that name is no namespace: `ip netns delete {self.name}` takes it away."
        return None

    def change(self, kernel: Kernel, seen: Value) -> None:
        """A namespace has no settings."""

    def delete(self, kernel: Kernel) -> None:
        if kernel.is_held(self.name):
            # It would live on without its name, and its links on their parents: they go by themselves, one by one.
            sock = kernel.socket(self.name)
            for link in dump_links(sock):
                if link.kind:
                    for error in sock.transact([delete_link(link.ifindex)]):
                        if error.errno != errno.ENODEV:  # gone with the one before, as the other end of a pair
                            raise error
        kernel.delete_namespace(self.name)

    def create_commands(self) -> list[str]:
        mark = () if self.owner is None else ("alias", alias(self.owner, self.name))
        words = ("link", "set", "dev", "lo", *mark, "up")
        return [ip("", "netns", "add", self.name), ip(self.name, *words)]

    def change_commands(self, seen: Value) -> list[str]:
        return []

    def delete_commands(self) -> list[str]:
        return [ip("", "netns", "delete", self.name)]

    def namespaces(self) -> tuple[str, ...]:
        return ()
