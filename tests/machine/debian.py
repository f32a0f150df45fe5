"""What real guests are made of: Debian's packages, fetched and unpacked into .cache/ and never installed.

So nobody's boot loader hears of a kernel, and an ordinary user can do it. Each thing is made once for a checkout,
whoever asks for it first, and appears under its name only when it is whole.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

__all__ = ["CACHE", "built", "package"]

CACHE = Path(__file__).resolve().parents[2] / ".cache" / "machine"
LISTS = CACHE / "apt"
"""apt's lists of our own, where the machine's are missing or older than the archive."""

SECONDS = 300


def built(name: str, build: Callable[[Path], None]) -> Path:
    """What `build` makes at the path that it gets: in the cache as `name`, whole, made once however many ask."""
    made = CACHE / name
    if not made.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with (CACHE / f".{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not made.exists():
                with TemporaryDirectory(dir=CACHE, prefix=".new-") as folder:
                    os.chmod(folder, 0o755)  # else apt warns that its own user can't enter
                    build(Path(folder) / "made")
                    (Path(folder) / "made").rename(made)
    return made


@cache
def package(name: str) -> Path:
    """The folder with a package's files, as they would be laid out below /; its name ends with the version.

    A package that only stands for another, as linux-image-cloud-amd64 does, has that one's files. What is there is
    taken as it is, without a question to apt: `make clean` has it fetched anew.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / ".apt.lock").open("w") as lock:  # apt's lists are one process's at a time
        fcntl.flock(lock, fcntl.LOCK_EX)
        there = sorted(CACHE.glob(f"{name}_*"))
        if there:
            return there[-1]
        try:
            return _fetched(name)
        except subprocess.CalledProcessError:  # the archive has another version by now, or nobody has asked it yet
            _refresh()
            return _fetched(name)


def _fetched(name: str) -> Path:
    facts = _facts(name)
    version = facts["Version"]
    other, _, need = facts.get("Depends", "").partition(" ")
    whole = other if need == f"(= {version})" else name

    def unpack(made: Path) -> None:
        _run("apt-get", *_options(), "-qq", "download", f"{whole}={version}", cwd=made.parent)
        (archive,) = made.parent.glob("*.deb")
        _run("dpkg-deb", "-x", str(archive), str(made))

    return built(f"{name}_{version.replace(':', '.')}", unpack)


def _facts(name: str) -> dict[str, str]:
    shown = _run("apt-cache", *_options(), "show", "--no-all-versions", name)
    return dict(line.split(": ", 1) for line in shown.splitlines() if ": " in line and not line.startswith(" "))


def _refresh() -> None:
    for folder in ("lists/partial", "cache/archives/partial"):
        (LISTS / folder).mkdir(parents=True, exist_ok=True)
    _run("apt-get", *_options(), "-qq", "update")


def _options() -> list[str]:
    found = ["-o", "APT::Sandbox::User=root"]
    if LISTS.exists():
        found += ["-o", f"Dir::State::Lists={LISTS}/lists", "-o", f"Dir::Cache={LISTS}/cache"]
    return found


def _run(*words: str, cwd: Path | None = None) -> str:
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode != 0:
        raise subprocess.CalledProcessError(done.returncode, words, done.stdout, done.stderr)
    return done.stdout
