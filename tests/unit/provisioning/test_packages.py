"""The installation of packages, killed between any two steps, beside another apt, without a mirror, on a new node."""

from __future__ import annotations

import fcntl
import json
import subprocess
from functools import partial
from pathlib import Path

import pytest
from provisioning_fakes import FakeGroup, FakeSystem

from provisioning.agent.kinds import package
from provisioning.agent.node import Result
from provisioning.errors import NodeError
from provisioning.kinds.package import INTERRUPTED, Package
from provisioning.manifest import Manifest
from provisioning.rollout.drift import drift
from provisioning.rollout.rollout import roll_out

MANIFESTS = {"iam-a": Manifest("iam-a", (Package("nginx"), Package("keepalived")))}
LISTS_LOCKED = (
    "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 812 (apt-get)\n"
    "E: Unable to lock directory /var/lib/apt/lists/\n"
)
DPKG_LOCKED = "dpkg: error: dpkg frontend lock was locked by another process with pid 812\n"


@pytest.fixture
def group(tmp_path: Path) -> FakeGroup:
    return FakeGroup(tmp_path, ("iam-a",))


def deploy(group: FakeGroup) -> None:
    roll_out(group.inventory, MANIFESTS, {}, group.reported.append, connect=group.connect, sleep=group.sleep)


def policy(group: FakeGroup) -> Path:
    return group.systems["iam-a"].root / "usr/sbin/policy-rc.d"


class Apt:
    """Fails as long as `fails` has output for the command."""

    def __init__(self, system: FakeSystem, fails: dict[str, list[str]]) -> None:
        self.commands: list[str] = []
        self._fails = fails
        self._run = system.run

    def run(self, argv: list[str], **other: object) -> Result:
        if argv[0] != "flock":
            return self._run(argv, **other)  # pyright: ignore[reportArgumentType] - passed on
        name = "update" if "update" in argv else "install" if "install" in argv else "configure"
        self.commands.append(name)
        if left := self._fails.get(name, []):
            return Result(100, "", left.pop(0))
        return self._run(argv, **other)  # pyright: ignore[reportArgumentType] - passed on


def fail(group: FakeGroup, **fails: list[str]) -> Apt:
    system = group.systems["iam-a"]
    apt = Apt(system, fails)
    system.run = apt.run  # pyright: ignore[reportAttributeAccessIssue] - a fake's method
    return apt


def test_no_service_starts_during_an_installation_and_the_policy_file_is_deleted(group: FakeGroup) -> None:
    modes: list[int] = []
    system = group.systems["iam-a"]
    system.on_command = lambda argv: modes.append(policy(group).stat().st_mode) if argv[0] == "apt-get" else None
    deploy(group)
    assert system.packages == {"nginx", "keepalived"}
    assert modes
    assert all(mode & 0o111 for mode in modes)
    assert not policy(group).exists()


def test_an_installation_killed_between_any_two_steps_is_completed_by_the_next_run(tmp_path: Path) -> None:
    steps: list[str] = []
    count = FakeGroup(tmp_path / "count", ("iam-a",))
    fail(count, install=["E: Unable to locate package nginx"])
    count.before_effect = lambda _node, effect: steps.append(effect)
    deploy(count)
    assert steps == [
        "lock", "install nginx keepalived", "write policy-rc.d", "dpkg --configure", "apt-get install",
        "apt-get update", "apt-get install", "delete policy-rc.d",
    ]  # fmt: skip
    for number in range(len(steps)):
        group = FakeGroup(tmp_path / str(number), ("iam-a",))
        fail(group, install=["E: Unable to locate package nginx"])
        group.cut_power(number, partial(deploy, group))
        assert policy(group).exists() == (number > 2), "a killed installation leaves it; the next run deletes it"
        deploy(group)
        assert group.systems["iam-a"].packages == {"nginx", "keepalived"}
        assert not policy(group).exists()
        assert drift(group.inventory, MANIFESTS, {}, connect=group.connect) == {}


def test_a_leftover_of_a_killed_installation_is_drift(group: FakeGroup) -> None:
    deploy(group)
    policy(group).write_text(package._POLICY_TEXT)
    assert drift(group.inventory, MANIFESTS, {}, connect=group.connect)["iam-a"] == [
        "package nginx: its installation was interrupted",
        "package keepalived: its installation was interrupted",
    ]
    deploy(group)
    assert not policy(group).exists()


def test_an_administrators_policy_file_is_kept(group: FakeGroup) -> None:
    policy(group).parent.mkdir(parents=True)
    policy(group).write_text("#!/bin/sh\nexit 104\n")
    deploy(group)
    assert policy(group).read_text() == "#!/bin/sh\nexit 104\n"


def test_both_halves_of_the_kind_use_the_same_key() -> None:
    assert package.INTERRUPTED == INTERRUPTED


def test_the_policy_file_denies_only_while_an_installation_runs(tmp_path: Path) -> None:
    lock, script = tmp_path / "lock", tmp_path / "policy-rc.d"
    script.write_text(package._POLICY_TEXT.replace("/run/tandem-apt.lock", str(lock)))
    script.chmod(0o755)

    def ask() -> int:
        return subprocess.run([str(script), "nginx", "start"], check=False).returncode

    assert ask() == 0
    with lock.open("a") as installation:
        fcntl.flock(installation, fcntl.LOCK_EX)
        assert ask() == 101
    assert ask() == 0


@pytest.mark.parametrize(
    ("command", "output"),
    [
        ("update", LISTS_LOCKED),
        ("install", LISTS_LOCKED.replace("/var/lib/apt/lists", "/var/cache/apt/archives")),
        ("configure", DPKG_LOCKED),
    ],
)
def test_every_lock_of_another_apt_is_waited_for(group: FakeGroup, command: str, output: str) -> None:
    fails = {command: [output] * 30}
    if command == "update":
        fails["install"] = ["E: Unable to locate package nginx"]
    fail(group, **fails)
    began = group.clock
    deploy(group)
    assert group.systems["iam-a"].packages == {"nginx", "keepalived"}
    assert 80 <= group.clock - began <= 100
    assert f"iam-a: waiting for another apt: {output.splitlines()[0]}" in group.reported


def test_another_apt_that_does_not_end_is_named_after_the_deadline(group: FakeGroup) -> None:
    fail(group, update=[LISTS_LOCKED] * 1000, install=[LISTS_LOCKED] * 1000)
    with pytest.raises(NodeError, match="apt-get cannot install nginx keepalived") as caught:
        deploy(group)
    assert "It is held by process 812 (apt-get)" in str(caught.value)


def test_a_mirror_that_is_down_is_named(group: FakeGroup) -> None:
    url = "http://packages.example.com/debian/dists/bookworm/InRelease"
    down = f"W: Failed to fetch {url}  Could not connect to packages.example.com:80 (192.0.2.1), connection timed out\n"
    fail(
        group,
        update=[down + "W: Some index files failed to download.\n"],
        install=["E: Unable to locate package nginx\n"] * 2,
    )
    with pytest.raises(NodeError) as caught:
        deploy(group)
    message = "cannot install nginx keepalived: the package mirror packages.example.com does not answer"
    assert message in str(caught.value)
    assert f"{url}: Could not connect to packages.example.com:80 (192.0.2.1), connection timed out" in str(caught.value)


# ---- cloud-init ------------------------------------------------------------------------------------------------------


class CloudInit:
    """Runs its last stage until `finishes_at`."""

    def __init__(self, group: FakeGroup, finishes_at: float) -> None:
        self._group, self._finishes_at = group, finishes_at
        self._run = group.systems["iam-a"].run
        self._state = group.systems["iam-a"].root / "run/cloud-init"
        self._state.mkdir(parents=True)
        (self._state / "status.json").write_text(json.dumps({"v1": {"stage": "modules-final"}}))

    def run(self, argv: list[str], **other: object) -> Result:
        if "cloud-final.service" not in argv:
            return self._run(argv, **other)  # pyright: ignore[reportArgumentType] - passed on
        if self._group.clock < self._finishes_at:
            return Result(0, "Job=312\nActiveState=inactive\n", "")
        (self._state / "result.json").write_text("{}")
        return Result(0, "ActiveState=active\n", "")


def test_cloud_init_is_waited_for_before_anything_is_installed(group: FakeGroup) -> None:
    system = group.systems["iam-a"]
    system.run = CloudInit(group, group.clock + 25).run  # pyright: ignore[reportAttributeAccessIssue] - a fake's method
    installed_at: list[float] = []
    system.on_command = lambda argv: installed_at.append(group.clock) if argv[0] == "apt-get" else None
    deploy(group)
    assert installed_at[0] >= 1025
    assert group.reported[:3].count("iam-a: waiting for cloud-init, stage modules-final, for 0 s") == 1
    assert "iam-a: waiting for cloud-init, stage modules-final, for 20 s" in group.reported


def test_cloud_init_that_does_not_finish_is_an_error_with_its_stage(group: FakeGroup) -> None:
    group.systems["iam-a"].run = CloudInit(group, group.clock + 10_000).run  # pyright: ignore[reportAttributeAccessIssue] - a fake's method
    with pytest.raises(NodeError, match="cloud-init has not finished its stage modules-final within 600 s"):
        deploy(group)
    assert group.systems["iam-a"].packages == set()


def test_a_cloud_init_that_crashed_is_not_waited_for(group: FakeGroup) -> None:
    state = group.systems["iam-a"].root / "run/cloud-init"
    state.mkdir(parents=True)
    (state / "status.json").write_text("{}")
    deploy(group)
    assert group.systems["iam-a"].packages == {"nginx", "keepalived"}
