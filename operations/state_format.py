"""Pulumi's state and event log: names of types, marks of secrets, and the outputs of a resource."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

STACK = "pulumi:pulumi:Stack"
ROLLOUT = "tandem:Rollout"
HOST_KEYS = "dynamic/tandem:HostKeys"  # of a node; not the component
# Mark an object as a secret (Pulumi's resource.SigKey and resource.SecretSig). Assets have the first mark, too.
SIGNATURE, SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"


def read_outputs(deployment: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs of the stack, with secrets; {} before the first deployment.

    A run that failed after it had created an instance again leaves the host keys of the old one in the outputs: those
    of the nodes are taken from their own resources.
    """
    outputs = find_outputs(deployment, STACK)
    if not {"nodes", "ssh"} <= outputs.keys():
        return outputs
    current = with_current_host_keys(deployment, outputs["nodes"], outputs["ssh"].get("bastion"))
    ssh = {**outputs["ssh"], **({"bastion": current["bastion"]} if current["bastion"] else {})}
    return {**outputs, "nodes": current["nodes"], "ssh": ssh}


def with_current_host_keys(
    deployment: Mapping[str, Any], nodes: Sequence[dict[str, Any]], bastion: dict[str, Any] | None
) -> dict[str, Any]:
    """The nodes and the bastion of a run with the host keys that were read last."""
    found = [_plain(each.get("outputs") or {}) for each in _resources(deployment, HOST_KEYS)]
    keys = {each["node"]["name"]: each["host_keys"] for each in found if each.get("host_keys")}

    def current(node: dict[str, Any]) -> dict[str, Any]:
        return {**node, "host_keys": keys.get(node["name"], node["host_keys"])}

    return {"nodes": [*map(current, nodes)], "bastion": bastion and current(bastion)}


def find_outputs(deployment: Mapping[str, Any], type_: str) -> dict[str, Any]:
    """The outputs of the only resource of a type, without the marks of secrets; {} if there is none."""
    for resource in _resources(deployment, type_):
        return _plain(resource.get("outputs") or {})
    return {}


def _resources(deployment: Mapping[str, Any], type_: str) -> Iterator[dict[str, Any]]:
    for resource in deployment.get("resources") or []:
        if resource["type"].endswith(type_) and not resource.get("delete"):
            yield resource


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        if fields.get(SIGNATURE) == SECRET:
            return _plain(json.loads(fields["plaintext"]))
        return {key: _plain(each) for key, each in fields.items()}
    if isinstance(value, list):
        return [_plain(each) for each in cast("list[Any]", value)]
    return value
