"""Deploys stacks with other topologies than the local one on an empty cloud, and logs in like an operator."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
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
    # `tandem ssh` uses the bastion, too.
    done = empty.operator("tandem", "ssh", "iam-c", "--stack", "local", "--", "hostname; exit 3", check=False)
    assert (done.returncode, done.stdout) == (3, "iam-c\n"), done.stderr
    # The third is an application node: healthy without nginx and keepalived.
    assert empty.operator("tandem", "health", "--stack", "local").returncode == 0
    # A refused connection proves that egress reaches a client on the internet: without egress it would time out.
    output = empty.on("iam-c", "timeout 5 bash -c 'echo > /dev/tcp/198.51.100.10/9' 2>&1", check=False)
    assert "Connection refused" in output
    assert second_run_changes_nothing(empty, settings)


HOMES = {"10.0.4.99": "iam-a", "10.0.4.98": "iam-b", "10.0.4.97": "iam-b"}


@contextmanager
def watched(lab: Lab) -> Generator[list[dict[str, list[str]]]]:
    """Read repeatedly which virtual IPs the nodes hold. The list grows."""
    ended = threading.Event()
    seen: list[dict[str, list[str]]] = []

    def read() -> None:
        while not ended.wait(0.2):
            seen.append(holders(lab))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def split(seen: Sequence[dict[str, list[str]]]) -> list[dict[str, list[str]]]:
    """Two consecutive observations of two masters: while an address moves, both nodes hold it for a moment."""
    return [
        one
        for one, two in itertools.pairwise(seen)
        if any(len(names) > 1 and len(two[address]) > 1 for address, names in one.items())
    ]


def holders(lab: Lab) -> dict[str, list[str]]:
    """The nodes that hold each virtual IP. A node that does not answer holds none."""
    shown = {name: lab.on(name, "ip -4 -o addr show scope global", check=False) for name in ("iam-a", "iam-b")}
    return {address: [name for name, text in shown.items() if f" {address}/" in text] for address in HOMES}


def test_two_public_nodes_in_dual_master_mode_each_hold_their_virtual_ips(empty: Lab, tmp_path: Path) -> None:
    sections: dict[str, Any] = {
        "access": {"mode": "public", "adminCidrs": ADMINS},
        "keepalived": {"mode": "dual-master"},
        "virtualIp": {"secondAddress": "10.0.4.98", "additional": [{"address": "10.0.4.97", "router": 2}]},
    }
    settings = write_settings(tmp_path / "public.yaml", **sections)
    at_home = {address: [name] for address, name in HOMES.items()}
    empty.up("--config-file", str(settings))
    # The end of the rollout has returned them; keepalived would wait 300 s.
    assert holders(empty) == at_home
    assert log_in(empty, tmp_path) == {"iam-a": "iam-a", "iam-b": "iam-b"}
    assert all(address.startswith("203.0.113.") for address in empty.outputs()["ssh"]["addresses"].values())
    assert len(empty.outputs()["public_ips"]) == 3
    assert empty.operator("tandem", "health", "--stack", "local").returncode == 0
    assert second_run_changes_nothing(empty, settings)

    # Restarts have no limit; the profile fast restarts it after 0.5 s; meanwhile the peer holds all.
    for _ in range(7):
        empty.on("iam-a", "kill -9 $(pidof keepalived); sleep 0.3")
        wait_until(lambda: empty.on("iam-a", "systemctl is-active keepalived", check=False).strip(), "active".__eq__,
                   deadline_s=20, what="keepalived runs again")  # fmt: skip
    assert all(names == ["iam-b"] for names in holders(empty).values())

    # VRRPv2 with a keyed hash: protocol 51 passes the packet filters, and no address has two masters on the way.
    sections["keepalived"] |= {
        "profile": "balanced", "vrrpVersion": 2, "authentication": "AH", "addressLabels": True, "daemonLog": "file",
        "track": {"scripts": [{"name": "root_is_writable", "command": "/usr/bin/test -w /", "weight": -20}]},
    }  # fmt: skip
    settings = write_settings(tmp_path / "hash.yaml", **sections)
    with watched(empty) as seen:
        empty.up("--config-file", str(settings))
        time.sleep(5)
    assert holders(empty) == at_home
    assert split(seen) == []
    assert "eth0:1" in empty.on("iam-a", "ip -4 -o addr show")
    logs = [empty.on(name, "cat /var/log/keepalived-daemon.log", check=False) for name in ("iam-a", "iam-b")]
    assert any("Entering BACKUP STATE" in log for log in logs), "the one that was stopped for the change"
    wait_until(
        lambda: empty.operator("tandem", "health", "--stack", "local", check=False).returncode,
        (0).__eq__,
        deadline_s=60,
        what="tandem health",
    )

    # The cloud sends nothing to a fenced node, and `up` attaches it again. The only node that serves is not fenced.
    refused = empty.operator("tandem", "fence", "iam-a", "--stack", "local", check=False)
    assert "no other node holds 10.0.4.99 and serves; nothing was changed" in refused.stderr + refused.stdout
    empty.operator("tandem", "switchover", "--to", "iam-b", "--stack", "local")
    assert all(names == ["iam-b"] for names in holders(empty).values())
    empty.operator("tandem", "switchover", "--back", "--stack", "local")
    assert holders(empty) == at_home
    empty.operator("tandem", "switchover", "--to", "iam-b", "--stack", "local")
    output = empty.operator("tandem", "fence", "iam-a", "--stack", "local").stdout
    assert output.count("is detached in the cloud") == 3
    nothing = "iam-a: no virtual IP of the group is attached"
    assert nothing in empty.operator("tandem", "fence", "iam-a", "--stack", "local").stdout
    empty.up("--config-file", str(settings))  # and the rollout returns what a switchover has moved
    assert holders(empty) == at_home
