"""Runs of the program on the provided stacks with changed options. Each run is cached for all tests."""

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

_DIRECTORY = tempfile.TemporaryDirectory()  # deleted when the process exits


def make_release() -> str:
    """Create a release with the required files, all empty. Returns its path."""
    path = Path(_DIRECTORY.name) / "iam.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in ("bin/iam-apiserver", "bin/iam-authz-server", "bin/iam-pump", "sql/iam.sql"):
            archive.addfile(tarfile.TarInfo(name))
    return str(path)


# Changes of the local stack's settings that change the declared resources.
OPTIONS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "three nodes": {"nodes.members": _NODES[:3]},
    "sixteen nodes": {"nodes.members": _NODES},
    "bastion": {"access.mode": "bastion", "access.adminCidrs": ["198.51.100.0/24"]},
    "public nodes": {"access.mode": "public", "access.adminCidrs": ["198.51.100.0/24"]},
    "dual-master": {"keepalived": {"mode": "dual-master"}, "virtualIp.secondAddress": "10.0.4.98"},
    "existing network": {"network.existing": {"vpcId": "vpc-1234abcd", "subnetId": "subnet-1234abcd"}},
    "external databases": {"data": EXTERNAL, "credentials": {"given": GIVEN}},
    "moved databases": {
        "data": {**EXTERNAL, "location": "moved"},
        "credentials": {"given": GIVEN},
    },
    "audit records in MongoDB": {
        "iam": {"release": make_release()},
        "data": {**EXTERNAL, "mongodb": {"address": "10.0.9.3:27017"}},
        "credentials": {"given": {**GIVEN, "mongodbPassword": "gi/ven@mongodb%password"}},
    },
    "bucket with a role": {
        "data.backup": {
            "bucket": {"endpoint": "https://cos.ap-guangzhou.myqcloud.com", "name": "backups-1", "role": "uploads"}
        }
    },
    "NAT gateway": {"network.egress": "nat"},
    "five virtual IPs": {"virtualIp.additional": [{"address": f"10.0.4.{n}"} for n in range(94, 98)]},
    "DNS records with dual-master": {
        "dns": {"zone": "example.com"},
        "keepalived": {"mode": "dual-master"},
        "virtualIp.secondAddress": "10.0.4.98",
    },
    "alarms": {
        "alarms": {"enabled": True, "receivers": {"userIds": [1], "groupIds": [2], "urls": ["https://a.example.com/"]}}
    },
    "notifications": {
        "network.egress": "nat",
        "notifications": {
            "mail": {
                "server": "smtp.example.com",
                "username": "ann",
                "password": "given-mail-password",
                "sender": "tandem@example.com",
                "receivers": ["ops@example.com"],
            },
            "dingtalk": {"url": "https://robot.example.com/given-robot-password", "secret": "given-signature-password"},
            "webhooks": [{"url": "https://hook.example.com/given-hook-password", "authorization": 'a "quoted" key'}],
        },
    },
    "given certificate": {"credentials": {"server": make_certificate("iam.api.example.com", "iam.authz.example.com")}},
    "sites and streams": {
        "nodes.members": _NODES[:3],
        "nginx": {
            "upstreams": {
                "web": {"servers": [{"address": "iam-c", "port": 7000}]},
                "dns": {"servers": [{"address": "iam-c", "port": 5353}]},
            },
            "sites": [
                {
                    "hosts": ["www.example.com"],
                    "locations": [
                        {"path": "/", "proxy": "web", "cache": {"validS": 5}, "basicAuth": {"users": "staff"}}
                    ],
                },
                {"hosts": ["shop.example.com"], "certificate": "shop", "locations": [{"path": "/", "proxy": "web"}]},
            ],
            "streams": [
                {"port": 7001, "upstream": "web", "allow": ["198.51.100.0/24"], "tls": {"host": "tcp.example.com"}},
                {"port": 5300, "upstream": "dns", "protocol": "udp"},
            ],
        },
        "credentials": {
            "certificates": {"shop": make_certificate("shop.example.com")},
            "basicAuth": {"staff": {"alice": "$5$salt$given-hash-password"}},
        },
    },
    "protected": {
        "protect": True,
        "nodes.terminationProtection": True,
        "nodes.dataDisk": {"snapshots": {"weekdays": ["monday", "sunday"], "hours": [14, 2, 2], "keepDays": 30}},
        "iam": {"release": "stand-in"},
    },
    "profile seed": {"keepalived": {"profile": "seed"}},
}


def config_of(stack: str, changes: dict[str, Any]) -> dict[str, Any]:
    config = fake_cloud.stack_config(stack)
    values = {key.partition(":")[2]: value for key, value in config.items() if key.startswith("tandem:")}
    if stack == "prod":
        values["iam"] = {"release": "stand-in"}  # the file has none: its user must choose one
    changed = {f"tandem:{key}": value for key, value in with_values(values, changes).items()}
    return {"tencentcloud:region": config["tencentcloud:region"], **changed}


def run_option(option: str) -> fake_cloud.Run:
    return run("local", OPTIONS[option])


def run(stack: str, changes: dict[str, Any] | None = None, *, preview: bool = False) -> fake_cloud.Run:
    return _run(stack, json.dumps(changes or {}), preview)


@functools.cache
def _run(stack: str, changes: str, preview: bool) -> fake_cloud.Run:  # noqa: FBT001 - an argument of a cached function
    return fake_cloud.run_program(stack, config_of(stack, json.loads(changes)), preview=preview)


ALL_RUNS = [("local", option) for option in OPTIONS] + [("staging", "defaults"), ("prod", "defaults")]


def run_any(stack: str, option: str) -> fake_cloud.Run:
    return run(stack, OPTIONS[option])
