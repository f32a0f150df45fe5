"""Expectations on tcp and udp ports, with listeners of the test's, of guestwire's, and none."""

from __future__ import annotations

import socket

import pytest

from guestwire.linux.kernel import Kernel
from guestwire.reach import Expected, Report, Seat, Station, check
from guestwire.spec import Expectation
from tests.reach.conftest import Network


@pytest.fixture
def pair(network: Network) -> list[Station]:
    return [network.station(name, f"10.0.0.{i}/24", f"fd00::{i}/64") for i, name in enumerate("ab", 1)]


def asked(kernel: Kernel, stations: list[Station], text: str, timeout: float = 0.5) -> Expected:
    report: Report = check(kernel, stations, [Expectation.model_validate(text)], timeout=timeout)
    return report.expectations[0]


def block(network: Network, netns: str, *rules: str) -> None:
    chain = "add table inet t; add chain inet t i { type filter hook input priority 0; };"
    network.exec(netns, "nft", chain + ";".join(f"add rule inet t i {rule}" for rule in rules))


@pytest.mark.parametrize("proto", ["tcp", "udp"])
def test_guestwire_listens_where_nobody_does(network: Network, kernel: Kernel, pair: list[Station], proto: str) -> None:
    found = asked(kernel, pair, f"a reaches b on {proto}/80")
    word = "accepted" if proto == "tcp" else "answered"
    assert found[1:] == (True, f"a → b: 10.0.0.2 port 80 {word}; a → b: fd00::2 port 80 {word}")
    for station in pair:
        sockets = network.exec(station.netns or "", "ss", "-Hantu")
        assert not sockets, "no listener, no connection in TIME_WAIT"
        assert not network.neighbours(station.netns or "")


@pytest.mark.parametrize("proto", ["tcp", "udp"])
def test_a_guest_that_nobody_may_listen_in_refuses(
    network: Network, kernel: Kernel, pair: list[Station], proto: str
) -> None:
    a, b = pair
    stations = [a, Station("b", b.netns, b.nics, "outside")]
    assert asked(kernel, stations, f"a reaches b on {proto}/80").held is False
    found = asked(kernel, stations, f"a does not reach b on {proto}/80")
    assert found.held is True
    assert "refused by 10.0.0.2: nothing listens there (ECONNREFUSED)" in found.why


def test_a_listener_of_its_own_answers(kernel: Kernel, pair: list[Station]) -> None:
    with kernel.inside(pair[1].netns or ""):
        listener = socket.create_server(("::", 80), family=socket.AF_INET6, dualstack_ipv6=True)
    with listener:
        assert asked(kernel, pair, "a reaches b on tcp/80").held is True
        listener.settimeout(2)
        listener.accept()[0].close()


def test_a_silent_udp_program_says_nothing(kernel: Kernel, pair: list[Station]) -> None:
    with kernel.inside(pair[1].netns or ""):
        holder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        holder.bind(("0.0.0.0", 53))
    with holder:
        found = asked(kernel, pair, "a reaches b on udp/53")
    assert found.held is None
    assert "can't be told" in found.why


@pytest.mark.parametrize("proto", ["tcp", "udp"])
def test_a_port_that_a_firewall_drops(network: Network, kernel: Kernel, pair: list[Station], proto: str) -> None:
    block(network, pair[1].netns or "", f"ip version 4 {proto} dport 80 drop")
    found = asked(kernel, pair, f"a reaches b on {proto}/80")
    assert found[1:] == (False, "a → b: no answer from 10.0.0.2 within 0.5 s")
    found = asked(kernel, pair, f"a does not reach b on {proto}/80")
    assert found[1:] == (False, f"a → b: fd00::2 port 80 {'accepted' if proto == 'tcp' else 'answered'}")


def test_a_port_of_somebody_unreachable(kernel: Kernel, pair: list[Station]) -> None:
    ghost = Station("ghost", None, (Seat("net", "eth0", ("10.0.0.9",)),), "qemu")
    found = asked(kernel, [*pair, ghost], "a does not reach ghost on udp/9")
    assert found[1:] == (True, "a → ghost: 10.0.0.9 doesn't answer ARP")
