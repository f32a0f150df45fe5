"""DHCP clients of namespace guests: leases come, are renewed, kept and given back, in a lab and from any server."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox import Sandbox
from tests.trouble.saying import hide

LAB = """
name: p
networks: {lan: {type: bridge, uplink: eth0}, direct: {type: macvtap, uplink: eth1}}
guests:
  a: {nics: [{network: lan, address: dhcp}]}
  b: {nics: [lan, {network: direct, address: dhcp, default-route: true}]}
expect: [a reaches b, a reaches internet, b reaches internet, lan reaches a]
"""
PLAIN = "name: p\nnetworks: {lan: {type: bridge, uplink: eth0}}\nguests: {a: {nics: [lan]}}\n"
SERVER = """
ip netns add net; ip link add eth0 type veth peer name nic netns net
ip -n net address add 10.9.0.1/24 dev nic; ip -n net address add fd09::1/64 dev nic nodad
ip -n net link set nic up; ip -n net link set lo up; ip link set eth0 up
until ip link show dev eth0 | grep -q 'state UP'; do sleep 0.02; done
until ip -n net -6 route show table local | grep -q fd09::1; do sleep 0.02; done
sysctl -qw net.ipv6.conf.eth0.accept_ra=0; ip netns exec net sysctl -qw net.ipv6.conf.nic.accept_ra=0
mkdir /run/server; touch /run/server/leases
"""
DNSMASQ = """
ip netns exec net dnsmasq --conf-file=/dev/null --pid-file=/run/server/pid --user=root --port=0 --no-ping \\
    --dhcp-leasefile=/run/server/leases --bind-interfaces --interface=nic --dhcp-authoritative --enable-ra \\
    --dhcp-range=10.9.0.50,10.9.0.99,255.255.255.0,1h --dhcp-range=fd09::,ra-only \\
    --dhcp-option=option:dns-server,10.9.0.1,10.9.0.2 --dhcp-option=option:domain-name,home.example
"""
UDHCPD = """
cat >/run/server/conf <<END
interface nic
start 10.9.0.50
end 10.9.0.99
lease_file /run/server/leases
pidfile /run/server/pid
option subnet 255.255.255.0
option router 10.9.0.1
option dns 10.9.0.1 10.9.0.2
option domain home.example
option lease 3600
option staticroutes 10.20.0.0/16 10.9.0.7, 0.0.0.0/0 10.9.0.8
END
ip netns exec net setsid --fork busybox udhcpd -f /run/server/conf </dev/null >/dev/null 2>&1
until [ -s /run/server/pid ]; do sleep 0.02; done
"""


def lease(sandbox: Sandbox, guest: str, nic: int = 0) -> Any:
    """What status says of a NIC, its addresses beside."""
    (found,) = [each for each in sandbox.json("status")["guests"] if each["name"] == guest]
    return {**found["nics"][nic]["lease"], "addresses": found["nics"][nic]["addresses"]}


def pids(sandbox: Sandbox) -> str:
    return sandbox.sh("cat /run/guestwire/p/client-*.pid")


def test_leases_in_a_lab(sandbox: Sandbox) -> None:
    sandbox.write(LAB)
    before = sandbox.snapshot()
    assert sandbox.json("up", "--lab")["warnings"] == []
    found = lease(sandbox, "a")
    assert found["running"]
    assert (found["server"], found["router"], found["renewed"]) == ("192.0.2.1", "192.0.2.1", 0)
    assert found["addresses"] == [found["address"]]
    assert 150 <= int(found["address"].removeprefix("192.0.2.").removesuffix("/24")) <= 199
    # The NIC that says so has the default route, though the other one's gateway is known at once.
    assert "default via 198.51.100.1 dev eth1 proto dhcp" in sandbox.sh("ip -n p-b -4 route")
    assert "default via 192.0.2.1" not in sandbox.sh("ip -n p-b -4 route")
    assert sandbox.json("check")["held"]
    assert "198.51.100." in sandbox.guestwire("status").stdout.partition("LEASE OF")[2]

    kept = (pids(sandbox), found)
    again = sandbox.json("up")
    assert (again["changes"], again["warnings"]) == ([], [])
    assert (pids(sandbox), lease(sandbox, "a")) == kept

    sandbox.sh("kill -USR1 $(cat /run/guestwire/p/client-a.eth0.pid)")  # what udhcpc does at half time
    sandbox.until("grep -q renewed=1 /run/guestwire/p/client-a.eth0.lease")
    assert lease(sandbox, "a")["address"] == found["address"]
    assert sandbox.json("up")["changes"] == []
    assert pids(sandbox) == kept[0]

    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


@pytest.mark.parametrize("server", [DNSMASQ, UDHCPD], ids=["dnsmasq", "udhcpd"])
def test_leases_on_a_real_lan(sandbox: Sandbox, server: str) -> None:
    """Outside a lab who has no address asks; of name servers only the guest hears, and IPv6 is the kernel's."""
    sandbox.sh(SERVER + server)
    sandbox.sh("echo nameserver 127.0.0.9 > /etc/resolv.conf")
    sandbox.write(PLAIN)
    before = sandbox.snapshot()
    up = sandbox.json("up")
    assert up["warnings"] == []
    assert [change["name"] for change in up["changes"] if change["kind"] == "dhcp client"]
    found = lease(sandbox, "a")
    assert found["server"] == "10.9.0.1"
    assert found["dns"] == ["10.9.0.1", "10.9.0.2"]
    resolv = sandbox.guestwire("exec", "a", "--", "cat", "/etc/resolv.conf").stdout
    assert resolv == "# guestwire: p\nsearch home.example\nnameserver 10.9.0.1\nnameserver 10.9.0.2\n"
    assert sandbox.sh("cat /etc/resolv.conf") == "nameserver 127.0.0.9\n"
    routes = sandbox.sh("ip -n p-a -4 route")
    if server == DNSMASQ:
        assert "default via 10.9.0.1 dev eth0 proto dhcp metric 100" in routes
        sandbox.until("ip -n p-a -6 address | grep -q fd09:")
        assert "10.9.0." in sandbox.sh("cat /run/server/leases")
    else:  # with static routes the router counts for nothing
        assert "default via 10.9.0.8 dev eth0 proto dhcp metric 100" in routes
        assert "10.20.0.0/16 via 10.9.0.7 dev eth0 proto dhcp" in routes
        assert "10.9.0.1 " not in routes
    assert sandbox.json("status")["drift"] == []
    again = sandbox.json("up")
    assert (again["changes"], again["warnings"]) == ([], [])
    sandbox.guestwire("down")
    if server == DNSMASQ:
        sandbox.until(f"! grep -q {found['address'].partition('/')[0]} /run/server/leases")  # it was given back
    assert sandbox.snapshot() == before


def test_an_address_in_the_file_ends_the_client(sandbox: Sandbox) -> None:
    sandbox.sh(SERVER + DNSMASQ)
    sandbox.write(PLAIN)
    before = sandbox.snapshot()
    sandbox.guestwire("up")
    leased = lease(sandbox, "a")["address"]
    for fixed in (leased, "10.9.0.20/24"):  # the very address that it has, for good; and another
        nic = f"{{network: lan, address: {fixed}, gateway: 10.9.0.1}}"
        sandbox.write(PLAIN.replace("nics: [lan]", f"nics: [{nic}], dns: [10.9.0.3]"))
        sandbox.guestwire("up")
        assert sandbox.sh("find /run/guestwire/p -name 'client*'") == ""
        addresses = sandbox.sh("ip -n p-a -4 -o address show dev eth0")
        assert (addresses.count("inet "), fixed in addresses, "forever" in addresses) == (1, True, True)
        assert sandbox.sh("ip -n p-a -4 route show default") == "default via 10.9.0.1 dev eth0 proto 103 \n"
        assert sandbox.sh("cat /etc/netns/p-a/resolv.conf") == "# guestwire: p\nnameserver 10.9.0.3\n"
        assert sandbox.json("up")["changes"] == []
        sandbox.write(PLAIN)
        sandbox.guestwire("up")
        assert lease(sandbox, "a")["addresses"][0] == leased
        assert "10.9.0.20" not in sandbox.sh("ip -n p-a address")
        assert "nameserver 10.9.0.2\n" in sandbox.sh("cat /etc/netns/p-a/resolv.conf")
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


def test_a_killed_client_is_drift_and_leaves_nothing(sandbox: Sandbox) -> None:
    sandbox.write(LAB)
    before = sandbox.snapshot()
    sandbox.guestwire("up", "--lab")
    sandbox.kill("$(cat /run/guestwire/p/client-a.eth0.pid)")
    found = lease(sandbox, "a")
    assert not found["running"]
    assert sandbox.json("status")["drift"]
    sandbox.guestwire("up")
    again = lease(sandbox, "a")
    assert again["running"]
    assert again["addresses"] == [found["address"]]
    sandbox.kill("$(cat /run/guestwire/p/client-*.pid)")
    sandbox.write(LAB.replace("[{network: lan, address: dhcp}]", "[lan]"))
    sandbox.guestwire("up")
    addresses = sandbox.sh("ip -n p-a -4 -o address show dev eth0")
    assert (addresses.count("inet "), addresses.count("inet 192.0.2.201/24")) == (1, 1)
    sandbox.kill("$(cat /run/guestwire/p/client-*.pid)")
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


def test_daemons_whose_namespace_somebody_has_deleted(sandbox: Sandbox) -> None:
    """They keep it, with the NICs and their MACs: they are ended before those come anew, and with all else."""
    before = sandbox.snapshot()
    sandbox.write(
        "name: p\nnetworks: {lan: {type: macvtap, uplink: eth0}}\nguests: {a: {nics: [{network: lan, address: dhcp}]}}"
    )
    sandbox.guestwire("up", "--lab")
    sandbox.sh("ip netns delete p-a; ip netns delete p-gateway")
    sandbox.guestwire("up")
    assert sandbox.json("status")["drift"] == []
    sandbox.sh("ip netns delete p-a; ip netns delete p-gateway")
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


def test_a_client_goes_with_its_nic_to_another_network(sandbox: Sandbox) -> None:
    sandbox.write(LAB)
    sandbox.guestwire("up", "--lab")
    sandbox.write(LAB.replace("a: {nics: [{network: lan", "a: {nics: [{network: direct"))
    sandbox.guestwire("up")
    found = lease(sandbox, "a")
    assert found["running"]
    assert found["server"] == "198.51.100.1"
    assert sandbox.json("up")["changes"] == []


def test_where_nobody_answers_up_says_so_and_the_client_goes_on(sandbox: Sandbox) -> None:
    sandbox.write("lab: {dhcp: false}\n" + LAB)
    before = sandbox.snapshot()
    (warning, other) = sandbox.json("up", "--lab", "--keep", code=1)["warnings"]
    assert "no DHCP server has answered eth0 of a." in warning
    assert "eth1 of b" in other
    found = lease(sandbox, "a")
    assert (found["running"], found["address"], found["addresses"]) == (True, None, [])
    assert "none yet" in sandbox.guestwire("status").stdout
    sandbox.write(LAB)
    assert sandbox.json("up")["changes"]
    sandbox.until("[ -e /run/guestwire/p/client-a.eth0.lease ]")
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


def test_the_client_is_needed_only_where_one_asks(sandbox: Sandbox) -> None:
    hide(sandbox, "udhcpc")
    sandbox.write(LAB)
    before = sandbox.snapshot()
    refused = sandbox.guestwire("up", "--lab", check=False)
    assert refused.returncode == 69
    assert "`udhcpc` is missing. Install the package udhcpc" in refused.stderr
    assert sandbox.snapshot() == before
    sandbox.write(LAB.replace("address: dhcp", "mtu: 1400"))
    sandbox.guestwire("up", "--lab")


HOST = """
name: p
lab: {host-dhcp: true}
networks: {lan: {type: bridge, uplink: eth0}}
guests: {a: {nics: [lan]}}
expect: [host reaches a, a reaches host, lan reaches host, host reaches internet]
"""


def test_the_hosts_lease_goes_to_the_bridge_and_back(sandbox: Sandbox) -> None:
    on_nic = HOST.replace("type: bridge", "type: macvtap").replace("host reaches a, a reaches host, ", "")
    sandbox.write(on_nic)
    before = sandbox.snapshot()
    sandbox.guestwire("up", "--lab")
    leased = sandbox.json("status")["networks"][0]["lease"]["address"]
    for text, link in ((HOST, "p-lan"), (on_nic, "eth0"), (HOST, "p-lan")):
        sandbox.write(text)
        sandbox.guestwire("up")
        (network,) = sandbox.json("status")["networks"]
        assert (network["link"], network["lease"]["address"], network["lease"]["running"]) == (link, leased, True)
        assert sandbox.sh("ip -n p-host -4 -o address show scope global").split()[1:4:2] == [link, leased]
        assert sandbox.sh("ip -n p-host -4 route show default") == (
            f"default via 192.0.2.1 dev {link} proto dhcp metric 100 \n"
        )
        assert sandbox.json("check")["held"]
        assert sandbox.json("up")["changes"] == []
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HOST.replace("true}", "true, dhcp: false}"), "nothing would answer the host"),
        (HOST.replace("bridge, uplink: eth0", "macvtap, uplink: eth0, host-access: true"), "is a lease"),
    ],
    ids=["no server", "host-access"],
)
def test_what_does_not_go_with_a_lease_of_the_hosts(sandbox: Sandbox, text: str, says: str) -> None:
    sandbox.write(text)
    before = sandbox.snapshot()
    assert says in sandbox.json("up", "--lab", code=65)["error"]["message"]
    assert sandbox.snapshot() == before
