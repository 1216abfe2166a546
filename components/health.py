"""The final check of a deployment: both services must respond through every public address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

from components.failures import without_traceback
from components.virtual_ip import VirtualIp
from provisioning import health
from settings.domains import DomainsSettings


class HealthProvider(ResourceProvider):
    """Runs the check when the rollout's revision or an address changes. `tandem health` runs it at any time."""

    serialize_as_secret_always = False

    @without_traceback
    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult("health", _check(props))

    @without_traceback
    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(_check(_news))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        inputs = ("revision", "public_ips", "domains", "ca_certificate")
        return DiffResult(changes=any(_olds.get(key) != _news.get(key) for key in inputs), replaces=[])


@dataclass(frozen=True, slots=True)
class HealthArgs:
    revision: pulumi.Output[str]  # of the rollout; a new revision triggers the check
    virtual_ips: Sequence[VirtualIp]
    domains: DomainsSettings
    ca_certificate: pulumi.Output[str]


class Health(Resource, module="tandem", name="Health"):
    """A resource whose creation or update fails unless both services respond through every public address."""

    def __init__(
        self,
        name: str,
        args: HealthArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        inputs: dict[str, Any] = {
            "revision": args.revision,
            "public_ips": [each.public_ip for each in args.virtual_ips],
            "domains": {"api": args.domains.api, "authz": args.domains.authz},
            "ca_certificate": args.ca_certificate,
        }
        super().__init__(HealthProvider(), name, inputs, opts)


def _check(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Check every public address. Returns the resource's outputs. Raises: HealthError."""
    health.check(tuple(inputs["public_ips"]), inputs["domains"], inputs["ca_certificate"])
    return dict(inputs)
