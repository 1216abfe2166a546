"""The tables of packages, users, units, disks and archives."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable

from kind_bench import (
    ABSENT,
    DRIFTED,
    LINK,
    OUTSIDE,
    OWNER,
    PRESENT,
    READ_ONLY,
    Bench,
    NotApplicable,
    Row,
    Table,
    read_only,
)
from provisioning_fakes import ME

from provisioning.kinds.archive import Archive
from provisioning.kinds.base import Item
from provisioning.kinds.file_system import FileSystem
from provisioning.kinds.old_archives import OldArchives
from provisioning.kinds.operating_system import OperatingSystem
from provisioning.kinds.package import Package
from provisioning.kinds.rpm import Rpm
from provisioning.kinds.selinux import Selinux
from provisioning.kinds.ssh_server import SshServer
from provisioning.kinds.unit import Unit
from provisioning.kinds.user import User
from provisioning.kinds.vrrp import Vrrp

Arrange = Callable[[Bench], object]


def _nothing(_bench: Bench) -> None:
    pass


def _broken(command: str, error: str) -> Arrange:
    return lambda bench: bench.system.broken.update({command: error})


def _mended(bench: Bench) -> None:
    bench.system.broken.clear()


# ---- packages and users ----------------------------------------------------------------------------------------------

_POLICY = "/usr/sbin/policy-rc.d"


def _installed(bench: Bench) -> None:
    bench.system.packages.add("nginx")


def _interrupted(bench: Bench) -> None:
    _installed(bench)
    bench.text(_POLICY, "#!/bin/sh\n# written by tandem for an installation\n")


def _is_installed(bench: Bench) -> None:
    assert "nginx" in bench.system.packages
    assert not os.path.lexists(bench.at(_POLICY))


def _policy_is_kept(bench: Bench) -> None:
    assert "nginx" in bench.system.packages
    assert bench.at(_POLICY).is_symlink()


PACKAGE = Table(
    Package("nginx"),
    {
        ABSENT: Row(_nothing, "not installed", after=_is_installed),
        PRESENT: Row(_installed),
        DRIFTED: Row(_interrupted, "its installation was interrupted", after=_is_installed),
        OWNER: NotApplicable("dpkg sets the owners of the files of a package"),
        LINK: Row(
            lambda bench: bench.link(_POLICY, f"{OUTSIDE}/missing"), "not installed", after=_policy_is_kept
        ),
        READ_ONLY: read_only("/usr/sbin", _nothing, "not installed", after=_is_installed),
        "a link at the temporary path": Row(
            lambda bench: bench.link("/usr/sbin/.policy-rc.d.tandem", f"{OUTSIDE}/file"), "not installed",
            after=_is_installed,
        ),
    },
)  # fmt: skip


def _rpms(*names: str) -> Arrange:
    return lambda bench: bench.system.rpms.update(names)


def _is_rpm(bench: Bench) -> None:
    assert bench.system.rpms == {"nginx"}
    assert "enabled nginx:1.18" in bench.system.log


RPM = Table(
    Rpm("nginx", "nginx:1.18"),
    {
        ABSENT: Row(_nothing, "not installed", after=_is_rpm),
        PRESENT: Row(_rpms("nginx")),
        DRIFTED: Row(_nothing, "not installed", after=_is_rpm),
        OWNER: NotApplicable("rpm sets the owners of the files of a package"),
        LINK: NotApplicable("only dnf writes its files"),
        READ_ONLY: Row(
            _broken("dnf", "Error: Read-only file system"), "not installed", "Read-only file system", repair=_mended,
            after=_is_rpm,
        ),
    },
)  # fmt: skip


def _release(text: str) -> Arrange:
    return lambda bench: bench.text("/etc/os-release", text)


_DEBIAN_12 = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n'
_IS_DEBIAN_12 = _release(_DEBIAN_12)
OPERATING_SYSTEM = Table(
    OperatingSystem("debian-12"),
    {
        ABSENT: Row(
            lambda bench: bench.at("/etc/os-release").unlink(), None,
            "must be one of Debian 12, Debian 13, Ubuntu 22.04, Ubuntu 24.04, TencentOS Server 3, CentOS 8 "
            "(is a system without /etc/os-release)", repair=_IS_DEBIAN_12,
        ),
        PRESENT: Row(_IS_DEBIAN_12),
        DRIFTED: Row(
            _release('PRETTY_NAME="Ubuntu 24.04.1 LTS"\nVERSION_ID="24.04"\nID=ubuntu\n'), None,
            "must be Debian 12, as nodes.distribution says (is Ubuntu 24.04.1 LTS: ubuntu-24.04)",
            repair=_IS_DEBIAN_12,
        ),
        OWNER: NotApplicable("nothing is written"),
        LINK: NotApplicable("nothing is written"),
        READ_ONLY: NotApplicable("nothing is written"),
        "a newer version": Row(
            _release("PRETTY_NAME='CentOS Stream 9'\nVERSION_ID=9\nID=centos\n"), None,
            "TencentOS Server 3, CentOS 8 (is CentOS Stream 9)", repair=_IS_DEBIAN_12,
        ),
    },
)  # fmt: skip


def _selinux(mode: str, *permissive: str) -> Arrange:
    def arrange(bench: Bench) -> None:
        bench.system.selinux = mode
        bench.system.permissive = set(permissive)

    return arrange


def _is_permissive(bench: Bench) -> None:
    assert bench.system.permissive == {"httpd_t", "redis_t"}


SELINUX = Table(
    Selinux(("httpd_t", "redis_t")),
    {
        ABSENT: Row(_selinux("")),
        PRESENT: Row(_selinux("Enforcing", "httpd_t", "redis_t")),
        DRIFTED: Row(_selinux("Enforcing", "httpd_t"), "confines redis_t", after=_is_permissive),
        OWNER: NotApplicable("a policy module has no owner"),
        LINK: NotApplicable("only semanage writes its files"),
        READ_ONLY: Row(
            lambda bench: (_selinux("Enforcing")(bench), _broken("semanage", "OSError: Read-only file system")(bench)),
            "confines httpd_t, redis_t", "Read-only file system", repair=_mended, after=_is_permissive,
        ),
        "switched off": Row(_selinux("Disabled")),
        "reports only": Row(_selinux("Permissive"), "confines httpd_t, redis_t", after=_is_permissive),
    },
)  # fmt: skip


def _user(line: str) -> Arrange:
    return lambda bench: bench.text("/etc/passwd", line + "\n")


def _is_user(bench: Bench) -> None:
    assert "iam:x:999:999::/var/lib/iam:/usr/sbin/nologin" in bench.at("/etc/passwd").read_text()


USER = Table(
    User("iam", home="/var/lib/iam"),
    {
        ABSENT: Row(_nothing, "missing", after=_is_user),
        PRESENT: Row(_user("iam:x:999:999::/var/lib/iam:/usr/sbin/nologin")),
        DRIFTED: Row(
            _user("iam:x:999:999::/home/iam:/bin/bash"),
            "home is /home/iam, must be /var/lib/iam; shell is /bin/bash, must be /usr/sbin/nologin",
            after=_is_user,
        ),
        OWNER: NotApplicable("an account has neither an owner nor a mode"),
        LINK: NotApplicable("only useradd and usermod write /etc/passwd"),
        READ_ONLY: Row(
            _broken("useradd", "useradd: cannot lock /etc/passwd; try again later."), "missing",
            "cannot lock /etc/passwd", repair=_mended, after=_is_user,
        ),
        "a shell that a person has set": Row(
            _user("iam:x:999:999::/var/lib/iam:/bin/bash"),
            "shell is /bin/bash, must be /usr/sbin/nologin", after=_is_user,
        ),
    },
)  # fmt: skip

# ---- units -----------------------------------------------------------------------------------------------------------


def _unit(state: str, *, enabled: bool = True, unit: str = "app") -> Arrange:
    def arrange(bench: Bench) -> None:
        bench.system.units[unit] = state
        (bench.system.enabled.add if enabled else bench.system.enabled.discard)(unit)

    return arrange


def _runs(unit: str) -> Arrange:
    def verify(bench: Bench) -> None:
        assert bench.system.units[unit] == "active"
        assert unit in bench.system.enabled

    return verify


def _crashing(bench: Bench) -> None:
    _unit("active")(bench)
    bench.system.restarts["app"] = 7


def _without_enable(bench: Bench) -> None:
    _unit("active", enabled=False)(bench)
    _broken("systemctl", "Failed to enable unit: Read-only file system")(bench)


UNIT = Table(
    Unit("app"),
    {
        ABSENT: Row(
            lambda bench: bench.system.missing.add("app"), "missing", "Unit app.service not found.",
            repair=lambda bench: bench.system.missing.clear(), after=_runs("app"),
        ),
        PRESENT: Row(_unit("active")),
        DRIFTED: Row(_unit("failed"), "not running", after=_runs("app")),
        OWNER: NotApplicable("the unit file is an item of the kind `file`"),
        LINK: Row(  # systemctl mask makes the unit file a link to /dev/null
            lambda bench: bench.system.masked.add("app"), "missing", "Unit app.service is masked.",
            repair=lambda bench: bench.system.masked.clear(), after=_runs("app"),
        ),
        READ_ONLY: Row(_without_enable, "not enabled", "Read-only file system", repair=_mended, after=_runs("app")),
        "in a crash loop": Row(_crashing, "crashes repeatedly (restarted 7 times)", after=_runs("app")),
    },
)  # fmt: skip

_NO_SSH = "neither ssh.service nor its socket is enabled and runs"


def _without_ssh(bench: Bench) -> None:
    _unit("active", enabled=False, unit="ssh")(bench)
    _broken("systemctl", "Failed to enable unit: Read-only file system")(bench)


SSH_SERVER = Table(
    SshServer(),
    {
        ABSENT: Row(_nothing, _NO_SSH, after=_runs("ssh")),
        PRESENT: Row(_unit("active", unit="ssh")),
        DRIFTED: Row(_unit("inactive", unit="ssh"), _NO_SSH, after=_runs("ssh")),
        OWNER: NotApplicable("the unit file belongs to the package openssh-server"),
        LINK: Row(
            lambda bench: bench.system.masked.add("ssh"), _NO_SSH, "Unit ssh.service is masked.",
            repair=lambda bench: bench.system.masked.clear(), after=_runs("ssh"),
        ),
        READ_ONLY: Row(_without_ssh, _NO_SSH, "Read-only file system", repair=_mended, after=_runs("ssh")),
        "started by its socket": Row(_unit("active", unit="ssh.socket")),
    },
)  # fmt: skip

# ---- the record of the VRRP settings ---------------------------------------------------------------------------------

_VRRP = Vrrp("virtual_router_id 51")
_RECORD = "/var/lib/tandem/vrrp.json"


def _recorded(digest: str) -> Arrange:
    return lambda bench: bench.text(_RECORD, json.dumps({"digest": digest, "revision": "r0"}))


def _is_recorded(bench: Bench) -> None:
    assert not bench.at(_RECORD).is_symlink()
    assert json.loads(bench.at(_RECORD).read_text())["digest"] == _VRRP.operation()["digest"]


VRRP = Table(
    _VRRP,
    {
        ABSENT: Row(_nothing, "not recorded", after=_is_recorded),
        PRESENT: Row(_recorded(_VRRP.operation()["digest"])),
        DRIFTED: Row(_recorded("of other settings"), "differ", after=_is_recorded),
        OWNER: NotApplicable("the record is in the agent's state directory, which only root can enter"),
        LINK: Row(
            lambda bench: bench.link(_RECORD, f"{OUTSIDE}/file"), "not recorded", after=_is_recorded
        ),
        READ_ONLY: read_only("/var/lib/tandem", _nothing, "not recorded", after=_is_recorded),
    },
)  # fmt: skip

# ---- disks -----------------------------------------------------------------------------------------------------------

_DEVICE = "/dev/disk/by-id/virtio-disk-1"


def _disk(content: str) -> Arrange:
    def arrange(bench: Bench) -> None:
        bench.text(_DEVICE, "")
        bench.system.disk = content

    return arrange


def _has_file_system(bench: Bench) -> None:
    assert bench.system.disk == "ext4"


def _linked_disk(bench: Bench) -> None:
    bench.text("/dev/vdb", "")
    bench.link(_DEVICE, "/dev/vdb")
    bench.system.disk = "ext4"


def _write_protected(bench: Bench) -> None:
    _disk("")(bench)
    _broken("mkfs.ext4", "mkfs.ext4: Read-only file system while setting up superblock")(bench)


FILE_SYSTEM = Table(
    FileSystem(_DEVICE),
    {
        ABSENT: Row(
            _nothing, "not attached yet", f"{_DEVICE} does not exist after 60 s", repair=_disk(""),
            after=_has_file_system,
        ),
        PRESENT: Row(_disk("ext4")),
        DRIFTED: Row(_disk(""), "blank", after=_has_file_system),
        OWNER: NotApplicable("udev sets owner and mode of a device"),
        LINK: Row(_linked_disk),  # a path by id is always a link
        READ_ONLY: Row(_write_protected, "blank", "Read-only file system", repair=_mended, after=_has_file_system),
        "another file system": Row(
            _disk("xfs"), "must be blank or ext4 (has xfs)", "must be blank or ext4 (has xfs)"
        ),
    },
)  # fmt: skip

# ---- archives --------------------------------------------------------------------------------------------------------

_TOOL = b"#!/bin/sh\n"


def _packed() -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        member = tarfile.TarInfo("bin/tool")
        member.size, member.mode = len(_TOOL), 0o755
        tar.addfile(member, io.BytesIO(_TOOL))
    return packed.getvalue()


_RELEASE = _packed()
_SHA256 = hashlib.sha256(_RELEASE).hexdigest()
_UNPACKED = f"/opt/app/{_SHA256[:12]}"


def _archive(bench: Bench) -> Item:
    source = bench.root.parent / "release.tar"
    source.write_bytes(_RELEASE)
    return Archive(str(source), _SHA256, _UNPACKED)


def _deployed(then: Arrange = _nothing) -> Arrange:
    def arrange(bench: Bench) -> None:
        bench.roll_out(_archive(bench))
        then(bench)

    return arrange


def _is_unpacked(bench: Bench) -> None:
    tool = bench.at(f"{_UNPACKED}/bin/tool")
    assert not bench.at(_UNPACKED).is_symlink()
    assert tool.read_bytes() == _TOOL
    assert bench.owner(f"{_UNPACKED}/bin/tool")[::2] == (ME, "0755")
    assert [path.name for path in bench.at("/opt/app").iterdir()] == [_SHA256[:12]], "leftovers"


ARCHIVE = Table(
    _archive,
    {
        ABSENT: Row(_nothing, "missing", after=_is_unpacked),
        PRESENT: Row(_deployed(), after=_is_unpacked),
        DRIFTED: Row(
            _deployed(lambda bench: bench.text(f"{_UNPACKED}/bin/tool", "other", 0o755)),
            "bin/tool changed on the node", after=_is_unpacked,
        ),
        OWNER: Row(
            _deployed(lambda bench: bench.foreign(f"{_UNPACKED}/bin/tool")), "bin/tool changed on the node",
            after=_is_unpacked,
        ),
        LINK: Row(
            lambda bench: bench.link(_UNPACKED, OUTSIDE), "(a symbolic link to {outside}) changed on the node",
            after=_is_unpacked,
        ),
        READ_ONLY: read_only("/opt/app", _nothing, "missing", after=_is_unpacked),
        "a link at the previous path": Row(
            _deployed(
                lambda bench: (
                    bench.text(f"{_UNPACKED}/bin/tool", "other", 0o755),
                    bench.link(f"/opt/app/.{_SHA256[:12]}.1", OUTSIDE),
                )
            ),
            "bin/tool changed on the node", after=_is_unpacked,
        ),
    },
)  # fmt: skip

_CURRENT, _PREVIOUS, _OLD = "a" * 12, "b" * 12, "c" * 12


def _archives(*names: str, then: Arrange = _nothing) -> Arrange:
    """The first one was current last."""

    def arrange(bench: Bench) -> None:
        for age, name in enumerate(names):
            bench.text(f"/opt/app/{name}/tool", "x")
            os.utime(bench.at(f"/opt/app/{name}"), (1000 - age, 1000 - age))
        then(bench)

    return arrange


def _kept(*names: str) -> Arrange:
    def verify(bench: Bench) -> None:
        assert {path.name for path in bench.at("/opt/app").iterdir()} == set(names)

    return verify


_DELETED = f"{_OLD} must be deleted"
OLD_ARCHIVES = Table(
    OldArchives(f"/opt/app/{_CURRENT}", keep=1),
    {
        ABSENT: Row(_nothing),
        PRESENT: Row(_archives(_CURRENT, _PREVIOUS), after=_kept(_CURRENT, _PREVIOUS)),
        DRIFTED: Row(_archives(_CURRENT, _PREVIOUS, _OLD), _DELETED, after=_kept(_CURRENT, _PREVIOUS)),
        OWNER: Row(
            _archives(_CURRENT, _PREVIOUS, _OLD, then=lambda bench: bench.foreign(f"/opt/app/{_OLD}")), _DELETED,
            after=_kept(_CURRENT, _PREVIOUS),
        ),
        LINK: Row(
            _archives(_CURRENT, _PREVIOUS, then=lambda bench: bench.link(f"/opt/app/{_OLD}", OUTSIDE)),
            after=_kept(_CURRENT, _PREVIOUS, _OLD),
        ),
        READ_ONLY: read_only(
            "/opt/app", _archives(_CURRENT, _PREVIOUS, _OLD), _DELETED, after=_kept(_CURRENT, _PREVIOUS)
        ),
        "not marked as current": Row(
            _archives(_PREVIOUS, _CURRENT), "must be marked as current", after=_kept(_CURRENT, _PREVIOUS)
        ),
        "the previous one was marked while the clock was wrong": Row(
            _archives(_CURRENT, _PREVIOUS, then=lambda bench: os.utime(bench.at(f"/opt/app/{_PREVIOUS}"), (9e9, 9e9))),
            "must be marked as current", after=_kept(_CURRENT, _PREVIOUS),
        ),
    },
)  # fmt: skip

TABLES = {
    "archive": ARCHIVE,
    "file_system": FILE_SYSTEM,
    "old_archives": OLD_ARCHIVES,
    "operating_system": OPERATING_SYSTEM,
    "package": PACKAGE,
    "rpm": RPM,
    "selinux": SELINUX,
    "ssh_server": SSH_SERVER,
    "unit": UNIT,
    "user": USER,
    "vrrp": VRRP,
}
