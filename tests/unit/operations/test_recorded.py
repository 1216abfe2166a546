"""What is read from the recorded state of a stack."""

from __future__ import annotations

from typing import Any

import pytest

from operations.recorded import read_rollout
from operations.state_format import read_outputs

OLD, NEW = ["ssh-ed25519 old"], ["ssh-ed25519 new"]


def _node(name: str, keys: list[str]) -> dict[str, Any]:
    return {"name": name, "host_keys": keys}


def _host_keys(name: str, **fields: Any) -> dict[str, Any]:
    outputs = {"node": _node(name, ["ssh-ed25519 temporary"]), "host_keys": NEW}
    return {"type": "pulumi-python:dynamic/tandem:HostKeys", "outputs": outputs, **fields}


@pytest.mark.parametrize("bastion", [True, False])
def test_nodes_have_their_present_host_keys_although_the_run_that_created_them_has_failed(*, bastion: bool) -> None:
    """The outputs and the rollout are those of the last run that succeeded."""
    ssh = {"user": "debian", **({"bastion": _node("bastion", OLD)} if bastion else {})}
    rollout = {"nodes": [_node("iam-a", OLD), _node("iam-b", OLD)], "bastion": ssh.get("bastion"), "files": {}}
    deployment = {
        "resources": [
            {"type": "pulumi:pulumi:Stack", "outputs": {"nodes": rollout["nodes"], "ssh": ssh, "group": "g"}},
            {"type": "tandem:cloud:HostKeys", "outputs": {}},
            _host_keys("iam-a"),
            _host_keys("iam-b", delete=True),
            *([_host_keys("bastion")] if bastion else []),
            {"type": "pulumi-python:dynamic/tandem:Rollout", "outputs": rollout},
        ]
    }
    expected = [_node("iam-a", NEW), _node("iam-b", OLD)]
    outputs, recorded = read_outputs(deployment), read_rollout(deployment, "prod")
    assert outputs["nodes"] == recorded["nodes"] == expected
    expected_bastion = _node("bastion", NEW) if bastion else None
    assert (outputs["ssh"].get("bastion"), recorded["bastion"]) == (expected_bastion, expected_bastion)
    assert (outputs["group"], outputs["ssh"]["user"], recorded["files"]) == ("g", "debian", {})


def test_a_stack_without_a_deployment_has_no_outputs() -> None:
    assert read_outputs({}) == {}
