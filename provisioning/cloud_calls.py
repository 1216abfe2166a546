"""The boundary to the cloud's API. `cloud_api.py` implements it, and imports slowly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

_CREDENTIALS = (("secretId", "TENCENTCLOUD_SECRET_ID"), ("secretKey", "TENCENTCLOUD_SECRET_KEY"))


class CallApi(Protocol):
    def __call__(self, service: str, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The response to a Describe action. Raises CloudApiError."""
        ...


def has_credentials(settings: Mapping[str, str]) -> bool:
    """Whether the environment variables and `tencentcloud:*` settings contain credentials."""
    return all(settings.get(key) or settings.get(variable) for key, variable in _CREDENTIALS)


def connect(settings: Mapping[str, str]) -> CallApi:
    """Return a function that calls the API. Raises CloudApiError if the region is missing."""
    from provisioning import cloud_api  # noqa: PLC0415 - the SDK imports slowly and is rarely needed

    return cloud_api.connect(settings)
