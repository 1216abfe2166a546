"""Rendered configurations of keepalived for tests on this host."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from provisioning.deployment import Deployment, Domains, Node
from provisioning.kinds.file import File
from provisioning.manifest_rendering import render
from settings.data import DataSettings
from settings.iam import IamSettings
from settings.keepalived import KeepalivedSettings
from settings.nginx import NginxSettings
from settings.releases import Release

NODES = ("iam-a", "iam-b")
VIP, VIP2, VIP3 = "10.0.4.99", "10.0.4.98", "10.0.4.97"
PASSWORD = "abcd1234"


def deployment(settings: dict[str, Any], additional: tuple[str, ...] = ()) -> Deployment:
    """Two eligible nodes and one application node. A mode with two masters has VIP2, too."""
    keepalived = KeepalivedSettings.model_validate(settings)
    second = (VIP2,) if keepalived.mode == "dual-master" else ()
    return Deployment(
        group="tandem-test",
        nodes=(Node("iam-a", "10.0.4.20"), Node("iam-b", "10.0.4.21"), Node("iam-c", "10.0.4.22", eligible=False)),
        virtual_ips=(VIP, *second, *additional),
        of_second_router=second,
        domains=Domains("iam.api.example.com", "iam.authz.example.com"),
        nginx=NginxSettings(),
        keepalived=keepalived,
        iam=IamSettings(),
        data=DataSettings(),
        release=Release("iam-stand-in.tar.gz", "0" * 64, stand_in=True),
    )


def write(of: Deployment, node: str, folder: Path) -> Path:
    """Write the files of keepalived below a folder, with paths that lead there. Returns the configuration."""
    for item in render(of)[node].items:
        if isinstance(item, File) and item.path.startswith(("/etc/keepalived/", "/etc/tandem/switchover.json")):
            target = folder / item.path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            text = item.text.replace("@@secret:vrrp_password@@", PASSWORD)
            for path in ("/etc/keepalived", "/run/tandem", "/var/log/keepalived.log"):
                text = text.replace(path, str(folder / path.lstrip("/")))
            target.write_text(text)
            target.chmod(item.mode)
    for path in ("run/tandem", "var/log"):
        (folder / path).mkdir(parents=True, exist_ok=True)
    return folder / "etc/keepalived/keepalived.conf"


OPTIONS: dict[str, list[dict[str, Any]]] = {
    "profile": [{"profile": "fast"}, {"profile": "balanced"}, {"profile": "seed"}],
    "mode": [{"mode": "nopreempt"}, {"mode": "preempt"}, {"mode": "delayed-preempt"}, {"mode": "dual-master"}],
    "version": [
        {},
        {"vrrpVersion": 2},
        {"vrrpVersion": 2, "authentication": "PASS"},
        {"vrrpVersion": 2, "authentication": "AH"},
    ],
    "sync": [{}, {"syncGroup": True}],
    "labels": [{}, {"addressLabels": True}],
    "delay": [{}, {"preemptDelayS": 0}],
    "garp": [{}, {"garp": {"masterDelayS": 5, "masterRepeat": 3, "masterRefreshS": 60, "intervalMs": 2}}],
    "interfaces": [{}, {"track": {"interfaces": [{"interface": "lo", "weight": -20}]}}],
    "scripts": [
        {},
        {
            "track": {
                "scripts": [
                    {"name": "disk", "command": "/usr/bin/true", "weight": -20},
                    {"name": "cpu", "command": "/usr/bin/dash -c '[ 1 -lt $X ] || ! true #'", "weight": -20},
                ]
            }
        },
    ],
    "processes": [{}, {"track": {"processes": [{"name": "nginx_is_there", "process": "nginx", "weight": -20}]}}],
    "files": [{}, {"track": {"files": [{"name": "load", "path": "/run/load", "weight": -2}]}}],
    "mail": [{}, {"mail": {"receivers": ["ops@example.com"], "server": "127.0.0.1", "port": 2525}}],
    "notify": [{}, {"notifyCommand": "/usr/bin/true"}],
    "lvs": [
        {},
        *(
            {
                "lvsNetwork": "switched",
                "virtualServers": [
                    {
                        "address": VIP,
                        "port": 80,
                        "kind": kind,
                        "method": method,
                        "persistenceTimeoutS": seconds,
                        "protocol": "UDP" if check == "UDP_CHECK" else "TCP",
                        "check": {"type": check},
                        "realServers": [{"address": "10.0.4.22", "port": 80}, {"address": "10.0.4.23", "port": 80}],
                    }
                ],
            }
            for kind, method, check, seconds in (
                ("DR", "rr", "TCP_CHECK", 5),
                ("NAT", "wrr", "HTTP_GET", 0),
                ("TUN", "wlc", "UDP_CHECK", 0),
            )
        ),
    ],
}


def pairwise() -> tuple[list[dict[str, Any]], int]:
    """Settings in which each two values of two options occur together, and the number of refused pairs.

    Not with allpairspy: with a filter it leaves out most of the valid pairs of these options.
    """
    merged: list[dict[str, Any]] = []
    refused = 0
    uncovered = [
        (one, two)
        for first, second in combinations(OPTIONS, 2)
        for one in ((first, n) for n in range(len(OPTIONS[first])))
        for two in ((second, n) for n in range(len(OPTIONS[second])))
    ]
    covered: set[frozenset[tuple[str, int]]] = set()
    for pair in uncovered:
        if frozenset(pair) in covered:
            continue
        chosen = dict(pair)
        if not _valid(chosen):
            refused += 1
            continue
        for option, values in OPTIONS.items():  # greedily, the value that covers most new pairs
            if option not in chosen:
                fitting = [n for n in range(len(values)) if _valid({**chosen, option: n})]
                new = {
                    n: sum(frozenset({(option, n), each}) not in covered for each in chosen.items()) for n in fitting
                }
                chosen[option] = max(fitting, key=lambda n: new[n])
        covered |= {frozenset(each) for each in combinations(chosen.items(), 2)}
        merged.append(_merge(chosen))
    return merged, refused


def _valid(chosen: dict[str, int]) -> bool:
    try:
        KeepalivedSettings.model_validate(_merge(chosen))
    except ValidationError:
        return False
    return True


def _merge(chosen: dict[str, int]) -> dict[str, Any]:
    settings: dict[str, Any] = {"profile": "balanced"}
    for option, number in chosen.items():
        for key, value in OPTIONS[option][number].items():
            settings[key] = {**settings[key], **value} if key == "track" and key in settings else value
    return settings
