"""NAT, DHCP and forwards beside a firewall of the user's: what passes as it is, what is warned of, and the mend.

Rule sets are laid out by hand as Docker, firewalld, libvirt and a plain "drop all" leave them on a host. The packets
say what is so, and each warning is held against them: where there is one, packets are stopped; once the rules that it
names are there, they pass, in both families.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.sandbox import Sandbox
from tests.world.test_dhcp_server import ask
from tests.world.test_gateway import GUESTS, HOST, OUT, OUTER
from tests.world.visits import serving, visit

FILE = """
name: p
networks:
  net:
    {type: bridge, subnet: [10.77.0.0/16, "fd00:77::/64"], nat: true, dhcp: true,
     forward: [{host: 8080, to: a, port: 80}]}
guests: {a: {nics: [net]}, b: {nics: [net]}}
"""

DOCKER = """
for t in iptables:ip ip6tables:ip6; do
nft -f - <<END
table ${t#*:} filter {
    chain DOCKER-USER { counter return; }
    chain DOCKER-FORWARD {
        oifname "docker0" ct state related,established counter accept
        iifname "docker0" oifname != "docker0" counter accept
    }
    chain FORWARD {
        type filter hook forward priority filter; policy drop;
        counter jump DOCKER-USER
        counter jump DOCKER-FORWARD
    }
}
table ${t#*:} nat {
    chain POSTROUTING {
        type nat hook postrouting priority srcnat; policy accept;
        ${t#*:} saddr $([ ${t#*:} = ip ] && echo 172.17.0.0/16 || echo fd00:d0c::/64) oifname != "docker0" masquerade
    }
}
END
done
"""

FIREWALLD = """
nft -f - <<END
table inet firewalld {
    chain filter_IN_public {
        tcp dport 22 accept
        ip6 daddr fe80::/64 udp dport 546 accept
        meta l4proto { icmp, ipv6-icmp } accept
    }
    chain filter_IN_trusted { accept; }
    chain filter_INPUT_ZONES { goto filter_IN_public; }
    chain filter_INPUT {
        type filter hook input priority filter + 10; policy accept;
        ct state { established, related } accept
        ct status dnat accept
        iifname "lo" accept
        ct state { invalid } drop
        jump filter_INPUT_ZONES
        reject with icmpx admin-prohibited
    }
    chain filter_FWD_public { meta l4proto { icmp, ipv6-icmp } accept; }
    chain filter_FWD_trusted { accept; }
    chain filter_FORWARD_ZONES { goto filter_FWD_public; }
    chain filter_FORWARD {
        type filter hook forward priority filter + 10; policy accept;
        ct state { established, related } accept
        ct status dnat accept
        iifname "lo" accept
        ct state { invalid } drop
        jump filter_FORWARD_ZONES
        reject with icmpx admin-prohibited
    }
}
END
cat > /run/firewall-cmd <<'END'
#!/bin/sh
link=${2#--add-interface=}
nft insert rule inet firewalld filter_INPUT_ZONES iifname "$link" goto filter_IN_trusted
nft insert rule inet firewalld filter_FORWARD_ZONES iifname "$link" goto filter_FWD_trusted
END
chmod +x /run/firewall-cmd
"""
"""With what `firewall-cmd --zone=trusted --add-interface=LINK` does to these chains, since the program isn't here."""

LIBVIRT = """
ip link add virbr0 type bridge; ip address add 192.168.122.1/24 dev virbr0; ip link set virbr0 up
sysctl -qw net.ipv4.ip_forward=1
nft -f - <<END
table ip libvirt_network {
    chain guest_output {
        ip saddr 192.168.122.0/24 iif "virbr0" counter accept
        iif "virbr0" counter reject
    }
    chain guest_input {
        oif "virbr0" ip daddr 192.168.122.0/24 ct state established,related counter accept
        oif "virbr0" counter reject
    }
    chain guest_cross { iif "virbr0" oif "virbr0" counter accept; }
    chain forward {
        type filter hook forward priority filter; policy accept;
        counter jump guest_cross
        counter jump guest_input
        counter jump guest_output
    }
    chain guest_nat {
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr 192.168.122.0/24 ip daddr 224.0.0.0/24 counter return
        ip saddr 192.168.122.0/24 ip daddr != 192.168.122.0/24 counter masquerade
    }
}
END
"""

DROP_ALL = """
nft -f - <<END
table inet mine {
    chain input {
        type filter hook input priority filter; policy drop;
        ct state vmap { established : accept, related : accept, invalid : drop }
        iifname { "lo", "eth0" } accept
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } accept
    }
    chain forward { type filter hook forward priority filter; policy drop; }
}
END
"""

EITHER = (0, 1)  # IPv4, IPv6
LAYOUTS = {"docker": DOCKER, "firewalld": FIREWALLD, "drop-all": DROP_ALL}


@pytest.fixture
def host(sandbox: Sandbox) -> Iterator[Sandbox]:
    sandbox.sh(OUT)
    yield sandbox
    rules = sandbox.sh("nft list ruleset")
    sandbox.guestwire("down")
    left = sandbox.sh("nft list ruleset")
    assert "guestwire" in rules
    assert "guestwire" not in left


def up(sandbox: Sandbox) -> list[str]:
    """Bring it up; what it warns of, which `plan` says too."""
    sandbox.write(FILE)
    planned = sandbox.json("plan")["warnings"]
    told = sandbox.guestwire("up")
    assert all(warning in told.stderr for warning in planned)
    again: list[str] = sandbox.json("plan")["warnings"]
    return again


def seen(sandbox: Sandbox, seconds: int = 30) -> dict[str, bool]:
    """What really passes, within so many seconds: each way that the network needs, in both families."""
    asked = {}
    with serving(sandbox, "out"), serving(sandbox, "p-a"), ThreadPoolExecutor() as at_once:
        for family, name in zip(EITHER, ("4", "6"), strict=True):
            for way, server, words in (
                ("out", "out ", ("p-a", OUTER[family], 80)),
                ("in", "p-a ", ("out", HOST[family], 8080)),
                ("bridged", "p-a ", ("p-b", GUESTS["a"][family], 80)),
            ):
                asked[f"{way} {name}"] = server, at_once.submit(visit, sandbox, *words, seconds=seconds)
        return {way: answer.result().startswith(server) for way, (server, answer) in asked.items()}


def names_resolve(sandbox: Sandbox) -> bool:
    asked = ("timeout", "4", "env", "RES_OPTIONS=timeout:1 attempts:4", "getent", "hosts", "a")
    done = sandbox.guestwire("exec", "b", "--", *asked, check=False)
    return done.returncode == 0


def mend(sandbox: Sandbox, warnings: list[str]) -> None:
    """Do what the warnings say."""
    commands = dict.fromkeys(each for warning in warnings for each in re.findall(r"`([^`]*)`", warning))
    sandbox.sh("PATH=$PATH:/run\n" + "\n".join(commands))


def test_docker_stops_all_until_its_user_chain_lets_it_pass(host: Sandbox) -> None:
    host.sh(DOCKER)
    warnings = up(host)
    assert not any(seen(host, 4).values())
    assert names_resolve(host)  # Docker has no chain at the hook input
    for family in ("ip", "ip6"):
        assert any(f"table {family} filter, chain FORWARD (policy drop)" in warning for warning in warnings)
        assert any(
            f"nft insert rule {family} filter DOCKER-USER iifname p-net accept" in warning for warning in warnings
        )
    mend(host, warnings)
    assert all(seen(host).values())
    assert host.json("plan")["warnings"] == []
    assert (
        host.sh("nft list chain ip filter DOCKER-FORWARD | grep -c docker0") == "2\n"
    )  # nothing of theirs was changed


def test_check_shows_what_a_firewall_stops(host: Sandbox) -> None:
    host.sh(DOCKER)
    host.write(FILE + "expect: [a reaches gateway, a reaches b, host reaches a]\n")
    assert host.guestwire("up", "--keep", check=False).returncode == 1
    checked = host.json("check", code=1)
    assert [each["held"] for each in checked["expectations"]] == [False, False, True]
    mend(host, host.json("plan")["warnings"])
    assert host.json("check")["held"]


def test_firewalld_rejects_until_the_bridge_is_trusted(host: Sandbox) -> None:
    host.sh(FIREWALLD)
    warnings = up(host)
    before = seen(host, 4)
    assert [before[f"{way} {family}"] for family in "46" for way in ("out", "in", "bridged")] == [
        False,
        True,
        False,
    ] * 2
    assert not names_resolve(host)
    assert {each for warning in warnings for each in re.findall(r"`([^`]*)`", warning)} == {
        "firewall-cmd --zone=trusted --add-interface=p-net"
    }
    assert any(
        "chain filter_FORWARD (reject) stops" in warning.replace(", isn't guestwire's, and", "") for warning in warnings
    )
    assert any("chain filter_INPUT (reject)" in warning and "DHCP" in warning for warning in warnings)
    mend(host, warnings)
    assert all(seen(host).values())
    assert names_resolve(host)
    assert ask(host, "a")["address"] == "10.77.0.2"
    assert host.json("plan")["warnings"] == []


def test_libvirts_rules_are_about_its_own_bridge(host: Sandbox) -> None:
    host.sh(LIBVIRT)
    assert up(host) == []
    assert all(seen(host).values())
    assert names_resolve(host)
    assert ask(host, "b")["address"] == "10.77.0.3"


def test_who_drops_all_is_told_every_rule(host: Sandbox) -> None:
    host.sh(DROP_ALL)
    warnings = up(host)
    assert not any(seen(host, 4).values())
    assert not names_resolve(host)
    mend(host, warnings)
    assert all(seen(host).values())
    assert names_resolve(host)
    assert ask(host, "b")["address"] == "10.77.0.3"
    assert ask(host, "b", "6")["address"] == "fd00:77::3"
    assert host.json("plan")["warnings"] == []


def test_guest_on_the_lan_is_warned_of_a_firewall_that_sees_bridged_frames(sandbox: Sandbox) -> None:
    """No NAT at all: bridge-nf-call shows bridged frames to Docker's chain (problems C1)."""
    sandbox.sh("ip link add eth0 type veth peer name far0; ip link set far0 up; ip link set eth0 up" + DOCKER)
    nics = "a: {nics: [{network: lan, address: 192.0.2.2/24}]}, b: {nics: [{network: lan, address: 192.0.2.3/24}]}"
    sandbox.write(f"name: p\nnetworks: {{lan: {{type: bridge, uplink: eth0}}}}\nguests: {{{nics}}}\n")
    (four, six) = sandbox.json("up")["warnings"]
    assert "stops bridged IPv4 frames" in four
    assert "stops bridged IPv6 frames" in six
    reach = ("ip", "netns", "exec", "p-a", "ping", "-c1", "-W1", "192.0.2.3")
    assert sandbox.run(*reach, check=False).returncode != 0
    mend(sandbox, [four, six])
    assert sandbox.answers("192.0.2.3", "p-a")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_without_our_networks_nothing_is_read_or_said(sandbox: Sandbox, layout: str) -> None:
    sandbox.sh("ip link add eth0 type veth peer name far0; ip link set far0 up; ip link set eth0 up" + LAYOUTS[layout])
    sandbox.write("name: p\nnetworks: {m: {type: macvtap, uplink: eth0}}\nguests: {a: {nics: [m]}}\n")
    assert all("table" not in warning for warning in sandbox.json("up")["warnings"])


def test_a_network_on_a_host_that_forwards_is_apart_only_by_a_firewall(sandbox: Sandbox) -> None:
    sandbox.sh(
        OUT + "ip -n out route add 10.77.0.0/24 via 192.0.2.10; ip -n out route add fd00:77::/64 via 2001:db8:1::10"
    )
    text = (
        'name: p\nnetworks: {net: {type: bridge, subnet: [10.77.0.0/24, "fd00:77::/64"]}}\nguests: {a: {nics: [net]}}\n'
    )
    sandbox.write(text)
    sandbox.sh("sysctl -qw net.ipv4.ip_forward=0")
    assert sandbox.json("up")["warnings"] == []

    def reached(*families: str) -> None:
        asked = {"IPv4": GUESTS["a"][0], "IPv6": GUESTS["a"][1]}
        for family, address in asked.items():
            ping = sandbox.run("ip", "netns", "exec", "out", "ping", "-c1", "-W1", address, check=False)
            assert (ping.returncode == 0) == (family in families), family
        warnings = sandbox.json("plan")["warnings"]
        assert len(warnings) == bool(families)
        assert all(family in warnings[0] for family in families)
        assert all(family not in warnings[0] for family in asked.keys() - set(families) if families)

    reached()
    sandbox.sh("sysctl -qw net.ipv4.ip_forward=1")
    reached("IPv4")
    sandbox.sh("sysctl -qw net.ipv6.conf.all.forwarding=1")
    reached("IPv4", "IPv6")
    chain = "add chain inet f forward { type filter hook forward priority 0; }"
    rules = re.findall("`([^`]+)`", sandbox.json("plan")["warnings"][0])
    assert len(rules) == 2
    added = "\n".join(f"nft add rule inet f forward {rule}" for rule in rules)
    sandbox.sh(f"nft add table inet f; nft '{chain}'\n{added}")
    reached()
    sandbox.sh("nft delete table inet f")
    sandbox.write(text.replace("networks: {", "networks: {other: {type: bridge, subnet: 10.78.0.0/24, nat: true}, "))
    assert sandbox.json("plan")["warnings"] == []
    sandbox.guestwire("down")
