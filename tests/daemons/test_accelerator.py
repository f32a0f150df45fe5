"""An accelerator is judged by a guest that runs on it, quickly, once, and without a trace of the trial."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from guestwire.daemons import accelerator
from guestwire.daemons.accelerator import Accelerator, best
from guestwire.daemons.qemu import PROGRAM

SOURCE = Path(accelerator.__file__).with_name("trial.s")


@pytest.fixture
def memory(tmp_path: Path) -> str:
    return str(tmp_path / "answer.json")


@pytest.fixture(autouse=True)
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands for /dev/kvm, so that these tests are the same on every machine, however busy."""
    there = tmp_path / "kvm"
    there.touch()
    monkeypatch.setattr(accelerator, "NODE", str(there))
    monkeypatch.setattr(accelerator, "PATIENCE", 60.0)
    return there


def program(tmp_path: Path, script: str) -> str:
    """A program that stands for QEMU, and notes each start in `starts`."""
    path = tmp_path / "qemu"
    path.write_text(f'#!/bin/sh\necho >>"{tmp_path}/starts"\n{script}\n')
    path.chmod(0o755)
    return str(path)


def good(tmp_path: Path) -> str:
    return program(tmp_path, f'shift 2\nexec {PROGRAM} -accel "tcg" "$@"')


def starts(tmp_path: Path) -> int:
    return len((tmp_path / "starts").read_text().splitlines())


def test_the_guest_is_what_its_source_says(tmp_path: Path) -> None:
    subprocess.run(["as", SOURCE, "-o", tmp_path / "trial.o"], check=True)
    words = ["ld", "-Ttext", "0xffff0000", "--oformat", "binary", "-o", f"{tmp_path}/trial.rom", f"{tmp_path}/trial.o"]
    subprocess.run(words, check=True)
    assert (tmp_path / "trial.rom").read_bytes() == accelerator.ROM


def test_what_runs_the_guest_is_taken_and_remembered(tmp_path: Path, memory: str) -> None:
    qemu = good(tmp_path)
    found = best(qemu, memory)
    assert found.name == "kvm", found
    assert best(qemu, memory) == found
    assert starts(tmp_path) == 1


def test_this_machines_own_is_judged_in_half_a_second(memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerator, "NODE", "/dev/kvm")
    begun = time.process_time()
    found = best(PROGRAM, memory)
    assert found.name == "kvm" or found.why
    assert time.process_time() - begun < 0.2


def test_one_that_only_emulates_is_found_out(tmp_path: Path, memory: str) -> None:
    found = best(program(tmp_path, "while :; do :; done"), memory)
    assert found.name == "tcg"
    assert "wasn't done after 0.2 s of processor time" in found.why


def test_one_that_hangs_is_found_out(tmp_path: Path, memory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerator, "PATIENCE", 0.3)
    found = best(program(tmp_path, "exec tail -f /dev/null"), memory)
    assert found.name == "tcg"
    assert "wasn't done after 0.3 s" in found.why


def test_what_qemu_says_is_the_reason(tmp_path: Path, memory: str) -> None:
    found = best(program(tmp_path, "echo failed to initialize kvm: Device busy >&2; exit 1"), memory)
    assert found == Accelerator("tcg", f"no guest runs on {accelerator.NODE}: failed to initialize kvm: Device busy")


def test_a_guest_that_stops_half_way_has_not_run(tmp_path: Path, memory: str) -> None:
    assert best(program(tmp_path, "printf PLC; exit 33"), memory).name == "tcg"


def test_without_the_node_nothing_is_started(tmp_path: Path, memory: str, node: Path) -> None:
    qemu = good(tmp_path)
    node.unlink()
    assert best(qemu, memory) == Accelerator("tcg", f"there is no {node}")
    node.touch()  # its module was loaded: that is asked anew
    assert best(qemu, memory).name == "kvm"


def test_another_user_is_another_question(tmp_path: Path, memory: str) -> None:
    qemu = good(tmp_path)
    best(qemu, memory)
    best(qemu, memory, ["--inh-caps=-all"])
    assert starts(tmp_path) == 2


def test_what_is_remembered_wrongly_is_asked_again(tmp_path: Path, memory: str) -> None:
    Path(memory).write_text('{"about": [], "na')
    assert best(good(tmp_path), memory).name == "kvm"


def test_the_trial_ends_with_us(tmp_path: Path, memory: str) -> None:
    qemu = program(tmp_path, "echo $$ >&2; exec tail -f /dev/null")
    script = (
        "import sys; from guestwire.daemons import accelerator\n"
        f"accelerator.NODE = {accelerator.NODE!r}\n"
        f"trial = accelerator.Trial({qemu!r}, {memory!r})\n"
        "print(trial._process.stderr.readline().decode(), flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as us:
        assert us.stdout is not None
        handle = os.pidfd_open(int(us.stdout.readline()))
        try:
            us.kill()
            assert _ended(handle)
        finally:
            os.close(handle)


def _ended(handle: int) -> bool:
    import select

    return bool(select.select([handle], [], [], 60)[0])
