"""TCP by iperf3 between namespaces that are joined in every way there is, in turns so that noise hits all alike."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from building import guestwire_way
from building.ip_batch import batch
from building.private import Failed, Job, Result

PROJECT, BY_HAND = "bench", "hand"
FILE = f"""name: {PROJECT}
networks:
  lan: {{type: bridge, subnet: 10.77.0.0/24}}
  direct: {{type: macvtap, uplink: p0, mode: bridge, subnet: 10.78.0.0/24}}
guests:
  veth-a: {{nics: [{{network: lan, address: 10.77.0.11}}]}}
  veth-b: {{nics: [{{network: lan, address: 10.77.0.12}}]}}
  tap-a: {{nics: [{{network: lan, device: tap, address: 10.77.0.21}}]}}
  tap-b: {{nics: [{{network: lan, device: tap, address: 10.77.0.22}}]}}
  macvlan-a: {{nics: [{{network: direct, address: 10.78.0.11}}]}}
  macvlan-b: {{nics: [{{network: direct, address: 10.78.0.12}}]}}
  macvtap-a: {{nics: [{{network: direct, device: macvtap, address: 10.78.0.21}}]}}
  macvtap-b: {{nics: [{{network: direct, device: macvtap, address: 10.78.0.22}}]}}
"""
REFERENCE, ONE, TWO = "veth, bridge, veth", "one cable", "cable, bridge, cable"
THREADS = "one cable, a thread each way"
WAYS = {
    REFERENCE: ("bench-veth-a", "bench-veth-b", "10.77.0.12"),
    ONE: ("one-a", "one-b", "10.79.0.2"),
    TWO: ("bench-tap-a", "bench-tap-b", "10.77.0.22"),
    "cable, bridge, veth": ("bench-tap-a", "bench-veth-b", "10.77.0.12"),
    "macvlan, macvlan": ("bench-macvlan-a", "bench-macvlan-b", "10.78.0.12"),
    "cable, macvtap, macvtap, cable": ("bench-macvtap-a", "bench-macvtap-b", "10.78.0.22"),
    THREADS: ("threads-a", "threads-b", "10.79.1.2"),
}
PAIRS = (("one", "10.79.0"), ("threads", "10.79.1"))
SAMPLES = 10  # seconds between two looks at the process's memory


def work(job: Job) -> Result:
    """All ways side by side: Gbit/s, or with `minutes` what the process holds while frames cross for so long."""
    with _world(), _threads():
        if job.get("minutes"):
            return _lasting(float(job["minutes"]) * 60)
        found: dict[str, list[float]] = {name: [] for name in WAYS}
        for way in WAYS.values():
            gigabits(*way, seconds=1)  # warm: neighbours found, ports forwarding
        for turn in range(int(job["rounds"])):
            names = list(WAYS)
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                found[name].append(gigabits(*WAYS[name], seconds=job["seconds"]))
        return {"gbits": found}


def gigabits(sender: str, receiver: str, address: str, seconds: int) -> float:
    """Gbit/s of one TCP stream that arrive at `address` in `receiver`. iperf3 takes whole seconds, and 0 for ever."""
    with _serving(receiver):
        words = ["ip", "netns", "exec", sender, "iperf3", "-J", "-c", address, "-t", str(seconds)]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=seconds + 30)
    said = json.loads(done.stdout or "{}")
    if done.returncode or "end" not in said:
        raise Failed(f"iperf3 from {sender} to {receiver}: {said.get('error') or done.stderr.strip()}")
    return float(said["end"]["sum_received"]["bits_per_second"]) / 1e9


@contextmanager
def _serving(netns: str) -> Iterator[None]:
    words = ["ip", "netns", "exec", netns, "iperf3", "-s", "-1", "--forceflush"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout
        for line in server.stdout:
            if "listening" in line:
                break
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                server.kill()


@contextmanager
def _world() -> Iterator[None]:
    path = Path("/run/bench.yaml")
    path.write_text(FILE)
    batch(["link add p0 type veth peer name p1", "link set p0 up", "link set p1 up"], ["ip", "-batch", "-"])
    for name, net in PAIRS:
        batch([f"netns add {name}-{end}" for end in "ab"], ["ip", "-batch", "-"])
        for number, end in enumerate("ab", 1):
            lines = ["tuntap add eth0 mode tap", "link set eth0 up", f"addr add {net}.{number}/24 dev eth0"]
            batch(lines, ["ip", "-n", f"{name}-{end}", "-batch", "-"])
    guestwire_way.verb("up", str(path), "--yes")
    guestwire_way.verb("cable", "add", BY_HAND, "one-a/eth0", "one-b/eth0")
    yield
    guestwire_way.verb("cable", "del", BY_HAND, "one-a/eth0")
    guestwire_way.verb("down", str(path), "--yes")


@contextmanager
def _threads() -> Iterator[None]:
    words = [sys.executable, str(Path(__file__).parent / "threads.py"), "threads-a/eth0", "threads-b/eth0"]
    environment = {**os.environ, "PYTHONPATH": str(guestwire_way.SOURCE)}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as carrying:
        assert carrying.stdout
        carrying.stdout.readline()
        try:
            yield
        finally:
            carrying.kill()


def _lasting(seconds: float) -> Result:
    """Look at the process that holds the file's cables, every few seconds, while frames cross two of them."""
    pid = _holder()
    sender, receiver, address = WAYS[TWO]
    samples: list[tuple[float, int, int]] = []
    with _serving(receiver):
        words = ["ip", "netns", "exec", sender, "iperf3", "-c", address, "-t", f"{seconds:g}"]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as sending:
            began = time.monotonic()
            while sending.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    sending.wait(SAMPLES)
                samples.append((time.monotonic() - began, _kilobytes(pid), len(os.listdir(f"/proc/{pid}/fd"))))
    if sending.returncode:
        raise Failed(f"iperf3 from {sender} to {receiver}: exit code {sending.returncode}")
    return {"samples": samples}


def _holder() -> int:
    path = f"/run/guestwire/{PROJECT}/cables"
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        if path.encode() in entry.read_bytes():
            return int(entry.parent.name)
    raise Failed("no process holds the cables")


def _kilobytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
