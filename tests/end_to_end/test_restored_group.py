"""A failed test does not affect the next one (conftest.py)."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field

import pytest

from tests.end_to_end.group import NODES, VIRTUAL_IP, Group
from tests.end_to_end.lab import CommandError, Lab, wait_until


@dataclass(frozen=True)
class FakeLab(Lab):
    """A cloud whose nodes cannot be power-cycled."""

    commands: list[str] = field(default_factory=list[str])

    def run(self, *command: str, check: bool = True, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        del check, timeout_s
        self.commands.append(" ".join(command))
        done = subprocess.CompletedProcess(command, 0, VIRTUAL_IP if "iam-a" in command else "", "")
        if command[1] == "fault":
            raise CommandError(list(command), done)
        return done


def test_a_group_that_cannot_be_restored_is_deployed_on_a_new_cloud() -> None:
    lab = FakeLab("restored")
    Group(lab).restore()
    kept = [command for command in lab.commands if "ip -4" not in command]
    assert kept == [
        "localcloud fault iam-a heal",
        "localcloud down",
        "localcloud up",
        "localcloud exec -- tandem up --stack local",
        "localcloud exec -- tandem health --stack local",
    ]


@pytest.mark.root
def test_a_restore_ends_a_split_brain(group: Group) -> None:
    for node in NODES:
        group.lab.on(node, "nft insert rule inet tandem from_nodes ip protocol 112 drop; systemctl stop iam-pump")
    wait_until(
        lambda: group.lab.masters(VIRTUAL_IP, list(NODES)), list(NODES).__eq__, deadline_s=15, what="split brain"
    )
    group.restore()
    assert len(group.lab.masters(VIRTUAL_IP, list(NODES))) == 1
    for node in NODES:
        assert "protocol 112 drop" not in group.lab.on(node, "nft list ruleset")
        assert group.lab.on(node, "systemctl is-active nginx keepalived iam-pump").split() == ["active"] * 3
