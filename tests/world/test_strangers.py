"""Whatever is built, changed, broken off and taken down among what others have on a host, theirs stays as it was."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.sandbox import sandboxed
from tests.world.files import CHANGED, THREE, UPLINKS

EXAMPLES = 150 if os.environ.get("GUESTWIRE_ALL_FAULTS") else 10
FILES = {
    "three.yaml": THREE,
    "changed.yaml": CHANGED,
    "two.yaml": "name: two\nnetworks: {n: {type: bridge}}\nguests: {g: {nics: [n]}}\n",
}

Action = tuple[str, str | None, str]

numbers = st.integers(1, 3)
apart = st.one_of(
    numbers.map(lambda n: f"ip link add va{n} type veth peer name vb{n}; ip link set va{n} up; ip link set vb{n} up"),
    numbers.map(
        lambda n: f"ip link add sw{n} type bridge; ip link set sw{n} up; ip address add 10.9.{n}.1/24 dev sw{n}"
    ),
    numbers.map(
        lambda n: (
            f"ip link add swp{n} type veth peer name swq{n}; ip link add swm{n} type bridge\n"
            f"ip link set swp{n} master swm{n}; bridge fdb add 02:00:00:00:02:0{n} dev swp{n} master static"
        )
    ),
    numbers.map(lambda n: f"ip address add 10.8.{n}.1/24 dev far1; ip -6 address add fd08:{n}::1/64 dev far1 nodad"),
    numbers.map(lambda n: f"ip address add 10.7.{n}.1/24 dev lo; ip route add blackhole 10.6.{n}.0/24"),
    numbers.map(lambda n: f"ip route add 203.0.113.{n}/32 dev far0; ip -6 route add fd06:{n}::/64 dev far0"),
    numbers.map(lambda n: f"ip netns add three-x{n}; ip -n three-x{n} link add in{n} type veth peer name out{n}"),
    numbers.map(lambda n: f"ip netns add other{n}; ip link add three-n{n} type veth peer name eth0 netns other{n}"),
    numbers.map(
        lambda n: f"ip link add three-alias{n} type bridge; ip link set three-alias{n} alias 'guestwire:four:x'"
    ),
    numbers.map(
        lambda n: (
            f"ip rule add from 10.5.{n}.0/24 lookup {n}00 priority {n}1\n"
            f"ip route add 10.5.{n}.0/24 dev far0 table {n}00\n"
            f"ip -6 rule add to fd05:{n}::/64 iif far1 blackhole priority {n}2\n"
            f"ip -6 route add fd05:{n}::/64 dev far0 table {n}00 metric {n}"
        )
    ),
    numbers.map(lambda n: f"ip rule add fwmark {n} lookup main suppress_prefixlength 0 priority 3276{n}"),
    numbers.map(
        lambda n: (
            f"ip neighbour add 10.8.9.{n} lladdr 02:00:00:00:03:0{n} dev far1 nud permanent\n"
            f"ip neighbour add proxy fd08:9::{n} dev far1\n"
            f"ip link add vx{n} type vxlan id {n} dstport 4789 remote 10.8.9.{n}"
        )
    ),
    numbers.map(lambda n: f"ip tuntap add tp{n} mode tap user 1000; ip link set tp{n} up alias 'of a hypervisor {n}'"),
    st.tuples(st.sampled_from(["inet", "ip", "ip6"]), numbers).map(
        lambda at: (
            f"nft 'add table {at[0]} other{at[1]}'\n"
            f"nft 'add set {at[0]} other{at[1]} s {{ type mark; elements = {{ 1, {at[1]}7 }}; }}'\n"
            f"nft 'add chain {at[0]} other{at[1]} c {{ type filter hook forward priority {at[1]}; policy accept; }}'\n"
            f"nft 'add rule {at[0]} other{at[1]} c iifname \"far*\" meta mark @s accept'"
        )
    ),
    numbers.map(
        lambda n: (
            f"nft 'add table bridge other{n}'\n"
            f"nft 'add chain bridge other{n} c {{ type filter hook forward priority {n}; }}'\n"
            f"nft 'add rule bridge other{n} c ether type arp accept'"
        )
    ),
)
"""What others have that no uplink has a part in."""
scripts: st.SearchStrategy[str] = st.one_of(
    apart,
    numbers.map(lambda n: f"ip link add mv{n} link eth1 type macvlan mode bridge; ip link set mv{n} up"),
    numbers.map(lambda n: f"ip rule add iif eth{n - 1} lookup {n}00 priority {n}3"),
)
steps = st.tuples(st.sampled_from(["kill", "kill", "term", "int", "EBUSY", "ENOBUFS"]), st.integers(0, 60))
writes = st.tuples(st.just("ENOSPC"), st.integers(0, 3))
faults = st.one_of(st.just(""), st.one_of(steps, steps, writes).map("{0[0]}:{0[1]}".format))
verbs = st.tuples(st.sampled_from(["up", "up", "up", "down"]), st.sampled_from(sorted(FILES)), faults)
ours: st.SearchStrategy[Action] = st.one_of(verbs, verbs, st.just(("rollback", None, "")))


@st.composite
def histories(draw: st.DrawFn) -> tuple[str, list[Action]]:
    """A script that builds a host, and what is done there, by us and by others meanwhile."""
    before = draw(st.lists(scripts, min_size=1, max_size=6, unique=True))
    meanwhile = draw(st.lists(apart.filter(lambda script: script not in before), max_size=2, unique=True))
    actions: list[Action] = [("theirs", script, "") for script in meanwhile]
    actions += draw(st.lists(ours, min_size=1, max_size=8))
    return "\n".join([UPLINKS, *before]), draw(st.permutations(actions))


@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
    phases=[Phase.generate],  # each example takes a second: looking for a shorter one would take minutes
)
@given(histories())
def test_what_is_not_ours_stays_as_it_was(history: tuple[str, list[Action]]) -> None:
    with tempfile.TemporaryDirectory() as folder, sandboxed(Path(folder)) as sandbox:
        for name, text in FILES.items():
            sandbox.write(text, name)
        script, actions = history
        done = sandbox.python("from tests.world.strangers import main; main()", script, json.dumps(actions))
        assert json.loads(done.stdout) == []
