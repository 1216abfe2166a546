"""The official Python SDK and the official command line, unchanged except for the endpoint and the CA."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import certifi
import pytest
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from localcloud import services
from localcloud.services.actions import ACTIONS, VERSIONS
from tests.localcloud.api.life_cycles import LIFE_CYCLES, Client, LifeCycle, RefusedError
from tests.localcloud.api.process import ApiProcess

services.load()


@dataclass(frozen=True)
class Sdk:
    """The typed clients: requests and responses pass through the SDK's models."""

    endpoint: str
    ca: Path

    def __call__(self, target: str, /, **parameters: Any) -> dict[str, Any]:
        service, _, action = target.partition(":")
        package = f"tencentcloud.{service}.v{VERSIONS[service].replace('-', '')}"
        models = importlib.import_module(f"{package}.models")
        module = importlib.import_module(f"{package}.{service}_client")
        http = HttpProfile(protocol="https", endpoint=self.endpoint, certification=str(self.ca), reqTimeout=10)
        client = getattr(module, f"{service.capitalize()}Client")(
            Credential("tester", "secret-of-tester"), "ap-guangzhou", ClientProfile(httpProfile=http)
        )
        request = getattr(models, f"{action}Request")()
        request.from_json_string(json.dumps(parameters))
        try:
            answer = getattr(client, action)(request)
        except TencentCloudSDKException as error:
            raise RefusedError(error.get_code() or "") from error
        return answer._serialize(allow_none=True)


@dataclass(frozen=True)
class CommandLine:
    """`tccli SERVICE ACTION --cli-input-json file://...`."""

    endpoint: str
    driver: subprocess.Popen[str]
    parameters: Path

    def __call__(self, target: str, /, **parameters: Any) -> dict[str, Any]:
        service, _, action = target.partition(":")
        self.parameters.write_text(json.dumps(parameters), encoding="utf-8")
        words = [service, action, "--cli-input-json", f"file://{self.parameters}", "--endpoint", self.endpoint]
        words += ["--secretId", "tester", "--secretKey", "secret-of-tester", "--region", "ap-guangzhou"]
        assert self.driver.stdin is not None
        assert self.driver.stdout is not None
        self.driver.stdin.write(json.dumps(words) + "\n")
        self.driver.stdin.flush()
        outcome = json.loads(self.driver.stdout.readline())
        if outcome["code"] == 0:
            return json.loads(outcome["out"])
        code = re.search(r"code:(\S+)", outcome["err"])
        assert code is not None, outcome
        raise RefusedError(code[1])


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    home = tmp_path_factory.mktemp("api")
    process = ApiProcess(home, ("--https", "127.0.0.1:0", "--ca-out", str(home / "trusted.pem")))
    process.start()
    yield process
    process.kill()


@pytest.fixture(scope="module")
def sdk(api: ApiProcess) -> Client:
    return Sdk(api.addresses[0], api.home / "trusted.pem")


def _trusting(ca: Path, home: Path) -> Path:
    """A folder for PYTHONPATH with certifi's CAs and the local CA: the command reads certifi, and no variable."""
    copy = home / "path" / "certifi"
    shutil.copytree(Path(certifi.where()).parent, copy)
    with (copy / "cacert.pem").open("a", encoding="utf-8") as bundle:
        bundle.write(ca.read_text(encoding="utf-8"))
    return copy.parent


@pytest.fixture(scope="module")
def tccli(api: ApiProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    home = tmp_path_factory.mktemp("home")
    environment = os.environ | {
        "HOME": str(home),
        "PYTHONPATH": str(_trusting(api.home / "trusted.pem", home)),
        "PYTHONWARNINGS": "ignore",
    }
    driver = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("tccli_driver.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    yield CommandLine(api.addresses[0], driver, home / "parameters.json")
    assert driver.stdin is not None
    driver.stdin.close()
    driver.wait(10)
    assert driver.stdout is not None
    driver.stdout.close()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("life", LIFE_CYCLES, ids=lambda life: life.__name__)
def test_a_resource_life_cycle_with_the_official_sdk(sdk: Client, life: LifeCycle) -> None:
    life(sdk)


# The command uses a third of a second of CPU time per call: one life cycle in CI, the others in the long run.
_BY_COMMAND = [
    pytest.param(life, marks=[pytest.mark.long] if number else [], id=life.__name__)
    for number, life in enumerate(LIFE_CYCLES)
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("life", _BY_COMMAND)
def test_a_resource_life_cycle_with_the_official_command_line(tccli: Client, life: LifeCycle) -> None:
    life(tccli)


def test_every_action_is_called_by_a_life_cycle() -> None:
    text = Path(__file__).with_name("life_cycles.py").read_text(encoding="utf-8")
    called = set(re.findall(r'"([a-z]+:[A-Z]\w+)"', text))
    uncalled = sorted(f"{service}:{name}" for service, name in ACTIONS if f"{service}:{name}" not in called)
    assert uncalled == []
