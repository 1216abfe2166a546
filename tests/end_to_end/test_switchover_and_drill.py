"""`tandem switchover` and a sample of `tandem drill` on the group that the tests share."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.end_to_end.group import NODES, VIRTUAL_IP
from tests.end_to_end.lab import CommandError, Lab, wait_until

pytestmark = pytest.mark.root


def master(lab: Lab) -> str:
    (found,) = wait_until(
        lambda: lab.masters(VIRTUAL_IP, list(NODES)),
        lambda masters: len(masters) == 1,
        deadline_s=20,
        what=f"one node holds {VIRTUAL_IP}",
    )
    return found


def test_a_switchover_is_confirmed_by_the_havip_and_from_outside(deployed: Lab) -> None:
    before = master(deployed)
    after = next(name for name in NODES if name != before)
    output = deployed.tandem("switchover")
    assert re.search(rf"{before}: 10\.0\.4\.99 moved to {after}: .*confirmed by the HAVIP after \d+ s", output)
    assert re.search(r"iam\.api\.example\.com answers through \S+: 200 .* after the switchover", output)
    assert master(deployed) == after
    marks = "ls /run/tandem/drain /run/tandem/nginx-drain.conf 2>/dev/null; true"
    assert [deployed.on(name, marks) for name in NODES] == ["", ""]
    assert "holds all virtual IPs already" in deployed.tandem("switchover", "--to", after)
    deployed.tandem("switchover", "--to", before)
    assert master(deployed) == before


def test_a_switchover_to_a_node_that_does_not_serve_is_refused(deployed: Lab) -> None:
    before = master(deployed)
    other = next(name for name in NODES if name != before)
    deployed.on(other, "systemctl stop nginx")
    try:
        with pytest.raises(CommandError, match=r"no other node serves 10\.0\.4\.99; it was not changed"):
            deployed.tandem("switchover")
    finally:
        deployed.on(other, "systemctl start nginx")
    assert master(deployed) == before


def test_a_drill_shows_what_clients_meet(deployed: Lab, tmp_path: Path) -> None:
    result, page = tmp_path / "drill.json", tmp_path / "drill.html"
    files = ("--json", str(result), "--html", str(page))
    output = deployed.tandem("drill", "nginx-kill", "link-down", "--on", "master", "--scale", "0.2", *files)
    assert "nginx killed (kill -9) on the master" in output
    cases = json.loads(result.read_text())["cases"]
    assert [(case["fault"], case["on"], case["error"]) for case in cases] == [
        ("nginx-kill", "master", ""), ("link-down", "master", ""),
    ]  # fmt: skip
    for case in cases:
        found = case["figures"]["healthz, new"]
        assert found["sent"] > 200
        # Generous limits: `make bench-failover` measures on an idle host.
        assert 1 < found["blackout_ms"] < 3000, found
        assert found["recovery"]["lost"] == 0, found
        assert len(case["failovers"]) == 1, case["failovers"]
    assert page.read_text().count("<svg") == 2 * len(cases)
