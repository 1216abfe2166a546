"""The planned switchover of a drill, with the modes in which a drained node gets its virtual IP back."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from test_node_changes import VIP, VIP2, Lab
from test_planned_switchover import prefer, return_to_preferred

from operations.drill.drill import Drill, Options
from operations.drill.faults import choose
from operations.drill.requests import Record
from operations.drill.result import Result
from operations.drill.site import Site
from provisioning.health.checks import Group, PublicSide


@dataclass(frozen=True, slots=True)
class QuietSite(Site):
    """A site with one request and without log lines."""

    @contextmanager
    def load(self, scale: float, folder: Path) -> Generator[Result]:
        del scale, folder
        yield Result([Record("healthz, new", 1000.0, 0.004, 200)])

    def journals(self, since: float) -> dict[str, list[list[Any]]]:
        del since
        return {}


MODES = {
    "nopreempt": ((VIP,), {}),
    "preempt": ((VIP,), {"iam-a": [VIP]}),
    "dual-master": ((VIP, VIP2), {"iam-a": [VIP], "iam-b": [VIP2]}),
}


@pytest.mark.parametrize("mode", MODES)
def test_a_switchover_is_drilled_in_every_mode_and_leaves_no_node_drained(tmp_path: Path, mode: str) -> None:
    virtual_ips, own = MODES[mode]
    lab = Lab(tmp_path, virtual_ips=virtual_ips)
    for name, addresses in own.items():
        lab.group.held_by(name, *addresses)
    prefer(lab, own)
    return_to_preferred(lab, own)
    seen: list[set[str]] = []

    def sleep(seconds: float) -> None:
        lab.sleep(seconds)
        seen.append(set(lab.group.systems["iam-b"].addresses))

    site = QuietSite(Group(PublicSide((), (), ""), lab.group.inventory, {}), lab.group.connect, None, _none)
    drill = Drill(site, Options("fast"), lambda _line: None, sleep=sleep, now=lambda: lab.group.clock)
    (run,) = drill.run(choose(["switchover"], [], on_localcloud=False))
    assert not run.error
    assert set(virtual_ips) in seen, "it held all virtual IPs"
    assert lab.is_as_before()
    assert lab.group.systems["iam-b"].addresses == set(own.get("iam-b", () if own else virtual_ips))


def _none(command: Sequence[str]) -> Sequence[str]:
    return command
