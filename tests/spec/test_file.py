"""The file as a whole: the example of cli.md, expectations, counts, places for later stages, and speed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from guestwire.errors import FileError, UsageError
from guestwire.guests import KINDS
from guestwire.guests.namespace import Namespace
from guestwire.networks import TYPES
from guestwire.networks.bridge import Bridge
from guestwire.spec import File, Nic, load
from tests.spec.reading import good, problems, wrong

EXAMPLE = """\
name: three-ways              # the project; default: the file's folder
lab: {relay: false, one-mac: false, dhcp: true, stp: false, same-lan: false}   # how a lab behaves; only --lab makes one
networks:
  lan:     {type: bridge, uplink: eth0}                         # guests join the host's own LAN
  private: {type: bridge, subnet: 10.77.0.0/24}
  direct:  {type: macvtap, uplink: eth1, mode: bridge, host-access: true}
guests:
  web:  {nics: [private]}                                       # kind: namespace is the default
  db:   {nics: [{network: private, address: 10.77.0.20, mac: "52:54:00:12:34:56"}]}
  old:  {nics: [{network: lan}]}
  many: {count: 100, nics: [private]}                           # many-1 … many-100
  vm:   {nics: [direct]}
expect:
  - web reaches db
  - web reaches db on tcp/5432
  - vm reaches host
  - old reaches internet
  - internet does not reach web
  - many reaches many-100
"""


def test_the_example() -> None:
    file = good(EXAMPLE)
    assert file.name == "three-ways"
    assert [type(n).__name__ for n in file.networks.values()] == ["Bridge", "Bridge", "Macvtap"]
    assert len(file.expand()) == 104
    assert file.ports("private") == 102
    assert [e.reaches for e in file.expect] == [True, True, True, True, False, True]
    assert (file.expect[1].proto, file.expect[1].port) == ("tcp", 5432)


def test_count() -> None:
    file = good("networks: {a: {type: bridge}}\nguests: {x: {nics: [a]}, y: {count: 2, nics: [a, a]}, z: {count: 1}}\n")
    assert [(name, guest.name, ordinal) for name, guest, ordinal in file.expand()] == [
        ("x", "x", 0),
        ("y-1", "y", 0),
        ("y-2", "y", 1),
        ("z-1", "z", 0),
    ]
    found = file.instance("y-2")
    assert found is not None
    assert found.guest is file.guests["y"]
    assert file.instance("y") is None
    assert file.ports("a") == 5
    assert file.members("y") == ("y-1", "y-2")
    assert file.members("y-1") == ("y-1",)
    assert file.members("host") == ("host",)
    assert file.members("nobody") == ()
    assert [nic.link for nic in file.guests["y"].nics] == ["eth0", "eth1"]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("web", "is not an expectation", "A reaches B"),
        ("web can reach db", "is not an expectation", "A reaches B"),
        ("web doesn't reach db", "is not an expectation", "does not reach"),
        ("web reaches db on tcp", '"tcp" has no port', "tcp/80"),
        ("web reaches db on tcp/x", "has no port", "tcp/80"),
        ("web reaches db on tpc/80", "not a protocol and port", '"tcp"?'),
        ("web reaches db on icmp/1", "not a protocol and port", "tcp/80"),
        ("web reaches db on tcp/0", "0 is out of range", "1 to 65535"),
        ("web reaches db on udp/65536", "out of range", "1 to 65535"),
        ("web reaches bd", 'there is no guest "bd"', '"db"?'),
        ("internt reaches db", 'there is no guest "internt"', '"internet"?'),
        ("web reaches many-4", 'there is no guest "many-4"', "many-1 … many-3"),
        ("web reaches web", "both are the same", "two"),
        ("[web, db]", "expected a sentence, not a list", "A reaches B"),
        ("{web: db}", "expected a sentence, not a mapping", "A reaches B"),
    ],
)
def test_bad_expectation(text: str, message: str, hint: str) -> None:
    file = "guests: {web: {}, db: {}, many: {count: 3}}\nexpect:\n- web reaches db\n- many reaches many\n- "
    wrong(f"{file}«{text}\n", message, hint)
    assert problems(f"{file}{text}\n")[0].message.startswith("expectation 3: ")


def test_expectations_are_a_list() -> None:
    wrong("guests: {a: {}}\nexpect: «a reaches host\n", "expected a list of sentences", "- ")


def test_project_name(tmp_path: Path) -> None:
    folder = tmp_path / "my-lab"
    folder.mkdir()
    (folder / "f.yaml").write_text("guests: {}\n")
    assert load(folder / "f.yaml", networks=TYPES, guests=KINDS).name == "my-lab"
    assert load(folder / "f.yaml", networks=TYPES, guests=KINDS, project="other").name == "other"
    assert good("name: x\n").name == "x"
    assert good("name: x\n", project="y").name == "y"
    with pytest.raises(UsageError, match="no name for a project"):
        good("name: x\n", project="a b")
    folder = folder.rename(tmp_path / "my_lab 2")
    assert load(folder / "f.yaml", networks=TYPES, guests=KINDS).name == "my-lab-2"
    folder = folder.rename(tmp_path / "…")
    with pytest.raises(FileError) as caught:
        load(folder / "f.yaml", networks=TYPES, guests=KINDS)
    assert "folder's name" in str(caught.value)


def test_problem_of_a_later_stage() -> None:
    file = good(EXAMPLE)
    problem = file.problem(("networks", "direct", "uplink"), "eth1 is a port of bridge br0.", "Use another.")
    assert str(problem) == 'lab.yaml:6:36: network "direct": eth1 is a port of bridge br0. Use another.'
    nic = file.guests["db"].nics[0]
    assert str(file.problem(nic.at("address", 0), "taken.")) == 'lab.yaml:9:45: guest "db", NIC 1: taken.'
    assert str(file.problem(("networks", "lan", "mtu"), "x")).startswith("lab.yaml:4:3: ")
    assert str(file.problem(("networks", "lan"), 'network "lan": x')) == 'lab.yaml:4:3: network "lan": x'
    assert file.error(("lab", "stp"), "x").code == 65


def test_file_from_python() -> None:
    file = File(name="x", networks={"a": Bridge()}, guests={"g": Namespace(nics=(Nic(network="a"),))})
    assert file.networks["a"].name == "a"
    assert file.plugs("a")[0].nic.path == ("guests", "g", "nics", 0)
    assert str(file.problem(("networks", "a"), "no.")) == 'network "a": no.'


def test_fast_enough_for_many() -> None:
    text = "networks: {a: {type: macvtap, uplink: e, subnet: 10.0.0.0/16}}\nguests:\n"
    good(f"{text}  g: {{}}\n")  # the first pays for what Python loads late
    took = []
    for _ in range(5):  # in any of them Python may look for garbage among what all tests have left
        started = time.process_time()
        file = good(f"{text}  g: {{count: 1000, nics: [a]}}\n")
        assert len(file.expand()) == 1000
        took.append(time.process_time() - started)
    assert min(took) < 0.1
    rows = "".join(
        f"  g{i}: {{nics: [{{network: a, address: 10.0.{i // 200}.{i % 200 + 2}}}]}}\n" for i in range(10_000)
    )
    started = time.process_time()
    assert len(good(text + rows).expand()) == 10_000
    assert time.process_time() - started < 10  # it takes 0.7
