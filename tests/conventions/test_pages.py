"""The generated files are current, and what the README tells to type exists."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

from guestwire.cli.parse import parse


def fenced(page: Path) -> list[str]:
    """The commands in a page's shell blocks, without the prompt and what is said of them."""
    blocks = re.findall(r"^```(?:sh|console|bash)\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [line.removeprefix("$ ") for line in lines if re.match(r"(\$ )?(make|guestwire)\b", line)]


def test_generated_files_are_current(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "tools/generate.py", "--check"], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_readme_names_targets_of_the_makefile(root: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(encoding="utf-8"), re.M))
    readme = (root / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`make ([a-z-]+)", readme))
    named |= {line.split()[1] for line in fenced(root / "README.md") if line.startswith("make ")}
    assert {"demo", "test"} <= named <= targets


def test_commands_in_pages_are_commands(root: Path) -> None:
    """Each is parsed; how it ends isn't asked."""
    for page in [root / "README.md", *(root / "docs").rglob("*.md")]:
        for line in fenced(page):
            words = shlex.split(re.split(r" [|>] ", line)[0], comments=True)
            if words[0] == "guestwire" and not {"--help", "--version"} & set(words):
                parse(words[1:])


def test_ci_runs_the_readmes_test_command(root: Path) -> None:
    assert "exec make test" in (root / ".ci" / "run").read_text(encoding="utf-8")
