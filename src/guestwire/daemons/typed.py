"""What a person types to start QEMU and to talk to it: lines for a shell that do what guestwire does by descriptors.

A shell has no way to hand an open socket or tap to a program. So QEMU is started by root, opens by name what it shall
have, and becomes an ordinary user before it goes into the background (`-runas`, `-daemonize`). It has forked and
changed its user, then, which guestwire's own sandbox forbids it; of that is left what isn't in the way.

- A tap is opened by its name, in its namespace.
- A macvtap is opened by the shell: `3<>/dev/…` opens its device node as descriptor 3, and QEMU gets the number. The
  node that the kernel makes, /dev/tapN, is called by the link's number in *its* namespace, and two namespaces' links
  may have the same; so one is made by the device number that sysfs tells, and removed once it is open. Of several
  queues each is a descriptor that says that it is one (TUNSETIFF with IFF_MULTI_QUEUE): that takes a line of Python.
- Once QEMU is an ordinary user it can open no tap more. One for a machine that runs is opened by a Python script, which
  hands it over QMP's socket (SCM_RIGHTS in unix(7)).

Python 3 needs nothing beside its own library here. Descriptors beyond 9, which the shell needs for a machine with more
than seven queues of macvtaps, are bash's; to dash they are words.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from guestwire.linux import tuntap

__all__ = ["Plug", "ask", "asked", "plugged_in", "powered_down", "started", "unplugged"]

FIRST = 3
"""The first descriptor that a shell has free."""
WIDTH = 118
TOPICS = ("-machine", "-chardev", "-drive", "-netdev", "-kernel", "-append", "-runas")
"""The options that begin a line."""
DESCRIPTOR = 'fcntl.ioctl(fd, {request:#x}, struct.pack("16sH22x", b"{link}", {flags:#x}))'
TUNSETIFF = 0x400454CA
SCRIPT = """\
import fcntl, json, os, socket, struct
qemu = socket.socket(socket.AF_UNIX)
qemu.settimeout(10)
qemu.connect({path!r})
said = map(json.loads, qemu.makefile())
def ask(command, arguments={{}}, descriptors=[]):
    socket.send_fds(qemu, [json.dumps({{'execute': command, 'arguments': arguments}}).encode()], descriptors)
    answer = next(told for told in said if 'return' in told or 'error' in told)
    assert 'return' in answer, answer
    return answer['return']
ask('qmp_capabilities')
"""
ENDED = (
    "try:",
    "    list(said)",
    "except TimeoutError:",
    '    qemu.sendall(b\'{"execute": "quit"}\')',
    "    while qemu.recv(4096): pass",
)


@dataclass(frozen=True)
class Plug:
    """A NIC for QEMU's words: its link on the host, and the device that the guest has.

    `backend` is what QEMU knows its descriptors by; with `vhost` it is to have that or not to start.
    """

    netns: str
    link: str
    device: str
    queues: int
    backend: str
    vhost: bool
    card: Mapping[str, Any]

    @property
    def held(self) -> int:
        """How many descriptors the shell opens for it."""
        return self.queues if self.device == "macvtap" else 0

    @property
    def node(self) -> str:
        """Its device node, while it is opened."""
        return f"/dev/guestwire.{self.link}"

    def words(self, first: int) -> list[str]:
        """QEMU's words for it; its descriptors, where the shell opens any, are those from `first` on."""
        net = {"id": self.backend}
        if self.held:
            fds = ":".join(str(first + number) for number in range(self.held))
            net["fd" if self.held == 1 else "fds"] = fds
        else:
            net |= {"ifname": self.link, "script": "no", "downscript": "no"}
            net |= {"queues": str(self.queues)} if self.queues > 1 else {}
        net |= {"vhost": "on", "vhostforce": "on"} if self.vhost else {}
        card = {**self.card}
        return ["-netdev", f"tap,{_told(net)}", "-device", f"{card.pop('driver')},{_told(card)}"]


def started(words: Sequence[str], netns: str, plugs: Sequence[Plug]) -> list[str]:
    """The lines that run QEMU's words with NICs; a word that begins with - starts an option."""
    whole = [*words]
    opened: list[str] = []
    several: list[int] = []
    free = FIRST
    for plug in plugs:
        whole += plug.words(free)
        fds = range(free, free + plug.held)
        opened += [f"{fd}<>{shlex.quote(plug.node)}" for fd in fds]
        several += fds if plug.held > 1 else ()
        free += plug.held
    before = ["ip", "netns", "exec", netns] if netns else []
    before += _queues(several) if several else []
    lines = [*([shlex.join(before)] if before else []), *_folded(whole), *([" ".join(opened)] if opened else [])]
    nodes = [plug for plug in plugs if plug.held]
    made, away = [_node(plug) for plug in nodes], [f"rm {shlex.quote(plug.node)}" for plug in nodes]
    return [*made, " \\\n  ".join(lines), *away]


def _queues(fds: Sequence[int]) -> list[str]:
    """The words that make each of these descriptors a queue of its macvtap, and then run those behind them."""
    flags = tuntap.IFF_TAP | tuntap.IFF_NO_PI | tuntap.IFF_VNET_HDR | tuntap.IFF_MULTI_QUEUE
    each = DESCRIPTOR.format(request=TUNSETIFF, link="", flags=flags)
    made = f"[{each} for fd in ({', '.join(map(str, fds))})]"
    return ["python3", "-c", f"import fcntl, os, struct, sys; {made}; os.execvp(sys.argv[1], sys.argv[1:])"]


def _node(plug: Plug) -> str:
    read = f"cat /sys/class/net/{plug.link}/tap*/dev"
    number = f"ip netns exec {plug.netns} sh -c {shlex.quote(read)}" if plug.netns else read
    return f"mknod -m 600 {shlex.quote(plug.node)} c $({number} | tr : ' ')"


def plugged_in(plug: Plug, path: str) -> list[str]:
    """The lines that plug a NIC into the machine whose QMP socket is at `path`."""
    flags = tuntap.IFF_TAP | tuntap.IFF_NO_PI | tuntap.IFF_VNET_HDR | tuntap.IFF_MULTI_QUEUE * (plug.queues > 1)
    names = [f"{plug.backend}-{number}" for number in range(plug.queues)]
    door = plug.node if plug.held else tuntap.DOOR
    one, lines = plug.queues == 1, []
    words: dict[str, Any] = {"type": "tap", "id": plug.backend}
    for name in names:
        lines.append(f"fd = os.open({door!r}, os.O_RDWR | os.O_NONBLOCK)")
        lines.append(DESCRIPTOR.format(request=TUNSETIFF, link=plug.link, flags=flags))
        lines.append(ask("getfd", {"fdname": name}, "[fd]"))
    words["fd" if one else "fds"] = ":".join(names)
    if plug.vhost:
        carried = [f"{name}-vhost" for name in names]
        lines += [ask("getfd", {"fdname": name}, "[os.open('/dev/vhost-net', os.O_RDWR)]") for name in carried]
        words |= {"vhost": True, "vhostforce": True, "vhostfd" if one else "vhostfds": ":".join(carried)}
    lines += [ask("netdev_add", words), ask("device_add", plug.card)]
    inside = f"ip netns exec {plug.netns} " if plug.netns and not plug.held else ""
    told = f"{inside}{asked(path, *lines)}"
    return [_node(plug), told, f"rm {shlex.quote(plug.node)}"] if plug.held else [told]


def unplugged(device: str, backend: str, path: str) -> str:
    """The command that unplugs a NIC, once the guest has let go of it."""
    gone = f"told.get('event') == 'DEVICE_DELETED' and told['data'].get('device') == '{device}'"
    waited = f"next(told for told in said if {gone})"
    return asked(path, ask("device_del", {"id": device}), waited, ask("netdev_del", {"id": backend}))


def powered_down(path: str) -> str:
    """The command that presses a power button, and has QEMU end where the guest hasn't within its time."""
    return asked(path, ask("system_powerdown"), *ENDED)


def asked(path: str, *lines: str) -> str:
    """The shell command that talks to the QEMU whose QMP socket is at `path`: lines of Python, such as `ask` makes."""
    return "\n".join(["python3 - <<'END'", SCRIPT.format(path=path) + "\n".join(lines), "END"])


def ask(word: str, arguments: Mapping[str, Any] | None = None, descriptors: str = "") -> str:
    """The line that has QEMU do something."""
    told = repr(dict(arguments)) if arguments else ""
    return f"ask({', '.join(filter(None, (repr(word), told, descriptors)))})"


def _told(keys: Mapping[str, Any]) -> str:
    """Keys as QEMU's options have them: a comma in a value is written twice."""
    plain = {key: ("on" if value else "off") if isinstance(value, bool) else value for key, value in keys.items()}
    return ",".join(f"{key}={str(value).replace(',', ',,')}" for key, value in plain.items())


def _folded(words: Sequence[str]) -> Iterator[str]:
    """A command in lines that a person can read, each ending where an option does."""
    line = ""
    for number, word in enumerate(words):
        quoted, option = shlex.quote(word), word.startswith("-")
        whole = f"{quoted} {shlex.quote(words[number + 1])}" if option and number + 1 < len(words) else quoted
        if option and (word in TOPICS or len(line) + len(whole) > WIDTH):
            yield line
            line = ""
        line += f" {quoted}" if line else quoted
    yield line
