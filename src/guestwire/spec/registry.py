"""Finds the network types or guest kinds: each is a module in its folder, and nothing lists them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from importlib import import_module
from pkgutil import iter_modules
from typing import Generic, TypeVar, get_args

from pydantic import BaseModel

from guestwire.spec.models import Part

__all__ = ["Registry", "keys"]

P = TypeVar("P", bound=Part)


class Registry(Mapping[str, type[P]], Generic[P]):
    """The classes derived from `base` that the modules of a package define.

    They are known by the names that their tag field (`type`, `kind`) admits. A class may have several; the first is its
    module's, so that of all the modules only those are loaded that a file names.
    """

    def __init__(self, package: str, base: type[P], tag: str, default: str | None = None) -> None:
        self.tag = tag
        self.default = default
        """The name meant where the file gives none; None where it has to."""
        self._package = package
        self._base = base
        self._modules = [found.name for found in iter_modules(import_module(package).__path__)]

    def names(self, cls: type[P]) -> tuple[str, ...]:
        """A class's names, the proper one first."""
        return get_args(cls.model_fields[self.tag].annotation)

    def having(self, key: str) -> list[str]:
        """The proper names of the classes that have this key of the file."""
        return [self.names(cls)[0] for cls in self.classes if key in keys(cls)]

    @cached_property
    def classes(self) -> tuple[type[P], ...]:
        """All of them, by their modules' names."""
        return tuple(cls for module in self._modules for cls in _defined(f"{self._package}.{module}", self._base))

    @cached_property
    def _names(self) -> dict[str, type[P]]:
        return {name: cls for cls in self.classes for name in self.names(cls)}

    def __getitem__(self, name: str) -> type[P]:
        if name in self._modules:
            for cls in _defined(f"{self._package}.{name}", self._base):
                if name in self.names(cls):
                    return cls
        return self._names[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@cache
def _defined(module: str, base: type[P]) -> tuple[type[P], ...]:
    """The classes derived from `base` that a module defines."""
    loaded = import_module(module)
    classes = [cls for cls in vars(loaded).values() if inspect.isclass(cls) and cls.__module__ == module]
    return tuple(cls for cls in classes if issubclass(cls, base))


def keys(cls: type[BaseModel]) -> dict[str, str]:
    """The keys that a model has in the file, each with its field's name."""
    return {info.alias or name: name for name, info in cls.model_fields.items()}
