"""A simulated node on which the table of a kind is proven: the real agent on real files, with fake system commands.

Files, owners, links and read-only disks are real. apt, systemd, MariaDB and Redis are stand-ins.
"""

from __future__ import annotations

import functools
import os
import re
import subprocess
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fake_databases import FakeRedis, serving
from provisioning_fakes import FakeGroup, FakeSystem

from provisioning.agent import node as agent_node
from provisioning.agent.calls import answer
from provisioning.agent.node import Node, Result
from provisioning.agent.web import Response
from provisioning.errors import ProvisioningError
from provisioning.kinds.base import Item, Phase
from provisioning.manifest import Manifest
from provisioning.rollout.rollout import RolloutResult, roll_out

NODE = "iam-a"
ABSENT, PRESENT, DRIFTED = "absent", "present", "drifted"
OWNER, LINK, READ_ONLY = "wrong owner or mode", "a symlink in the way", "read-only disk"
STATES = (ABSENT, PRESENT, DRIFTED, OWNER, LINK, READ_ONLY)
OTHER_USER = 1  # "daemon" on every Debian system
# Files outside the paths of an item, which links in the way lead to.
OUTSIDE = "/outside"
_CANARY = "of another program\n"
_EROFS = "Read-only file system"


@dataclass
class MariaDb:
    """Accounts, privileges and conditions of a MariaDB server, as far as the kinds use them."""

    accounts: dict[str, str] = field(default_factory=dict[str, str])  # hash by "user@host"
    grants: dict[str, set[str]] = field(default_factory=dict[str, set[str]])  # by "user@host on database"
    rows: set[str] = field(default_factory=set[str])  # statements that have run
    tables: tuple[str, ...] = ()
    read_only: bool = False
    users: set[str] = field(default_factory=lambda: {"dba"})  # that can log in from this node

    def run_as(self, user: str, text: str) -> Result:
        """Run statements of a user who has logged in over the network."""
        if user not in self.users:
            return Result(1, "", "ERROR 1045 (28000): Access denied")
        if created := re.search(r"CREATE USER IF NOT EXISTS '(.+?)'@", text):
            if self.read_only:
                return self.run("CREATE")
            self.users.add(created[1])
        return Result(0, "1\n", "")

    def run(self, text: str) -> Result:
        if "authentication_string FROM mysql.user" in text:
            return Result(0, "".join(f"{name}\t{hashed}\n" for name, hashed in self.accounts.items()), "")
        if shown := re.match(r"SHOW GRANTS FOR '(.+)'@'(.+)';", text):
            return Result(0, self._shown(f"{shown[1]}@{shown[2]}"), "")
        if "FROM information_schema.tables" in text:
            return Result(0, "".join(f"{name}\n" for name in self.tables), "")
        if text.startswith("SELECT"):
            return Result(0, "1\n" if self.rows else "", "")
        if self.read_only:
            return Result(1, "", "ERROR 1290 (HY000): The MariaDB server is running with the --read-only option")
        self._change(text)
        return Result(0, "", "")

    def _shown(self, account: str) -> str:
        found = {name.partition(" on ")[2]: rights for name, rights in self.grants.items() if name.startswith(account)}
        lines = [f"GRANT {', '.join(sorted(rights))} ON `{at}`.* TO x\n" for at, rights in found.items() if rights]
        return "".join(["GRANT USAGE ON *.* TO x\n", *lines])

    def _change(self, text: str) -> None:
        if changed := re.match(r"(GRANT|REVOKE) (.+) ON `(.+)`\.\* (?:TO|FROM) '(.+)'@'(.+)';", text):
            rights = self.grants.setdefault(f"{changed[4]}@{changed[5]} on {changed[3]}", set())
            (rights.update if changed[1] == "GRANT" else rights.difference_update)(changed[2].split(", "))
        elif created := re.search(r"ALTER USER '(.+?)'@'(.+?)' .* USING '(.+?)'", text):
            self.accounts[f"{created[1]}@{created[2]}"] = created[3]
        else:
            self.rows.add(text)


@dataclass
class TableSystem(FakeSystem):
    """The fake commands, a model of MariaDB, and the real `cp` and `sync`."""

    server: MariaDb = field(default_factory=MariaDb)
    listening: str = ""
    redis_has_other_users: bool = False
    broken: dict[str, str] = field(default_factory=dict[str, str])  # the error of a command, by its name
    masked: set[str] = field(default_factory=set[str])
    missing: set[str] = field(default_factory=set[str])
    shown: dict[str, str] = field(default_factory=dict[str, str])  # properties of units, for the health checks

    def run(self, argv: list[str], *, text: str = "", timeout_s: float = 60, env: object = None) -> Result:
        name = argv[0].rpartition("/")[2]
        changes = not (name == "systemctl" and argv[1] == "show")
        if name in self.broken and changes:
            return Result(1, "", self.broken[name])
        return super().run(argv, text=text, timeout_s=timeout_s, env=env)

    def _systemctl(self, argv: list[str], text: str) -> Result:
        if argv[0] == "show" and self.shown:
            return Result(0, "".join(f"{key}={value}\n" for key, value in self.shown.items()), "")
        if argv[0] in ("enable", "start") and argv[-1] in self.masked:
            return Result(1, "", f"Unit {argv[-1]}.service is masked.")
        if argv[0] in ("enable", "start") and argv[-1] in self.missing:
            return Result(5, "", f"Unit {argv[-1]}.service not found.")
        shown = super()._systemctl(argv, text)
        if argv[0] == "show" and any(unit in self.masked | self.missing for unit in argv[3:]):
            return shown._replace(out=shown.out.replace("LoadState=loaded", "LoadState=not-found"))
        return shown

    def _redis_cli(self, argv: list[str], text: str) -> Result:
        if self.redis_has_other_users and "restart redis-server" not in self.log:
            return Result(0, "NOAUTH Authentication required.\n", "AUTH failed: WRONGPASS")
        return super()._redis_cli(argv, text)

    def _lsblk(self, _argv: list[str], _text: str) -> Result:
        return Result(0, "NAME\nvda\n", "")

    def _mariadb(self, argv: list[str], text: str) -> Result:
        if any(word.startswith("--host=") for word in argv):
            user = next(word for word in argv if word.startswith("--user="))
            return self.server.run_as(user.removeprefix("--user="), text)
        if self.databases is not None and not (self.server.read_only and not text.startswith("SELECT")):
            return super()._mariadb(argv, text)
        return self.server.run(text)

    def _ss(self, argv: list[str], text: str) -> Result:
        return Result(0, self.listening, "") if "-Hltn" in argv else super()._ss(argv, text)

    def _cp(self, argv: list[str], _text: str) -> Result:
        return agent_node.run(["cp", argv[0], *(str(self._inside(path)) for path in argv[1:])])

    def _sync(self, argv: list[str], _text: str) -> Result:
        return agent_node.run(["sync", *argv])

    def _usermod(self, argv: list[str], _text: str) -> Result:
        options = dict(zip(argv[:-1:2], argv[1:-1:2], strict=True))
        file = self.root / "etc/passwd"
        rows = [line.split(":") for line in file.read_text().splitlines()]
        for row in rows:
            if row[0] == argv[-1]:
                row[5:] = [options.get("--home", row[5]), options.get("--shell", row[6])]
        file.write_text("".join(":".join(row) + "\n" for row in rows))
        return Result(0, "", "")

    def _inside(self, path: str) -> Path:
        return Path(path) if path.startswith(str(self.root)) else self.root / path.lstrip("/")


class Bench:
    """One node, and what a rollout of one item does to it."""

    def __init__(self, root: Path) -> None:
        self.group = FakeGroup(root, (NODE,))
        self.root = root / NODE
        self.system = TableSystem(self.root)
        self.group.systems[NODE] = self.system
        self.respond: Callable[..., Response] = lambda *_arguments, **_options: Response(0, "")
        self._mounts: list[Path] = []
        self._locked: list[Path] = []
        self._running = ExitStack()
        self.redis = FakeRedis()
        self.text(f"{OUTSIDE}/file", _CANARY)
        self.at(OUTSIDE).chmod(0o711)
        self._outside = self._canary()

    # ---- arranging a state ---------------------------------------------------------------------------------------

    def at(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def text(self, path: str, text: str, mode: int = 0o644) -> Path:
        target = self.at(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(mode)
        return target

    def directory(self, path: str, mode: int = 0o755) -> Path:
        target = self.at(path)
        target.mkdir(parents=True, exist_ok=True)
        target.chmod(mode)
        return target

    def link(self, path: str, to: str) -> Path:
        """A link to a path outside, by its real path, so that following it is possible."""
        target = self.at(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(self.at(to))
        return target

    def foreign(self, path: str) -> None:
        """Give the path to another user."""
        os.chown(self.at(path), OTHER_USER, OTHER_USER)

    def disk(self, path: str, *, locked: bool = False) -> None:
        """Mount a disk at the directory; it becomes read-only when the state is complete if it is `locked`."""
        target = self.directory(path)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=755", "tmpfs", str(target)], check=True)
        self._mounts.append(target)
        self._locked += [target] if locked else []

    @contextmanager
    def locked_disks(self) -> Generator[None]:
        self._remount("ro")
        try:
            yield
        finally:
            self._remount("rw")

    def _remount(self, option: str) -> None:
        for mounted in self._locked:
            subprocess.run(["mount", "-o", f"remount,{option}", str(mounted)], check=True)

    @functools.cached_property
    def redis_port(self) -> int:
        return self._running.enter_context(serving(self.redis.handle))

    def close(self) -> None:
        self._running.close()
        for mounted in self._mounts:
            subprocess.run(["umount", str(mounted)], check=True)

    # ---- the rollout ---------------------------------------------------------------------------------------------

    def agent(self) -> Node:
        return Node(
            root=str(self.root), runner=self.system.run, now=lambda: self.group.clock, sleep=self.group.tick,
            sync=lambda _handle: None, probe=lambda url: self.group.probe(NODE, url),
            request=self.respond, program=lambda: b"the agent",
        )  # fmt: skip

    def difference(self, item: Item) -> str | None:
        questions = {item.kind(): [item.question()]}
        request = {"operations": [{"do": "facts", "questions": questions, "virtual_ips": []}]}
        return item.compare(answer(self.agent(), request)["results"][0]["answers"][item.kind()])

    def roll_out(self, *items: Item) -> RolloutResult:
        manifests = {NODE: Manifest(NODE, items)}
        return roll_out(self.group.inventory, manifests, {}, connect=self.group.connect, sleep=self.group.sleep)

    def check(self, item: Item) -> list[str]:
        """Run a health check. Returns "LEVEL NAME: SEEN" of each result."""
        checks = [{"kind": item.kind(), **item.operation()}]
        operation = {"do": "health", "units": [], "checks": checks, "virtual_ips": [], "nonce": "n"}
        response = answer(self.agent(), {"operations": [operation]})
        assert "error" not in response, response["error"]
        found = [each for each in response["results"][0]["results"] if each["name"] != "disk"]
        return [f"{each['level']} {each['name']}: {each['seen']}" for each in found]

    def owner(self, path: str) -> tuple[str, str, str]:
        """Owner, group and mode of the path itself."""
        target = self.at(path)
        status = target.lstat()
        return target.owner() if not target.is_symlink() else "", target.group(), f"{status.st_mode & 0o7777:04o}"

    def assert_nothing_outside_changed(self) -> None:
        assert self._canary() == self._outside, "a link was followed outside"

    def _canary(self) -> dict[str, Any]:
        def state(path: Path) -> tuple[object, ...]:
            status = path.lstat()
            return status.st_uid, status.st_gid, status.st_mode, path.is_file() and path.read_text()

        return {str(path): state(path) for path in [self.at(OUTSIDE), *sorted(self.at(OUTSIDE).rglob("*"))]}


@dataclass(frozen=True)
class Row:
    """One state of a node, and what must happen."""

    arrange: Callable[[Bench], object]
    difference: str | None = None  # the comparison before the rollout; None: nothing to do
    error: str = ""  # in the message of the rollout; "" if it succeeds
    after: Callable[[Bench], object] = lambda _bench: None  # asserts the state after the rollout
    repair: Callable[[Bench], object] | None = None  # after an error: the next rollout then succeeds


@dataclass(frozen=True)
class CheckRow:
    """One state of a node, and what the health check says."""

    arrange: Callable[[Bench], object]
    result: str  # the beginning of the first result


@dataclass(frozen=True)
class NotApplicable:
    """A state that the kind cannot have."""

    reason: str


@dataclass(frozen=True)
class Table:
    """The states of one kind, with an item of it. `others` are rolled out before it."""

    make: Item | Callable[[Bench], Item]  # a function if the item depends on the bench
    rows: dict[str, Row | CheckRow | NotApplicable]
    others: tuple[Item, ...] = ()

    def item(self, bench: Bench) -> Item:
        return self.make if isinstance(self.make, Item) else self.make(bench)


def prove(bench: Bench, table: Table, row: Row) -> None:
    """Roll the item out on the arranged node."""
    row.arrange(bench)
    item = table.item(bench)
    items = (*table.others, item)
    with bench.locked_disks():
        if item.question() is not None:
            assert bench.difference(item) == row.difference
        if not row.error:
            result = bench.roll_out(*items)
            if not table.others and item.phase == Phase.COMMIT:
                assert bool(result.changed) == (row.difference is not None)
        else:
            _prove_failure(bench, items, row.error)
    if row.repair:
        row.repair(bench)
        bench.roll_out(*items)
    if not row.error or row.repair:
        assert item.question() is None or bench.difference(item) is None
        assert not bench.roll_out(*items).changed, "a second run changes something"
    bench.assert_nothing_outside_changed()
    row.after(bench)


def _prove_failure(bench: Bench, items: tuple[Item, ...], error: str) -> None:
    with pytest.raises(ProvisioningError) as failed:
        bench.roll_out(*items)
    assert error in str(failed.value)
    assert "this is a bug" not in str(failed.value)
    assert "Traceback" not in str(failed.value)


def read_only(path: str, arrange: Callable[[Bench], object], difference: str | None, **more: Any) -> Row:
    """A row in which the directory of the item is on a disk that is mounted read-only."""

    def on_a_disk(bench: Bench) -> None:
        bench.disk(path, locked=True)
        arrange(bench)

    return Row(on_a_disk, difference, _EROFS, repair=lambda _bench: None, **more)
