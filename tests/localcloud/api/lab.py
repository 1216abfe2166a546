"""The API in this process: called directly, or over HTTP by official clients."""

from __future__ import annotations

import base64
import contextlib
import socket
import threading
import time
import uuid
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.credential import Credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from localcloud.api.app import make_app
from localcloud.api.gateway import Gateway
from localcloud.api.request_path import find_action, run_action
from localcloud.infrastructure import Infrastructure, NoInfrastructure
from localcloud.reconcile.cloud import Cloud
from localcloud.rules.catalog import IMAGES, Image
from localcloud.rules.timing import SHORT, Timing
from localcloud.rules.transaction import AccountType
from localcloud.services.actions import VERSIONS

REGION = "ap-guangzhou"
ZONE = "ap-guangzhou-6"
SECRET_ID, SECRET_KEY = "localcloud", "localcloud-secret"


def public_key(number: int = 0) -> str:
    """A 2048-bit RSA public key without a private key, as an OpenSSH line."""
    modulus = (1 << 2047) + 2 * number + 1
    fields = (b"ssh-rsa", (65537).to_bytes(3, "big"), modulus.to_bytes(257, "big"))
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in fields)
    return f"ssh-rsa {base64.b64encode(blob).decode()} iam"


PUBLIC_KEY = public_key()


class Direct:
    """Calls a cloud's actions without HTTP: parameters in, response or ApiError out."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    def __call__(self, target: str, /, region: str = REGION, **parameters: Any) -> dict[str, Any]:
        """`call("vpc:CreateVpc", VpcName="x", CidrBlock="10.0.0.0/16")`."""
        service, _, name = target.partition(":")
        action = find_action(service, name, VERSIONS[service])
        return run_action(
            self.cloud, action, parameters, region=region, secret_id=SECRET_ID, request_id=str(uuid.uuid4())
        )

    def settle(self) -> None:
        """Wait until no work is pending."""
        wait_until_settled(self.cloud)


def wait_until_settled(cloud: Cloud, timeout_s: float = 10.0) -> None:
    """Wait until the infrastructure matches the records. Raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        status = cloud.status()
        jobs, behind = status["records"].get("Job", 0), status["network"]["changes_behind"]
        if not jobs and not behind and not status["machines"]["in_progress"]:
            return
        time.sleep(0.005)
    raise TimeoutError(f"the infrastructure does not match the records after {timeout_s} s: {cloud.status()}")


@contextlib.contextmanager
def running_cloud(
    path: Path | None = None,
    *,
    infrastructure: Infrastructure | None = None,
    timing: Timing = SHORT,
    seed: str = "0",
    images: tuple[Image, ...] = IMAGES,
    account: AccountType = "standard",
) -> Generator[Cloud]:
    """A started cloud, closed at the end."""
    cloud = Cloud(path, infrastructure or NoInfrastructure(), timing=timing, seed=seed, images=images, account=account)
    cloud.start()
    try:
        yield cloud
    finally:
        cloud.close()


@dataclass(frozen=True)
class Server:
    """The API on a port of the loopback interface."""

    cloud: Cloud
    gateway: Gateway
    port: int

    def client(self, service: str, region: str = REGION, **credentials: str) -> CommonClient:
        """The official SDK's client; only the endpoint is changed."""
        secret = Credential(credentials.get("secret_id", SECRET_ID), credentials.get("secret_key", SECRET_KEY))
        http = HttpProfile(protocol="http", endpoint=f"127.0.0.1:{self.port}", reqTimeout=10)
        return CommonClient(service, VERSIONS[service], secret, region, profile=ClientProfile(httpProfile=http))

    def call(self, target: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """One call with the SDK. Raises TencentCloudSDKException."""
        service, _, action = target.partition(":")
        return self.client(service).call_json(action, dict(parameters))["Response"]


class _Quiet(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


@contextlib.contextmanager
def serving(cloud: Cloud, *, requests_per_second: int | None = 0) -> Generator[Server]:
    """The cloud's API over HTTP, served by a thread."""
    gateway = Gateway(cloud, requests_per_second=requests_per_second)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    # The loop of the daemon: uvloop, which the program brings, has transports of another type.
    config = uvicorn.Config(make_app(gateway), loop="asyncio", log_config=None, access_log=False, lifespan="off")
    server = _Quiet(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started:
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.005)
    try:
        yield Server(cloud, gateway, listener.getsockname()[1])
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(10)
        listener.close()
