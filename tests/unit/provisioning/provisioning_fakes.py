"""Simulated nodes: the real agent on a temporary directory, with fake system commands."""

from __future__ import annotations

import grp
import io
import json
import os
import pwd
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provisioning.agent.calls import answer
from provisioning.agent.node import Node, Result
from provisioning.agent.web import Response, request
from provisioning.errors import UnreachableError
from provisioning.inventory import Inventory, RemoteNode
from provisioning.ssh.agent_calls import Upload, to_exception

ME = pwd.getpwuid(os.getuid()).pw_name
MY_GROUP = grp.getgrgid(os.getgid()).gr_name


# What a rollout of keepalived writes for the agent, in mode `nopreempt`.
SWITCHOVER: dict[str, Any] = {
    "routers": {"VI_1": ["10.0.4.99"]}, "together": False, "drain": -10, "fault": -254, "drain_s": 0,
    "tracked": True, "preferred": [],
}  # fmt: skip


class PowerCutError(BaseException):
    """Simulates an interruption of the node, the connection or the operator. Not caught by `except Exception`."""


@dataclass
class FakeSystem:
    """Fakes of the commands that the agent runs: systemd, apt, MariaDB and network tools of one node."""

    root: Path
    packages: set[str] = field(default_factory=set[str])
    units: dict[str, str] = field(default_factory=dict[str, str])  # name -> active | inactive | failed
    restarts: dict[str, int] = field(default_factory=dict[str, int])  # of units in a crash loop
    enabled: set[str] = field(default_factory=set[str])
    shown_enabled: frozenset[str] | None = (
        None  # as systemd shows them until it reads its unit files; None: as they are
    )
    addresses: set[str] = field(default_factory=set[str])
    log: list[str] = field(default_factory=list[str])  # commands with an effect, in order
    loaded: dict[str, dict[str, str]] = field(
        default_factory=dict[str, dict[str, str]]
    )  # the files that each unit has read
    unit_files: dict[str, str] = field(default_factory=dict[str, str])  # as last read by systemd
    databases: dict[str, str] | None = None  # the comment of each database; None: MariaDB is not installed
    disk: str | None = None  # the file system of the data disk; "" if it is blank, None if it is not attached
    fails: Callable[[str, str], bool] = field(default=lambda _verb, unit: unit == "broken")  # of systemctl
    refuse: Callable[[dict[str, str]], str] = field(default=lambda _files: "")
    redis: list[str] | None = None  # the hashes of the passwords that the running Redis accepts
    mariadb: Callable[[str], Result] = field(default=lambda _statements: Result(0, "", ""))  # accepts all, no rows
    on_command: Callable[[list[str]], None] = field(default=lambda _argv: None)
    connections: list[str] = field(default_factory=list[str])  # established ones, by local address and port
    timers: set[str] = field(default_factory=set[str])  # transient units of systemd
    rpms: set[str] = field(default_factory=set[str])
    selinux: str = ""  # the mode; "": there is no SELinux
    permissive: set[str] = field(default_factory=set[str])  # domains

    def run(self, argv: list[str], *, text: str = "", timeout_s: float = 60, env: object = None) -> Result:
        del timeout_s, env
        self.on_command(argv)
        return getattr(self, "_" + argv[0].rpartition("/")[2].replace("-", "_").replace(".", "_"))(argv[1:], text)

    def _files(self) -> dict[str, str]:
        etc = self.root / "etc"
        return {
            "/" + str(path.relative_to(self.root)): path.read_text()
            for path in sorted(etc.rglob("*"))
            if path.is_file() and not path.is_symlink()
        }

    def _dpkg_query(self, argv: list[str], _text: str) -> Result:
        return Result(0, "".join(f"{name}\tinstalled\t1.0\n" for name in argv[3:] if name in self.packages), "")

    def _flock(self, argv: list[str], text: str) -> Result:
        return self.run(argv[1:], text=text)

    def _dpkg(self, _argv: list[str], _text: str) -> Result:
        return Result(0, "", "")

    def _apt_get(self, argv: list[str], _text: str) -> Result:
        if "update" in argv:
            return Result(0, "", "")
        requested = argv[argv.index("install") + 1 :]
        if "no-such-package" in requested:
            return Result(100, "", "E: Unable to locate package no-such-package")
        self.packages |= set(requested)
        self.log.append("installed " + " ".join(requested))
        return Result(0, "", "")

    def _rpm(self, argv: list[str], _text: str) -> Result:
        lines = [f"{n}\t1.0-1" if n in self.rpms else f"package {n} is not installed" for n in argv[3:]]
        return Result(len(set(argv[3:]) - self.rpms), "\n".join(lines) + "\n", "")

    def _dnf(self, argv: list[str], _text: str) -> Result:
        words = [word for word in argv if not word.startswith("-")]
        if words[0] == "install":
            if "no-such-package" in words:
                return Result(1, "", "Error: Unable to find a match: no-such-package")
            self.rpms |= set(words[1:])
        if words[:2] == ["module", "enable"]:
            self.log.append("enabled " + " ".join(words[2:]))
        return Result(0, "", "")

    def _getenforce(self, _argv: list[str], _text: str) -> Result:
        return Result(0, self.selinux + "\n", "") if self.selinux else Result(127, "", "getenforce: not found")

    def _semanage(self, argv: list[str], _text: str) -> Result:
        if "--add" in argv:
            self.permissive.add(argv[-1])
        return Result(0, "\n".join(self.permissive), "")

    def _systemctl(self, argv: list[str], _text: str) -> Result:
        if argv[0] == "show":
            blocks = [
                f"Id={name}.service\nLoadState=loaded\nActiveState={self.units.get(name, 'inactive')}\n"
                f"SubState={'auto-restart' if name in self.restarts else ''}\nNRestarts={self.restarts.get(name, 0)}\n"
                f"UnitFileState={'enabled' if name in self._shown_enabled() else 'disabled'}\n"
                f"NeedDaemonReload={'no' if self._unit_files(name) == self._read_unit_files(name) else 'yes'}"
                for name in argv[3:]
            ]
            return Result(0, "\n\n".join(blocks) + "\n", "")
        verb, unit = argv[0], argv[-1]
        if verb == "stop" and unit.endswith(".timer") and unit not in self.units:
            self.timers.discard(unit)
            return Result(0, "", "")
        if verb == "daemon-reload":
            self.shown_enabled = None
            self.unit_files = {path: text for path, text in self._files().items() if "/systemd/system/" in path}
        if "--no-reload" in argv:
            self.shown_enabled = self._shown_enabled()
        if verb in ("enable", "disable"):
            (self.enabled.add if verb == "enable" else self.enabled.discard)(unit)
        elif verb in ("start", "restart", "reload", "stop") and self.fails(verb, unit):
            self.units[unit] = "failed"
            return Result(1, "", f"Job for {unit}.service failed.")
        elif verb == "reload" and self.units.get(unit) != "active":
            return Result(1, "", f"{unit}.service is not active, cannot reload.")
        elif verb in ("start", "restart", "reload"):
            self.units[unit] = "active"
            self.restarts.pop(unit, None)
            self.loaded[unit] = self._files()
        elif verb == "stop":
            self.units[unit] = "inactive"
        if verb != "reset-failed":
            self.log.append(" ".join([verb, *([unit] if unit != verb else [])]))
        return Result(0, "", "")

    def _shown_enabled(self) -> frozenset[str]:
        return frozenset(self.enabled) if self.shown_enabled is None else self.shown_enabled

    def _unit_files(self, unit: str) -> dict[str, str]:
        return {path: text for path, text in self._files().items() if f"/systemd/system/{unit}." in path}

    def _read_unit_files(self, unit: str) -> dict[str, str]:
        return {path: text for path, text in self.unit_files.items() if f"/systemd/system/{unit}." in path}

    def _mariadb(self, _argv: list[str], text: str) -> Result:
        """Knows databases and their comments, and accepts all other statements."""
        if self.databases is None:
            return Result(1, "", "no server") if "information_schema.schemata" in text else self.mariadb(text)
        if "information_schema.schemata" in text:
            rows = {"mysql": "", **self.databases}
            return Result(0, "".join(f"{name}\t{comment}\n" for name, comment in rows.items()), "")
        if created := re.match(r"CREATE DATABASE IF NOT EXISTS `(\w+)`", text):
            self.databases.setdefault(created[1], "")
            self.log.append(f"created database {created[1]}")
        if marked := re.match(r"ALTER DATABASE `(\w+)` COMMENT '(.*)'", text):
            self.databases[marked[1]] = marked[2]
        return Result(0, "", "")

    def _blkid(self, _argv: list[str], _text: str) -> Result:
        return Result(0, f"TYPE={self.disk}\n", "") if self.disk else Result(2, "", "")

    def _mkfs_ext4(self, _argv: list[str], _text: str) -> Result:
        self.disk = "ext4"
        self.log.append("created a file system")
        return Result(0, "", "")

    def _redis_cli(self, _argv: list[str], text: str) -> Result:
        if self.redis is None:
            return Result(1, "", "Could not connect to Redis")
        command = text.split()
        if command[:2] == ["ACL", "SETUSER"]:
            self.redis += [rule[1:] for rule in command[3:] if rule[0] == "#"]
            self.redis = [hashed for hashed in self.redis if "!" + hashed not in command]
            return Result(0, "OK\n", "")
        hashes = " ".join("#" + hashed for hashed in self.redis)
        return Result(0, f"user default on {hashes} ~* &* +@all\nuser tandem on #ab -@all +acl\n", "")

    def _journalctl(self, _argv: list[str], _text: str) -> Result:
        return Result(0, "last line of the journal\n", "")

    def _ip(self, _argv: list[str], _text: str) -> Result:
        return Result(0, json.dumps([{"addr_info": [{"local": address} for address in sorted(self.addresses)]}]), "")

    def _ss(self, _argv: list[str], _text: str) -> Result:
        return Result(0, "".join(f"0 0 {local} 198.51.100.7:40000\n" for local in self.connections), "")

    def _nginx(self, _argv: list[str], _text: str) -> Result:
        return Result(0, "", "")

    def _nft(self, _argv: list[str], _text: str) -> Result:
        return Result(0, "", "")

    def _systemd_run(self, argv: list[str], _text: str) -> Result:
        name = next(argument for argument in argv if argument.startswith("--unit="))[7:]
        self.timers.add(f"{name}.timer")
        return Result(0, "", "")

    def _useradd(self, argv: list[str], _text: str) -> Result:
        home, shell = argv[argv.index("--home-dir") + 1], argv[argv.index("--shell") + 1]
        with (self.root / "etc/passwd").open("a") as file:
            file.write(f"{argv[-1]}:x:999:999::{home}:{shell}\n")
        return Result(0, "", "")

    def _userdel(self, argv: list[str], _text: str) -> Result:
        passwd = self.root / "etc/passwd"
        kept = [line for line in passwd.read_text().splitlines(keepends=True) if not line.startswith(f"{argv[-1]}:")]
        passwd.write_text("".join(kept))
        return Result(0, "", "")

    def _unshare(self, argv: list[str], _text: str) -> Result:
        """A check: pass the candidates, at their final paths, to `refuse`."""
        arguments = argv[argv.index("tandem") + 1 :]
        mounts = arguments[: arguments.index("--")]
        files: dict[str, str] = {}
        for source, target in zip(mounts[::2], mounts[1::2], strict=True):
            copy, below = self.root / source.lstrip("/"), target.removeprefix(str(self.root))
            copy = copy if copy.exists() else type(self.root)(source)
            for path in copy.rglob("*"):
                if path.is_file():
                    files[f"{below}/{path.relative_to(copy)}"] = path.read_text()
        refusal = self.refuse(files)
        return Result(1 if refusal else 0, "", refusal)


class FakeConnection:
    """Calls the real agent. `link` may break the connection before or after a call; after it, the response is lost."""

    def __init__(
        self,
        node: RemoteNode,
        make: Callable[[], Node],
        link: Callable[[str, list[str]], None],
        cut_upload: Callable[[int], int | None],
    ) -> None:
        self.node = node
        self._make = make
        self._link = link
        self._cut_upload = cut_upload
        self.calls: list[list[str]] = []
        self.deadlines: list[float] = []  # of the calls

    def call(
        self,
        operations: Sequence[dict[str, Any]],
        *,
        token: str = "",
        upload: Upload | None = None,
        deadline_s: float = 0,
        report: Callable[[str], None] = lambda _line: None,
    ) -> list[Any]:
        self.deadlines.append(deadline_s)
        assert operations, "a call must have an operation"
        names = [operation["do"] for operation in operations]
        self.calls.append(names)
        self._link("before", names)
        node = self._make()
        node.progress = report
        request = json.loads(
            json.dumps({"token": token, "operations": list(operations)})
        )  # as sent over the connection
        if upload is None:
            response = answer(node, request)
        else:
            sent = upload.source.read_bytes()[upload.offset :]
            arrives = self._cut_upload(upload.offset)
            node.stdin = io.BytesIO(sent[:arrives])
            response = answer(node, request)
            if arrives is not None:
                raise UnreachableError(f"{self.node.name}: the SSH connection broke during receive")
        self._link("after", names)
        if "error" in response:
            raise to_exception(self.node, response["error"])
        return json.loads(json.dumps(response["results"]))

    def close(self) -> None:
        pass


def _send(_node: str, method: str, url: str, **options: Any) -> Response:
    return request(method, url, **options)


class FakeGroup:
    """Two nodes and the connections to them, with hooks to interrupt each step."""

    def __init__(self, root: Path, names: Sequence[str] = ("iam-a", "iam-b")) -> None:
        nodes = tuple(
            RemoteNode(
                name,
                f"ins-{name}",
                f"10.0.4.{20 + n}",
                f"10.0.4.{20 + n}",
                "debian",
                ("ssh-ed25519 AAAA",),
                eligible=True,
            )
            for n, name in enumerate(names)
        )
        self.inventory = Inventory("test", nodes, ("10.0.4.99",), "key")
        self.systems = {node.name: FakeSystem(root / node.name) for node in nodes}
        for system in self.systems.values():
            (system.root / "etc/tandem").mkdir(parents=True)
            (system.root / "etc/tandem/switchover.json").write_text(json.dumps(SWITCHOVER))
            (system.root / "etc/os-release").write_text('PRETTY_NAME="Debian 12"\nID=debian\nVERSION_ID="12"\n')
            (system.root / "etc/passwd").write_text(f"debian:x:{os.getuid()}:{os.getgid()}::/home/debian:/bin/bash\n")
        self.connections: list[FakeConnection] = []
        self.unreachable: set[str] = set()
        self.before_effect: Callable[[str, str], None] = lambda _node, _effect: None
        self.link: Callable[[str, str, list[str]], None] = lambda _node, _when, _names: None
        self.cut_upload: Callable[[int], int | None] = lambda _offset: None  # returns how many bytes arrive
        self.clock = 1000.0
        self.moves = False  # a drain moves the virtual IP to another node
        self.answers: Callable[[str, str], str] = lambda _node, _url: "200"  # status codes, by node and URL
        self.request: Callable[..., Response] = _send  # with the name of the node before the arguments of `request`
        self.sleep: Callable[[float], None] = self.tick  # of the operator
        self.reported: list[str] = []
        self.gates_pass = True
        self.on_sleep: Callable[[], None] = lambda: None
        self.silent: set[tuple[str, str]] = set()  # (node, text in the URL): services that do not respond

    def tick(self, seconds: float) -> None:
        self.clock += seconds
        self.on_sleep()

    def cut_power(self, number: int, run: Callable[[], object]) -> bool:
        """Run, and cut the power before the effect with this number. Returns whether that happened.

        Afterwards the lock of the run has expired, and `before_effect` is as it was.
        """
        observe, left = self.before_effect, number

        def cut(node: str, effect: str) -> None:
            nonlocal left
            observe(node, effect)
            left -= 1
            if left < 0:
                raise PowerCutError

        self.before_effect = cut
        try:
            run()
        except PowerCutError:
            return True
        finally:
            self.before_effect = observe
            self.tick(200)
        return False

    def connect(self, node: RemoteNode) -> FakeConnection:
        if node.name in self.unreachable:
            raise UnreachableError(f"{node.name}: no connection")
        system = self.systems[node.name]
        connection = FakeConnection(
            node,
            lambda: Node(
                root=str(system.root),
                runner=system.run,
                now=lambda: self.clock,
                sleep=self.tick,
                before=lambda effect: self._before(node.name, effect),
                sync=lambda _handle: None,
                probe=lambda url: self.probe(node.name, url),
                request=lambda *call, **options: self.request(node.name, *call, **options),
                program=lambda: b"the agent",
            ),
            lambda when, names: self.link(node.name, when, names),
            self.cut_upload,
        )
        self.connections.append(connection)
        return connection

    def _before(self, node: str, effect: str) -> None:
        self.before_effect(node, effect)
        if effect == "drain" and self.moves:
            self.held_by(next(other for other in self.systems if other != node))

    def probe(self, node: str, url: str) -> str:
        silent = any(name == node and text in url for name, text in self.silent)
        return self.answers(node, url) if self.gates_pass and not silent else "ConnectionRefusedError"

    def held_by(self, name: str, address: str = "10.0.4.99") -> None:
        for other, system in self.systems.items():
            system.addresses = (system.addresses - {address}) | ({address} if other == name else set())
