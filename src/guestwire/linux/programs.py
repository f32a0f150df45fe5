"""Runs a program in the namespace that the calling thread is in, its failure an OSError; and finds running ones.

A program is looked for along PATH and then in sbin: Debian's login gives an ordinary user a PATH without (ENV_PATH in
login.defs(5)), and nft and dnsmasq are there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
from collections.abc import Sequence

__all__ = [
    "command_line",
    "find_program",
    "has_ended",
    "launch_program",
    "run_program",
    "running",
    "start_program",
    "with_sbin",
]

FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def with_sbin() -> dict[str, str]:
    """Our environment, for a program: its PATH leads to sbin too."""
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return {**os.environ, "PATH": os.pathsep.join(dict.fromkeys([*path, *FOLDERS]))}


def find_program(name: str) -> str | None:
    """Where a program is that can be run, or None."""
    import shutil  # as late as subprocess

    return shutil.which(name, path=with_sbin()["PATH"])


def run_program(command: Sequence[str], seconds: float, text: str | None = None, stdin: int | None = None) -> str:
    """What the program printed, given `text`, or the descriptor `stdin`, as its standard input.

    It is in a session of its own, so a Ctrl-C is ours alone to act on.

    Raises OSError: ENOENT where there is no such program, ETIMEDOUT where it takes longer than `seconds` (it is ended
    then), and EREMOTEIO with the program's own words where it ends with anything but 0.
    """
    import subprocess  # a tenth of guestwire's start, and most commands run no program

    try:
        done = subprocess.run(
            command,
            input=text,
            stdin=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            start_new_session=True,
            env=with_sbin(),
        )
    except subprocess.TimeoutExpired:
        raise OSError(errno.ETIMEDOUT, f"{command[0]} was not done after {seconds:g} s") from None
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"{command[0]} ended with {done.returncode}"
        raise OSError(errno.EREMOTEIO, said)
    return done.stdout


def start_program(command: Sequence[str], environment: Sequence[str] = ()) -> None:
    """Start a program that stays in the foreground, in a session of its own, and leave it to itself.

    It has nothing on its standard input and output, and `environment` ("NAME=value") beside ours. That it can't be run
    isn't seen. Raises OSError where setsid(1) can't be.
    """
    import subprocess

    told = dict(word.split("=", 1) for word in environment)
    nothing = subprocess.DEVNULL
    words, all_told = ("setsid", "--fork", *command), {**with_sbin(), **told}
    subprocess.run(words, stdin=nothing, stdout=nothing, stderr=nothing, cwd="/", env=all_told, check=False)


def launch_program(command: Sequence[str], said: int, fds: Sequence[int]) -> None:
    """Run a command that puts a program into the background by itself, with these descriptors and nothing else of ours.

    What it says goes to the descriptor `said`. Raises OSError: ENOENT where there is no such program, and EREMOTEIO
    where it ends with anything but 0.
    """
    import subprocess

    path = {"PATH": with_sbin()["PATH"]}
    nothing = subprocess.DEVNULL
    done = subprocess.run(
        command, stdin=nothing, stdout=said, stderr=said, cwd="/", env=path, pass_fds=fds, check=False
    )
    if done.returncode:
        raise OSError(errno.EREMOTEIO, f"{command[0]} ended with {done.returncode}")


def command_line(pid: int) -> tuple[str, ...]:
    """The words that a process was started with; none where it has ended, or is a zombie (proc_pid_cmdline(5))."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return tuple(word.decode(errors="replace") for word in file.read().split(b"\0")[:-1])
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ()


def running() -> dict[str, list[int]]:
    """The processes that /proc shows, by each path in their command lines: `/a` of the words `/a` and `--file=/a`."""
    found: dict[str, list[int]] = {}
    with contextlib.suppress(FileNotFoundError):  # no /proc: nobody to be found
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            for word in command_line(pid):
                if "/" in word:
                    found.setdefault(word[word.index("/") :], []).append(pid)
    return found


def has_ended(handle: int, seconds: float) -> bool:
    """Whether the process of a pidfd ends in so many seconds.

    By poll: select(2) takes no descriptor over 1,023, and a thousand namespaces are two thousand.
    """
    waiting = select.poll()
    waiting.register(handle, select.POLLIN)
    return bool(waiting.poll(seconds * 1000))
