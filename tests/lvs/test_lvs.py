"""LVS with a rendered configuration on a real kernel: two directors, two real servers (DR) and a client under QEMU."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provisioning.deployment import Node
from provisioning.kinds.file import File
from provisioning.manifest_rendering import render
from tests.keepalived.configurations import VIP, deployment, write
from tests.lvs.guest import DIRECTORS, PORTS, REAL_SERVERS
from tests.lvs.virtual_machine import cache_folder, kernel, run

pytestmark = [pytest.mark.root, pytest.mark.long, pytest.mark.timeout(900)]

UNIT = "/etc/systemd/system/tandem-lvs-real-server.service"


def _settings() -> dict[str, Any]:
    check = {"type": "TCP_CHECK", "connectTimeoutS": 2, "retries": 1, "delayBeforeRetryS": 1}
    servers = [
        {"address": VIP, "port": PORTS["rr"], "method": "rr"},
        {"address": VIP, "port": PORTS["wrr"], "method": "wrr"},
        {"address": VIP, "port": PORTS["persistent"], "method": "rr", "persistenceTimeoutS": 60},
    ]
    return {
        "lvsNetwork": "switched",
        "virtualServers": [
            {
                **server,
                "kind": "DR",
                "delayLoopS": 2,
                "check": check,
                "realServers": [
                    {
                        "address": address,
                        "port": server["port"],
                        "weight": 3 if server["method"] == "wrr" and n == 0 else 1,
                    }
                    for n, address in enumerate(REAL_SERVERS.values())
                ],
            }
            for server in servers
        ],
    }


@pytest.fixture(scope="module")
def observed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("lvs")
    of = deployment(_settings())
    of = replace(of, nodes=(*of.nodes, Node("iam-d", REAL_SERVERS["iam-d"], eligible=False)))
    # The guest's own folder, since it cannot write to that of the host.
    own = "/run/lvs"
    for name in DIRECTORS:
        configuration = write(of, name, folder / name)
        configuration.write_text(configuration.read_text().replace(str(folder), own))
    for name in REAL_SERVERS:
        (unit,) = (item for item in render(of)[name].items if isinstance(item, File) and item.path == UNIT)
        (folder / f"{name}.service").write_text(unit.text)
    shutil.copy(Path(__file__).parent / "guest.py", folder)
    command = f"/bin/sh -c 'cp -r {folder} {own} && cd {own} && {sys.executable} guest.py {own}'"
    console = run(command, kernel(cache_folder()), tmp_path_factory.mktemp("machine"), timeout_s=800)
    lines = [line.partition("OBSERVED ")[2] for line in console.splitlines() if "OBSERVED " in line]
    found: dict[str, Any] = {}
    for line in lines:
        found |= json.loads(line)
    assert "answers at the end" in found, console[-4000:]
    return found


def test_round_robin_gives_each_real_server_half_of_the_connections(observed: dict[str, Any]) -> None:
    assert observed["rr"] == {"iam-c": 10, "iam-d": 10}


def test_weights_divide_the_connections(observed: dict[str, Any]) -> None:
    assert observed["wrr"] == {"iam-c": 30, "iam-d": 10}


def test_a_client_stays_with_its_real_server(observed: dict[str, Any]) -> None:
    assert list(observed["persistent"].values()) == [10]


def test_real_servers_do_not_answer_arp_requests_for_the_virtual_ip(observed: dict[str, Any]) -> None:
    assert observed["the client knows the MAC address of the director"]


def test_a_dead_real_server_is_removed_and_returns(observed: dict[str, Any]) -> None:
    assert observed["a dead real server is removed"] is not None
    assert observed["after its removal"] == {"iam-c": 10}
    assert observed["it returns"] is not None


def test_the_other_director_takes_over(observed: dict[str, Any]) -> None:
    assert observed["the other director takes over"] is not None
    assert observed["longest time without an answer"] < 20
    assert observed["answers at the end"]
