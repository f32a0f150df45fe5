"""What a command that is refused must do: say it once, in full, as text and as JSON, and leave the host as it was."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.sandbox import Sandbox

__all__ = ["errors_of", "place_of", "programs", "refused"]

MARK = "«"

# Both ways in one process, since most of a command's time is Python's start: of each its code, output and errors.
BOTH = """\
import contextlib, io, json, sys
from guestwire.cli.main import main
{prelude}
ways = []
for words in (sys.argv[1:], [*sys.argv[1:], "--json"]):
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    ways.append([code, *(stream.buffer.getvalue().decode() for stream in (out, err))])
json.dump(ways, sys.stdout)
"""


def place_of(text: str) -> tuple[str, tuple[int, int] | None]:
    """The text without the mark at the place that the error must name, and that place's line and column."""
    before, mark, after = text.partition(MARK)
    if not mark:
        return text, None
    return before + after, (before.count("\n") + 1, len(before) - before.rfind("\n"))


def errors_of(
    sandbox: Sandbox,
    *words: str,
    code: int,
    prelude: str = "",
    inside: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> list[Any]:
    """The errors of a command, told alike as text on standard error and as a document on standard output.

    `prelude` is Python that runs before it, `inside` what the command is started with (`env`, `unshare` …).
    """
    script = BOTH.replace("{prelude}", prelude)
    if inside:
        done = sandbox.run(*inside, sys.executable, "-c", script, *words, env=env)
    else:
        done = sandbox.python(script, *words, env=env)
    (text_code, nothing, text), (data_code, data, nothing_else) = json.loads(done.stdout)
    assert (text_code, data_code) == (code, code), (text, data, nothing_else)
    assert (nothing, nothing_else) == ("", ""), (nothing, nothing_else)
    document = json.loads(data)
    assert set(document) == {"error", "errors"}
    assert document["error"] == document["errors"][0]
    lines = []
    for error in document["errors"]:
        assert set(error) == {"message", "file", "line", "column", "hint", "code"}
        assert error["code"] == code
        place = ":".join(str(error[part]) for part in ("file", "line", "column") if error[part] is not None)
        said = f"{place}: {error['message']}" if place else error["message"]
        lines.append(f"guestwire: {said} {error['hint']}\n" if error["hint"] else f"guestwire: {said}\n")
    assert text == "".join(lines)
    assert all(c.isprintable() or c == "\n" for c in text), ascii(text)
    errors: list[Any] = document["errors"]
    return errors


def refused(
    sandbox: Sandbox,
    *words: str,
    code: int,
    says: str,
    hint: str,
    at: tuple[int, int] | None = None,
    prelude: str = "",
    inside: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> None:
    """One error, which says `says`, advises `hint` and names the place `at` of the file; and the host is as before."""
    before = sandbox.snapshot()
    errors = errors_of(sandbox, *words, code=code, prelude=prelude, inside=inside, env=env)
    after = sandbox.snapshot()
    changed = {
        what: (before.get(what), after.get(what)) for what in {**before, **after} if before.get(what) != after.get(what)
    }
    assert not changed, changed
    assert len(errors) == 1, errors
    (error,) = errors
    assert says in error["message"], error
    assert hint in (error["hint"] or ""), error
    assert error["hint"], error
    if at is not None:
        assert (os.path.basename(error["file"]), error["line"], error["column"]) == ("guestwire.yaml", *at), error


def hide(sandbox: Sandbox, *names: str) -> None:
    """Have a sandbox lack those programs, which are looked for in sbin whatever PATH says."""
    sandbox.sh("".join(f"mount --bind /dev/null $(command -v {name})\n" for name in names))


def programs(folder: Path, *names: str) -> str:
    """A folder, for PATH, in which only those programs are."""
    folder.mkdir()
    for name in names:
        found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
        assert found, f"{name} is needed by this test"
        (folder / name).symlink_to(found)
    return str(folder)
