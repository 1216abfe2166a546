"""The tables of the kinds that are files, links and directories."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from kind_bench import (
    ABSENT,
    DRIFTED,
    LINK,
    OTHER_USER,
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
from provisioning_fakes import ME, MY_GROUP

from provisioning.kinds.absent import Absent
from provisioning.kinds.authorized_key import AuthorizedKey
from provisioning.kinds.directory import Directory
from provisioning.kinds.file import File
from provisioning.kinds.first_content import FirstContent
from provisioning.kinds.hosts import Hosts
from provisioning.kinds.link import Link
from provisioning.kinds.redis_password import RedisPassword, redis_hash
from provisioning.kinds.timer import Timer

_PATH = "/etc/app/app.conf"
_OTHER_OWNER = "owner is daemon:daemon"


def _nothing(_bench: Bench) -> None:
    pass


def _is_file(path: str, text: str, mode: str) -> Callable[[Bench], None]:
    def verify(bench: Bench) -> None:
        assert not bench.at(path).is_symlink()
        assert bench.at(path).read_text() == text
        assert bench.owner(path) == (ME, MY_GROUP, mode)

    return verify


def _foreign_file(bench: Bench) -> None:
    bench.text(_PATH, "new\n", 0o640)
    bench.foreign(_PATH)


FILE = Table(
    File(_PATH, "new\n", ME, MY_GROUP, 0o640),
    {
        ABSENT: Row(_nothing, "missing", after=_is_file(_PATH, "new\n", "0640")),
        PRESENT: Row(lambda bench: bench.text(_PATH, "new\n", 0o640)),
        DRIFTED: Row(
            lambda bench: bench.text(_PATH, "old\n", 0o640), "content differs", after=_is_file(_PATH, "new\n", "0640")
        ),
        OWNER: Row(_foreign_file, f"{_OTHER_OWNER}, must be {ME}:{MY_GROUP}", after=_is_file(_PATH, "new\n", "0640")),
        LINK: Row(
            lambda bench: bench.link(_PATH, f"{OUTSIDE}/file"),
            "must be a file (is a symbolic link to {outside}/file)",
            after=_is_file(_PATH, "new\n", "0640"),
        ),
        READ_ONLY: read_only(
            "/etc/app", lambda bench: bench.text(_PATH, "old\n", 0o640), "content differs",
            after=_is_file(_PATH, "new\n", "0640"),
        ),
        "wrong mode": Row(
            lambda bench: bench.text(_PATH, "new\n", 0o666), "mode is 0666, must be 0640",
            after=_is_file(_PATH, "new\n", "0640"),
        ),
        "a directory in the way": Row(
            lambda bench: bench.directory(_PATH), "must be a file (is a directory)", "must be a file (is a directory)"
        ),
        "a link at the temporary path": Row(
            lambda bench: (bench.disk("/etc/app"), bench.link("/etc/app/.app.conf.tandem", f"{OUTSIDE}/file")),
            "missing", after=_is_file(_PATH, "new\n", "0640"),
        ),
    },
)  # fmt: skip


def _is_gone(path: str) -> Callable[[Bench], None]:
    def verify(bench: Bench) -> None:
        assert not os.path.lexists(bench.at(path))

    return verify


ABSENT_FILE = Table(
    Absent(_PATH),
    {
        ABSENT: Row(_nothing),
        PRESENT: Row(lambda bench: bench.text(_PATH, "x"), "must not exist", after=_is_gone(_PATH)),
        DRIFTED: NotApplicable("a file that must not exist has no content to compare"),
        OWNER: Row(_foreign_file, "must not exist", after=_is_gone(_PATH)),
        LINK: Row(lambda bench: bench.link(_PATH, f"{OUTSIDE}/file"), "must not exist", after=_is_gone(_PATH)),
        READ_ONLY: read_only("/etc/app", lambda bench: bench.text(_PATH, "x"), "must not exist", after=_is_gone(_PATH)),
        "a directory in the way": Row(
            lambda bench: bench.directory(_PATH), "must not exist", "must not exist (is a directory)"
        ),
    },
)


def _links_to(target: str) -> Callable[[Bench], None]:
    def verify(bench: Bench) -> None:
        assert str(bench.at("/opt/app/current").readlink()) == target

    return verify


def _link_to(target: str) -> Callable[[Bench], None]:
    def arrange(bench: Bench) -> None:
        bench.directory("/opt/app")
        bench.at("/opt/app/current").symlink_to(target)

    return arrange


LINKS = Table(
    Link("/opt/app/current", "/opt/app/2"),
    {
        ABSENT: Row(_nothing, "missing", after=_links_to("/opt/app/2")),
        PRESENT: Row(_link_to("/opt/app/2")),
        DRIFTED: Row(
            _link_to("/opt/app/1"), "target is /opt/app/1, must be /opt/app/2", after=_links_to("/opt/app/2")
        ),
        OWNER: NotApplicable("the kernel uses neither owner nor mode of a link"),
        LINK: Row(
            lambda bench: bench.link("/opt/app/current", OUTSIDE),
            "target is {outside}, must be /opt/app/2", after=_links_to("/opt/app/2"),
        ),
        READ_ONLY: read_only(
            "/opt/app", _link_to("/opt/app/1"), "target is /opt/app/1, must be /opt/app/2",
            after=_links_to("/opt/app/2"),
        ),
        "a file in the way": Row(
            lambda bench: bench.text("/opt/app/current", "x"), "must be a link (is a file)",
            after=_links_to("/opt/app/2"),
        ),
        "a directory in the way": Row(
            lambda bench: bench.directory("/opt/app/current"), "must be a link (is a directory)",
            "must be a link (is a directory)",
        ),
    },
)  # fmt: skip


def _is_directory(bench: Bench) -> None:
    assert bench.at("/srv/app").is_dir()
    assert bench.owner("/srv/app") == (ME, MY_GROUP, "2750")


def _foreign_directory(bench: Bench) -> None:
    bench.directory("/srv/app", 0o2750)
    bench.foreign("/srv/app")
    bench.at("/srv/app").chmod(0o2750)


_WAY = "must be a directory (is a symbolic link to {outside})"
DIRECTORY = Table(
    Directory("/srv/app", ME, MY_GROUP, 0o2750),
    {
        ABSENT: Row(_nothing, "missing", after=_is_directory),
        PRESENT: Row(lambda bench: bench.directory("/srv/app", 0o2750)),
        DRIFTED: Row(
            lambda bench: bench.directory("/srv/app", 0o777), "mode is 0777, must be 2750", after=_is_directory
        ),
        OWNER: Row(_foreign_directory, f"{_OTHER_OWNER}, must be {ME}:{MY_GROUP}", after=_is_directory),
        LINK: Row(
            lambda bench: bench.link("/srv/app", OUTSIDE), _WAY, _WAY,
            repair=lambda bench: bench.at("/srv/app").unlink(), after=_is_directory,
        ),
        READ_ONLY: read_only("/srv", _nothing, "missing", after=_is_directory),
        "a file in the way": Row(
            lambda bench: bench.text("/srv/app", "x"), "must be a directory (is a file)",
            "must be a directory (is a file)", repair=lambda bench: bench.at("/srv/app").unlink(),
        ),
    },
)  # fmt: skip


def _source(bench: Bench) -> None:
    bench.text("/var/lib/source/data", "first\n", 0o600)
    os.chown(bench.at("/var/lib/source/data"), OTHER_USER if os.geteuid() == 0 else -1, -1)


def _copied(bench: Bench) -> None:
    assert bench.at("/data/app/data").read_text() == "first\n"
    assert bench.at("/data/app/data").stat().st_uid == bench.at("/var/lib/source/data").stat().st_uid


def _with_source(arrange: Callable[[Bench], object]) -> Callable[[Bench], None]:
    def both(bench: Bench) -> None:
        _source(bench)
        arrange(bench)

    return both


def _dangling(bench: Bench) -> None:
    bench.directory("/data")
    bench.at("/data/app").symlink_to("/mnt/lost")


def _kept(bench: Bench) -> None:
    assert bench.at("/data/app/data").read_text() == "in use\n"


FIRST_CONTENT = Table(
    FirstContent("/data/app", "/var/lib/source", "app"),
    {
        ABSENT: Row(_with_source(_nothing), "missing", after=_copied),
        PRESENT: Row(_with_source(lambda bench: bench.text("/data/app/data", "first\n"))),
        DRIFTED: Row(_with_source(lambda bench: bench.text("/data/app/data", "in use\n")), after=_kept),
        OWNER: NotApplicable("only the first content is Tandem's; the service owns the directory afterwards"),
        LINK: Row(
            _with_source(_dangling),
            "must be a directory (is a symbolic link to /mnt/lost, which does not exist)",
            "must be a directory (is a symbolic link to /mnt/lost, which does not exist)",
            repair=lambda bench: bench.at("/data/app").unlink(), after=_copied,
        ),
        READ_ONLY: read_only("/data", _source, "missing", after=_copied),
        "a link to a directory": Row(_with_source(lambda bench: bench.link("/data/app", OUTSIDE))),
        "a link at the temporary path": Row(
            _with_source(lambda bench: bench.link("/data/.app.tandem", OUTSIDE)), "missing", after=_copied
        ),
    },
)  # fmt: skip

_TIMER = Timer("refresh", "Refresh every minute", 60)
_UNIT_FILE = f"/etc/systemd/system/{_TIMER.unit}"


def _timer(text: str, mode: int = 0o644) -> Callable[[Bench], None]:
    def arrange(bench: Bench) -> None:
        bench.text(_UNIT_FILE, text, mode)
        bench.system.run(["systemctl", "daemon-reload"])
        for verb in ("enable", "start"):
            bench.system.run(["systemctl", verb, _TIMER.unit])

    return arrange


def _foreign_timer(bench: Bench) -> None:
    _timer(_TIMER.text)(bench)
    bench.foreign(_UNIT_FILE)


def _timer_runs(bench: Bench) -> None:
    assert bench.system.units[_TIMER.unit] == "active"
    assert not bench.at(_UNIT_FILE).is_symlink()
    assert bench.at(_UNIT_FILE).read_text() == _TIMER.text
    assert bench.owner(_UNIT_FILE) == ("root", "root", "0644")


TIMER = Table(
    _TIMER,
    {
        ABSENT: Row(_nothing, "missing", after=_timer_runs),
        PRESENT: Row(_timer(_TIMER.text)),
        DRIFTED: Row(_timer("[Timer]\n"), "schedule differs", after=_timer_runs),
        OWNER: Row(_foreign_timer, f"{_OTHER_OWNER}, must be root:root", after=_timer_runs),
        LINK: Row(
            lambda bench: bench.link(_UNIT_FILE, f"{OUTSIDE}/file"),
            "must be a file (is a symbolic link to {outside}/file)", after=_timer_runs,
        ),
        READ_ONLY: read_only("/etc/systemd/system", _nothing, "missing", after=_timer_runs),
        "wrong mode": Row(_timer(_TIMER.text, 0o666), "mode is 0666, must be 0644", after=_timer_runs),
    },
)  # fmt: skip

_KEYS = "/home/debian/.ssh/authorized_keys"
_KEY = "ssh-rsa AAAAB3 tandem"
_OLD = "ssh-rsa BBBB somebody\n"


def _keys(text: str, mode: int = 0o600, directory_mode: int = 0o700) -> Callable[[Bench], Path]:
    def arrange(bench: Bench) -> Path:
        bench.directory("/home/debian/.ssh", directory_mode)
        return bench.text(_KEYS, text, mode)

    return arrange


def _foreign_keys(bench: Bench) -> None:
    _keys(_OLD + _KEY + "\n")(bench)
    bench.foreign(_KEYS)


def _authorized(bench: Bench) -> None:
    assert bench.at(_KEYS).read_text().splitlines()[-1] == _KEY
    assert not bench.at(_KEYS).is_symlink()
    assert bench.owner(_KEYS) == (ME, MY_GROUP, "0600")
    assert bench.owner("/home/debian/.ssh") == (ME, MY_GROUP, "0700")


def _authorized_beside_others(bench: Bench) -> None:
    _authorized(bench)
    assert bench.at(_KEYS).read_text().startswith(_OLD)


AUTHORIZED_KEY = Table(
    AuthorizedKey("deployment key", "debian", _KEY),
    {
        ABSENT: Row(_nothing, "not authorized", after=_authorized),
        PRESENT: Row(_keys(_OLD + _KEY + "\n")),
        DRIFTED: Row(_keys(_OLD), "not authorized", after=_authorized_beside_others),
        OWNER: Row(
            _foreign_keys, "sshd ignores the keys: owner or mode of ~/.ssh/authorized_keys is wrong",
            after=_authorized_beside_others,
        ),
        LINK: Row(
            lambda bench: bench.link("/home/debian/.ssh", OUTSIDE), "not authorized",
            "/home/debian/.ssh must be a directory (is a symbolic link to",
            repair=lambda bench: bench.at("/home/debian/.ssh").unlink(), after=_authorized,
        ),
        READ_ONLY: read_only("/home/debian", _keys(_OLD), "not authorized", after=_authorized_beside_others),
        "writable by others": Row(
            _keys(_KEY + "\n", 0o666, 0o777),
            "sshd ignores the keys: owner or mode of ~/.ssh and ~/.ssh/authorized_keys is wrong", after=_authorized,
        ),
        "a link at the temporary path": Row(
            lambda bench: (
                _keys(_OLD)(bench), bench.link("/home/debian/.ssh/.authorized_keys.tandem", f"{OUTSIDE}/file")
            ),
            "not authorized", after=_authorized_beside_others,
        ),
        "a link at the file": Row(
            lambda bench: (
                bench.directory("/home/debian/.ssh", 0o700), bench.link(_KEYS, f"{OUTSIDE}/file")
            ),
            "not authorized", after=_authorized,
        ),
    },
)  # fmt: skip

_USERS = "/etc/redis/users.acl"
_HASH = redis_hash("Redis-1234")


def _redis(bench: Bench) -> None:
    bench.text("/etc/redis/redis.conf", "aclfile /etc/redis/users.acl\n", 0o640)


def _redis_users(hashed: str, mode: int = 0o640) -> Callable[[Bench], None]:
    def arrange(bench: Bench) -> None:
        _redis(bench)
        bench.text(_USERS, f"user default on #{hashed} ~* &* +@all\n", mode)

    return arrange


def _foreign_users(bench: Bench) -> None:
    _redis_users(_HASH)(bench)
    bench.foreign(_USERS)


def _accepted(bench: Bench) -> None:
    assert f"#{_HASH}" in bench.at(_USERS).read_text()
    assert not bench.at(_USERS).is_symlink()
    assert bench.owner(_USERS) == (ME, MY_GROUP, "0640")


def _started_with_other_users(bench: Bench) -> None:
    """Redis was started after a change of the file by hand; the file is right again."""
    _redis_users(_HASH)(bench)
    bench.text("/var/lib/tandem/redis-administrator.json", '"password"', 0o600)
    bench.system.units["redis-server"] = "active"
    bench.system.redis_has_other_users = True


def _is_restarted(bench: Bench) -> None:
    _accepted(bench)
    assert "restart redis-server" in bench.system.log


REDIS_PASSWORD = Table(
    RedisPassword("Redis-1234", "10.0.4.20", 6379),
    {
        ABSENT: Row(_redis, "not accepted", after=_accepted),
        PRESENT: Row(_redis_users(_HASH)),
        DRIFTED: Row(_redis_users(redis_hash("old")), "not accepted", after=_accepted),
        OWNER: Row(
            _foreign_users,
            f"owner and mode of {_USERS} are daemon:daemon 0640, must be {ME}:{MY_GROUP} 0640", after=_accepted,
        ),
        LINK: Row(
            lambda bench: (_redis(bench), bench.link(_USERS, f"{OUTSIDE}/file")), "not accepted", after=_accepted
        ),
        READ_ONLY: read_only("/etc/redis", _redis, "not accepted", after=_accepted),
        "a server with other users": Row(
            _started_with_other_users, "not accepted until a restart", after=_is_restarted
        ),
        "readable by everyone": Row(
            _redis_users(_HASH, 0o644),
            f"owner and mode of {_USERS} are {ME}:{MY_GROUP} 0644, must be {ME}:{MY_GROUP} 0640", after=_accepted,
        ),
    },
)  # fmt: skip

_HOSTS = "/etc/hosts"
_OTHERS = b"127.0.0.1 localhost\n# Z\xfcrich\n"  # not UTF-8
_BLOCK = b"# Tandem: names of the group\n10.0.4.20 iam-a\n# Tandem: end\n"


def _hosts(content: bytes) -> Callable[[Bench], None]:
    def arrange(bench: Bench) -> None:
        bench.text(_HOSTS, "").write_bytes(content)

    return arrange


def _names_are_known(kept: bytes = b"") -> Callable[[Bench], None]:
    def verify(bench: Bench) -> None:
        assert not bench.at(_HOSTS).is_symlink()
        assert bench.at(_HOSTS).read_bytes() == kept + _BLOCK
        assert bench.owner(_HOSTS) == (ME, MY_GROUP, "0644")

    return verify


HOSTS = Table(
    Hosts(("10.0.4.20 iam-a",)),
    {
        ABSENT: Row(_nothing, "names of the group differ", after=_names_are_known()),
        PRESENT: Row(_hosts(_OTHERS + _BLOCK)),
        DRIFTED: Row(
            _hosts(_OTHERS + _BLOCK.replace(b"iam-a", b"iam-b")), "names of the group differ",
            after=_names_are_known(_OTHERS),
        ),
        OWNER: NotApplicable("the file is the operating system's; a change leaves it to root with mode 0644"),
        LINK: Row(
            lambda bench: bench.link(_HOSTS, f"{OUTSIDE}/file"), "names of the group differ",
            after=_names_are_known(b"of another program\n"),
        ),
        READ_ONLY: read_only("/etc", _hosts(b""), "names of the group differ", after=_names_are_known()),
        "a link at the temporary path": Row(
            lambda bench: (_hosts(_OTHERS)(bench), bench.link("/etc/.hosts.tandem", f"{OUTSIDE}/file")),
            "names of the group differ", after=_names_are_known(_OTHERS),
        ),
    },
)  # fmt: skip

TABLES = {
    "absent": ABSENT_FILE,
    "authorized_key": AUTHORIZED_KEY,
    "directory": DIRECTORY,
    "file": FILE,
    "first_content": FIRST_CONTENT,
    "hosts": HOSTS,
    "link": LINKS,
    "redis_password": REDIS_PASSWORD,
    "timer": TIMER,
}
