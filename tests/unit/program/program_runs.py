"""Runs of the program on ready stacks with some options changed; each is run once for all tests."""

from __future__ import annotations

import functools
import json
import tarfile
import tempfile
from pathlib import Path
from typing import Any

import fake_cloud
from certificate_samples import make_certificate
from settings_samples import EXTERNAL, GIVEN, with_values

_NODES = [
    {"name": f"iam-{letter}", "address": f"10.0.4.{20 + number}"} for number, letter in enumerate("abcdefghijklmnop")
]

_PLACE = tempfile.TemporaryDirectory()  # gone with the process


def make_release() -> str:
    """The path of a release of somebody's own: the right names, and nothing in them."""
    path = Path(_PLACE.name) / "iam.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in ("bin/iam-apiserver", "bin/iam-authz-server", "bin/iam-pump", "sql/iam.sql"):
            archive.addfile(tarfile.TarInfo(name))
    return str(path)


# Every choice that changes what is declared, as changes of the local stack.
OPTIONS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "three nodes": {"nodes.members": _NODES[:3]},
    "sixteen nodes": {"nodes.members": _NODES},
    "through a bastion": {"access.mode": "bastion", "access.adminCidrs": ["198.51.100.0/24"]},
    "public nodes": {"access.mode": "public", "access.adminCidrs": ["198.51.100.0/24"]},
    "two masters": {"keepalived": {"mode": "dual-master"}, "virtualIp.secondAddress": "10.0.4.98"},
    "an existing network": {"network.existing": {"vpcId": "vpc-1234abcd", "subnetId": "subnet-1234abcd"}},
    "external databases": {"data": EXTERNAL, "credentials": {"given": GIVEN}},
    "databases that have moved away": {
        "data": {**EXTERNAL, "location": "moved"},
        "credentials": {"given": GIVEN},
    },
    "audit records in MongoDB": {
        "iam": {"release": make_release()},
        "data": {**EXTERNAL, "mongodb": {"address": "10.0.9.3:27017"}},
        "credentials": {"given": {**GIVEN, "mongodbPassword": "gi/ven@mongodb%password"}},
    },
    "a way out": {"network.egress": "nat"},
    "names in DNS, with two masters": {
        "dns": {"zone": "example.com"},
        "keepalived": {"mode": "dual-master"},
        "virtualIp.secondAddress": "10.0.4.98",
    },
    "alarms": {
        "alarms": {"enabled": True, "receivers": {"userIds": [1], "groupIds": [2], "urls": ["https://a.example.com/"]}}
    },
    "a certificate of one's own": {
        "credentials": {"server": make_certificate("iam.api.example.com", "iam.authz.example.com")}
    },
    "protected": {"protect": True, "nodes.terminationProtection": True},
    "the lecture's timing": {"keepalived": {"profile": "seed"}},
}


def config_of(stack: str, changes: dict[str, Any]) -> dict[str, Any]:
    config = fake_cloud.stack_config(stack)
    values = {key.partition(":")[2]: value for key, value in config.items() if key.startswith("tandem:")}
    changed = {f"tandem:{key}": value for key, value in with_values(values, changes).items()}
    return {"tencentcloud:region": config["tencentcloud:region"], **changed}


def run_option(option: str) -> fake_cloud.Run:
    return run("local", OPTIONS[option])


def run(stack: str, changes: dict[str, Any] | None = None, *, preview: bool = False) -> fake_cloud.Run:
    return _run(stack, json.dumps(changes or {}), preview)


@functools.cache
def _run(stack: str, changes: str, preview: bool) -> fake_cloud.Run:  # noqa: FBT001 - a key of the cache
    return fake_cloud.run_program(stack, config_of(stack, json.loads(changes)), preview=preview)


ALL_RUNS = [("local", option) for option in OPTIONS] + [("staging", "as it is"), ("prod", "as it is")]


def run_any(stack: str, option: str) -> fake_cloud.Run:
    return run(stack, OPTIONS[option])
