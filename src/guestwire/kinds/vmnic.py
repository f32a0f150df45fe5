"""A NIC of a virtual machine: a device in its QEMU, which holds descriptors of a tap or macvtap on the host.

guestwire opens the descriptors, one for each queue, and hands them to QEMU over its QMP socket (SCM_RIGHTS in unix(7),
`getfd`); QEMU makes of them a network backend (`netdev_add`), and of that a PCI device at a slot of the NIC's own
(`device_add`). A machine that runs takes such a device at any time. To unplug one takes its guest: it is asked to let
go of it (`device_del`, by ACPI), and when it has, QEMU says so (DEVICE_DELETED). Where an undo meets a guest that
doesn't, its cable is pulled out: that takes nobody's consent, and the guest is left with a NIC without a carrier until
it lets go, or boots again.

- `virtio` is made for this: frames go through memory that both share. `e1000` and `rtl8139` play a real card register
  by register: they cost some three times the time, and have one queue.
- With vhost the kernel itself carries frames between that memory and the tap (/dev/vhost-net, vhost.ko), which spares
  each frame the way through QEMU. QEMU falls back without a word where it can't have that; here it is told not to
  (`vhostforce`), and where it wasn't demanded tried again without.
- A macvtap takes in and sends only what bears its own MAC, so the NIC's must be that. A guest that gives itself another
  is deaf there; then the NIC is plugged in anew, with the right one. On a bridge it may have what MAC it likes.
- A tap that was made anew under the same name isn't the one that QEMU holds: it is known by its index.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shlex
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from guestwire.daemons import qemu, typed
from guestwire.daemons.typed import Plug
from guestwire.errors import Problem
from guestwire.kinds.link import USUAL_MTU
from guestwire.kinds.pidfile import living
from guestwire.kinds.thing import Thing, ip
from guestwire.kinds.vm import LOOK, START, Vm, folder_of, monitor
from guestwire.linux import tuntap
from guestwire.linux.kernel import Kernel
from guestwire.linux.netlink import Socket
from guestwire.picture import Key, Value, fact, fixed, passing, setting

if TYPE_CHECKING:
    from guestwire.daemons.qmp import Monitor

__all__ = ["MODELS", "VmNic"]

MODELS = {"virtio": "virtio-net-pci", "e1000": "e1000", "rtl8139": "rtl8139"}
"""QEMU's names of the devices, by ours."""
VHOST = "/dev/vhost-net"
LET_GO = 5.0  # seconds that a guest gets to let go of a NIC: it takes one that has booted .3 s


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class VmNic(Thing):
    """A NIC, called PROJECT/GUEST:NIC, on the link `end` (name and device, "tap" or "macvtap") of its own namespace.

    `slot` is which NIC of the machine it is, from 0. `up` is whether its cable is in, for the guest. `seen_mac` is the
    MAC that the guest gave it, `opened` says whether the guest has set it up, None where the device doesn't tell; `why`
    says why it has no vhost. `addresses` are those that it was given, for its guest to take.
    """

    KIND: ClassVar[str] = "vmnic"
    RANK: ClassVar[int] = 64
    NAMED: ClassVar[bool] = True
    OUTLASTS: ClassVar[bool] = True
    ASKED: ClassVar[bool] = True

    end: tuple[str, str] | None = fixed()
    mac: str | None = fixed()
    mtu: int | None = fixed()
    model: str | None = fixed()
    queues: int | None = fixed()
    slot: int | None = fixed()
    vhost: bool | None = fixed()
    deaf: bool | None = fixed()
    up: bool | None = setting()
    why: str | None = passing()
    addresses: tuple[str, ...] = passing(())
    seen_mac: str | None = fact()
    opened: bool | None = fact()
    pid: int = fact(0)

    # What is there

    @classmethod
    def read_all(cls, kernel: Kernel, keys: Iterable[Key]) -> Iterator[Thing]:
        noted = [nic for key in keys if (nic := cls._noted(kernel, key)) is not None]
        by_machine: dict[str, list[VmNic]] = defaultdict(list)
        for nic in noted:
            by_machine[f"{nic.folder}/{qemu.QMP}"].append(nic)
        answers: dict[str, Any] = {}
        if noted:
            from guestwire.daemons.qmp import survey

            asked = [("human-monitor-command", {"command-line": "info network"}), ("query-rx-filter", {})]
            answers = survey(dict.fromkeys(by_machine, asked), LOOK)
        for path, nics in by_machine.items():
            for nic in nics:
                if isinstance(answers[path], OSError):  # it hangs, and has what it had
                    yield nic
                elif f"{nic.backend}:" in str(answers[path][0]):
                    filters = {each["name"]: each for each in answers[path][1] or ()}
                    yield nic._heard(filters.get(nic.device))

    @classmethod
    def _noted(cls, kernel: Kernel, key: Key) -> VmNic | None:
        """A NIC as its note tells, where its machine's process is there."""
        folder = folder_of(key.name)
        pid, _ = next(living(kernel, key.netns, f"{folder}/{qemu.PIDFILE}"), (0, ()))
        if not pid:
            return None
        try:
            with open(f"{folder}/{_note(key.name)}") as file:
                data = json.load(file)
            identity = tuple(data.pop("identity"))
            nic = replace(cls.from_json(data), netns=key.netns, name=key.name, pid=pid)
        except FileNotFoundError:
            return None
        except (OSError, TypeError, ValueError, KeyError):  # of another version
            return cls(netns=key.netns, name=key.name, owner=key.name.partition("/")[0], pid=pid)
        if nic.end is None or kernel.identity(nic.netns, nic.end[0]) != identity:
            return replace(nic, end=None)
        return nic

    def _heard(self, told: dict[str, Any] | None) -> VmNic:
        """Itself, with what its guest wants to hear. With another MAC than its macvtap's it is deaf.

        A device is promiscuous from its reset until a guest's driver says what it wants.
        """
        if told is None:
            return self
        mac = str(told["main-mac"])
        deaf = self.end is not None and self.end[1] == "macvtap" and mac != self.mac
        return replace(self, seen_mac=mac, deaf=deaf, opened=not told["promiscuous"])

    @property
    def guest(self) -> str:
        """The guest's name."""
        return self.name.partition("/")[2].partition(":")[0]

    @property
    def link(self) -> str:
        """The NIC's name in the file."""
        return self.name.partition(":")[2]

    @property
    def folder(self) -> str:
        """Its machine's folder."""
        return folder_of(self.name)

    @property
    def _socket(self) -> str:
        return f"{self.folder}/{qemu.QMP}"

    @property
    def backend(self) -> str:
        """What QEMU knows its descriptors by."""
        return f"net{self.slot}"

    @property
    def device(self) -> str:
        """What QEMU knows the device by."""
        return f"nic{self.slot}"

    def told(self) -> dict[str, Any]:
        """What it is for its guest, as JSON knows it; `guest_mac` is None where that is as it was given."""
        return {
            "name": self.link,
            "mac": self.mac,
            "model": self.model,
            "queues": self.queues,
            "vhost": self.vhost,
            "why": self.why,
            "link": "down" if self.up is False else "up",
            "guest_mac": self.seen_mac if self.seen_mac != self.mac else None,
        }

    def on_links(self) -> tuple[tuple[str, str], ...]:
        return ((self.netns, self.end[0]),) if self.end else ()

    def stands_on(self) -> tuple[Key, ...]:
        return (Key("", self.netns, Vm.KIND, self.name.partition(":")[0]),)

    def namespaces(self) -> tuple[str, ...]:
        return ()

    # Plugging in

    def lacks(self, sock: Socket) -> Problem | None:
        """Whether we may open a macvtap's node, which takes root outside of any user namespace; vhost, if demanded."""
        if self.end and self.end[1] == "macvtap":
            try:
                tuntap.try_node()
            except OSError as error:
                message = (
                    f"a macvtap's device node can't be opened here ({error.strerror}), so no machine can be on it."
                )
                return Problem(message, "Do it as root, or use a network of type bridge or routed.")
        if self.vhost:
            why = self._why_no_vhost()
            if why is not None:
                message = f"vhost is demanded, and {VHOST} can't be opened: {why.removeprefix(f'{VHOST}: ')}."
                return Problem(message, "Load its module (modprobe vhost_net), or leave vhost out.")
        return None

    def trial_name(self) -> str:
        return f"{self.KIND} {self.end[1] if self.end else None} {self.vhost}"

    def create(self, kernel: Kernel) -> None:
        assert self.end is not None
        kernel.flush()
        link, device = self.end
        identity = kernel.identity(self.netns, link)
        with contextlib.ExitStack() as opened, monitor(self.name, START) as qmp:
            queues: list[int] = []
            for _ in range(self.queues or 1):
                queues.append(kernel.call(self.netns, self._opener(link, device)))
                opened.callback(os.close, queues[-1])
            self._write(identity)
            try:
                with contextlib.suppress(OSError):
                    qmp.ask("netdev_del", {"id": self.backend})  # of one that was broken off
                why = self._add_backend(qmp, queues, opened)
                self._add_device(qmp)
                if self.up is False:
                    qmp.ask("set_link", {"name": self.device, "up": False})
            except OSError:
                with contextlib.suppress(OSError):
                    qmp.ask("netdev_del", {"id": self.backend})
                self._forget()
                raise
        replace(self, vhost=why is None, why=why, up=self.up is not False)._write(identity)

    def _opener(self, link: str, device: str) -> Callable[[], int]:
        opened: Callable[..., int] = tuntap.open_macvtap if device == "macvtap" else tuntap.attach
        return partial(opened, link, vnet_header=True, multi_queue=(self.queues or 1) > 1, blocking=False)

    def _add_backend(self, qmp: Monitor, queues: list[int], opened: contextlib.ExitStack) -> str | None:
        """Hand the descriptors over; why without vhost, None where with it."""
        why = self._why_no_vhost()
        if why is None:
            try:
                vhost: list[int] = []
                for _ in queues:
                    vhost.append(os.open(VHOST, os.O_RDWR | os.O_CLOEXEC))
                    opened.callback(os.close, vhost[-1])
                self._netdev_add(qmp, queues, vhost)
                return None
            except OSError as error:
                if self.vhost:
                    raise
                why = error.strerror
        if self.vhost:
            raise OSError(errno.ENODEV, f"vhost is demanded, and isn't to be had ({why})")
        self._netdev_add(qmp, queues, [])
        return why

    def _why_no_vhost(self) -> str | None:
        """Why it won't have vhost; None where it will, as far as one sees."""
        if self.model != "virtio":
            return f"{self.model} can't have it"
        if self.vhost is False:
            return "vhost: false"
        try:
            os.close(os.open(VHOST, os.O_RDWR | os.O_CLOEXEC))
        except OSError as error:
            return f"{VHOST}: {error.strerror}"
        return None

    def _netdev_add(self, qmp: Monitor, queues: list[int], vhost: list[int]) -> None:
        named = {f"{self.backend}-{number}": fd for number, fd in enumerate(queues)}
        named_vhost = {f"{self.backend}-vhost{number}": fd for number, fd in enumerate(vhost)}
        for name, fd in {**named, **named_vhost}.items():
            qmp.hand_over(fd, name)
        one = len(queues) == 1
        words: dict[str, Any] = {"type": "tap", "id": self.backend, "fd" if one else "fds": ":".join(named)}
        if vhost:
            words |= {"vhost": True, "vhostforce": True, "vhostfd" if one else "vhostfds": ":".join(named_vhost)}
        try:
            qmp.ask("netdev_add", words)
        except OSError:
            for name in (*named, *named_vhost):
                with contextlib.suppress(OSError):
                    qmp.ask("closefd", {"fdname": name})
            raise

    def _add_device(self, qmp: Monitor) -> None:
        try:
            qmp.ask("device_add", self._device())
        except OSError as error:
            if "Duplicate device ID" not in str(error):
                raise
            # One whose cable was pulled out, while its guest didn't let go of it.
            if not self._let_go(qmp):
                raise OSError(errno.EBUSY, "its guest hasn't let go of the NIC that was there before") from error
            qmp.ask("device_add", self._device())

    def _device(self) -> dict[str, Any]:
        assert self.model is not None
        place = f"{qemu.FIRST_SLOT + (self.slot or 0):#x}"
        words: dict[str, Any] = {"driver": MODELS[self.model], "id": self.device, "netdev": self.backend}
        words |= {"mac": self.mac, "bus": "pci.0", "addr": place}
        if self.model == "virtio":
            queues = self.queues or 1
            if queues > 1:
                words |= {"mq": True, "vectors": 2 * queues + 2}  # each queue's two, the control queue's, the config's
            if self.mtu not in (None, USUAL_MTU):
                words["host_mtu"] = self.mtu
        return words

    def change(self, kernel: Kernel, seen: Value) -> None:
        assert self.end is not None
        assert isinstance(seen, VmNic)
        with monitor(self.name) as qmp:
            qmp.ask("set_link", {"name": self.device, "up": self.up})
        replace(self, vhost=seen.vhost, why=seen.why)._write(kernel.identity(self.netns, self.end[0]))

    def delete(self, kernel: Kernel) -> None:
        kernel.flush()
        with monitor(self.name) as qmp:
            if not self._let_go(qmp) and not kernel.forced:
                raise OSError(errno.EBUSY, f"its guest hasn't let go of it within {LET_GO:g} s")
            with contextlib.suppress(OSError):
                qmp.ask("netdev_del", {"id": self.backend})
        self._forget()

    def _let_go(self, qmp: Monitor) -> bool:
        """Ask the guest to let go of the device; whether it has."""
        try:
            qmp.ask("device_del", {"id": self.device})
        except OSError as error:
            if error.errno != errno.EREMOTEIO:
                raise
            if "not found" in str(error):
                return True
            # Else it has been asked already.
        return qmp.wait_for("DEVICE_DELETED", {"device": self.device}, LET_GO)

    def _write(self, identity: tuple[int, ...]) -> None:
        """Note what it is, before it is, so that it is found by whoever comes after us."""
        path = f"{self.folder}/{_note(self.name)}"
        with open(f"{path}.new", "w") as file:
            json.dump({**self.to_json(), "deaf": False, "identity": identity}, file)
        os.rename(f"{path}.new", path)

    def _forget(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self.folder}/{_note(self.name)}")

    def why_refused(self, number: int) -> str | None:
        if number == errno.EBUSY:
            return "A guest lets go by ACPI, once it has booted: try again then. Where it never does, take it down."
        if number in (errno.EMFILE, errno.ENFILE):
            return "A NIC takes an open file for each queue: raise the limit (`ulimit -Hn`)."
        return None

    # In words

    def plug(self) -> Plug:
        """It for QEMU's words."""
        assert self.end is not None
        return Plug(self.netns, *self.end, self.queues or 1, self.backend, self._why_no_vhost() is None, self._device())

    def plugged_commands(self) -> list[str]:
        """The commands for what is left to do once its machine has it."""
        pulled = [self._set_link_command()] if self.up is False else []
        why = self._why_no_vhost()
        return [*pulled, replace(self, vhost=why is None, why=why, up=self.up is not False)._note_command()]

    def _set_link_command(self) -> str:
        return typed.asked(self._socket, typed.ask("set_link", {"name": self.device, "up": self.up}))

    def _note_command(self) -> str:
        """Note what it is, and on which link: the one that has its name now."""
        assert self.end is not None
        namespace = f"stat -c %i /run/netns/{self.netns}" if self.netns else "stat -Lc %i /proc/self/ns/net"
        numbers = f'"$({namespace})" "$({ip(self.netns, "-o", "link", "show", "dev", self.end[0])} | cut -d: -f1)"'
        text = json.dumps({**self.to_json(), "deaf": False}).replace("\\", r"\\").replace("%", "%%")
        told = shlex.quote(text[:-1] + ', "identity": [%s, %s]}')
        return f"printf {told} {numbers} > {shlex.quote(f'{self.folder}/{_note(self.name)}')}"

    def create_commands(self) -> list[str]:
        return [*typed.plugged_in(self.plug(), self._socket), *self.plugged_commands()]

    def change_commands(self, seen: Value) -> list[str]:
        assert isinstance(seen, VmNic)
        return [self._set_link_command(), replace(self, vhost=seen.vhost, why=seen.why)._note_command()]

    def delete_commands(self) -> list[str]:
        note = shlex.quote(f"{self.folder}/{_note(self.name)}")
        return [typed.unplugged(self.device, self.backend, self._socket), f"rm {note}"]


def _note(name: str) -> str:
    """The file with what a NIC is, in its machine's folder."""
    return f"{name.partition(':')[2]}.nic"
