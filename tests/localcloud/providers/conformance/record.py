"""Run a scene and record the operations on each resource and its state, without values that differ in each run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from tests.localcloud.providers.cloud import Cloud
from tests.localcloud.providers.project import Project, Run

from .scenes import Resources, Scene

# Internal properties of the engine and the Terraform bridge.
_INTERNAL: Final = {"__meta", "__defaults", "__pulumi_raw_state_delta"}
_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"  # of a secret
_PATTERNS: Final = (
    (
        re.compile(r"\b(vpc|subnet|sg|ins|eip|havip|rtb|nat|asp|disk|skey|ps|eni|notice|policy|rti)-[0-9a-z-]{6,}"),
        r"\1-*",
    ),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?"), "<time>"),
    (re.compile(r"\b(203\.0\.113|198\.51\.100)\.\d+"), "<public address>"),
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<uuid>"),
    (re.compile(r"^\d{10}$"), "<time>"),
    (re.compile(r"^\d+\.rtb-"), "<route>.rtb-"),
    (re.compile(r"#\d+$"), "#<number>"),
    # Keys, certificates, random texts.
    (re.compile(r"^(?!-----BEGIN|ssh-|SHA256:)\S{25,}$"), "<drawn>"),
    (re.compile(r"(?s)^(-----BEGIN [A-Z0-9 ]+-----).*"), r"\1"),
    (re.compile(r"(?s)^((ssh|ecdsa)-\S+) \S+(.*)$"), r"\1 <key>\3"),
    (re.compile(r"^SHA256:\S+$"), "SHA256:<drawn>"),
    (re.compile(r"^([0-9a-f]{2}:){15}[0-9a-f]{2}$"), "<fingerprint>"),
)
_DRAWN: Final = {"result", "bcryptHash", "b64Std", "b64Url", "hex", "dec", "base64"}
# Lists without order.
_SETS: Final = {"assignedEipSets", "assistantCidrs", "dnsServers", "keyIds", "policyIds", "securityGroups"}


def run_scene(scene: Scene, project: Project, cloud: Cloud) -> dict[str, Any]:
    """Return, for each stage, the operations on each resource of the scene, and the outputs afterwards."""
    stages: dict[str, Run] = {}
    states: dict[str, Resources] = {}

    def up(stage: str, **config: str) -> None:
        project.write(scene.program, **config)
        stages[stage] = project.up()
        states[stage] = project.resources()

    scene.prepare(cloud.api)
    up("create")
    up("unchanged")
    up("update", **scene.update)
    up("unchanged after the update", **scene.update)
    scene.outside(cloud.api, project.resources())
    stages["refresh"] = project.refresh()
    up("heal", **scene.update)
    up("replace", **{**scene.update, **scene.replace})
    up("unchanged after the replacement", **{**scene.update, **scene.replace})
    stages["delete"] = project.destroy()
    return {
        name: {
            "type": resource_type,
            "stages": {stage: _describe(run, name, states["create"]) for stage, run in stages.items()},
            "outputs": _outputs(states["create"][name]),
            "outputs after the replacement": _outputs(states["replace"][name]),
        }
        for name, resource_type in scene.types.items()
    }


def _describe(run: Run, name: str, state: Resources) -> Any:
    steps = [step for one, step in run.all_steps if one == name]
    # Some providers also report the outputs that a replacement changes.
    inputs = {*state[name]["inputs"], "readyForRenewal"}
    changed = sorted({one for step in steps for one in step.changed if one in inputs})
    differences = {path: kind for step in steps for path, kind in step.differences.items()}
    found = {
        "operations": " ".join(step.operation for step in steps),
        "changed": changed,
        "differences": dict(sorted(differences.items())),
    }
    return {name: value for name, value in found.items() if value}


def _outputs(resource: Mapping[str, Any]) -> dict[str, Any]:
    outputs = _normal(resource["outputs"])
    if resource["type"].startswith("random:") and outputs.get("id") not in (None, "none"):
        outputs["id"] = "<drawn>"
    return outputs


def _normal(value: Any, key: str = "") -> Any:
    if isinstance(value, Mapping):
        if _SIGNATURE in value:
            return "<secret>"
        found = {name: _normal(item, name) for name, item in value.items() if name not in _INTERNAL}
        # Absent, null, zero and empty values are equal for a program.
        return {name: item for name, item in sorted(found.items()) if item not in (None, "", 0, False, [], {})}
    if isinstance(value, list):
        items = [_normal(item, key) for item in value]
        return sorted(items) if key in _SETS else items
    if key in _DRAWN and value:
        return "<drawn>"
    if isinstance(value, str):
        for pattern, replacement in _PATTERNS:
            value = pattern.sub(replacement, value)
    return value
