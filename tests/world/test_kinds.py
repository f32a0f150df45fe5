"""What guestwire reads of a host it can make again, to the last attribute, by requests and by the commands it says."""

from __future__ import annotations

import json

import pytest

from tests.sandbox import Sandbox
from tests.world.furnished import FURNITURE, NICS

SHOWN = (
    "ip -4 route show table all; ip -6 route show table all; ip rule; ip -6 rule; ip neigh show nud permanent; "
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
    return sorted(line for line in told.splitlines() if not line.startswith(("fe80:", "local fe80:"))) + [
        line for line in told.splitlines() if " inet" in line
    ]
