"""The provider of the final check: all public names must be served through every public address.

It runs in the plugin of the dynamic resources.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pulumi.dynamic import CreateResult, DiffResult, ResourceProvider, UpdateResult

from components.failures import without_traceback
from components.input_diff import compare

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
        return DiffResult(changes=compare(_olds, _news, _INPUTS), replaces=[])


def _check(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Check every public address. Returns the resource's outputs. Raises: HealthError."""
    from provisioning.health import checks  # noqa: PLC0415 - HTTP takes 0.2 s to import, and most runs check nothing
    from provisioning.health.public_checks import Address, Service  # noqa: PLC0415 - as above

    authorities = inputs["authorities"]
    services = tuple(Service.from_data(name, site, authorities.get(name, "")) for name, site in inputs["sites"].items())
    addresses = tuple(Address(ip) for ip in inputs["public_ips"])
    checks.check(checks.PublicSide(addresses, services, inputs["password"]))
    return dict(inputs)
