"""DNS over two masters (lecture 002, 3-12), and the failure of a switch: nodes are on different ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import NAME
from tests.end_to_end.lab import Lab, new_cloud, wait_until
from tests.end_to_end.settings import write_settings

pytestmark = [pytest.mark.root, pytest.mark.long]
HOST, ZONE = "iam.api.example.com", "example.com"
HOMES = {"10.0.4.99": "iam-a", "10.0.4.98": "iam-b"}


@pytest.fixture
def empty() -> Iterator[Lab]:
    with new_cloud(f"{NAME}m") as lab:
        yield lab


def call(lab: Lab, service: str, action: str, **parameters: str) -> dict[str, Any]:
    words = [word for name, value in parameters.items() for word in (f"--{name}", value)]
    return json.loads(lab.operator("tccli", service, action, *words).stdout)


def resolve(lab: Lab, name: str) -> list[str]:
    """The addresses that DNSPod answers for a name, in turn."""
    records = call(lab, "dnspod", "DescribeRecordList", Domain=ZONE)["RecordList"]
    return [each["Value"] for each in records if each["Type"] == "A" and f"{each['Name']}.{ZONE}" == name]


def ask(lab: Lab, address: str, mark: str) -> str:
    """The status of a request of a client whose resolver has answered with this address."""
    url = f"https://{HOST}/healthz?{mark}"
    words = ["curl", "-sk", "-m", "3", "-o", "/dev/null", "-w", "%{http_code}", "--resolve", f"{HOST}:443:{address}"]
    return lab.client(*words, url, check=False).stdout


def holders(lab: Lab) -> dict[str, list[str]]:
    shown = {name: lab.on(name, "ip -4 -o addr show scope global", check=False) for name in ("iam-a", "iam-b")}
    return {address: [name for name, text in shown.items() if f" {address}/" in text] for address in HOMES}


def test_names_lead_to_both_masters_and_one_serves_all_when_the_switch_of_the_other_fails(
    empty: Lab, tmp_path: Path
) -> None:
    settings = write_settings(
        tmp_path / "two.yaml",
        keepalived={"mode": "dual-master"},
        virtualIp={"secondAddress": "10.0.4.98"},
        nodes={"placement": "switch"},
        dns={"zone": ZONE},
    )
    empty.up("--config-file", str(settings))
    (placement,) = call(empty, "cvm", "DescribeDisasterRecoverGroups")["DisasterRecoverGroupSet"]
    assert (placement["Type"], placement["CurrentNum"]) == ("SW", 2)

    addresses = resolve(empty, HOST)
    assert sorted(addresses) == sorted(empty.outputs()["public_ips"])
    assert len(addresses) == 2
    assert holders(empty) == {address: [name] for address, name in HOMES.items()}
    assert [ask(empty, address, f"both-{n}") for n, address in enumerate(addresses)] == ["200", "200"]
    logs = {name: empty.on(name, "cat /var/log/nginx/access.log") for name in HOMES.values()}
    assert all(log.count("/healthz?both-") == 1 for log in logs.values()), "each master answers for one address"

    empty.localcloud("fault", "iam-a", "link-down")
    wait_until(
        lambda: [ask(empty, address, "down") for address in addresses], ["200", "200"].__eq__, deadline_s=30,
        what="both addresses answer from iam-b",
    )  # fmt: skip
    assert all("iam-b" in names for names in holders(empty).values())
    assert [ask(empty, address, "down") for address in addresses * 5] == ["200"] * 10

    empty.localcloud("fault", "iam-a", "heal")
    wait_until(
        lambda: empty.operator("tandem", "up", "--config-file", str(settings), "--stack", "local", check=False),
        lambda done: done.returncode == 0, deadline_s=120, what="up after the switch works again",
    )  # fmt: skip
    assert holders(empty) == {address: [name] for address, name in HOMES.items()}
