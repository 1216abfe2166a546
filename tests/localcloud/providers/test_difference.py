"""The differences between a state and new inputs."""

from __future__ import annotations

from typing import Any

import pytest

from localcloud.providers.difference import compare
from localcloud.providers.schema import COMPUTED, FIXED, OPTIONAL, REQUIRED, Property, Schema
from localcloud.providers.values import UNKNOWN

_SCHEMA = Schema(
    {
        "name": REQUIRED,
        "zone": FIXED,
        "address": COMPUTED,
        "tags": OPTIONAL,
        "groups": Property(unordered=True),
        "rules": Property(nested={"port": OPTIONAL, "index": COMPUTED}),
        "special": Property(replaces=True, implied=True),
        "key": Property(normal=str.strip),
    }
)


@pytest.mark.parametrize(
    ("state", "inputs", "expected"),
    [
        pytest.param({"name": "a"}, {"name": "a"}, {}, id="an equal value"),
        pytest.param({"name": "a"}, {"name": "b"}, {"name": "update"}, id="another value"),
        pytest.param(
            {"zone": "a"}, {"zone": "b"}, {"zone": "update replace"}, id="a property that cannot be changed in place"
        ),
        pytest.param({"zone": "a"}, {"zone": UNKNOWN}, {"zone": "update replace"}, id="an unknown value"),
        pytest.param({"address": "x"}, {}, {}, id="an absent computed value"),
        pytest.param(
            {"address": "x"}, {"address": "y"}, {"address": "update"}, id="a new value for a computed property"
        ),
        pytest.param({"tags": {}}, {}, {}, id="empty and absent"),
        pytest.param({"tags": {"a": "1"}}, {}, {"tags": "delete"}, id="a removed value"),
        pytest.param(
            {"tags": {"a": "1", "b": "2"}},
            {"tags": {"a": "2", "c.d": "3"}},
            {"tags.a": "update", "tags.b": "delete", 'tags["c.d"]': "add"},
            id="the keys of a map",
        ),
        pytest.param({"groups": ["a", "b"]}, {"groups": ["b", "a"]}, {}, id="a set in another order"),
        pytest.param({"groups": ["a"]}, {"groups": ["b"]}, {"groups": "update"}, id="another set"),
        pytest.param(
            {"rules": [{"port": "1", "index": 0}, {"port": "2", "index": 1}]},
            {"rules": [{"port": "1"}, {"port": "3"}, {"port": "4"}]},
            {"rules[1].port": "update", "rules[2]": "add"},
            id="the items of a list",
        ),
        pytest.param({"special": True}, {}, {}, id="an absent value that implies the current one"),
        pytest.param(
            {"special": False}, {}, {"special": "update replace"}, id="an absent value that implies another one"
        ),
        pytest.param({"key": "k"}, {"key": "k\n"}, {}, id="a value in another form than in the state"),
    ],
)
def test_a_difference_has_a_path_and_a_kind(
    state: dict[str, Any], inputs: dict[str, Any], expected: dict[str, str]
) -> None:
    found = compare(_SCHEMA, {"special": True, **state}, inputs)
    assert {one.path: f"{one.kind.value}{' replace' * one.replaces}" for one in found} == expected
