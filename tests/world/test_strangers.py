"""Whatever is built, changed, broken off and taken down among what others have on a host, theirs stays as it was."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sandbox import sandboxed
from tests.world.files import CHANGED, THREE, UPLINKS

EXAMPLES = 150 if os.environ.get("GUESTWIRE_ALL_FAULTS") else 10
FILES = {
    "three.yaml": THREE,
    "changed.yaml": CHANGED,
    "two.yaml": "name: two\nnetworks: {n: {type: bridge}}\nguests: {g: {nics: [n]}}\n",
}

numbers = st.integers(1, 3)
scripts = st.one_of(
    numbers.map(lambda n: f"ip link add va{n} type veth peer name vb{n}; ip link set va{n} up; ip link set vb{n} up"),
    numbers.map(
        lambda n: f"ip link add sw{n} type bridge; ip link set sw{n} up; ip address add 10.9.{n}.1/24 dev sw{n}"
    ),
    numbers.map(
        lambda n: (
            f"ip link add swp{n} type veth peer name swq{n}; ip link add swm{n} type bridge\n"
            f"ip link set swp{n} master swm{n}"
        )
    ),
    numbers.map(lambda n: f"ip address add 10.8.{n}.1/24 dev far1; ip -6 address add fd08:{n}::1/64 dev far1 nodad"),
    numbers.map(lambda n: f"ip address add 10.7.{n}.1/24 dev lo; ip route add blackhole 10.6.{n}.0/24"),
    numbers.map(lambda n: f"ip route add 203.0.113.{n}/32 dev far0; ip -6 route add fd06:{n}::/64 dev far0"),
    numbers.map(lambda n: f"ip link add mv{n} link eth1 type macvlan mode bridge; ip link set mv{n} up"),
    numbers.map(lambda n: f"ip netns add three-x{n}; ip -n three-x{n} link add in{n} type veth peer name out{n}"),
    numbers.map(lambda n: f"ip netns add other{n}; ip link add three-n{n} type veth peer name eth0 netns other{n}"),
    numbers.map(
        lambda n: f"ip link add three-alias{n} type bridge; ip link set three-alias{n} alias 'guestwire:four:x'"
    ),
)
faults = st.one_of(
    st.just(""), st.tuples(st.sampled_from(["fail", "int", "kill"]), st.integers(0, 60)).map("{0[0]}:{0[1]}".format)
)
actions = st.tuples(st.sampled_from(["up", "up", "up", "down"]), st.sampled_from(sorted(FILES)), faults)


@settings(
    max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
@given(st.lists(scripts, min_size=1, max_size=6, unique=True), st.lists(actions, min_size=1, max_size=6))
def test_what_is_not_ours_stays_as_it_was(theirs: list[str], ours: list[tuple[str, str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder, sandboxed(Path(folder)) as sandbox:
        for name, text in FILES.items():
            sandbox.write(text, name)
        script = "\n".join([UPLINKS, *theirs])
        done = sandbox.python("from tests.world.strangers import main; main()", script, json.dumps(ours))
        assert json.loads(done.stdout) == []
