"""A machine for one test: network, mount and process namespaces of its own, where guestwire and `ip` run for real.

Everything under /run is the sandbox's own, so namespaces' names can't meet those of a test beside it, and what is
written to /etc it keeps to itself; when its first process ends the kernel ends all that was started in it. `snapshot`
is what "nothing remains" is measured by.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.starter import forked

__all__ = ["LEARNT", "SOURCE", "Sandbox", "ended", "sandboxed"]

SECONDS = 600 if os.environ.get("GUESTWIRE_MACHINE") else 120
"""The most that one command gets; in the other host all is emulated."""
SOURCE = Path(__file__).parent.parent / "src"
# The machine's own /etc/netns, which others may write to meanwhile, is hidden by a whiteout: a device 0, 0. Its name
# servers, whom the guard would ask, can't be reached from here.
_ETC = """mkdir /run/u /run/w && mknod /run/u/netns c 0 0 && : >/run/u/resolv.conf &&
mount -t overlay none -o lowerdir=/etc,upperdir=/run/u,workdir=/run/w /etc"""
_RUN = "mount -t tmpfs none /run"  # the second one hides what /etc is made of
_VAR = "mount -t tmpfs none /var/lib"
LEARNT = "/run/guestwire-accelerator.json"
"""Of the machine, which a command needn't find out again."""
_PS = ("ps", "-e", "-o", "stat=,args=")
_MARK = "=== "  # before the name of each part of what `_LOOK` tells
_WITHIN = r"""
say() { printf '=== %s of %s\n' "$1" "$2"; }
say links "$1"; ip -d -o link
say addresses "$1"; ip -o address show
say routes "$1"; all='route show table all
rule show
neighbour show nud permanent'
echo "$all" | ip -batch -; echo "$all" | ip -6 -batch -
say rules "$1"; nft list ruleset 2>/dev/null || true
say sysctls "$1"; cd /proc/sys/net
grep -s . ipv[46]/*forward* ipv[46]/conf/*/*forward* ipv[46]/conf/*/*rp_filter* ipv[46]/conf/*/accept_ra* \
    ipv[46]/conf/*/proxy_* ipv[46]/neigh/*/proxy_* || true
"""
"""What a namespace has that guestwire could leave; its name is the first word after the script."""
_LOOK = rf"""
echo '=== namespaces'; ls /run/netns 2>/dev/null || true
echo '=== files'
find /run /etc/netns /var/lib -mindepth 1 2>/dev/null | grep -vx -e /run/netns -e {LEARNT} | sort || true
within=$(cat <<'END'
{_WITHIN}
END
)
sh -euc "$within" sh ""
for netns in $(ls /run/netns 2>/dev/null); do
    nsenter --net="/run/netns/$netns" sh -euc "$within" sh "$netns"
done
"""
_FIRST = f"{_RUN} && {_ETC} && {_VAR} && {_RUN} && ip link set dev lo up && echo ready && exec cat"


class Sandbox:
    """A running sandbox. `folder` is an empty folder of the test's, where commands run."""

    def __init__(self, pid: int, folder: Path) -> None:
        self.pid = pid
        self.folder = folder

    def run(
        self,
        *command: str,
        check: bool = True,
        text: str | None = None,
        env: Mapping[str, str] | None = None,
        seconds: float = SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the sandbox; `check` asserts that it ends with 0."""
        done = subprocess.run(
            self.inside(*command),
            capture_output=True,
            text=True,
            input=text,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(SOURCE), "GUESTWIRE_TRACEBACK": "1", **(env or {})},
            timeout=seconds,
            check=False,
        )
        assert not check or done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done

    def inside(self, *command: str) -> list[str]:
        """The words that run a command in the sandbox, for a test that starts it by itself."""
        return ["nsenter", "-t", str(self.pid), "-m", "-n", "-p", f"--wd={self.folder}", *command]

    def sh(self, script: str) -> str:
        """Run a shell script, each command of which must succeed; its output."""
        return self.run("sh", "-euc", script).stdout

    def kill(self, pids: str | int, signal: str = "KILL") -> None:
        """Signal processes, whose numbers a shell's words name, and wait until each has ended and closed all it had.

        A signal is no end: the process ends when its turn comes, and its files are closed last (do_exit in exit.c).
        """
        ends = "while grep -qs '^State:.[^XZ]' /proc/$pid/status; do sleep 0.01; done"
        self.sh(f'set -- {pids}; kill -{signal} "$@"; for pid; do {ends}; done')

    def until(self, condition: str, seconds: int = SECONDS // 2) -> None:
        """Wait until a shell condition holds: nothing tells of what a daemon or the kernel does in its own time."""
        self.run("timeout", str(seconds), "sh", "-c", f"until {condition}; do sleep 0.02; done", seconds=seconds + 60)

    def answers(self, address: str, netns: str = "", *words: str, seconds: int = SECONDS // 2) -> bool:
        """Whether an address answers within so many seconds; `words` are more for `ping`.

        The first packet may die: a link drops all until the kernel has taken note of its carrier, in its own time
        (dev_activate in sch_generic.c), and so does a bridge's port. `ping -w` alone gives up at "unreachable".
        """
        into = ("ip", "netns", "exec", netns) if netns else ()
        ping = " ".join(("ping", "-c1", "-W1", *words, address))
        asking = ("timeout", str(seconds), "sh", "-c", f"until {ping}; do :; done")
        return self.run(*into, *asking, check=False, seconds=seconds + 60).returncode == 0

    def guestwire(
        self, *words: str, check: bool = True, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the command line."""
        return self._forked(None, words, check, {"PYTHONPATH": str(SOURCE), **(env or {})}, SECONDS)

    def python(
        self,
        script: str,
        *words: str,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        seconds: float = SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        """Run a Python script that can import guestwire and the tests."""
        path = f"{SOURCE}:{SOURCE.parent}"
        return self._forked(script, words, check, {"PYTHONPATH": path, **(env or {})}, seconds)

    def _forked(
        self, script: str | None, words: Sequence[str], check: bool, env: Mapping[str, str], seconds: float
    ) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "GUESTWIRE_TRACEBACK": "1", **env}
        done = forked(self.pid, self.folder, script, words, env, seconds)
        assert not check or done.returncode == 0, f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return done

    def json(self, *words: str, code: int = 0) -> Any:
        """Run the command line with --json; its document. `code` is the exit code that it must end with."""
        done = self.guestwire(*words, "--json", check=False)
        assert done.returncode == code, f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    def write(self, text: str, name: str = "guestwire.yaml") -> Path:
        """Put a file into the sandbox's folder."""
        path = self.folder / name
        path.write_text(text)
        return path

    def snapshot(self) -> dict[str, str]:
        """All that guestwire could leave behind, in every namespace, as text to compare."""
        looked = self.sh(_LOOK).split(_MARK)[1:]
        found = {name: _lasting(name, told) for name, told in (part.split("\n", 1) for part in looked)}
        running = (line.split(None, 1) for line in self.run(*_PS).stdout.splitlines())
        found["processes"] = "\n".join(  # whether one is just running doesn't matter, only that it isn't ending
            words for state, words in running if state[0] != "Z" and words[0] != "[" and _PS[-1] not in words
        )
        return found


def _lasting(part: str, told: str) -> str:
    """Of what `ip` tells what doesn't come and go by itself.

    Carriers and what follows from them come when the kernel's linkwatch gets to it, up to a second late; an IPv6
    address is looked into, and its local route made, by a thread of the kernel's (addrconf_dad_work).
    """
    kind, lines = part.partition(" ")[0], told.splitlines()
    if kind == "links":
        lines = [re.sub(r"NO-CARRIER,|,LOWER_UP|,M-DOWN", "", line) for line in lines]
        fields = [line.split(" ") for line in lines]
        flags = [" ".join((*line[1:5], *line[11:17])) for line in fields]
        lines = [re.sub(r" *qdisc.*numtxqueues.*", "", line) for line in lines] + flags
    elif kind == "addresses":
        kept = (line.partition("valid_lft")[0] for line in lines if " fe80:" not in line)
        lines = [re.sub(r" tentative", "", line) for line in kept]
    elif kind == "routes":  # and rules and neighbours
        kept = (
            line for line in lines if not re.search(r"fe80:|ff00:|^(local|anycast) [0-9a-f]*:.* proto kernel", line)
        )
        lines = sorted(re.sub(r" expires [0-9]*sec| linkdown", "", line) for line in kept)
    return "\n".join(lines) + "\n" if lines else ""


@contextmanager
def sandboxed(folder: Path) -> Iterator[Sandbox]:
    """Make a sandbox, and end it with everything in it."""
    first = subprocess.Popen(
        ["unshare", "-m", "-n", "-p", "--fork", "--mount-proc", "--kill-child", "sh", "-c", _FIRST],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert first.stdin
    assert first.stdout
    try:
        assert first.stdout.readline() == "ready\n"
        children = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()
        yield Sandbox(int(children[0]), folder)
    finally:
        first.stdin.close()
        first.wait(timeout=60)
        first.stdout.close()


@contextmanager
def ended(process: subprocess.Popen[Any]) -> Iterator[None]:
    """Kill a process after a block, however that ends: who waits for it then isn't kept for ever."""
    try:
        yield
    finally:
        process.kill()
