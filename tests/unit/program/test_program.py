from __future__ import annotations

import fake_cloud
import pytest
from program_runs import config_of

from settings.problems import SettingsError


def test_the_local_stack_declares_two_nodes_with_one_virtual_ip() -> None:
    run = fake_cloud.run_program("local", fake_cloud.stack_config("local"))
    nodes = run.of_kind("Instance/instance")
    assert sorted(node.inputs["privateIp"] for node in nodes) == ["10.0.4.20", "10.0.4.21"]
    assert run.get("vip-havip").inputs["vip"] == "10.0.4.99"
    assert len(run.of_kind("Ha/vipInstanceAttachment")) == 2
    assert run.get("vip-binding").inputs["addressIp"] == "vip-address.publicIp"


@pytest.mark.parametrize("preview", [True, False])
def test_invalid_settings_are_reported_before_any_resource_is_declared(
    monkeypatch: pytest.MonkeyPatch, *, preview: bool
) -> None:
    monkeypatch.setenv("TANDEM_CONFIG_FILE", "/home/me/other.yaml")
    declared = fake_cloud.Run()
    with pytest.raises(SettingsError, match=r"^/home/me/other\.yaml has 1 problem:\n  tandem:nodes\.type "):
        fake_cloud.run_program("local", config_of("local", {"nodes.type": "large"}), preview=preview, run=declared)
    assert not declared.resources
    assert not declared.exports
