"""A host's own DHCP client goes with its NIC into a bridge and back; one that can't is refused with what to do."""

from __future__ import annotations

import pytest

from tests.sandbox import Sandbox
from tests.world.furnished import BESIDE, FILE, NICS

SERVER = """
mkdir -p /run/server; touch /run/server/leases
ip netns exec out dnsmasq --conf-file=/dev/null --pid-file=/run/server/pid --user=root --port=0 --no-ping \\
    --dhcp-leasefile=/run/server/leases --bind-interfaces --interface=sw0 --dhcp-authoritative \\
    --dhcp-range=192.0.2.150,192.0.2.199,255.255.255.0,1h --dhcp-option=option:router,192.0.2.1
"""
SCRIPT = """#!/bin/sh
case $1 in
deconfig) ip -4 address flush dev $interface; ip link set $interface up ;;
bound | renew)
    ip address replace $ip/$mask dev $interface LIFETIME
    ip route replace default via $router dev $interface ;;
esac
"""


def leased(sandbox: Sandbox, link: str, address: str = "192.0.2.") -> None:
    """Wait until the client has told all of its lease: its script has ended, and it has gone into the background."""
    sandbox.until(f"ip -4 address show dev {link} | grep -q 'inet {address}'")
    sandbox.until(f"ip -4 route show default | grep -q 'dev {link}'")
    for words, count in (("/bin/sh .*/script", 0), ("udhcpc", 1)):
        sandbox.until(f"[ $(ps -e -o stat=,args= | grep -c '^[^Z][^ ]* *{words} ') = {count} ]")


def nothing_to_do(sandbox: Sandbox) -> bool:
    """Whether `up` again changes nothing and warns of nothing."""
    done = sandbox.json("up")
    return not done["changes"] and not done["warnings"]


@pytest.mark.parametrize("lifetime", ["", "valid_lft $lease preferred_lft $lease"], ids=["for ever", "as leased"])
def test_a_client_goes_along(sandbox: Sandbox, lifetime: str) -> None:
    sandbox.sh(NICS + BESIDE + SERVER)
    script = sandbox.write(SCRIPT.replace("LIFETIME", lifetime), "script")
    script.chmod(0o755)
    sandbox.sh(f"udhcpc -i eth0 -p /run/client.pid -s {script} >/dev/null 2>&1")
    leased(sandbox, "eth0")
    sandbox.write(FILE)
    before = sandbox.snapshot()
    address = sandbox.sh("ip -4 -o address show dev eth0").split()[3]
    (warning,) = sandbox.json("plan")["warnings"]
    assert "udhcpc -i eth0" in warning
    sandbox.guestwire("up")
    for link in ("three-lan", "eth0"):
        leased(sandbox, link, address)
        assert sandbox.sh("ps -e -o args= | grep '^udhcpc'").startswith(f"udhcpc -i {link} -p /run/client.pid")
        if link == "three-lan":
            assert nothing_to_do(sandbox)
            sandbox.guestwire("down")
    assert sandbox.snapshot() == before
    sandbox.kill("$(cat /run/client.pid)")


def test_a_lease_that_nobody_would_renew_is_refused(sandbox: Sandbox) -> None:
    sandbox.sh(NICS + BESIDE + "ip address add 192.0.2.10/24 dev eth0 valid_lft 3600 preferred_lft 3600")
    sandbox.write(FILE)
    (error,) = sandbox.json("up", code=65)["errors"]
    assert "address 192.0.2.10/24 of uplink eth0 ends in" in error["message"]
    assert "name that as the uplink" in error["hint"]
    sandbox.sh("ip address add 192.0.2.11/24 dev eth0")
    (warning,) = sandbox.json("up")["warnings"]
    assert "address 192.0.2.10/24" in warning
    assert nothing_to_do(sandbox)


def test_a_client_of_all_links_is_refused(sandbox: Sandbox) -> None:
    sandbox.sh(NICS + BESIDE + "ip address add 192.0.2.10/24 dev eth0")
    sandbox.sh("cp $(command -v sleep) ./dhclient; ./dhclient 1000 >/dev/null 2>&1 &")
    sandbox.until("pgrep -xf './dhclient 1000' >/dev/null")
    sandbox.write(FILE)
    (error,) = sandbox.json("up", code=65)["errors"]
    assert "it asks on other links too" in error["message"]
    sandbox.sh("pkill -xf './dhclient 1000'")


def test_what_is_printed_ends_no_client_of_another_namespace(sandbox: Sandbox) -> None:
    sandbox.sh(NICS + BESIDE + "ip address add 192.0.2.10/24 dev eth0")
    sandbox.sh("cp $(command -v sleep) ./udhcpc; ./udhcpc 1000 >/dev/null 2>&1 &")
    sandbox.sh("ip netns exec out ./udhcpc 1000 >/dev/null 2>&1 &")
    sandbox.until("test $(ps -e -o args= | grep -c '^./udhcpc') = 2")
    sandbox.write(FILE)
    commands = sandbox.guestwire("plan", "--commands").stdout.splitlines()
    (kill,) = (command for command in commands if "pkill" in command)
    sandbox.sh(kill)
    sandbox.until("test $(ps -e -o args= | grep -c '^./udhcpc') = 1")
    sandbox.kill("$(ip netns pids out)", "TERM")
