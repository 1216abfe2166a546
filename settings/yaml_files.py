"""Reads the settings files of stacks as Pulumi does, which uses YAML 1.2's words for true and false."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

_TAG = "tag:yaml.org,2002:"
_BOOL = re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")
_INT = re.compile(r"^[-+]?(?:0b[01_]+|0[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)$")


class StrictLoader(yaml.SafeLoader):
    """Refuses repeated keys, of which YAML keeps the last one without a message.

    PyYAML reads YAML 1.1: `off` would be false, and `12:30` the number 750.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - the method of the base class
        keys = [str(key.value) for key, _ in node.value]
        if repeated := sorted({key for key in keys if keys.count(key) > 1}):
            raise yaml.constructor.ConstructorError(
                None, None, f"the key {repeated[0]} is given more than once", node.start_mark
            )
        return super().construct_mapping(node, deep)


StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in {f"{_TAG}bool", f"{_TAG}int"}]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
StrictLoader.add_implicit_resolver(f"{_TAG}bool", _BOOL, list("tTfF"))
StrictLoader.add_implicit_resolver(f"{_TAG}int", _INT, list("-+0123456789"))


def read(file: Path) -> Any:
    """Raises OSError, yaml.YAMLError."""
    with file.open() as opened:  # not its text, so that an error names the file
        return yaml.load(opened, StrictLoader)  # noqa: S506 - a SafeLoader
