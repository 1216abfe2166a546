"""`tandem up | preview | refresh | destroy | outputs | cancel` on the real engine, with small programs."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from operations.cli import find_cli
from tests.engine.project import kill_all
from tests.engine.small_project import SmallProject

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    return SmallProject.copy(tmp_path / "project")


def test_up_deploys_and_a_second_up_changes_nothing(project: SmallProject) -> None:
    project.write('a = Item("a", value="one"); b = Item("b", value=a.result); pulumi.export("b", b.result)')
    assert "3 created" in project.succeed("up")
    assert project.done() == ["create a", "create b"]
    assert "3 unchanged" in project.succeed("up")
    assert project.done() == []
    assert project.succeed("outputs", "b") == "one\n"


def test_up_shows_the_outputs_that_it_has_changed_and_after_a_failure_none(project: SmallProject) -> None:
    program = """
        a = Item("a", value=config.get("word"), fail=config.get_object("fail"))
        pulumi.export("word", a.result)
        pulumi.export("hidden", pulumi.Output.secret("hidden text"))
        pulumi.export("kept", ["one", "two"])
    """
    project.write(program, word="one")
    first = project.succeed("up")
    assert 'Outputs:\n  hidden  [secret]\n  kept    ["one", "two"]\n  word    one\n' in first
    project.write(program, word="two", fail=["update"])
    failed = project.fail("up")
    assert "update of a failed" in failed
    assert "kept" not in failed
    project.write(program, word="two")
    assert "Outputs:\n  word  two\n\n" in project.succeed("up")
    assert "Outputs:" not in project.succeed("up")


def test_the_passphrase_of_other_stacks_is_not_used_for_a_stack_on_localcloud(project: SmallProject) -> None:
    project.write('Item("a", text=pulumi.Output.secret("hidden"))')
    settings = project.folder / "stacks" / "Pulumi.local.yaml"
    # As left by `pulumi stack init` with the passphrase "one".
    salt = "v1:slRQwbRuGG4=:v1:QoStcXMFgJlIeH+p:RZAnYM8R+fbAnBCeHaiOmVazXjxnog=="
    settings.write_text(f"encryptionsalt: {salt}\n{settings.read_text()}")
    project.environment["PULUMI_CONFIG_PASSPHRASE"] = "two"
    project.succeed("up")
    del project.environment["PULUMI_CONFIG_PASSPHRASE"]
    assert "2 unchanged" in project.succeed("up")


def test_destroy_runs_the_programs_delete_hooks_and_leaves_nothing(project: SmallProject) -> None:
    project.write("""
        hooks = ResourceHookBinding(before_delete=[ResourceHook("leave", lambda args: log("hook", args.name))])
        Item("a", opts=ResourceOptions(hooks=hooks))
    """)
    project.succeed("up")
    project.succeed("destroy")
    assert project.calls()[-3:] == [["hook", "a"], ["begin", "delete", "a"], ["end", "delete", "a"]]
    assert project.resources() == {}


def test_up_releases_the_lock_of_a_killed_up_and_creates_the_remaining_resources(project: SmallProject) -> None:
    program = 'a = Item("a"); b = Item("b", value=a.result, sleep_s=config.get_int("sleep")); Item("c", value=b.result)'
    project.write(program, sleep=60)
    process = project.start("up")
    project.wait_for_call("begin", "create", "b")
    second = project.fail("up")
    assert "the stack is currently locked by 1 lock(s)" in second
    kill_all(process)
    assert [one["resource"]["urn"].rpartition("::")[2] for one in project.state()["pending_operations"]] == ["b"]
    project.done()
    project.write(program, sleep=0)
    output = project.succeed("up")
    assert "Released the state's lock" in output
    assert "::b: it does not exist" in output
    assert project.done() == ["create b", "create c"]
    assert "pending_operations" not in project.state()


def test_the_plugin_of_dynamic_resources_runs_the_python_of_the_project(project: SmallProject, tmp_path: Path) -> None:
    """Starts the plugin in another directory, with the system's Python first on the PATH."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "pulumi").mkdir()  # a directory of this name must not be imported instead of the package
    plugin = project.folder / "operations" / "plugin_commands" / "pulumi-resource-pulumi-python"
    process = subprocess.Popen(
        [plugin, "127.0.0.1:1"], cwd=elsewhere, env={"PATH": "/usr/bin:/bin", "PYTHONPATH": "/nonexistent"},
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip().isdigit()  # the port
        command = Path(f"/proc/{process.pid}/cmdline").read_bytes().split(b"\0")
        variables = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
        assert command[0] == str(project.folder / ".venv" / "bin" / "python").encode()
        assert f"PYTHONPATH={project.folder}:/nonexistent".encode() in variables
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def test_up_repairs_a_resource_that_was_changed_outside_pulumi(project: SmallProject) -> None:
    project.write('Item("a", value="one")')
    project.succeed("up")
    project.item("a").write_text('"changed by hand"')
    assert re.search(r'~ value *: "one" => "changed by hand"', project.succeed("refresh", "--diff"))
    project.succeed("up")
    assert project.item("a").read_text() == '"one"'
    project.item("a").write_text('"changed again"')
    project.succeed("up", "--no-refresh")
    assert project.item("a").read_text() == '"changed again"'
    project.succeed("up")
    assert project.item("a").read_text() == '"one"'


def test_a_preview_shows_only_the_changed_line_of_a_text(project: SmallProject) -> None:
    lines = [f"line {number}" for number in range(200)]
    project.write("Item('a', value=config.require('text'))", text="\n".join(lines))
    project.succeed("up")
    lines[100] = "another line"
    project.configure({"tandem:text": "\n".join(lines)})
    changed = [line.split() for line in project.succeed("preview").splitlines() if re.match(r"\s+[-+] ", line)]
    assert changed == [["-", "line", "100"], ["+", "another", "line"]]


def test_only_the_target_is_deployed(project: SmallProject) -> None:
    project.write('Item("a", value="one"); Item("b", value="one")')
    project.succeed("up")
    project.done()
    project.write('Item("a", value="two"); Item("b", value="two")')
    project.succeed("up", "--target", "**::a")
    assert project.done() == ["update a"]
    project.succeed("up", "--exclude", "**::b")
    assert project.done() == []
    project.succeed("up")
    assert project.done() == ["update b"]


def test_target_dependents_are_deployed_on_request(project: SmallProject) -> None:
    project.write('a = Item("a", value="one"); Item("b", value=a.result); Item("c", value="one")')
    project.succeed("up")
    project.done()
    project.write('a = Item("a", value="two"); Item("b", value=a.result); Item("c", value="two")')
    project.succeed("up", "--target", "**::a", "--target-dependents")
    assert project.done() == ["update a", "update b"]


def test_one_resource_is_replaced_on_demand(project: SmallProject) -> None:
    project.write('Item("a"); Item("b")')
    project.succeed("up")
    project.done()
    project.succeed("up", "--replace", "**::a")
    assert sorted(project.done()) == ["create a", "delete a"]


def test_a_protected_resource_is_not_deleted(project: SmallProject) -> None:
    project.write('Item("a", opts=ResourceOptions(protect=True))')
    project.succeed("up")
    assert "protected" in project.fail("destroy")
    assert "a" in project.resources()
    project.write("")
    assert "protected" in project.fail("up")
    assert "a" in project.resources()
    project.write('Item("a")')
    project.succeed("up")
    project.succeed("destroy")
    assert project.resources() == {}


def test_an_ignored_change_updates_nothing(project: SmallProject) -> None:
    program = 'Item("a", value=config.require("value"), opts=ResourceOptions(ignore_changes=["value"]))'
    project.write(program, value="one")
    project.succeed("up")
    project.write(program, value="two")
    assert "2 unchanged" in project.succeed("up")
    assert project.item("a").read_text() == '"one"'


def test_resources_that_do_not_depend_on_each_other_are_created_in_parallel(project: SmallProject) -> None:
    project.write('[Item(name, sleep_s=3) for name in ("a", "b", "c")]')
    project.succeed("up")
    assert [words[0] for words in project.calls()] == ["begin"] * 3 + ["end"] * 3


def test_a_failed_hook_fails_the_step(project: SmallProject) -> None:
    project.write("""
        def refuse(args):
            raise Exception("no peer serves")

        hooks = ResourceHookBinding(before_update=[ResourceHook("refuse", refuse)])
        Item("a", value=config.require("value"), opts=ResourceOptions(hooks=hooks))
    """, value="one")  # fmt: skip
    project.succeed("up")
    project.configure({"tandem:value": "two"})
    assert "no peer serves" in project.fail("up")
    assert project.item("a").read_text() == '"one"'


def test_a_failing_program_changes_nothing_and_reports_the_location(project: SmallProject) -> None:
    project.write('Item("a"); pulumi.export("word", "kept")')
    project.succeed("up")
    project.done()
    project.write('raise ValueError("no such colour")')
    output = project.fail("up")
    assert "ValueError: no such colour" in output
    assert "__main__.py" in output
    assert project.done() == []
    assert project.succeed("outputs", "word") == "kept\n"


def test_an_interrupted_up_finishes_the_running_steps_and_starts_no_others(project: SmallProject) -> None:
    project.write('a = Item("a", sleep_s=3); Item("b", value=a.result)')
    process = project.start("up")
    project.wait_for_call("begin", "create", "a")
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1, output
    assert project.done() == ["create a"]
    assert set(project.resources()) == {"a"}


class Terminal:
    """The controlling side of a pseudoterminal."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._seen = b""

    def read_until(self, text: str) -> None:
        while text.encode() not in self._seen:
            assert self._read(), self._seen

    def read_to_the_end(self) -> str:
        while self._read():
            pass
        return self._seen.decode()

    def write(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def _read(self) -> bool:
        try:
            chunk = os.read(self._descriptor, 65536)
        except OSError:  # the last process has closed the terminal
            return False
        self._seen += chunk
        return bool(chunk)


@contextmanager
def on_a_terminal(project: SmallProject, command: str) -> Generator[tuple[subprocess.Popen[str], Terminal]]:
    """Run `tandem COMMAND` on a new terminal."""
    controller, terminal = pty.openpty()
    process = project.start(command, terminal=terminal)
    os.close(terminal)
    try:
        yield process, Terminal(controller)
    finally:
        os.close(controller)


def test_pulumis_live_display_is_shown_on_a_terminal(project: SmallProject) -> None:
    project.write('Item("a", sleep_s=2)')
    with on_a_terminal(project, "up") as (process, terminal):
        text = terminal.read_to_the_end()
    assert process.wait(60) == 0, text
    assert "\x1b[" in text  # colours and overwritten lines
    assert "creating (" in text  # the elapsed seconds of a running step
    assert "1 created" not in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).split("Resources:")[0]


@pytest.fixture
def other_backend(tmp_path: Path) -> SmallProject:
    """A stack in a backend other than the project's."""
    project = SmallProject.copy(tmp_path / "project")
    project.stack = "prod"
    backend = tmp_path / "backend"
    backend.mkdir()
    project.environment = {"PULUMI_BACKEND_URL": backend.as_uri(), "PULUMI_CONFIG_PASSPHRASE": "of a test"}
    project.write('Item("a", value="one"); pulumi.export("word", "said")')
    return project


def init(project: SmallProject) -> None:
    pulumi = str(find_cli(os.environ) / "pulumi")
    environment = {**os.environ, **project.environment}
    subprocess.run([pulumi, "stack", "init", "prod"], cwd=project.folder, env=environment, check=True)


def test_a_missing_stack_is_not_created_implicitly(other_backend: SmallProject) -> None:
    output = other_backend.fail("up", "--yes")
    assert "there is no stack prod" in output
    assert "stack init prod" in output


def test_a_wrong_passphrase_is_explained(other_backend: SmallProject) -> None:
    other_backend.write('pulumi.export("word", pulumi.Output.secret("hidden"))')
    init(other_backend)
    other_backend.succeed("up", "--yes")
    other_backend.environment["PULUMI_CONFIG_PASSPHRASE"] = "wrong"
    assert "was made with another passphrase" in other_backend.fail("outputs", "--show-secrets")


def test_a_stack_in_another_backend_is_deployed_with_the_yes_option(other_backend: SmallProject) -> None:
    init(other_backend)
    assert "--yes" in other_backend.fail("up")
    assert other_backend.done() == []
    assert "2 created" in other_backend.succeed("up", "--yes")
    assert other_backend.succeed("outputs", "word") == "said\n"
    assert not (other_backend.folder / ".tandem").exists()
    assert "2 deleted" in other_backend.succeed("destroy", "--yes")


def test_on_a_terminal_pulumi_shows_a_preview_and_asks_for_confirmation(other_backend: SmallProject) -> None:
    init(other_backend)
    with on_a_terminal(other_backend, "up") as (process, terminal):
        terminal.read_until("Do you want to perform this update?")
        assert other_backend.done() == []
        terminal.write("yes\r")
        assert "created" in terminal.read_to_the_end()
    assert process.wait(60) == 0
    assert other_backend.done() == ["create a"]


def test_the_lock_of_a_running_up_can_be_cancelled(project: SmallProject) -> None:
    project.write('Item("a", sleep_s=60)')
    process = project.start("up")
    project.wait_for_call("begin", "create", "a")
    try:
        assert "locked" in project.fail("up")
        project.succeed("cancel")
        assert not list(project.workspace.backend.rglob("locks/**/*.json"))
    finally:
        kill_all(process)
