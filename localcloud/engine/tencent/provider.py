"""The provider: check, diff and the order of calls, the same for every kind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

from localcloud.engine.comparison import Difference
from localcloud.engine.providers.base import Created, CreateRequest, ProviderError
from localcloud.engine.tencent.api import Api
from localcloud.engine.tencent.kind import Kind
from localcloud.engine.values import Properties, has_unknown, reveal


class TencentProvider:
    foresees_outputs = True

    def __init__(self, kinds: Mapping[str, Kind], connect: Callable[[], Api]) -> None:
        self._kinds = kinds
        self._connect = connect
        self._mutex = threading.Lock()
        self._connected: Api | None = None

    def check(self, resource_type: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Properties:
        del old
        kind = self._kind(resource_type)
        inputs = {**kind.defaults, **{key: value for key, value in new.items() if value is not None}}
        missing = [name for name in kind.required if name not in inputs]
        if missing:
            msg = f"missing required property: {', '.join(missing)}"
            raise ProviderError(msg)
        refused = None if has_unknown(inputs) else kind.check(reveal(inputs))
        if refused:
            raise ProviderError(refused)
        return inputs

    def diff(
        self,
        resource_type: str,
        resource_id: str,
        old: Mapping[str, Any],
        outputs: Mapping[str, Any],
        new: Mapping[str, Any],
    ) -> Difference:
        del resource_id
        kind = self._kind(resource_type)
        before, after, now = reveal(old), reveal(new), reveal(outputs)
        changes = tuple(name for name in sorted({*before, *after}) if _differs(kind, name, before, after, now))
        replaces = tuple(name for name in changes if kind.update is None or name in kind.replaces)
        return Difference(changes, replaces, kind.delete_before_replace)

    def create(self, request: CreateRequest) -> Created:
        kind, api = self._kind(request.type), self._api()
        inputs = reveal(request.inputs)
        resource_id = kind.create(api, inputs, request.token)
        request.made(resource_id)
        kind.settle(api, resource_id, inputs)
        return Created(resource_id, self._outputs(kind, resource_id, inputs))

    def find(self, resource_type: str, inputs: Properties, token: str, known: frozenset[str]) -> str | None:
        del token
        found = self._kind(resource_type).find(self._api(), reveal(inputs))
        return next((one for one in found if one not in known), None)

    def settle(self, resource_type: str, resource_id: str, inputs: Properties) -> Properties | None:
        kind, api, plain = self._kind(resource_type), self._api(), reveal(inputs)
        if kind.read(api, resource_id, plain) is None:
            return None
        kind.settle(api, resource_id, plain)
        return self._outputs(kind, resource_id, plain)

    def read(self, resource_type: str, resource_id: str, inputs: Properties, outputs: Properties) -> Properties | None:
        del outputs
        plain = reveal(inputs)
        found = self._kind(resource_type).read(self._api(), resource_id, plain)
        return None if found is None else {**plain, **found}

    def update(
        self, resource_type: str, resource_id: str, old: Properties, outputs: Properties, new: Properties
    ) -> Properties:
        kind = self._kind(resource_type)
        if kind.update is None:
            msg = f"{resource_type} cannot be updated"
            raise ProviderError(msg)
        before, after = reveal(old), reveal(new)
        # A property that the cloud filled in at first is compared with what it is, not with "not given".
        filled = {name: reveal(outputs).get(name) for name in kind.computed if name not in before}
        kind.update(self._api(), resource_id, {**filled, **before}, after)
        return self._outputs(kind, resource_id, after)

    def delete(self, resource_type: str, resource_id: str, inputs: Properties, outputs: Properties) -> None:
        self._kind(resource_type).delete(self._api(), resource_id, reveal({**inputs, **outputs}))

    def close(self) -> None:
        pass

    def _outputs(self, kind: Kind, resource_id: str, inputs: Properties) -> Properties:
        found = kind.read(self._api(), resource_id, inputs)
        if found is None:
            msg = f"{resource_id} is gone, right after it was made or changed"
            raise ProviderError(msg)
        return {**inputs, **found}

    def _kind(self, resource_type: str) -> Kind:
        kind = self._kinds.get(resource_type)
        if kind is None:
            msg = f"{resource_type} is not known to localcloud's engine\n  it knows: {', '.join(sorted(self._kinds))}"
            raise ProviderError(msg)
        return kind

    def _api(self) -> Api:
        with self._mutex:
            if self._connected is None:
                self._connected = self._connect()
            return self._connected


def _differs(
    kind: Kind, name: str, before: Mapping[str, Any], after: Mapping[str, Any], now: Mapping[str, Any]
) -> bool:
    if name in kind.computed:
        if name not in after:
            return False
        # Given for the first time, and what it is already.
        if name not in before and now.get(name) == after[name]:
            return False
    one, other = before.get(name), after.get(name)
    if name in kind.unordered and isinstance(one, list) and isinstance(other, list):
        return sorted(map(str, one)) != sorted(map(str, other))
    return one != other
