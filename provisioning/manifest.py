"""A manifest: the desired state of one node, rendered and in the order of application."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provisioning.kinds import KINDS
from provisioning.kinds.base import Item
from provisioning.kinds.file import File


@dataclass(frozen=True, slots=True)
class Manifest:
    node: str
    items: tuple[Item, ...]

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for path in (candidate.path for item in self.items for candidate in item.candidates()):
            if path in seen:
                raise ValueError(f"{self.node}: a path must belong to one item only (got two for {path})")
            seen.add(path)

    def files(self) -> dict[str, str]:
        """The text of each file by its path, with placeholders. A preview shows these texts line by line."""
        return {item.path: item.text for item in self.items if isinstance(item, File)}

    def to_data(self) -> list[dict[str, Any]]:
        """The items as JSON data, without default values and without the texts in `files`."""
        return [item.to_data() for item in self.items]

    @classmethod
    def from_data(cls, node: str, data: list[dict[str, Any]], files: Mapping[str, str]) -> Manifest:
        """The inverse of `to_data` and `files`."""
        return cls(node, tuple(_parse_item(entry, files) for entry in data))


def _parse_item(data: Mapping[str, Any], files: Mapping[str, str]) -> Item:
    kind = KINDS[data["kind"]]
    return kind.from_data({**data, "text": files[data["path"]]} if kind is File else data)
