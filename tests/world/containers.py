"""Containers for tests: real ones of LXC and Podman, processes in namespaces of their own, stand-ins for tools."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from tests.sandbox import Sandbox

__all__ = ["FILE", "OWN", "has", "lxc", "podman", "process", "tool"]

OWN = (
    "ip link add eth0 type veth peer name far; ip link set far up; ip link set eth0 up; "
    "ip address add 172.17.0.2/16 dev eth0"
)
"""What a container has of its own."""
FILE = """
name: p
networks:
  net: {type: bridge, subnet: 10.1.0.0/24}
guests:
  web: {nics: [net]}
  db: {kind: container, %s, nics: [{network: net%s}]}
expect: [web reaches db, db reaches web]
"""
"""A namespace and a container; the keys that say which one, and those of its NIC, are to be filled in."""

ROOT = """
mkdir -p {0}/bin {0}/proc {0}/sys {0}/dev {0}/etc {0}/run {0}/tmp {0}/var
cp "$(command -v busybox)" {0}/bin/busybox
ldd {0}/bin/busybox | grep -o '/[^ ]*' | while read -r file; do
    mkdir -p "{0}$(dirname "$file")"; cp -L "$file" "{0}$file"
done
ln -s busybox {0}/bin/sleep; ln -s busybox {0}/bin/ip
# The machine's control groups are hidden: what the runtimes make there would outlive the test.
umount -R -l /sys/fs/cgroup; mount -t tmpfs none /sys/fs/cgroup
"""
LXC = """
mkdir -p /etc/lxc; echo lxc.lxcpath = {0} >/etc/lxc/lxc.conf; : >/etc/lxc/default.conf
mkdir -p {0}/db
printf '%s\\n' 'lxc.rootfs.path = dir:{1}' 'lxc.uts.name = db' 'lxc.net.0.type = empty' 'lxc.mount.auto =' \
    'lxc.tty.max = 0' 'lxc.pty.max = 0' 'lxc.init.cmd = /bin/sleep 600' >{0}/db/config
"""
PODMAN = """
mkdir -p /etc/containers
printf '%s\\n' '[storage]' 'driver = "vfs"' 'graphroot = "{0}"' 'runroot = "/run/pod"' >/etc/containers/storage.conf
printf '%s\\n' '[containers]' 'cgroups = "disabled"' 'seccomp_profile = "unconfined"' '[engine]' \
    'cgroup_manager = "cgroupfs"' 'events_logger = "none"' 'runtime = "crun"' >/etc/containers/containers.conf
podman run -d --name db --network none --rootfs {1} sleep 600
"""


def process(sandbox: Sandbox, own: str = "") -> int:
    """Start a process in a network namespace of its own, where `own` was done first; its number in the sandbox."""
    script = f"ip link set lo up; {own or ':'}; echo $$; exec sleep 600 >/dev/null 2>&1"
    pid = int(sandbox.sh(f"unshare -n sh -euc {shlex.quote(script)} & wait -n 2>/dev/null & true").split()[0])
    sandbox.until(f"grep -qx sleep /proc/{pid}/comm")  # its output ends before it has become what it is to be
    return pid


def has(sandbox: Sandbox, pid: int) -> dict[str, list[str]]:
    """The links in a process's namespace but lo, each with its addresses but link-local ones."""
    told: list[Any] = json.loads(sandbox.sh(f"nsenter -t {pid} -n ip -j address"))
    found = {link["ifname"]: link["addr_info"] for link in told if link["ifname"] != "lo"}
    return {
        name: [f"{a['local']}/{a['prefixlen']}" for a in each if a["scope"] == "global"] for name, each in found.items()
    }


def tool(sandbox: Sandbox, name: str, script: str) -> dict[str, str]:
    """A stand-in for a runtime's tool, as a shell script; the environment in which it is found."""
    folder = sandbox.folder / "tools"
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return {"PATH": f"{folder}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


def lxc(sandbox: Sandbox) -> None:
    """Make an LXC container `db`, which `lxc-start -n db` starts."""
    _root(sandbox)
    sandbox.sh(LXC.format(sandbox.folder / "lxc", sandbox.folder / "root"))


def podman(sandbox: Sandbox) -> None:
    """Run a Podman container `db` without a network."""
    _root(sandbox)
    sandbox.sh(PODMAN.format(sandbox.folder / "store", sandbox.folder / "root"))


def _root(sandbox: Sandbox) -> None:
    folder: Path = sandbox.folder / "root"
    sandbox.sh(ROOT.format(folder))
