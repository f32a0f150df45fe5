"""What a verb prints with: the result on standard output, messages and questions on standard error."""

from __future__ import annotations

import errno
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping
from typing import TextIO

from guestwire.errors import Refused, UsageError

__all__ = ["ask", "colours", "emit", "probed", "put", "say", "settle_output", "shows_progress", "tell"]


def emit(
    args: Namespace,
    document: Mapping[str, object] | Callable[[], Mapping[str, object]],
    text: str | Callable[[], str],
) -> None:
    """Print the result: the document with `--json`, else the text. Each may be made only when it's wanted.

    A reader who has gone (`guestwire list | head -1`) is no error: the work is done, and the exit code stays as it is.
    """
    if args.json:
        import json

        out = json.dumps(document() if callable(document) else document, indent=2, ensure_ascii=False)
    else:
        out = text if isinstance(text, str) else text()
    if out:
        put(out if out.endswith("\n") else out + "\n")


def put(text: str) -> None:
    """Write to standard output. Raises Refused on a full disk, but not where the reader has gone."""
    _write(sys.stdout, text)


def tell(text: str) -> None:
    """Write to standard error; where nobody reads it there is nobody to tell."""
    _write(sys.stderr, text)


def say(args: Namespace, message: str) -> None:
    """Print a message for the person at the terminal, unless `--quiet`."""
    if not args.quiet:
        tell(message + "\n")


def ask(args: Namespace, question: str) -> None:
    """Go on if `--yes` or the person at the terminal says so. Raises UsageError otherwise; nothing was done then."""
    if args.yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(f"{question} There is no terminal to ask on.", hint="`--yes` answers it.")
    tell(f"{question} [y/N] ")
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise UsageError("nothing was done, as you said.")


def shows_progress(args: Namespace) -> bool:
    """Whether progress is shown: on a terminal only, and not with `--quiet` or `--json`."""
    return sys.stderr.isatty() and not (args.quiet or args.json)


def probed(args: Namespace) -> Callable[[int, int], None] | None:
    """What shows how many probes are done, of how many; None where no progress is shown."""

    def progress(done: int, total: int) -> None:
        tell(f"\r{done:,} of {total:,} probes" if done < total else "\r\033[K")

    return progress if shows_progress(args) else None


def colours(stream: TextIO) -> bool:
    """Whether that stream takes colours; `NO_COLOR` (https://no-color.org) is honoured."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def settle_output() -> None:
    """Write out what standard output still holds. Raises Refused where it can't be written, as on a full disk."""
    put("")


def _write(stream: TextIO, text: str) -> None:
    encoding = stream.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        # The drawings' lines in a terminal that isn't UTF-8, a file's name that is no text: readable beats a failure.
        text = text.encode(encoding, "backslashreplace").decode(encoding)
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        # What the buffer still holds would fail again when Python ends: it goes nowhere now.
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, stream.fileno())
        os.close(devnull)
        if error.errno != errno.EPIPE and stream is sys.stdout:
            message = f"standard output can't be written: {error.strerror}."
            raise Refused(message, hint="What the command did stays done.") from error
