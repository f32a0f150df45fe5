"""The CNI reference plugins: `bridge` with static addresses, executed once for each guest, as a runtime does.

One at a time is how a runtime gets there that starts containers one after another, and what our figure is held
against; two at a time is what the plugins can do on two processors.
"""

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

from .ip_batch import batch
from .private import Failed

FOLDERS = ("/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni")


def _folder() -> str | None:
    return next((folder for folder in FOLDERS if os.path.exists(f"{folder}/bridge")), None)


def absent() -> str | None:
    """Why it can't run, or None."""
    return None if _folder() else "the CNI plugins are not installed (Debian: containernetworking-plugins)"


def _call(command: str, number: int) -> None:
    folder, host = _folder() or "", number + 1
    address = {"address": f"10.77.{host >> 8}.{host & 255}/16", "gateway": "10.77.0.1"}
    static = {"type": "static", "addresses": [address], "routes": [{"dst": "0.0.0.0/0", "gw": "10.77.0.1"}]}
    config = {"cniVersion": "0.4.0", "name": "bench", "type": "bridge", "bridge": "br0", "isGateway": True}
    environment = {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": f"g-{number}",
        "CNI_NETNS": f"/run/netns/g-{number}",
        "CNI_IFNAME": "eth0",
        "CNI_PATH": folder,
        "PATH": os.environ["PATH"],
    }
    done = subprocess.run(
        [f"{folder}/bridge"],
        input=json.dumps({**config, "ipam": static}),
        text=True,
        capture_output=True,
        check=False,
        env=environment,
    )
    if done.returncode:
        raise Failed(f"CNI {command}: {' '.join(done.stdout.split())[:200]}")


def build(_kind: str, count: int, at_a_time: int) -> None:
    """Namespaces by `ip -batch`, the rest by the plugin."""
    batch([f"netns add g-{i}" for i in range(1, count + 1)], ["ip", "-batch", "-"])
    _call("ADD", 1)  # alone, since it makes the bridge
    with ThreadPoolExecutor(at_a_time) as pool:
        list(pool.map(lambda number: _call("ADD", number), range(2, count + 1)))


def down(_kind: str, count: int, at_a_time: int) -> None:
    """The plugin's DEL for each guest, then the namespaces and the bridge, which it leaves."""
    with ThreadPoolExecutor(at_a_time) as pool:
        list(pool.map(lambda number: _call("DEL", number), range(1, count + 1)))
    batch([*(f"netns del g-{i}" for i in range(1, count + 1)), "link del br0"], ["ip", "-batch", "-"])
