"""The figures to reach, each held against what was measured."""

from dataclasses import dataclass
from statistics import median

Series = dict[str, dict[str, dict[str, list[float]]]]  # kind → way → what was timed → one value a round

LABELS = {
    "veth": "on one bridge",
    "nat": "on one bridge with NAT and DHCP",
    "macvlan": "macvlans on one parent",
    "tap": "taps on one bridge",
}
GONE = {"veth": "down", "nat": "down", "macvlan": "dead", "tap": "down"}
"""When a tear-down is through: a veth is seen to go from the host. A macvlan is in its guest alone, and holds its MAC
on the parent until that is dead; `guestwire down` returns no sooner.
"""
NAT_MOST = 1.2
"""What NAT and DHCP may make of `up` without. One nft transaction takes 12 ms and dnsmasq's start with a thousand
guests 16, 0.03 of it; but each guest also gets a resolv.conf that names the network's server, a folder and a file.
"""
PEERS = (("ip-batch", 0.3), ("floor-c", 1.5), ("mininet", 0.1), ("cni", 0.1), ("pyroute2-naive", 0.1))


@dataclass(frozen=True)
class Line:
    """One line of the table of verdicts; `measured` is None where a part of it did not run."""

    what: str
    measured: float | None
    target: float
    unit: str
    at_least: bool = False

    @property
    def verdict(self) -> str:
        if self.measured is None:
            return "not run"
        reached = self.measured >= self.target if self.at_least else self.measured <= self.target
        return "ok" if reached else "MISS"

    def show(self) -> str:
        measured = "–" if self.measured is None else f"{self.measured:.3g} {self.unit}"
        sign = "≥" if self.at_least else "≤"
        return f"{self.what:<58}{measured:>12}   {sign} {self.target:g} {self.unit:<4}{self.verdict}"


def middle(series: Series, kind: str, way: str, what: str) -> float | None:
    """The median of one timing, or None."""
    values = series.get(kind, {}).get(way, {}).get(what)
    return median(values) if values else None


def _ratio(one: float | None, other: float | None) -> float | None:
    return one / other if one is not None and other else None


def lines(series: Series, hello: list[float], gbits: dict[str, list[float]]) -> list[Line]:
    """Every line of the issue's figures, in its order."""
    found = []
    for kind, label in LABELS.items():
        ours = middle(series, kind, "guestwire", "build")
        if kind == "tap":
            found += _of_taps(series, label)
            continue
        if kind == "nat":
            ratio = _ratio(ours, middle(series, "veth", "guestwire", "build"))
            found.append(Line(f"up, {label}: of that without", ratio, NAT_MOST, "×"))
            continue
        for peer, target in PEERS:
            if kind == "veth" or peer in ("ip-batch", "floor-c"):
                ratio = _ratio(ours, middle(series, kind, peer, "build"))
                found.append(Line(f"up, {label}: of {peer}'s time", ratio, target, "×"))
        for what, text, limit in (
            ("again", "up again, nothing to do", 0.5),
            ("status", "status", 0.5),
            ("add", "adding one guest", 0.6),
        ):
            found.append(Line(f"{text}, {label}", middle(series, kind, "guestwire", what), limit, "s"))
        down = _ratio(*(middle(series, kind, way, GONE[kind]) for way in ("guestwire", "floor-c")))
        found.append(Line(f"down, {label}: of floor-c's time", down, 2, "×"))
        found.append(Line(f"memory, {label}", middle(series, kind, "guestwire", "memory"), 150, "MB"))
    found.append(Line("first line of --help", median(hello) if hello else None, 0.2, "s"))
    pairs = zip(gbits["guestwire"], gbits["by hand"], strict=True) if gbits else ()
    ratios = [ours / theirs for ours, theirs in pairs]  # of neighbours in time, which noise hits alike
    ratio = median(ratios) if ratios else None
    found.append(Line("throughput, of the same built by hand", ratio, 0.97, "×", at_least=True))
    return found


def _of_taps(series: Series, label: str) -> list[Line]:
    """What is wanted of taps, which take the kernel so little time that Python's start is told apart."""
    ours, start = (middle(series, "tap", "guestwire", what) for what in ("build", "start"))
    work = ours - start if ours is not None and start is not None else None
    ratio = _ratio(work, middle(series, "tap", "floor-c", "build"))
    return [
        Line(f"up less its start, {label}: of floor-c's time", ratio, 1.5, "×"),
        Line(f"down, {label}", middle(series, "tap", "guestwire", "down"), 1, "s"),
    ]


def table(series: Series, kind: str, order: list[str]) -> list[str]:
    """What each way took, and how many floors that is."""
    built, gone = middle(series, kind, "floor-c", "build"), middle(series, kind, "floor-c", GONE[kind])
    rows = [f"{'':<20}{'build':>9}{'× floor':>9}{'tear-down':>11}{'× floor':>9}{'all dead':>10}{'rounds':>8}"]
    for way in order:
        times = series.get(kind, {}).get(way)
        if not times:
            continue
        build, down, dead = (median(times[what]) for what in ("build", "down", "dead"))
        one, two = _ratio(build, built), _ratio(median(times[GONE[kind]]), gone)
        rows.append(
            f"{way:<20}{build:>7.2f} s{_times(one):>9}{down:>9.2f} s{_times(two):>9}{dead:>8.2f} s"
            f"{len(times['build']):>8}"
        )
    return rows


def _times(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.2f}"
