"""What a failure, a kill or a second run at the same time leaves behind: nothing that the next run cannot mend."""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .cloud import NETWORK, NETWORK_PROGRAM, Cloud, running_cloud
from .conftest import Project, wait_until


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    with running_cloud(tmp_path) as running:
        yield running


def _children(pid: int) -> list[int]:
    """Processes that were started by that one, or by its children."""
    found: list[int] = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(words[1]) == pid:
            child = int(path.parent.name)
            found += [child, *_children(child)]
    return found


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}


def test_a_failed_step_keeps_what_was_made_and_the_next_run_goes_on(project: Project) -> None:
    program = """
        a = Thing("a")
        b = Thing("b", value=a.result, fail=json.loads(config.get("fail") or "[]"))
        c = Thing("c", value=b.result)
    """
    project.write(program, config="little:fail: '[\"create\"]'")
    run = project.run("up", "--yes")
    assert run.code == 1
    assert "urn:pulumi:dev::little::pulumi-python:dynamic:Resource::b" in run
    assert "create of b went wrong" in run
    assert "Resource monitor has terminated" not in run
    assert set(project.resources()) == {"a"}
    project.forget_calls()
    project.write(program)
    project.up()
    assert project.done() == ["create b", "create c"]


def test_what_runs_when_another_step_fails_is_finished_and_recorded(project: Project) -> None:
    project.write('Thing("slow", sleep=6.0); Thing("bad", sleep=1.5, fail=["create"])')
    assert project.run("up", "--yes").code == 1
    assert set(project.resources()) == {"slow"}


def test_killed_in_the_middle_the_next_run_makes_the_rest_only(project: Project) -> None:
    project.write("""
        a = Thing("a")
        b = Thing("b", value=a.result, sleep=float(config.get("sleep") or 0))
        c = Thing("c", value=b.result)
    """, config="little:sleep: 30")  # fmt: skip
    process = project.start("up", "--yes")
    project.wait_for_call("begin", "create", "b")
    children = _children(process.pid)
    assert len(children) >= 2
    process.kill()
    process.communicate()
    wait_until(lambda: not any(_alive(child) for child in children), 5)
    assert set(project.resources()) == {"a"}
    assert [one["resource"]["urn"].rsplit("::", 1)[1] for one in project.state()["pendingCreates"]] == ["b"]

    project.forget_calls()
    (project.path / "Pulumi.dev.yaml").write_text("config: {}\n")
    project.up()
    assert project.done() == ["create b", "create c"]
    assert project.state()["pendingCreates"] == []


@pytest.mark.parametrize("seed", range(3))
def test_killed_again_and_again_at_any_moment_no_thing_of_the_cloud_is_orphaned(
    project: Project, cloud: Cloud, seed: int
) -> None:
    chance = random.Random(seed)
    project.environment.update(cloud.environment)
    project.write(NETWORK_PROGRAM, recorder=False)
    cloud.fault("*", latency_ms=60.0, times=0)
    for _ in range(5):
        asked = len(cloud.requests())
        process = project.start("up", "--yes")
        # The moments that matter begin with the run's first request.
        wait_until(lambda asked=asked, process=process: len(cloud.requests()) > asked or process.poll() is not None)
        time.sleep(chance.uniform(0, 1.2))
        process.kill()
        process.communicate()
        if project.state_file.exists():
            json.loads(project.state_file.read_text())
    cloud.clear_faults()
    project.up()
    assert cloud.counts() == NETWORK
    assert "19 unchanged" in project.up()

    cloud.fault("*", latency_ms=60.0, times=0)
    process = project.start("destroy", "--yes")
    time.sleep(chance.uniform(1.5, 2.5))
    process.kill()
    process.communicate()
    cloud.clear_faults()
    project.destroy()
    assert cloud.counts() == {}


def test_an_interrupted_run_finishes_its_steps_and_begins_no_other(project: Project) -> None:
    project.write("""
        a = Thing("a", sleep=2.0)
        b = Thing("b", value=a.result)
    """)
    process = project.start("up", "--yes")
    project.wait_for_call("begin", "create", "a")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "stopping" in output
    assert set(project.resources()) == {"a"}


def test_an_interrupted_run_does_not_wait_for_hooks(project: Project) -> None:
    project.write("""
        async def wait(args):
            log("hook", "waits", "a")
            await asyncio.sleep(600)

        Thing("a", opts=ResourceOptions(hooks=ResourceHookBinding(before_create=[ResourceHook("wait", wait)])))
    """)
    process = project.start("up", "--yes")
    project.wait_for_call("hook", "waits", "a")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "a not begun: the run is stopping" in output
    assert project.resources() == {}


def test_two_runs_at_once_are_refused_and_a_dead_owner_keeps_nothing(project: Project) -> None:
    project.write('Thing("a", sleep=600)')
    process = project.start("up", "--yes")
    project.wait_for_call("begin", "create", "a")
    second = project.run("up", "--yes")
    assert second.code == 1
    assert f"locked by pid {process.pid}" in second
    process.kill()
    process.communicate()
    project.write('Thing("a")')
    project.up()


def test_a_program_that_fails_says_where_and_deletes_nothing(project: Project) -> None:
    project.write('Thing("a"); pulumi.export("word", "kept")')
    project.up()
    project.forget_calls()
    project.write('pulumi.export("word", "lost"); raise ValueError("no such colour")')
    run = project.run("up", "--yes")
    assert run.code == 1
    assert "ValueError: no such colour" in run
    assert "__main__.py" in run
    assert "runpy" not in run
    assert project.calls() == []
    assert set(project.resources()) == {"a"}
    assert project.outputs() == {"word": "kept"}


@pytest.mark.parametrize(
    "program",
    ['raise pulumi.RunError("port 0 is none")', 'import sys; print("port 0 is none"); sys.exit(1)'],
)
def test_a_program_that_says_itself_what_is_wrong_is_left_to_say_it(project: Project, program: str) -> None:
    project.write(program)
    run = project.run("up", "--yes")
    assert run.code == 1
    assert "port 0 is none" in run
    assert "Traceback" not in run


def test_the_state_is_whole_at_every_moment(project: Project) -> None:
    project.write("""
        for index in range(40):
            Thing(f"thing-{index}", value="x" * 5000)
    """)
    process = project.start("up", "--yes")
    seen = 0
    while process.poll() is None:
        if project.state_file.exists():
            seen = max(seen, len(json.loads(project.state_file.read_text())["resources"]))
    process.communicate()
    assert process.returncode == 0
    assert seen >= 20
    assert len(project.resources()) == 40
    assert project.state_file.stat().st_mode & 0o777 == 0o600
