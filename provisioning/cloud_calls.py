"""The boundary to the cloud's API. `cloud_api.py` implements it, and imports slowly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol


class CallApi(Protocol):
    def __call__(self, service: str, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The response to a Describe action. Raises CloudApiError."""
        ...
