"""libvirt by its own library, libvirt-python: its domains, their NICs, its networks; each question with a deadline.

The library is there only where it was asked for (`pip install guestwire[libvirt]`), and is built against the machine's
own libvirt, whose version it must have. A libvirtd that hangs leaves a caller waiting for ever, so a thread asks, and
who waits for it gives up (SECONDS). One that was killed leaves a connection that is dead: what only asks then asks
anew.

libvirtd ends by itself where nothing uses it, and systemd starts it for whoever connects. So looking at a host mustn't
connect unless one runs.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from guestwire.errors import Unavailable
from guestwire.linux.processes import locker

if TYPE_CHECKING:
    from guestwire.daemons.dnsmasq import Lease
    from guestwire.daemons.libvirtxml import Interface, Network

__all__ = [
    "SERVERS",
    "SESSION",
    "SYSTEM",
    "Domain",
    "Found",
    "Libvirt",
    "connect",
    "forget",
    "is_running",
    "libvirt_leases",
    "session_user",
]

T = TypeVar("T")

SYSTEM, SESSION = "qemu:///system", "qemu:///session"
SECONDS = 15.0  # for an answer; a domain's NIC is unplugged once its guest lets go of it
LOOKING = 3.0  # where somebody only looks at a host
SERVERS = "/var/lib/libvirt/dnsmasq"
"""Where libvirt keeps the files of the dnsmasqs that it starts."""
PID_FILES = ("/run/libvirtd.pid", "/run/virtqemud.pid")
INSTALL = (
    "Install Debian's libvirt-dev, python3-dev and gcc, then `pip install libvirt-python==VERSION` with VERSION as "
    "`pkg-config --modversion libvirt` says it (or guestwire[libvirt], where pip finds one that fits)."
)


def session_user(uri: str) -> int | None:
    """The user whose session a connection leads to; None where that isn't said by a socket, or it is the system's.

    A session's libvirtd may do what its user may: it makes no link, and opens taps that are that user's.
    """
    from urllib.parse import parse_qs, urlsplit

    parts = urlsplit(uri)
    if parts.path != "/session":
        return None
    try:
        return os.stat(parse_qs(parts.query)["socket"][0]).st_uid
    except (KeyError, OSError):
        return None


class Domain(NamedTuple):
    """A domain: whether it runs, and its NICs as they are now and as its definition has them."""

    name: str
    uuid: str
    running: bool
    persistent: bool
    live: tuple[Interface, ...]
    config: tuple[Interface, ...]


class Found(NamedTuple):
    """A network, as libvirt has it defined, and whether it is started; `mac` is what a bridge gets that it makes."""

    network: Network
    active: bool
    bridge: str | None
    mac: str | None


def is_running() -> bool:
    """Whether a libvirtd runs on this machine, so that looking at it starts none."""
    return _server() is not None


def _server() -> int | None:
    """The pid of the libvirtd that runs; 0 where its process can't be seen from here, None where none runs.

    The number in its file may be another's by now; but it keeps that locked (virPidFileAcquirePath in virpidfile.c).
    """
    return next((pid for path in PID_FILES if (pid := locker(path)) is not None), None)


class Libvirt:
    """A connection. What libvirt refuses, or a libvirtd that doesn't answer in time, is an OSError with its words."""

    def __init__(self, uri: str, seconds: float = SECONDS) -> None:
        """Raises Unavailable where the library is missing or doesn't fit, or nobody answers."""
        self.uri, self.seconds = uri, seconds
        self._library = _library()
        try:
            self._connection: Any = self._within(lambda: self._library.open(uri))
        except OSError as error:
            raise _absent(uri, str(error.strerror)) from error

    def __enter__(self) -> Libvirt:
        return self

    def __exit__(self, *_: object) -> None:
        forget(self.uri)

    # Reading

    def domain(self, name: str) -> Domain | None:
        """The domain of that name, or None."""
        found = self._ask(lambda: self._lookup(self._connection.lookupByName, name, "VIR_ERR_NO_DOMAIN"))
        return self._ask(lambda: self._domain(found)) if found is not None else None

    def domains(self) -> list[Domain]:
        """All of them; one that goes meanwhile is left out."""

        def ask() -> list[Domain]:
            return [made for each in self._connection.listAllDomains() if (made := self._domain(each)) is not None]

        return self._ask(ask)

    def network(self, name: str) -> Found | None:
        """The network of that name, or None."""
        found = self._ask(lambda: self._lookup(self._connection.networkLookupByName, name, "VIR_ERR_NO_NETWORK"))
        return self._ask(lambda: self._network(found)) if found is not None else None

    def networks(self) -> list[Found]:
        """All of them."""
        found = self._ask(lambda: [self._network(each) for each in self._connection.listAllNetworks()])
        return [each for each in found if each is not None]

    def namespace(self) -> int | None:
        """The inode of the network namespace that libvirtd is in, for its links are made there; 0 where its process
        can't be seen from here, None where nothing can be said."""
        if self.uri != SYSTEM:
            return None
        try:
            if pid := _server():
                return os.stat(f"/proc/{pid}/ns/net").st_ino
        except PermissionError:
            return None
        except FileNotFoundError:
            pass
        self._ask(self._connection.getLibVersion)  # it may have just ended
        return 0

    # Changing

    def attach(self, domain: str, interface: Interface, *, live: bool, config: bool) -> None:
        """Plug a NIC into a domain that runs, into its definition, or both."""
        flags = self._affecting(live=live, config=config)
        self._do(lambda: self._connection.lookupByName(domain).attachDeviceFlags(interface.xml(), flags))

    def detach(self, domain: str, interface: Interface, *, live: bool, config: bool) -> None:
        """Take it out again; a running guest has to let go of it, which is waited for."""
        for part in (("live",) if live else ()) + (("config",) if config else ()):
            flags = self._affecting(live=part == "live", config=part == "config")

            def detach(flags: int = flags) -> None:
                self._connection.lookupByName(domain).detachDeviceFlags(interface.xml(), flags)

            self._do(detach)
            if part == "live":
                self._gone(domain, interface.mac)

    def _gone(self, domain: str, mac: str) -> None:
        """Wait until a running domain has that NIC no more. libvirt itself waits 5 s, then answers all the same."""
        from threading import Event

        pause = Event()
        for _ in range(round(self.seconds / 0.05)):
            found = self.domain(domain)
            if found is None or all(each.mac != mac for each in found.live):
                return
            pause.wait(0.05)
        raise OSError(errno.ETIMEDOUT, f"the guest in domain {domain} doesn't let go of the NIC {mac}")

    def define(self, network: Network) -> None:
        """Define a network, or define it anew; one that is started stays as it is until it is started again."""

        def define() -> None:
            there = self._lookup(self._connection.networkLookupByName, network.name, "VIR_ERR_NO_NETWORK")
            self._connection.networkDefineXML(network.xml(there.UUIDString() if there is not None else None))

        self._do(define)

    def start(self, name: str) -> None:
        """Start a network that is defined."""
        self._do(lambda: self._connection.networkLookupByName(name).create())

    def stop(self, name: str) -> None:
        """Stop one that is started."""
        self._do(lambda: self._connection.networkLookupByName(name).destroy())

    def undefine(self, name: str) -> None:
        """Forget one that isn't started."""
        self._do(lambda: self._connection.networkLookupByName(name).undefine())

    def update(self, name: str, command: str, section: str, place: int, xml: str) -> None:
        """Change a part of a network, started or not, without stopping it (virNetworkUpdate).

        `command` is add, delete or modify; `section` as libvirt calls it, "ip-dhcp-host"; `place` is which of several.
        """
        library = self._library
        what = {
            "add": library.VIR_NETWORK_UPDATE_COMMAND_ADD_LAST,
            "delete": library.VIR_NETWORK_UPDATE_COMMAND_DELETE,
            "modify": library.VIR_NETWORK_UPDATE_COMMAND_MODIFY,
        }[command]
        where = getattr(library, f"VIR_NETWORK_SECTION_{section.upper().replace('-', '_')}")
        flags = library.VIR_NETWORK_UPDATE_AFFECT_CONFIG

        def update() -> None:
            network = self._connection.networkLookupByName(name)
            live = library.VIR_NETWORK_UPDATE_AFFECT_LIVE if network.isActive() else 0
            network.update(what, where, place, xml, flags | live)

        self._do(update)

    # How it is asked

    def _domain(self, found: Any) -> Domain | None:
        from guestwire.daemons.libvirtxml import interfaces

        library = self._library
        try:
            running, persistent = bool(found.isActive()), bool(found.isPersistent())
            live = interfaces(found.XMLDesc(0)) if running else ()
            config = interfaces(found.XMLDesc(library.VIR_DOMAIN_XML_INACTIVE)) if persistent else ()
            return Domain(found.name(), found.UUIDString(), running, persistent, live, config)
        except library.libvirtError as error:
            if error.get_error_code() == library.VIR_ERR_NO_DOMAIN:
                return None
            raise

    def _network(self, found: Any) -> Found | None:
        from guestwire.daemons.libvirtxml import parse_network

        library = self._library
        try:
            flags = library.VIR_NETWORK_XML_INACTIVE if found.isPersistent() else 0
            text, active = found.XMLDesc(flags), bool(found.isActive())
            network, mac = parse_network(text), re.search(r"<mac address='([^']+)'", text)
            bridge = network.bridge or (parse_network(found.XMLDesc(0)).bridge if active else None)
            return Found(network, active, bridge, mac[1].lower() if mac else None)
        except library.libvirtError as error:
            if error.get_error_code() == library.VIR_ERR_NO_NETWORK:
                return None
            raise

    def _lookup(self, look: Callable[[str], Any], name: str, absent: str) -> Any:
        try:
            return look(name)
        except self._library.libvirtError as error:
            if error.get_error_code() == getattr(self._library, absent):
                return None
            raise

    def _affecting(self, *, live: bool, config: bool) -> int:
        library = self._library
        return (library.VIR_DOMAIN_AFFECT_LIVE if live else 0) | (library.VIR_DOMAIN_AFFECT_CONFIG if config else 0)

    def _ask(self, question: Callable[[], T]) -> T:
        """The answer; asked once more on a new connection where this one has ended, as when libvirtd was killed."""
        try:
            return self._within(question)
        except OSError as error:
            if error.errno == errno.ETIMEDOUT:
                self.seconds = min(self.seconds, LOOKING)  # who hangs is hardly well again for the next question
                raise _absent(self.uri, str(error.strerror)) from error
            if error.errno != errno.ECONNRESET:
                raise
        self._connection = self._reopened()
        return self._within(question)

    def _do(self, act: Callable[[], object]) -> None:
        """Have something done.

        Where the connection ends meanwhile nobody knows whether it was, so nothing is repeated.
        """
        if not self._connection.isAlive():
            self._connection = self._reopened()
        self._within(act)

    def _reopened(self) -> Any:
        try:
            return self._within(lambda: self._library.open(self.uri))
        except OSError as error:
            raise _absent(self.uri, str(error.strerror)) from error

    def _within(self, question: Callable[[], T]) -> T:
        from threading import Thread

        answers: list[T] = []
        errors: list[OSError] = []

        def ask() -> None:
            try:
                answers.append(question())
            except self._library.libvirtError as error:
                errors.append(self._translated(error))
            except ValueError as error:
                errors.append(OSError(errno.EPROTO, f"libvirt's XML can't be read: {error}"))

        thread = Thread(target=ask, daemon=True)
        thread.start()
        thread.join(self.seconds)
        if errors:
            raise errors[0]
        if not answers:
            raise OSError(errno.ETIMEDOUT, f"libvirtd doesn't answer within {self.seconds:g} s")
        return answers[0]

    def _translated(self, error: Any) -> OSError:
        library = self._library
        ended = error.get_error_domain() == library.VIR_FROM_RPC or error.get_error_code() in (
            library.VIR_ERR_RPC,
            library.VIR_ERR_INVALID_CONN,
        )
        ended = ended or "socket is closed" in str(error)
        return OSError(errno.ECONNRESET if ended else errno.EREMOTEIO, str(error.get_error_message() or error))


def libvirt_leases(bridge: str) -> list[Lease]:
    """What the dnsmasq that libvirt runs on a bridge has lent, as its leaseshelper notes it; none where it has not."""
    import json

    from guestwire.daemons.dnsmasq import Lease

    try:
        with open(f"{SERVERS}/{bridge}.status") as file:
            noted = json.load(file)
    except (OSError, ValueError):
        return []
    return [
        Lease(
            str(each.get("ip-address")),
            each.get("mac-address") if "." in str(each.get("ip-address")) else None,
            each.get("client-id"),
            each.get("hostname"),
            each.get("expiry-time"),
        )
        for each in noted
    ]


_CONNECTIONS: dict[str, Libvirt] = {}


def connect(uri: str = SYSTEM, seconds: float | None = None) -> Libvirt:
    """The connection to a libvirt, opened when first asked for; raises Unavailable as `Libvirt` does.

    `seconds` is what an answer may take from now on.
    """
    if uri not in _CONNECTIONS:
        _CONNECTIONS[uri] = Libvirt(uri, seconds or SECONDS)
    _CONNECTIONS[uri].seconds = seconds or _CONNECTIONS[uri].seconds
    return _CONNECTIONS[uri]


def forget(uri: str) -> None:
    """Let go of a connection."""
    _CONNECTIONS.pop(uri, None)


def _library() -> Any:
    """libvirt-python, told to keep its errors to its exceptions."""
    try:
        import libvirt
    except ImportError as error:
        if "undefined symbol" in str(error) or "libvirt.so" in str(error) or "version" in str(error):
            message = f"libvirt-python doesn't fit the libvirt of this machine ({error})."
            raise Unavailable(message, hint=INSTALL) from error
        raise Unavailable(f"libvirt-python is missing ({error}), and libvirt is asked by it.", hint=INSTALL) from error
    libvirt.registerErrorHandler(lambda context, error: None, None)
    return libvirt


def _absent(uri: str, why: str) -> Unavailable:
    message = f"libvirt doesn't answer at {uri} ({why.rstrip('.')})."
    if os.path.isdir("/run/systemd/system"):
        return Unavailable(message, hint="Start it: `systemctl start libvirtd`, or virtqemud and virtnetworkd.")
    return Unavailable(message, hint="Start it: `libvirtd --daemon`; Debian has it in libvirt-daemon-system.")
