"""Additional nodes, rotated secrets and changed VRRP settings on real nodes, under load."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.end_to_end.conftest import NAME
from tests.end_to_end.group import NODES, VIRTUAL_IP, Group, request_healthz, requests_seen, under_load
from tests.end_to_end.lab import BIN, ROOT, Lab, new_cloud, wait_until
from tests.end_to_end.settings import write_settings

pytestmark = [pytest.mark.root, pytest.mark.long]

# Of the secrets that rotate without an effect on clients.
ROTATED = dict.fromkeys(
    (
        "mariadbPassword",
        "redisPassword",
        "healthPassword",
        "nodeCertificates",
        "serverCertificate",
        "deploymentKey",
    ),
    2,
)
MEMBERS = [{"name": f"iam-{name}", "address": f"10.0.4.2{number}"} for number, name in enumerate("abc")]
WATCH = "/run/tandem-test-addresses"


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    """A group on a separate cloud: a generation of the deployment key cannot be reduced for other tests."""
    first = write_settings(tmp_path_factory.mktemp("settings") / "first.yaml")
    with new_cloud(f"{NAME}r") as lab:
        group = Group(lab, first)
        group.up()
        yield group


def make_master(lab: Lab, name: str) -> None:
    """Switch the virtual IP over to the node by a short stop of keepalived on the other one."""
    (other,) = [node for node in NODES if node != name]
    lab.on(other, "systemctl stop keepalived")
    wait_until(lambda: lab.masters(VIRTUAL_IP, list(NODES)), [name].__eq__, deadline_s=20, what=f"{name} is master")
    lab.on(other, "systemctl start keepalived")


def started(lab: Lab) -> list[str]:
    """When the databases on the first node were started."""
    return lab.on("iam-a", "systemctl show -p ActiveEnterTimestampMonotonic mariadb redis-server").split()


@pytest.mark.parametrize("master", NODES)
def test_a_node_is_added_without_a_restart_of_the_databases(group: Group, tmp_path: Path, master: str) -> None:
    lab = group.lab
    make_master(lab, master)
    before = started(lab)
    with under_load(lab, tmp_path) as result:
        group.settings = write_settings(tmp_path / "three.yaml", nodes={"members": MEMBERS})
        group.up()
    assert "200" in lab.on("iam-a", "curl -s -o /dev/null -w '%{http_code}' http://10.0.4.22:8080/healthz")
    seen = requests_seen(lab, "iam-c", "iam-apiserver")
    request_healthz(lab, "iam.api.example.com", lab.outputs()["public_ip"], times=9)
    assert requests_seen(lab, "iam-c", "iam-apiserver") - seen == 3, "the share of a third node"
    assert started(lab) == before
    assert lab.on("iam-a", "mariadb -N -e 'SELECT @@GLOBAL.max_connections'").strip() == "330"
    assert result.lost() == [], result.summary()
    group.settings = write_settings(tmp_path / "two.yaml")
    group.up()
    assert started(lab) == before


def passwords_valid(lab: Lab) -> dict[str, bool]:
    """Whether Redis and MariaDB accept the password that each node's services use."""
    valid: dict[str, bool] = {}
    for node in NODES:
        redis = ". /etc/iam/redis.env; export REDISCLI_AUTH; redis-cli -h 10.0.4.20 ping"
        valid[f"redis {node}"] = "PONG" in lab.on(node, redis, check=False)
    return valid


def test_all_secrets_of_databases_certificates_and_ssh_rotate_under_load(group: Group, tmp_path: Path) -> None:
    lab = group.lab
    before, old = started(lab), lab.outputs()
    old_redis = lab.on("iam-a", "cat /etc/iam/redis.env")
    with under_load(lab, tmp_path) as result:
        group.settings = write_settings(tmp_path / "rotated.yaml", credentials={"generation": ROTATED})
        group.up()
    print(result.summary())
    new = lab.outputs()
    assert new["ssh"]["private_key"] != old["ssh"]["private_key"]
    assert started(lab) == before, "the databases were restarted"
    assert all(passwords_valid(lab).values())
    users = lab.on("iam-a", "mariadb -N -e \"SELECT user FROM mysql.user WHERE host LIKE '10.%'\"").split()
    assert set(users) == {"iam_g2"}
    # The old values are refused.
    script = f"{old_redis.strip()}; export REDISCLI_AUTH; redis-cli -h 10.0.4.20 ping 2>&1"
    assert "PONG" not in lab.on("iam-a", script, check=False)
    for node in NODES:
        keys = lab.on(node, "cat /home/*/.ssh/authorized_keys /root/.ssh/authorized_keys 2>/dev/null", check=False)
        assert keys.count("ssh-rsa") >= 1
        assert len({line.split()[-1] for line in keys.splitlines() if "ssh-rsa" in line}) == 1
    assert lab.operator("tandem", "health", "--stack", "local").returncode == 0
    assert "as tandem-health in " in lab.operator("tandem", "health", "--stack", "local", "--json").stdout
    assert result.lost() == [], result.summary()
    # The previous version would log in with accounts and passwords that no longer exist.
    refused = lab.operator("tandem", "rollback", "--stack", "local", "--yes", check=False)
    assert refused.returncode == 1
    assert "has removed what the previous version needs; nothing was changed" in refused.stdout + refused.stderr
    assert lab.operator("tandem", "health", "--stack", "local").returncode == 0


def test_the_jwt_key_changes_after_an_announcement(group: Group, tmp_path: Path) -> None:
    lab = group.lab
    with under_load(lab, tmp_path) as result:
        group.settings = write_settings(
            tmp_path / "jwt.yaml",
            credentials={"generation": {**ROTATED, "jwtKey": 2}},
        )
        output = group.up()
    assert "tokens issued before the change are refused" in output
    # Only requests with a token are affected.
    assert result.lost("healthz", "healthz-kept", "authorization", "login") == [], result.summary()
    assert {each.status for each in result.lost("secrets")} <= {401}, result.summary()


# ---- VRRP ----------------------------------------------------------------------------------------------------------


@contextmanager
def watched(lab: Lab) -> Generator[dict[str, list[tuple[float, bool]]]]:
    """Record every 50 ms whether each node holds the virtual IP. The nodes share the host's clock."""
    loop = f"while :; do ip -4 -o addr show eth0 | grep -qF {VIRTUAL_IP}/ && held=1 || held=0; "
    loop += f"echo $(date +%s.%N) $held; sleep 0.05; done > {WATCH}"
    for node in NODES:
        lab.on(node, f"systemd-run -q --unit tandem-test-watch sh -c '{loop}'")
    seen: dict[str, list[tuple[float, bool]]] = {}
    try:
        yield seen
    finally:
        for node in NODES:
            lines = lab.on(node, f"systemctl stop tandem-test-watch; cat {WATCH}").splitlines()
            rows = [line.split() for line in lines]
            seen[node] = [(float(row[0]), row[1] == "1") for row in rows if len(row) == 2]


def both_held_s(seen: dict[str, list[tuple[float, bool]]]) -> float:
    """The longest time for which both nodes held the virtual IP."""
    changes = sorted((at, node, held) for node, rows in seen.items() for at, held in rows)
    holding: dict[str, bool] = {}
    longest, since = 0.0, 0.0
    for at, node, held in changes:
        holding[node] = held
        if sum(holding.values()) < 2:
            since = 0.0
        else:
            since = since or at
            longest = max(longest, at - since)
    return longest


def start_up(lab: Lab, settings: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "LOCALCLOUD_NAME": lab.name, "PATH": f"{BIN}:{os.environ['PATH']}"}
    command = ["localcloud", "exec", "--", "tandem", "up", "--stack", "local", "--config-file", str(settings)]
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def test_an_interrupted_change_of_the_router_id_never_leaves_two_masters(group: Group, tmp_path: Path) -> None:
    lab = group.lab
    (master,) = lab.masters(VIRTUAL_IP, list(NODES))
    (backup,) = [node for node in NODES if node != master]
    credentials = {"generation": {**ROTATED, "jwtKey": 2}}
    group.settings = write_settings(tmp_path / "vrrp.yaml", keepalived={"virtualRouterId": 77}, credentials=credentials)
    with watched(lab) as seen:
        running = start_up(lab, group.settings)
        wait_until(
            lambda: lab.on(backup, "systemctl is-active keepalived", check=False).strip(),
            "inactive".__eq__, deadline_s=120, what=f"keepalived on {backup} is stopped",
        )  # fmt: skip
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        time.sleep(5)
        assert lab.masters(VIRTUAL_IP, list(NODES)) == [master]
        assert lab.operator("tandem", "health", "--stack", "local", check=False).returncode == 1
        group.up()
        wait_until(lambda: len(lab.masters(VIRTUAL_IP, list(NODES))), (1).__eq__, deadline_s=10, what="one master")
    assert both_held_s(seen) < 0.15
    for node in NODES:
        assert lab.on(node, "grep -c 'virtual_router_id 77' /etc/keepalived/keepalived.conf").strip() == "1"
        assert lab.on(node, "systemctl is-active keepalived; systemctl is-enabled keepalived").split() == [
            "active", "enabled",
        ]  # fmt: skip


def test_a_change_of_the_profile_has_one_master_at_all_times(group: Group, tmp_path: Path) -> None:
    lab = group.lab
    credentials = {"generation": {**ROTATED, "jwtKey": 2}}
    with watched(lab) as seen:
        group.settings = write_settings(tmp_path / "seed.yaml", keepalived={"profile": "seed"}, credentials=credentials)
        group.up()
        wait_until(lambda: len(lab.masters(VIRTUAL_IP, list(NODES))), (1).__eq__, deadline_s=10, what="one master")
    assert both_held_s(seen) < 0.15
    assert lab.operator("tandem", "health", "--stack", "local").returncode == 0
