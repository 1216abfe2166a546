"""What goes on the machines, as one resource: a preview shows each changed line of each changed file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

from components.credentials import Credentials
from components.failures import without_traceback
from components.host_keys import GroupHostKeys
from components.rollout_work import find_drift, retire_departed, roll_out
from components.shown import shown_files, shown_things
from provisioning.deployment import Deployment
from provisioning.manifest import render

_INPUTS = ("group", "hosts", "virtual_ips", "files", "manifests", "values", "secrets", "private_key", "bastion")


class RolloutProvider(ResourceProvider):
    """Hands everything to `provisioning`, and nothing else."""

    serialize_as_secret_always = False

    @without_traceback
    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(props["group"], roll_out(props))

    @without_traceback
    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        retire_departed(_olds, _news)
        return UpdateResult(roll_out(_news))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        return ReadResult(id_, {**props, "drift": find_drift(props)})

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        # Old outputs against new inputs. Without this, what a refresh found would never be healed.
        changed = any(_olds.get(key) != _news.get(key) for key in _INPUTS)
        return DiffResult(changes=changed or bool(_olds.get("drift")), replaces=[])


@dataclass(frozen=True, slots=True)
class RolloutArgs:
    deployment: Deployment
    host_keys: GroupHostKeys
    credentials: Credentials
    data_disk_id: pulumi.Output[str] | None


class Rollout(Resource, module="tandem", name="Rollout"):
    """One rollout over the whole group."""

    revision: pulumi.Output[str]
    drift: pulumi.Output[Mapping[str, Any]]

    def __init__(self, name: str, args: RolloutArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        outputs = {"revision": None, "drift": None}
        secret = pulumi.ResourceOptions(additional_secret_outputs=["secrets", "private_key"])
        super().__init__(
            RolloutProvider(), name, {**_inputs(args), **outputs}, pulumi.ResourceOptions.merge(opts, secret)
        )


def _inputs(args: RolloutArgs) -> dict[str, Any]:
    # Rendered here, from settings: inside an apply a replaced machine would make every file unknown to the preview.
    manifests = render(args.deployment)
    values = args.credentials.certificates
    if args.data_disk_id is not None:
        values = pulumi.Output.all(values, args.data_disk_id).apply(lambda both: {**both[0], "data_disk_id": both[1]})
    return {
        "group": args.deployment.group,
        "hosts": list(args.host_keys.hosts),
        "virtual_ips": list(args.deployment.virtual_ips),
        "files": {host: shown_files(manifest) for host, manifest in manifests.items()},
        "manifests": {host: shown_things(manifest) for host, manifest in manifests.items()},
        "values": values,
        "secrets": args.credentials.secrets,
        "private_key": args.credentials.deployment_key.private_key,
        "bastion": args.host_keys.bastion,
    }
