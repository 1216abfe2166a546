"""The errors of the providers.

ProviderError
├── PartialError   the resource exists, but differs from the request
├── UnseenError    the read after a create found nothing; the state does not contain the resource
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


class UnseenError(ProviderError):
    """The read directly after a create found nothing, because reads lag behind writes or the resource was deleted.

    As in the real plugin ("expected non-nil error with nil state during Create"), the resource is not in the state.
    """

    def __init__(self, resource_id: str) -> None:
        super().__init__(f"{resource_id} does not exist directly after its creation; the state does not contain it")
