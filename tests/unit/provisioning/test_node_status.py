"""The agent's `status` and `logs`, and the time for which a drained node stays out."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from provisioning_fakes import FakeGroup

from provisioning.agent import access_log, put_back_timer, status
from provisioning.agent.node import Node, Result
from provisioning.health.public_checks import TOO_LARGE

NOW = dt.datetime(2026, 11, 27, 15, 0, 0, tzinfo=dt.UTC).timestamp()
KEEPALIVED = """\
1764255000.100000 iam-a Keepalived_vrrp[12]: (VI_1) Entering BACKUP STATE (init)
1764255003.500000 iam-a Keepalived_vrrp[12]: (VI_1) Entering MASTER STATE
1764255003.600000 iam-a Keepalived_vrrp[12]: (VI_2) Entering BACKUP STATE
"""


class FakeNode:
    def __init__(self, root: Path, journal: str = "", held: tuple[str, ...] = ()) -> None:
        self.journal = journal
        self.held = json.dumps([{"addr_info": [{"local": address} for address in held]}])
        self.commands: list[list[str]] = []
        self.node = Node(root=str(root), runner=self._run, wall_clock=lambda: NOW)
        (root / "var/log/nginx").mkdir(parents=True)

    def _run(self, argv: list[str], **_: object) -> Result:
        self.commands.append(argv)
        if argv[0] == "dpkg-query":
            return Result(1, "keepalived\tinstalled\t1:2.2.7-1+b2\nnginx\tinstalled\t1.22.1-9\nredis-server\tnot-installed\t\n", "no package")  # fmt: skip  # noqa: E501 - one response
        journal = self.journal.splitlines(keepends=True)
        journal = journal[::-1] if "--reverse" in argv else journal
        limit = next((int(word[len("--lines=") :]) for word in argv if word.startswith("--lines=")), len(journal))
        return Result(0, {"journalctl": "".join(journal[:limit]), "ip": self.held}.get(argv[0], ""), "")

    def write(self, path: str, text: str) -> None:
        self.node.at(path).write_text(text)


def as_text(seconds_ago: float, code: int) -> str:
    at = dt.datetime.fromtimestamp(NOW - seconds_ago, dt.UTC)
    return f'203.0.113.9 - - [{at:%d/%b/%Y:%H:%M:%S} +0000] "GET /healthz HTTP/1.1" {code} 15 "-" "curl/8"\n'


def as_json(seconds_ago: float, code: int) -> str:
    """A line of the default format, with every field of the template."""
    at = dt.datetime.fromtimestamp(NOW - seconds_ago, dt.timezone(dt.timedelta(hours=8)))
    template = Path("provisioning/templates/nginx/nginx.conf.j2").read_text()
    parts = re.findall(r"^ +'(.*?)';?$", template.partition("escape=json")[2].partition("{% else %}")[0], re.MULTILINE)
    values = {"$time_iso8601": at.isoformat(timespec="seconds"), "$status": str(code), "$body_bytes_sent": "15"}
    values |= {"$request_time": "0.001", "$request_uri": r"/?\"status\":599,"}
    return re.sub(r"\$\w+", lambda name: values.get(name[0], "-"), "".join(parts)) + "\n"


def test_the_status_has_the_time_since_which_each_virtual_ip_is_held(tmp_path: Path) -> None:
    """The node is master of VI_1 with two addresses; of VI_2 it was master before, and its address is in transit."""
    journal = KEEPALIVED + "1764255009.0 iam-a Keepalived_vrrp[12]: (VI_2) Entering MASTER STATE\n"
    journal += "1764255010.0 iam-a Keepalived_vrrp[12]: (VI_2) Entering BACKUP STATE\n"
    fake = FakeNode(tmp_path, journal, held=("10.0.4.99", "10.0.4.97", "10.0.4.98"))
    fake.node.at("/etc/tandem").mkdir(parents=True)
    routers = {"VI_1": ["10.0.4.99", "10.0.4.97"], "VI_2": ["10.0.4.98"]}
    fake.write("/etc/tandem/switchover.json", json.dumps({"routers": routers}))
    found = status.status(fake.node, virtual_ips=["10.0.4.99", "10.0.4.98", "10.0.4.97", "10.0.4.96"], links=[])
    assert found["held"] == {"10.0.4.99": 1764255003.5, "10.0.4.97": 1764255003.5, "10.0.4.98": 0.0}
    assert found["vrrp"]


def test_a_node_without_keepalived_holds_nothing(tmp_path: Path) -> None:
    found = status.status(FakeNode(tmp_path).node, virtual_ips=["10.0.4.99"], links=[])
    assert (found["held"], found["vrrp"]) == ({}, False)


def test_the_status_names_installed_programs_and_the_release(tmp_path: Path) -> None:
    fake = FakeNode(tmp_path)
    release = fake.node.at("/opt/iam/releases/1.2.3")
    release.mkdir(parents=True)
    fake.node.at("/opt/iam/current").symlink_to(release)
    found = status.status(fake.node, virtual_ips=[], links=["/opt/iam/current"])
    assert found["packages"] == {"keepalived": "1:2.2.7-1+b2", "nginx": "1.22.1-9"}
    assert found["releases"] == {"/opt/iam/current": "1.2.3"}


@pytest.mark.parametrize("access", [as_json, as_text])
def test_requests_and_errors_of_the_last_ten_seconds_are_counted(
    tmp_path: Path, access: Callable[[float, int], str]
) -> None:
    fake = FakeNode(tmp_path)
    lines = [access(60, 200), access(9, 200), access(5, 502), "no request\n", access(1, 404)]
    fake.write(access_log.PATH, "".join(lines))
    assert status.traffic(fake.node) == {"requests": 3, "errors": 1, "seconds": 10}


def test_without_an_access_log_there_are_no_requests(tmp_path: Path) -> None:
    assert status.traffic(FakeNode(tmp_path).node)["requests"] == 0


def test_a_log_that_is_too_busy_to_be_read_back_ten_seconds_counts_what_was_read(tmp_path: Path) -> None:
    fake = FakeNode(tmp_path)
    fake.write(access_log.PATH, as_json(9, 200) * 100 + as_json(2, 200) * 10_000)
    found = status.traffic(fake.node)
    assert found["seconds"] == 2
    assert 1000 < found["requests"] < 10_000


def entry(at: float, **fields: Any) -> str:
    return json.dumps({"__CURSOR": f"c{at}", "__REALTIME_TIMESTAMP": str(int(at * 1e6)), **fields}) + "\n"


def read(fake: FakeNode, position: dict[str, Any] | None = None, units: tuple[str, ...] = ()) -> dict[str, Any]:
    return status.logs(fake.node, units=list(units), since="-1h", lines=50, position=position)


def test_the_error_that_the_health_checks_cause_is_left_out(tmp_path: Path) -> None:
    fake = FakeNode(tmp_path)
    refused = "[error] 7#7: *1 client intended to send too large body: {} bytes\n"
    lines = (f"2026/11/27 15:00:00 {refused.format(size)}" for size in (TOO_LARGE, 9_000_000))
    fake.write(status.ERROR_LOG, "".join(lines))
    (entry,) = status.logs(fake.node, units=["nginx"], since="-1h", lines=9, position=None)["entries"]
    assert "9000000" in entry["text"]


def test_the_journal_and_nginxs_error_log_are_merged(tmp_path: Path) -> None:
    journal = [
        entry(NOW - 9, MESSAGE="Started nginx", UNIT="nginx.service", _SYSTEMD_UNIT="init.scope"),
        entry(NOW - 2, MESSAGE=[255, 65], _SYSTEMD_UNIT="iam-apiserver.service"),
        entry(NOW - 1, MESSAGE=None, SYSLOG_IDENTIFIER="kernel"),
    ]
    fake = FakeNode(tmp_path, "".join(journal))
    at = dt.datetime.fromtimestamp(NOW - 5)  # noqa: DTZ006 - nginx writes the node's local time
    fake.write(status.ERROR_LOG, f"{at:%Y/%m/%d %H:%M:%S} [error] 7#7: *1 connect() failed\n")
    found = read(fake)
    assert [(each["unit"], each["text"]) for each in found["entries"]] == [
        ("nginx", "Started nginx"),
        ("nginx", "[error] 7#7: *1 connect() failed"),
        ("iam-apiserver", "\ufffdA"),
        ("kernel", "(a message without text)"),
    ]
    assert "--since=-1h" in fake.commands[-1]


def test_the_newest_lines_are_shown_in_the_order_of_their_time(tmp_path: Path) -> None:
    fake = FakeNode(tmp_path, "".join(entry(NOW - 100 + second, MESSAGE=str(second)) for second in range(100)))
    found = read(fake)
    assert [each["text"] for each in found["entries"]] == [str(second) for second in range(50, 100)]
    assert found["position"]["cursor"] == f"c{NOW - 1}"


def test_the_sessions_of_tandems_own_commands_are_left_out_unless_they_are_named(tmp_path: Path) -> None:
    noise = ["session-13.scope", "user@1000.service", "user-runtime-dir@1000.service", "systemd-logind.service"]
    units = ["iam-pump.service", *noise * 30, "ssh.service", "user-1000.slice", "run-user-1000.mount"]
    lines = [entry(NOW - 200 + at, MESSAGE="x", _SYSTEMD_UNIT=unit) for at, unit in enumerate(units)]
    fake = FakeNode(tmp_path, "".join(lines))
    assert [each["unit"] for each in read(fake)["entries"]] == ["iam-pump", "ssh"]
    assert len(read(fake, units=("systemd-logind",))["entries"]) == 50


def test_a_later_call_returns_only_what_is_new(tmp_path: Path) -> None:
    fake = FakeNode(tmp_path, entry(NOW, MESSAGE="one"))
    fake.write(status.ERROR_LOG, "2026/11/27 15:00:00 [error] old\n")
    first = read(fake)
    fake.journal = ""
    fake.write(status.ERROR_LOG, "2026/11/27 15:00:00 [error] old\n2026/11/27 15:00:01 [error] new\n")
    second = read(fake, first["position"])
    assert [each["text"] for each in second["entries"]] == ["[error] new"]
    assert f"--after-cursor=c{NOW}" in fake.commands[-1]
    assert second["position"]["cursor"] == first["position"]["cursor"]
    assert read(fake, second["position"])["entries"] == []


def test_other_units_do_not_show_nginxs_errors(tmp_path: Path) -> None:
    fake = FakeNode(tmp_path)
    fake.write(status.ERROR_LOG, "2026/11/27 15:00:00 [error] x\n")
    assert read(fake, units=("keepalived",))["entries"] == []
    assert "--unit=keepalived" in fake.commands[-1]


@pytest.mark.parametrize("out", [True, False])
def test_only_a_node_that_is_out_stays_out_longer(tmp_path: Path, *, out: bool) -> None:
    group = FakeGroup(tmp_path)
    (node,) = group.inventory.nodes[:1]
    system = group.systems[node.name]
    (system.root / "run/tandem").mkdir(parents=True)
    commands: list[list[str]] = []
    system.on_command = commands.append
    if out:
        (system.root / put_back_timer.DRAIN_CONF.lstrip("/")).write_text("")
    agent = Node(root=str(system.root), runner=system.run, program=lambda: b"", wall_clock=lambda: 1000.0)
    put_back_timer.stay_out(agent, name="iam-b", seconds=7200)
    assert json.loads(agent.read(put_back_timer.KEPT_OUT) or "{}") == (
        {"node": "iam-b", "until": 8200.0} if out else {}
    )
    assert any("--on-active=7200" in command for command in commands) == out
