from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from provisioning_deployments import deployment

from provisioning.agent.calls import answer
from provisioning.agent.kinds.file_system import make_file_system
from provisioning.agent.node import Node, StepError
from provisioning.facts import Facts
from provisioning.kinds.file_system import FileSystem
from provisioning.kinds.first_content import FirstContent
from provisioning.kinds.unit import Unit
from provisioning.manifest import Manifest
from provisioning.manifest_rendering import render
from provisioning.plan import describe, make_plan

DEVICE = "/dev/disk/by-id/virtio-disk-1"


def test_only_the_first_node_has_the_disk_and_mounts_it_before_the_databases_start() -> None:
    manifests = render(deployment())
    units = [item.name for item in manifests["iam-a"].items if isinstance(item, Unit)]
    mounts = ["srv-tandem.mount", "var-lib-mysql.mount", "var-lib-redis.mount"]
    assert [unit for unit in units if unit.endswith(".mount") or unit == "mariadb"] == [*mounts, "mariadb"]
    assert not [item for item in manifests["iam-b"].items if isinstance(item, (FileSystem, FirstContent))]


def test_a_retired_node_stops_the_databases_before_it_unmounts_the_disk() -> None:
    files = render(deployment())["iam-a"].files()
    units = json.loads(files["/etc/tandem/node.json"])["units"]
    assert units.index("srv-tandem.mount") < units.index("var-lib-mysql.mount") < units.index("mariadb")


def test_the_disk_is_identified_by_its_id_which_is_a_placeholder() -> None:
    manifest = render(deployment())["iam-a"]
    assert FileSystem("/dev/disk/by-id/virtio-@@secret:data_disk_id@@") in manifest.items
    assert (
        "What=/dev/disk/by-id/virtio-@@secret:data_disk_id@@"
        in manifest.files()["/etc/systemd/system/srv-tandem.mount"]
    )
    assert Manifest.from_data("iam-a", manifest.to_data(), manifest.files()) == manifest


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param("ext4", [], id="a disk with data is not changed"),
        pytest.param("", [f"disk {DEVICE}: blank"], id="a blank disk gets a file system"),
        pytest.param(
            "gpt",
            [f"disk {DEVICE}: must be blank or ext4 (has gpt)"],
            id="other content is planned and refused",
        ),
    ],
)
def test_a_disk_is_planned_by_its_content(content: str, expected: list[str]) -> None:
    assert describe(make_plan("iam-a", (FileSystem(DEVICE),), Facts({"file_system": {DEVICE: content}}))) == expected


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    image = tmp_path / "disk.img"
    with image.open("wb") as file:
        file.truncate(16 << 20)
    return image


def make_node(tmp_path: Path) -> Node:
    return Node(root=str(tmp_path / "root"), now=iter(range(1000)).__next__, sleep=lambda _seconds: None)


def prepare(node: Node, disk: Path) -> dict[str, object]:
    (node.root / disk.parent.relative_to("/")).mkdir(parents=True, exist_ok=True)
    inside = node.at(str(disk))
    if not inside.exists():
        inside.symlink_to(disk)
    lock = {"do": "lock", "owner": {}, "ttl_s": 10_000}
    return answer(
        node,
        {
            "token": "me",
            "operations": [
                lock,
                {"do": "prepare", "items": [{"kind": "file_system", "device": str(disk)}]},
            ],
        },
    )


def test_a_blank_disk_gets_a_file_system_and_keeps_it(tmp_path: Path, disk: Path) -> None:
    assert "error" not in prepare(make_node(tmp_path), disk)
    first = disk.read_bytes()
    assert b"tandem-data" in first
    assert "error" not in prepare(make_node(tmp_path), disk)
    assert disk.read_bytes() == first


def swap(disk: Path) -> None:
    subprocess.run(["mkswap", str(disk)], check=True, capture_output=True)


def partitioned(disk: Path) -> None:
    """Write a PC partition table with one Linux partition."""
    entry = struct.pack("<8B2I", 0, 0, 2, 0, 0x83, 0, 0, 0, 1, 2000)
    with disk.open("r+b") as file:
        file.seek(446)
        file.write(entry)
        file.seek(510)
        file.write(b"\x55\xaa")


@pytest.mark.parametrize("make", [swap, partitioned])
def test_a_disk_with_other_content_is_rejected_and_not_changed(
    tmp_path: Path, disk: Path, make: Callable[[Path], None]
) -> None:
    make(disk)
    before = disk.read_bytes()
    error = prepare(make_node(tmp_path), disk)["error"]
    assert isinstance(error, dict)
    assert "must be blank or have an ext4 file system" in str(error["message"])
    assert disk.read_bytes() == before


def test_a_disk_that_does_not_appear_is_an_error(tmp_path: Path) -> None:
    node = make_node(tmp_path)
    with pytest.raises(StepError, match="does not exist after 60 s"):
        make_file_system(node, "/dev/disk/by-id/virtio-none")
