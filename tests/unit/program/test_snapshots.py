"""Type, name and inputs of all resources of the provided stacks.

After an intended change, run UPDATE_SNAPSHOTS=1 pytest tests/unit/program/test_snapshots.py and review the diff.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, cast

import pytest
from fake_cloud import Declared
from program_runs import run

# One worker: results of program runs are cached per process.

_FOLDER = Path(__file__).parent / "snapshots"
# Rendered by provisioning and covered by its tests.
_RENDERED = {"files", "manifests"}


@pytest.mark.parametrize("stack", ["local", "staging", "prod", "web"])
def test_a_provided_stack_declares_the_resources_of_its_snapshot(stack: str) -> None:
    seen = "\n".join(sorted(_text(each) for each in run(stack).resources))
    path = _FOLDER / f"{stack}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        path.write_text(seen, encoding="utf-8")
    assert seen == path.read_text(encoding="utf-8")


def _text(declared: Declared) -> str:
    lines = [f"{declared.type}  {declared.name}"]
    if declared.request.protect:
        lines.append("  (protected)")
    for key in sorted(declared.inputs):
        if key == "__provider":
            continue
        lines.append(f"  {key}: {_value(declared, key)}")
    return "\n".join(lines) + "\n"


def _whole(value: Any) -> Any:
    """Convert whole floats to integers: Pulumi stores all numbers as floats."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(each) for key, each in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_whole(each) for each in cast("list[Any]", value)]
    return value


def _value(declared: Declared, key: str) -> str:
    if key in declared.secret_inputs:
        return "[secret]"
    if key in _RENDERED:
        return "[rendered by provisioning]"
    value: Any = _whole(declared.inputs[key])
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
