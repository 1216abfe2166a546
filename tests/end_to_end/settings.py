"""Writes variants of the settings of stack `local`.

The nodes run the servers of marmotedu/iam when TANDEM_REAL_IAM names a directory with iam-apiserver, iam-authz-server,
iam-pump and iam.sql; otherwise the stand-in.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import yaml

from operations.cli import find_cli
from tests.end_to_end.lab import ROOT, Lab
from tests.end_to_end.release import REAL, real_release


def write_settings(file: Path, **changed: dict[str, Any]) -> Path:
    """Write the settings of stack `local` with changes by section, for example keepalived={"profile": "seed"}."""
    settings = yaml.safe_load((ROOT / "stacks" / "Pulumi.local.yaml").read_text())
    iam = changed.get("iam", {})
    if REAL and iam.get("enabled", True):
        changed["iam"] = {"release": str(real_release()), **iam}
    for section, values in changed.items():
        key = f"tandem:{section}"
        settings["config"][key] = {**settings["config"].get(key, {}), **values}
    file.write_text(yaml.safe_dump(settings))
    return file


def encrypt(lab: Lab, text: str, folder: Path) -> tuple[str, str]:
    """Return the text as encrypted in the file of a stack on this localcloud, and the file's encryption salt."""
    # The first command creates the workspace with the generated passphrase, which encrypts all settings there.
    lab.operator("tandem", "health", "--stack", "local", check=False)
    (folder / "Pulumi.yaml").write_text("name: encrypted\nruntime: yaml\n")
    pulumi = [str(find_cli(os.environ) / "pulumi"), "--cwd", str(folder), "--non-interactive"]
    environment = {
        **os.environ,
        "PULUMI_BACKEND_URL": folder.as_uri(),
        "PULUMI_HOME": str(folder),
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(ROOT / ".tandem" / lab.name / "passphrase"),
    }
    environment.pop("PULUMI_CONFIG_PASSPHRASE", None)
    # The text is read from stdin, since one that starts with a hyphen would be an option.
    for words, given in (
        (["stack", "init", "one"], ""),
        (["config", "set", "text", "--secret", "--stack", "one"], text),
    ):
        subprocess.run([*pulumi, *words], env=environment, check=True, capture_output=True, input=given, text=True)
    written = yaml.safe_load((folder / "Pulumi.one.yaml").read_text())
    return written["config"]["encrypted:text"]["secure"], written["encryptionsalt"]
