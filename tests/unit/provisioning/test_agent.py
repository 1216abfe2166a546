"""The agent on temporary directories. test_rollout.py covers it as part of whole rollouts."""

from __future__ import annotations

import ast
import hashlib
import io
import random
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from provisioning_fakes import ME, MY_GROUP, FakeSystem

import provisioning.agent
from provisioning.agent.calls import CHANGING, answer
from provisioning.agent.facts import facts
from provisioning.agent.mariadb import account
from provisioning.agent.node import Node, Result, StepError, probe, run
from provisioning.ssh.agent_calls import agent_program, python_command

MINE = "me"


class FakeNode:
    def __init__(self, root: Path) -> None:
        self.system = FakeSystem(root)
        self.clock = 1000.0
        (root / "etc").mkdir(parents=True, exist_ok=True)

    def node(self, **other: Any) -> Node:
        return Node(
            root=str(self.system.root),
            runner=self.system.run,
            now=lambda: self.clock,
            sleep=self._sleep,
            program=lambda: b"the agent",
            **other,
        )

    def _sleep(self, seconds: float) -> None:
        self.clock += seconds

    def call(self, *operations: dict[str, Any], token: str = MINE, **other: Any) -> dict[str, Any]:
        return answer(self.node(**other), {"token": token, "operations": list(operations)})


@pytest.fixture
def node(tmp_path: Path) -> FakeNode:
    return FakeNode(tmp_path)


def lock(host: str = "this-host", **more: Any) -> dict[str, Any]:
    return {"do": "lock", "owner": {"host": host, "pid": 1}, "ttl_s": 180, **more}


def stage(*files: dict[str, Any], unit_actions: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"do": "stage", "revision": "r1", "serial": 1, "files": list(files), "links": [], "absent": [],
            "units": [], "unit_actions": list(unit_actions), "checks": []}  # fmt: skip


def file(path: str, text: str = "text\n", mode: int = 0o640) -> dict[str, Any]:
    return {"path": path, "text": text, "owner": ME, "group": MY_GROUP, "mode": mode}


def archive(members: dict[str, bytes], mode: int = 0o755) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mode = mode
            tar.addfile(info, io.BytesIO(data))
    return packed.getvalue()


def receive(data: bytes, path: str = "/opt/iam/abc", sha256: str = "", offset: int = 0) -> dict[str, Any]:
    sha256 = sha256 or hashlib.sha256(data).hexdigest()
    return {"do": "receive", "path": path, "sha256": sha256, "size": len(data), "offset": offset}


# ---- the lock ------------------------------------------------------------------------------------------------------


def test_every_changing_operation_requires_the_lock(node: FakeNode) -> None:
    for name in CHANGING:
        refused = node.call({"do": name})["error"]
        assert refused["message"] == "this rollout does not hold the change lock of this node", name
    assert node.system.log == []


def test_a_change_requires_the_lock(node: FakeNode) -> None:
    answer = node.call(stage(file("/etc/x")))
    assert answer["error"]["message"] == "this rollout does not hold the change lock of this node"
    assert not (node.system.root / "var/lib/tandem/staged").exists()


def test_a_rollout_whose_lock_was_taken_over_can_change_nothing(node: FakeNode) -> None:
    node.call(lock())
    node.clock += 500
    assert "error" not in node.call(lock("other-host"), token="other")
    assert node.call(stage(file("/etc/x")))["error"]["step"] == "lock"


def test_each_call_renews_the_lock(node: FakeNode) -> None:
    node.call(lock())
    for _ in range(5):
        node.clock += 100
        assert "error" not in node.call(stage(file("/etc/x")))
    refused = node.call(lock("other-host"), token="other")["error"]
    assert refused["message"] == "another rollout holds the change lock of this node"
    assert refused["detail"]["owner"]["host"] == "this-host"


def test_a_lock_can_be_renewed_during_an_installation_but_not_after_it_was_taken_over(node: FakeNode) -> None:
    node.call(lock())
    node.clock += 170
    assert "error" not in node.call({"do": "renew"})
    node.clock += 170
    assert "error" in node.call(lock("other-host"), token="other")
    node.clock += 20
    node.call(lock("other-host"), token="other")
    assert node.call({"do": "renew"})["error"]["step"] == "lock"


def boot(node: FakeNode, boot_id: str, clock: float) -> None:
    target = node.system.root / "proc/sys/kernel/random/boot_id"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(boot_id + "\n")
    node.clock = clock


def test_a_lock_survives_a_reboot_and_then_expires_although_the_monotonic_clock_restarts(node: FakeNode) -> None:
    boot(node, "first", 1_000_000)
    node.call(lock())
    boot(node, "second", 5)
    assert node.call({"do": "locked"})["results"][0]["age_s"] is None
    refused = node.call(lock("other-host"), token="other")["error"]
    assert refused["detail"]["age_s"] == 0
    node.clock += 179
    assert "error" in node.call(lock("other-host"), token="other")
    assert "error" not in node.call({"do": "renew"}), "its owner still runs"
    node.clock += 181
    assert "error" not in node.call(lock("other-host"), token="other")


def test_an_owner_that_lost_its_lock_is_told_who_holds_it(node: FakeNode) -> None:
    node.call(lock())
    node.clock += 500
    node.call(lock("other-host"), token="other")
    refused = node.call(stage(file("/etc/x")))["error"]
    assert refused["message"] == "this rollout does not hold the change lock of this node"
    assert refused["detail"]["owner"]["host"] == "other-host"


def test_a_new_owner_waits_for_a_call_that_an_earlier_one_left_running(node: FakeNode) -> None:
    node.call(lock())
    waited: list[float] = []

    def interrupt(effect: str) -> None:
        if effect == "stage /etc/x":
            node.clock += 500  # the lease of the caller expires
            answer = node.call(lock("other-host"), token="other")
            waited.append(node.clock)
            assert answer["error"]["message"] == "an earlier call still runs on this node after 120 s"

    node.call(stage(file("/etc/x")), before=interrupt)
    assert waited[0] >= 1500 + 120
    assert "error" not in node.call(lock("other-host"), token="other")


def test_facts_tell_whether_a_change_was_started_since(node: FakeNode) -> None:
    question = {"do": "facts", "questions": {}, "virtual_ips": []}
    before, locked_at = node.call(question, lock())["results"]
    assert before["changes"] == locked_at
    during: list[Any] = []

    def ask(_effect: str) -> None:
        during.append(node.call(question)["results"][0]["changes"])

    node.call(stage(file("/etc/x")), before=ask)
    assert during == [None]
    assert node.call(question)["results"][0]["changes"] not in (None, locked_at)


def test_deadlines_do_not_depend_on_the_clock_that_can_be_set() -> None:
    assert Node().now is time.monotonic


def test_a_lock_is_released_by_its_owner_only(node: FakeNode) -> None:
    node.call(lock())
    node.call({"do": "unlock"}, token="other")
    assert "error" in node.call(lock("other-host"), token="other")
    node.call({"do": "unlock"})
    assert "error" not in node.call(lock("other-host"), token="other")


# ---- files ---------------------------------------------------------------------------------------------------------


def commit(*actions: dict[str, Any]) -> dict[str, Any]:
    return {"do": "commit", "actions": list(actions), "record": [], "postponed": []}


def write(path: str, mode: int = 0o640) -> dict[str, Any]:
    return {"kind": "file", "path": path, "owner": ME, "group": MY_GROUP, "mode": mode}


def test_a_file_is_replaced_by_a_rename_with_its_mode_already_set(node: FakeNode) -> None:
    target = node.system.root / "etc/x"
    target.write_text("old\n")
    target.chmod(0o600)
    seen: list[tuple[str, int]] = []

    def record(effect: str) -> None:
        if effect.startswith("write"):
            staged = node.system.root / "var/lib/tandem/staged/etc/x"
            seen.append((target.read_text(), staged.stat().st_mode & 0o777))

    node.call(lock(), stage(file("/etc/x", "new\n")), commit(write("/etc/x")), before=record)
    assert seen == [("old\n", 0o640)]
    assert (target.read_text(), target.stat().st_mode & 0o777) == ("new\n", 0o640)


def test_a_reader_never_sees_a_partly_written_file(node: FakeNode) -> None:
    node.call(lock(), stage(file("/etc/x", "old\n")), commit(write("/etc/x")))
    with (node.system.root / "etc/x").open() as reader:
        node.call(lock(), stage(file("/etc/x", "new\n")), commit(write("/etc/x")))
        assert reader.read() == "old\n"


def accept(revision: str = "r1") -> dict[str, Any]:
    return {"do": "accept", "revision": revision, "serial": 1, "gates": []}


def test_the_previous_version_is_kept_and_a_repeated_run_does_not_overwrite_it(node: FakeNode) -> None:
    node.call(lock(), stage(file("/etc/x", "first\n")), commit(write("/etc/x")), accept("r0"))
    for _ in range(2):  # the second run continues an interrupted one
        node.call(lock(), stage(file("/etc/x", "second\n")), commit(write("/etc/x")))
    node.call(accept())
    (kept,) = (node.system.root / "var/lib/tandem/previous").iterdir()
    assert (kept / "etc/x").read_text() == "first\n"


def test_an_unknown_owner_is_an_error_before_any_change(node: FakeNode) -> None:
    answer = node.call(lock(), stage({**file("/etc/x"), "owner": "no-such-user"}))
    assert "no-such-user" in answer["error"]["message"]
    assert not (node.system.root / "etc/x").exists()


def test_only_root_can_read_candidates_and_state(node: FakeNode) -> None:
    node.call(lock(), stage(file("/etc/secret/x", mode=0o644)))
    state = node.system.root / "var/lib/tandem"
    assert state.stat().st_mode & 0o777 == 0o700
    assert (state / "staged").stat().st_mode & 0o777 == 0o700


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    root = tmp_path / "small"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(root)], check=True)
    yield root
    subprocess.run(["umount", str(root)], check=True)


@pytest.mark.root
def test_a_full_disk_is_reported_while_staging_with_its_free_space(small_disk: Path) -> None:
    node = FakeNode(small_disk)
    (small_disk / "etc/x").write_text("old\n")
    answer = node.call(lock(), stage(file("/etc/x", "y" * 200_000), unit_actions=("reload nginx",)))
    assert answer["error"]["step"] == "stage"
    assert "No space left on device" in answer["error"]["message"]
    assert "KiB free of 64 KiB" in answer["error"]["seen"]
    assert (small_disk / "etc/x").read_text() == "old\n"
    assert facts(node.node(), questions={}, virtual_ips=[])["pending"] == []


# ---- archives ------------------------------------------------------------------------------------------------------


def test_a_release_is_unpacked_next_to_the_previous_one(node: FakeNode) -> None:
    data = archive({"bin/iam-apiserver": b"#!/bin/sh\n", "sql/iam.sql": b"-- \n"})
    assert "error" not in node.call(receive(data), stdin=io.BytesIO(data))
    target = node.system.root / "opt/iam/abc"
    assert (target / "bin/iam-apiserver").stat().st_mode & 0o777 == 0o755
    assert sorted(path.name for path in target.parent.iterdir()) == ["abc"]
    assert list((node.system.root / "var/lib/tandem/incoming").iterdir()) == []


def test_a_release_that_arrives_incomplete_is_not_unpacked(node: FakeNode) -> None:
    data = archive({"x": b"y" * 1000})
    answer = node.call(receive(data), stdin=io.BytesIO(data[:-10]))
    assert "the connection ended with 10 of" in answer["error"]["message"]
    assert not (node.system.root / "opt/iam/abc").exists()


def received(node: FakeNode, data: bytes) -> int:
    return node.call({"do": "received", "sha256": hashlib.sha256(data).hexdigest()})["results"][0]


def test_a_transfer_that_broke_continues_where_it_stopped(node: FakeNode) -> None:
    data = archive({"x": random.Random(1).randbytes(100_000)})
    assert received(node, data) == 0
    node.call(receive(data), stdin=io.BytesIO(data[:40_000]))
    assert received(node, data) == 40_000
    node.call(receive(data, offset=40_000), stdin=io.BytesIO(data[40_000:70_000]))
    assert received(node, data) == 70_000
    assert "error" not in node.call(receive(data, offset=70_000), stdin=io.BytesIO(data[70_000:]))
    assert (node.system.root / "opt/iam/abc/x").stat().st_size == 100_000
    assert received(node, data) == 0


class TwoOperators(io.BytesIO):
    """The archive of one operator; at a point of its transfer, another one sends the same archive as a whole."""

    def __init__(self, data: bytes, at: int, other: Callable[[], object]) -> None:
        super().__init__(data)
        self._at = at
        self._other: Callable[[], object] | None = other

    def read(self, size: int | None = -1, /) -> bytes:
        block = super().read(min(size or 0, 1000))
        if self.tell() > self._at and self._other:
            other, self._other = self._other, None
            other()
        return block


@pytest.mark.parametrize("at", [0, 50_000, 99_999])
def test_two_operators_can_send_the_same_release(node: FakeNode, at: int) -> None:
    data = archive({"bin/iam": random.Random(1).randbytes(100_000)})
    other: list[dict[str, Any]] = []
    sending = TwoOperators(data, at, lambda: other.append(node.call(receive(data), stdin=io.BytesIO(data))))
    assert "error" not in node.call(receive(data), stdin=sending)
    assert "error" not in other[0]
    assert [each.name for each in (node.system.root / "opt/iam").iterdir()] == ["abc"], "it is unpacked once"
    assert list((node.system.root / "var/lib/tandem/incoming").iterdir()) == []


def test_a_release_with_a_wrong_checksum_is_rejected_and_what_was_received_is_deleted(node: FakeNode) -> None:
    data = archive({"x": b"y" * 1000})
    node.call(receive(data), stdin=io.BytesIO(b"?" * 50))
    answer = node.call(receive(data, offset=50), stdin=io.BytesIO(data[50:]))
    assert "the checksum of the received archive is wrong" in answer["error"]["message"]
    assert received(node, data) == 0
    assert "error" not in node.call(receive(data), stdin=io.BytesIO(data))


@pytest.mark.parametrize("name", ["../etc/passwd", "/etc/passwd", "a/../../x"])
def test_an_archive_with_paths_outside_its_directory_is_rejected(node: FakeNode, name: str) -> None:
    data = archive({name: b"root::0:0\n"})
    assert "which is not allowed" in node.call(receive(data), stdin=io.BytesIO(data))["error"]["message"]
    assert list((node.system.root / "opt/iam").iterdir()) == []


def test_unpacked_files_are_writable_by_root_only_and_have_no_set_id_bits(node: FakeNode) -> None:
    data = archive({"bin/tool": b"#!/bin/sh\n"}, mode=0o6777)
    assert "error" not in node.call(receive(data), stdin=io.BytesIO(data))
    assert (node.system.root / "opt/iam/abc/bin/tool").stat().st_mode & 0o7777 == 0o755


# ---- upstreams, commands -------------------------------------------------------------------------------------------


def test_endpoints_leave_the_upstreams_and_join_them_again(node: FakeNode) -> None:
    target = node.system.root / "etc/nginx/conf.d/upstreams.conf"
    target.parent.mkdir(parents=True)
    text = "upstream a {\n    server 10.0.4.20:8080 max_fails=1; # iam-a\n    server 10.0.4.21:8080 max_fails=1;\n}\n"
    target.write_text(text)
    node.system.units["nginx"] = "active"
    node.call(lock())
    for _ in range(2):  # the second call changes nothing
        assert node.call({"do": "leave", "address": "10.0.4.20", "ports": [8080]})["results"] == [[8080]]
        assert target.read_text() == text.replace("20:8080 max", "20:8080 down max").replace(
            "21:8080 max_fails=1", "21:8080 max_fails=0"
        )
    assert node.system.log == ["reload nginx"]
    node.call({"do": "join"})
    assert target.read_text() == text
    assert node.system.log == ["reload nginx", "reload nginx"]


STREAM = (
    "upstream db {\n    server 10.0.4.20:5432 max_fails=1; # iam-a\n    server db.example.com:5432 max_fails=1;\n}\n"
)


def test_servers_of_streams_leave_and_join_like_those_of_sites(node: FakeNode) -> None:
    """A host name counts as another server; a server that is down in the settings does not."""
    http, stream = (node.system.root / f"etc/nginx/{name}.d/upstreams.conf" for name in ("conf", "stream"))
    for path in (http, stream):
        path.parent.mkdir(parents=True)
    text = (
        "upstream a {\n    server 10.0.4.20:80 max_fails=1;\n    server 10.0.4.20:80 backup max_fails=0;\n"
        "    server 10.0.4.21:80 max_fails=1;\n    server 10.0.4.21:80 backup max_fails=0;\n}\n"
        "upstream b {\n    server 10.0.4.20:81;\n    server 10.0.4.21:81 down;\n}\n"
    )
    http.write_text(text)
    stream.write_text(STREAM)
    node.system.units["nginx"] = "active"
    node.call(lock())
    assert node.call({"do": "leave", "address": "10.0.4.20"})["results"] == [[80, 5432]]
    assert http.read_text().count("10.0.4.20:80 down") == 2
    assert "server 10.0.4.20:81;" in http.read_text(), "the only usable server stays"
    assert "server db.example.com:5432 max_fails=0;" in stream.read_text()
    assert node.system.log == ["reload nginx"]
    node.call({"do": "join"})
    assert (http.read_text(), stream.read_text()) == (text, STREAM)


def test_join_keeps_an_upstreams_file_that_a_rollout_has_replaced(node: FakeNode) -> None:
    target = node.system.root / "etc/nginx/conf.d/upstreams.conf"
    target.parent.mkdir(parents=True)
    target.write_text("upstream a {\n    server 10.0.4.20:8080;\n    server 10.0.4.21:8080;\n}\n")
    node.call(lock(), {"do": "leave", "address": "10.0.4.20"})
    assert "down" in target.read_text()
    target.write_text("    server 10.0.4.20:9999;\n")
    node.call({"do": "join"})
    assert target.read_text() == "    server 10.0.4.20:9999;\n"


@pytest.mark.parametrize("name", ["o'brien", "a b", "a\\", "a`b"])
def test_an_account_name_with_quotes_or_spaces_is_rejected(name: str) -> None:
    with pytest.raises(StepError, match="account names must not contain"):
        account(name, "%")


def test_a_command_is_killed_at_its_deadline() -> None:
    code, _, err = run(["sleep", "5"], timeout_s=0.1)
    assert code == 124
    assert "was killed: it did not end within 0 s" in err


def test_a_missing_program_gives_a_result_and_not_an_exception() -> None:
    assert run(["no-such-program"]) == Result(127, "", "no-such-program: not found on this node")


def test_a_failed_probe_returns_the_error() -> None:
    assert probe("http://127.0.0.1:1/healthz").startswith("ConnectionRefusedError")


def test_the_agent_needs_only_the_standard_library(tmp_path: Path) -> None:
    result = subprocess.run(
        ["sh", "-c", python_command().replace("python3 -I", f"{sys.executable} -I -S")],
        input=agent_program() + b'{"mark": "m:", "token": "", "operations": []}\n' * 2,
        capture_output=True,
        cwd=tmp_path,
        check=False,
    )
    assert (result.stdout, result.stderr) == (b'\nm:{"results": []}\n' * 2, b"")


@pytest.mark.parametrize(
    "module", sorted(Path(provisioning.agent.__file__).parent.rglob("*.py")), ids=lambda at: at.stem
)
def test_the_agent_is_valid_python_3_9(module: Path) -> None:
    ast.parse(module.read_text(), feature_version=(3, 9))


@pytest.mark.root
@pytest.mark.parametrize(("text", "accepted"), [("good\n", True), ("bad\n", False)])
def test_a_check_reads_the_candidate_at_its_final_path_and_other_processes_do_not(
    tmp_path: Path, *, text: str, accepted: bool
) -> None:
    """Uses the real unshare and mount, which the other tests fake."""
    conf = tmp_path / "etc/service/conf"
    conf.parent.mkdir(parents=True)
    conf.write_text("old\n")
    check = {"name": "service", "command": ["grep", "-qx", "good", str(conf)], "directories": ["/etc/service"]}
    operation = {**stage(file("/etc/service/conf", text)), "checks": [check]}
    result = answer(Node(root=str(tmp_path)), {"token": "me", "operations": [lock(), operation]})
    assert ("error" not in result) is accepted
    if not accepted:
        assert result["error"]["step"] == "check"
        assert "exit code 1 of: grep -qx good" in result["error"]["seen"]
    assert conf.read_text() == "old\n"
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()


@pytest.mark.parametrize("durable", [True, False])
def test_a_state_that_must_survive_a_power_failure_is_synced_with_its_directory(
    tmp_path: Path, *, durable: bool
) -> None:
    synced: list[tuple[str, bool]] = []

    def sync(handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink()
        synced.append((path.name, (node.state / "pending.json").exists()))

    node = Node(root=str(tmp_path), sync=sync)
    node.write_json("pending.json", ["reload nginx"], durable=durable)
    assert synced == ([("pending.json.new", False), ("tandem", True)] if durable else [])
