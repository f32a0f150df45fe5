"""The project's own modules, parsed, for the tests that keep its conventions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"


class Module:
    """One file of guestwire."""

    def __init__(self, path: Path) -> None:
        self.path = path
        parts = path.relative_to(SRC).with_suffix("").parts
        self.is_package = parts[-1] == "__init__"
        self.name = ".".join(parts[:-1] if self.is_package else parts)
        self.package = self.name if self.is_package else self.name.rpartition(".")[0]
        self.text = path.read_text(encoding="utf-8")

    def __repr__(self) -> str:
        return self.name

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text, str(self.path))

    @property
    def exported(self) -> list[str] | None:
        """What `__all__` names; None where there is none or it isn't plain."""
        for node in self.tree.body:
            match node:
                case (
                    ast.Assign(targets=[ast.Name(id="__all__")], value=ast.List(elts=names))
                    | ast.AnnAssign(target=ast.Name(id="__all__"), value=ast.List(elts=names))
                ):
                    return [str(ast.literal_eval(name)) for name in names]
        return None

    def imports(self) -> Iterator[tuple[int, str]]:
        """Each line that imports of guestwire and the module that it names, also those inside functions."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (
                    (node.lineno, alias.name) for alias in node.names if alias.name.split(".")[0] == "guestwire"
                )
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                if node.level:
                    above = self.name.split(".") if self.is_package else self.package.split(".")
                    base = ".".join([*above[: len(above) - node.level + 1], *filter(None, [node.module])])
                if base.split(".")[0] == "guestwire":
                    # `from guestwire import api` is of guestwire.api.
                    yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def modules() -> list[Module]:
    """All modules of guestwire."""
    return [Module(path) for path in sorted(SRC.rglob("*.py"))]
