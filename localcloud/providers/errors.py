"""The errors of the providers.

ProviderError
├── PartialError   the resource exists, but differs from the request
└── ApiError       the API answered with an error (tencentcloud/api.py)
"""

from __future__ import annotations

from localcloud.errors import LocalcloudError


class ProviderError(LocalcloudError):
    """An operation failed or was refused. Pulumi shows the text to the user."""


class PartialError(ProviderError):
    """A create or update failed after the resource existed. Pulumi stores `outputs` in its state."""

    def __init__(self, message: str, resource_id: str, outputs: dict[str, object], inputs: dict[str, object]) -> None:
        super().__init__(message)
        self.resource_id = resource_id
        self.outputs = outputs
        self.inputs = inputs
