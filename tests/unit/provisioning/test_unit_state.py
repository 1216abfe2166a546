"""The agent's view of units and of nginx: crash loops, and reloads that nginx did not take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from provisioning.agent.nginx_reload import ERROR_LOG, reload_nginx
from provisioning.agent.node import Node, Result, StepError
from provisioning.agent.systemd import add_pending, bring_up, read_pending, settle, unit_facts
from provisioning.kinds.unit import unit_difference


def systemd(shown: str) -> Callable[..., Result]:
    def run(_argv: list[str]) -> Result:
        return Result(0, shown, "")

    return run


@pytest.mark.parametrize(
    ("shown", "crashes"),
    [
        pytest.param("ActiveState=active\nSubState=running\nNRestarts=0", 0, id="never restarted"),
        pytest.param("ActiveState=activating\nSubState=auto-restart\nNRestarts=0", 1, id="waits for its first restart"),
        pytest.param("ActiveState=activating\nSubState=auto-restart\nNRestarts=40", 40, id="waits for another restart"),
        pytest.param(
            "ActiveState=active\nSubState=running\nNRestarts=40\nActiveEnterTimestampMonotonic=999500000",
            40,
            id="active for a moment",
        ),
        pytest.param(
            "ActiveState=active\nSubState=running\nNRestarts=40\nActiveEnterTimestampMonotonic=900000000",
            0,
            id="stays up after earlier crashes",
        ),
        pytest.param(
            "ActiveState=active\nSubState=running\nNRestarts=1\nActiveEnterTimestampMonotonic=999500000",
            0,
            id="one restart",
        ),
    ],
)
def test_crash_loops_are_recognized(tmp_path: Path, shown: str, crashes: int) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/uptime").write_text("1000.00 1.0\n")
    node = Node(root=str(tmp_path), runner=systemd(shown))
    assert unit_facts(node, ["iam-apiserver"])["iam-apiserver"]["crashes"] == crashes


def test_the_drop_ins_of_a_unit_that_crashes_are_named_unless_they_are_tandems(tmp_path: Path) -> None:
    ours, foreign = "/etc/systemd/system/app.service.d/tandem.conf", "/run/systemd/system/app.service.d/x.conf"
    of_the_distribution = "/usr/lib/systemd/system/service.d/10-timeout.conf"
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/uptime").write_text("1000.00 1.0\n")
    shown = f"SubState=auto-restart\nNRestarts=7\nDropInPaths={of_the_distribution} {ours} {foreign}"
    node = Node(root=str(tmp_path), runner=systemd(f"LoadState=loaded\nActiveState=activating\n{shown}"))
    node.write_json("manifest.json", [{"kind": "file", "path": ours}])
    fact = unit_facts(node, ["app"])["app"]
    assert unit_difference({**fact, "enabled": True}, enabled=True, running=True) == (
        f"crashes repeatedly (restarted 7 times); drop-in {foreign} is not Tandem's"
    )
    fails = Node(root=str(tmp_path), runner=systemd(f"LoadState=loaded\nActiveState=failed\nDropInPaths={foreign}"))
    fact = {**unit_facts(fails, ["app"])["app"], "enabled": True}
    assert unit_difference(fact, enabled=True, running=True) == f"not running; drop-in {foreign} is not Tandem's"


@pytest.mark.parametrize(
    ("link", "reloads"),
    [
        pytest.param("/etc/systemd/system/multi-user.target.wants/app.service", False, id="matters at the next boot"),
        pytest.param("/etc/systemd/system/mariadb.service.requires/app.service", True, id="matters to another unit"),
        pytest.param("/etc/systemd/system/other-name.service", True, id="another name of the unit"),
    ],
)
def test_systemd_reads_its_files_after_enabling_a_unit_only_if_the_link_matters(
    tmp_path: Path, link: str, *, reloads: bool
) -> None:
    commands: list[str] = []

    def run(argv: list[str], **_options: object) -> Result:
        commands.append(" ".join(argv[1:3]))
        if argv[1] == "show":
            return Result(0, "LoadState=loaded\nActiveState=active\nUnitFileState=disabled\n", "")
        return Result(0, "", f"Created symlink {link} → /etc/systemd/system/app.service.\n")

    assert bring_up(Node(root=str(tmp_path), runner=run), "app", enabled=True, running=True) == ["enabled app"]
    assert commands[1:] == ["enable --no-reload", *(["daemon-reload"] if reloads else [])]


@pytest.mark.parametrize(
    ("shown", "done"),
    [
        pytest.param("ActiveState=active\nSubState=running", "reload", id="runs"),
        pytest.param("ActiveState=reloading\nSubState=reload", "reload", id="is being reloaded"),
        pytest.param("ActiveState=activating\nSubState=start", "reload", id="is being started"),
        pytest.param("ActiveState=activating\nSubState=auto-restart", "restart", id="waits for its next start"),
        pytest.param("ActiveState=inactive\nSubState=dead", "", id="is stopped"),
        pytest.param("ActiveState=failed\nSubState=failed", "", id="has failed"),
    ],
)
def test_a_pending_action_is_described_only_if_it_was_done(tmp_path: Path, shown: str, done: str) -> None:
    commands: list[str] = []

    def run(argv: list[str], **_options: object) -> Result:
        if argv[1] != "show":
            commands.append(" ".join(argv[1:]))
        return Result(0, shown, "")

    node = Node(root=str(tmp_path), runner=run)
    add_pending(node, ["reload keepalived"])
    assert settle(node, "reload keepalived") == ([f"{done}ed keepalived"] if done else [])
    assert commands == ([f"{done} keepalived"] if done else [])
    assert read_pending(node) == []


class FakeNginx:
    """The process table and the error log of nginx with process id 10."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.clock = 0.0
        self.show_workers("11 12")
        self.log = root / ERROR_LOG.lstrip("/")
        self.log.parent.mkdir(parents=True)
        self.log.write_text("1 [emerg] 10#10: an earlier error\n")

    def show_workers(self, pids: str) -> None:
        children = self.root / "proc/10/task/10/children"
        children.parent.mkdir(parents=True, exist_ok=True)
        children.write_text(pids)

    def node(self) -> Node:
        return Node(root=str(self.root), runner=systemd("10\n"), now=lambda: self.clock, sleep=self.tick)

    def tick(self, seconds: float) -> None:
        self.clock += seconds


def test_a_reload_is_complete_when_a_new_worker_runs(tmp_path: Path) -> None:
    nginx = FakeNginx(tmp_path)
    reload_nginx(nginx.node(), lambda: nginx.show_workers("11 12 13"))
    assert nginx.clock == 0


def test_a_reload_that_nginx_rejects_is_an_error_with_its_reason(tmp_path: Path) -> None:
    nginx = FakeNginx(tmp_path)
    reason = '2 [emerg] 10#10: limit_req "x" uses the "$host" key while previously it used the "$uri" key'

    def reload() -> None:
        with nginx.log.open("a") as log:
            log.write(reason + "\n3 [crit] 11#11: *5 SSL_do_handshake() failed\n")

    with pytest.raises(StepError, match="nginx kept its old configuration after a reload") as caught:
        reload_nginx(nginx.node(), reload)
    assert caught.value.seen == reason


def test_a_reload_without_any_sign_fails_after_a_deadline(tmp_path: Path) -> None:
    nginx = FakeNginx(tmp_path)
    with pytest.raises(StepError):
        reload_nginx(nginx.node(), lambda: None)
    assert 10 < nginx.clock < 11
