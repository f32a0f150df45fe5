"""What somebody new reads: a plan that shows the file's own part, and what is said of a slip of theirs."""

from __future__ import annotations

import sys

from tests.sandbox import Sandbox
from tests.trouble.saying import refused

FILE = "networks: {way3: {type: macvtap, uplink: eth0}}\nguests: {web: {nics: [way3]}}\nexpect: [web reaches lan]\n"


def test_a_plan_shows_the_files_own_part(sandbox: Sandbox) -> None:
    sandbox.write(FILE)
    lines = sandbox.guestwire("plan", "--lab").stdout.splitlines()
    assert lines[0].startswith("+ the lab around the host: make 4 namespaces, 1 bridge, ")
    assert "+ macvlan eth0 in namespace t-web" in lines
    assert not [line for line in lines if "t-gateway" in line]
    assert lines[-1].startswith("47 steps: make 6 namespaces, ")
    assert "1 nft table" in lines[-1]


def test_what_is_broken_around_the_host_is_told_one_by_one(sandbox: Sandbox) -> None:
    sandbox.write(FILE)
    sandbox.guestwire("up", "--lab")
    sandbox.sh("ip -n t-gateway address delete 192.0.2.1/24 dev eth0")
    assert sandbox.guestwire("plan").stdout.splitlines() == [
        "+ address 192.0.2.1/24 eth0 in namespace t-gateway",
        "1 step: make 1 address.",
    ]


def test_a_parent_has_no_ports(sandbox: Sandbox) -> None:
    sandbox.write(FILE)
    sandbox.guestwire("up", "--lab")
    assert "way3     macvtap  eth0\n" in sandbox.guestwire("status").stdout


def test_a_guest_without_an_address_is_why(sandbox: Sandbox) -> None:
    sandbox.write(FILE)
    sandbox.guestwire("up", "--lab")
    sandbox.sh("ip -n t-web address flush dev eth0")
    (expectation,) = sandbox.json("check", code=1)["expectations"]
    assert "web has no address" in expectation["why"]


def test_guests_and_nics_that_are_not_there(sandbox: Sandbox) -> None:
    sandbox.write(FILE)
    sandbox.guestwire("up", "--lab")
    refused(sandbox, "pcap", "web:eth7", code=64, says="web has no NIC eth7", hint="It has eth0.")
    refused(sandbox, "pcap", "wep", code=64, says="no guest wep", hint="web")
    done = sandbox.guestwire("exec", "wep", "--", "true", check=False)
    assert (done.returncode, done.stderr) == (64, "guestwire: there is no guest wep. There is web.\n")


def test_a_file_from_standard_input(sandbox: Sandbox) -> None:
    """It can't be read again: the verbs after it want a file, or, to take it down, the project."""
    sandbox.run(sys.executable, "-m", "guestwire", "up", "-", "--lab", "--project", "p", text=FILE)
    refused(sandbox, "status", code=64, says="was built from standard input", hint="FILE --project p")
    sandbox.guestwire("down", "--project", "p")
    assert sandbox.json("list")["projects"] == []
