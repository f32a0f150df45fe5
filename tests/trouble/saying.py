"""What a command that is refused must do: say it once, in full, as text and as JSON, and leave the host as it was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.sandbox import Sandbox

__all__ = ["place_of", "refused", "told"]

MARK = "«"


def place_of(text: str) -> tuple[str, tuple[int, int] | None]:
    """The text without the mark at the place that the error must name, and that place's line and column."""
    before, mark, after = text.partition(MARK)
    if not mark:
        return text, None
    return before + after, (before.count("\n") + 1, len(before) - before.rfind("\n"))


def told(text: subprocess.CompletedProcess[str], data: subprocess.CompletedProcess[str], code: int) -> list[Any]:
    """The errors that a command told, once as text and once as JSON; both must say the same and end with `code`."""
    both = f"{text.stdout}{text.stderr}{data.stdout}{data.stderr}"
    assert (text.returncode, data.returncode) == (code, code), both
    assert text.stdout == "", both
    assert data.stderr == "", both
    document = json.loads(data.stdout)
    assert set(document) == {"error", "errors"}
    assert document["error"] == document["errors"][0]
    lines = []
    for error in document["errors"]:
        assert set(error) == {"message", "file", "line", "column", "hint", "code"}
        assert error["code"] == code
        place = ":".join(str(error[part]) for part in ("file", "line", "column") if error[part] is not None)
        lines.append(" ".join(filter(None, (f"guestwire: {place + ': ' if place else ''}{error['message']}", error["hint"]))))
    assert text.stderr == "".join(f"{line}\n" for line in lines)
    assert all(c.isprintable() or c == "\n" for c in text.stderr), ascii(text.stderr)
    errors: list[Any] = document["errors"]
    return errors


def refused(
    sandbox: Sandbox,
    *words: str,
    code: int,
    says: str,
    hint: str,
    at: tuple[int, int] | None = None,
    command: Sequence[str] = (sys.executable, "-m", "guestwire"),
    env: Mapping[str, str] | None = None,
) -> None:
    """Run it both ways: exactly one error, which says `says`, advises `hint` and names the place `at`; nothing remains."""
    before = sandbox.snapshot()
    text = sandbox.run(*command, *words, check=False, env=env)
    data = sandbox.run(*command, *words, "--json", check=False, env=env)
    after = sandbox.snapshot()
    errors = told(text, data, code)
    assert len(errors) == 1, errors
    (error,) = errors
    assert says in error["message"], error
    assert hint in (error["hint"] or ""), error
    assert error["hint"], error
    if at is not None:
        assert (os.path.basename(error["file"]), error["line"], error["column"]) == ("guestwire.yaml", *at), error
    assert after == before


def programs(folder: Path, *names: str) -> str:
    """A folder for PATH in which only those programs are."""
    import shutil

    folder.mkdir()
    for name in names:
        found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
        assert found, f"{name} is needed by this test"
        (folder / name).symlink_to(found)
    return str(folder)
