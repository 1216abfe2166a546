"""Stack `local` with the timing of the lectures."""

from __future__ import annotations

from pathlib import Path

import yaml

from tests.end_to_end.lab import ROOT


def write_seed_settings(file: Path) -> Path:
    """The local stack's own settings, but profile `seed`."""
    settings = yaml.safe_load((ROOT / "stacks" / "Pulumi.local.yaml").read_text())
    settings["config"]["tandem:keepalived"] = {
        **settings["config"].get("tandem:keepalived", {}),
        "profile": "seed",
    }
    file.write_text(yaml.safe_dump(settings))
    return file
