"""A network's own DHCP and name server: who asks gets what the file says, keeps it, and finds others by name."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from tests.sandbox import SOURCE, Sandbox

FILE = """
name: p
networks: {net: {type: bridge, subnet: [10.77.0.0/24, "fd00:77::/64"], dhcp: true, mtu: 1400}}
guests:
  web: {nics: [net]}
  db: {nics: [{network: net, address: 10.77.0.20, mac: "52:54:00:12:34:56"}]}
  bare: {nics: [net]}
"""
STRANGER = "52:54:00:00:00:99"
UPPER = range(128, 255)


def up(sandbox: Sandbox, text: str) -> list[Any]:
    """Bring it up; the changes."""
    sandbox.write(text)
    changes: list[Any] = sandbox.json("up")["changes"]
    assert sandbox.json("up")["changes"] == []
    return changes


def ask(sandbox: Sandbox, guest: str, family: str = "4", mac: str | None = None) -> Any:
    """What a DHCP client in the guest is given."""
    words = ["-c", "from tests.world.asking import main; main()", "eth0", family, *([mac] if mac else [])]
    path = f"PYTHONPATH={SOURCE}:{SOURCE.parent}"
    return json.loads(sandbox.run("ip", "netns", "exec", f"p-{guest}", "env", path, sys.executable, *words).stdout)


def served(sandbox: Sandbox) -> str:
    """The pid of the network's server."""
    return sandbox.sh("cat /run/guestwire/p/dhcp.net.pid").strip()


def test_each_guest_is_given_its_own_address(sandbox: Sandbox) -> None:
    before = sandbox.snapshot()
    up(sandbox, FILE)
    given = ask(sandbox, "db")
    want = {"address": "10.77.0.20", "router": "10.77.0.1", "dns": "10.77.0.1", "name": "db", "mtu": 1400}
    assert {key: given[key] for key in want} == want
    assert given["seconds"] == 12 * 3600
    assert ask(sandbox, "web") == {**given, "address": "10.77.0.2", "name": "web"}
    six = ask(sandbox, "web", "6")
    assert (six["address"], six["dns"]) == ("fd00:77::2", "fd00:77::1")
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


def test_leases_are_kept_over_up_again_and_shown(sandbox: Sandbox) -> None:
    up(sandbox, FILE)
    pid, first = served(sandbox), ask(sandbox, "bare", mac=STRANGER)["address"]
    assert int(first.rpartition(".")[2]) in UPPER  # who is no guest has the upper half
    (lease,) = sandbox.json("status")["networks"][0]["leases"]
    assert (lease["address"], lease["mac"], lease["duid"]) == (first, STRANGER, None)
    assert lease["until"] > 0
    assert STRANGER in sandbox.guestwire("status").stdout
    changes = up(sandbox, FILE + "  new: {nics: [net]}\n")
    assert {change["kind"] for change in changes} == {"namespace", "veth", "address", "route", "file"}
    assert served(sandbox) == pid
    assert ask(sandbox, "bare", mac=STRANGER)["address"] == first
    assert ask(sandbox, "new")["address"] == "10.77.0.4"
    sandbox.kill(pid)
    assert [change["kind"] for change in up(sandbox, FILE + "  new: {nics: [net]}\n")] == ["process"]
    assert ask(sandbox, "bare", mac=STRANGER)["address"] == first


def test_guests_find_one_another_by_name(sandbox: Sandbox) -> None:
    up(sandbox, FILE)
    assert sandbox.guestwire("exec", "web", "--", "getent", "ahostsv4", "db").stdout.startswith("10.77.0.20 ")
    assert sandbox.guestwire("exec", "db", "--", "getent", "hosts", "web").stdout.startswith("fd00:77::2 ")
    assert sandbox.guestwire("exec", "web", "--", "getent", "ahostsv4", "gateway").stdout.startswith("10.77.0.1 ")
    up(sandbox, FILE.replace("  bare:", "  new:"))
    sandbox.until("ip netns exec p-web getent ahostsv4 new | grep -q '^10.77.0.'")  # it reads its files when told to
    assert sandbox.guestwire("exec", "web", "--", "getent", "ahostsv4", "bare", check=False).returncode != 0


def test_guest_keeps_its_own_default_route_beside_the_advertised_one(sandbox: Sandbox) -> None:
    up(sandbox, FILE)
    sandbox.until("ip -n p-web -6 route show default | grep -q 'proto ra'")
    assert "via fd00:77::1" in sandbox.sh("ip -n p-web route get 2001:db8::1")
    assert "fd00:77::2/64" in sandbox.sh("ip -n p-web -6 address show scope global")
    assert sandbox.sh("ip -n p-web -6 -o address show scope global | wc -l") == "1\n"  # none of its own making
    assert sandbox.json("up")["changes"] == []


def test_a_default_route_takes_the_place_of_one_that_was_advertised(sandbox: Sandbox) -> None:
    """That lasts half an hour, though its server has ended: it would be in the way."""
    net = "name: p\nnetworks: {net: {type: bridge, subnet: 'fd00:77::/64', %s: true}}\nguests: {web: {nics: [net]}}\n"
    sandbox.write(net % "dhcp")
    sandbox.guestwire("up")
    sandbox.until("ip -n p-web -6 route show default | grep -q 'proto ra'")
    sandbox.write(net % "nat")
    commands = sandbox.guestwire("plan", "--commands").stdout
    assert commands.index("route delete ::/0") < commands.index("route add ::/0")
    sandbox.guestwire("up")
    assert sandbox.sh("ip -n p-web -6 route show default").startswith("default via fd00:77::1 dev eth0 proto 103")


def test_who_asks_for_an_address_has_the_name_servers_that_others_have(sandbox: Sandbox) -> None:
    """A lease tells of the IPv4 one alone, and its client wrote the same file as up."""
    net = "{type: bridge, subnet: [10.77.0.0/24, 'fd00:77::/64'], dhcp: true}"
    nics = "[{network: net, address: dhcp}]"
    sandbox.write(f"name: p\nnetworks: {{net: {net}}}\nguests: {{web: {{nics: {nics}}}}}\n")
    sandbox.guestwire("up")
    assert sandbox.guestwire("plan", "--exit-code").stdout == "Nothing to do.\n"
    assert "nameserver 10.77.0.1\nnameserver fd00:77::1\n" in sandbox.sh("cat /etc/netns/p-web/resolv.conf")


def test_it_takes_no_port_but_on_its_own_bridge(sandbox: Sandbox) -> None:
    """Another dnsmasq, such as libvirt's, and a name server of the host's for itself stand beside it."""
    sandbox.sh("ip link add virbr0 type bridge; ip address add 192.168.122.1/24 dev virbr0; ip link set virbr0 up")
    other = "dnsmasq --conf-file=/dev/null --user=root --group= --bind-interfaces --interface=virbr0"
    start = (
        f"{other} --dhcp-range=192.168.122.2,192.168.122.9 --dhcp-leasefile=/run/other.leases --pid-file=/run/other.pid"
    )
    up(sandbox, FILE)
    sandbox.sh(start)
    assert ask(sandbox, "web")["address"] == "10.77.0.2"
    bound = sandbox.sh("ss -Hlun 'sport = 53 or sport = 67' | awk '{print $4}'").split()
    assert {place for place in bound if "10.77" in place or ("p-net" in place and "fe80" not in place)} == {
        "10.77.0.1:53",
        "0.0.0.0%p-net:67",
    }


SIZES = {
    "10.77.0.0/30": "10.77.0.2",
    "fd00:77::/120": "fd00:77::2",
    "fd00:77::/64": "fd00:77::2",
    "10.0.0.0/8": "10.0.0.2",
}


@pytest.mark.parametrize("subnet", SIZES)
def test_subnets_of_every_size(sandbox: Sandbox, subnet: str) -> None:
    net = f"{{type: bridge, subnet: '{subnet}', dhcp: true}}"
    up(sandbox, f"name: p\nnetworks: {{net: {net}}}\nguests: {{web: {{nics: [net]}}}}\n")
    assert ask(sandbox, "web", "6" if ":" in subnet else "4")["address"] == SIZES[subnet]


def test_hundreds_of_guests_have_one_server_and_one_table(sandbox: Sandbox) -> None:
    """More than 1,024 descriptors are open then, which select() can't wait for."""
    before = sandbox.snapshot()
    text = FILE.replace("dhcp: true", "dhcp: true, nat: true").replace("10.77.0.0/24", "10.77.0.0/16")
    changes = up(sandbox, text + "  many: {count: 600, nics: [net]}\n")
    assert [change["kind"] for change in changes].count("process") == 1
    assert [change["kind"] for change in changes].count("nft") == 1
    given = ask(sandbox, "many-600")["address"]
    assert given in sandbox.sh("ip -n p-many-600 -4 -o address show eth0")
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


def test_another_server_that_has_every_link(sandbox: Sandbox) -> None:
    """It is named how to find it and what to do, which is done then."""
    other = "dnsmasq --conf-file=/dev/null --user=root --group= --pid-file=/run/other.pid --no-resolv --leasefile-ro"
    sandbox.sh("ip link add br9 type bridge; ip link set br9 up; ip address add 10.200.0.1/24 dev br9")
    sandbox.sh(f"{other} --dhcp-range=10.200.0.10,10.200.0.20")
    sandbox.write(FILE)
    said = sandbox.guestwire("up", check=False)
    assert said.returncode == 71
    assert "Address already in use" in said.stderr
    assert "`ss -lnup` names it" in said.stderr
    sandbox.sh(f"kill $(cat /run/other.pid); while ss -lnu | grep -q :67; do :; done; {other} --interface=br9 "
               "--bind-interfaces --except-interface=lo --dhcp-range=10.200.0.10,10.200.0.20")  # fmt: skip
    up(sandbox, FILE)
    assert ask(sandbox, "db")["address"] == "10.77.0.20"


def test_a_server_is_called_by_what_it_is(sandbox: Sandbox) -> None:
    sandbox.write(
        "name: p\nnetworks: {lan: {type: bridge, subnet: 10.1.0.0/24, dhcp: true}}\nguests: {a: {nics: [lan]}}\n"
    )
    assert "+ DHCP server on p-lan (dnsmasq)\n" in sandbox.guestwire("plan").stdout
    assert "1 DHCP server" in sandbox.guestwire("up").stdout
    sandbox.sh("kill -9 $(cat /run/guestwire/p/dhcp.lan.pid)")
    assert "  create DHCP server on p-lan (dnsmasq)\n" in sandbox.guestwire("status").stdout
    (drift,) = sandbox.json("status")["drift"]
    assert (drift["kind"], drift["name"]) == ("process", "/run/guestwire/p/dhcp.lan.pid")
    sandbox.guestwire("down")
