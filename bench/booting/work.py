"""Virtual machines: several until all of them answer, and what `guestwire up` adds to what QEMU takes to start."""

import json
import os
import resource
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

from building import guestwire_way
from building.private import Failed, Job, Result

PROJECT, PATH, DISK = "bench", Path("/run/bench.yaml"), Path("/run/idle")
HEAD = f"name: {PROJECT}\nnetworks:\n  lan: {{type: bridge, subnet: 10.77.0.0/24, dhcp: true}}\nguests:\n"
BOOTING = "  vm: {{kind: qemu, accel: tcg, count: {count}, memory: 128M, kernel: {kernel}, initramfs: {initramfs}, "
BOOTING += 'append: "console=ttyS0 panic=-1 quiet nic=*,dhcp", nics: [lan]}}\n'
IDLE = "  vm: {{kind: qemu, accel: tcg, count: {count}, memory: 16M, image: {disk}, format: raw, nics: [lan]}}\n"
NOBODY = "  nobody: {nics: []}\n"
STARTED = ("-M", "pc", "-accel", "tcg", "-m", "16", "-nodefaults", "-no-user-config", "-display", "none", "-S")
PATIENCE = 120  # seconds until a guest has to answer
ASKING = f"exec timeout {PATIENCE} sh -c 'until ping -c1 -W1 {{}}; do :; done'"
"""Until it answers: `ping -w` gives up at the first "unreachable"."""


def work(job: Job) -> Result:
    """In a worker: one of the measurements, some rounds of it."""
    if job["what"] == "boot":
        return {"answered": [answered(job) for _ in range(job["rounds"])]}
    # A boot sector of `cli; hlt; jmp`, back to the `hlt`: a machine that starts and does nothing.
    DISK.write_bytes(b"\xfa\xf4\xeb\xfd".ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 16))
    found: dict[str, list[float]] = {"up": [], "own": [], "hand": []}
    for number in range(1 + job["rounds"]):
        added = started(job["count"])
        if number:  # the first one reads QEMU into memory
            for name, value in zip(found, (*added, by_hand(job["count"])), strict=True):
                found[name].append(value / job["count"])
    return found


def answered(job: Job) -> float:
    """Seconds from the start of `up` until every guest has an address by DHCP and answers from it."""
    text = BOOTING.format(count=job["count"], kernel=job["kernel"], initramfs=job["initramfs"])
    PATH.write_text(HEAD + text)
    began = time.perf_counter()
    guestwire_way.verb("up", str(PATH))
    soon = Path(f"/proc/sys/net/ipv4/neigh/{PROJECT}-lan/retrans_time_ms")
    soon.write_text("100")  # who isn't there yet is asked again by ARP, else after a second
    addresses = [f"10.77.0.{2 + number}" for number in range(job["count"])]  # as it gives them out, one after another
    pings = [subprocess.Popen(ASKING.format(address), shell=True, stdout=subprocess.DEVNULL) for address in addresses]
    silent = [address for address, each in zip(addresses, pings, strict=True) if each.wait()]
    seconds = time.perf_counter() - began
    guestwire_way.verb("down", str(PATH))
    if silent:
        raise Failed(f"no answer from {', '.join(silent)} in {PATIENCE} s")
    return seconds


def started(count: int) -> tuple[float, float]:
    """What machines that do nothing add to `up`: seconds of its time, and of processors' time that it takes itself."""
    times = []
    for guests in (NOBODY, IDLE.format(count=count, disk=DISK)):
        PATH.write_text(HEAD + guests)
        before = _processors()
        seconds, _ = guestwire_way.verb("up", str(PATH))
        times.append((seconds, _processors() - before))  # QEMU isn't in it, which nobody waits for
        guestwire_way.verb("down", str(PATH))
    (base, own), (more, owned) = times
    return more - base, owned - own


def _processors() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def by_hand(count: int) -> float:
    """Seconds until so many QEMUs, each with a tap, are started side by side, have greeted, and are let run."""
    began = time.perf_counter()
    with ExitStack() as begun:
        paths = [f"/run/hand{number}" for number in range(count)]
        for path in paths:
            listening = begun.enter_context(socket.socket(socket.AF_UNIX))
            listening.bind(path)
            listening.listen()
            begun.callback(os.unlink, path)
            process = subprocess.Popen(_words(Path(path).name, listening.fileno()), pass_fds=[listening.fileno()])
            begun.callback(process.wait)
            begun.callback(process.kill)
        for path in paths:
            _let_run(path)
        return time.perf_counter() - began


def _words(tap: str, fd: int) -> list[str]:
    words = ["qemu-system-x86_64", *STARTED, "-drive", f"file={DISK},format=raw,if=virtio,readonly=on"]
    words += ["-netdev", f"tap,id=n,ifname={tap},script=no,downscript=no", "-device", "virtio-net-pci,netdev=n"]
    return [*words, "-chardev", f"socket,id=qmp,fd={fd},server=on,wait=off", "-mon", "chardev=qmp,mode=control"]


def _let_run(path: str) -> None:
    """Wait for QEMU's greeting, and have it run its guest (QEMU's docs/interop/qmp-spec)."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(path)
        with sock.makefile("rw") as talk:
            talk.readline()
            for command in ("qmp_capabilities", "cont"):
                talk.write(json.dumps({"execute": command}))
                talk.flush()
                while "return" not in json.loads(talk.readline()):
                    pass
