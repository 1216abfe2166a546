"""The real pulumi command and provider run the whole program against localcloud's API.

There are no machines behind it: the boundary to them (rollout, host keys, health) is replaced by boundary/*.py.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from fake_cloud import ROOT, stack_config
from program_runs import ALL_RUNS, config_of, run_any
from replacement_table import REPLACED_BY

pytestmark = [pytest.mark.real_engine, pytest.mark.timeout(600)]
_HERE = Path(__file__).parent
_PROGRAM = ("__main__.py", "Pulumi.yaml", "stacks", "settings", "components", "provisioning", "samples")


class Project:
    """A copy of the project, deployed on a cloud of its own."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder / "project"
        self._environment = os.environ | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{folder}",
            "PULUMI_CONFIG_PASSPHRASE": "of a test",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "TENCENTCLOUD_SECRET_ID": "localcloud",
            "TENCENTCLOUD_SECRET_KEY": "localcloud-secret",
            "TENCENTCLOUD_PROTOCOL": "HTTP",
            "TENCENTCLOUD_DOMAIN": "localcloud.test",
            # Leads every host name to the API: vpc.localcloud.test and the others need not resolve.
            "HTTP_PROXY": f"http://127.0.0.1:{port}",
            "NO_PROXY": "",
        }

    def pulumi(self, *arguments: str, changes: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
        """Run one command on the local stack with some settings changed."""
        path = self.folder / "stacks" / "Pulumi.local.yaml"
        config = stack_config("local") if changes is None else config_of("local", changes)
        salt = yaml.safe_load(path.read_text()).get("encryptionsalt") if path.exists() else None
        path.write_text(yaml.safe_dump({"config": config} | ({"encryptionsalt": salt} if salt else {})))
        return subprocess.run(
            ["pulumi", *arguments, "--non-interactive", "--color", "never"],
            cwd=self.folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def succeed(self, *arguments: str, changes: dict[str, Any] | None = None) -> str:
        done = self.pulumi(*arguments, changes=changes)
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr
        return done.stdout

    def fail(self, *arguments: str, changes: dict[str, Any] | None = None) -> str:
        done = self.pulumi(*arguments, changes=changes)
        assert done.returncode == 1, done.stdout[-6000:]
        return done.stdout + done.stderr

    def state(self) -> dict[str, Any]:
        """The id of everything, and when it was changed last, by URN."""
        exported = json.loads(self.succeed("stack", "export", "--stack", "local"))["deployment"]["resources"]
        return {each["urn"]: (each.get("id"), each.get("modified")) for each in exported}

    def things(self) -> set[str]:
        """The ids of all that is something in the world: components and providers are not."""
        return {id_ for urn, (id_, _) in self.state().items() if id_ and "pulumi:providers:" not in urn}

    def asked(self) -> list[str]:
        """What was asked of machines since the last time, in order."""
        path = self.folder / "asked"
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines


_UP = ("up", "--yes", "--skip-preview", "--stack", "local")
_PREVIEW = ("preview", "--diff", "--stack", "local")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("real")
    copy = folder / "project"
    copy.mkdir()
    (folder / "home").mkdir()
    for name in _PROGRAM:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy / name)
    for stand_in in (_HERE / "boundary").glob("*.py"):
        shutil.copy(stand_in, copy / "provisioning" / stand_in.name)
    definition = yaml.safe_load((copy / "Pulumi.yaml").read_text())
    definition["runtime"]["options"]["virtualenv"] = sys.prefix
    (copy / "Pulumi.yaml").write_text(yaml.safe_dump(definition))
    api = subprocess.Popen(
        [sys.executable, "-m", "localcloud.main", "api", "--http", "127.0.0.1:0",
         "--state", str(folder / "cloud.sqlite"), "--credentials", "localcloud:localcloud-secret"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert api.stdout is not None
        port = int(re.findall(r":(\d+)", api.stdout.readline())[-1])
        deployed = Project(folder, port)
        deployed.succeed("stack", "init", "local")
        deployed.succeed(*_UP)
        yield deployed
    finally:
        api.terminate()
        api.wait(10)
        if api.stdout is not None:
            api.stdout.close()


def _changed_lines(diff: str) -> list[str]:
    return [line.strip() for line in diff.splitlines() if re.match(r"\s+[-+] ", line)]


def _nothing_to_do(text: str) -> bool:
    return re.search(r"\nResources:\n    \d+ unchanged\n", text) is not None


def test_a_second_run_changes_nothing(project: Project) -> None:
    project.succeed(*_UP, "--expect-no-changes")
    assert not _changed_lines(project.succeed(*_PREVIEW))


def test_a_changed_setting_of_nginx_is_one_changed_line_on_each_machine(project: Project) -> None:
    diff = project.succeed(*_PREVIEW, changes={"nginx": {"workerConnections": 8192}})
    assert _changed_lines(diff) == 2 * ["-     worker_connections 4096;", "+     worker_connections 8192;"]
    assert "~ 2 to update" in diff  # the rollout, and the health that it is asked after
    # A reviewer reads all of it: what did not change is one line each, cut after its text's first three.
    lines = diff.splitlines()
    assert len(lines) <= 200, len(lines)
    assert max(map(len, lines)) <= 500


def test_a_changed_image_leaves_the_machines_that_are_there_alone(project: Project) -> None:
    assert _nothing_to_do(project.succeed(*_PREVIEW, changes={"machines.image": "img-debian12"}))


_A, _B, _C = ({"name": f"iam-{name}", "address": f"10.0.4.2{number}"} for number, name in enumerate("abc"))


@pytest.mark.parametrize("command", [_PREVIEW, _UP], ids=["preview", "up"])
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"machines.nodes.1.address": "10.0.4.22"}, "iam-b is at 10.0.4.21 for life, wanted is 10.0.4.22"),
        ({"machines.nodes.1.name": "iam-x"}, "10.0.4.21 is iam-b's, wanted is iam-x"),
        ({"machines.nodes": [_B, _C]}, "iam-a has the databases and their disk"),
        ({"network.zone": "ap-guangzhou-7"}, "the subnet would be deleted under its machines"),
        ({"machines.systemDisk": {"sizeGib": 20}}, "it is 50, wanted is 20: a disk can grow, never shrink"),
    ],
    ids=["another address", "another name", "without the first machine", "another zone", "a smaller disk"],
)
def test_what_a_deployed_group_cannot_become_is_refused_before_anything_is_done(
    project: Project, command: tuple[str, ...], changes: dict[str, Any], words: str
) -> None:
    before = project.state()
    text = project.fail(*command, changes=changes)
    assert words in text
    assert "Traceback" not in text
    assert project.state() == before


def test_wrong_settings_are_one_report_before_anything_is_declared(project: Project) -> None:
    text = project.fail(*_PREVIEW, changes={"machines.type": "large", "network.subnetCidr": "10.9.4.0/24"})
    assert "Pulumi.local.yaml has" in text
    assert "tandem:machines.type" in text
    assert "outside the VPC's 10.0.0.0/16" in text
    assert "Traceback" not in text
    assert "to create" not in text


def test_a_changed_size_is_one_machine_after_the_other(project: Project) -> None:
    project.asked()
    project.succeed(*_UP, changes={"machines.type": "S5.MEDIUM4"})
    (first, second) = (line.split() for line in project.asked())
    assert {first[-1], second[-1]} == {"iam-a", "iam-b"}
    # The provider waits 10 s in each change of size.
    assert float(second[0]) - float(first[0]) >= 9
    project.succeed(*_UP)


def test_without_a_serving_peer_no_machine_is_changed(project: Project) -> None:
    (project.folder / "no-peer").touch()
    try:
        text = project.fail(*_UP, changes={"machines.type": "S5.MEDIUM4"})
    finally:
        (project.folder / "no-peer").unlink()
    assert "no other machine serves" in text
    assert "Traceback" not in text
    assert _nothing_to_do(project.succeed(*_UP))


def go_on_after_a_replacement_that_broke_off(project: Project) -> None:
    """As docs/operations.md says, When something is wrong.

    Where it broke off after the machine was deleted, the engine (3.259) deletes what hung on it once more, and no
    refresh looks at that (step_generator.go: a dependent is not asked whether it is pending replacement).
    """
    for _ in range(3):
        done = project.pulumi(*_UP)
        if done.returncode == 0:
            return
        (urn,) = set(re.findall(r"error: deleting (urn:\S+): 1 error", done.stdout))
        project.succeed("state", "delete", urn, "--target-dependents", "--force", "--yes", "--stack", "local")
    raise AssertionError("three things that hung on one machine were in the way, and it is not over")


def test_a_second_replacement_in_one_run_is_stopped_before_it_loses_anything(project: Project) -> None:
    project.asked()
    machine = "urn:pulumi:local::tandem::tandem:cloud:Machines$tencentcloud:Instance/instance:Instance::machines.iam"
    text = project.fail(*_UP, "--replace", f"{machine}-a", "--replace", f"{machine}-b")
    assert re.search(r"iam-[ab]: not touched, because iam-[ab] goes in this same run", text)
    assert len([line for line in project.asked() if "retire" in line]) == 1
    go_on_after_a_replacement_that_broke_off(project)
    project.succeed(*_UP, "--expect-no-changes")


def test_a_changed_virtual_ip_moves_without_a_machine_leaving(project: Project) -> None:
    project.asked()
    project.succeed(*_UP, changes={"virtualIp.address": "10.0.4.98"})
    project.succeed(*_UP)
    assert project.asked() == []


def test_a_further_machine_comes_and_goes_alone(project: Project) -> None:
    project.asked()
    nodes = [*config_of("local", {})["tandem:machines"]["nodes"], {"name": "iam-c", "address": "10.0.4.22"}]
    came = project.succeed(*_UP, changes={"machines.nodes": nodes})
    assert "8 created" in came
    assert "3 updated" in came  # the others' firewall, the rollout, and the health that it is asked after
    assert project.asked() == []
    project.succeed(*_UP)
    # Before the others forget it, and once more before it is deleted: it may have been started again.
    assert [line.split(maxsplit=1)[1] for line in project.asked()] == 2 * ["retire iam-c"]


@pytest.mark.parametrize(
    ("refused", "asked"),
    [("retire 1", ["retire iam-c"]), ("retire 2", [])],
    ids=["in the rollout", "at its deletion, when the others have forgotten it"],
)
def test_a_removal_that_failed_half_way_is_finished_by_the_next_run(
    project: Project, refused: str, asked: list[str]
) -> None:
    project.succeed(*_UP, changes={"machines.nodes": [_A, _B, _C]})
    project.asked()
    (project.folder / "refuse").write_text(refused)
    try:
        text = project.fail(*_UP)
    finally:
        (project.folder / "refuse").unlink()
    assert "iam-c: no other machine serves" in text
    assert "Traceback" not in text
    assert "machines.iam-c" in " ".join(project.state())
    project.asked()
    # The exports are those of the failed run already (the engine's way): they do not know the machine.
    assert "iam-c: an earlier run had it leave the group and could not delete it" in project.succeed(*_UP)
    assert [line.split(maxsplit=1)[1] for line in project.asked()] == asked
    assert "iam-c" not in " ".join(project.state())
    project.succeed(*_UP, "--expect-no-changes")


def test_a_failed_rollout_says_what_was_seen_and_nothing_else(project: Project) -> None:
    (project.folder / "fail-rollout").touch()
    try:
        text = project.fail(*_UP, changes={"nginx": {"workerConnections": 8192}})
    finally:
        (project.folder / "fail-rollout").unlink()
    assert "GateError: iam-b (10.0.4.21): does not serve\n      502 Bad Gateway\n" in text
    assert "Traceback" not in text
    project.succeed(*_UP)


def test_drift_is_found_by_a_refresh_and_healed_by_the_next_run(project: Project) -> None:
    (project.folder / "drifted").touch()
    try:
        project.succeed("refresh", "--yes", "--skip-preview", "--stack", "local")
    finally:
        (project.folder / "drifted").unlink()
    assert "Rollout" in project.succeed(*_PREVIEW)
    assert "1 updated" in project.succeed(*_UP)
    project.succeed(*_UP, "--expect-no-changes")


def test_certificates_near_their_end_are_made_anew_and_their_ca_is_not(project: Project) -> None:
    exported = json.loads(project.succeed("stack", "export", "--stack", "local"))
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat(timespec="seconds").replace("+00:00", "Z")
    before = {}
    for each in exported["deployment"]["resources"]:
        if each["type"].endswith(("SelfSignedCert", "LocallySignedCert")):
            assert each["outputs"]["validityEndTime"] > tomorrow
            each["outputs"]["validityEndTime"] = tomorrow
            before[each["urn"]] = each["id"]
    (project.folder / "aged.json").write_text(json.dumps(exported))
    project.succeed("stack", "import", "--stack", "local", "--file", str(project.folder / "aged.json"))
    project.succeed(*_UP)
    after = project.state()
    renewed = {urn for urn, id_ in before.items() if after[urn][0] != id_}
    assert renewed == {urn for urn in before if "LocallySignedCert" in urn}
    assert len(renewed) == 3  # clients' and one for each machine
    project.succeed(*_UP, "--expect-no-changes")


def test_the_state_holds_no_secret_in_clear(project: Project) -> None:
    state = json.loads(project.succeed("stack", "export", "--stack", "local"))
    text = json.dumps(state)
    assert "PRIVATE KEY" not in text
    passwords = [each for each in state["deployment"]["resources"] if each["type"].endswith(":RandomPassword")]
    assert passwords
    assert all(
        set(each["outputs"]["result"]) == {"4dabf18193072939515e22adb298388d", "ciphertext"} for each in passwords
    )


def test_the_table_of_replacements_is_what_the_provider_says() -> None:
    plugin = shutil.which("pulumi-resource-tencentcloud")
    assert plugin
    done = subprocess.run(["pulumi", "package", "get-schema", plugin], capture_output=True, text=True, check=True)
    resources = json.loads(done.stdout)["resources"]
    by_kind = {token.split(":")[1]: schema for token, schema in resources.items() if token.startswith("tencentcloud:")}
    for kind, expected in REPLACED_BY.items():
        set_by_us = {
            key for stack, option in ALL_RUNS for each in run_any(stack, option).of_kind(kind) for key in each.inputs
        }
        says = {key for key, value in by_kind[kind]["inputProperties"].items() if value.get("willReplaceOnChanges")}
        assert says & set_by_us == expected, kind


def test_a_protected_group_goes_by_the_steps_of_the_readme_only(project: Project) -> None:
    project.succeed(*_UP, changes={"protect": True, "machines.terminationProtection": True})
    destroy = ("destroy", "--run-program", "--yes", "--skip-preview", "--stack", "local")
    before = project.things()
    text = project.fail(*destroy, changes={"protect": True, "machines.terminationProtection": True})
    assert "health" in text
    assert "cannot be deleted" in text
    assert project.things() == before
    project.asked()
    project.succeed(*_UP, changes={"protect": False, "machines.terminationProtection": False})
    assert project.asked() == []  # no machine notices
    # The next test destroys it.


def test_destroy_leaves_nothing_and_asks_nobody(project: Project) -> None:
    project.asked()
    project.succeed("destroy", "--run-program", "--yes", "--skip-preview", "--stack", "local")
    assert project.asked() == []
    assert not json.loads(project.succeed("stack", "export", "--stack", "local"))["deployment"].get("resources")
