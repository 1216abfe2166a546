"""The final check of a deployment: all public names must be served through every public address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

from components.failures import without_traceback
from components.virtual_ip import VirtualIp
from provisioning.health import checks as health
from provisioning.health.checks import PublicSide
from provisioning.health.public_checks import Address, Service

_INPUTS = ("revision", "public_ips", "sites", "authorities", "password")


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
        return DiffResult(changes=any(_olds.get(key) != _news.get(key) for key in _INPUTS), replaces=[])


@dataclass(frozen=True, slots=True)
class HealthArgs:
    revision: pulumi.Output[str]  # of the rollout; a new revision triggers the check
    virtual_ips: Sequence[VirtualIp]
    sites: Mapping[str, Mapping[str, Any]]  # as described by components/public_sites.py
    authorities: Mapping[str, pulumi.Output[str]]  # PEM of the CA of each site; "": the system's CAs
    password: pulumi.Output[str]  # of the IAM account for health checks; "" without the IAM services


class Health(Resource, module="tandem", name="Health"):
    """A resource whose creation or update fails unless all public names respond through every public address."""

    def __init__(
        self,
        name: str,
        args: HealthArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        inputs: dict[str, Any] = {
            "revision": args.revision,
            "public_ips": [each.public_ip for each in args.virtual_ips],
            "sites": dict(args.sites),
            "authorities": dict(args.authorities),
            "password": args.password,
        }
        secret = pulumi.ResourceOptions(additional_secret_outputs=["password"])
        super().__init__(HealthProvider(), name, inputs, pulumi.ResourceOptions.merge(opts, secret))


def _check(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Check every public address. Returns the resource's outputs. Raises: HealthError."""
    authorities = inputs["authorities"]
    services = tuple(Service.from_data(name, site, authorities.get(name, "")) for name, site in inputs["sites"].items())
    addresses = tuple(Address(ip) for ip in inputs["public_ips"])
    health.check(PublicSide(addresses, services, inputs["password"]))
    return dict(inputs)
