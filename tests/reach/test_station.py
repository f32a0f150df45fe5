"""Which address is asked where a station has several NICs."""

from __future__ import annotations

from guestwire.reach import Seat, Station, common_families, target_address

A = Seat("a", "eth0", ("10.0.0.2", "fe80::1", "FD00:0::2"))
B = Seat("b", "eth1", ("10.0.1.2", "127.0.0.1"))
HOST = Station(
    "host", "", (Seat("a", "br0", ("10.0.0.1",)), Seat("b", "br1", ("10.0.1.1",)), Seat("", "eth0", ("192.0.2.10",)))
)


def guest(name: str, *seats: Seat) -> Station:
    return Station(name, name, seats)


def test_the_shared_network_before_the_first() -> None:
    both = guest("both", A, B)
    assert target_address(guest("g", Seat("b", "eth0", ("10.0.1.9",))), both, 4) == "10.0.1.2"
    assert target_address(guest("g", Seat("c", "eth0", ("10.0.3.9",))), both, 4) == "10.0.0.2"
    assert target_address(guest("g", Seat("b", "eth0", ("fd00::9",))), both, 6) == "fd00::2"


def test_the_first_that_has_that_family() -> None:
    assert target_address(HOST, guest("g", Seat("a", "eth0"), B), 4) == "10.0.1.2"
    assert target_address(HOST, guest("g", B), 6) is None


def test_the_host_on_the_network_in_question_else_by_its_default_route() -> None:
    assert target_address(guest("g", B), HOST, 4) == "10.0.1.1"
    assert target_address(guest("g", Seat("c", "eth0", ("10.0.3.9",))), HOST, 4) == "192.0.2.10"


def test_only_global_addresses_count() -> None:
    assert common_families(guest("g", A), guest("h", B)) == (4,)
    assert not guest("g", Seat("a", "eth0", ("169.254.1.1", "fe80::2", "::1"))).families


def test_nobody_listens_on_a_host_outside_a_lab() -> None:
    assert guest("g").can_listen
    assert Station("lan", "p-lan", (), "lab").can_listen
    assert not Station("host", "", (), "outside").can_listen
    assert not Station("vm", None, (), "qemu").can_listen
