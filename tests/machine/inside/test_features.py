"""The other host has what this machine's kernel lacks, and can show it."""

from __future__ import annotations

import os
from pathlib import Path

from tests.sandbox import Sandbox


def test_kinds_of_link(sandbox: Sandbox) -> None:
    sandbox.sh("""ip link add d0 type dummy
        ip link add link d0 name v0 type vlan id 10
        ip link add link d0 name i0 type ipvlan mode l3
        ip link add r0 type vrf table 10
        ip link add b0 type bridge vlan_filtering 1""")


def test_vhost_net() -> None:
    os.close(os.open("/dev/vhost-net", os.O_RDWR))


def test_open_vswitch_has_its_module() -> None:
    assert Path("/sys/module/openvswitch").exists()
