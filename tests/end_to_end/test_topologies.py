"""Deploys stacks with other topologies than the local one on an empty cloud, and logs in like an operator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import NAME
from tests.end_to_end.lab import Lab, new_cloud, wait_until
from tests.end_to_end.settings import write_settings

pytestmark = pytest.mark.root

ADMINS = ["198.51.100.0/24"]  # the operator's internet address, not the private line
THREE = [{"name": f"iam-{name}", "address": f"10.0.4.2{number}"} for number, name in enumerate("abc")]


@pytest.fixture
def empty() -> Iterator[Lab]:
    with new_cloud(f"{NAME}w") as lab:
        yield lab


def log_in(lab: Lab, folder: Path) -> dict[str, str]:
    """Return the host name of each node, read by SSH with pinned keys and the access path in the outputs."""
    ssh: dict[str, Any] = lab.outputs()["ssh"]
    key, known = folder / "key", folder / "known_hosts"
    key.touch(mode=0o600)
    key.write_text(ssh["private_key"])
    known.write_text(lab.outputs()["known_hosts"])
    options = ["-i", str(key), "-o", f"UserKnownHostsFile={known}", "-o", "StrictHostKeyChecking=yes"]
    options += ["-o", "BatchMode=yes", "-o", "ConnectTimeout=10"]
    route = list(options)
    if "bastion" in ssh:
        jump = " ".join(["ssh", *options, "-W", "%h:%p", f"{ssh['user']}@{ssh['bastion']['ssh_address']}"])
        route += ["-o", f"ProxyCommand={jump}"]
    return {
        name: lab.operator("ssh", *route, f"{ssh['user']}@{address}", "hostname").stdout.strip()
        for name, address in ssh["addresses"].items()
    }


def second_run_changes_nothing(lab: Lab, settings: Path) -> bool:
    output = lab.up("--config-file", str(settings)).lower()
    summary = output[output.rindex("resources:") :]
    return "unchanged" in summary and not any(word in summary for word in ("created", "updated", "deleted", "replaced"))


def test_three_nodes_behind_a_bastion_with_egress(empty: Lab, tmp_path: Path) -> None:
    settings = write_settings(
        tmp_path / "bastion.yaml",
        access={"mode": "bastion", "adminCidrs": ADMINS},
        network={"egress": "nat"},
        nodes={"members": THREE},
    )
    empty.up("--config-file", str(settings))
    assert log_in(empty, tmp_path) == {"iam-a": "iam-a", "iam-b": "iam-b", "iam-c": "iam-c"}
    # The third is an application node: healthy without nginx and keepalived.
    assert empty.operator("tandem", "health", "--stack", "local").returncode == 0
    # A refused connection proves that egress reaches a client on the internet: without egress it would time out.
    output = empty.on("iam-c", "timeout 5 bash -c 'echo > /dev/tcp/198.51.100.10/9' 2>&1", check=False)
    assert "Connection refused" in output
    assert second_run_changes_nothing(empty, settings)


def test_two_public_nodes_in_dual_master_mode_each_hold_a_virtual_ip(empty: Lab, tmp_path: Path) -> None:
    settings = write_settings(
        tmp_path / "public.yaml",
        access={"mode": "public", "adminCidrs": ADMINS},
        keepalived={"mode": "dual-master"},
        virtualIp={"secondAddress": "10.0.4.98"},
    )
    empty.up("--config-file", str(settings))
    assert log_in(empty, tmp_path) == {"iam-a": "iam-a", "iam-b": "iam-b"}
    assert all(address.startswith("203.0.113.") for address in empty.outputs()["ssh"]["addresses"].values())
    for address, master in (("10.0.4.99", "iam-a"), ("10.0.4.98", "iam-b")):
        # Each node preempts its own address a few seconds after the rollout's switchover.
        wait_until(
            lambda address=address: empty.masters(address, ["iam-a", "iam-b"]),
            [master].__eq__,
            deadline_s=15,
            what=f"{master} holds {address}",
        )
    assert len(empty.outputs()["public_ips"]) == 2
    assert empty.operator("tandem", "health", "--stack", "local").returncode == 0
    assert second_run_changes_nothing(empty, settings)
