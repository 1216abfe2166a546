"""Manifests as a preview shows them well: what is the same as one short line, what changes by its lines.

Pulumi cuts an unchanged text to its first line, but writes one that reads as YAML or JSON out as a tree, key by key. So
every text begins with a line that can be neither: no YAML token begins with an `@` (YAML 1.2, 5.3).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from provisioning.manifest import Manifest


def show_files(manifest: Manifest) -> dict[str, str]:
    """Each file's text by its path, below a first line of ours."""
    return {path: f"@@ {manifest.node}:{path}\n{text}" for path, text in manifest.files().items()}


def show_items(manifest: Manifest) -> str:
    """All the rest, one item to a line."""
    lines = [json.dumps(item, sort_keys=True) for item in manifest.to_data()]
    return "\n".join([f"@@ {manifest.node}", *lines])


def read_manifest(node: str, items: str, files: Mapping[str, str]) -> Manifest:
    """The manifest that was shown so."""
    data = [json.loads(line) for line in items.splitlines()[1:]]
    return Manifest.from_data(node, data, {path: text.partition("\n")[2] for path, text in files.items()})
