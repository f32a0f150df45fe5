"""Labs of an ordinary user, for real: made, found, entered, ended; nothing remains."""

from __future__ import annotations

import glob
import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rootless.ordinary import UP, WAIT, Ordinary, Watched

# One that an ordinary user may start, unlike root's own in a virtual environment.
SYSTEMS_PYTHON = next(iter(sorted(glob.glob("/usr/bin/python3.1[1-9]"))), "")
ENTER = "rootless.enter('p', make=True)\n"
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs another user than the one who tests")


def children(pid: int) -> list[int]:
    """The children of a process."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_later_command_finds_what_an_earlier_one_built(user: Ordinary) -> None:
    assert user.in_lab("run('ip netns add web'); print(os.getuid(), os.getcwd()); sys.exit(5)", ends=5) == "0 /tmp\n"
    assert not os.path.exists("/run/netns/web")
    found = user.run("rootless.enter('p', make=False); print(run('ip netns'))")
    assert found.split() == ["web"]
    assert len(user.holders()) == 1
    assert user.records() == ["guestwire/p.json"]


def test_the_world_is_its_own(user: Ordinary) -> None:
    seen = user.in_lab(
        """print(json.dumps([
            os.listdir('/run/guestwire'), os.listdir('/sys/class/net'), run('ip -br link').split()[:1],
            os.readlink('/proc/self') == str(os.getpid()), min(int(p) for p in os.listdir('/proc') if p.isdigit()),
            open('/proc/1/comm').read(), run('ping -c1 -W5 127.0.0.1') != '',
            open('/etc/passwd').read() != '', '127.0.0.1' in run('ip address show lo'),
        ]))"""
    )
    assert json.loads(seen) == [["p"], ["lo"], ["lo"], True, 1, "guestwire-lab\n", True, True, True]


def test_what_a_lab_needs_works(user: Ordinary) -> None:
    """`ip netns exec` by hand, veth, bridge, macvlan, nft, forwarding; a tap where its node lets everybody in."""
    user.in_lab(
        """run('ip netns add a && ip link add br0 type bridge && ip link add v0 type veth peer name v1 netns a')
run('ip link set v0 master br0 up && ip link set br0 up && ip link add m0 link br0 type macvlan mode bridge')
if os.access('/dev/net/tun', os.W_OK): run('ip tuntap add t0 mode tap')
run('sysctl -w net.ipv4.ip_forward=1 && nft add table inet t && nft list table inet t')
run('mkdir -p /etc/netns/a && echo nameserver 10.0.0.1 > /etc/netns/a/resolv.conf')
assert 'nameserver 10.0.0.1' in run('ip netns exec a cat /etc/resolv.conf')
assert set(run('ip netns exec a ls /sys/class/net').split()) == {'lo', 'v1'}
"""
    )


def test_two_projects_have_two_labs(user: Ordinary) -> None:
    user.in_lab("")
    user.run("rootless.enter('q', make=True)\n" + UP)
    (p, first), (q, second) = user.holders()
    assert (p, q) == ("p", "q")
    assert first != second


def test_the_last_one_out_ends_an_empty_lab(user: Ordinary) -> None:
    user.in_lab("")
    keeper = Watched(user.pid())
    user.run("rootless.enter('p', make=False); os.rmdir('/run/guestwire/p')")
    assert keeper.ends()
    assert user.records() == []
    user.run(ENTER + "raise SystemExit(3)", ends=3)  # made, and nothing came up in it
    assert user.records() == []


def test_a_lab_stays_while_another_command_is_in_it(user: Ordinary) -> None:
    with user.start(ENTER + "print('in', flush=True); sys.stdin.read()") as beside:
        assert beside.stdout is not None
        assert beside.stdout.readline() == "in\n"
        keeper = Watched(user.pid())
        user.run("rootless.enter('p', make=False)")
        assert len(user.holders()) == 1
        beside.communicate(timeout=WAIT)
    assert keeper.ends()
    assert user.records() == []


def test_without_a_lab_it_needs_root(user: Ordinary) -> None:
    code, message = json.loads(user.run("rootless.enter('p', make=False)", ends=77))
    assert code == 77
    assert "needs root (or CAP_NET_ADMIN" in message
    assert "--lab" in message
    assert user.records() == []


def test_many_at_once_make_one_lab(user: Ordinary) -> None:
    code = ENTER + UP + "print(os.stat('/proc/1/ns/net').st_ino)"
    started = [user.start(code) for _ in range(8)]
    assert len({process.communicate(timeout=WAIT)[0] for process in started}) == 1
    assert [process.returncode for process in started] == [0] * 8
    assert len(user.holders()) == 1


def test_signals_are_passed_on(user: Ordinary) -> None:
    inside = "signal.signal(signal.SIGTERM, lambda *_: os._exit(9)); print('in', flush=True); sys.stdin.read()"
    with user.start(ENTER + inside) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT) == 9


def test_a_child_that_is_killed_is_told_as_a_shell_does(user: Ordinary) -> None:
    user.run(ENTER + "os.kill(os.getpid(), signal.SIGKILL)", ends=137)


def test_killing_the_keeper_leaves_nothing(user: Ordinary) -> None:
    user.in_lab("run('ip netns add web'); run('ip netns exec web sleep 600 >/dev/null 2>&1 &')")
    keeper = user.pid()
    ended = [Watched(keeper), *map(Watched, children(keeper))]
    ended[0].kill()
    assert [process.ends() for process in ended] == [True, True]
    assert user.holders() == []
    assert user.records() == []


def test_killing_the_caller_leaves_the_lab_to_be_found(user: Ordinary) -> None:
    with user.start(ENTER + UP + "print('in', flush=True); sys.stdin.read()") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in\n"
        (inside,) = map(Watched, children(process.pid))
        process.kill()
        assert inside.ends()
    assert len(user.holders()) == 1
    assert user.run("rootless.enter('p', make=False); print(os.listdir('/run/guestwire'))") == "['p']\n"


def test_killing_the_caller_before_it_has_made_the_record_leaves_nothing(user: Ordinary) -> None:
    """The keeper waits until it's recorded: whoever dies on the way takes it along."""
    die = "userns.make('test', lambda pid: (print(pid, flush=True), sys.stdin.read()))"
    with user.start(die) as process:
        assert process.stdout is not None
        keeper = Watched(int(process.stdout.readline()))
        process.kill()
        assert keeper.ends()
    fails = "try:\n    userns.make('test', lambda pid: print(1 / 0))\nexcept ZeroDivisionError: print('raised')"
    assert user.run(fails) == "raised\n"


def test_the_keeper_is_detached(user: Ordinary) -> None:
    user.in_lab("")
    keeper = user.pid()
    assert os.getsid(keeper) != os.getsid(0)
    seen = user.run(f"print([os.readlink(f'/proc/{keeper}/fd/{{fd}}') for fd in os.listdir('/proc/{keeper}/fd')])")
    assert seen == f"{['/dev/null'] * 3}\n"
    assert os.readlink(f"/proc/{keeper}/cwd") == "/"
    os.kill(keeper, signal.SIGHUP)
    assert user.pid() == keeper


@pytest.mark.skipif(not SYSTEMS_PYTHON, reason="needs a Python that everybody may start")
def test_the_keeper_holds_nothing_of_its_maker(user: Ordinary) -> None:
    """A Python of its own, where one can be started, small."""
    user.python = SYSTEMS_PYTHON
    user.in_lab("")
    keeper = Path(f"/proc/{user.pid()}")
    python, *words = keeper.joinpath("cmdline").read_text().split("\0")[:-1]
    assert Path(python).samefile(SYSTEMS_PYTHON)
    assert words[-1] == "guestwire-lab"
    assert words[-2].endswith("linux/keeper.py")
    assert int(re.findall(r"VmRSS:\s+(\d+) kB", keeper.joinpath("status").read_text())[0]) < 16_000


def test_a_record_of_another_process_is_taken_away(user: Ordinary) -> None:
    record = "os.mkdir(os.environ['XDG_RUNTIME_DIR'] + '/guestwire', 0o700)\n" + (
        "open(os.environ['XDG_RUNTIME_DIR'] + '/guestwire/p.json', 'w').write(json.dumps("
        "{'project': 'p', 'pid': os.getppid(), 'start': 1}))\n"
    )
    assert user.run(record + "print(rootless.find('p'), rootless.holders())") == "None []\n"
    assert user.records() == []


def test_a_record_that_is_no_record_is_taken_away(user: Ordinary) -> None:
    user.in_lab("")
    user.end_all()
    write = "open(os.environ['XDG_RUNTIME_DIR'] + '/guestwire/p.json', 'w').write(sys.argv[1])\n"
    for text in ("", "{", "[]", '{"pid": "x"}', '{"pid": -1, "start": 0}', "\x7f"):
        assert user.run(write + "print(rootless.find('p'))", text) == "None\n"
        assert user.records() == []
    assert user.run(write + ENTER + "print('in')", "{}") == "in\n"


def test_the_nsenter_line_leads_in(user: Ordinary) -> None:
    user.in_lab("run('ip netns add web')")
    line = user.run("print(rootless.nsenter_line(rootless.find('p')))")
    assert line == f"nsenter --preserve-credentials -U -m -n -p -t {user.pid()}\n"
    assert user.run(f"print(run({line.strip()!r} + ' ip netns'))").split() == ["web"]


def test_several_threads_are_refused(user: Ordinary) -> None:
    code = "threading.Thread(target=threading.Event().wait, daemon=True).start()\n" + ENTER
    assert "several threads" in user.run(code, ends=69)


def test_a_setting_that_forbids_user_namespaces_is_named(user: Ordinary) -> None:
    """In a user namespace of ours, where the setting is ours too."""
    forbid = "open('/proc/sys/user/max_user_namespaces', 'w').write('0')\nuserns.capable = lambda: False\n"
    said = user.in_lab(forbid + "rootless.enter('q', make=True)", ends=77)
    assert "this machine allows none (user.max_user_namespaces is 0)" in said
    assert "sysctl -w user.max_user_namespaces=" in said
    assert user.records() == ["guestwire/p.json"]


def test_a_step_that_the_kernel_refuses_is_named(user: Ordinary) -> None:
    """A limit on network namespaces; then a /proc of which a part is hidden, as in a container."""
    limit = "open('/proc/sys/user/max_net_namespaces', 'w').write('0')\nuserns.capable = lambda: False\n"
    said = user.in_lab(limit + "rootless.enter('q', make=True)", ends=77)
    assert "mount, network and PID namespaces: No space left on device" in said
    user.end_all()
    mask = "run('mount -t tmpfs none /proc/irq')\nuserns.capable = lambda: False\n"
    said = user.in_lab(mask + "rootless.enter('q', make=True)", ends=77)
    assert "masks /proc" in said


def test_etc_without_an_overlay(user: Ordinary) -> None:
    """Where there can be no overlay, links lead to what is there; all reads the same, and netns can be written."""
    code = (
        "real = userns.mount\n"
        "def mount(source, target, kind=None, flags=0, data=None):\n"
        "    if kind == 'overlay': raise OSError(22, 'no')\n"
        "    real(source, target, kind, flags, data)\n"
        "userns.mount = mount\n"
    )
    entries = "print(sorted(os.listdir('/etc')), len(open('/etc/passwd').read()))"
    overlaid = user.in_lab(entries)
    user.end_all()
    assert user.run(code + ENTER + UP + entries) == overlaid
    user.in_lab("os.makedirs('/etc/netns/a/b')")


@pytest.fixture
def stranger() -> Iterator[Ordinary]:
    """A user with an own number and no runtime folder: the records lie in /tmp."""
    stranger = Ordinary(None, 100_000 + os.getpid())
    place = Path(f"/tmp/guestwire-{stranger.uid}")
    yield stranger
    if place.is_dir() and place.stat().st_uid == stranger.uid:
        stranger.end_all()
    shutil.rmtree(place, ignore_errors=True)


@root_only
def test_without_a_runtime_folder(user: Ordinary, stranger: Ordinary) -> None:
    place = Path(f"/tmp/guestwire-{stranger.uid}")
    stranger.in_lab("")
    assert place.stat().st_mode & 0o777 == 0o700
    assert [project for project, _ in stranger.holders()] == ["p"]
    # Another's runtime folder, as after `su`, is none.
    stranger.environment["XDG_RUNTIME_DIR"] = str(user.runtime)
    assert [project for project, _ in stranger.holders()] == ["p"]


@root_only
@pytest.mark.parametrize("mode", [0o777, 0o700])
def test_a_folder_that_anybody_could_have_made_is_not_trusted(user: Ordinary, stranger: Ordinary, mode: int) -> None:
    place = Path(f"/tmp/guestwire-{stranger.uid}")
    place.mkdir()
    place.chmod(mode)  # and it's root's
    said = stranger.run(ENTER, ends=77)
    assert str(place) in said
    assert "XDG_RUNTIME_DIR" in said


@root_only
def test_root_goes_on_as_it_is(user: Ordinary) -> None:
    root = Ordinary(user.runtime, 0)
    assert root.run("pid = os.getpid()\nrootless.enter('p', make=True)\nprint(pid == os.getpid())") == "True\n"
    assert user.records() == []
