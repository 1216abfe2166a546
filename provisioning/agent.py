"""The one file that runs on a machine: standard library only, Python 3.9 or later, JSON in, JSON out.

It is sent over SSH with every call, so it always fits the operator's side. A call is one JSON line on stdin,
`{"token": ..., "operations": [{"do": ..., ...}]}`, followed by the raw bytes of archives, if any; the answer
is one JSON line on stdout, `{"results": [...]}`, with `"error": {"step", "message", "seen"}` when an operation
failed (those after it were not begun).

What must always hold, wherever a call is killed:
- a file is replaced by a rename, its owner and mode set before; its previous version stays in `previous/`;
- what has to be reloaded or restarted is in `pending.json` before the first rename, and leaves it when done;
- everything that needs room on the disk is written while staging, so a full disk stops a rollout before it begins.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import grp
import hashlib
import http.client
import json
import os
import pwd
import re
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.parse
from pathlib import Path
from typing import IO, Any, Callable, Generator, NamedTuple

STATE = "/var/lib/tandem"
DRAIN_MARK = "/run/tandem/drain"  # there during a planned hand-over
DRAIN_CONF = "/run/tandem/nginx-drain.conf"  # included by every server; gone after a reboot, like the mark
MACHINE_FILE = "/etc/tandem/machine.json"  # the units of this machine's manifest, in order
UPSTREAMS = "/etc/nginx/conf.d/upstreams.conf"
TEXT_LIMIT = 256 * 1024  # a larger file is compared by its checksum alone


class Result(NamedTuple):
    code: int
    out: str
    err: str


Runner = Callable[..., Result]


class StepError(Exception):
    """A step failed: which, why, and what the machine said."""

    def __init__(self, step: str, message: str, seen: str = "", detail: Any = None) -> None:
        super().__init__(f"{step}: {message}")
        self.step = step
        self.message = message
        self.seen = seen
        self.detail = detail


def run(argv: list[str], *, text: str = "", timeout_s: float = 60, env: dict[str, str] | None = None) -> Result:
    """Run a command to its end or its deadline. A missing program is code 127, a passed deadline 124."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8", **(env or {})}
    try:
        done = subprocess.run(
            argv, input=text, capture_output=True, text=True, timeout=timeout_s, env=environment, check=False
        )
    except FileNotFoundError:
        return Result(127, "", f"{argv[0]}: no such program on this machine")
    except subprocess.TimeoutExpired as late:
        said = late.stderr.decode(errors="replace") if isinstance(late.stderr, bytes) else (late.stderr or "")
        return Result(124, "", f"{said}\n{argv[0]} was stopped after {timeout_s:.0f} s without an end")
    return Result(done.returncode, done.stdout, done.stderr)


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def owner_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def probe(url: str, timeout_s: float = 2) -> str:
    """The status of one GET, or why there was none."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=timeout_s)
    try:
        connection.request("GET", parts.path or "/", headers={"Connection": "close"})
        return str(connection.getresponse().status)
    except (OSError, http.client.HTTPException) as failed:
        return f"{type(failed).__name__}: {failed}"
    finally:
        connection.close()


class Agent:
    """The operations. `root` and `runner` are given so that a test has a machine of its own."""

    def __init__(
        self,
        *,
        root: str = "/",
        runner: Runner = run,
        stdin: IO[bytes] | None = None,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        before: Callable[[str], None] = lambda _effect: None,
        probe: Callable[[str], str] = probe,
        sync: Callable[[int], None] = os.fsync,
    ) -> None:
        self.root = Path(root)
        self.state = self.at(STATE)
        self.run = runner
        self.stdin = stdin
        self.now = now
        self.sleep = sleep
        self.before = before  # called with each effect's name before it happens: where a test pulls the plug
        self.probe = probe
        self.sync = sync  # a test of many rollouts on a busy disk has no power to lose
        self.token = ""

    def at(self, path: str) -> Path:
        """A machine's absolute path below this agent's root."""
        return self.root / path.lstrip("/")

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do the operations of one request in order, up to the first that fails."""
        self.token = request.get("token", "")
        step = ""
        results: list[Any] = []
        try:
            for operation in request["operations"]:
                step = operation["do"]
                arguments = {key: value for key, value in operation.items() if key != "do"}
                results.append(getattr(self, "do_" + step)(**arguments))
        except StepError as failed:
            error = {"step": failed.step, "message": failed.message, "seen": failed.seen, "detail": failed.detail}
            return {"results": results, "error": error}
        except OSError as failed:
            return {"results": results, "error": self._system_error(step, failed)}
        return {"results": results}

    def _system_error(self, step: str, failed: OSError) -> dict[str, Any]:
        words = f"{failed.strerror or failed}" + (f": {failed.filename}" if failed.filename else "")
        if isinstance(failed, shutil.Error) and isinstance(failed.args[0], list):
            words = failed.args[0][0][2]  # of a copied tree: a list of everything that failed, mostly for one reason
        full = failed.errno in (errno.ENOSPC, errno.EDQUOT) or f"[Errno {errno.ENOSPC}]" in words
        return {"step": step, "message": words, "seen": self._disk_words() if full else "", "detail": None}

    def _disk_words(self) -> str:
        usage = shutil.disk_usage(self.state)
        return f"{STATE}: {usage.free // 1024} KiB free of {usage.total // 1024} KiB"

    # ---- facts -----------------------------------------------------------------------------------------------

    def do_facts(
        self,
        *,
        paths: dict[str, str],
        packages: list[str],
        users: list[str],
        disks: list[str],
        units: list[str],
        sysctls: list[str],
        virtual_ips: list[str],
        databases: list[str],
        accounts: list[list[str]],
        queries: list[list[str]],
        with_texts: bool,
    ) -> dict[str, Any]:
        """What is there of what is asked for. `paths` maps a path to the sha256 that it should have ("" = any)."""
        return {
            "paths": {path: self._path_fact(path, wanted if with_texts else "") for path, wanted in paths.items()},
            "packages": self._package_facts(packages),
            "users": [name for name in users if self._user_exists(name)],
            "disks": {device: self._disk_fact(device) for device in disks},
            "units": self._unit_facts(units),
            "sysctls": {key: self._sysctl_fact(key) for key in sysctls},
            "addresses": self._held(virtual_ips),
            "mariadb": self._mariadb_facts(databases, accounts, queries),
            "pending": self._pending(),
            "draining": self.at(DRAIN_MARK).exists() or self.at(DRAIN_CONF).exists(),
            "hostname": os.uname().nodename,
            "boot_id": self._read("/proc/sys/kernel/random/boot_id"),
        }

    def _read(self, path: str) -> str:
        try:
            return self.at(path).read_text().strip()
        except OSError:
            return ""

    def _path_fact(self, path: str, wanted: str) -> dict[str, Any] | None:
        """`wanted`, where given, is the checksum of a file whose text is asked for when it has another."""
        place = self.at(path)
        try:
            status = place.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        fact: dict[str, Any] = {
            "owner": owner_name(status.st_uid),
            "group": group_name(status.st_gid),
            "mode": status.st_mode & 0o7777,
        }
        if place.is_symlink():
            return {"kind": "link", "target": str(place.readlink())}
        if place.is_dir():
            return {"kind": "directory", **fact}
        fact = {"kind": "file", "sha256": sha256_of(place), **fact}
        if wanted and fact["sha256"] != wanted and status.st_size <= TEXT_LIMIT:
            fact["text"] = place.read_text(errors="replace")
        return fact

    def _package_facts(self, packages: list[str]) -> dict[str, str]:
        if not packages:
            return {}
        told = self.run(["dpkg-query", "-W", "-f", "${Package}\t${db:Status-Status}\t${Version}\n", *packages])
        rows = (line.split("\t") for line in told.out.splitlines())
        return {row[0]: row[2] for row in rows if row[1] == "installed"}

    def _disk_fact(self, device: str) -> str:
        """What a disk holds, told by its first blocks and never by a cache: "" = nothing, or no such disk."""
        if not self.at(device).exists():
            return ""
        told = self.run(["blkid", "-p", "-o", "export", device])
        found = dict(line.split("=", 1) for line in told.out.splitlines() if "=" in line)
        if told.code not in (0, 2):  # 2 = nothing found; 8 = several things: an ambivalent disk is not blank
            return "something that blkid cannot tell"
        return found.get("TYPE") or found.get("PTTYPE") or ("something" if found.keys() - {"DEVNAME"} else "")

    def _make_file_system(self, device: str) -> None:
        deadline = self.now() + 60
        while not self.at(device).exists():  # attached a moment ago
            if self.now() > deadline:
                raise StepError("disk", f"{device} is not there after 60 s", self.run(["lsblk"]).out)
            self.sleep(0.2)
        held = self._disk_fact(device)
        if held == "ext4":
            return
        if held:
            raise StepError("disk", f"{device} holds {held}; only a blank disk is given a file system")
        self.before("mkfs " + device)
        self._must(f"disk {device}", ["mkfs.ext4", "-q", "-L", "tandem-data", device])

    def _user_exists(self, name: str) -> bool:
        # Read by hand: a test's machine has a passwd of its own, which the C library would not look at.
        return any(line.split(":", 1)[0] == name for line in self._read("/etc/passwd").splitlines())

    def _unit_facts(self, units: list[str]) -> dict[str, dict[str, str]]:
        if not units:
            return {}
        wanted = ["Id", "Names", "LoadState", "ActiveState", "SubState", "UnitFileState", "NeedDaemonReload"]
        told = self.run(["systemctl", "show", "--property", ",".join(wanted), *units])
        blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in told.out.split("\n\n") if block]
        # systemctl answers in the order of the question, one block each.
        return dict(zip(units, blocks))  # noqa: B905 - Python 3.9 has no strict

    def _sysctl_fact(self, key: str) -> dict[str, str]:
        now = self._read("/proc/sys/" + key.replace(".", "/"))
        return {"now": " ".join(now.split()), "boot": self._read(self._sysctl_path(key))}

    @staticmethod
    def _sysctl_path(key: str) -> str:
        return f"/etc/sysctl.d/60-tandem-{key}.conf"

    def _held(self, virtual_ips: list[str]) -> list[str]:
        if not virtual_ips:
            return []
        told = self.run(["ip", "-j", "-4", "address", "show"])
        try:
            here = {entry.get("local") for link in json.loads(told.out or "[]") for entry in link.get("addr_info", [])}
        except ValueError:
            return []
        return [address for address in virtual_ips if address in here]

    # ---- the lock --------------------------------------------------------------------------------------------

    def do_lock(self, *, owner: dict[str, Any], ttl_s: float, take_from: str = "") -> None:
        """Take the machine for one rollout. A lock that was not renewed for its ttl_s has a dead owner."""
        with self._one_at_a_time("lock", wait_s=10):
            held = self._lock()
            if held and held["token"] not in (self.token, take_from):
                age = self.now() - held["renewed_at"]
                # A clock that was set back must not make a lock immortal.
                if 0 <= age < held["ttl_s"]:
                    raise StepError("lock", "another rollout has this machine", detail={**held, "age_s": age})
            self.before("lock")
            now = self.now()
            lock = {"token": self.token, "owner": owner, "ttl_s": ttl_s, "taken_at": now, "renewed_at": now}
            self._write_json("lock.json", lock)

    def do_unlock(self) -> None:
        with self._one_at_a_time("lock", wait_s=10):
            held = self._lock()
            if held and held["token"] == self.token:
                self._path("lock.json").unlink()

    def _lock(self) -> dict[str, Any] | None:
        return self._read_json("lock.json", None)

    @contextlib.contextmanager
    def _mine(self) -> Generator[None, None, None]:
        """For everything that changes the machine: only with the lock, and one such call at a time.

        A call whose SSH connection was cut works on to its end; the next rollout waits for it here.
        """
        with self._one_at_a_time("work", wait_s=120):
            self.do_renew()
            yield

    def do_renew(self) -> None:
        """The owner lives. Also called beside an operation that takes its time, such as an installation."""
        with self._one_at_a_time("lock", wait_s=10):
            held = self._lock()
            if not held or held["token"] != self.token:
                raise StepError("lock", "this rollout no longer has the machine", detail=held)
            self._write_json("lock.json", {**held, "renewed_at": self.now()})

    @contextlib.contextmanager
    def _one_at_a_time(self, name: str, wait_s: float) -> Generator[None, None, None]:
        self._make_state()
        deadline = self.now() + wait_s
        with self._path(name + ".flock").open("a") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if self.now() > deadline:
                        raise StepError(
                            "lock", f"an earlier call still works on this machine after {wait_s:.0f} s"
                        ) from None
                    self.sleep(0.1)
            yield

    # ---- state on the disk -----------------------------------------------------------------------------------

    def _path(self, name: str) -> Path:
        return self.state / name

    def _make_state(self) -> None:
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _read_json(self, name: str, default: Any) -> Any:
        try:
            return json.loads(self._path(name).read_text())
        except (FileNotFoundError, ValueError):
            return default

    def _write_json(self, name: str, value: Any) -> None:
        self._make_state()
        place = self._path(name)
        new = place.with_name(place.name + ".new")
        with new.open("w") as file:
            json.dump(value, file)
            file.flush()
            self.sync(file.fileno())
        new.replace(place)

    def _pending(self) -> list[str]:
        """What still has to follow a change: "daemon-reload", "reload nginx", "restart iam-apiserver"."""
        return list(self._read_json("pending.json", []))

    # ---- preparing: nothing here disturbs what serves ----------------------------------------------------------

    def do_prepare(
        self,
        *,
        packages: list[str],
        disks: list[str],
        users: list[dict[str, str]],
        directories: list[dict[str, Any]],
    ) -> None:
        with self._mine():
            if packages:
                self.before("install " + " ".join(packages))
                self._install(packages)
            for device in disks:
                self._make_file_system(device)
            for user in users:
                self.before("user " + user["name"])
                self._must(
                    f"user {user['name']}",
                    ["useradd", "--system", "--user-group", "--no-create-home", "--home-dir", user["home"],
                     "--shell", "/usr/sbin/nologin", user["name"]],
                )  # fmt: skip
            for directory in directories:
                self.before("directory " + directory["path"])
                place = self.at(directory["path"])
                place.mkdir(parents=True, exist_ok=True)
                self._own(place, directory)

    def _install(self, packages: list[str]) -> None:
        # Services must not start with the distribution's configuration: policy-rc.d is how Debian is told (101 = no).
        policy = self.at("/usr/sbin/policy-rc.d")
        ours = not policy.exists()
        if ours:
            policy.parent.mkdir(parents=True, exist_ok=True)
            policy.write_text("#!/bin/sh\n# by tandem, for the time of one installation\nexit 101\n")
            policy.chmod(0o755)
        try:
            apt = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3",
                   "-o", "Dpkg::Options::=--force-confold"]  # fmt: skip
            env = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "l"}
            # An installation that was killed half-way leaves packages unpacked; this is how they are finished.
            self.run(["dpkg", "--configure", "-a"], timeout_s=600, env=env)
            install = [*apt, "--no-install-recommends", "install", *packages]
            first = self.run(install, timeout_s=900, env=env)
            if first.code:
                updated = self.run([*apt, "update"], timeout_s=300, env=env)
                second = self.run(install, timeout_s=900, env=env)
                if second.code:
                    words = "\n".join([*updated.err.splitlines()[-6:], *second.err.splitlines()[-12:]])
                    raise StepError("packages", f"apt-get cannot install {' '.join(packages)}", words)
        finally:
            if ours:
                policy.unlink()

    def do_receive(self, *, path: str, sha256: str, size: int) -> None:
        """Read an archive of `size` bytes from stdin and unpack it at `path`, complete or not at all.

        Without the lock: a large file is sent before the lock is taken, and its path names its content.
        """
        self._make_state()
        incoming = self._path("incoming")
        incoming.mkdir(mode=0o700, exist_ok=True)
        part = incoming / f"{sha256}.{os.getpid()}"
        assert self.stdin is not None
        try:
            with part.open("wb") as file:
                left = size
                while left:
                    block = self.stdin.read(min(left, 1 << 20))
                    if not block:
                        raise StepError("receive", f"{path}: the connection ended {left} of {size} bytes early")
                    file.write(block)
                    left -= len(block)
            seen = sha256_of(part)
            if seen != sha256:
                raise StepError("receive", f"{path}: another checksum than announced", f"got {seen}\nnot {sha256}")
            self.before("unpack " + path)
            self._unpack(part, self.at(path))
        finally:
            part.unlink()

    @staticmethod
    def _unpack(archive: Path, place: Path) -> None:
        if place.exists():
            return
        new = place.with_name(f".{place.name}.{os.getpid()}")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True, mode=0o755)
        with tarfile.open(archive) as tar:
            for member in tar.getmembers():
                outside = member.name.startswith("/") or ".." in member.name.split("/")
                if outside or not (member.isfile() or member.isdir()):
                    raise StepError("receive", f"{place}: the archive holds {member.name!r}, which is refused")
                member.uid = member.gid = 0
                member.uname = member.gname = "root"
            # Every member was looked at above; what newer Pythons ask for here, older ones do not know.
            trusted: dict[str, Any] = {"filter": "fully_trusted"} if hasattr(tarfile, "fully_trusted_filter") else {}
            tar.extractall(new, **trusted)  # noqa: S202
        with contextlib.suppress(OSError):  # another call may have been quicker; its content is the same
            new.rename(place)
        shutil.rmtree(new, ignore_errors=True)

    # ---- staging and validating --------------------------------------------------------------------------------

    def do_stage(
        self,
        *,
        revision: str,
        files: list[dict[str, Any]],
        links: list[dict[str, Any]],
        absent: list[str],
        afters: list[str],
        checks: list[dict[str, Any]],
    ) -> None:
        """Write every candidate and let each check judge them. Nothing in use is touched."""
        with self._mine():
            staged = self._path("staged")
            shutil.rmtree(staged, ignore_errors=True)
            with contextlib.suppress(FileNotFoundError):  # of a run that was killed before its commit
                self._path("pending.next.json").unlink()
            staged.mkdir(mode=0o700)
            for file in files:
                self.before("stage " + file["path"])
                self._stage(staged / file["path"].lstrip("/"), file)
            for check in checks:
                self.before("check " + check["name"])
                self._check(check, staged, files, links, absent)
            self._keep_previous(revision, [entry["path"] for entry in [*files, *links]] + absent)
            self._write_json("pending.next.json", self._merge(self._pending(), afters))

    def _stage(self, place: Path, file: dict[str, Any]) -> None:
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(file["text"])
            out.flush()
            self._own(place, file)
            self.sync(out.fileno())

    def _own(self, place: Path, wanted: dict[str, Any]) -> None:
        try:
            uid, gid = pwd.getpwnam(wanted["owner"]).pw_uid, grp.getgrnam(wanted["group"]).gr_gid
        except KeyError as missing:
            raise StepError("owner", f"{wanted['path']}: {missing.args[0]} on this machine") from None
        os.chown(place, uid, gid)
        place.chmod(wanted["mode"])  # after chown, which clears the set-id bits

    def _check(
        self,
        check: dict[str, Any],
        staged: Path,
        files: list[dict[str, Any]],
        links: list[dict[str, Any]],
        absent: list[str],
    ) -> None:
        trial = self._path("trial")
        shutil.rmtree(trial, ignore_errors=True)
        trial.mkdir(mode=0o700)
        mounts: list[str] = []
        for number, directory in enumerate(check["directories"]):
            copy = trial / str(number)
            here = self.at(directory)
            here.mkdir(parents=True, exist_ok=True)
            shutil.copytree(here, copy, symlinks=True)
            shutil.copystat(here, copy)
            below = directory.rstrip("/") + "/"
            for file in files:
                if file["path"].startswith(below):
                    place = copy / file["path"][len(below) :]
                    place.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(staged / file["path"].lstrip("/"), place)
                    self._own(place, file)
            for path in [*absent, *(link["path"] for link in links)]:
                if path.startswith(below):
                    with contextlib.suppress(FileNotFoundError):
                        (copy / path[len(below) :]).unlink()
            for link in links:
                if link["path"].startswith(below):
                    (copy / link["path"][len(below) :]).symlink_to(link["target"])
            mounts += [str(copy), str(here)]
        # The command sees the candidates where they will be; the mounts end with it, and nobody else sees them.
        script = 'while [ "$1" != -- ]; do mount --bind "$1" "$2" || exit 120; shift 2; done; shift; exec "$@"'
        told = self.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "tandem", *mounts, "--"]
            + check["command"],
            timeout_s=60,
        )
        shutil.rmtree(trial, ignore_errors=True)
        if told.code:
            words = (told.err + told.out).replace(str(trial), "").strip()
            raise StepError("check", check["name"], f"{words}\nexit code {told.code} of: {' '.join(check['command'])}")

    def _keep_previous(self, revision: str, paths: list[str]) -> None:
        """Keep what is about to be replaced, so that a rollback has something to go back to.

        A hard link costs no room and cannot be half-written. A run that goes on where one was killed has the
        same revision and must not overwrite what that one kept.
        """
        previous = self._path("previous")
        if self._read_json("previous/journal.json", {}).get("revision") != revision:
            shutil.rmtree(previous, ignore_errors=True)
            (previous / "files").mkdir(mode=0o700, parents=True)
            self._write_json("previous/journal.json", {"revision": revision, "existed": {}})
        journal = self._read_json("previous/journal.json", {})
        for path in paths:
            if path in journal["existed"]:
                continue
            here, kept = self.at(path), previous / "files" / path.lstrip("/")
            journal["existed"][path] = os.path.lexists(here)
            if journal["existed"][path]:
                kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                with contextlib.suppress(FileNotFoundError):
                    kept.unlink()
                try:
                    os.link(here, kept, follow_symlinks=False)
                except OSError:  # another file system
                    shutil.copy2(here, kept, follow_symlinks=False)
        self._write_json("previous/journal.json", journal)

    @staticmethod
    def _merge(pending: list[str], more: list[str]) -> list[str]:
        return [*pending, *(after for after in dict.fromkeys(more) if after not in pending)]

    # ---- committing --------------------------------------------------------------------------------------------

    def do_commit(self, *, actions: list[dict[str, Any]]) -> list[str]:
        """Make the staged candidates true, in order. Returns what was done, in words."""
        with self._mine():
            with contextlib.suppress(FileNotFoundError):
                self._path("pending.next.json").replace(self._path("pending.json"))
            done: list[str] = []
            for action in actions:
                done += getattr(self, "_commit_" + action["kind"])(action)
            for after in self._pending():  # of units that the manifest no longer names
                done += self._settle(after)
            shutil.rmtree(self._path("staged"), ignore_errors=True)
            return done

    def _commit_write(self, action: dict[str, Any]) -> list[str]:
        place, staged = self.at(action["path"]), self._path("staged") / action["path"].lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        self.before("write " + action["path"])
        try:
            staged.replace(place)
        except OSError as failed:
            if failed.errno != errno.EXDEV:
                raise
            near = place.with_name(f".{place.name}.tandem")
            shutil.copy2(staged, near)
            self._own(near, action)
            near.replace(place)
        self._sync_directory(place.parent)
        return ["wrote " + action["path"]]

    def _sync_directory(self, path: Path) -> None:
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            self.sync(handle)
        finally:
            os.close(handle)

    def _commit_first_content(self, action: dict[str, Any]) -> list[str]:
        place, source = self.at(action["path"]), self.at(action["source"])
        if place.exists():
            return []
        self.before("copy " + action["path"])
        if self._unit_facts([action["unit"]])[action["unit"]].get("ActiveState") == "active":
            self._systemctl("stop", action["unit"])
        near = place.with_name(f".{place.name}.tandem")
        shutil.rmtree(near, ignore_errors=True)
        place.parent.mkdir(parents=True, exist_ok=True)
        # cp keeps owners, modes and times of a whole tree; shutil would lose the owners.
        self._must(f"copy {action['path']}", ["cp", "-a", str(source), str(near)])
        self._must(f"copy {action['path']}", ["sync", "-f", str(near)])
        near.rename(place)
        return [f"copied {action['source']} to {action['path']}"]

    def _commit_link(self, action: dict[str, Any]) -> list[str]:
        place = self.at(action["path"])
        place.parent.mkdir(parents=True, exist_ok=True)
        new = place.with_name(f".{place.name}.tandem")
        with contextlib.suppress(FileNotFoundError):
            new.unlink()
        new.symlink_to(action["target"])
        self.before("link " + action["path"])
        new.replace(place)
        self._sync_directory(place.parent)
        return [f"linked {action['path']} to {action['target']}"]

    def _commit_remove(self, action: dict[str, Any]) -> list[str]:
        self.before("remove " + action["path"])
        with contextlib.suppress(FileNotFoundError):
            self.at(action["path"]).unlink()
        return ["removed " + action["path"]]

    def _commit_sysctl(self, action: dict[str, Any]) -> list[str]:
        key, value = action["key"], action["value"]
        place = self.at(self._sysctl_path(key))
        place.parent.mkdir(parents=True, exist_ok=True)
        new = place.with_name(place.name + ".new")
        new.write_text(f"{key} = {value}\n")
        self.before("sysctl " + key)
        new.replace(place)
        self._must(f"sysctl {key}", ["sysctl", "-q", "-w", f"{key}={value}"])
        return [f"set {key} = {value}"]

    def _commit_unit(self, action: dict[str, Any]) -> list[str]:
        """Do what was pending for a unit, then see that it is enabled and runs as wanted."""
        unit = action["name"]
        state = self._unit_facts([unit]).get(unit, {})
        done: list[str] = []
        # Asked of systemd too: the pending one may have been done for an earlier unit, before this one's files came.
        if state.get("NeedDaemonReload") == "yes" or "daemon-reload" in self._pending():
            done = self._settle("daemon-reload")
            state = self._unit_facts([unit]).get(unit, {})
        pending = [after for after in self._pending() if after.split(" ", 1)[-1] == unit]
        enabled = state.get("UnitFileState") in ("enabled", "enabled-runtime", "static", "alias", "generated")
        if action["enabled"] != enabled:
            self.before("enable " + unit)
            self._must(f"unit {unit}", ["systemctl", "enable" if action["enabled"] else "disable", "-q", unit])
            done.append(("enabled " if action["enabled"] else "disabled ") + unit)
        running = state.get("ActiveState") in ("active", "reloading", "activating")
        if not action["running"]:
            if running:
                self.before("stop " + unit)
                self._systemctl("stop", unit)
                done.append("stopped " + unit)
        elif not running:
            self.before("start " + unit)
            self.run(["systemctl", "reset-failed", unit])  # a unit over its restart limit would refuse
            self._systemctl("start", unit)
            done.append("started " + unit)
        elif pending:
            verb = "restart" if "restart " + unit in pending else "reload"
            self.before(f"{verb} {unit}")
            self._systemctl(verb, unit)
            done.append(f"{verb}ed {unit}")
        self._forget(pending)
        return done

    def _settle(self, after: str) -> list[str]:
        if after == "daemon-reload":
            self.before(after)
            self._must(after, ["systemctl", "daemon-reload"])
            self._forget([after])
            return ["systemd read its unit files again"]
        verb, unit = after.split(" ", 1)
        if self._unit_facts([unit]).get(unit, {}).get("ActiveState") == "active":
            self.before(after)
            self._systemctl(verb, unit)
        self._forget([after])
        return [f"{verb}ed {unit}"]

    def _forget(self, afters: list[str]) -> None:
        if afters:
            self._write_json("pending.json", [after for after in self._pending() if after not in afters])

    def _systemctl(self, verb: str, unit: str) -> None:
        told = self.run(["systemctl", verb, unit], timeout_s=120)
        if told.code:
            journal = self.run(["journalctl", "--no-pager", "-o", "cat", "-n", "12", "-u", unit]).out
            raise StepError(f"{verb} {unit}", f"systemctl {verb} {unit} failed", f"{told.err.strip()}\n{journal}")

    def _must(self, step: str, argv: list[str], text: str = "") -> str:
        told = self.run(argv, text=text)
        if told.code:
            raise StepError(step, f"{argv[0]} failed with exit code {told.code}", told.err or told.out)
        return told.out

    # ---- MariaDB, through its local socket as root ---------------------------------------------------------------

    def _sql(self, statements: str, database: str = "") -> str:
        argv = ["mariadb", "--batch", "--skip-column-names", "--raw", *([database] if database else [])]
        return self._must("mariadb", argv, statements)

    def _mariadb_facts(
        self, databases: list[str], accounts: list[list[str]], queries: list[list[str]]
    ) -> dict[str, Any]:
        """Databases with their schema's marker, accounts with their password's hash, grants as MariaDB words them."""
        facts: dict[str, Any] = {"databases": {}, "accounts": {}, "grants": {}, "met": []}
        if not (databases or accounts or queries):
            return facts
        told = self.run(
            ["mariadb", "--batch", "--skip-column-names", "--raw"],
            text="SELECT s.schema_name, IF(s.schema_comment = '' AND EXISTS (SELECT 1 FROM information_schema.tables t"
            " WHERE t.table_schema = s.schema_name), 'filled by somebody else', s.schema_comment)"
            " FROM information_schema.schemata s;"
            "SELECT '--accounts', '';"
            "SELECT CONCAT(user, '@', host), authentication_string FROM mysql.user;",
        )
        if told.code:  # not installed or not running: then nothing of it is there yet
            return facts
        into = facts["databases"]
        for row in told.out.splitlines():
            name, _, value = row.partition("\t")
            if name == "--accounts":
                into = facts["accounts"]
            else:
                into[name] = value
        for user, host in accounts:
            if f"{user}@{host}" in facts["accounts"]:
                facts["grants"][f"{user}@{host}"] = self._grants(user, host)
        for name, database, unless in queries:
            if database in facts["databases"]:
                told = self.run(["mariadb", "--batch", "--skip-column-names", "--raw", database], text=unless + ";\n")
                if told.code == 0 and told.out.strip():
                    facts["met"].append(name)
        return facts

    def _grants(self, user: str, host: str) -> dict[str, list[str]]:
        told = self.run(["mariadb", "--batch", "--skip-column-names"], text=f"SHOW GRANTS FOR {account(user, host)};")
        found = re.findall(r"^GRANT (.+?) ON `([^`]+)`\.\* TO", told.out, re.MULTILINE)
        return {database: sorted(right.strip() for right in rights.split(",")) for rights, database in found}

    def _commit_database(self, action: dict[str, Any]) -> list[str]:
        name, schema = action["name"], action["schema"]
        self.before("database " + name)
        self._sql(f"CREATE DATABASE IF NOT EXISTS `{name}` DEFAULT CHARACTER SET utf8mb4;")
        if not schema:
            return [f"created database {name}"]
        # The mark travels with the data, onto another machine too. A load that was cut off is repeated; a database
        # that somebody else filled is left alone, since a schema may begin by dropping its tables.
        self._sql(f"ALTER DATABASE `{name}` COMMENT 'schema loading by tandem';")
        self.before(f"load database {name}")
        self._sql(self.at(schema).read_text(), name)
        self.before(f"mark database {name}")
        self._sql(f"ALTER DATABASE `{name}` COMMENT 'schema loaded by tandem';")
        return [f"loaded {schema} into database {name}"]

    def _commit_account(self, action: dict[str, Any]) -> list[str]:
        who = account(action["user"], action["host"])
        self.before(f"account {who}")
        hashed = f"IDENTIFIED VIA mysql_native_password USING '{action['password_hash']}'"
        self._sql(f"CREATE USER IF NOT EXISTS {who} {hashed}; ALTER USER {who} {hashed};")
        return [f"set account {who}"]

    def _commit_grant(self, action: dict[str, Any]) -> list[str]:
        who, database = account(action["user"], action["host"]), action["database"]
        wanted = sorted(action["privileges"])
        self.before(f"grant {who}")
        self._sql(f"GRANT {', '.join(wanted)} ON `{database}`.* TO {who};")
        # What is too much goes after what was missing came: the services never stand without their rights.
        has = self._grants(action["user"], action["host"]).get(database, [])
        surplus = [right for right in has if right not in wanted]
        if surplus:
            self._sql(f"REVOKE {', '.join(surplus)} ON `{database}`.* FROM {who};")
        return [f"granted {', '.join(wanted)} on {database} to {who}"]

    def _commit_query(self, action: dict[str, Any]) -> list[str]:
        self.before("query " + action["name"])
        self._sql(action["statement"] + ";\n", action["database"])
        return ["set " + action["name"]]

    # ---- serving -------------------------------------------------------------------------------------------------

    def do_gate(self, *, name: str, url: str, status: int, deadline_s: float) -> float:
        """Ask until the right answer comes. Returns the seconds that it took."""
        began = self.now()
        seen = ""
        while True:
            seen = self.probe(url)
            if seen == str(status):
                return round(self.now() - began, 3)
            if self.now() - began > deadline_s:
                break
            self.sleep(0.1)
        journal = self.run(["journalctl", "--no-pager", "-o", "cat", "-n", "12", "-u", name]).out
        raise StepError("gate", f"{url} did not answer {status} within {deadline_s:.0f} s", f"{seen}\n{journal}")

    # ---- handing the address over --------------------------------------------------------------------------------

    def do_serves(self) -> bool:
        """Could this machine take the address: keepalived runs, nginx answers, no drain is on?"""
        active = self._unit_facts(["keepalived"]).get("keepalived", {}).get("ActiveState") == "active"
        draining = self.at(DRAIN_MARK).exists()
        return active and not draining and self.probe("http://127.0.0.1/healthz") == "200"

    def do_held(self, *, virtual_ips: list[str], deadline_s: float) -> list[str]:
        """Which of the addresses this machine has, waiting until it has any."""
        deadline = self.now() + deadline_s
        while not (held := self._held(virtual_ips)) and self.now() < deadline:
            self.sleep(0.05)
        return held

    def do_drain(self, *, virtual_ips: list[str], deadline_s: float) -> dict[str, list[Any]]:
        """Ask clients to go, then let the addresses go.

        Killed here, the next rollout finds the mark and ends the drain; so does a reboot.
        """
        settings = json.loads(self._read("/etc/tandem/holder.json") or "{}")
        held = self._held(virtual_ips)
        self.before("drain")
        self.at("/run/tandem").mkdir(parents=True, exist_ok=True)
        if held and settings.get("drain_s"):
            self.at(DRAIN_CONF).write_text("keepalive_timeout 0;\n")
            self._systemctl("reload", "nginx")
            self.sleep(settings["drain_s"])
        cut = len(self._clients(held)) if held else 0
        self.at(DRAIN_MARK).write_text("")
        if settings.get("tracked"):
            self._track(settings["drain"])
        left = self._wait_until_gone(held, 5)
        if left and settings.get("tracked"):
            # The peer does not hear that our priority is lower. FAULT lets go in any case; the peer serves, we asked.
            self._track(settings["fault"])
        if left:
            left = self._wait_until_gone(held, deadline_s)
        if left:
            self.do_end_drain()
            raise StepError("drain", f"{', '.join(left)} did not leave within {deadline_s:.0f} s; the drain was ended")
        return {"moved": held, "cut": [cut]}

    def _wait_until_gone(self, addresses: list[str], deadline_s: float) -> list[str]:
        deadline = self.now() + deadline_s
        while (left := self._held(addresses)) and self.now() < deadline:
            self.sleep(0.02)
        return left

    def do_end_drain(self) -> None:
        settings = json.loads(self._read("/etc/tandem/holder.json") or "{}")
        self.before("end drain")
        with contextlib.suppress(FileNotFoundError):
            self.at(DRAIN_MARK).unlink()
        ours = [str(settings.get("drain")), str(settings.get("fault"))]
        if settings.get("tracked") and self._read("/run/tandem/nginx") in ours:
            self._track(0)
        if self.at(DRAIN_CONF).exists():
            self.at(DRAIN_CONF).unlink()
            self._systemctl("reload", "nginx")

    def _track(self, value: int) -> None:
        new = self.at("/run/tandem/nginx.drain")
        new.write_text(f"{value}\n")
        new.replace(self.at("/run/tandem/nginx"))

    def do_retire(self) -> list[str]:
        """Stop everything that the last rollout started here, the last first, so that disks can be taken away."""
        units = json.loads(self._read(MACHINE_FILE) or '{"units": []}')["units"]
        running = [unit for unit in reversed(units) if self._unit_facts([unit])[unit].get("ActiveState") == "active"]
        for unit in running:
            self.before("stop " + unit)
            self._systemctl("stop", unit)
        return running

    # ---- passing changes of a file -------------------------------------------------------------------------------

    def do_leave(self, *, endpoints: list[str], wait_s: float) -> None:
        """Let this machine's nginx send nothing more to these `address:port`; what is under way has wait_s."""

        def mark(text: str) -> str:
            for endpoint in endpoints:
                text = re.sub(rf"^(\s*server {re.escape(endpoint)})\b(?! down)", r"\1 down", text, flags=re.MULTILINE)
            return text

        if self._edit(UPSTREAMS, mark):
            self.sleep(wait_s)

    def do_join(self) -> None:
        self._restore(UPSTREAMS)

    def _edit(self, path: str, change: Callable[[str], str]) -> bool:
        """Change a file of nginx for a while. Then it differs from its manifest: killed here, the next run heals it."""
        place, record = self.at(path), "passing." + path.rpartition("/")[2]
        if not place.exists():
            return False
        now, kept = place.read_text(), self._read_json(record, {})
        original = kept["original"] if kept.get("edited") == now else now
        edited = change(now)
        if edited == now:
            return False
        self._write_json(record, {"original": original, "edited": edited})
        self.before("edit " + path)
        self._replace_text(place, edited)
        self._systemctl("reload", "nginx")
        return True

    def _restore(self, path: str) -> None:
        place, record = self.at(path), "passing." + path.rpartition("/")[2]
        kept = self._read_json(record, {})
        if not kept:
            return
        # A rollout may have written another text meanwhile: then that one stays.
        if place.exists() and place.read_text() == kept["edited"]:
            self.before("restore " + path)
            self._replace_text(place, kept["original"])
            self._systemctl("reload", "nginx")
        self._path(record).unlink()

    def _replace_text(self, place: Path, text: str) -> None:
        new, status = place.with_name(f".{place.name}.tandem"), place.stat()
        new.write_text(text)
        os.chown(new, status.st_uid, status.st_gid)
        new.chmod(status.st_mode & 0o7777)
        new.replace(place)

    def _clients(self, addresses: list[str]) -> list[str]:
        told = self.run(["ss", "-Htn", "state", "established"])
        return [line for line in told.out.splitlines() if line.split()[2].rsplit(":", 1)[0] in addresses]


def account(user: str, host: str) -> str:
    for part in (user, host):
        if re.search(r"['\\`\s]", part):
            raise StepError("mariadb", f"{part!r} is no name for an account")
    return f"'{user}'@'{host}'"


def main() -> None:
    os.umask(0o022)
    request = json.loads(sys.stdin.buffer.readline())
    answer = Agent(stdin=sys.stdin.buffer).answer(request)
    sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
