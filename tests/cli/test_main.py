"""However a command ends: its exit code, and what is said where."""

from __future__ import annotations

import errno
import gc
import io
import json
import os
import resource
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable

import pytest

from guestwire.cli import main as command
from guestwire.cli import terminal
from guestwire.cli.table import Verb
from guestwire.errors import FileError, GuestwireError, Problem, Refused, UsageError

Run = Callable[[Namespace], int]


class Fake:
    """A verb that does what the test says."""

    VERB = Verb("fake", "does what a test says")

    def __init__(self, run: Run) -> None:
        self.run = run


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch) -> Callable[[Run], None]:
    """Make `guestwire fake` run this."""

    def use(run: Run) -> None:
        import guestwire.cli.parse

        monkeypatch.setattr(guestwire.cli.parse, "load", lambda name: Fake(run))

    return use


def raising(error: BaseException) -> Run:
    """A verb that ends in this."""

    def run(args: Namespace) -> int:
        raise error

    return run


PROBLEM = Problem("uplink eth9 doesn't exist", hint="Did you mean eth0?", file="lab.yaml", line=3, column=7)


def test_a_verbs_exit_code_is_the_commands(verb: Callable[[Run], None]) -> None:
    verb(lambda args: 3)
    assert command.main(["fake"]) == 3


@pytest.mark.parametrize("kind", [GuestwireError, *GuestwireError.__subclasses__()])
def test_an_error_ends_in_its_code_and_says_all(
    kind: type[GuestwireError], verb: Callable[[Run], None], capsys: pytest.CaptureFixture[str]
) -> None:
    verb(raising(kind(PROBLEM, "another")))
    assert command.main(["fake"]) == kind.code
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "guestwire: lab.yaml:3:7: uplink eth9 doesn't exist Did you mean eth0?\nguestwire: another\n"


def test_an_error_is_a_document_with_json(verb: Callable[[Run], None], capsys: pytest.CaptureFixture[str]) -> None:
    verb(raising(FileError(PROBLEM, "another")))
    assert command.main(["--json", "fake"]) == 65
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert err == ""
    assert document["error"] == document["errors"][0]
    assert document["error"] == {
        "message": "uplink eth9 doesn't exist",
        "file": "lab.yaml",
        "line": 3,
        "column": 7,
        "hint": "Did you mean eth0?",
        "code": 65,
    }
    assert [e["message"] for e in document["errors"]] == ["uplink eth9 doesn't exist", "another"]


def test_an_interrupt_that_python_or_pydantic_makes_something_else_of(
    verb: Callable[[Run], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """As it raises RuntimeError where a class is in the making, and SchemaError where a model is."""

    def run(args: Namespace) -> int:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt:
            raise RuntimeError("Error calling __set_name__") from None
        return 0

    verb(run)
    assert command.main(["fake"]) == 130
    assert capsys.readouterr().err == "guestwire: interrupted.\n"
    verb(raising(RuntimeError("another")))
    assert command.main(["fake"]) == 70


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (PermissionError(1, "Operation not permitted"), 77, "not permitted"),
        (PermissionError(13, "Permission denied", "/dev/tap7"), 77, "/dev/tap7"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (ZeroDivisionError("division\nby zero"), 70, "ZeroDivisionError: division by zero (guestwire/cli/main.py:"),
        (BrokenPipeError(32, "Broken pipe"), 70, "BrokenPipeError"),
        (MemoryError(), 69, "enough memory"),
        (OSError(errno.EMFILE, "Too many open files", "/x"), 69, "ulimit -n"),
    ],
)
def test_foreign_exceptions_are_put_into_words(
    error: BaseException,
    code: int,
    said: str,
    verb: Callable[[Run], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    verb(raising(error))
    assert command.main(["fake"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert err.count("\n") == 1
    assert "Traceback" not in err


def test_no_word_acts_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a word of the command nor what a file is called."""
    assert command.main(["up", "f", "\x1b[31m\u202e\n"]) == 64
    assert command.main(["plan", "\x1b]0;title\x07.yaml"]) == 65
    said = capsys.readouterr().err
    assert said.count("\n") == 2
    assert all(line.isprintable() for line in said.splitlines())
    assert "\\x1b[31m\\u202e\\n" in said


@pytest.mark.parametrize("how", ["--verbose", "GUESTWIRE_TRACEBACK"])
def test_a_defect_shows_its_traceback_when_asked(
    how: str,
    verb: Callable[[Run], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    verb(raising(ZeroDivisionError("x")))
    if how != "--verbose":
        monkeypatch.setenv(how, "1")
    assert command.main(["fake", *([how] if how == "--verbose" else [])]) == 70
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_interrupts_so_that_a_verb_can_undo(number: signal.Signals, verb: Callable[[Run], None]) -> None:
    undone = []

    def run(args: Namespace) -> int:
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt:
            undone.append(True)
            raise
        return 0

    before = signal.getsignal(number)
    verb(run)
    assert command.main(["fake"]) == 130
    assert undone
    assert signal.getsignal(number) == before
    assert gc.isenabled()


def python(*words: str) -> subprocess.CompletedProcess[str]:
    """Run guestwire as a process of its own."""
    return subprocess.run([sys.executable, "-m", "guestwire", *words], text=True, capture_output=True, check=False)


def test_help_version_and_nothing() -> None:
    assert python("--help").returncode == 0
    assert "up" in python("--help").stdout
    assert python("--version").stdout.startswith("guestwire ")
    nothing = python()
    assert (nothing.returncode, nothing.stdout) == (64, "")
    assert "Verbs:" in nothing.stderr


def test_help_is_quick() -> None:
    """The figure is 0.2 s for the whole process, which the bench measures; here of a processor, that others use too."""
    took = []
    for _ in range(5):
        begun = resource.getrusage(resource.RUSAGE_CHILDREN)
        python("--help")
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(ended.ru_utime - begun.ru_utime + ended.ru_stime - begun.ru_stime)
    assert min(took) < 0.2


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from guestwire.cli.main import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "guestwire.cli.verbs.up" in loaded
    assert not loaded & {"pydantic", "yaml", "guestwire.api", "guestwire.spec", "asyncio", "json"}


def test_until_a_command_has_begun_a_ctrl_c_just_ends_it() -> None:
    code = (
        "import signal as s; s.signal(s.SIGINT, s.default_int_handler); import guestwire.__main__;"
        "assert s.getsignal(s.SIGINT) is s.SIG_DFL; s.raise_signal(s.SIGINT)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


def test_a_reader_who_goes_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "guestwire", "--help"], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("words", "code"), [(["--help"], 71), (["up", "--jsno", "--json"], 64)])
def test_a_full_disk_is_said(words: list[str], code: int) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run(
            [sys.executable, "-m", "guestwire", *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == code
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_terminal_that_is_not_utf8_still_gets_the_text() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "guestwire", "exec", "--help"],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "COMMAND\\u2026" in done.stdout


def test_closed_streams_are_no_defect() -> None:
    for redirection in (">&-", "2>&-", ">&- 2>&-"):
        done = subprocess.run(
            ["sh", "-c", f'"{sys.executable}" -m guestwire --version {redirection}'],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_a_question_without_a_terminal_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(UsageError, match="--yes"):
        terminal.ask(Namespace(yes=False), "Remove it?")
    terminal.ask(Namespace(yes=True), "Remove it?")


def test_a_result_is_a_document_or_text(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.emit(Namespace(json=True), {"held": True}, raising_text)
    assert json.loads(capsys.readouterr().out) == {"held": True}
    terminal.emit(Namespace(json=False), {}, "text")
    assert capsys.readouterr().out == "text\n"


def raising_text() -> str:
    """Text that must not be made."""
    raise Refused("made all the same")
