"""What the tests of frames share: a sandbox where scripts open devices, also as an ordinary user."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.sandbox import Sandbox

START = """
import asyncio, errno, grp, json, os, pwd, socket, struct, subprocess, sys, threading
from guestwire.errors import GuestwireError
from guestwire.frames import *
def why(kind, *args, **more):
    try:
        kind(*args, **more).close()
    except GuestwireError as error:
        return [type(error).__name__, str(error)]
def say(value):
    print(json.dumps(value))
def carries(link):
    # Until the kernel has taken note of a carrier, in its own time, it drops what is sent, without a word.
    while " state UP " not in subprocess.run(["ip", "-o", "link", "show", link], capture_output=True, text=True).stdout:
        pass
"""
EVERYBODY = """
mknod /run/door c 10 200
chmod 666 /run/door
mount --bind /run/door /dev/net/tun
"""
"""The door as udev leaves it, whatever this machine has."""


@pytest.fixture
def said(sandbox: Sandbox) -> Callable[..., Any]:
    """What a script says, run with the names of guestwire.frames; `user` is the number of who runs it."""

    def run(script: str, user: int = 0) -> Any:
        if user:
            start = f"os.setgroups([]); os.setgid({user}); os.setuid({user})\n"
            return json.loads(sandbox.python(START + start + script).stdout)
        return json.loads(sandbox.python(START + script).stdout)

    sandbox.sh(EVERYBODY)
    return run
