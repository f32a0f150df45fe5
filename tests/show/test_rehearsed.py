"""What a person is told of a rehearsal."""

from __future__ import annotations

from guestwire.kinds.bridge import Bridge
from guestwire.plan import Plan, Step
from guestwire.reach import Expected, Ledger, Report
from guestwire.show.rehearsed import rehearsed

PLAN = Plan("shop", [Step("create", Bridge(name="shop-net", owner="shop"))])
KNOWN = [
    {"what": "gateway", "address": "192.0.2.1", "after": True},
    {"what": "DNS", "address": "9.9.9.9", "after": True},
]

GOOD = """\
On a copy of this host, which is as it was:

+ bridge shop-net
1 step: make 1 bridge.

The host still reaches gateway 192.0.2.1, DNS 9.9.9.9.

There is nobody to ask.

0 of 0 ways measured reached; the expectation holds.

Not as on the host:
  hardware of eth0: offloads, queues and speed are a veth's.
"""


def test_a_rehearsal_that_went_well() -> None:
    report = Report(Ledger(()), (Expected("web reaches db", True, ""),))
    missing = [("hardware of eth0", "offloads, queues and speed are a veth's")]
    assert rehearsed(PLAN, report, KNOWN, missing) == GOOD


def test_one_that_was_refused() -> None:
    text = rehearsed(PLAN, None, (), ())
    assert text.startswith("On a copy of this host, which is as it was, this was begun, and isn't accepted:\n")
    assert "Not as on the host" not in text


def test_long_lines_are_folded() -> None:
    text = rehearsed(PLAN, None, (), [("nft inet odd", "syntax error, unexpected accept " * 8)])
    assert max(map(len, text.splitlines())) <= 110
