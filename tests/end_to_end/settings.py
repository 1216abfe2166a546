"""Writes variants of the settings of stack `local`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.end_to_end.lab import ROOT


def write_settings(file: Path, **changed: dict[str, Any]) -> Path:
    """Write the settings of stack `local` with changes by section, for example keepalived={"profile": "seed"}."""
    settings = yaml.safe_load((ROOT / "stacks" / "Pulumi.local.yaml").read_text())
    for section, values in changed.items():
        key = f"tandem:{section}"
        settings["config"][key] = {**settings["config"].get(key, {}), **values}
    file.write_text(yaml.safe_dump(settings))
    return file
