"""Before a host's NIC goes into a bridge, `plan` names what won't go along, and who would set the NIC up again."""

from __future__ import annotations

import pytest

from tests.sandbox import Sandbox
from tests.world.furnished import BESIDE, FILE, NICS, SIMPLE

TIED = """
import socket, struct, sys, time
index = socket.if_nametoindex("eth0")
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
listener.bind(("0.0.0.0", 8080)); listener.listen()
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); raw.bind(("eth0", 0x88CC))
six = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); six.bind(("ff02::1234", 5353, 0, index))
group = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
member = struct.pack("4s4si", socket.inet_aton("239.1.2.3"), bytes(4), index)
group.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
member = socket.inet_pton(socket.AF_INET6, "ff02::4321") + struct.pack("=I", index)
six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
print("ready", flush=True); time.sleep(600)
"""
OWNERS = {
    "systemd-networkd": (
        "mkdir -p /run/systemd/netif/links",
        "echo ADMIN_STATE=configured > /run/systemd/netif/links/{0}",
        "`Name=eth0`, `[Link]`, `Unmanaged=yes` in /etc/systemd/network/05-eth0.network",
    ),
    "NetworkManager": (
        "mkdir -p /run/NetworkManager/devices",
        "printf '[device]\\nmanaged=true\\n' > /run/NetworkManager/devices/{0}",
        "`unmanaged-devices=interface-name:eth0` in /etc/NetworkManager/conf.d/90-eth0.conf",
    ),
    "ifupdown": (
        "mkdir -p /etc/network/interfaces.d",
        "printf 'auto eth0\\niface eth0 inet dhcp\\n' > /etc/network/interfaces.d/{0}",
        "`iface eth0 inet manual` in place of its stanza in /etc/network/interfaces.d/",
    ),
    "netplan": (
        "mkdir -p /run/systemd/netif/links /etc/netplan\n"
        "printf 'network:\\n ethernets:\\n  eth0:\\n' > /etc/netplan/1.yaml",
        "printf 'ADMIN_STATE=configured\\nNETWORK_FILE=/run/systemd/network/10-netplan-eth0.network\\n' "
        "> /run/systemd/netif/links/{0}",
        "for eth0 in /etc/netplan/1.yaml, then `netplan apply`",
    ),
}


def test_what_is_tied_to_the_nic_is_named(sandbox: Sandbox) -> None:
    sandbox.sh(NICS + BESIDE + SIMPLE)
    sandbox.write(FILE)
    script = sandbox.write(TIED, "tied.py")
    sandbox.run("sh", "-c", f"python3 {script} > tied.log 2>&1 & until grep -q ready tied.log; do sleep 0.02; done")
    (warning,) = sandbox.json("plan")["warnings"]
    for part in ("TCP socket 0.0.0.0 port 8080 of python3 (pid ", "packet socket of python3 (pid "):
        assert part in warning
    for group in ("239.1.2.3", "ff02::4321"):
        assert f"multicast group {group}" in warning
    assert "UDP socket ff02::1234 port 5353" in warning
    assert "restart these programs on three-lan" in warning
    assert sandbox.json("up")["warnings"] == [warning]
    assert sandbox.json("up")["warnings"] == []
    sandbox.guestwire("down")


@pytest.mark.parametrize("program", OWNERS)
def test_who_configures_the_nic_is_named(sandbox: Sandbox, program: str) -> None:
    sandbox.sh(NICS + BESIDE + SIMPLE)
    sandbox.write(FILE)
    assert sandbox.json("plan")["warnings"] == []
    first, then, remedy = OWNERS[program]
    index = sandbox.sh("ip -o link show eth0").partition(":")[0]
    sandbox.sh(f"{first}\n{then.format(index)}")
    (warning,) = sandbox.json("plan")["warnings"]
    assert f"{program} configures uplink eth0" in warning
    assert remedy in warning
    sandbox.guestwire("up")
    assert sandbox.json("up")["warnings"] == [warning]  # as long as it would
    sandbox.sh("rm -r /run/systemd /run/NetworkManager /etc/network/interfaces.d 2>/dev/null || true")
    assert sandbox.json("up")["warnings"] == []
