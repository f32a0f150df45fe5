"""The JSON Schema and the reference say what the models do."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from guestwire.guests import KINDS
from guestwire.networks import TYPES
from guestwire.spec.registry import keys
from guestwire.spec.schema import reference, schema
from tests.spec.reading import good, problems
from tests.spec.test_file import EXAMPLE

SCHEMA = schema(TYPES, KINDS)
VALIDATOR = Draft202012Validator(SCHEMA)


def test_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        EXAMPLE,
        "guests: {a: }\n",
        "networks:\nguests: {}\n",
        "networks: {a: {type: macvlan, uplink: e, mtu: 1500, subnet: [10.0.0.0/24]}}\n",
        "networks: {a: {type: bridge, port: {group-fwd-mask: '0x4000'}}}\n",
        "networks: {a: {type: bridge}}\nguests: {g: {dns: 10.0.0.1, nics: [a, {network: a}]}}\n",
    ],
)
def test_takes_what_load_takes(text: str) -> None:
    good(text)
    VALIDATOR.validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    "text",
    [
        "nam: x\n",
        "networks: {a: {uplink: eth0}}\n",
        "networks: {a: {type: macvtap}}\n",
        "networks: {a: {type: bridge, mode: vepa}}\n",
        "networks: {a: {type: bridge, mtu: 67}}\n",
        "networks: {a_b: {type: bridge}}\n",
        "guests: {a: {nics: [{netwrk: a}]}}\n",
        "guests: {a: {count: 0}}\n",
        "expect: [a can reach b]\n",
        "lab: {relay: 'yes'}\n",
    ],
)
def test_refuses_what_load_refuses(text: str) -> None:
    assert problems(text)
    assert not VALIDATOR.is_valid(yaml.safe_load(text))


def test_every_key_is_described() -> None:
    def walk(node: Any) -> None:
        for key, value in node.get("properties", {}).items():
            assert value.get("description"), key

    walk(SCHEMA)
    for definition in SCHEMA["$defs"].values():
        walk(definition)


def test_the_reference_has_every_key() -> None:
    page = reference(TYPES, KINDS)
    for registry in (TYPES, KINDS):
        for name, cls in registry.items():
            assert f"`{name}`" in page
            assert all(f"| `{key}` |" in page for key in keys(cls))
    assert "| `group-fwd-mask` |" in page
