"""service: a project built and watched from boot on, by a unit of systemd's."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from typing import Any

from guestwire.api.situation import situation
from guestwire.daemons import systemd
from guestwire.errors import FileError, NotPermitted, Refused, UsageError
from guestwire.guests import KINDS
from guestwire.linux.programs import run_program
from guestwire.linux.userns import capable
from guestwire.networks import TYPES
from guestwire.places import DEFAULT_FILE
from guestwire.spec import load

__all__ = ["Service", "install_service", "remove_service"]

MARK = "# guestwire: "
SECONDS = 330  # a start may take as long as the unit says
UNIT = """\
{mark}{project}
[Unit]
Description=guestwire builds and keeps the network of {project}
Documentation=man:guestwire(1)
# After the host's own network, whose addresses a bridge with an uplink takes over, and after those who set all of the
# sysctls and rules; before those who start guests on it.
Wants=network-online.target
After=network-online.target systemd-sysctl.service nftables.service firewalld.service
Before=libvirtd.service virtqemud.service virtnetworkd.service docker.service
RequiresMountsFor={folder}
# Where several projects are built at once all but one try again.
StartLimitIntervalSec=5min
StartLimitBurst=60

[Service]
Type=notify
# A repair that was killed is settled first; nothing goes on over one that isn't.
ExecStartPre=-{settle}
ExecStart={command}
# The servers and cables that it starts are to outlive it: stopping it leaves the network as it is.
KillMode=process
Restart=on-failure
RestartSec=1
TimeoutStartSec=5min
WatchdogSec=60

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class Service:
    """A project's unit: whether it is `there` now, and what is left to be run by hand, as systemd doesn't run here."""

    project: str
    path: str
    there: bool
    changed: bool
    run: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As JSON knows it."""
        return {**self.__dict__, "run": list(self.run)}


def install_service(path: str | None = None, *, project: str | None = None, netns: str | None = None) -> Service:
    """Write a project's unit, enable and start it.

    Raises FileError where the file is wrong or a unit of that name isn't ours, Refused with the unit as it was before,
    NotPermitted.
    """
    _see_that_we_may()
    if path == "-":
        raise UsageError("a service reads the file at each boot.", hint="Give it a file, not `-`.")
    where = situation(path, lab=False, project=project, netns=netns, changes=True)
    if where.lab:
        raise UsageError(
            f"project {where.project} is up in a lab.", hint="A service is for the host itself: take it down."
        )
    program, named = [sys.executable, "-P", "-m", "guestwire"], ["--project", where.project]
    words = [*program, "watch", where.path, "--up", *named, *(["--netns", where.host] if where.host else [])]
    text = UNIT.format(
        mark=MARK,
        project=where.project,
        folder=systemd.quote([os.path.dirname(where.path)]),
        settle=systemd.quote([*program, "rollback", *named]),
        command=systemd.quote(words),
    )
    name, place = _unit(where.project)
    before = _ours(name, place)
    if before != text:
        _write(place, text)
    commands = ("daemon-reload",), ("enable", name), ("restart" if before not in (None, text) else "start", name)
    if not systemd.runs():
        return Service(where.project, place, True, before != text, tuple(f"systemctl {' '.join(c)}" for c in commands))
    try:
        for command in commands:
            _systemctl(*command)
    except OSError as error:
        if before is None:
            with contextlib.suppress(OSError):
                _systemctl("disable", name)
            os.unlink(place)
        elif before != text:
            _write(place, before)
        with contextlib.suppress(OSError):
            _systemctl("daemon-reload")
        hint = f"`journalctl -u {name}` says more; `guestwire plan` what it would build."
        raise Refused(f"systemd refused {name}: {error.strerror}.", hint=hint) from error
    return Service(where.project, place, True, before != text)


def remove_service(path: str | None = None, *, project: str | None = None) -> Service:
    """Stop and disable a project's unit and take it away; what it built stays. Raises as `install_service` does."""
    _see_that_we_may()
    if project is None:
        project = load(path or DEFAULT_FILE, networks=TYPES, guests=KINDS).name
    name, place = _unit(project)
    if _ours(name, place) is None:
        return Service(project, place, False, False)
    if systemd.runs():
        try:
            _systemctl("disable", "--now", name)
        except OSError as error:
            raise Refused(f"systemd refused to end {name}: {error.strerror}.", hint="It is left as it is.") from error
    os.unlink(place)
    if not systemd.runs():
        return Service(project, place, False, True, (f"systemctl disable --now {name}", "systemctl daemon-reload"))
    with contextlib.suppress(OSError):
        _systemctl("daemon-reload")
    return Service(project, place, False, True)


def _systemctl(*words: str) -> None:
    """Run systemctl. Raises OSError in its own words."""
    run_program(("systemctl", *words), SECONDS)


def _see_that_we_may() -> None:
    if not capable():
        raise NotPermitted("a service of the system is root's to install.", hint="Run it as root.")


def _unit(project: str) -> tuple[str, str]:
    name = f"guestwire-{project}.service"
    return name, f"{systemd.FOLDER}/{name}"


def _ours(name: str, place: str) -> str | None:
    """The text of our unit, None where there is none. Raises FileError where somebody else has one of that name."""
    for path in (place, *(f"{folder}/{name}" for folder in systemd.VENDORS)):
        with contextlib.suppress(FileNotFoundError), open(path) as file:
            text = file.read()
            if path != place or not text.startswith(MARK):
                message = f"{path} is there already and isn't guestwire's; it is left as it is."
                raise FileError(message, hint="Give the project another name with --project.")
            return text
    return None


def _write(place: str, text: str) -> None:
    os.makedirs(systemd.FOLDER, exist_ok=True)
    beside = f"{place}.new"
    try:
        with open(beside, "w") as file:
            file.write(text)
        os.rename(beside, place)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise Refused(f"{place} can't be written: {error.strerror}.") from error
