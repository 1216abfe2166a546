"""The sequence of API calls, which is the same for all resource types."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping

from localcloud.providers.adapter import Created
from localcloud.providers.errors import ProviderError, UnseenError
from localcloud.providers.schema import Schema
from localcloud.providers.tencentcloud.api import Api
from localcloud.providers.tencentcloud.endpoint import find_endpoint
from localcloud.providers.tencentcloud.resource_type import ResourceType
from localcloud.providers.values import Properties


class TencentBackend:
    def __init__(self, types: Mapping[str, ResourceType]) -> None:
        self._types = types
        self._connected: Api | None = None

    @property
    def schemas(self) -> Mapping[str, Schema]:
        return self._types

    def configure(self, config: Mapping[str, str]) -> None:
        self._connected = Api(find_endpoint(config))

    def create(self, resource_type: str, inputs: Properties, on_created: Callable[[str], None]) -> Created:
        described = self._types[resource_type]
        # As in the real provider: 16 random bytes, the same for each attempt.
        token = base64.b64encode(os.urandom(16)).decode()
        resource_id = described.create(self._api, inputs, token)
        on_created(resource_id)
        described.settle(self._api, resource_id, inputs)
        found = described.read(self._api, resource_id, inputs)
        if found is None:
            raise UnseenError(resource_id)
        return Created(resource_id, found)

    def read(self, resource_type: str, resource_id: str, state: Properties) -> Properties | None:
        return self._types[resource_type].read(self._api, resource_id, state)

    def update(
        self, resource_type: str, resource_id: str, state: Properties, inputs: Properties, changed: frozenset[str]
    ) -> Properties:
        described = self._types[resource_type]
        described.settle(self._api, resource_id, inputs)
        if changed:
            if described.update is None:
                raise ProviderError(f"{resource_type} cannot be updated")
            described.update(self._api, resource_id, *_old_and_new(state, inputs, changed))
        found = described.read(self._api, resource_id, inputs)
        if found is None:
            raise ProviderError(f"{resource_id} does not exist any more")
        return found

    def delete(self, resource_type: str, resource_id: str, state: Properties) -> None:
        self._types[resource_type].delete(self._api, resource_id, state)

    @property
    def _api(self) -> Api:
        if self._connected is None:
            raise ProviderError("the provider must be configured first")
        return self._connected


def _old_and_new(state: Properties, inputs: Properties, changed: frozenset[str]) -> tuple[Properties, Properties]:
    """Return both property sets, complete. Omitted properties keep their values; only `changed` differ."""
    new = {**{name: value for name, value in state.items() if name not in changed}, **inputs}
    old = {**state, **{name: value for name, value in new.items() if name not in changed}}
    return old, new
