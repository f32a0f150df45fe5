"""What guestwire reads of a host it can make again, to the last attribute, by requests and by the commands it says."""

from __future__ import annotations

import json
import re

import pytest

from guestwire.kinds.learnt import Learnt
from tests.sandbox import Sandbox
from tests.world.furnished import FURNITURE, NICS

SHOWN = (
    "ip -4 route show table all; ip -6 route show table all; ip rule; ip -6 rule; ip neigh show nud permanent; "
    "ip neigh show proxy; "
    "ip -d address show"
)
ROUNDTRIP = "from tests.world.roundtrip import main; main()"


@pytest.mark.parametrize("how", ["requests", "commands"])
def test_all_that_a_host_has_is_made_again(sandbox: Sandbox, how: str) -> None:
    sandbox.sh(NICS + FURNITURE)
    before = shown(sandbox)
    found = json.loads(sandbox.python(ROUNDTRIP, how).stdout)
    assert found["things"] > 40
    strange = [text for text in found["missing"] + found["new"] if "fe80:" not in text or how == "requests"]
    assert strange == []  # iproute2 6.1 has no word for the mark of a link-local address
    assert shown(sandbox) == before


def shown(sandbox: Sandbox) -> list[str]:
    """What `ip` shows, without what runs by itself and without the order in which routes of one length stand."""
    told = sandbox.sh(f"({SHOWN}) | sed -E 's/(valid_lft|preferred_lft|expires) [0-9]+s(ec)?//g; s/ tentative//'")
    late = re.compile("fe80:|(local|anycast) [0-9a-f]*:")  # a thread of the kernel's makes it, for each address
    return sorted(line for line in told.splitlines() if not late.match(line)) + [
        line for line in told.splitlines() if " inet" in line
    ]


def test_a_learnt_router_is_one_by_the_commands_too(sandbox: Sandbox) -> None:
    sandbox.sh(NICS + "ip -6 neigh replace fe80::7 lladdr 02:00:00:00:00:07 dev eth0 router nud reachable")
    learnt = Learnt(netns="", name="eth0", entries=(("fe80::7", "02:00:00:00:00:07", 0x02, 0x80),))
    before = sandbox.sh("ip -6 neigh show fe80::7 dev eth0")
    for command in learnt.delete_commands() + learnt.create_commands():
        sandbox.sh(command)
    assert sandbox.sh("ip -6 neigh show fe80::7 dev eth0") == before
