"""The group on Debian 13: nginx 1.26, keepalived 2.3, systemd 257."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import NAME
from tests.end_to_end.group import NODES, VIRTUAL_IP
from tests.end_to_end.lab import Lab, new_cloud, wait_until
from tests.end_to_end.settings import write_settings

pytestmark = [pytest.mark.root, pytest.mark.long]
IMAGE = {"image": "img-debian13", "distribution": "debian-13"}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with new_cloud(f"{NAME}t") as lab:
        lab.localcloud("up", "--image", "img-debian13", timeout_s=1800)
        yield lab


def up(lab: Lab, folder: Path, *, check: bool = True, **nodes: str) -> str:
    sections: dict[str, Any] = {"nodes": {**IMAGE, **nodes}, "system": {"securityUpdates": True}}
    settings = write_settings(folder / "debian13.yaml", **sections)
    done = lab.operator("tandem", "up", "--config-file", str(settings), "--stack", "local", check=check, timeout_s=900)
    return done.stdout + done.stderr


def test_the_group_is_deployed_serves_and_fails_over(lab: Lab, tmp_path: Path) -> None:
    up(lab, tmp_path)
    assert lab.operator("tandem", "health", "--stack", "local").returncode == 0
    for node in NODES:
        assert "Debian GNU/Linux 13" in lab.on(node, "cat /etc/os-release")
        assert "nginx/1.26" in lab.on(node, "nginx -v 2>&1")
        assert "v2.3" in lab.on(node, "keepalived --version 2>&1")
        assert "[warn]" not in lab.on(node, "nginx -t 2>&1")
        # systemd ignores what it does not know, with a line in the journal.
        assert "Unknown" not in lab.on(node, "journalctl -b --no-pager -o cat _PID=1 | grep /etc/systemd/system; true")

    (master,) = lab.masters(VIRTUAL_IP, list(NODES))
    (backup,) = set(NODES) - {master}
    lab.on(master, "systemctl kill --kill-whom=main --signal=KILL keepalived")
    wait_until(lambda: lab.masters(VIRTUAL_IP, list(NODES)), [backup].__eq__, deadline_s=20, what="a failover")
    lab.tandem("switchover", "--to", master)
    assert lab.masters(VIRTUAL_IP, list(NODES)) == [master]


def test_a_second_up_changes_nothing(lab: Lab, tmp_path: Path) -> None:
    summary = up(lab, tmp_path).lower().rpartition("resources:")[2]
    assert "unchanged" in summary
    assert not any(word in summary for word in ("created", "updated", "deleted", "replaced"))


def test_another_distribution_is_refused_before_any_change(lab: Lab, tmp_path: Path) -> None:
    before = lab.on("iam-a", "stat -c %Y /etc/nginx/nginx.conf /etc/nginx/conf.d/*")
    output = up(lab, tmp_path, check=False, distribution="debian-12")
    assert "must be Debian 12, as nodes.distribution says (is Debian GNU/Linux 13" in output
    assert lab.on("iam-a", "stat -c %Y /etc/nginx/nginx.conf /etc/nginx/conf.d/*") == before
    assert lab.operator("tandem", "health", "--stack", "local").returncode == 0
