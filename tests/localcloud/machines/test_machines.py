"""Properties and restrictions of a machine, seen from inside; its life cycle from boot to destruction."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
from network.lab import PLACES, Lab, wait_until

from localcloud.infrastructure import Disk
from localcloud.machines.distributions import IMAGES
from localcloud.machines.linux_infrastructure import LinuxInfrastructure
from localcloud.machines.machine_faults import MachineFaults

pytestmark = pytest.mark.root

ANN, BOB = PLACES["ann"], PLACES["bob"]


def _says(lab: Lab, name: str, *command: str) -> str:
    done = lab.run(name, *command)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def _wait_for_another_boot(lab: Lab, before: int | None) -> None:
    wait_until(lambda: lab.infrastructure.get("ann").init_pid() not in {None, before}, "a new PID 1 runs", 30)


# --- properties


def test_it_is_a_complete_system(lab: Lab) -> None:
    lab.run("ann", "systemctl", "is-system-running", "--wait", timeout_s=60)
    assert _says(lab, "ann", "systemctl", "is-system-running") == "running"
    assert _says(lab, "ann", "ps", "-o", "comm=", "1") == "systemd"
    assert _says(lab, "ann", "hostname") == "ann"
    assert _says(lab, "ann", "systemctl", "is-active", "ssh", "cloud-final") == "active\nactive"


def test_the_default_user_logs_in_by_key_and_has_sudo(lab: Lab, tmp_path: Path) -> None:
    assert "lab" in _says(lab, "ann", "cat", "/home/debian/.ssh/authorized_keys")
    assert _says(lab, "ann", "sudo", "-u", "debian", "sudo", "-n", "id", "-un") == "root"
    refused = lab.operator(
        "ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={tmp_path}/known",
        f"debian@{ANN.address}", "true",
    )  # fmt: skip
    assert refused.returncode == 255
    assert "Permission denied (publickey)" in refused.stderr


def test_two_machines_share_no_identity(lab: Lab) -> None:
    for path in ("/etc/machine-id", "/etc/ssh/ssh_host_ed25519_key.pub", "/var/lib/cloud/data/instance-id"):
        ann, bob = (_says(lab, name, "cat", path) for name in ("ann", "bob"))
        assert ann
        assert ann != bob


def test_it_has_the_cpus_memory_and_disk_of_its_type(lab: Lab) -> None:
    assert _says(lab, "ann", "nproc") == "2"
    assert _says(lab, "ann", "free", "-m").splitlines()[1].split()[1] == "2048"
    size_gib = int(_says(lab, "ann", "df", "-B1", "--output=size", "/").splitlines()[1]) / 1024**3
    assert 9 < size_gib <= 10


def test_it_has_separate_control_groups_in_every_hierarchy(lab: Lab) -> None:
    """The systemd instances of two machines in one group interfere."""
    for place in (ANN, BOB):
        pid = lab.infrastructure.get(place.name).init_pid()
        rows = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        assert rows
        for row in rows:
            assert f"/localcloud/{lab.cloud}/{place.instance_id}" in row


def test_its_changes_do_not_affect_the_image(lab: Lab) -> None:
    original = _says(lab, "bob", "sha256sum", "/usr/bin/env", "/etc/debian_version")
    try:
        _says(
            lab,
            "ann",
            "sh",
            "-c",
            "echo other >/etc/debian_version; chmod 700 /usr/bin/env; rm /usr/share/zoneinfo/UTC",
        )
        assert _says(lab, "bob", "sha256sum", "/usr/bin/env", "/etc/debian_version") == original
        assert _says(lab, "bob", "stat", "-c", "%a", "/usr/bin/env") == "755"
        assert lab.infrastructure.images.damage(IMAGES["img-debian12"]) is None
        # One copy on this host: a file of the image is at the same place on disk for every machine.
        assert _says(lab, "ann", "stat", "-c", "%i", "/usr/bin/bash") == _says(
            lab, "bob", "stat", "-c", "%i", "/usr/bin/bash"
        )
    finally:
        lab.infrastructure.reset_machine(lab.spec("ann"))
        lab.wait_for_boot("ann")


def test_metadata_identify_it(lab: Lab) -> None:
    def ask(path: str) -> str:
        return _says(lab, "ann", "curl", "-sf", f"http://metadata.tencentyun.com/latest/{path}")

    assert ask("meta-data/instance-id") == ANN.instance_id
    assert ask("meta-data/local-ipv4") == ANN.address
    assert ask("meta-data/placement/zone") == "ap-guangzhou-6"
    assert ask("meta-data/mac") == ANN.mac
    assert ask("meta-data/public-keys/0/openssh-key").startswith("ssh-ed25519 ")
    assert ask("user-data").startswith("#cloud-config")
    assert "placement/" in ask("meta-data/").split()
    assert lab.run("ann", "curl", "-sf", "http://169.254.0.23/latest/meta-data/nothing").returncode == 22


def test_its_console_shows_its_boot(lab: Lab) -> None:
    assert "Reached target" in lab.infrastructure.console(ANN.instance_id)


# --- restrictions


def test_it_cannot_set_the_hosts_clock(lab: Lab) -> None:
    # Sets the present time, so that a success would do no harm.
    done = lab.run("ann", "sh", "-c", "date -s @$(date +%s)")
    assert done.returncode != 0
    assert "not permitted" in done.stderr


def test_it_cannot_open_the_hosts_disk(lab: Lab) -> None:
    device = Path("/").stat().st_dev
    major, minor = device >> 8, device & 0xFF
    script = f"mknod /root/host b {major} {minor} && dd if=/root/host of=/dev/null count=1"
    done = lab.run("ann", "sh", "-c", script)
    assert done.returncode != 0
    assert "not permitted" in done.stderr


def test_it_cannot_load_modules_nor_read_the_hosts_kernel_log(lab: Lab) -> None:
    has = int(_says(lab, "ann", "sh", "-c", "grep CapBnd /proc/1/status | cut -f2"), 16)
    for number in (16, 17, 25, 34, 35):  # SYS_MODULE, SYS_RAWIO, SYS_TIME, SYSLOG, WAKE_ALARM
        assert not has >> number & 1


def test_a_process_that_exceeds_the_memory_is_killed_and_the_machine_continues(lab: Lab) -> None:
    done = lab.run("ann", "python3", "-c", "x = b'x' * (3 << 30)", timeout_s=60)
    assert done.returncode != 0
    assert _says(lab, "ann", "hostname") == "ann"


def test_it_sees_no_process_and_no_interface_of_the_host(lab: Lab) -> None:
    assert int(_says(lab, "ann", "sh", "-c", "ls -d /proc/[0-9]* | wc -l")) < 60
    assert sorted(_says(lab, "ann", "ls", "/sys/class/net").split()) == ["eth0", "lo"]


# --- life cycle


def test_a_reboot_from_inside_preserves_the_machine(lab: Lab) -> None:
    _says(lab, "ann", "sh", "-c", "echo kept >/root/kept; rm /root/booted")
    lab.run("ann", "ip", "address", "add", "10.0.4.99/32", "dev", "eth0")
    identity = _says(lab, "ann", "cat", "/etc/machine-id")
    before = lab.infrastructure.get("ann").init_pid()
    lab.run("ann", "systemctl", "reboot")
    _wait_for_another_boot(lab, before)
    wait_until(lambda: lab.run("ann", "systemctl", "is-active", "ssh").returncode == 0, "ssh runs", 30)
    assert _says(lab, "ann", "cat", "/root/kept") == "kept"
    assert _says(lab, "ann", "cat", "/etc/machine-id") == identity
    assert "10.0.4.99" not in _says(lab, "ann", "ip", "-br", "address")
    assert lab.run("ann", "test", "-e", "/root/booted").returncode == 1, "user data ran again"
    assert lab.stopped == []


def test_a_machine_that_powers_itself_off_is_reported_and_unreachable(lab: Lab) -> None:
    lab.stopped.clear()
    lab.run("ann", "systemctl", "poweroff")
    wait_until(lambda: lab.stopped == [ANN.instance_id], "the event is reported", 30)
    assert lab.infrastructure.running() == {BOB.instance_id}
    assert lab.run("bob", "ping", "-c1", "-W1", ANN.address).returncode == 1


def test_its_files_survive_a_stop_and_a_start(lab: Lab) -> None:
    lab.stopped.clear()
    for hard in (False, True):
        _says(lab, "ann", "sh", "-c", f"echo {hard} >/root/kept; sync")
        lab.infrastructure.stop_machine(ANN.instance_id, hard=hard)
        assert ANN.instance_id not in lab.infrastructure.running()
        lab.infrastructure.start_machine(lab.spec("ann"))
        assert _says(lab, "ann", "cat", "/root/kept") == str(hard)
    assert lab.stopped == [], "only unrequested events are reported"


def test_starting_a_running_machine_changes_nothing(lab: Lab) -> None:
    before = lab.infrastructure.get("ann").init_pid()
    lab.infrastructure.start_machine(lab.spec("ann"))
    assert lab.infrastructure.get("ann").init_pid() == before


def test_a_resize_adds_cpus_memory_and_disk(lab: Lab) -> None:
    lab.infrastructure.stop_machine(ANN.instance_id, hard=True)
    larger = replace(
        lab.spec("ann"), cpu=1, memory_mib=4096, instance_type="S5.LARGE4", system_disk=Disk("disk-00000001", 20)
    )
    lab.infrastructure.start_machine(larger)
    wait_until(lambda: lab.run("ann", "grep", "-q", "4194304", "/proc/meminfo").returncode == 0, "it has 4 GiB", 20)
    assert _says(lab, "ann", "nproc") == "1"
    assert _cores_used_by_two_loops(lab) < 1.2
    assert int(_says(lab, "ann", "df", "-BG", "--output=size", "/").split()[-1].rstrip("G")) in {19, 20}
    lab.infrastructure.stop_machine(ANN.instance_id, hard=True)


def _cores_used_by_two_loops(lab: Lab) -> float:
    (usage,) = [path / "cpuacct.usage" for path in lab.cgroup("ann").directories() if (path / "cpuacct.usage").exists()]
    before, began = int(usage.read_text()), time.monotonic()
    lab.run("ann", "sh", "-c", "for n in 1 2; do timeout 1 sh -c 'while :; do :; done' & done; wait")
    return (int(usage.read_text()) - before) / 1e9 / (time.monotonic() - began)


def test_a_reset_restores_the_image(lab: Lab) -> None:
    identity = _says(lab, "ann", "cat", "/etc/ssh/ssh_host_ed25519_key.pub")
    _says(lab, "ann", "touch", "/root/old")
    lab.infrastructure.reset_machine(lab.spec("ann"))
    lab.wait_for_boot("ann")
    assert lab.run("ann", "test", "-e", "/root/old").returncode == 1
    assert _says(lab, "ann", "cat", "/etc/ssh/ssh_host_ed25519_key.pub") != identity


def test_a_data_disk_keeps_its_data_on_another_machine(lab: Lab) -> None:
    disk = Disk("disk-0000000d", 1)
    device = f"/dev/disk/by-id/virtio-{disk.disk_id}"
    lab.infrastructure.attach_disk(disk, ANN.instance_id)
    script = (
        f"mkfs.ext4 -q {device} && mkdir -p /data && mount {device} /data && echo hello >/data/file && df -BM /data"
    )
    assert "9" in _says(lab, "ann", "sh", "-c", script)
    lab.infrastructure.detach_disk(disk.disk_id)
    assert lab.run("ann", "test", "-e", device).returncode == 1
    lab.infrastructure.attach_disk(disk, BOB.instance_id)
    assert _says(lab, "bob", "sh", "-c", f"mkdir -p /data && mount {device} /data && cat /data/file") == "hello"
    lab.infrastructure.destroy_disk(disk.disk_id)
    assert lab.run("bob", "test", "-e", device).returncode == 1
    assert not (lab.paths.disks / f"{disk.disk_id}.img").exists()


def test_an_attached_data_disk_can_grow(lab: Lab) -> None:
    disk = Disk("disk-0000000f", 1)
    device = f"/dev/disk/by-id/virtio-{disk.disk_id}"
    lab.infrastructure.attach_disk(disk, ANN.instance_id)
    _says(lab, "ann", "sh", "-c", f"mkfs.ext4 -q {device} && mkdir -p /data && mount {device} /data && echo a >/data/f")
    lab.infrastructure.grow_disk(replace(disk, size_gib=2))
    assert _says(lab, "ann", "blockdev", "--getsize64", device) == str(2 * 1024**3)
    # Growing the file system is the machine's task, as in the cloud. It is not mounted meanwhile: online growth needs
    # CAP_SYS_RESOURCE, which a host that is itself a guest may not have.
    grow = f"umount /data && e2fsck -fp {device} && resize2fs {device} && mount {device} /data"
    _says(lab, "ann", "sh", "-c", grow)
    assert int(_says(lab, "ann", "df", "--output=size", "-BM", "/data").split()[-1].rstrip("M")) > 1800
    assert _says(lab, "ann", "cat", "/data/f") == "a"
    lab.infrastructure.destroy_disk(disk.disk_id)


def test_a_data_disk_is_present_after_a_stop(lab: Lab) -> None:
    disk = Disk("disk-0000000e", 1)
    spec = replace(lab.spec("ann"), data_disks=(disk,))
    device = f"/dev/disk/by-id/virtio-{disk.disk_id}"
    size = f"{1024**3}\n"
    for _ in range(2):
        lab.infrastructure.stop_machine(ANN.instance_id, hard=True)
        lab.infrastructure.start_machine(spec)
        wait_until(lambda: lab.run("ann", "blockdev", "--getsize64", device).stdout == size, "the disk is present", 20)
    lab.infrastructure.destroy_disk(disk.disk_id)


def test_an_attached_disk_is_present_after_every_kind_of_boot_and_mounted_by_fstab(lab: Lab) -> None:
    disk = Disk("disk-0000000f", 1)
    device = f"/dev/disk/by-id/virtio-{disk.disk_id}"
    lab.infrastructure.attach_disk(disk, ANN.instance_id)
    script = f"mkfs.ext4 -q {device}; mkdir -p /data; echo {device} /data ext4 defaults 0 0 >>/etc/fstab; mount /data"
    lab.must("ann", "sh", "-c", f"{script}; echo kept >/data/file; sync")
    faults = MachineFaults(lab.infrastructure)
    before = lab.infrastructure.get("ann").init_pid()
    for boot in (
        lambda: (faults.inject("ann", "power-off", []), faults.inject("ann", "heal", [])),
        lambda: lab.run("ann", "systemctl", "reboot"),
        lambda: (
            lab.infrastructure.stop_machine(ANN.instance_id, hard=False),
            lab.infrastructure.start_machine(lab.infrastructure.get("ann").spec),
        ),
    ):
        boot()
        _wait_for_another_boot(lab, before)
        wait_until(lambda: lab.run("ann", "cat", "/data/file").stdout == "kept\n", "the disk is mounted", 30)
        before = lab.infrastructure.get("ann").init_pid()
    lab.must("ann", "sed", "-i", "/ext4/d", "/etc/fstab")
    lab.infrastructure.destroy_disk(disk.disk_id)


def test_the_next_daemon_adopts_the_machines_of_a_killed_one(lab: Lab) -> None:
    before = lab.infrastructure.get("ann").init_pid()
    lab.infrastructure.close()
    lab.infrastructure = LinuxInfrastructure(lab.paths)
    lab.infrastructure.listen(lab)
    lab.infrastructure.open()
    lab.configure()
    assert lab.infrastructure.running() == {ANN.instance_id, BOB.instance_id}
    assert lab.infrastructure.get("ann").init_pid() == before
    done = lab.run("bob", "curl", "-s", "--max-time", "2", "http://169.254.0.23/latest/meta-data/instance-id")
    assert done.stdout == BOB.instance_id
    lab.stopped.clear()
    lab.run("ann", "systemctl", "poweroff")
    wait_until(lambda: lab.stopped == [ANN.instance_id], "the new infrastructure notices the end of a machine", 30)


def test_packages_are_installed_from_the_mirror_in_the_vpc(lab: Lab) -> None:
    done = lab.run(
        "ann", "sh", "-c", "apt-get -q update && apt-get -q -y install tree && tree --version", timeout_s=180
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tree v" in done.stdout


def test_a_destroyed_machine_leaves_nothing(lab: Lab) -> None:
    machine = lab.infrastructure.get("ann")
    cgroups = machine.cgroup.directories()
    lab.infrastructure.destroy_machine(ANN.instance_id)
    assert not machine.directory.exists()
    assert not [path for path in cgroups if path.exists()]
