"""Every module says its job and what it exports, is short, waits on events and has a name of the project's words."""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conventions.source import ROOT, SRC, Module, modules

MODULE_LINES = 400
FUNCTION_LINES = 60
FORBIDDEN = re.compile(r"manager|helper|util", re.IGNORECASE)
each_module = pytest.mark.parametrize("module", modules(), ids=repr)


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions and methods."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def defined(module: Module) -> set[str]:
    """The names that a module's top level makes itself, those under `if` and `try` too."""
    found: set[str] = set()

    def visit(body: list[ast.stmt]) -> None:
        for node in body:
            match node:
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    found.add(name)
                case ast.Assign(targets=targets):
                    names = (n for target in targets for n in ast.walk(target))
                    found.update(n.id for n in names if isinstance(n, ast.Name))
                case ast.AnnAssign(target=ast.Name(id=name)):
                    found.add(name)
                case ast.If() | ast.Try() | ast.With() | ast.For():
                    visit([s for field in ("body", "orelse", "finalbody") for s in getattr(node, field, [])])

    visit(module.tree.body)
    return found


@each_module
def test_constants_are_given_once(module: Module) -> None:
    """The second of a name would take the first one's place, which no linter says."""
    given = Counter(n.id for node in module.tree.body for n in _targets(node))
    assert not [name for name, times in given.items() if times > 1]


def _targets(node: ast.stmt) -> list[ast.Name]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [n for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]


@each_module
def test_first_line_says_the_job(module: Module) -> None:
    docstring = ast.get_docstring(module.tree)
    assert docstring, "no docstring"
    first = docstring.splitlines()[0]
    assert len(first) >= 20, f"says too little: {first!r}"


@each_module
def test_exports_are_said_and_exist(module: Module) -> None:
    if module.name.endswith("__main__"):
        return
    assert module.exported is not None, "no plain `__all__`"
    assert len(set(module.exported)) == len(module.exported)
    own = defined(module)
    # A package may pass on what its modules define, a module only what it defines; one that loads its modules when they
    # are asked for says under TYPE_CHECKING what it passes on.
    lazy = [node for branch in module.tree.body if isinstance(branch, ast.If) for node in branch.body]
    imported = {
        alias.asname or alias.name
        for node in [*module.tree.body, *(lazy if "__getattr__" in own else [])]
        if isinstance(node, ast.Import | ast.ImportFrom) and module.is_package
        for alias in node.names
    }
    assert not set(module.exported) - own - imported


@each_module
def test_public_names_are_exported(module: Module) -> None:
    classes_and_functions = {
        node.name
        for node in module.tree.body
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_")
    }
    assert not classes_and_functions - set(module.exported or []), "public, but not in `__all__`: rename it `_…`?"


def test_each_name_is_exported_once_in_a_package() -> None:
    packages: dict[str, list[Module]] = defaultdict(list)
    for module in modules():
        if not module.is_package:
            packages[module.package].append(module)
    twice = []
    for package, members in packages.items():
        where: dict[str, list[str]] = defaultdict(list)
        for module in members:
            for name in module.exported or []:
                where[name].append(module.name.rpartition(".")[2])
        # What most files of a folder export is the contract that makes each of them one of its kind.
        twice += [
            f"{package}: {name} in {', '.join(places)}"
            for name, places in where.items()
            if 1 < len(places) <= len(members) / 2
        ]
    assert not twice


@each_module
def test_is_short(module: Module) -> None:
    assert len(module.text.splitlines()) <= MODULE_LINES
    long = {
        f.name: f"{length} lines, from line {f.lineno}"
        for f in functions(module.tree)
        if f.end_lineno and (length := f.end_lineno - f.lineno + 1) > FUNCTION_LINES
    }
    assert not long


@each_module
def test_name_is_a_noun_of_the_field(module: Module) -> None:
    assert not FORBIDDEN.search(module.name)
    classes = [node.name for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef)]
    assert not [name for name in classes if FORBIDDEN.search(name)]


@pytest.mark.parametrize(
    "path", sorted([*SRC.rglob("*.py"), *(ROOT / "tests").rglob("*.py")]), ids=lambda p: str(p.relative_to(ROOT))
)
def test_nothing_sleeps(path: Path) -> None:
    """Who sleeps guesses how long something takes: wait on the event, with a timeout."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    lines = [
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr == "sleep" and ast.unparse(node.value) in {"time", "asyncio"})
        or (isinstance(node, ast.ImportFrom) and node.module in {"time", "asyncio"} and _names(node) & {"sleep"})
    ]
    assert not lines


def _names(node: ast.ImportFrom) -> set[str]:
    return {alias.name for alias in node.names}


def test_no_function_of_the_api_is_called_as_a_module_of_it() -> None:
    """Importing the module would take the function's place in the package, from its second use on."""
    from guestwire import api

    names = {module.name.rpartition(".")[2] for module in modules() if module.name.startswith("guestwire.api.")}
    assert not names & set(api.__all__)
