"""Of a guest and its host that don't reach each other, what keeps them apart is said, and what lets them."""

from __future__ import annotations

from pathlib import Path

from guestwire.api.measure import explained
from guestwire.guests import KINDS
from guestwire.networks import TYPES
from guestwire.reach import Expected
from guestwire.spec import load

FILE = """\
networks:
  plain: {type: macvtap, uplink: eth0}
  out: {type: macvtap, uplink: eth1, mode: vepa}
  let: {type: macvtap, uplink: eth2, host-access: true}
  one: {type: ipvlan, uplink: eth3}
  lan: {type: bridge, subnet: 10.77.0.0/24}
guests:
  a: {nics: [plain]}
  many: {count: 2, nics: [out]}
  c: {nics: [let]}
  d: {nics: [one]}
  both: {nics: [plain, lan]}
expect:
  - a reaches host
  - host reaches many-2
  - many reaches host on tcp/80
  - d reaches host
  - c reaches host
  - both reaches host
  - many reaches many
  - lan reaches host
  - a does not reach host
"""


def test_what_keeps_guests_and_host_apart(tmp_path: Path) -> None:
    path = tmp_path / "guestwire.yaml"
    path.write_text(FILE)
    file = load(str(path), networks=TYPES, guests=KINDS)
    failed = [Expected(each.text, False, "silence") for each in file.expect]
    whys = [each.why.removeprefix("silence").removeprefix(". ") for each in explained(file, failed)]
    assert whys[0] == 'On macvtap network "plain" guests and host don\'t hear each other: host-access: true lets them'
    assert whys[1].endswith("mode: bridge with host-access: true lets them")
    assert whys[2] == whys[1]
    assert "ipvlan" in whys[3]
    assert whys[4:] == [""] * 5
    held = [each._replace(held=True) for each in failed]
    assert list(explained(file, held)) == held
