"""Starts Python in a sandbox without what a start costs: a process that has guestwire imported already forks for each.

The imports are nine tenths of what a command takes, and the tests run thousands. What is forked is in the sandbox's
namespaces, folder and environment, and has standard streams of its own and no other descriptor. What only a real start
and a real end of Python show is for the tests that start one, by `Sandbox.run`.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import pkgutil
import selectors
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from time import monotonic
from types import ModuleType
from typing import Any, NoReturn

__all__ = ["forked"]

ROOT = Path(__file__).resolve().parent.parent
LONGEST = 1 << 20  # bytes of a request: words, a script, the environment


def forked(
    pid: int, folder: Path, script: str | None, words: Sequence[str], env: Mapping[str, str], seconds: float
) -> subprocess.CompletedProcess[str]:
    """Run a script, or without one the command line, in the namespaces of process `pid`; how it ended.

    As `subprocess.run` does, it waits until nobody holds the output any more.
    """
    request = json.dumps([pid, str(folder), script, list(words), dict(env)]).encode()
    near, far = socket.socketpair()
    ends = [os.pipe(), os.pipe()]
    try:
        socket.send_fds(_starter(), [request], [ends[0][1], ends[1][1], far.fileno()])
    finally:
        far.close()
        for _, end in ends:
            os.close(end)
    with near, open(ends[0][0]) as out, open(ends[1][0]) as err:
        said = _read([out.fileno(), err.fileno()], monotonic() + seconds, words)
        near.settimeout(seconds)
        status = int.from_bytes(near.recv(4), "little")
    return subprocess.CompletedProcess(["guestwire", *words], os.waitstatus_to_exitcode(status), *said)


def _read(fds: Sequence[int], deadline: float, words: Sequence[str]) -> list[str]:
    """All that is said there, to the end."""
    said = {fd: bytearray() for fd in fds}
    with selectors.DefaultSelector() as waiting:
        for fd in fds:
            waiting.register(fd, selectors.EVENT_READ)
        while waiting.get_map():
            ready = waiting.select(max(0.0, deadline - monotonic()))
            if not ready:
                raise TimeoutError(f"{list(words)} takes too long; so far it said {[bytes(said[fd]) for fd in fds]}")
            for key, _ in ready:
                got = os.read(key.fd, 1 << 16)
                said[key.fd] += got
                if not got:
                    waiting.unregister(key.fd)
    return [said[fd].decode().replace("\r\n", "\n") for fd in fds]


@cache
def _starter() -> socket.socket:
    """The process that forks, one for each of pytest's; it ends when the socket is closed."""
    near, far = socket.socketpair(type=socket.SOCK_SEQPACKET)
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST)
    with far:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.starter", str(far.fileno())],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[far.fileno()],
        )

    def end() -> None:
        near.close()
        process.wait(60)

    atexit.register(end)
    return near


def _serve(requests: socket.socket) -> None:
    """Fork for each request, until nobody is there to ask."""
    while True:
        message, fds, _, _ = socket.recv_fds(requests, LONGEST, 3)
        while _children() and os.waitpid(-1, os.WNOHANG)[0]:
            pass
        if not message:
            return
        if not os.fork():
            _between(fds, *json.loads(message))
        for fd in fds:
            os.close(fd)


def _children() -> str:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text()


def _between(fds: Sequence[int], pid: int, *what: Any) -> NoReturn:
    """As nsenter does: enter, fork once more for the namespace of processes, tell how that one ended."""
    namespaces = [os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY) for name in ("net", "pid", "mnt")]
    for fd in namespaces:
        setns(fd)
    child = os.fork()
    if not child:
        _within(fds, *what)
    *streams, reply = fds
    for fd in streams:
        os.close(fd)
    status = os.waitpid(child, 0)[1]
    os.write(reply, status.to_bytes(4, "little"))
    os._exit(0)


def _within(fds: Sequence[int], folder: str, script: str | None, words: list[str], env: dict[str, str]) -> NoReturn:
    """Be as one just started, and do it; all is let go of at once at the end, as the kernel does it."""
    for number, fd in enumerate(fds[:2], start=1):
        os.dup2(fd, number)
    os.closerange(3, 1024)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["guestwire" if script is None else "-c", *words]
    code: Any = 1
    try:
        if script is None:
            code = main()
        else:
            sys.modules["__main__"] = module = ModuleType("__main__")
            exec(compile(script, "<string>", "exec"), vars(module))
            code = 0
    except SystemExit as end:
        code = end.code or 0
        if isinstance(code, str):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    import guestwire
    from guestwire.cli.main import main
    from guestwire.linux.libc import setns

    for found in pkgutil.walk_packages(guestwire.__path__, "guestwire."):
        if not found.name.endswith("__main__"):
            import_module(found.name)
    gc.freeze()
    _serve(socket.socket(fileno=int(sys.argv[1])))
