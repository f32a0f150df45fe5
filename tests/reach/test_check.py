"""Who reaches whom, measured in real namespaces."""

from __future__ import annotations

import json
from collections.abc import Sequence

from guestwire.linux.kernel import Kernel
from guestwire.reach import Pair, Report, Seat, Station, check
from guestwire.spec import Expectation
from tests.reach.conftest import Network


def expectations(*texts: str) -> list[Expectation]:
    return [Expectation.model_validate(text) for text in texts]


def measured(report: Report, source: str, target: str) -> tuple[bool | None, ...]:
    """What was found over IPv4, IPv6."""
    found = [report.pairs.get(source, target, family) for family in (4, 6)]
    return tuple(pair.measured if pair else None for pair in found)


def test_all_reach_but_two_isolated_ports(network: Network, kernel: Kernel) -> None:
    stations = [
        network.station("a", "10.0.0.1/24", "fd00::1/64"),
        network.station("b", "10.0.0.2/24", "fd00::2/64", port="isolated on"),
        network.station("c", "10.0.0.3/24", "fd00::3/64", port="isolated on"),
    ]
    report = check(kernel, stations)
    assert measured(report, "a", "b") == measured(report, "c", "a") == (True, True)
    assert measured(report, "b", "c") == measured(report, "c", "b") == (False, False)
    pair = report.pairs.get("b", "c", 4)
    assert pair == Pair("b", "c", 4, None, False, "10.0.0.3 doesn't answer ARP")
    pair = report.pairs.get("b", "c", 6)
    assert pair is not None
    assert pair.why == "fd00::3 doesn't answer neighbour discovery"
    assert [(p.source, p.target, p.family) for p in report.pairs][:4] == [
        ("a", "b", 4),
        ("a", "b", 6),
        ("a", "c", 4),
        ("a", "c", 6),
    ]
    assert all(not network.neighbours(s.netns) for s in stations if s.netns)


def test_what_was_in_the_neighbour_table_stays(network: Network, kernel: Kernel) -> None:
    stations = [network.station(name, f"10.0.0.{i}/24") for i, name in enumerate("abc", 1)]
    a, b, _ = (station.netns or "" for station in stations)
    network.exec(a, "sh", "-c", "until ping -c1 -W1 10.0.0.2; do :; done")
    network.ip(a, "neighbour add 10.0.0.9 dev eth0 lladdr 02:00:00:00:00:09 nud permanent")
    network.ip(a, "neighbour add 10.0.0.8 dev eth0 lladdr 02:00:00:00:00:08 nud stale")
    before = set(network.neighbours(a)), set(network.neighbours(b))
    assert before == ({"10.0.0.2", "10.0.0.9", "10.0.0.8"}, {"10.0.0.1"})
    assert all(pair.measured for pair in check(kernel, stations).pairs)
    assert (set(network.neighbours(a)), set(network.neighbours(b))) == before


def test_ways_to_have_no_way(network: Network, kernel: Kernel) -> None:
    stations = [
        network.station("a", "10.0.0.1/24", "fd00::1/64"),
        network.station("b", "10.0.1.2/24", "fd00:1::2/64"),
        Station("outside", None, (Seat("net", "eth0", ("10.0.0.77", "fd00::77")),), "qemu"),
        Station("lost", f"{network.prefix}-lost", (Seat("net", "eth0", ("10.0.0.78",)),)),
        Station("mute", network.plug("mute"), (Seat("net", "eth0", ()),)),
    ]
    network.ip(stations[0].netns or "", "route add blackhole 10.0.1.0/24")
    network.ip(stations[0].netns or "", "route add blackhole fd00:1::/64")
    report = check(kernel, stations, timeout=0.5)
    whys = {(p.source, p.target, p.family): (p.measured, p.why) for p in report.pairs}
    assert whys["a", "b", 4] == (False, "a blackhole route swallows what goes to 10.0.1.2 (EINVAL)")
    assert whys["a", "b", 6] == (False, "a blackhole route swallows what goes to fd00:1::2 (EINVAL)")
    assert whys["b", "a", 4] == (False, "no route to 10.0.0.1 (ENETUNREACH)")
    assert whys["outside", "a", 4] == (None, "there is no way to send from outside here")
    assert whys["lost", "a", 4] == (None, "the namespace of lost isn't there")
    assert whys["a", "outside", 4] == (False, "10.0.0.77 doesn't answer ARP")
    assert not any("mute" in key for key in whys)


def test_a_firewall_in_the_way(network: Network, kernel: Kernel) -> None:
    stations = [network.station(name, f"10.0.0.{i}/24", f"fd00::{i}/64") for i, name in enumerate("abc", 1)]
    a, _, c = (station.netns or "" for station in stations)
    network.exec(
        a,
        "nft",
        "add table inet t; add chain inet t o { type filter hook output priority 0; };"
        " add rule inet t o ip daddr 10.0.0.2 drop",
    )
    network.exec(
        c,
        "nft",
        "add table inet t; add chain inet t i { type filter hook input priority 0; };"
        " add rule inet t i icmp type echo-request reject with icmp type admin-prohibited;"
        " add rule inet t i icmpv6 type echo-request drop",
    )
    report = check(kernel, stations, timeout=0.5)
    whys = {(p.source, p.target, p.family): p.why for p in report.pairs if not p.measured}
    assert whys == {
        ("a", "b", 4): "the sender's own firewall drops it (EPERM)",
        ("a", "c", 4): "10.0.0.3 says that a filter prohibits 10.0.0.3",
        ("b", "c", 4): "10.0.0.3 says that a filter prohibits 10.0.0.3",
        ("a", "c", 6): "no answer from fd00::3 within 0.5 s",
        ("b", "c", 6): "no answer from fd00::3 within 0.5 s",
        ("b", "a", 4): "no answer from 10.0.0.1 within 0.5 s",
    }


def routed(network: Network) -> list[Station]:
    """Guest — router — guest, on two networks."""
    left = network.plug("left", "10.0.0.2/24")
    right = network.namespace("right")
    router = network.plug("router", "10.0.0.1/24")
    network.ip(right, f"link add eth0 type veth peer name eth1 netns {router}")
    for netns, link, address in ((right, "eth0", "10.0.1.2/24"), (router, "eth1", "10.0.1.1/24")):
        network.ip(netns, f"address add {address} dev {link}")
        network.ip(netns, f"link set {link} up")
    network.ip(left, "route add default via 10.0.0.1")
    network.ip(right, "route add default via 10.0.1.1")
    network.exec(router, "sysctl", "-qw", "net.ipv4.ip_forward=1")
    return [
        Station("left", left, (Seat("one", "eth0", ("10.0.0.2",)),)),
        Station("right", right, (Seat("two", "eth0", ("10.0.1.2",)),)),
        Station(
            "host",
            router,
            (Seat("one", "eth0", ("10.0.0.1",)), Seat("two", "eth1", ("10.0.1.1",)), Seat("", "eth1", ("10.0.1.1",))),
            "lab",
        ),
    ]


def test_through_a_router_which_keeps_no_neighbour(network: Network, kernel: Kernel) -> None:
    stations = routed(network)
    report = check(kernel, stations)
    assert all(pair.measured for pair in report.pairs)
    assert len(report.pairs) == 6
    asked = report.pairs.get("right", "host", 4)
    assert asked is not None
    assert asked.why == "10.0.1.1 answered"
    assert all(not network.neighbours(station.netns or "") for station in stations)


def test_a_router_that_is_not_answered(network: Network, kernel: Kernel) -> None:
    left, right, host = routed(network)
    network.ip(right.netns or "", "link set eth0 down")
    report = check(kernel, [left, right, host], timeout=0.5)
    pair = report.pairs.get("left", "right", 4)
    assert pair is not None
    assert (pair.measured, pair.why) == (False, "10.0.1.2 doesn't answer ARP")


def test_expectations(network: Network, kernel: Kernel) -> None:
    stations = [
        network.station("web", "10.0.0.1/24", "fd00::1/64", port="isolated on"),
        network.station("many-1", "10.0.0.2/24", "fd00::2/64", port="isolated on"),
        network.station("many-2", "10.0.0.3/24"),
        Station("vm", None, (Seat("net", "eth0", ("10.0.0.4",)),), "qemu"),
        Station("internet", None, (), "outside"),
    ]

    def members(name: str) -> Sequence[str]:
        return ("many-1", "many-2") if name == "many" else (name,)

    texts = {
        "web reaches many-2": True,
        "web does not reach many-1": True,
        "web does not reach many-2": False,
        "web reaches many": False,
        "many reaches many": True,
        "vm reaches web": None,
        "web does not reach vm": True,
        "web reaches internet": None,
        "web reaches elsewhere": None,
    }
    report = check(kernel, stations, expectations(*texts), members=members, timeout=0.5)
    assert {e.text: e.held for e in report.expectations} == texts
    whys = {e.text: e.why for e in report.expectations}
    assert whys["web reaches many"].startswith("web → many-1: 10.0.0.2 doesn't answer ARP; web → many-1: fd00::2")
    assert whys["web does not reach many-2"] == "web → many-2: 10.0.0.3 answered"
    assert whys["vm reaches web"] == "vm → web: there is no way to send from vm here"
    assert whys["web reaches internet"] == "nothing says which address internet has here"
    assert (report.held, report.failed, report.lacking, report.code) == (False, True, True, 1)


def test_no_family_in_common(network: Network, kernel: Kernel) -> None:
    stations = [network.station("four", "10.0.0.1/24"), network.station("six", "fd00::1/64")]
    report = check(kernel, stations, expectations("four reaches six", "four does not reach six"))
    assert [e.held for e in report.expectations] == [False, True]
    assert report.expectations[0].why == "four → six: four and six have no address family in common"
    assert not list(report.pairs)


def test_document(network: Network, kernel: Kernel) -> None:
    stations = [network.station("a", "10.0.0.1/24"), network.station("b", "10.0.0.2/24")]
    said: list[tuple[int, int]] = []
    report = check(kernel, stations, expectations("a reaches b"), lambda done, total: said.append((done, total)))
    assert json.loads(json.dumps(report.to_json())) == {
        "pairs": [
            {"from": s, "to": t, "family": 4, "predicted": None, "measured": True, "why": f"{address} answered"}
            for s, t, address in (("a", "b", "10.0.0.2"), ("b", "a", "10.0.0.1"))
        ],
        "expectations": [{"text": "a reaches b", "held": True, "why": "a → b: 10.0.0.2 answered"}],
        "disagreements": 0,
        "held": True,
    }
    assert report.code == 0
    assert said == [(2, 2)]


def test_an_address_still_being_checked_is_waited_for(network: Network, kernel: Kernel) -> None:
    """Duplicate address detection takes one to two seconds, longer than this timeout."""
    stations = [network.station("a", "fd00::1/64"), network.station("b", "fd00::2/64")]
    for station, address in zip(stations, ("fd00::1", "fd00::2"), strict=True):
        network.ip(station.netns or "", f"address del {address}/64 dev eth0")
        network.ip(station.netns or "", f"address add {address}/64 dev eth0")
    report = check(kernel, stations, timeout=0.3)
    assert [pair.measured for pair in report.pairs] == [True, True]
