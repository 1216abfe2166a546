"""`tandem up | preview | refresh | destroy | outputs | cancel` on the real engine, with little programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.little import LittleProject
from tests.engine.project import kill_all

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def project(tmp_path: Path) -> LittleProject:
    return LittleProject.copy(tmp_path / "project")


def test_up_deploys_and_a_second_one_changes_nothing(project: LittleProject) -> None:
    project.write('a = Thing("a", value="one"); b = Thing("b", value=a.result); pulumi.export("b", b.result)')
    assert "3 created" in project.succeed("up")
    assert project.done() == ["create a", "create b"]
    assert "3 unchanged" in project.succeed("up")
    assert project.done() == []
    assert project.succeed("outputs", "b") == "one\n"


def test_destroy_runs_the_programs_delete_hooks_and_leaves_nothing(project: LittleProject) -> None:
    project.write("""
        hooks = ResourceHookBinding(before_delete=[ResourceHook("leave", lambda args: log("hook", args.name))])
        Thing("a", opts=ResourceOptions(hooks=hooks))
    """)
    project.succeed("up")
    project.succeed("destroy")
    assert project.calls()[-3:] == [["hook", "a"], ["begin", "delete", "a"], ["end", "delete", "a"]]
    assert project.resources() == {}


def test_a_lock_of_a_killed_up_is_released_and_the_rest_is_created(project: LittleProject) -> None:
    program = (
        'a = Thing("a"); b = Thing("b", value=a.result, sleep_s=config.get_int("sleep")); Thing("c", value=b.result)'
    )
    project.write(program, sleep=60)
    process = project.start("up")
    project.wait_for_call("begin", "create", "b")
    second = project.fail("up")
    assert "the stack is currently locked by 1 lock(s)" in second
    kill_all(process)
    assert [one["resource"]["urn"].rpartition("::")[2] for one in project.state()["pending_operations"]] == ["b"]
    project.done()
    project.write(program, sleep=0)
    said = project.succeed("up")
    assert "Released the state's lock" in said
    assert "::b: it does not exist" in said
    assert project.done() == ["create b", "create c"]
    assert "pending_operations" not in project.state()
