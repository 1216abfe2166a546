"""The last word of a deployment: the service answers through the public address, or the deployment has failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

from components.failures import without_traceback

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class HealthProvider(ResourceProvider):
    """Asks when the rollout's revision or the way to it has changed; `tandem health` asks at any time."""

    serialize_as_secret_always = False

    @without_traceback
    def create(self, props: dict[str, Any]) -> CreateResult:
        from components.health_work import check

        return CreateResult("health", check(props))

    @without_traceback
    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        from components.health_work import check

        return UpdateResult(check(_news))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        inputs = ("revision", "public_ips", "domains", "ca_certificate")
        return DiffResult(changes=any(_olds.get(key) != _news.get(key) for key in inputs), replaces=[])


class Health(Resource, module="tandem", name="Health"):
    """Fails, with what it saw, unless both services answer through every public address."""

    def __init__(
        self,
        name: str,
        revision: pulumi.Input[str],
        public_ips: pulumi.Input[Sequence[str]],
        domains: pulumi.Input[Mapping[str, str]],
        ca_certificate: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        inputs = {
            "revision": revision,
            "public_ips": public_ips,
            "domains": domains,
            "ca_certificate": ca_certificate,
        }
        super().__init__(HealthProvider(), name, inputs, opts)
