"""A seed is what cloud-init takes for one: read back as an image, and understood by cloud-init itself."""

from __future__ import annotations

import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

from pycdlib import PyCdlib

from guestwire.daemons.cloudinit import Nic, Route, digest, image, mark, mark_of, seed
from tests.machine.debian import package

NICS = (
    Nic(
        "eth0", "52:54:00:00:00:01", ("10.77.0.3/24", "fd00:77::3/64"), routes=(Route("10.77.0.1"), Route("fd00:77::1"))
    ),
    Nic("eth1", "52:54:00:00:00:02", dhcp=True, mtu=1400),
    Nic("eth2", "52:54:00:00:00:03"),
)
# What it imports besides, and doesn't use for this.
ASIDE = ("requests", "requests.exceptions", "jinja2", "configobj", "oauthlib", "netifaces", "jsonpatch", "distro")
UNDERSTAND = f"""
import json, sys
from unittest.mock import MagicMock
sys.modules.update({{name: MagicMock() for name in {ASIDE!r} }})
from cloudinit.net.network_state import parse_net_config_data
from cloudinit.net.networkd import Renderer
from cloudinit.util import load_yaml
files = json.load(sys.stdin)
units = Renderer()._render_content(parse_net_config_data(load_yaml(files["network-config"])))
print(json.dumps({{"units": units, **{{name: load_yaml(files[name]) for name in ("meta-data", "vendor-data")}}}}))
"""


def understood(files: dict[str, bytes]) -> Any:
    """What Debian's cloud-init makes of a seed: systemd-networkd's units, and the values of the rest."""
    path = package("cloud-init") / "usr/lib/python3/dist-packages"
    texts = json.dumps({name: content.decode() for name, content in files.items()})
    environment = {"PYTHONPATH": f"{path}:{':'.join(sys.path)}"}
    done = subprocess.run(
        [sys.executable, "-c", UNDERSTAND], input=texts, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_cloud_init_understands_it() -> None:
    found = understood(seed("lab-vm", "vm", NICS, ("10.77.0.53",), "alice", ("ssh-ed25519 AAAA",)))
    first = found["units"]["eth0"]
    for line in ("MACAddress=52:54:00:00:00:01", "Address=10.77.0.3/24", "Address=fd00:77::3/64", "DNS=10.77.0.53"):
        assert f"{line}\n" in first
    routes = [part for part in first.split("\n\n") if part.startswith("[Route]")]
    assert routes == ["[Route]\nGateway=10.77.0.1", "[Route]\nGateway=fd00:77::1"]
    assert "DHCP=ipv4\n" in found["units"]["eth1"]
    assert "MTUBytes=1400\n" in found["units"]["eth1"]
    assert "DHCP=no\n" in found["units"]["eth2"]
    assert found["vendor-data"] == {"user": "alice", "ssh_authorized_keys": ["ssh-ed25519 AAAA"]}
    assert found["meta-data"]["local-hostname"] == "vm"


def test_only_what_a_new_machine_means_makes_a_new_instance() -> None:
    def instance(**told: Any) -> Any:
        return seed("lab-vm", "vm", **{"nics": NICS, "data": b"#!/bin/sh\n", **told})["meta-data"]

    assert instance() == instance(nics=NICS[:1]) == instance(dns=("10.0.0.1",))
    assert len({instance(), instance(data=b"#!/bin/true\n"), instance(user="bob"), instance(keys=("ssh-rsa A",))}) == 4


def test_the_image_is_read_back(tmp_path: Path) -> None:
    data = b"\x1f\x8b\x00binary\xff"
    files = seed("lab-vm", "vm", NICS, data=data)
    path = tmp_path / "seed"
    path.write_bytes(image(files, mark("lab", digest(files))))
    assert mark_of(str(path)) == f"guestwire lab {digest(files)}"
    shown = subprocess.run(["blkid", "-p", path], capture_output=True, text=True, check=True).stdout
    assert 'LABEL="cidata"' in shown
    assert 'TYPE="iso9660"' in shown
    read = PyCdlib()
    read.open(str(path))
    for way in ("rr_path", "joliet_path"):
        for name, content in files.items():
            out = BytesIO()
            read.get_file_from_iso_fp(out, **{way: f"/{name}"})
            assert out.getvalue() == content
    read.close()


def test_what_is_no_seed_has_no_mark(tmp_path: Path) -> None:
    assert mark_of(str(tmp_path / "none")) is None
    (tmp_path / "other").write_bytes(bytes(1 << 16))
    assert mark_of(str(tmp_path / "other")) == ""
