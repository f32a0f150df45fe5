"""Commands run in a namespace as `ip netns exec` does, in a lab of an ordinary user, which has an /etc of its own."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.rootless.ordinary import WAIT, Ordinary

# A namespace `web`, and a way in.
WEB = """\
if not namespaces.exists('web'):
    namespaces.prepare()
    home = namespaces.current()
    namespaces.create('web', home)
    userns.setns(home)
fd = namespaces.open_namespace('web')
def go(*words):
    return inside.run(fd, 'web', words)
"""


def test_links_and_sys_are_the_namespaces(user: Ordinary) -> None:
    code = WEB + "run('ip netns exec web ip link add v0 type veth peer name v1')\n"
    assert user.in_lab(code + "sys.exit(go('ls', '/sys/class/net'))").split() == ["lo", "v0", "v1"]
    assert user.in_lab(WEB + "sys.exit(go('ip', '-br', 'link', 'show', 'type', 'veth'))").count("v0@v1") == 1
    assert user.in_lab("print(os.listdir('/sys/class/net'))") == "['lo']\n"


def test_a_command_may_open_as_many_files_as_if_it_were_started_here(user: Ordinary) -> None:
    code = WEB + (
        "import resource, subprocess\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (300, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))\n"
        "from guestwire.linux.kernel import Kernel\n"
        "with Kernel():\n"
        "    subprocess.run(['sh', '-c', 'ulimit -Sn'])\n"
        "    sys.exit(go('sh', '-c', 'ulimit -Sn'))\n"
    )
    raised, given = map(int, user.in_lab(code).split())
    assert given == 300 < raised


def test_files_under_etc_netns_stand_for_their_namesakes(user: Ordinary) -> None:
    code = WEB + (
        "os.makedirs('/etc/netns/web', exist_ok=True)\n"
        "open('/etc/netns/web/resolv.conf', 'w').write('nameserver 10.0.0.1\\n')\n"
        "open('/etc/netns/web/hosts', 'w').write('10.0.0.2 db\\n')\n"
    )
    assert user.in_lab(code + "sys.exit(go('cat', '/etc/resolv.conf', '/etc/hosts'))") == (
        "nameserver 10.0.0.1\n10.0.0.2 db\n"
    )
    assert user.in_lab(WEB + "sys.exit(go('getent', 'hosts', 'db'))").split() == ["10.0.0.2", "db"]
    assert "10.0.0.1" not in user.in_lab("print(open('/etc/resolv.conf').read())")  # nobody else sees them


def test_a_file_without_a_namesake_is_told_and_passed_over(user: Ordinary) -> None:
    code = WEB + "os.makedirs('/etc/netns/web')\nopen('/etc/netns/web/no.such', 'w').close()\nos.dup2(1, 2)\n"
    said = user.in_lab(code + "sys.exit(go('echo', 'ran'))")
    assert "/etc/netns/web/no.such can't stand for /etc/no.such: No such file" in said
    assert said.endswith("ran\n")


def test_a_guest_has_its_resolver_where_etc_leads_into_run(user: Ordinary) -> None:
    """As with systemd-resolved: /etc/resolv.conf is a link into /run, which is another in a lab."""
    prepare = (
        "run('mkdir /run/resolve; echo nameserver 127.0.0.53 > /run/resolve/stub')\n"
        "run('ln -sf ../run/resolve/stub /etc/resolv.conf')\n"
        "userns.capable = lambda: False\n"
        "rootless.enter('q', make=True)\n"
        "os.makedirs('/etc/netns/web')\n"
        "assert '127.0.0.53' in open('/etc/resolv.conf').read()\n"
        "open('/etc/netns/web/resolv.conf', 'w').write('nameserver 10.0.0.1\\n')\n"
    )
    assert user.in_lab(prepare + WEB + "sys.exit(go('cat', '/etc/resolv.conf'))") == "nameserver 10.0.0.1\n"


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        (["sh", "-c", "exit 42"], 42, ""),
        (["sh", "-c", "kill -9 $$"], 137, ""),
        (["true"], 0, ""),
        (["no-such-command"], 127, "no-such-command: command not found\n"),
        (["/no/such"], 127, "/no/such: command not found\n"),
        (["/etc/passwd"], 126, "/etc/passwd: can't be run: Permission denied\n"),
        (["/tmp"], 126, "/tmp: can't be run: Permission denied\n"),
    ],
)
def test_exit_codes_are_the_commands(user: Ordinary, command: list[str], code: int, said: str) -> None:
    assert user.in_lab(WEB + f"os.dup2(1, 2)\nsys.exit(go(*{command!r}))", ends=code) == said


def test_a_script_whose_interpreter_is_missing_is_no_missing_command(user: Ordinary) -> None:
    code = "open('/run/script', 'w').write('#!/no/such\\n')\nos.chmod('/run/script', 0o755)\nos.dup2(1, 2)\n"
    said = user.in_lab(WEB + code + "sys.exit(go('/run/script'))", ends=127)
    assert said == "/run/script: its interpreter not found\n"


def test_a_namespace_that_cannot_be_entered_is_raised(user: Ordinary) -> None:
    code = "try: inside.run(0, 'web', ['true'])\nexcept OSError as error: print(error.errno, error.filename)"
    assert user.in_lab(code) == "22 setns\n"


def test_the_command_finds_signals_as_usual(user: Ordinary) -> None:
    """Nothing is held back from it or ignored, and no descriptor is left open for it."""
    code = "sys.exit(go('sh', '-c', 'grep -E \"^Sig(Blk|Ign)\" /proc/self/status; ls /proc/self/fd'))"
    out = user.in_lab(WEB + code).split()
    assert out == ["SigBlk:", "0" * 16, "SigIgn:", f"{_ignored_around_us():016x}", "0", "1", "2", "3"]  # 3 is its own


def test_a_signal_is_passed_on(user: Ordinary) -> None:
    script = "trap 'echo got; exit 9' TERM; echo in; while :; do read x || wait; done"
    code = f"rootless.enter('p', make=True)\n{WEB}print(os.getpid(), flush=True)\nsys.exit(go('sh', '-c', {script!r}))"
    with user.start(code) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert process.stdout.readline() == "in\n"
        process.terminate()
        out, _ = process.communicate(timeout=WAIT)
        assert (out, process.returncode) == ("got\n", 9)


TERMINAL = """\
pid, terminal = pty.fork()
if pid == 0:
    rootless.enter('p', make=True)
    os.makedirs('/run/guestwire/p', exist_ok=True)
    sys.exit(inside.run(namespaces.current(), 'web', ['sh', '-c', sys.argv[1]]))
said = b''
def until(what):
    global said
    while what not in said:
        said += os.read(terminal, 1024)
"""


def test_ctrl_c_reaches_the_command_once_and_nobody_dies_before_it(user: Ordinary) -> None:
    script = "n=0; trap 'n=$((n+1)); echo int$n' INT; echo in; read x; read x; read x; echo end$n; exit 7"
    code = TERMINAL + (
        "until(b'in\\r')\nos.write(terminal, b'\\x03')\nuntil(b'int1')\nos.write(terminal, b'\\x03')\nuntil(b'int2')\n"
        "os.write(terminal, b'x\\n' * 3)\nuntil(b'end2')\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    assert user.run(code, script) == "7\n"


def test_ctrl_c_ends_a_command_that_does_not_mind_it(user: Ordinary) -> None:
    code = TERMINAL + (
        "until(b'in\\r')\nos.write(terminal, b'\\x03')\nprint(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    assert user.run(code, "echo in; exec sleep 600") == "130\n"


def test_ctrl_z_stops_all_and_they_go_on(user: Ordinary) -> None:
    """As under a shell, which gives each command a process group: without one, nobody can be stopped by a key."""
    shell = """\
pid, terminal = pty.fork()
if pid == 0:
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    job = os.fork()
    if job:
        stopped = os.WIFSTOPPED(os.waitpid(job, os.WUNTRACED)[1])
        os.killpg(job, signal.SIGCONT)
        print('stopped' if stopped else 'ended', flush=True)
        os._exit(os.waitstatus_to_exitcode(os.waitpid(job, 0)[1]))
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
"""
    _, _, rest = TERMINAL.partition("if pid == 0:\n")
    code = f"{shell}{rest}" + (
        "until(b'in\\r')\nos.write(terminal, b'\\x1a')\nuntil(b'stopped')\nos.write(terminal, b'x\\n')\nuntil(b'on')\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
    )
    assert user.run(code, "echo in; read x; echo on; exit 3") == "3\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_as_root(user: Ordinary) -> None:
    """The same without a lab, on mounts and a network namespace that nobody else sees."""
    root = Ordinary(user.runtime, 0)
    code = (
        "from guestwire.linux.libc import *\n"
        "unshare(0x40020000); mount('', '/', None, 0x84000)\n"  # CLONE_NEWNET | CLONE_NEWNS; MS_SLAVE | MS_REC
        "before = os.readlink('/proc/self/ns/net')\n"
        "code = inside.run(namespaces.current(), 'nobody', ['sh', '-c', 'ls /sys/class/net; exit 4'])\n"
        "assert os.readlink('/proc/self/ns/net') == before\n"
        "sys.exit(code)"
    )
    assert root.run(code, ends=4) == "lo\n"


def _ignored_around_us() -> int:
    """The signals that whoever runs the tests has ignored, as /proc shows them: what ignores stays ignored.

    Python itself ignores SIGPIPE and SIGXFSZ, which is no business of the command's.
    """
    own = 1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("SigIgn:")) & ~own
