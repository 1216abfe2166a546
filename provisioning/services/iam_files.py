"""The check of the IAM services' configuration, which the services themselves can only check by starting."""

from __future__ import annotations

import yaml

from provisioning.errors import CandidateError
from provisioning.kinds.base import Item
from provisioning.kinds.file import File


def refuse_invalid_yaml(node: str, items: tuple[Item, ...]) -> None:
    """Check each YAML file with its secrets. Raises CandidateError before a node is contacted."""
    for item in items:
        if isinstance(item, File) and item.path.startswith("/etc/iam/iam-") and item.path.endswith(".yaml"):
            try:
                parsed = yaml.safe_load(item.text)
            except yaml.YAMLError as error:
                mark = getattr(error, "problem_mark", None)
                where = f", line {mark.line + 1}" if mark else ""  # without the line's text, which may be a secret
                raise _invalid(node, item.path, f"{getattr(error, 'problem', 'unreadable')}{where}") from None
            if not isinstance(parsed, dict):
                raise _invalid(node, item.path, f"must be a mapping (got {type(parsed).__name__})")


def _invalid(node: str, path: str, reason: str) -> CandidateError:
    return CandidateError(
        f"{node}: {path} is not valid YAML: {reason}; no configuration and no running service was changed",
        look_at="provisioning/templates/iam/",
    )
