"""Parse, dispatch, print the error, end with its exit code."""

from __future__ import annotations

import errno
import gc
import os
import select
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from guestwire import __version__
from guestwire.errors import GuestwireError, Interrupted, NotPermitted, Problem, Unavailable, UsageError
from guestwire.signals import SIGNALS, begin, interrupt, is_interrupted, is_late

__all__ = ["main"]

SHORT = {
    errno.ENOMEM: ("there isn't enough memory", "Free some, or raise the limit (`ulimit -v`)."),
    errno.EMFILE: ("a process may not have so many open files", "Raise the limit, as by `ulimit -n 4096`."),
    errno.ENFILE: ("this machine has no room for more open files", "Raise the limit, as by `sysctl fs.file-max`."),
}
"""What a machine runs short of wherever we are just then, by the error's number; and what helps."""


def main(words: Sequence[str] | None = None) -> int:
    """Run a command; the exit code. Whatever happens, no traceback reaches a person who didn't ask for it."""
    words = sys.argv[1:] if words is None else words
    _have_streams()
    with _short_lived(), _signals_interrupt():
        try:
            return _run(words)
        except KeyboardInterrupt:
            return _report(Interrupted("interrupted."), words)
        except BrokenPipeError as error:
            # Only the reader of our output may go without a word; a daemon that hangs up is an error.
            return 0 if _reader_has_gone() else _report(_defect(error, words), words)
        except Exception as error:
            return _report(_translated(error, words), words)


def _have_streams() -> None:
    """Have a standard stream that was closed lead nowhere: what we open later would be taken for it by what we run."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


def _run(words: Sequence[str]) -> int:
    from guestwire.cli.parse import overview, parse, wants, wants_help
    from guestwire.cli.terminal import put, settle_output, tell

    help_text = wants_help(words)
    if help_text is not None:
        put(help_text)
        return 0
    if wants(words, "--version"):
        put(f"guestwire {__version__}\n")
        return 0
    if not words:
        tell(overview())
        return UsageError.code
    verb, args = parse(words)
    code = verb.run(args)
    settle_output()
    return code


def _report(error: GuestwireError, words: Sequence[str]) -> int:
    """Print the error, as text on standard error or as a document on standard output; its exit code."""
    from guestwire.cli.parse import wants
    from guestwire.cli.terminal import put, tell

    problems = error.problems or (Problem(type(error).__doc__ or ""),)
    if wants(words, "--json"):
        import json

        documents = [_document(problem, error.code) for problem in problems]
        document = {"error": documents[0], "errors": documents, **error.details}
        try:
            put(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        except GuestwireError as unwritten:
            tell(f"guestwire: {unwritten}\n")
    else:
        tell("".join(f"guestwire: {problem}\n" for problem in _spaced(problems)))
    return error.code


def _spaced(problems: Sequence[Problem]) -> list[Problem | str]:
    """What to do about several, where only the last one says it, is meant for all: it gets a line by itself."""
    *others, last = problems
    if not others or not last.hint or any(problem.hint for problem in others):
        return list(problems)
    return [*others, f"{replace(last, hint=None)}\n{last.hint}"]


def _document(problem: Problem, code: int) -> dict[str, object]:
    return {
        "message": problem.message,
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "hint": problem.hint,
        "code": code,
    }


def _translated(error: Exception, words: Sequence[str]) -> GuestwireError:
    """What a person is told of an exception that isn't one of ours."""
    if is_interrupted() and not isinstance(error, GuestwireError):
        return Interrupted("interrupted.")  # type.__new__ and pydantic raise what they like for a KeyboardInterrupt
    if isinstance(error, GuestwireError):
        if _wants_traceback(words) and error.code == GuestwireError.code:
            _traceback(error)
        return error
    if isinstance(error, PermissionError):
        what = f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror or error)
        return NotPermitted(f"not permitted ({what}).", hint="Try it as root, or in a lab: `--lab`.")
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno in SHORT):
        short, hint = SHORT[error.errno if isinstance(error, OSError) and error.errno else errno.ENOMEM]
        return Unavailable(f"{short}.", hint=hint)
    return _defect(error, words)


def _defect(error: Exception, words: Sequence[str]) -> GuestwireError:
    if _wants_traceback(words):
        _traceback(error)
    said = " ".join(str(error).split()) or "no message"
    return GuestwireError(
        f"a defect of guestwire, sorry: {type(error).__name__}: {said} ({_where(error)}).",
        hint="Please report it in guestwire's issue tracker, with what the same command prints with --verbose.",
    )


def _where(error: Exception) -> str:
    """The innermost place of ours that the exception went through."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    place, at = "unknown place", error.__traceback__
    while at is not None:
        file = os.path.abspath(at.tb_frame.f_code.co_filename)
        if file.startswith(here + os.sep):
            place = f"guestwire/{os.path.relpath(file, here)}:{at.tb_lineno}"
        at = at.tb_next
    return place


def _wants_traceback(words: Sequence[str]) -> bool:
    from guestwire.cli.parse import wants

    return wants(words, "--verbose") or os.environ.get("GUESTWIRE_TRACEBACK") == "1"


def _traceback(error: Exception) -> None:
    import traceback

    traceback.print_exception(error)


def _reader_has_gone() -> bool:
    """Whether nobody reads standard output any more; if so, what is still to be written goes nowhere."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), select.POLLOUT)
        gone = any(events & select.POLLERR for _, events in poll.poll(0))
        if gone:
            devnull = os.open(os.devnull, os.O_WRONLY)
            os.dup2(devnull, sys.stdout.fileno())
            os.close(devnull)
        return gone
    except (OSError, ValueError, AttributeError):
        return False


@contextmanager
def _short_lived() -> Iterator[None]:
    """No garbage collection: a command ends before it would pay. One that stays, as `watch`, turns it on again.

    Nor as Python ends, which looks through all that is left several times, 25 ms of each command.
    """
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was:
            gc.enable()


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """SIGTERM, and SIGHUP as the terminal goes, end a command as Ctrl-C does: as an exception, so that it can undo.

    Once a change is whole they end nothing any more, to the last of the process: its exit code shall say what is so.
    """
    before = {}
    begin()
    try:
        for number in SIGNALS:
            if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):  # ignored stays ignored
                before[number] = signal.signal(number, interrupt)
    except ValueError:
        pass  # not the main thread: who runs us there sees to the signals
    try:
        yield
    finally:
        if not is_late():
            for number, handler in before.items():
                signal.signal(number, handler)
