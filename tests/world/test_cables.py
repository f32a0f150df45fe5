"""`device: tap` and `device: macvtap`: the same network over a hypervisor's devices, held by one process a project."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.examples import EXAMPLES
from tests.sandbox import Sandbox

ROOT = Path(__file__).resolve().parent.parent.parent
HELD = [path for path in EXAMPLES if "-" in path.stem and path.stem != "three-ways"]
TRANSFER = "from tests.world.transfer import main; main()"
STARTER = """
import os, signal
from guestwire.frames import client
connection = client._started("/run/guestwire/p/cables")
print(os.listdir("/run/guestwire/p"), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
ENDED = """
import os, subprocess
from guestwire.linux.programs import has_ended
found = subprocess.run(["pgrep", "-f", "guestwire.frames.[s]erver"], capture_output=True, text=True).stdout
for pid in map(int, found.split()):
    try:
        assert has_ended(os.pidfd_open(pid), 5)
    except ProcessLookupError:
        pass
"""
IN_A_USER_NAMESPACE = ("unshare", "-Urnmpf", "--mount-proc", "sh", "-euc")
AS_ITS_ROOT = f"mount -t tmpfs none /run; ip link set lo up; guestwire() {{ {sys.executable} -m guestwire $@; }}; "
MEGABYTES, USUAL_MTU = 64, 1500
COUNTED = ("frames", "bytes", "drops")
PLUG = re.compile(r"(nics: \[)(\w+)(\])")

FILE = """
name: p
networks:
  lan: {type: bridge, uplink: eth0}
  direct: {type: macvtap, uplink: eth1, mode: bridge, host-access: true}
guests:
  a: {nics: [{network: lan, device: tap}]}
  b: {nics: [lan]}
  c: {nics: [{network: direct, device: macvtap}]}
  d: {nics: [{network: direct, device: macvtap}]}
"""
ONE_MORE = FILE + "  e: {nics: [{network: lan, device: tap}]}\n"
ADDRESSES = {"a": "192.0.2.200", "b": "192.0.2.201", "c": "198.51.100.200", "d": "198.51.100.201"}
PATHS = [("a", "b"), ("b", "a"), ("c", "d"), ("a", "lan"), ("c", "lan"), ("lan", "c"), ("c", "host"), ("host", "c")]
LANS = {"a": "192.0.2.100", "c": "198.51.100.100"}
HOSTS = {"c": "198.51.100.10"}


def holder(sandbox: Sandbox) -> int:
    """The pid, as the sandbox sees it, of the process that holds the cables."""
    [pid] = {cable["pid"] for cable in sandbox.json("cable", "list")["cables"]}
    return int(pid)


def descriptors(sandbox: Sandbox, pid: int) -> int:
    """How many that process has open, once it has let go of who has asked it something."""
    sandbox.until(f"[ $(ls -l /proc/{pid}/fd | grep -c socket:) = 1 ]")
    return int(sandbox.sh(f"ls /proc/{pid}/fd | wc -l"))


def counted(sandbox: Sandbox) -> dict[str, Any]:
    """The cables' counters, by their guests."""
    return {cable["netns"].removeprefix("p-"): cable for cable in sandbox.json("cable", "list")["cables"]}


def drift(sandbox: Sandbox) -> list[tuple[str, str, str]]:
    """What `up` would do."""
    return [(each["action"], each["kind"], each["netns"]) for each in sandbox.json("status")["drift"]]


def reached(sandbox: Sandbox, path: str) -> Any:
    """Who reaches whom, without the words."""
    sandbox.guestwire("up", path, "--lab")
    document = sandbox.json("check", path)
    assert document["held"], document["expectations"]
    sandbox.guestwire("down", path)
    return [(pair["from"], pair["to"], pair["family"], pair["measured"]) for pair in document["pairs"]]


def with_devices(text: str) -> str:
    """A file whose guests have a virtual machine's devices."""
    device = "macvtap" if "type: macvtap" in text else "tap"
    changed = PLUG.sub(rf"\1{{network: \2, device: {device}}}\3", text)
    assert changed != text
    return changed


@pytest.mark.parametrize("path", HELD, ids=lambda path: path.stem)
def test_devices_change_nobodys_reach(sandbox: Sandbox, path: Path) -> None:
    before = sandbox.snapshot()
    text = path.read_text()
    as_links = reached(sandbox, str(sandbox.write(text, "links.yaml")))
    as_devices = reached(sandbox, str(sandbox.write(with_devices(text), "devices.yaml")))
    assert as_devices == as_links
    assert sandbox.snapshot() == before


def test_with_a_switch_that_reflects_too(sandbox: Sandbox) -> None:
    text = (ROOT / "examples" / "macvtap-vepa.yaml").read_text()
    text = text.replace("relay: false", "relay: true").replace("does not reach", "reaches")
    assert reached(sandbox, str(sandbox.write(text))) == reached(sandbox, str(sandbox.write(with_devices(text))))


@pytest.mark.parametrize("path", PATHS, ids="-".join)
def test_what_is_sent_arrives_in_segments_that_nobody_cut(sandbox: Sandbox, path: tuple[str, str]) -> None:
    sender, receiver = path
    sandbox.write(FILE)
    sandbox.guestwire("up", "--lab")
    address = ADDRESSES.get(receiver) or (LANS if receiver == "lan" else HOSTS)[sender]
    before = counted(sandbox)
    done = sandbox.python(TRANSFER, f"p-{sender}", f"p-{receiver}", address, str(MEGABYTES))
    assert json.loads(done.stdout) == {"same": True}
    after = counted(sandbox)
    for guest, way in ((sender, "sent"), (receiver, "received")):
        if guest in after:
            frames, octets, drops = (after[guest][way][what] - before[guest][way][what] for what in COUNTED)
            assert octets > MEGABYTES << 20
            assert frames < (MEGABYTES << 20) / USUAL_MTU / 4
            assert drops == 0


def test_both_ends_have_the_networks_mtu_and_the_guest_the_macvtaps_mac(sandbox: Sandbox) -> None:
    text = FILE.replace("uplink: eth0}", "uplink: eth0, mtu: 1400}").replace("host-access: true", "mtu: 1300")
    sandbox.write(text)
    sandbox.guestwire("up", "--lab")
    for guest, end, mtu in (("a", "p-a.0", 1400), ("c", "p-c.0", 1300)):
        [near] = json.loads(sandbox.sh(f"ip -j -n p-{guest} link show eth0"))
        [far] = json.loads(sandbox.sh(f"ip -j -n p-host link show {end}"))
        assert (near["mtu"], far["mtu"]) == (mtu, mtu)
        assert (near["address"] == far["address"]) == (guest == "c")
        assert sandbox.answers(LANS[guest], f"p-{guest}", "-M do", f"-s {mtu - 28}")
    assert drift(sandbox) == []


def test_killed_process_shows_as_drift_and_up_heals_it(sandbox: Sandbox) -> None:
    before = sandbox.snapshot()
    sandbox.write(FILE)
    sandbox.guestwire("up", "--lab")
    addresses = sandbox.sh("ip -n p-a -o address show dev eth0 scope global")
    sandbox.kill(holder(sandbox))
    assert drift(sandbox) == [("create", "cable", f"p-{guest}") for guest in "acd"]
    sandbox.guestwire("up")
    assert drift(sandbox) == []
    assert sandbox.sh("ip -n p-a -o address show dev eth0 scope global") == addresses
    assert sandbox.answers(LANS["a"], "p-a")
    assert sandbox.answers(LANS["c"], "p-c")
    sandbox.kill(holder(sandbox))
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


def test_process_whose_socket_was_deleted_is_found_and_another_takes_its_place(sandbox: Sandbox) -> None:
    before = sandbox.snapshot()
    sandbox.write(FILE)
    sandbox.guestwire("up", "--lab")
    pid = holder(sandbox)
    sandbox.sh("rm /run/guestwire/p/cables")
    assert drift(sandbox) == [("change", "cable", f"p-{guest}") for guest in "acd"]
    sandbox.guestwire("up")
    assert drift(sandbox) == []
    assert holder(sandbox) != pid
    assert sandbox.answers(LANS["a"], "p-a")
    assert sandbox.answers(LANS["c"], "p-c")
    sandbox.sh("rm /run/guestwire/p/cables")
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


@pytest.mark.parametrize(
    "breaks",
    [
        "ip -n p-a link delete eth0",
        "ip -n p-host link delete p-a.0",
        # Others of their names, with our mark: only by what they are can they be told from those that were plugged.
        "ip -n p-host link delete p-a.0; ip -n p-host tuntap add p-a.0 mode tap user 0;"
        "ip -n p-host link set p-a.0 alias guestwire:p:p-a.0",
        "ip netns delete p-a",
        "ip netns delete p-a; ip netns add p-a; ip -n p-a link set lo alias guestwire:p:p-a;"
        "ip -n p-a tuntap add eth0 mode tap user 0; ip -n p-a link set eth0 alias guestwire:p:eth0",
        "ip -n p-host link delete p-c.0",
    ],
)
def test_what_somebody_tore_out_is_plugged_in_again(sandbox: Sandbox, breaks: str) -> None:
    before = sandbox.snapshot()
    sandbox.write(FILE)
    sandbox.guestwire("up", "--lab")
    pid = holder(sandbox)
    sandbox.sh(breaks)
    assert any(kind == "cable" for _, kind, _ in drift(sandbox))
    sandbox.guestwire("up")
    assert drift(sandbox) == []
    assert holder(sandbox) == pid
    assert sandbox.answers(LANS["a"], "p-a")
    assert sandbox.answers(LANS["c"], "p-c")
    sandbox.guestwire("down")
    assert sandbox.snapshot() == before


def test_one_guest_more_or_less_costs_the_others_nothing(sandbox: Sandbox) -> None:
    sandbox.write(FILE)
    more = str(sandbox.write(ONE_MORE, "more.yaml"))
    sandbox.guestwire("up", "--lab")
    pid = holder(sandbox)
    done = sandbox.python(
        f"""
import subprocess, sys
words = ["ip", "netns", "exec", "p-a", "ping", "-i", "0.005", "-W", "2", "{ADDRESSES["b"]}"]
ping = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
for line in ping.stdout:
    if "icmp_seq=20 " in line:
        break
for file in ("{more}", "guestwire.yaml"):
    subprocess.run([sys.executable, "-m", "guestwire", "up", file], check=True, stdout=subprocess.DEVNULL)
ping.send_signal(2)
told = [line.split("icmp_seq=")[1].split()[0] for line in ping.stdout if "icmp_seq=" in line]
print(told == [str(21 + number) for number in range(len(told))], *told)  # the last may be on its way yet
"""
    )
    assert done.stdout.startswith("True 21 "), done.stdout
    assert holder(sandbox) == pid


def test_process_has_no_rights_and_little_memory_and_keeps_no_descriptor(sandbox: Sandbox) -> None:
    sandbox.write(FILE)
    sandbox.guestwire("up", "--lab")
    pid = holder(sandbox)
    status = dict(line.split(":\t", 1) for line in sandbox.sh(f"cat /proc/{pid}/status").splitlines())
    assert (status["CapEff"], status["CapPrm"], status["CapInh"]) == ("0" * 16,) * 3
    assert status["NoNewPrivs"] == "1"
    assert int(status["VmRSS"].split()[0]) < 24 * 1024
    assert "pydantic" not in sandbox.sh(f"cat /proc/{pid}/maps")
    files = descriptors(sandbox, pid)
    sandbox.guestwire("up", str(sandbox.write(ONE_MORE, "more.yaml")))
    assert descriptors(sandbox, pid) == files + 2
    sandbox.guestwire("up")
    assert descriptors(sandbox, pid) == files
    memory = f"grep VmRSS /proc/{pid}/status | tr -dc 0-9"
    sandbox.python(TRANSFER, "p-a", "p-b", ADDRESSES["b"], "16")
    before = int(sandbox.sh(memory))
    sandbox.python(TRANSFER, "p-a", "p-b", ADDRESSES["b"], "512")
    assert int(sandbox.sh(memory)) - before < 512
    assert descriptors(sandbox, pid) == files


def test_status_and_drawing_show_device_and_chain(sandbox: Sandbox) -> None:
    sandbox.write(FILE)
    sandbox.guestwire("up", "--lab")
    assert sandbox.answers(ADDRESSES["b"], "p-a")
    guests = {guest["name"]: guest["nics"][0] for guest in sandbox.json("status")["guests"]}
    assert (guests["a"]["device"], guests["a"]["host_link"]) == ("tap", "p-a.0")
    assert (guests["c"]["device"], guests["c"]["host_link"]) == ("macvtap", "p-c.0")
    assert guests["a"]["cable"]["sent"]["frames"] > 0
    assert "cable" not in guests["b"]
    drawing = sandbox.guestwire("draw", "guestwire.yaml").stdout
    assert "p-a.0 ━━ a:eth0" in drawing
    assert re.search("p-c[.]0 ━+ c:eth0", drawing)
    assert "━━ cable between descriptors that guestwire holds" in drawing
    assert "guest NIC" not in drawing


def test_macvtap_is_refused_before_the_first_step_where_it_cannot_be_opened(sandbox: Sandbox) -> None:
    sandbox.write(FILE)
    refused = sandbox.run(*IN_A_USER_NAMESPACE, f"{AS_ITS_ROOT} guestwire up --lab", check=False)
    assert refused.returncode == 69, refused.stderr
    assert "a macvtap's device node can't be opened here" in refused.stderr
    assert "undone" not in refused.stderr


def test_taps_work_in_a_user_namespace(sandbox: Sandbox) -> None:
    sandbox.write("".join(line for line in FILE.splitlines(keepends=True) if "direct" not in line))
    script = "guestwire up --lab; guestwire check --json; guestwire down >&2; find /run -mindepth 1 ! -name netns >&2"
    done = sandbox.run(*IN_A_USER_NAMESPACE, AS_ITS_ROOT + script)
    pairs = json.loads(done.stdout[done.stdout.index("{") :])["pairs"]
    assert all(pair["measured"] for pair in pairs if {pair["from"], pair["to"]} <= {"a", "b", "host", "lan"})
    assert "/run/" not in done.stderr


def test_more_cables_than_files_may_be_open_is_refused_and_undone(sandbox: Sandbox) -> None:
    sandbox.write(
        "networks: {n: {type: bridge, subnet: 10.77.0.0/24}}\n"
        "guests: {g: {count: 90, nics: [{network: n, device: tap}]}}\nname: p\n"
    )
    before = sandbox.snapshot()
    refused = sandbox.run("sh", "-c", f"ulimit -n 200; {sys.executable} -m guestwire up", check=False)
    assert refused.returncode == 71, refused.stderr
    assert "Too many open files" in refused.stderr
    assert "Each cable takes two open files" in refused.stderr
    assert sandbox.snapshot() == before


def test_who_starts_the_process_and_is_killed_leaves_none(sandbox: Sandbox) -> None:
    before = sandbox.snapshot()
    started = sandbox.python(STARTER, check=False)
    assert started.stdout == "['cables']\n"
    sandbox.python(ENDED)
    sandbox.sh("rmdir /run/guestwire/p /run/guestwire")
    assert sandbox.snapshot() == before


def test_request_of_another_version_costs_nobody_a_cable(sandbox: Sandbox) -> None:
    sandbox.write(FILE)
    sandbox.guestwire("up", "--lab")
    pid = holder(sandbox)
    files = descriptors(sandbox, pid)
    done = sandbox.python("""
import json, socket
for words in (b"{}", b"[1", b'{"do": "dance"}', b'{"do": "list"}', b'{"do": "remove"}', b'{"do": "add"}'):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect("/run/guestwire/p/cables")
        socket.send_fds(connection, [words], [0, 1])
        print("errno" in json.loads(connection.recv(1 << 16)))
""")
    assert done.stdout.split() == ["True"] * 6
    assert holder(sandbox) == pid
    assert descriptors(sandbox, pid) == files
    assert drift(sandbox) == []
