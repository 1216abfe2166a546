from __future__ import annotations

import fake_cloud


def test_the_local_stack_declares_a_pair_behind_one_address() -> None:
    run = fake_cloud.run_program("local", fake_cloud.stack_config("local"))
    machines = run.of_kind("Instance/instance")
    assert sorted(machine.inputs["privateIp"] for machine in machines) == ["10.0.4.20", "10.0.4.21"]
    assert run.get("vip-havip").inputs["vip"] == "10.0.4.99"
    assert len(run.of_kind("Ha/vipInstanceAttachment")) == 2
    assert run.get("vip-binding").inputs["addressIp"] == "vip-address.publicIp"
