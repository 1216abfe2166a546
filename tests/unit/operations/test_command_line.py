"""The command line as a whole: help, exit codes, errors without markup or traceback, completion, `init`."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from rich.console import Console
from typer.main import get_group

from operations.commands import app
from operations.errors import OperationError, SettingsRefusedError, UsageError
from operations.main import describe_bug, describe_system_error, exit_code_of, fail_with, find_stack, order_ssh
from operations.messages import print_error
from operations.new_stack import make_answers, render, write
from operations.options import reporter
from operations.program import check_settings
from operations.stack_names import INSIDE, name_stack, name_stack_in
from operations.workspace import PROJECT_ROOT
from provisioning.health.results import HealthReport, fail
from settings import yaml_files
from settings.check import Checked, check_file, find_files
from settings.load import Stack, parse
from settings.problems import SettingsError


def all_commands() -> Iterator[tuple[str, click.Command]]:
    def walk(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
        children: Mapping[str, click.Command] = getattr(command, "commands", {})
        if not children:
            yield name, command
        for word, child in children.items():
            yield from walk(f"{name} {word}", child)

    yield from walk("tandem", get_group(app))  # pyright: ignore[reportArgumentType] - Typer's own copy of click


COMMANDS = dict(all_commands())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_with_an_example_of_itself(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    assert re.search(rf"^\s+{re.escape(name)}\b", command.epilog or "", re.MULTILINE), command.epilog


def tandem(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    # LOCALCLOUD_NAME, which a minimal system sets, makes each stack one on that cloud.
    inherited = {name: value for name, value in os.environ.items() if name != "LOCALCLOUD_NAME"}
    environment = {**inherited, "LOCALCLOUD_ID": "x", "NO_COLOR": "1", **variables}
    return subprocess.run(
        [sys.executable, "-m", "operations.main", *arguments], cwd=PROJECT_ROOT, env=environment, text=True,
        capture_output=True, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_wrong_usage_is_exit_code_2_and_help_is_0() -> None:
    assert tandem("no-such-command").returncode == 2
    shown = tandem("--help")
    assert shown.returncode == 0
    assert "Exit codes: 0 success, 1 failure" in " ".join(shown.stdout.split())


def test_only_commands_that_exist_enter_localcloud() -> None:
    """Otherwise a misspelled command would start, or ask for, a cloud that it does not need."""
    names = {name.split()[1] for name in COMMANDS}
    assert names - INSIDE == {"outputs", "init", "config"}
    assert names >= INSIDE
    wrong = tandem("no-such-command", LOCALCLOUD_ID="", LOCALCLOUD_NAME="none")
    assert (wrong.returncode, "No such command" in wrong.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param("restore --empty --at x --stack staging", "--empty cannot be combined with", id="contradiction"),
        pytest.param("drill nosuch --stack staging", "got nosuch", id="unknown fault"),
        pytest.param("drill nginx-stop --on data --stack staging", "tandem drill --list", id="no such case"),
    ],
)
def test_wrong_arguments_are_wrong_usage(arguments: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        app(arguments.split(), standalone_mode=False)


@pytest.mark.parametrize(
    "arguments",
    [
        "up -ys prod", "up -y -s prod", "logs -fs prod", "logs -fsprod", "up --stack=prod", "logs -fn 50 -s prod",
        "up -yt urn -s prod", "report -o -y -s prod",
    ],
)  # fmt: skip
def test_the_stack_is_found_behind_other_options(arguments: str) -> None:
    """Otherwise `up -ys prod` would enter localcloud and deploy prod there."""
    assert find_stack(arguments.split()) == "prod"


def test_every_short_flag_may_stand_before_that_of_the_stack() -> None:
    flags = {
        option
        for command in COMMANDS.values()
        for parameter in command.params
        if getattr(parameter, "is_flag", False)
        for option in parameter.opts
        if re.fullmatch(r"-\w", option)
    }
    assert flags == {"-y", "-f"}


def test_a_stack_without_a_name_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="--stack must be followed by the name of a stack"):
        find_stack(["status", "--stack"])


def test_a_question_without_a_terminal_says_what_to_do() -> None:
    command = [sys.executable, "-c", "from operations.options import confirm; confirm('Go on?')"]
    done = subprocess.run(
        command, cwd=PROJECT_ROOT, text=True, capture_output=True, check=False, stdin=subprocess.DEVNULL
    )
    assert "OperationError: not confirmed; nothing was changed\n  without a terminal, use --yes" in done.stderr


def test_an_error_of_the_host_is_not_reported_as_a_bug() -> None:
    missing = FileNotFoundError(2, "No such file or directory", "/nowhere/local.html")
    assert describe_system_error(missing).startswith("/nowhere/local.html: No such file or directory\n")
    full = OSError(28, "No space left on device")
    assert describe_system_error(full).startswith("reading or writing failed: No space left on device\n")


def test_shells_can_complete_commands() -> None:
    shown = tandem(_TANDEM_COMPLETE="complete_bash", COMP_WORDS="tandem pre", COMP_CWORD="1")
    assert shown.stdout.split() == ["preview"]


def test_completion_is_installed_for_the_shell_that_runs_the_command(tmp_path: Path) -> None:
    environment = {**os.environ, "LOCALCLOUD_ID": "x", "HOME": str(tmp_path), "PYTHON": sys.executable}
    # `true`: bash replaces itself by its last command.
    command = ["bash", "-c", '"$PYTHON" -m operations.main --install-completion; true']
    subprocess.run(command, cwd=PROJECT_ROOT, env=environment, capture_output=True, check=True)
    assert any("_TANDEM_COMPLETE" in file.read_text() for file in tmp_path.rglob("*") if file.is_file())


def test_the_faults_of_a_drill_are_listed_without_a_deployment() -> None:
    shown = tandem("drill", "--list")
    assert shown.returncode == 0
    assert {"nginx-kill", "power-off"} <= set(shown.stdout.split())


def test_the_doctor_checks_the_account_before_the_stack_exists(tmp_path: Path) -> None:
    nowhere = {"PULUMI_BACKEND_URL": tmp_path.as_uri(), "PULUMI_CONFIG_PASSPHRASE": "x", "PULUMI_HOME": str(tmp_path)}
    shown = tandem("doctor", "--stack", "staging", TENCENTCLOUD_SECRET_ID="", **nowhere)
    assert shown.returncode == 1
    lines = [" ".join(line.strip("│").split()) for line in shown.stdout.splitlines()]
    assert any(" stack │" in line for line in lines), shown.stdout
    assert any("credentials │ not set" in line for line in lines), shown.stdout


@pytest.mark.parametrize("text", ["a [bold]value[/bold]", "unbalanced [/red]", "path [/etc/x] [0m"])
def test_an_error_is_printed_as_it_is(text: str) -> None:
    console = Console(file=io.StringIO(), width=40)
    print_error(OperationError(text), console)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == f"error: {text}\n"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("tandem undrain iam-b", "tandem undrain --stack prod iam-b"),
        ("if it has ended, `tandem unlock`", "if it has ended, `tandem unlock --stack prod`"),
        ("`tandem up`; tandem up --force", "`tandem up --stack prod`; tandem up --stack prod --force"),
        ("tandem up --stack prod", "tandem up --stack prod"),
        ("tandem replace iam-b --stack prod", "tandem replace iam-b --stack prod"),
        ("tandem config check; /bin/tandem up; tandem upgrade", "tandem config check; /bin/tandem up; tandem upgrade"),
    ],
)  # fmt: skip
def test_a_command_in_a_message_can_be_copied(text: str, named: str) -> None:
    assert name_stack(text, "prod") == named
    assert name_stack(text, "local") == text
    (result,) = name_stack_in(HealthReport((fail("iam-b", "x", "y", text),)), "prod").results
    assert result.look_at == named
    assert COMMANDS["tandem undrain"].make_context("undrain", ["--stack", "prod", "iam-b"]).params["stack"] == "prod"


def test_a_reported_line_names_the_stack(capsys: pytest.CaptureFixture[str]) -> None:
    reporter("prod")("iam-a stays drained until `tandem switchover --back`")
    assert capsys.readouterr().out == "iam-a stays drained until `tandem switchover --stack prod --back`\n"


def test_an_error_names_the_stack_of_its_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        fail_with(OperationError("look at: tandem health"), ["status", "-s", "prod"])
    assert capsys.readouterr().err == "error: look at: tandem health --stack prod\n"
    with pytest.raises(SystemExit):
        fail_with(UsageError("--stack must be followed"), ["status", "--stack"])


def test_an_unforeseen_error_is_one_sentence() -> None:
    assert describe_bug(KeyError("x")).splitlines() == [
        "KeyError: 'x'", "  this is a bug of Tandem; TANDEM_DEBUG=1 shows where it happened",
    ]  # fmt: skip


def test_the_stack_of_a_remote_command_is_not_taken_from_its_arguments() -> None:
    assert find_stack(["ssh", "iam-a", "--stack", "prod", "--", "x", "-s", "y"]) == "prod"
    assert find_stack(["ssh", "iam-a", "--", "systemctl", "-s", "y"]) == "local"
    assert find_stack(["ssh", "iam-a", "systemctl", "-s", "y"]) == "local"


@pytest.mark.parametrize(
    ("given", "ordered"),
    [
        ("iam-a --stack prod", "--stack prod iam-a"),
        ("iam-a -s prod ls -s /etc", "-s prod iam-a ls -s /etc"),
        ("iam-a --stack=prod -- ls", "--stack=prod iam-a -- ls"),
        ("--stack prod iam-a ls --stack x", "--stack prod iam-a ls --stack x"),
        ("--help", "--help"),
        ("", ""),
    ],
)
def test_the_stack_may_follow_the_node_of_ssh(given: str, ordered: str) -> None:
    arguments = order_ssh(["ssh", *given.split()])
    assert arguments == ["ssh", *ordered.split()]
    if "iam-a" in given:
        context = COMMANDS["tandem ssh"].make_context("ssh", arguments[1:])
        assert context.params["stack"] == ("prod" if "prod" in given else "local")


# ---- config check ----------------------------------------------------------------------------------------------------


def check(tmp_path: Path, config: Mapping[str, Any] | str) -> Checked:
    file = tmp_path / "Pulumi.test.yaml"
    text = config if isinstance(config, str) else yaml.safe_dump({"config": config})
    file.write_text(text, encoding="latin-1")
    return check_file(file)


def local_config() -> dict[str, Any]:
    return yaml.safe_load((PROJECT_ROOT / "stacks" / "Pulumi.local.yaml").read_text())["config"]


def test_the_provided_stacks_need_only_the_release_of_prod() -> None:
    checked = [check_file(file) for file in find_files(PROJECT_ROOT / "stacks")]
    assert len(checked) >= 3
    problems = {(Path(each.file).name, problem.key) for each in checked for problem in each.problems}
    assert problems == {("Pulumi.prod.yaml", "tandem:iam.release")}


def test_all_problems_of_a_file_are_reported_together(tmp_path: Path) -> None:
    config = {**local_config(), "tendem:x": 1, "tandem:virtualIp": {"address": "10.9.9.9"}, "tandem:nginxx": {}}
    keys = [problem.key for problem in check(tmp_path, config).problems]
    assert keys == ["tendem:x", "tandem:nginxx", "tandem:virtualIp.address"]


def test_an_encrypted_value_is_not_judged(tmp_path: Path) -> None:
    given = {"mariadbPassword": {"secure": "v1:abc"}, "redisPassword": {"secure": "v1:abc"}}
    data = {"location": "external", "mariadbAddress": "10.0.9.1:3306", "redisAddress": "10.0.9.2:6379"}
    checked = check(tmp_path, {**local_config(), "tandem:data": data, "tandem:credentials": {"given": given}})
    assert checked.problems == ()
    assert len(checked.encrypted) == 2


def test_encrypted_values_in_lists_and_below_any_name_are_not_judged(tmp_path: Path) -> None:
    secret = {"secure": "v1:abc"}
    receivers = {"webhooks": [{"url": secret}, {"url": secret, "authorization": secret}], "wecom": {"url": secret}}
    users = {"basicAuth": {"staff": {"alice@example.com": secret}}}
    checked = check(tmp_path, {**local_config(), "tandem:notifications": receivers, "tandem:credentials": users})
    assert checked.problems == ()
    assert len(checked.encrypted) == 5


def test_a_problem_beside_an_encrypted_value_is_reported(tmp_path: Path) -> None:
    secret = {"secure": "v1:abc"}
    given = {"redisPassword": secret, "mariadbPasword": secret}
    server = {"certificate": "-----BEGIN CERTIFICATE-----\nnone", "privateKey": secret}
    config = {**local_config(), "tandem:credentials": {"given": given}}
    assert [each.key for each in check(tmp_path, config).problems] == ["tandem:credentials.given.mariadbPasword"]
    config = {**local_config(), "tandem:credentials": {"server": server, "basicAuth": {"staff": {"alice": secret}}}}
    assert [each.key for each in check(tmp_path, config).problems] == ["tandem:credentials.server.certificate"]


def test_a_secret_in_plain_text_is_a_problem(tmp_path: Path) -> None:
    config = {**local_config(), "tandem:credentials": {"given": {"redisPassword": "plain-text-password"}}}
    assert "must be encrypted" in check(tmp_path, config).problems[0].text
    assert "plain-text-password" not in str(check(tmp_path, config).problems)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(
            "config:\n  a: 1\n  a: 2\n", 'the key a is given more than once in "FILE", line 2', id="a repeated key"
        ),
        pytest.param("config: [\n", "while parsing", id="no YAML"),
        pytest.param("config:\n  a: \x96\n", "must be text in UTF-8", id="not UTF-8"),
        pytest.param("name: x\n", "must have the mapping `config:`", id="no config"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path, text: str, problem: str) -> None:
    (found,) = check(tmp_path, text).problems
    assert problem.replace("FILE", str(tmp_path / "Pulumi.test.yaml")) in found.text


def test_a_missing_file_is_a_problem(tmp_path: Path) -> None:
    (found,) = check_file(tmp_path / "Pulumi.none.yaml").problems
    assert found.text == "does not exist"


def test_a_folder_instead_of_a_file_is_a_problem(tmp_path: Path) -> None:
    (found,) = check_file(tmp_path).problems
    assert found.text == "cannot be read: Is a directory"


def test_config_check_needs_no_engine_and_exits_with_1(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.test.yaml"
    file.write_text(yaml.safe_dump({"config": {**local_config(), "tandem:nginxx": {}}}))
    shown = tandem("config", "check", str(file), PATH="/nonexistent")
    assert (shown.returncode, shown.stderr) == (1, "")
    assert "tandem:nginxx  is not a known key; did you mean nginx?" in shown.stdout
    assert tandem("config", "check", "stacks/Pulumi.local.yaml", PATH="/nonexistent").returncode == 0


def test_settings_are_refused_without_the_engine_in_the_words_of_the_program(tmp_path: Path) -> None:
    file = tmp_path / "other.yaml"
    wrong = {**local_config(), "tandem:virtualIp": {"address": "10.9.9.9"}, "tandem:nginxx": {}}
    file.write_text(yaml.safe_dump({"config": {**wrong, "random:x": "a key that the program does not read"}}))
    with pytest.raises(SettingsRefusedError) as refused:
        check_settings("test", {"TANDEM_CONFIG_FILE": str(file), "LOCALCLOUD_NAME": "default"})
    raw = {key.removeprefix("tandem:"): value for key, value in wrong.items() if key.startswith("tandem:")}
    with pytest.raises(SettingsError) as reported:
        parse(Stack("tandem", "test", "ap-guangzhou", str(file)), raw)
    assert str(refused.value) == str(reported.value)


def test_the_settings_of_another_file_are_not_judged_for_a_stack_on_tencent_cloud(tmp_path: Path) -> None:
    file = tmp_path / "other.yaml"
    file.write_text(yaml.safe_dump({"config": {"tandem:nginxx": {}}}))
    check_settings("staging", {"TANDEM_CONFIG_FILE": str(file)})
    with pytest.raises(SettingsRefusedError):
        check_settings("local", {"TANDEM_CONFIG_FILE": str(file)})


def test_settings_with_an_environment_are_left_to_the_program(tmp_path: Path) -> None:
    """Pulumi adds its values, and may decrypt others."""
    file = tmp_path / "other.yaml"
    file.write_text(yaml.safe_dump({"environment": ["company"], "config": {"tandem:nginxx": {}}}))
    check_settings("local", {"TANDEM_CONFIG_FILE": str(file)})


def test_encrypted_values_are_left_to_the_program(tmp_path: Path) -> None:
    file = tmp_path / "other.yaml"
    config = {**local_config(), "tandem:notifications": {"webhooks": [{"url": {"secure": "v1:abc"}}]}}
    file.write_text(yaml.safe_dump({"config": config}))
    check_settings("local", {"TANDEM_CONFIG_FILE": str(file)})


def test_words_and_times_are_read_as_pulumi_reads_them(tmp_path: Path) -> None:
    text = "config:\n  a:\n  - off\n  - yes\n  - 12:30\n  - true\n  - 12\n  - 0\n  - -3\n"
    file = tmp_path / "Pulumi.test.yaml"
    file.write_text(text)
    assert yaml_files.read(file)["config"]["a"] == ["off", "yes", "12:30", True, 12, 0, -3]


def test_the_engine_may_start_with_valid_settings_of_a_stack_of_any_organization() -> None:
    check_settings("local", {})
    with pytest.raises(SettingsRefusedError, match=r"^stacks/Pulumi\.none\.yaml has 1 problem:\n.*does not exist"):
        check_settings("company/none", {})


# ---- init ------------------------------------------------------------------------------------------------------------

GOOD: dict[str, Any] = {
    "name": "demo", "region": "ap-guangzhou", "zone": "ap-guangzhou-6", "image": "img-1234abcd",
    "instance_type": "S5.MEDIUM2", "subnet": "10.3.4.0/24", "nodes": ["web-a", "web-b", "web-c"], "access": "bastion",
    "admin_cidrs": ["198.51.100.0/24"], "domains": ("api.example.com", "authz.example.com"),
}  # fmt: skip
WRONG: dict[str, Any] = {"name": "Demo!", "subnet": "10.3.4.0/30", "access": "vpn", "admin_cidrs": ["here"]}


@pytest.mark.parametrize("access", ["bastion", "public", "direct"])
@pytest.mark.parametrize("subnet", ["10.3.4.0/24", "172.16.0.0/16", "192.168.4.128/25"])
def test_a_new_stack_is_valid_and_has_comments(tmp_path: Path, access: str, subnet: str) -> None:
    file = tmp_path / "Pulumi.demo.yaml"
    answers: dict[str, Any] = GOOD | {"access": access, "subnet": subnet}
    write(file, render(make_answers(**answers)))
    checked = check_file(file)
    assert checked.problems == ()
    assert checked.settings is not None
    assert [node.name for node in checked.settings.nodes.members] == GOOD["nodes"]
    assert file.read_text().count("# ") > 8
    # The settings that a production stack needs are in the file as comments.
    assert all(f"  # tandem:{key}" in file.read_text() for key in ("iam", "protect", "alarms"))


@pytest.mark.parametrize("name", ["true", "on", "null", "e1"])
def test_an_answer_stays_a_text_in_the_file(name: str) -> None:
    odd: dict[str, Any] = {"image": "[img]: 1 # x", "region": "@x", "zone": "12:30", "nodes": ["a, b", "{}"]}
    given: dict[str, Any] = {**GOOD, **odd, "name": name, "domains": ("off", "- x")}
    answers = make_answers(**given)
    config = yaml.safe_load(render(answers))["config"]
    assert config["tencentcloud:region"] == odd["region"]
    assert (config["tandem:network"]["zone"], config["tandem:nodes"]["image"]) == (odd["zone"], odd["image"])
    assert [node["name"] for node in config["tandem:nodes"]["members"]] == odd["nodes"]
    assert config["tandem:domains"] == {"api": "off", "authz": "- x"}
    assert config["tandem:tags"]["environment"] == name


def test_all_wrong_answers_are_reported_together() -> None:
    with pytest.raises(UsageError) as caught:
        make_answers(**{**GOOD, **WRONG})
    text = str(caught.value)
    assert all(word in text for word in ("NAME must", "--subnet must", "--access must", "--admin must"))


def test_without_a_terminal_a_missing_answer_is_wrong_usage() -> None:
    done = tandem("init", "demo", "--region", "ap-guangzhou")
    assert done.returncode == 2
    assert "--zone" in done.stderr


def test_without_a_terminal_a_missing_network_is_wrong_usage() -> None:
    others = [f"--{option}=x" for option in ("region", "zone", "image", "api-domain", "authz-domain")]
    done = tandem("init", "demo", *others)
    assert (done.returncode, "--admin" in done.stderr) == (2, True)


def test_on_a_terminal_every_question_can_be_answered() -> None:
    controller, terminal = pty.openpty()
    # The name is wrong, so that no file is written: this is reported after the last answer.
    command = [sys.executable, "-m", "operations.main", "init", "Demo!"]
    answers = "ap-guangzhou\nap-guangzhou-6\nimg-1\napi.example.com\nauthz.example.com\n198.51.100.0/24, 10.9.0.0/16\n"
    os.write(controller, answers.encode())
    done = subprocess.run(
        command, cwd=PROJECT_ROOT, stdin=terminal, capture_output=True, text=True, timeout=30, check=False
    )
    os.close(terminal)
    os.close(controller)
    assert "separated by commas" in done.stdout
    assert done.returncode == 2
    assert re.sub(r"\s+", " ", done.stderr).startswith("error: the stack was not created: NAME must be lower-case")
    assert len(done.stderr.splitlines()) == 2  # no other answer is wrong


def test_a_node_that_does_not_exist_is_wrong_usage() -> None:
    assert (exit_code_of(UsageError("NODE must be one of a, b (got c)")), exit_code_of(OperationError("x"))) == (2, 1)


def test_an_existing_stack_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.demo.yaml"
    file.write_text("mine")
    with pytest.raises(OperationError, match="exists"):
        write(file, "x")
    assert file.read_text() == "mine"
