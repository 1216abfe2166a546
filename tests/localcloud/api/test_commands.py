"""`localcloud api` and what an operator asks of it, as a person types it."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import typer
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from typer.testing import CliRunner

from localcloud.api.schema import schema
from localcloud.commands.api import app, fault_api
from localcloud.main import app as localcloud
from tests.localcloud.api.process import ApiProcess

_fault = typer.Typer()
_fault.command("api")(fault_api)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    process = ApiProcess(tmp_path_factory.mktemp("api"), ("--http", "127.0.0.1:0"))
    process.start()
    yield process
    assert process.stop() == 0


def _say(api: ApiProcess, *words: str) -> str:
    said = CliRunner().invoke(app, [*words, "--control", str(api.home / "state.sqlite.sock")])
    assert said.exit_code == 0, said.output
    return said.output


def _fail(api: ApiProcess, *words: str) -> None:
    said = CliRunner().invoke(_fault, [*words, "--control", str(api.home / "state.sqlite.sock")])
    assert said.exit_code == 0, said.output


def test_ready_is_said_with_the_addresses(api: ApiProcess) -> None:
    assert api.addresses[0].startswith("127.0.0.1:")
    assert api.addresses[1].endswith("state.sqlite.sock")


def test_the_state_and_the_socket_are_the_owners_alone(api: ApiProcess) -> None:
    for name in ("state.sqlite", "state.sqlite.sock"):
        assert (api.home / name).stat().st_mode & 0o077 == 0


def test_a_fault_for_no_action_is_refused_with_where_to_look(api: ApiProcess) -> None:
    said = CliRunner().invoke(_fault, ["vpc:CreateVcp", "--control", str(api.home / "state.sqlite.sock")])
    assert said.exit_code == 1
    assert "'vpc:CreateVcp' fits no action; `localcloud actions` lists them" in said.output


def test_a_fault_that_the_operator_sets_strikes_a_client(api: ApiProcess) -> None:
    _fail(api, "vpc:DescribeVpcs", "--code", "InternalError", "--times", "1")
    with pytest.raises(TencentCloudSDKException, match="InternalError"):
        api.call("vpc:DescribeVpcs")
    api.call("vpc:DescribeVpcs")
    _fail(api, "*", "--code", "InternalError", "--times", "0")
    _fail(api, "clear")
    api.call("vpc:DescribeVpcs")


def test_the_log_shows_what_was_asked(api: ApiProcess) -> None:
    api.call("vpc:DescribeVpcs", Limit="7")
    last = json.loads(_say(api, "log", "--json", "--last", "1"))
    assert (last["service"], last["action"], last["error"]) == ("vpc", "DescribeVpcs", "")
    assert last["parameters"] == {"Limit": "7"}
    assert "vpc:DescribeVpcs ok" in _say(api, "log", "--last", "1")


def test_the_status_of_a_lone_api_counts_its_records(api: ApiProcess) -> None:
    api.call("vpc:CreateVpc", VpcName="counted", CidrBlock="10.9.0.0/16")
    control = ("--control", str(api.home / "state.sqlite.sock"))
    told = CliRunner().invoke(localcloud, ["status", "--json", *control])
    assert json.loads(told.output)["records"]["Vpc"] >= 1
    said = CliRunner().invoke(localcloud, ["status", *control])
    assert "is up for" in said.output
    assert " Vpc\n" in said.output


def test_the_log_follows(api: ApiProcess) -> None:
    control = str(api.home / "state.sqlite.sock")
    command = [sys.executable, "-m", "localcloud.main", "log", "--follow", "--last", "0", "--json"]
    with subprocess.Popen([*command, "--control", control], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        time.sleep(1.0)
        deadline = time.monotonic() + 10
        api.call("vpc:DescribeSubnets")
        while json.loads(process.stdout.readline())["action"] != "DescribeSubnets":
            assert time.monotonic() < deadline
        process.terminate()


def test_reset_forgets_what_there_was(api: ApiProcess) -> None:
    api.call("vpc:CreateVpc", VpcName="v", CidrBlock="10.0.0.0/16")
    _say(api, "reset", "--yes")
    assert api.call("vpc:DescribeVpcs")["TotalCount"] == 0


def test_a_cloud_that_is_not_there_is_an_error_that_says_where_it_looked(tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["log", "--control", str(tmp_path / "nothing.sock")])
    assert said.exit_code == 1
    assert "nothing.sock" in said.output


@pytest.mark.parametrize("words", [["api"], ["api", "--http", "8080"], ["api", "--http", ":0", "--credentials", "x"]])
def test_options_that_cannot_be_are_refused(words: list[str]) -> None:
    assert CliRunner().invoke(app, words).exit_code == 2


def test_bytes_that_are_no_request_never_get_a_status_of_500(api: ApiProcess) -> None:
    chance = random.Random(7)
    names = ["Authorization", "X-TC-Action", "X-TC-Version", "X-TC-Timestamp", "X-TC-Region", "Content-Type"]
    with httpx.Client(base_url=f"http://{api.addresses[0]}") as client:
        for _ in range(200):
            length = chance.choice([0, 1, 10, 1000])
            headers = {name: "".join(chance.choices("abc/=,; 019-", k=chance.randrange(60))) for name in names}
            kept = {name: value.strip() for name, value in headers.items() if chance.random() < 0.7}
            path = chance.choice(["/", "/x", "/?a=b", "/%00", "//"])
            method = chance.choice(["GET", "POST", "PUT", "OPTIONS", "BREW"])
            answer = client.request(method, path, headers=kept, content=chance.randbytes(length))
            assert answer.status_code == 200
            assert "Error" in answer.json()["Response"]


def test_every_model_of_the_sdk_is_read_as_python_would_read_it() -> None:
    """The schema is cut out of the SDK's text; here the SDK is imported and asked."""
    from tencentcloud.tag.v20180813 import models  # noqa: PLC0415 - takes a second, for this test alone

    read = schema("tag", "2018-08-13")
    names = [name for name, value in vars(models).items() if isinstance(value, type) and name != "AbstractModel"]
    assert len(names) > 50
    for name in names:
        members = {at[1:] for at in vars(getattr(models, name)()) if at != "_headers"}
        assert set(read.members(name)) == members, name
