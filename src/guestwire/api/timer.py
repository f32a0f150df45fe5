"""The process that takes a change back unless it is confirmed in time: `up --confirm` starts it before its first step.

    python -P -m guestwire.api.timer PROJECT

It is detached from whatever may end: the terminal, the login, the process that changes. Where systemd runs this host it
is a transient service of the system, since logind can end all other processes of a login (logind.conf(5),
KillUserProcesses); `--scope` and `--user` would leave it within that login. Else it is a process in a session of its
own (setsid(2)), which is a child of nobody here. There it stays in the namespaces of who started it, in a lab of an
ordinary user inside that lab.

It waits for the journal to say until when, and then takes the change back by what the journal holds, as `rollback`
does. A change whose process ended midway it takes back at once. Where it is killed itself the journal stays, and
`rollback` or `confirm` settles it.
"""

from __future__ import annotations

import contextlib
import glob
import os
import select
import signal
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from guestwire.api.work import lock_of
from guestwire.apply import Journal, Store, Timer, settle
from guestwire.daemons import systemd
from guestwire.errors import Busy, GuestwireError, Problem, Unavailable
from guestwire.linux.inotify import Watch
from guestwire.linux.kernel import Kernel
from guestwire.linux.processes import held, started
from guestwire.linux.programs import find_program, run_program, start_program, with_sbin
from guestwire.places import RUN

__all__ = ["Waiting", "main"]

START = 10  # seconds that it gets to be there
AGAIN = 0.1  # seconds until it tries once more where another guestwire is at work
TRIES, PAUSE = 5, 2.0  # how often it tries to take back what can't be, and after how many seconds
LEAVE = 10  # seconds that others get to be out of a lab that is empty
LOGIND = ("/usr/lib", "/usr/local/lib", "/run", "/etc")  # the later goes before the earlier (systemd.unit(5))
KEEPER = "guestwire-lab"  # process 1 of an ordinary user's lab (rootless.py)


@dataclass
class Waiting:
    """A change that waits to be confirmed: for how long, who takes it back then, and what is to be said of that."""

    project: str
    seconds: int
    timer: Timer | None = None
    warnings: list[Problem] = field(default_factory=list)

    def begin(self) -> None:
        """Start who takes it back. Raises Unavailable or OSError where that can't be."""
        self.warnings = _start(self.project)
        self.timer = Store(self.project).timer()

    def to_json(self) -> dict[str, Any]:
        """As JSON knows it."""
        journal = Store(self.project).journal()
        left = journal.left if journal is not None else 0.0
        until = datetime.now(UTC) + timedelta(seconds=left)
        return {
            "seconds": self.seconds,
            "until": until.isoformat(timespec="seconds"),
            "pid": self.timer.pid if self.timer else None,
            "unit": (self.timer.unit or None) if self.timer else None,
        }


def _start(project: str) -> list[Problem]:
    """Start it, and wait until it is there; what is to be said of how. Raises Unavailable or OSError where it can't."""
    store = Store(project)
    unit = f"guestwire-confirm-{project}"
    with Watch([store.folder]) as watch:
        refused = _as_service(unit, project) if _systemd_is_here() else "no systemd-run is to be had here"
        if not refused and _is_there(store, watch, unit):
            return []
        refused = refused or f"its service {unit} doesn't begin"
        start_program(_command(project), _environment())
        if not _is_there(store, watch, ""):
            raise Unavailable(
                "the process that takes the change back after the time can't be started, so nothing was done.",
                hint="Without --confirm no such process is needed.",
            )
    if not _logind_kills():
        return []
    return [
        Problem(
            f"logind ends a login's processes with it (KillUserProcesses=yes), and {refused}: then nobody takes the "
            "change back.",
            "Stay logged in until it is confirmed, or set KillUserProcesses=no in /etc/systemd/logind.conf.",
        )
    ]


def _as_service(unit: str, project: str) -> str:
    """Start it as a service of the system; what is against that, or ""."""
    told = [f"--setenv={word}" for word in (*_environment(), f"PATH={with_sbin()['PATH']}")]
    about = f"--description=Takes guestwire's change of {project} back unless it is confirmed"
    words = ["systemd-run", "--quiet", "--collect", f"--unit={unit}", about, *told, "--", *_command(project), unit]
    try:
        run_program(words, START)
    except OSError as error:
        return f"systemd-run can't start a service ({error.strerror})"
    return ""


def _systemd_is_here() -> bool:
    """Whether systemd runs the very host that we are on: in a container or namespace its services are elsewhere."""
    if not systemd.runs() or find_program("systemd-run") is None:
        return False
    try:
        return all(os.path.samefile(f"/proc/1/ns/{kind}", f"/proc/self/ns/{kind}") for kind in ("mnt", "net", "pid"))
    except OSError:
        return False


def _command(project: str) -> list[str]:
    return [sys.executable, "-P", "-m", "guestwire.api.timer", project]


def _environment() -> list[str]:
    """Where this very guestwire is imported from, wherever we stand."""
    places = [str(Path(__file__).resolve().parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return [f"PYTHONPATH={os.pathsep.join(places)}"]


def _is_there(store: Store, watch: Watch, unit: str) -> bool:
    news = select.poll()
    news.register(watch, select.POLLIN)
    deadline = time.monotonic() + START
    while (timer := store.timer()) is None or not timer.lives or timer.unit != unit:
        left = deadline - time.monotonic()
        if left <= 0 or not news.poll(left * 1000):
            return False
        watch.news()
    return True


def _logind_kills() -> bool:
    """Whether logind is told to end all processes of a login with it."""
    import configparser

    files = sorted(
        (path for top in LOGIND for path in glob.glob(f"{top}/systemd/logind.conf.d/*.conf")), key=os.path.basename
    )
    said = "no"
    for path in ("/etc/systemd/logind.conf", *files):
        parser = configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True)
        with contextlib.suppress(OSError, configparser.Error, UnicodeDecodeError):
            parser.read(path)
            said = parser.get("Login", "KillUserProcesses", fallback=said) or said
    return said.strip().lower() in ("yes", "true", "on", "1")


def main(project: str, unit: str = "") -> None:
    """Wait until the change is settled or its time over, and take it back then."""
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    store = Store(project)
    first = store.journal()
    if first is None:
        return
    with Watch([store.folder]) as watch:
        store.tell_timer(Timer(os.getpid(), started(os.getpid()) or 0, unit))
        if _is_due(store, first, watch):
            _take_back(store, first)
    _end_empty_lab()


def _is_due(store: Store, first: Journal, watch: Watch) -> bool:
    """Wait until the change is to be taken back: its time is over, or its process ended midway. False: it's settled."""
    news = select.poll()
    news.register(watch, select.POLLIN)
    with held(first.pid) as maker:
        if maker is not None:
            news.register(maker, select.POLLIN)
        while True:
            makes = first.is_under_way  # asked first: what the journal of one that has ended lacks won't come any more
            journal = store.journal()
            if journal is None or not _same(journal, first):
                return False
            left = journal.left if journal.deadline is not None else None
            if (left is None and not makes) or (left is not None and left <= 0):
                return True
            if left is not None and maker is not None:
                with contextlib.suppress(KeyError):
                    news.unregister(maker)  # it may end now
            news.poll(None if left is None else left * 1000)
            watch.news()


def _take_back(store: Store, first: Journal) -> None:
    """Settle the journal, as soon as nobody else is at work on the host; some tries where not all can be undone."""
    tries = 0
    while tries < TRIES:
        pause = AGAIN
        try:
            with Kernel() as kernel, lock_of(kernel, store.project, first.host, first.lab):
                journal = store.journal()
                if journal is not None and _same(journal, first):
                    settle(store)
                return
        except Busy:
            pass
        except (GuestwireError, OSError):  # a daemon that can't be asked now, too
            tries, pause = tries + 1, PAUSE
        select.poll().poll(pause * 1000)


def _same(journal: Journal, first: Journal) -> bool:
    return (journal.pid, journal.start) == (first.pid, first.start)


def _end_empty_lab() -> None:
    """End an ordinary user's lab that nothing is up in any more, and nobody else is in: no command comes to do it."""
    with contextlib.suppress(OSError):
        with open("/proc/1/comm") as file:
            if file.read().strip() != KEEPER:
                return
        deadline = time.monotonic() + LEAVE
        while time.monotonic() < deadline:
            alone = {name for name in os.listdir("/proc") if name.isdigit()} <= {"1", str(os.getpid())}
            if os.path.isdir(RUN):
                return
            if alone:
                os.kill(1, signal.SIGTERM)
                return
            select.poll().poll(AGAIN * 1000)  # who has been ended is taken in by the keeper


if __name__ == "__main__":
    main(*sys.argv[1:])
