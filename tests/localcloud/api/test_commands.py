"""`localcloud api` and its control commands, as an operator types them."""

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
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from typer.testing import CliRunner

from localcloud.api.schema import schema
from localcloud.main import app
from tests.localcloud.api.process import ApiProcess


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    process = ApiProcess(tmp_path_factory.mktemp("api"), ("--http", "127.0.0.1:0"))
    process.start()
    yield process
    assert process.stop() == 0


def _run(api: ApiProcess, *words: str) -> str:
    said = CliRunner().invoke(app, [*words, "--control", str(api.home / "state.sqlite.sock")])
    assert said.exit_code == 0, said.output
    return said.output


def _inject(api: ApiProcess, *words: str) -> None:
    said = CliRunner().invoke(app, ["fault", "api", *words, "--control", str(api.home / "state.sqlite.sock")])
    assert said.exit_code == 0, said.output


def test_ready_is_printed_with_the_addresses(api: ApiProcess) -> None:
    assert api.addresses[0].startswith("127.0.0.1:")
    assert api.addresses[1].endswith("state.sqlite.sock")


def test_only_the_owner_can_access_the_state_and_the_socket(api: ApiProcess) -> None:
    for name in ("state.sqlite", "state.sqlite.sock"):
        assert (api.home / name).stat().st_mode & 0o077 == 0


def test_a_fault_for_an_unknown_action_is_refused_with_a_reference(api: ApiProcess) -> None:
    said = CliRunner().invoke(app, ["fault", "api", "vpc:CreateVcp", "--control", str(api.home / "state.sqlite.sock")])
    assert said.exit_code == 1
    assert "'vpc:CreateVcp' matches no action; see `localcloud actions`" in said.output


def test_an_injected_fault_affects_a_client(api: ApiProcess) -> None:
    _inject(api, "vpc:DescribeVpcs", "--code", "InternalError", "--times", "1")
    with pytest.raises(TencentCloudSDKException, match="InternalError"):
        api.call("vpc:DescribeVpcs")
    api.call("vpc:DescribeVpcs")
    _inject(api, "*", "--code", "InternalError", "--times", "0")
    _inject(api, "clear")
    api.call("vpc:DescribeVpcs")


def test_the_log_shows_the_requests(api: ApiProcess) -> None:
    api.call("vpc:DescribeVpcs", Limit="7")
    last = json.loads(_run(api, "log", "--json", "--last", "1"))
    assert (last["service"], last["action"], last["error"]) == ("vpc", "DescribeVpcs", "")
    assert last["parameters"] == {"Limit": "7"}
    assert "vpc:DescribeVpcs ok" in _run(api, "log", "--last", "1")


def test_the_status_of_an_api_counts_its_records(api: ApiProcess) -> None:
    api.call("vpc:CreateVpc", VpcName="counted", CidrBlock="10.9.0.0/16")
    control = ("--control", str(api.home / "state.sqlite.sock"))
    told = CliRunner().invoke(app, ["status", "--json", *control])
    assert json.loads(told.output)["records"]["Vpc"] >= 1
    said = CliRunner().invoke(app, ["status", *control])
    assert "is up for" in said.output
    assert " Vpc\n" in said.output


def test_log_follow_prints_new_requests(api: ApiProcess) -> None:
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


def test_reset_deletes_all_records(api: ApiProcess) -> None:
    api.call("vpc:CreateVpc", VpcName="v", CidrBlock="10.0.0.0/16")
    _run(api, "reset", "--yes")
    assert api.call("vpc:DescribeVpcs")["TotalCount"] == 0


def test_a_missing_cloud_is_reported_with_the_path_of_its_socket(tmp_path: Path) -> None:
    said = CliRunner().invoke(app, ["log", "--control", str(tmp_path / "nothing.sock")])
    assert said.exit_code == 1
    assert "nothing.sock" in said.output


@pytest.mark.parametrize("words", [["api"], ["api", "--http", "8080"], ["api", "--http", ":0", "--credentials", "x"]])
def test_invalid_options_are_refused(words: list[str]) -> None:
    assert CliRunner().invoke(app, words).exit_code == 2


def test_malformed_requests_never_get_status_500(api: ApiProcess) -> None:
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


def test_every_model_of_the_sdk_is_parsed_as_python_imports_it() -> None:
    """The schema is extracted from the SDK's text; this test imports the SDK and compares."""
    from tencentcloud.tag.v20180813 import models  # noqa: PLC0415 - takes a second, used only by this test

    read = schema("tag", "2018-08-13")
    names = [name for name, value in vars(models).items() if isinstance(value, type) and name != "AbstractModel"]
    assert len(names) > 50
    for name in names:
        members = {at[1:] for at in vars(getattr(models, name)()) if at != "_headers"}
        assert set(read.members(name)) == members, name
