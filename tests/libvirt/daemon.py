"""A real libvirtd of the test's own, in a sandbox, and domains that boot in seconds.

libvirtd writes to /etc/libvirt, /var and /run, makes taps where it runs, and opens macvtaps by their names in /dev. In
here all of that is the sandbox's. Nothing of the machine's is started or changed: Debian's package libvirt-daemon has
the program alone, without the unit that starts it and without the network `default`.
"""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.libvirt.switch import COMMANDS
from tests.machine.guest import APPEND, initramfs, kernel
from tests.sandbox import Sandbox

__all__ = ["Libvirtd", "domain_xml"]

SECONDS = 900 if os.environ.get("GUESTWIRE_MACHINE") else 60
"""What a guest gets to boot, when several do; in the other host that is emulation within emulation."""
CACHE = Path(__file__).resolve().parents[2] / ".cache" / "libvirt"

# What libvirtd keeps lies on a file system of the sandbox's; what it found out of QEMU, which takes it seconds, stays.
FURNISH = """
mkdir -p /run/lv && mount -t tmpfs none /run/lv && mkdir /run/lv/u /run/lv/w /run/lv/dev
mount -t overlay none -o lowerdir=/var,upperdir=/run/lv/u,workdir=/run/lv/w /var
mkdir -p /etc/libvirt /var/cache/libvirt /var/log/libvirt/qemu /var/lib/libvirt/qemu /var/lib/libvirt/images
mount -t tmpfs none /etc/libvirt
mount -t sysfs none /sys
mount --bind {cache} /var/cache/libvirt
mount -t tmpfs none /run/lv/dev && cd /run/lv/dev && mkdir pts shm net
for node in null,1,3 zero,1,5 full,1,7 random,1,8 urandom,1,9 tty,5,0 net/tun,10,200; do
    IFS=,; set -- $node; unset IFS; mknod -m 666 $1 c $2 $3
done
mount --bind /run/lv/dev /dev && mount -t devpts devpts /dev/pts -o newinstance,ptmxmode=0666
ln -sf pts/ptmx /dev/ptmx
# libvirtd looks for this account at its start, though qemu.conf names another.
grep -q ^libvirt-qemu: /etc/passwd || echo libvirt-qemu:x:64055:64055::/:/bin/false >>/etc/passwd
grep -q ^libvirt-qemu: /etc/group || echo libvirt-qemu:x:64055: >>/etc/group
cat >/etc/libvirt/qemu.conf <<END
user = "root"
group = "root"
security_driver = "none"
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
remember_owner = 0
END
cat >/etc/libvirt/libvirtd.conf <<END
auth_unix_ro = "none"
auth_unix_rw = "none"
END
"""

# What a machine has besides: an init that buries (libvirtd waits for a QEMU that it ended to be gone), and udev, which
# makes a node of each macvtap (libvirtd tries for 200 ms).
MACHINE = """
import contextlib, ctypes, glob, os, socket, subprocess, sys, threading
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
links = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
links.bind((0, 1))  # RTMGRP_LINK

def nodes():
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), -20)
    while True:
        with contextlib.suppress(OSError):  # ENOBUFS: then it looks all the same
            links.recv(1 << 16)
        for path in glob.glob("/sys/class/net/*/tap*/dev"):
            with contextlib.suppress(OSError):  # the link has gone meanwhile, or has another name: that is told too
                node, numbers = "/dev/" + path.split("/")[-2], open(path).read().split(":")
                if not os.path.exists(node) or os.stat(node).st_rdev != os.makedev(*map(int, numbers)):
                    os.path.exists(node) and os.unlink(node)
                    os.mknod(node, 0o20600, os.makedev(*map(int, numbers)))

threading.Thread(target=nodes, daemon=True).start()
subprocess.run(sys.argv[1:], check=True)
print("ready", flush=True)
while True:
    os.wait()
"""


def domain_xml(name: str, append: str = "", nics: str = "") -> str:
    """A domain that boots the tests' guest, with `append` on its kernel's command line and the interfaces `nics`."""
    return f"""<domain type='qemu'>
  <name>{name}</name>
  <memory unit='MiB'>128</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>{kernel()}</kernel>
    <initrd>{initramfs()}</initrd>
    <cmdline>{APPEND} {append}</cmdline>
  </os>
  <features><acpi/></features>
  <on_reboot>destroy</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>{shutil.which("qemu-system-x86_64")}</emulator>
    {nics}
    <controller type='usb' model='none'/>
    <serial type='unix'><source mode='bind' path='/run/{name}.console'/></serial>
    <memballoon model='none'/>
  </devices>
</domain>
"""


class Libvirtd:
    """A libvirtd that runs in a sandbox, which ends it; `virsh` is how a test plays its user."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.processes: list[subprocess.Popen[str]] = []
        CACHE.mkdir(parents=True, exist_ok=True)
        sandbox.sh(FURNISH.format(cache=CACHE))
        self.start()

    def start(self, *command: str) -> None:
        """Start it, where it was ended, or another by a command; it goes into the background once it answers."""
        words = self.sandbox.inside(sys.executable, "-c", MACHINE, *(command or ("libvirtd", "--daemon")))
        env = {**os.environ, "PATH": f"{COMMANDS}:{os.environ['PATH']}"}  # it asks Open vSwitch by ovs-vsctl
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=env)
        self.processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        """kill -9 of it."""
        self.sandbox.kill("$(cat /run/libvirtd.pid)")

    def stop(self) -> None:
        """Have it hang, as one does that is out of threads."""
        self.sandbox.sh("kill -STOP $(cat /run/libvirtd.pid)")

    def virsh(self, *words: str, check: bool = True) -> str:
        """What `virsh` prints."""
        return self.sandbox.run("virsh", "-q", "-c", "qemu:///system", *words, check=check).stdout.strip()

    def define(self, name: str, append: str = "", nics: str = "", *, start: bool = True) -> None:
        """Define a domain, and start it unless told not to."""
        path = self.sandbox.write(domain_xml(name, append, nics), f"{name}.xml")
        self.virsh("define", str(path))
        if start:
            self.virsh("start", name)

    def unplug(self, domain: str, kind: str, mac: str) -> None:
        """Take a NIC out of a domain that runs, and wait until its guest has let go of it: virsh asks, and says so."""
        self.virsh("detach-interface", domain, kind, "--mac", mac, "--live")
        self.sandbox.until(f"! virsh -q -c qemu:///system dumpxml {domain} | grep -q {mac}")

    def until_up(self, *names: str) -> None:
        """Wait until those domains are set up."""
        for name in names:
            self.console(name, "guest# ")

    def close(self) -> None:
        """Let go of what played the machine; the sandbox's end is that of all the rest."""
        for process in self.processes:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def console(self, name: str, until: str) -> str:
        """What a domain's serial console says, up to `until`."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(f"/proc/{self.sandbox.pid}/root/run/{name}.console")
            said, end = "", time.monotonic() + SECONDS
            sock.sendall(b"\n")
            while until not in said:
                ready, _, _ = select.select([sock], [], [], max(0.0, end - time.monotonic()))
                more = sock.recv(1 << 16) if ready else b""
                assert more, f"{name} never said {until!r}:\n{said}"
                said += more.decode(errors="replace").replace("\r", "")
        return said
