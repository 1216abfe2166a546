"""The release of the IAM services that the nodes run: a real one where TANDEM_REAL_IAM names a directory with it."""

from __future__ import annotations

import functools
import os
import tarfile
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
REAL = os.environ.get("TANDEM_REAL_IAM", "")


@functools.cache
def real_release() -> Path:
    path = Path(tempfile.mkdtemp(prefix="tandem-release-")) / "iam.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in ("iam-apiserver", "iam-authz-server", "iam-pump"):
            archive.add(Path(REAL) / name, f"bin/{name}")
        archive.add(Path(REAL) / "iam.sql", "sql/iam.sql")
    return path


@functools.cache
def default_settings() -> dict[str, str]:
    """The variable for `tandem` that names the settings of stack `local` with the real release; empty without one."""
    if not REAL:
        return {}
    settings = yaml.safe_load((ROOT / "stacks" / "Pulumi.local.yaml").read_text())
    settings["config"]["tandem:iam"] = {"release": str(real_release())}
    path = real_release().with_name("settings.yaml")
    path.write_text(yaml.safe_dump(settings))
    return {"TANDEM_CONFIG_FILE": str(path)}
