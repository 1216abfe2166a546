"""Data disks that are attached and detached while machines use them."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from network.lab import PLACES, Lab

from localcloud.infrastructure import Disk
from localcloud.machines import disks

pytestmark = pytest.mark.root

ANN = PLACES["ann"]
DATA = Disk("disk-0000000e", 1)
_NODE = f"/dev/disk/by-id/virtio-{DATA.disk_id}"


@pytest.fixture
def disk(lab: Lab) -> Generator[Disk]:
    """A data disk with a file system, mounted on ann at /mnt, with one file on it."""
    lab.infrastructure.attach_disk(DATA, ANN.instance_id)
    lab.must("ann", "sh", "-c", f"mkfs.ext4 -q {_NODE} && mount {_NODE} /mnt && echo kept >/mnt/file")
    yield DATA
    lab.run("ann", "pkill", "-f", "localcloud-test-writer")
    for name in ("ann", "bob"):
        lab.run(name, "umount", "-l", "/mnt")
    lab.infrastructure.destroy_disk(DATA.disk_id)


def test_a_disk_detached_during_a_write_is_removed_here_and_intact_elsewhere(lab: Lab, disk: Disk) -> None:
    """As if the disk were pulled: writers get errors, and the data of the next machine is not overwritten."""
    writer = "exec 3>>/mnt/log; echo ready; while echo line >&3; do sleep 0.01; done; echo ended"
    writer += "; while :; do sleep 0.1; done"
    process = lab.start("ann", "sh", "-c", writer, "localcloud-test-writer")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    lab.infrastructure.detach_disk(disk.disk_id)
    said = process.stdout.readline() + process.stdout.readline()
    assert "I/O error" in said or "Input/output error" in said
    assert lab.run("ann", "sh", "-c", f"test -e {_NODE} || grep /mnt /proc/mounts").returncode == 1
    # The writer still has its file open: the disk's old device still exists, and must not be given to the next machine.
    lab.infrastructure.attach_disk(disk, PLACES["bob"].instance_id)
    lab.must("bob", "sh", "-c", f"fsck.ext4 -fp {_NODE}; test $? -le 1 && mount {_NODE} /mnt")
    assert lab.must("bob", "cat", "/mnt/file") == "kept\n"
    lab.must("bob", "sh", "-c", "echo new >/mnt/new; umount /mnt")
    lab.must("ann", "pkill", "-f", "localcloud-test-writer")
    process.communicate(timeout=5)
    lab.must("bob", "sh", "-c", f"fsck.ext4 -fn {_NODE} && mount {_NODE} /mnt")
    assert lab.must("bob", "cat", "/mnt/file", "/mnt/new") == "kept\nnew\n"


def test_a_disk_that_is_in_use_at_several_mounts_is_detached(lab: Lab, disk: Disk) -> None:
    """All mounts share one file system: after the first was shut down, opening another one may fail.

    The kernel reads the access list of a directory of another user for that, unless it has read it since the mount.
    """
    lab.must("ann", "sh", "-c", "install -d -o 65534 -m 750 /mnt/a /mnt/b /srv/a /srv/b; umount /mnt")
    lab.must("ann", "sh", "-c", f"mount {_NODE} /mnt; for one in a b; do mount --bind /mnt/$one /srv/$one; done")
    words = ("setpriv", "--reuid=65534", "--clear-groups", "sh", "-c")
    stay = "cd /srv/{}; echo ready; while :; do sleep 0.1; done"
    users = [lab.start("ann", *words, stay.format(one), "localcloud-test-writer") for one in "ab"]
    try:
        assert [user.stdout.readline() for user in users if user.stdout] == ["ready\n"] * 2
        lab.infrastructure.detach_disk(disk.disk_id)
    finally:
        lab.run("ann", "pkill", "-f", "localcloud-test-writer")
        for user in users:
            user.communicate(timeout=5)
    assert lab.run("ann", "sh", "-c", f"test -e {_NODE} || grep -E '/mnt|/srv' /proc/mounts").returncode == 1
    lab.infrastructure.attach_disk(disk, PLACES["bob"].instance_id)
    lab.must("bob", "sh", "-c", f"fsck.ext4 -fp {_NODE}; test $? -le 1 && mount {_NODE} /mnt")
    assert lab.must("bob", "cat", "/mnt/file") == "kept\n"
    lab.must("bob", "umount", "/mnt")


def test_detaching_a_disk_below_another_mount_leaves_that_mount(lab: Lab, disk: Disk) -> None:
    lab.must("ann", "mount", "-t", "tmpfs", "tmpfs", "/mnt")
    lab.must("ann", "touch", "/mnt/above")
    lab.infrastructure.detach_disk(disk.disk_id)
    assert lab.run("ann", "test", "-e", _NODE).returncode == 1
    assert lab.must("ann", "ls", "/mnt") == "above\n"
    lab.must("ann", "umount", "/mnt")


def test_a_disk_that_is_mounted_twice_can_be_detached(lab: Lab, disk: Disk) -> None:
    """For example a database's directory that is bind-mounted to the path that its package expects."""
    lab.must("ann", "sh", "-c", "mkdir -p /bound && mount --bind /mnt /bound")
    user = "exec 3>>/bound/log; echo ready; while :; do sleep 0.1; done"
    process = lab.start("ann", "sh", "-c", user, "localcloud-test-user")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    lab.infrastructure.detach_disk(disk.disk_id)
    assert lab.run("ann", "sh", "-c", f"test -e {_NODE} || grep -E '/mnt|/bound' /proc/mounts").returncode == 1
    lab.must("ann", "pkill", "-f", "localcloud-test-user")
    process.communicate(timeout=5)


def test_repeated_attach_and_detach_never_confuse_disks(lab: Lab) -> None:
    some = [Disk(f"disk-000000{number}f", 1) for number in range(3)]

    def file_of(disk: Disk) -> str:
        return lab.must("ann", "cat", f"/sys/dev/block/{_numbers(lab, disk)}/loop/backing_file").strip()

    try:
        lab.infrastructure.attach_disk(some[0], ANN.instance_id)
        lab.infrastructure.attach_disk(some[1], ANN.instance_id)
        lab.infrastructure.detach_disk(some[0].disk_id)
        lab.infrastructure.attach_disk(some[2], ANN.instance_id)
        for disk in some[1:]:
            assert file_of(disk).endswith(f"{disk.disk_id}.img")
    finally:
        for disk in some:
            lab.infrastructure.destroy_disk(disk.disk_id)


def _numbers(lab: Lab, disk: Disk) -> str:
    found = lab.must("ann", "stat", "-L", "-c", "%Hr:%Lr", f"/dev/disk/by-id/virtio-{disk.disk_id}")
    return found.strip()


def test_a_destroyed_disk_leaves_no_loop_device(lab: Lab, disk: Disk) -> None:
    lab.infrastructure.destroy_disk(disk.disk_id)
    assert disks.loop_devices(lab.paths.disks) == {}
    assert not (lab.paths.disks / f"{disk.disk_id}.img").exists()
