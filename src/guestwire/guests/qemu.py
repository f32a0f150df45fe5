"""The guest kind `qemu`: a virtual machine, from a disk image or a kernel; guestwire runs its QEMU and plugs it in.

What its NICs are on the host follows from the network: a tap on a bridge or a routed one, a macvtap on an uplink.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from guestwire.compile import BuiltGuest, BuiltNetwork, Seat, Site
from guestwire.compile.cloudinit import CloudInit, add_seed, seed_file
from guestwire.compile.plug import held_as
from guestwire.daemons import accelerator, diskimage, firmware, qemu
from guestwire.errors import Problem
from guestwire.kinds.overlay import Overlay, overlay_file
from guestwire.kinds.tap import NOBODY
from guestwire.kinds.vm import Disk, Vm
from guestwire.kinds.vmnic import VmNic
from guestwire.linux.accounts import is_mapped, primary_group, user_number
from guestwire.linux.machine import free_memory, memory
from guestwire.picture import Key, Picture
from guestwire.places import RUN
from guestwire.printable import quote
from guestwire.spec.file import File
from guestwire.spec.models import Nic
from guestwire.spec.report import Where
from guestwire.spec.scalars import Account, Flag, Processors, Queues, Text, fail

__all__ = ["Qemu"]

ORDINARY = "nobody"
"""Who QEMU runs as where the file says nobody else: it needs no rights, as all it uses is handed to it."""
ACCELERATORS = {"kvm": ("-accel", "kvm", "-cpu", "host"), "tcg": ("-accel", "tcg", "-cpu", "max")}
SLOW = {"e1000": 3, "rtl8139": 3}
"""How many times the time of virtio a NIC that plays a real card takes for what it carries."""


AMOUNT = re.compile(r"([1-9][0-9]{0,8})\s*([MmGg]?)(?:[iI]?[bB])?")
LEAST, MOST = 16, 1 << 23  # MiB of memory that a file may ask for


def _memory(value: Any) -> int:
    """Mebibytes, of a number of them or of one with its unit."""
    found = AMOUNT.fullmatch(str(value))
    if isinstance(value, bool) or not found:
        raise fail(f"{quote(str(value))} is no amount of memory.", "Write it as 512M or 2G.")
    number = int(found[1]) * (1024 if found[2].upper() == "G" else 1)
    if not LEAST <= number <= MOST:
        raise fail(f"{number} MiB is out of range.", f"Write {LEAST}M or more.")
    return number


Memory = Annotated[
    int,
    PlainValidator(_memory),
    WithJsonSchema({"title": "MiB, or as 512M or 2G", "type": ["integer", "string"]}),
]


class Qemu(BuiltGuest):
    """A virtual machine that guestwire runs."""

    HAS_NAMESPACE: ClassVar[bool] = False
    MUTE: ClassVar[str] = "no guest agent runs in {}, or not yet"
    NIC_KEYS: ClassVar[frozenset[str]] = frozenset({"queues", "model", "vhost", "link"})

    kind: Literal["qemu"] = Field(description="a virtual machine, which guestwire runs by QEMU")
    image: Text | None = Field(None, description="its disk's image; a path is from the file's folder")
    format: Literal["qcow2", "raw"] | None = Field(None, description="the image's format; else as its header says")
    write: Flag = Field(False, description="the guest writes to the image itself; else to a copy that `down` removes")
    kernel: Text | None = Field(None, description="a kernel that it boots in place of what its disk has")
    initramfs: Text | None = Field(None, description="the kernel's initramfs")
    append: Text | None = Field(None, description="the kernel's command line")
    firmware: Literal["bios", "uefi"] = Field("bios", description="what it starts with: a BIOS, or UEFI")
    memory: Memory = Field(512, description="its memory in MiB, or as 512M, 2G")
    cpus: Processors = Field(1, description="how many processors it has, 1 to 255")
    cloud_init: CloudInit | None = Field(None, description="what its cloud-init is told; {} is its addresses alone")
    user_data: Text | None = Field(
        None, description="cloud-init's user-data: a file, or where it has several lines that itself"
    )
    user: Account | None = Field(None, description="the user that its QEMU runs as; else nobody")
    queues: Queues = Field(1, description="how many queues each of its NICs has, 1 to 256")
    model: Literal["virtio", "e1000", "rtl8139"] = Field(
        "virtio", description="what its NICs are: virtio, or slower e1000 or rtl8139"
    )
    accel: Literal["kvm", "tcg"] | None = Field(
        None, description="what runs its processors: else kvm where a trial shows that it works, or tcg"
    )
    vhost: Flag | None = Field(None, description="the kernel carries its frames: true demands it; else where it can")

    # What is wrong with the file

    def check(self, file: File) -> Iterable[Problem]:
        yield from super().check(file)
        if self.dns and not self.is_set_up:
            yield file.problem(self.at("dns"), "a machine has a resolv.conf of its own.", "Leave dns out.")
        if not self.image and not self.kernel:
            message = "a machine needs an image or a kernel to boot."
            yield file.problem(self.path, message, "Write image: FILE, or kernel: FILE.")
        yield from self._check_keys(file)
        if len(self.nics) > qemu.MOST_NICS:
            message = f"{len(self.nics)} NICs, and its board has {qemu.MOST_NICS} slots for them."
            yield file.problem(self.at("nics"), message, "Spread them over several guests.")
        for nic in self.nics:
            yield from self._check_nic(file, nic)

    def _check_keys(self, file: File) -> Iterator[Problem]:
        for key in ("initramfs", "append"):
            if getattr(self, key) and not self.kernel:
                yield file.problem(self.at(key), f"{key} is a kernel's, and none is given.", "Write kernel: FILE too.")
        for key in ("format", "write"):
            if getattr(self, key) and not self.image:
                yield file.problem(self.at(key), f"{key} is an image's, and none is given.", f"Leave {key} out.")
        if self.write and self.number > 1:
            message = f"{self.count} guests would write to one image, and spoil it."
            yield file.problem(self.at("write"), message, "Leave write out: then each has a copy of its own.")
        others = [guest for guest in file.guests.values() if isinstance(guest, Qemu) and guest is not self]
        sharing = [guest.name for guest in others if self.write and guest.image == self.image]
        if sharing:
            message = f"guest {sharing[0]} uses the image that this one writes to."
            yield file.problem(self.at("write"), message, "Leave write out: then each has a copy of its own.")

    def _check_nic(self, file: File, nic: Nic) -> Iterator[Problem]:
        network = file.networks.get(nic.network)
        if network and not self._devices(network.devices):
            message = f"network {quote(network.name)} of type {network.type} has no device that a machine can open."
            yield file.problem(nic.at("network"), message, "Use one of another type.")
        if nic.device == "tun":
            message = "device tun carries packets without Ethernet, and a machine's NIC has Ethernet."
            yield file.problem(nic.at("device"), message, "Leave device out.")
        for key, given in (("default-route", nic.default_route), ("gateway", nic.gateway)):
            if given and not self.is_set_up:
                message = f"{key} is the guest's own affair: guestwire gives it frames, no routes."
                yield file.problem(nic.at(key), message, f"Leave {key} out, or write cloud-init: {{}}.")
        if self._model(nic) != "virtio":
            if self._queues(nic) > 1:
                message = f"a NIC of model {self._model(nic)} has one queue."
                yield file.problem(nic.path, message, "Leave queues out, or use model virtio.")
            if self._vhost(nic):
                message = f"vhost is for model virtio, and this NIC is {self._model(nic)}."
                yield file.problem(nic.path, message, "Leave one of the two out.")

    def _devices(self, devices: tuple[str, ...]) -> list[str]:
        return [device for device in devices if device != "tun"]

    def _queues(self, nic: Nic) -> int:
        return nic.queues or self.queues

    def _model(self, nic: Nic) -> str:
        return nic.model or self.model

    def _vhost(self, nic: Nic) -> bool | None:
        return self.vhost if nic.vhost is None else nic.vhost

    # What it makes

    @property
    def is_set_up(self) -> bool:
        """Whether cloud-init in it is told of its NICs."""
        return self.cloud_init is not None or self.user_data is not None

    def takes_addresses(self, network: BuiltNetwork) -> bool:
        """Whether it is told the address that we choose: by cloud-init, or by the network's own server."""
        return self.is_set_up or bool(network.name_servers())

    def sit(self, site: Site, seat: Seat) -> Seat:
        device = seat.nic.device or self._devices(site.file.networks[seat.nic.network].devices)[0]
        model = self._model(seat.nic)
        if model in SLOW:
            message = f"model {model} takes about {SLOW[model]} times the time that virtio does for each frame."
            site.warn(seat.nic.path, message, "Leave model out where the guest has a driver for virtio.")
        return replace(
            seat,
            netns=site.host,
            link=seat.host_link,
            device=device,
            user=0,
            group=NOBODY,
            queues=self._queues(seat.nic),
        )

    def build(self, site: Site, name: str, seats: list[Seat]) -> None:
        whole = f"{site.project}/{name}"
        user = self._user(site)
        self._judge_memory(site)
        words, why = self._accelerator(site, whole, user)
        site.add(
            Vm(
                netns=site.host,
                name=whole,
                owner=site.project,
                memory=self._memory(site),
                cpus=self.cpus,
                accelerator=words,
                why=why,
                disks=tuple(self._disks(site, name)),
                kernel=self._file(site, "kernel"),
                initramfs=self._file(site, "initramfs"),
                append=self.append or "",
                user=user,
                group=primary_group(user),
                firmware=tuple(firmware.uefi()) if self.firmware == "uefi" else (),
                more=(),
                state="running",
            )
        )
        for seat in seats:
            network = site.file.networks[seat.nic.network]
            assert isinstance(network, BuiltNetwork)
            network.plug(site, seat)
            self._plug(site, whole, seat, network)
        if self.is_set_up:
            plugged = {nic.name: nic.mac or "" for nic in site.desired.picture.of(VmNic, site.host)}
            macs = {seat.nic.link: plugged[f"{whole}:{seat.nic.link}"] for seat in seats}
            told, dns = self.cloud_init or CloudInit(), map(str, self.dns)
            add_seed(site, name, seats, macs, dns, told, self.user_data, self.at("user-data"))

    def agent(self, seen: Picture, host: str, whole: str) -> str:
        vm = seen.get(Key("", host, Vm.KIND, whole))
        return f"{vm.folder}/{qemu.AGENT}" if isinstance(vm, Vm) and vm.state == "running" and vm.agent else ""

    def standing(self, seen: Picture, host: str, whole: str) -> dict[str, Any]:
        vm = seen.get(Key("", host, Vm.KIND, whole))
        if not isinstance(vm, Vm):
            return {"state": "down", "machine": None}
        nics = {nic.link: seen.get(Key("", host, VmNic.KIND, f"{whole}:{nic.link}")) for nic in self.nics}
        told = {name: nic.told() if isinstance(nic, VmNic) else {"name": name} for name, nic in nics.items()}
        opened = [nic.opened for nic in nics.values() if isinstance(nic, VmNic)]
        state = str(vm.state)
        if state == "running":
            state = "starting" if opened and all(each is False for each in opened) else "up"
        return {"state": state, "machine": vm.told(), "nics": told}

    def _plug(self, site: Site, whole: str, seat: Seat, network: BuiltNetwork) -> None:
        mac, mtu = held_as(site, seat, network)
        site.add(
            VmNic(
                netns=site.host,
                name=f"{whole}:{seat.nic.link}",
                owner=site.project,
                end=(seat.host_link, seat.device or "tap"),
                mac=mac,
                mtu=mtu,
                model=self._model(seat.nic),
                queues=seat.queues,
                slot=seat.nic.index,
                vhost=self._vhost(seat.nic),
                deaf=False if seat.device == "macvtap" else None,
                up=seat.nic.link_state != "down",
                addresses=seat.addresses,
            )
        )

    def _accelerator(self, site: Site, whole: str, user: int) -> tuple[tuple[str, ...], str]:
        """QEMU's words for what runs its processors, and why that; of one that runs already as it is."""
        there = site.seen.get(Key("", site.host, Vm.KIND, whole))
        if self.accel:
            return ACCELERATORS[self.accel], f"the file says accel: {self.accel}"
        if isinstance(there, Vm) and there.accelerator:
            return there.accelerator, there.why
        rights = qemu.rights(user, primary_group(user), accelerator.groups())
        found = accelerator.best(qemu.PROGRAM, f"{RUN}-{accelerator.FILE}", rights)
        return ACCELERATORS[found.name], found.why

    def _memory(self, site: Site) -> int:
        most = memory()
        if most and self.memory > most:
            message = f"memory {self.memory} MiB is more than this machine's {most} MiB."
            site.refuse(self.at("memory"), message, "Give it less.")
        return self.memory

    def _judge_memory(self, site: Site) -> None:
        """Warn where the machines that are to start want more together than there is; said at the first of them."""
        machines = {each.name: each.guest for each in site.file.expand() if isinstance(each.guest, Qemu)}
        if self is not next(iter(machines.values())):
            return
        wanted = 0
        for name, guest in machines.items():
            there = site.seen.get(Key("", site.host, Vm.KIND, f"{site.project}/{name}"))
            having = there.memory or 0 if isinstance(there, Vm) and there.pid else 0
            wanted += max(0, guest.memory - having)
        free = free_memory()
        if free and wanted > free:
            message = f"the machines that are to start have {wanted} MiB of memory together, and {free} MiB are free."
            site.warn(self.at("memory"), message, "They start, but may be killed once they use it: give them less.")

    def _user(self, site: Site) -> int:
        number = user_number(self.user or ORDINARY)
        if self.user is None and (number is None or not is_mapped(number)):
            return 0  # in a lab without root there is one user only, who has no rights outside
        if number is None:
            site.refuse(self.at("user"), f"there is no user {quote(self.user)} on this machine.", "Write another.")
        elif not is_mapped(number):
            message = f"QEMU can't run as {quote(self.user)}: in a lab without root there is one user only."
            site.refuse(self.at("user"), message, "Leave user out.")
        return number or 0

    def _file(self, site: Site, key: str) -> tuple[str | int, ...]:
        """The whole path of a file that it names, its size and time, by which a new one is noticed; else nothing."""
        given = getattr(self, key)
        if not given:
            return ()
        path = os.path.abspath(os.path.join(site.file.folder, os.path.expanduser(given)))
        try:
            with open(path, "rb") as file:
                seen = os.fstat(file.fileno())
        except OSError as error:
            site.refuse(self.at(key), f"{key} {path} can't be opened: {error.strerror}.", "Write another path.")
            return ()
        return path, seen.st_size, seen.st_mtime_ns

    def put(self, path: Where) -> None:
        super().put(path)
        if self.cloud_init is not None:
            self.cloud_init.put((*path, "cloud-init"))

    def _disks(self, site: Site, name: str) -> Iterator[Disk]:
        yield from self._own_disk(site, name) if self.image else ()
        if self.is_set_up:
            yield Disk(seed_file(site, name), "raw", False)

    def _own_disk(self, site: Site, name: str) -> Iterator[Disk]:
        assert self.image is not None
        path = os.path.abspath(os.path.join(site.file.folder, os.path.expanduser(self.image)))
        try:
            found = diskimage.examine(path, self.format, written=self.write, boots=not self.kernel)
            if self.write:
                yield Disk(path, found.format, True, found.under)
                return
            under = ((path, found.format), *found.under)
            over = overlay_file(site.project, name, *(file for file, _ in under))
        except diskimage.Unfit as error:
            site.refuse(self.at("image"), error.message, error.hint)
            return
        site.add(
            Overlay(netns=site.host, name=over, owner=site.project, backing=path, size=found.size, format=found.format)
        )
        yield Disk(over, "qcow2", True, under)
