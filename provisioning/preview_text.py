"""Formats manifests for a readable preview: unchanged texts as one short line, changed texts as a diff of their lines.

Pulumi shortens an unchanged text to its first line, but shows a text that parses as YAML or JSON as a complete tree. So
each text starts with a line that is neither: no YAML token starts with `@` (YAML 1.2, 5.3).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from provisioning.manifest import Manifest


def show_files(manifest: Manifest) -> dict[str, str]:
    """Return the text of each file by its path, below the marker line."""
    return {path: f"@@ {manifest.node}:{path}\n{text}" for path, text in manifest.files().items()}


def show_items(manifest: Manifest) -> str:
    """Return the items of the manifest without the files' texts, one JSON object per line."""
    lines = [json.dumps(item, sort_keys=True) for item in manifest.to_data()]
    return "\n".join([f"@@ {manifest.node}", *lines])


def read_manifest(node: str, items: str, files: Mapping[str, str]) -> Manifest:
    """Parse the output of `show_items` and `show_files`."""
    data = [json.loads(line) for line in items.splitlines()[1:]]
    return Manifest.from_data(node, data, {path: text.partition("\n")[2] for path, text in files.items()})
