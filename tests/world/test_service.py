"""The unit that `service install` writes, what it asks of systemctl, and that `remove` leaves nothing of it."""

from __future__ import annotations

import configparser
import json
from pathlib import Path

import pytest

from tests.sandbox import Sandbox
from tests.world.watching import watching

FILE = "name: p\nnetworks: {n: {type: bridge, subnet: 10.1.0.0/24, dhcp: true}}\nguests: {a: {nics: [n]}}\n"
UNIT = "/etc/systemd/system/guestwire-p.service"
REFUSES = "/run/systemctl.refuses"
SYSTEMCTL = f"""\
#!/bin/sh
echo "$*" >> /run/systemctl.said
[ ! -e {REFUSES} ] || ! grep -q "$1" {REFUSES}
"""


@pytest.fixture
def booted(sandbox: Sandbox) -> dict[str, str]:
    """A sandbox in which something plays systemd; what a command needs to meet it."""
    sandbox.write(FILE)
    path = sandbox.write(SYSTEMCTL, "systemctl")
    path.chmod(0o755)
    sandbox.sh("mkdir -p /run/systemd/system")
    return {"PATH": f"{sandbox.folder}:/usr/sbin:/usr/bin:/sbin:/bin"}


def read(text: str) -> configparser.ConfigParser:
    """A unit, as far as it has each key once."""
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text)
    return parser


def test_where_systemd_runs_it_is_enabled_and_started(sandbox: Sandbox, booted: dict[str, str]) -> None:
    before = sandbox.sh("find /etc/systemd -type f 2>/dev/null | sort || true")
    said = sandbox.guestwire("service", "install", env=booted).stdout
    assert said == f"p is built at boot and watched: {UNIT}\n"
    unit = read(sandbox.sh(f"cat {UNIT}"))
    assert unit["Service"]["Type"] == "notify"
    assert unit["Service"]["ExecStart"].endswith(f"watch {sandbox.folder}/guestwire.yaml --up --project p")
    assert unit["Service"]["ExecStartPre"].endswith("rollback --project p")
    assert unit["Service"]["KillMode"] == "process"
    assert unit["Unit"]["RequiresMountsFor"] == str(sandbox.folder)
    assert sandbox.sh("cat /run/systemctl.said").splitlines() == [
        "daemon-reload",
        "enable guestwire-p.service",
        "start guestwire-p.service",
    ]
    assert sandbox.guestwire("service", "install", env=booted).stdout == f"{UNIT} is as it should be.\n"
    sandbox.sh("rm /run/systemctl.said")
    removed = json.loads(sandbox.guestwire("service", "remove", "--json", env=booted).stdout)
    assert removed == {"project": "p", "path": UNIT, "there": False, "changed": True, "run": []}
    assert sandbox.sh("cat /run/systemctl.said").splitlines() == ["disable --now guestwire-p.service", "daemon-reload"]
    assert sandbox.sh("find /etc/systemd -type f 2>/dev/null | sort || true") == before
    assert sandbox.guestwire("service", "remove", env=booted).stdout == "p has no service.\n"


def test_without_systemd_it_says_what_is_left_to_do(sandbox: Sandbox) -> None:
    sandbox.write(FILE)
    said = sandbox.guestwire("service", "install").stdout
    assert "    systemctl daemon-reload\n    systemctl enable guestwire-p.service\n" in said
    assert "is gone" in sandbox.guestwire("service", "remove", "--project", "p").stdout
    sandbox.sh(f"[ ! -e {UNIT} ]")


def test_a_refusal_leaves_nothing(sandbox: Sandbox, booted: dict[str, str]) -> None:
    sandbox.sh(f"echo start > {REFUSES}")
    done = sandbox.guestwire("service", "install", env=booted, check=False)
    assert done.returncode == 71
    assert "systemd refused guestwire-p.service" in done.stderr
    sandbox.sh(f"[ ! -e {UNIT} ]")


def test_a_refused_change_leaves_the_unit_that_was(sandbox: Sandbox, booted: dict[str, str]) -> None:
    sandbox.guestwire("service", "install", env=booted)
    before = sandbox.sh(f"cat {UNIT}")
    other = str(sandbox.write(FILE, "other.yaml"))
    sandbox.sh(f"echo restart > {REFUSES}")
    assert sandbox.guestwire("service", "install", other, check=False, env=booted).returncode == 71
    assert sandbox.sh(f"cat {UNIT}") == before
    assert sandbox.sh("tail -n 1 /run/systemctl.said") == "daemon-reload\n"


def test_somebody_elses_unit_is_left_as_it_is(sandbox: Sandbox, booted: dict[str, str]) -> None:
    for place in (UNIT, "/run/systemd/system/guestwire-p.service"):
        sandbox.sh(f"mkdir -p $(dirname {place}); echo '[Unit]' > {place}")
        for verb in ("install", "remove"):
            done = sandbox.guestwire("service", verb, env=booted, check=False)
            assert done.returncode == 65
            assert f"{place} is there already and isn't guestwire's" in done.stderr
        assert sandbox.sh(f"cat {place}; rm {place}") == "[Unit]\n"


def test_odd_names_are_written_so_that_systemd_reads_them(sandbox: Sandbox, booted: dict[str, str]) -> None:
    folder = sandbox.folder / 'a b%c"d$e'
    folder.mkdir()
    (folder / "net.yaml").write_text(FILE)
    sandbox.guestwire("service", "install", str(folder / "net.yaml"), env=booted)
    line = read(sandbox.sh(f"cat {UNIT}"))["Service"]["ExecStart"]
    assert f'"{sandbox.folder}/a b%%c\\"d$$e/net.yaml"' in line
    sandbox.sh(f"systemd-analyze --man=no verify {UNIT}")


def test_what_a_killed_repair_leaves_is_settled_before_it_starts(sandbox: Sandbox, booted: dict[str, str]) -> None:
    sandbox.guestwire("service", "install", env=booted)
    sandbox.guestwire("up")
    sandbox.sh("ip link delete p-n")
    sandbox.guestwire("up", check=False, env={"GUESTWIRE_FAULT": "kill:2"})
    assert sandbox.json("list")["projects"][0]["unsettled"]
    first = read(sandbox.sh(f"cat {UNIT}"))["Service"]["ExecStartPre"]
    sandbox.sh(first.removeprefix("-"))
    assert not sandbox.json("list")["projects"][0]["unsettled"]
    sandbox.guestwire("up")
    assert sandbox.json("status")["drift"] == []


def test_what_the_unit_runs_builds_and_stays_until_it_is_stopped(sandbox: Sandbox, tmp_path: Path) -> None:
    sandbox.write(FILE)
    before = sandbox.snapshot()
    with watching(sandbox, str(sandbox.folder / "guestwire.yaml"), "--up", "--project", "p") as watch:
        watch.breaks("ip link delete p-n", "p-n was gone")
        assert watch.stop() == 0
    assert sandbox.json("status")["drift"] == []
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before
