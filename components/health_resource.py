"""The final check of a deployment as a resource."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.dynamic import Resource

from components.health import HealthProvider
from components.virtual_ip import VirtualIp


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
