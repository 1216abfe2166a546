"""The scripts that localcloud gives to a machine."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from localcloud.machines import seed


@pytest.mark.root
def test_a_disk_can_be_attached_while_a_boot_creates_the_device_nodes(tmp_path: Path) -> None:
    """Both run the same script: the boot from a unit, the attachment from outside."""
    seed.write_seed(tmp_path, "node-0")
    script = tmp_path / seed.DISKS_SCRIPT
    text = script.read_text().replace("/dev", f"{tmp_path}/dev").replace("/etc/localcloud", str(script.parent))
    script.write_text(text)
    script.with_name("disks").write_text("".join(f"disk-{number} vd{number} 7 {number}\n" for number in range(40)))
    running = [subprocess.Popen(["sh", str(script)], stderr=subprocess.PIPE, text=True) for _ in range(8)]
    assert [process.communicate()[1] for process in running] == [""] * 8
    assert [process.returncode for process in running] == [0] * 8
