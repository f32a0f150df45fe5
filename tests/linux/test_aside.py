"""What is done aside is seen by nobody, and nothing of it remains: not after an error, nor where somebody is killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from guestwire.errors import FileError, Problem
from guestwire.linux import namespaces
from guestwire.linux.aside import NoPlace, do_aside
from guestwire.linux.libc import MS_BIND, mount
from tests.sandbox import Sandbox


def _inode(kind: str) -> int:
    return os.stat(f"/proc/self/ns/{kind}").st_ino


@pytest.mark.parametrize("user", [False, True])
def test_it_is_in_namespaces_of_its_own(user: bool) -> None:
    kinds = ("net", "mnt", "pid", *(("user",) if user else ()))
    here = {kind: _inode(kind) for kind in kinds}
    there, run, links = do_aside(
        lambda: ({kind: _inode(kind) for kind in kinds}, os.path.exists("/run/netns"), os.listdir("/sys/class/net")),
        user=user,
    )
    assert here.keys() == {kind for kind in kinds if here[kind] != there[kind]}
    assert (run, links) == (False, ["lo"])


def test_what_is_mounted_and_named_there_is_not_here(tmp_path: Path) -> None:
    def build() -> list[str]:
        home = namespaces.current()
        namespaces.prepare()
        namespaces.create("aside", home)
        mount("/proc", str(tmp_path), None, MS_BIND)
        return namespaces.names()

    before = namespaces.names()
    assert do_aside(build, user=False) == ["aside"]
    assert namespaces.names() == before
    assert list(tmp_path.iterdir()) == []


def test_much_comes_back() -> None:
    assert do_aside(lambda: b"x" * 5_000_000, user=False) == b"x" * 5_000_000


def test_an_error_comes_back_whole() -> None:
    def fail() -> None:
        raise FileError(Problem("wrong", "do right", "a.yaml", 3, 4))

    with pytest.raises(FileError) as caught:
        do_aside(fail, user=False)
    assert caught.value.problems == (Problem("wrong", "do right", "a.yaml", 3, 4),)


def test_who_is_killed_there_is_told_of() -> None:
    with pytest.raises(NoPlace, match="killed"):
        do_aside(lambda: os.kill(os.getpid(), signal.SIGKILL), user=False)


def test_who_was_left_there_has_ended() -> None:
    """A daemon that goes on holding a pipe: the pipe ends with the daemon, before we are back."""
    ours, theirs = os.pipe()

    def leave() -> None:
        if os.fork() == 0:
            os.setsid()
            signal.pause()

    do_aside(leave, user=False)
    os.close(theirs)
    os.set_blocking(ours, False)
    assert os.read(ours, 1) == b""
    os.close(ours)


ETC = {
    "as it is": "true",
    "with files of namespaces": "mkdir -p /etc/netns/a; echo nameserver 192.0.2.1 > /etc/netns/a/resolv.conf",
    # Where / is one itself, as in the other host, there are as many already.
    "under so many overlays that none more can be": "mkdir /run/a /run/b; mount -t overlay none "
    "-o lowerdir=/etc,upperdir=/run/a,workdir=/run/b /etc || true",
}
WRITE = """\
import os
from guestwire.linux.aside import do_aside
def write():
    for path in ("/etc/hostname", "/etc/new", "/etc/netns/b/resolv.conf"):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            with open(path, "w") as file:
                file.write("changed")
        except OSError:  # read-only there
            pass
    return open("/etc/netns/b/resolv.conf").read(), open("/etc/resolv.conf").read()
print(do_aside(write, user=False) == ("changed", open("/etc/resolv.conf").read()))
"""


@pytest.mark.parametrize("etc", ETC)
def test_what_is_written_to_etc_stays_there(etc: str, sandbox: Sandbox) -> None:
    sandbox.sh(f"{ETC[etc]}; echo here > /etc/hostname; echo nameserver 192.0.2.53 > /etc/resolv.conf")
    before = sandbox.snapshot()
    assert sandbox.python(WRITE).stdout == "True\n"
    assert sandbox.sh("cat /etc/hostname; ls /etc/new /etc/netns/b 2>/dev/null || true") == "here\n"
    assert sandbox.snapshot() == before
