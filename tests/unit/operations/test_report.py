"""The topology as a picture, and the page of `tandem report`."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from operations.drill.report import VERSION
from operations.report import find_last_drill, make_page
from operations.status import GroupStatus, NodeStatus
from operations.topology import NodeBox, Topology, draw, from_group, from_settings
from operations.workspace import PROJECT_ROOT
from provisioning.health.checks import Group, PublicSide
from provisioning.health.public_checks import Address
from provisioning.health.results import HealthReport, fail
from provisioning.inventory import Inventory, RemoteNode
from settings.check import check_file

PICTURE = PROJECT_ROOT / "docs" / "topology.svg"


def texts(picture: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(picture).iter() if element.tag.endswith("text")]  # noqa: S314 - our own picture


def test_the_picture_in_readme_is_drawn_from_the_stack_local() -> None:
    """After a change: `python -m operations.topology >docs/topology.svg`."""
    settings = check_file(PROJECT_ROOT / "stacks" / "Pulumi.local.yaml").settings
    assert settings is not None
    assert PICTURE.read_text() == draw(from_settings(settings))


def test_the_picture_names_addresses_nodes_and_services() -> None:
    shown = texts(PICTURE.read_text())
    assert {
        "HAVIP 10.0.4.99",
        "iam-a  10.0.4.20",
        "iam-b  10.0.4.21",
        "master",
        "backup",
        "nginx",
        "keepalived",
    } <= set(shown)
    assert shown.count("nginx") == 2
    assert shown.count("mariadb") == 1


@pytest.mark.parametrize("count", [1, 2, 3, 16])
@pytest.mark.parametrize("entries", [1, 2])
def test_every_group_fits_into_its_picture(count: int, entries: int) -> None:
    nodes = tuple(NodeBox(f"n-{number}", "10.0.4.1", ("<&>",), number < 2, (number,)) for number in range(count))
    picture = draw(Topology("t", (("EIP", "HAVIP"),) * entries, nodes, "VPC"))
    root = ET.fromstring(picture)  # noqa: S314 - our own picture
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    for element in root.iter():
        if element.tag.endswith("rect"):
            x, y = (float(element.get(name, "0")) for name in ("x", "y"))
            assert 0 <= x <= x + float(element.attrib["width"]) <= width
            assert 0 <= y <= y + float(element.attrib["height"]) <= height
    assert "<&>" in texts(picture)


@pytest.mark.parametrize(
    ("held", "arrows"),
    [
        pytest.param(
            {"a": {"10.0.4.98": 0.0}, "b": {"10.0.4.99": 0.0}}, [(0, 0), (1, 1)], id="each at its preferred node"
        ),
        pytest.param({"a": {"10.0.4.99": 0.0}, "b": {"10.0.4.98": 0.0}}, [(0, 1), (1, 0)], id="exchanged"),
        pytest.param({"a": ["10.0.4.98"], "b": ["10.0.4.98"]}, [(0, 0), (0, 1)], id="two masters"),
        pytest.param({}, [], id="no master"),
    ],
)
def test_each_arrow_leads_to_the_node_that_holds_the_virtual_ip(
    held: dict[str, Any], arrows: list[tuple[int, int]]
) -> None:
    nodes = tuple(RemoteNode(name, name, "10.0.4.1", "10.0.4.1", "u", (), eligible=True) for name in "ab")
    public = PublicSide((Address("203.0.113.10"), Address("203.0.113.11")), (), "")
    group = Group(public, Inventory("g", nodes, ("10.0.4.98", "10.0.4.99"), ""), {})
    picture = draw(from_group(group, "s", held))
    lines = re.findall(r'<line class="v" x1="([\d.]+)" .*?x2="([\d.]+)"', picture)
    starts = sorted({float(x) for x in re.findall(r'x1="([\d.]+)" y1="30"', picture)})
    boxes = sorted({float(x) for x in re.findall(r'<rect class="m?" x="([\d.]+)"', picture)})
    assert [(starts.index(float(x1)), boxes.index(float(x2) - 105)) for x1, x2 in lines] == arrows


NODE = RemoteNode("iam-a", "ins-1", "10.0.4.20", "10.0.4.20", "debian", (), eligible=True)
GROUP = Group(
    PublicSide((Address("203.0.113.10"),), (), "password-of-health"),
    Inventory("tandem-prod", (NODE,), ("10.0.4.99",), "private-key"),
    {},
)
STATUS = GroupStatus(
    "prod", {"10.0.4.99": "203.0.113.10"}, (NodeStatus("iam-a", "10.0.4.20", error="no connection <b>"),),
    health=HealthReport((fail("iam-a", "SSH", "no <connection>", "the console"),)),
)  # fmt: skip
UPDATE = {"kind": "update", "endTime": "2026-11-27T10:00:00Z", "result": "failed", "resourceChanges": {"update": 2, "same": 40}, "environment": {"git.head": "0123456789abcdef", "git.author": "Ann"}}  # fmt: skip  # noqa: E501 - one update
FIGURES = {
    "login": {"lost": 1, "sent": 100, "blackout_ms": 412.4},
    "healthz": {"lost": 9, "sent": 9, "blackout_ms": None},
}
DRILL: dict[str, Any] = {
    "started": "2026-11-27 10:00 UTC",
    "profile": "balanced",
    "cases": [
        {"title": "kill nginx", "figures": FIGURES},
        {"title": "power off", "error": "", "skipped": "not on Tencent Cloud"},
    ],
}


def page(drill: Any = None, history: tuple[Any, ...] = (UPDATE,)) -> str:
    return make_page(GROUP, STATUS, history, drill, datetime(2026, 11, 27, 11, 0, tzinfo=UTC))


def test_the_page_has_the_topology_the_state_the_changes_and_the_drill() -> None:
    text = page(DRILL)
    assert "EIP 203.0.113.10" in text
    assert '<td>update</td><td class="failed">failed</td><td>2 update</td><td>Ann</td><td>0123456789ab</td>' in text
    assert "<td>kill nginx</td><td>healthz: 9 of 9</td><td>no response</td>" in text
    assert "login: 1 of 100</td><td>412 ms</td>" in text
    assert "not on Tencent Cloud" in text


def test_the_state_and_the_health_checks_are_tables() -> None:
    text = page()
    assert '<tr class="failed"><td>iam-a</td><td>10.0.4.20</td><td>unreachable</td></tr>' in text
    assert '<td class="fail">fail</td><td>iam-a</td><td>SSH</td><td>no &lt;connection&gt;' in text
    assert '<div class="look">look at: the console</div>' in text
    assert "<li>virtual IP 10.0.4.99 (public 203.0.113.10): held by NO NODE</li>" in text
    assert ".ok, .warning, .fail { white-space: nowrap; }" in text, "the level is on one line"
    assert not re.search("<pre|[\u2500-\u257f]", text), "no table drawn for a terminal"


def test_the_page_is_self_contained_and_escapes_what_it_shows() -> None:
    text = page()
    assert not any(word in text for word in ("<script", "src=", "href=", "@import"))
    assert "no &lt;connection&gt;" in text
    assert "<b>" not in text
    assert "There was no drill" in text


def test_the_page_contains_no_secret() -> None:
    assert not any(secret in page(DRILL) for secret in ("password-of-health", "private-key"))


def test_a_backend_without_history_is_shown() -> None:
    assert "keeps no history" in page(history=())


def test_the_newest_complete_drill_of_the_stack_is_shown(tmp_path: Path) -> None:
    assert find_last_drill(tmp_path, "prod") is None
    found = {"prod-2025": 1, "prod-2026": 2, "prod-eu-2027": 3, "local-2028": 4}
    for name, number in found.items():
        (tmp_path / f"{name}1127T152000Z.json").write_text(json.dumps({"version": VERSION, "n": number}))
    (tmp_path / "prod-20270101T000000Z.json").write_text('{"n"')
    (tmp_path / "prod-20270102T000000Z.json").write_text('{"version": -1, "n": 5}')
    (tmp_path / "prod-20270103T000000Z.json").write_text("[]")
    assert (find_last_drill(tmp_path, "prod") or {})["n"] == 2
