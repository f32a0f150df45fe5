"""down: what takes a project away. It doesn't need the file, so it doesn't wait for what reads files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from guestwire.api.bystanders import cut_off
from guestwire.api.domains import with_domains
from guestwire.api.loans import claim, give_back, hand_over, heirs_of, to_look_up
from guestwire.api.lost import lost
from guestwire.api.outcome import Outcome
from guestwire.api.work import at_work, get_in, related, see_on, see_there, standing
from guestwire.apply import State, Store, apply
from guestwire.errors import FileError, Problem
from guestwire.linux.kernel import Kernel
from guestwire.observe import look_up, observe
from guestwire.picture import Desired, Picture
from guestwire.places import DEFAULT_FILE
from guestwire.plan import Plan, make_plan

if TYPE_CHECKING:
    from guestwire.api.acceptance import Trial

__all__ = ["down"]

FEW = 3  # ways that are named one by one


def down(
    path: str | None = None,
    *,
    project: str | None = None,
    netns: str | None = None,
    guard: bool = True,
    warn: Callable[[Problem], None] = lambda warning: None,
) -> Outcome:
    """Remove what `up` made and give back what it borrowed; nothing where nothing is up.

    The project is `project`, or the file's; where it was built is known from its state. With `guard` all stays as it
    is, and Rejected is raised, where the host wouldn't reach any more whom it reaches. `warn` is told what may surprise
    before anything is done.
    """
    name, host, lab = _which(path, project, netns)
    with at_work(name, host, lab) as kernel:
        store = Store(name)
        state = store.state()
        seen = observe(kernel, host, related(name))
        look_up(kernel, seen, to_look_up(state) if state else lost(kernel, seen, host, name))
        if state is None and not lab:
            with_domains(kernel, seen, host)  # its marks there tell what was the project's
        claim(seen, state)
        desired = Desired()
        loans = state.loans if state else {}
        heirs = heirs_of(name, host)
        give_back(desired, seen, name, loans, heirs)
        made = make_plan(seen, desired, name)
        hand_over(loans, heirs)
        warnings = (*cut_off(kernel, made, seen), *(() if made or state or project else _others_of(path)))
        for warning in warnings:
            warn(warning)
        trial = _guarded(kernel, made, seen, host) if guard and made and not lab else None
        if made or state:
            apply(kernel, made, store, host, None, trial.judge if trial else None)
        return Outcome(name, made, warnings, acceptance=trial.result if trial else None)


def _guarded(kernel: Kernel, made: Plan, seen: Picture, host: str) -> Trial:
    """What judges a removal: the guard of the host, where something of it is touched. A lab's host goes, too."""
    from guestwire.api.acceptance import Trial, guard_of

    trial = Trial(guard_of(kernel, made, seen, host))
    trial.begin(anew=False)
    return trial


def _others_of(path: str | None) -> Iterator[Problem]:
    """What to say of each project that is up by the same file, under a name that only --project gave it."""
    for state in _built_from(path, standing()):
        message = f"project {state.project} is up, and was built from this file too."
        yield Problem(message, f"`guestwire down --project {state.project}` takes it down.")


def _built_from(path: str | None, up: list[State]) -> list[State]:
    try:
        place = str(Path(path or DEFAULT_FILE).absolute())
    except FileNotFoundError:
        hint = "Name the project: `guestwire down --project NAME`; `guestwire list` has them."
        raise FileError("the folder that this runs in has been deleted.", hint=hint) from None
    return [state for state in up if state.file == place]


def _needs_no_file(path: str | None, up: list[State]) -> Iterator[Problem]:
    """The way out where the file can't say what is meant: by the name of what was built from it, else of what is up."""
    names = sorted(state.project for state in _built_from(path, up) or up)
    if names:
        ways = " or ".join(f"`guestwire down --project {name}`" for name in names[:FEW])
        more = " `guestwire list` has the others." if len(names) > FEW else ""
        yield Problem("what is up can be taken down without a file, by its name.", f"{ways}.{more}")


def _which(path: str | None, project: str | None, netns: str | None) -> tuple[str, str, bool]:
    """The project that is meant, its host and kind.

    It is found by its name, or by the file that it was built from, whatever that says by now: a broken file can't keep
    it up. Only where neither is known the file is read.
    """
    if project is None:
        up = [each for each in standing() if netns in (None, each.host)]
        found = [each for each in _built_from(path, up) if not each.renamed]
        if len(found) != 1:
            return _by_its_file(path, netns, up)
        get_in(found[0].project, lab=False, changes=True)
        return found[0].project, found[0].host, found[0].lab
    get_in(project, lab=False, changes=True)
    state = Store(project).standing()
    if state is None:
        see_there(netns)
        return project, netns or "", False
    see_on(project, state.host, netns)
    return project, state.host, state.lab


def _by_its_file(path: str | None, netns: str | None, up: list[State]) -> tuple[str, str, bool]:
    # Only here: what reads files takes as long to load as all the rest of this verb.
    from guestwire.api.situation import situation

    try:
        where = situation(path, lab=False, project=None, netns=netns, changes=True)
    except FileError as error:
        raise FileError(*error.problems, *_needs_no_file(path, up)) from None
    return where.project, where.host, where.lab
