"""Finds the network types or guest kinds: each is a module in its folder, and nothing lists them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Generic, TypeVar, get_args

from pydantic import BaseModel

from guestwire.spec.models import Part

__all__ = ["Registry", "discover", "keys"]

P = TypeVar("P", bound=Part)


class Registry(Mapping[str, type[P]], Generic[P]):
    """Classes by the names that their tag field (`type`, `kind`) admits; a class may have several names."""

    def __init__(self, tag: str, classes: Iterable[type[P]], default: str | None = None) -> None:
        self.tag = tag
        self.default = default
        """The name meant where the file gives none; None where it has to."""
        self.classes = tuple(classes)
        self._names = {name: cls for cls in self.classes for name in self.names(cls)}

    def names(self, cls: type[P]) -> tuple[str, ...]:
        """A class's names, the proper one first."""
        return get_args(cls.model_fields[self.tag].annotation)

    def having(self, key: str) -> list[str]:
        """The proper names of the classes that have this key of the file."""
        return [self.names(cls)[0] for cls in self.classes if key in keys(cls)]

    def __getitem__(self, name: str) -> type[P]:
        return self._names[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def keys(cls: type[BaseModel]) -> dict[str, str]:
    """The keys that a model has in the file, each with its field's name."""
    return {info.alias or name: name for name, info in cls.model_fields.items()}


def discover(package: str, base: type[P], tag: str, default: str | None = None) -> Registry[P]:
    """The classes derived from `base` that the modules of a package define."""
    classes: list[type[P]] = []
    for found in iter_modules(import_module(package).__path__):
        module = import_module(f"{package}.{found.name}")
        for cls in vars(module).values():
            if inspect.isclass(cls) and issubclass(cls, base) and cls.__module__ == module.__name__:
                classes.append(cls)
    return Registry(tag, classes, default)
