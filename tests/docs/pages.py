"""The pages that people read, and what is in them: blocks, links, and transcripts of commands with what they print.

A transcript is a ```text block that starts with "$ ". It is run as it stands, in a sandbox of its own, and what it
shows must be what is printed; a line "…" in it stands for lines left out. `python -m tests.docs.pages` writes what is
printed into the pages.
"""

from __future__ import annotations

import re
import shlex
import sys
import tempfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from tests.examples import ELSEWHERE, furnish
from tests.sandbox import Sandbox, sandboxed

ROOT = Path(__file__).resolve().parents[2]
WRITTEN = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + [
    page for page in sorted((ROOT / "docs").rglob("*.md")) if "reference" not in page.parts
]
LEFT_OUT = "…"
WIDTH = {"COLUMNS": "100"}
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)


class Block(NamedTuple):
    """A fenced block: its page, the line it starts in, its language and its text."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(*languages: str) -> list[Block]:
    """The fenced blocks of these languages, of all pages."""
    found = []
    for page in WRITTEN:
        text = page.read_text(encoding="utf-8")
        found += [
            Block(page, text.count("\n", 0, match.start()) + 1, match[1], match[2])
            for match in _BLOCK.finditer(text)
            if match[1] in languages
        ]
    return found


def transcripts(elsewhere: bool = False) -> list[Block]:
    """The blocks that show a command and what it prints here; or `elsewhere`, of examples that need another kernel."""
    shown = [block for block in blocks("text") if block.text.startswith("$ ")]
    return [block for block in shown if elsewhere == any(path.name in block.text for path in ELSEWHERE)]


def commands(transcript: str) -> Iterator[tuple[list[str], list[str]]]:
    """Each command of a transcript, in words, with the lines that it prints."""
    lines = transcript.rstrip("\n").split("\n")
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield shlex.split(lines[start].removeprefix("$ "), comments=True), lines[start + 1 : end]


def play(sandbox: Sandbox, transcript: str) -> list[list[str]]:
    """Run the commands of a transcript; the lines that each prints. What it shows as up is brought up before."""
    sandbox.sh("rm -f /etc/resolv.conf; echo nameserver 192.168.7.1 >/etc/resolv.conf")  # not this machine's
    all_words = [words for words, _ in commands(transcript)]
    file = next((word for words in all_words for word in words if word.endswith(".yaml")), None)
    if file:
        furnish(ROOT / file)
    changes = next(words[1] for words in all_words if words[0] == "guestwire") in ("up", "plan", "try")
    if file and not changes:
        sandbox.guestwire("up", file, "--lab")
    printed = []
    for words in all_words:
        ours = words[0] == "guestwire"
        run = sandbox.guestwire if ours else sandbox.run
        done = run(*words[ours:], check=False, env=WIDTH)
        printed.append((done.stdout + done.stderr).rstrip("\n").split("\n") if done.stdout + done.stderr else [])
    if file:
        sandbox.guestwire("down", file)
    return printed


def matches(shown: list[str], printed: list[str]) -> bool:
    """Whether a page shows what was printed, but for the lines that it leaves out."""
    parts = [list(part) for left_out, part in groupby(shown, lambda line: line.strip() == LEFT_OUT) if not left_out]
    if LEFT_OUT not in [line.strip() for line in shown]:
        return [line.rstrip() for line in shown] == [line.rstrip() for line in printed]
    text = "\n" + "\n".join(line.rstrip() for line in printed) + "\n"
    at = 0
    for part in parts:
        wanted = "\n" + "\n".join(line.rstrip() for line in part) + "\n"
        found = text.find(wanted, at)
        if found < 0:
            return False
        at = found + len(wanted) - 1
    return True


def _renewed(block: Block) -> str:
    with tempfile.TemporaryDirectory() as folder, sandboxed(Path(folder)) as sandbox:
        sandbox.folder = ROOT
        printed = play(sandbox, block.text)
    lines = []
    for (words, shown), now in zip(commands(block.text), printed, strict=True):
        keep = any(line.strip() == LEFT_OUT for line in shown)
        if keep and not matches(shown, now):
            print(f"{block}: see to it by hand, it leaves lines out; printed is\n" + "\n".join(now), file=sys.stderr)
        lines += [f"$ {shlex.join(words)}", *(shown if keep else (line.rstrip() for line in now))]
    return "\n".join(lines) + "\n"


def _renew() -> None:
    for block in transcripts():
        text = block.page.read_text(encoding="utf-8")
        block.page.write_text(text.replace(block.text, _renewed(block), 1), encoding="utf-8")
        print(block)


if __name__ == "__main__":
    _renew()
