"""Turns pydantic's errors into problems of the file: the one place that knows both."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from guestwire.nearest import nearest
from guestwire.printable import quote
from guestwire.spec.models import Part
from guestwire.spec.registry import Registry, keys
from guestwire.spec.report import Hint, Report, Where, meant

__all__ = ["translate"]


def translate(
    error: ValidationError, cls: type[Part], where: Where, report: Report, registry: Registry[Any] | None
) -> None:
    """Report each error of validating `cls` at this path of the file. The registry knows other classes' keys."""
    for detail in error.errors(include_url=False):
        loc: Where = tuple(detail["loc"])
        kind = detail["type"]
        if kind == "extra_forbidden":
            _unknown(cls, where, loc, report, registry)
        elif kind == "missing":
            message = f'missing key "{loc[-1]}"'
            report.at((*where, *loc[:-1]), f"{message}: {_description(cls, loc)}.", f"Add {loc[-1]}: ….", key=True)
        else:
            message, hint = _message(detail)
            key = " ".join(str(part) for part in _own(where, loc) if isinstance(part, str))
            report.at((*where, *loc), f"{key}: {message}" if key else message, hint)


def _message(detail: ErrorDetails) -> tuple[str, Hint]:
    context: dict[str, Any] = detail.get("ctx", {})
    value = detail["input"]
    match detail["type"]:
        case "guestwire":
            return str(context["message"]), context["hint"]
        case "literal_error":
            words = re.findall(r"'([^']*)'", str(context["expected"]))
            if value == "":
                return "has no value.", f"Write one of {', '.join(words)}."
            if not isinstance(value, str):
                return "expected a word.", f"Write one of {', '.join(words)}."
            return f"{quote(value)} is not known here.", lambda: meant(value, words)
        case "model_type" | "model_attributes_type" | "dict_type":
            return "expected keys and values.", "Write {KEY: VALUE}, or leave it out."
        case _:
            return f"{detail['msg']}.", None


def _unknown(cls: type[Part], where: Where, loc: Where, report: Report, registry: Registry[Any] | None) -> None:
    """A key that this class doesn't have: another one's, or a slip."""
    key = str(loc[-1])
    known: Collection[str] = keys(_model(cls, loc[:-1]))
    others = registry.having(key) if registry and len(loc) == 1 else []
    if registry and others:
        mine = registry.names(cls)[0]
        have = "has" if len(others) == 1 else "have"
        message = f"key {quote(key)} means nothing for {registry.tag} {mine}; {', '.join(others)} {have} it."
        report.at((*where, *loc), message, "Leave it out.", key=True)
        return
    report.at((*where, *loc), f"unknown key {quote(key)}.", lambda: _slip(key, known), key=True)


def _slip(key: str, known: Collection[str]) -> str:
    near = nearest(key, known)
    return f"Did you mean {quote(near)}?" if near else f"The keys here are {', '.join(known)}."


def _model(cls: type[Part], loc: Where) -> type[BaseModel]:
    """The model at this path below `cls`."""
    model: type[BaseModel] = cls
    for part in loc:
        if isinstance(part, str):
            field = next((f for n, f in model.model_fields.items() if part in (n, f.alias)), None)
            model = (field and _inner(field.annotation)) or model
    return model


def _inner(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _inner(arg))), None)


def _description(cls: type[Part], loc: Where) -> str:
    model = _model(cls, loc[:-1])
    return next((f.description or n for n, f in model.model_fields.items() if loc[-1] in (n, f.alias)), str(loc[-1]))


def _own(where: Where, loc: Where) -> Where:
    """The keys to name in the message: those that the subject in front of it doesn't say."""
    return loc[2:] if where[:1] == ("guests",) and loc[:1] == ("nics",) and len(loc) > 1 else loc
