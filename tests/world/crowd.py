"""Has ten guestwires at once at work on two projects, over and over, and looks each time how they end; in a sandbox.

Each is a fork of a process that has loaded all beforehand, so that they truly meet, and does one thing after another
until one was done.
"""

from __future__ import annotations

import json
import os
import random
import select
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from itertools import cycle, islice
from typing import NoReturn

from guestwire.api import down, up
from guestwire.errors import GuestwireError
from tests.world.faults import forked, load, snapshot

__all__ = ["main"]

SEED = 5
MANY, EACH, TRIES = 10, 5, 5000
AGAIN = 0.01  # seconds
PATIENCE = 20.0  # seconds
DONE, BUSY = 0, 75


def main() -> None:
    """Do so for ARGV[1] rounds with the two files that follow, in labs where ARGV[2] says so.

    Print how often each exit code came, and what was wrong: a project half up, another code, nobody who was through.
    """
    rounds, lab, files = int(sys.argv[1]), sys.argv[2] == "lab", sys.argv[3:]
    for file in files:
        load(file, lab)
    whole = _whole(files, lab)
    pick = random.Random(SEED)
    wrong, codes = [], Counter[int]()
    for number in range(rounds):
        calls = [_verb(pick.choice(["up", "up", "down"]), pick.choice(files), lab) for _ in range(MANY * EACH)]
        ended = _at_once([calls[first::MANY] for first in range(MANY)])
        codes.update(ended)
        if not {DONE} <= set(ended) <= {DONE, BUSY}:
            wrong.append(f"round {number}: ended with {ended}")
        now = _settled(whole)
        if now not in whole:
            other = min((_between(now, each) for each in whole), key=len)
            wrong.append(f"round {number}: something is half up: {'; '.join(other[:4])}")
    ended = [forked(_verb("down", file, lab))[0] for file in files]
    if any(ended) or _settled(whole[:1]) != whole[0]:
        wrong.append(f"at the end: {ended}")
    print(json.dumps({"codes": codes, "wrong": wrong}))


def _whole(files: list[str], lab: bool) -> list[dict[str, object]]:
    """What there is with neither, the first, both and the second up, after a round in which both were before."""
    found: list[dict[str, object]] = []
    for _ in range(2):  # the first leaves what a host keeps of a change, as an address's number
        one, two = files
        found = [snapshot()]
        for verb, file in (("up", one), ("up", two), ("down", one), ("down", two)):
            code, said = forked(_verb(verb, file, lab))
            assert code == DONE, said
            found.append(snapshot())
    return found


def _settled(whole: list[dict[str, object]]) -> dict[str, object]:
    """What there is, once the kernel is through with what was ended; what is half up stays so."""
    until = time.monotonic() + PATIENCE
    while (now := snapshot()) not in whole and time.monotonic() < until:
        select.select([], [], [], AGAIN)
    return now


def _between(now: dict[str, object], whole: dict[str, object]) -> list[str]:
    """What differs, each with what there is and what there should be."""
    keys = [*now, *(key for key in whole if key not in now)]
    return [f"{key}: {now.get(key)} for {whole.get(key)}" for key in keys if now.get(key) != whole.get(key)]


def _verb(verb: str, file: str, lab: bool) -> Callable[[], str]:
    def do() -> str:
        up(file, lab=lab) if verb == "up" else down(file)
        return ""

    return do


def _at_once(several: list[list[Callable[[], str]]]) -> list[int]:
    """The exit codes of forks that make several calls each, until one is through, all let go at one moment."""
    gate, opened = os.pipe()
    answers, ours = os.pipe()
    pids = []
    for calls in several:
        pid = os.fork()
        if pid == 0:
            os.close(opened)
            _child(calls, gate, ours)
        pids.append(pid)
    for end in (gate, opened, ours):
        os.close(end)
    with open(answers, "rb") as file:
        codes = list(file.read())
    return codes + [code for pid in pids if (code := os.waitpid(pid, 0)[1])]


def _child(calls: list[Callable[[], str]], gate: int, answer: int) -> NoReturn:
    broken = 1
    try:
        os.read(gate, 1)  # ends when the last of those who hold the other end has closed it
        for call in islice(cycle(calls), TRIES):
            try:
                call()
                code = DONE
            except GuestwireError as error:
                code = error.code
            os.write(answer, bytes([code]))
            if code == DONE:
                broken = 0
                break
            select.select([], [], [], AGAIN)  # nothing tells when the other is done
    except BaseException:
        traceback.print_exc()
    os._exit(broken)
