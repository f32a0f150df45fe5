"""The file's JSON Schema and the reference page of its keys, both made from the models that validate it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from guestwire.naming import NAME
from guestwire.spec.expect import PATTERN
from guestwire.spec.file import File
from guestwire.spec.models import Guest, Lab, Network, Nic, Part, Port, kebab
from guestwire.spec.registry import Registry

__all__ = ["reference", "schema"]

Json = dict[str, Any]
_ABOUT = "https://json-schema.org/draft/2020-12/schema"


def schema(networks: Registry[Network], guests: Registry[Guest]) -> Json:
    """A JSON Schema (draft 2020-12) of the file, with the short forms, for editors.

    It admits some files that `load` refuses, such as two guests with one address. What it wants as a text has to be one
    for YAML too: `load` takes an unquoted 7 or on for a name, an editor marks it.
    """
    defs: Json = {}
    nets = [_define(cls, defs, networks) for cls in networks.classes]
    kinds = [_define(cls, defs, guests) for cls in guests.classes]
    nic = defs["Nic"]
    defs["Nic"] = {"description": nic["description"], "anyOf": [{"type": "string"}, nic]}
    bodies: Json = {
        "name": {"type": "string", "pattern": NAME},
        "lab": {"$ref": f"#/$defs/{_define(Lab, defs)}"},
        "networks": _named(nets),
        "guests": _named(kinds, null=True),
        "expect": {"type": ["array", "null"], "items": {"type": "string", "pattern": PATTERN}},
    }
    return {
        "$schema": _ABOUT,
        "title": "guestwire.yaml",
        "type": "object",
        "additionalProperties": False,
        "properties": {key: {**bodies[key], "description": f.description} for key, f in File.model_fields.items()},
        "$defs": dict(sorted(defs.items())),
    }


def _define(cls: type[Part], defs: Json, registry: Registry[Any] | None = None) -> str:
    """Put the class and what it refers to among the definitions; its name there."""
    made: Json = _tidy(cls.model_json_schema(by_alias=True))
    defs.update(made.pop("$defs", {}))
    if registry and registry.default not in registry.names(cls):
        made["required"] = sorted({*made.get("required", ()), registry.tag})
    defs[cls.__name__] = made
    return cls.__name__


def _named(names: Iterable[str], null: bool = False) -> Json:
    bodies: list[Json] = [{"$ref": f"#/$defs/{name}"} for name in names]
    if null:
        bodies.append({"type": "null"})
    return {
        "type": ["object", "null"],
        "propertyNames": {"pattern": NAME},
        "additionalProperties": {"anyOf": bodies},
    }


def _tidy(value: Any) -> Any:
    """Without pydantic's generated titles, and without null: a key without a value is an error in the file."""
    if isinstance(value, list):
        return [_tidy(item) for item in value]
    if not isinstance(value, dict):
        return value
    options = [option for option in value.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) == 1:
        value = {**options[0], **{k: v for k, v in value.items() if k not in ("anyOf", "title")}}
    return {
        key: _tidy(item)
        for key, item in value.items()
        if not (key == "default" and item is None) and not (key == "title" and str(item)[:1].isupper())
    }


def reference(networks: Registry[Network], guests: Registry[Guest]) -> str:
    """The reference of all keys in Markdown, a table for each part of the file."""
    return "\n".join(_pages(networks, guests)) + "\n"


def _pages(networks: Registry[Network], guests: Registry[Guest]) -> Iterator[str]:
    made = schema(networks, guests)
    defs = made["$defs"]
    yield "# The file\n"
    yield from _table(made, ())
    yield "\n## lab\n"
    yield from _table(defs["Lab"], ())
    for registry, base, section in ((networks, Network, "networks"), (guests, Guest, "guests")):
        yield from _section(registry, base, section, defs)
    for cls, heading in ((Nic, "A NIC"), (Port, "A port")):
        yield f"\n## {heading}\n\n{_first(cls)}\n"
        table = defs[cls.__name__]
        yield from _table(table["anyOf"][1] if "anyOf" in table else table, ())


def _section(registry: Registry[Any], base: type[Part], section: str, defs: Json) -> Iterator[str]:
    """Each type or kind: first what all have, as the first class has it, then each one's own keys."""
    tag = registry.tag
    common = [f.alias or name for name, f in base.model_fields.items()]
    yield f"\n## {section}\n"
    default = f" Without `{tag}` it is `{registry.default}`." if registry.default else ""
    yield f"Each has a name, and these keys whatever its {tag}.{default}\n"
    shared: Json = _tidy(base.model_json_schema(by_alias=True))
    if registry.default:
        shared["properties"][tag]["default"] = registry.default
        shared["required"].remove(tag)
    yield from _table(shared, ())
    for cls in registry.classes:
        names = " or ".join(f"`{name}`" for name in registry.names(cls))
        yield f"\n### {tag}: {names}\n\n{_first(cls)}\n"
        required = set(defs[cls.__name__].get("required", ())) - set(shared.get("required", ()))
        own = defs[cls.__name__]
        yield from _table(own, [key for key in common if key not in required])
        for key, value in own["properties"].items():
            if "$ref" in value and key not in common:
                inner = defs[value["$ref"].rpartition("/")[2]]
                yield f"\n#### {key}\n\n{inner['description'].splitlines()[0]}\n"
                yield from _table(inner, ())


def _first(cls: type[Part]) -> str:
    return (cls.__doc__ or "").strip().split("\n")[0].replace("``", "`")


def _table(made: Json, without: Iterable[str]) -> Iterator[str]:
    rows = [(key, value) for key, value in made["properties"].items() if key not in without]
    if not rows:
        yield "No keys besides."
        return
    yield "| key | value | default | meaning |"
    yield "|---|---|---|---|"
    for key, value in rows:
        needed = "required" if key in made.get("required", ()) else _plain(value.get("default", ""))
        yield f"| `{key}` | {_value(value)} | {needed} | {value.get('description', '')} |".replace("  ", " ")


def _value(value: Json) -> str:
    """What to write, in words."""
    if "title" in value:
        return str(value["title"])
    if "enum" in value or "const" in value:
        return ", ".join(f"`{word}`" for word in value.get("enum", [value.get("const")]))
    if "$ref" in value:
        return f"keys and values, see {kebab(_words(value['$ref'].rpartition('/')[2]))}"
    kinds = value.get("type", "")
    kind = kinds[0] if isinstance(kinds, list) else kinds
    return {"array": "a list", "object": "names, each with keys and values", "string": "a text"}.get(kind, str(kind))


def _words(name: str) -> str:
    """A class's name as a key's: cloud_init of CloudInit."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _plain(default: Any) -> str:
    if default in ("", [], {}) or isinstance(default, dict):
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"
