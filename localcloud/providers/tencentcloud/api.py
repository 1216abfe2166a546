"""Calls of the Tencent Cloud API through the official Python SDK, with retries and waits."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from tencentcloud.common import credential
from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from localcloud.providers.errors import ProviderError
from localcloud.providers.tencentcloud.endpoint import Endpoint
from localcloud.providers.values import Properties

_Found = TypeVar("_Found")

_VERSIONS: Final = {
    "vpc": "2017-03-12",
    "cvm": "2017-03-12",
    "cbs": "2017-03-12",
    "tag": "2018-08-13",
    "monitor": "2018-07-24",
    "dnspod": "2021-03-23",
}
# The real provider (terraform-provider-tencentcloud 1.82.42) retries these codes, and codes with one of these before
# the first dot.
_BUSY: Final = frozenset(
    {
        "RequestLimitExceeded",
        "ResourceInUse",
        "ResourceUnavailable",
        "ResourceBusy",
        "InvalidParameter.ActionInProgress",
        "OperationDenied.InstanceStatusLimitError",
        "OperationDenied.MutexTaskRunning",
        "DesOperation.MutexTaskRunning",
    }
)
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 2.0
_BUSY_FOR_S: Final = 60.0
_NETWORK_ATTEMPTS: Final = 3


class ApiError(ProviderError):
    def __init__(self, action: str, code: str, message: str, request_id: str) -> None:
        super().__init__(f"{action}: [{code}] {message} (RequestId {request_id or 'none'})")
        self.code = code

    @property
    def missing(self) -> bool:
        return "NotFound" in self.code or self.code == "InvalidParameter.RecordIdInvalid"


class Api:
    """A thread-safe client. Each thread has separate connections."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.region = endpoint.region
        self._endpoint = endpoint
        self._local = threading.local()

    def call(self, service: str, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return `Response`. Retries while the API is busy. Raises: ApiError, or ProviderError without a response."""
        given = {key: value for key, value in parameters.items() if value is not None}
        deadline = time.monotonic() + _BUSY_FOR_S
        pause = _FIRST_PAUSE_S
        attempt = 1
        while True:
            try:
                return self._client(service).call_json(action, given)["Response"]
            except TencentCloudSDKException as error:
                code = str(error.get_code() or "")
                if code == "ClientNetworkError" or code.startswith("ServerNetworkError"):
                    self._forget(service)
                    if attempt >= _NETWORK_ATTEMPTS or not _repeatable(action, given):
                        raise ProviderError(_no_response(action, self._endpoint.host(service), error)) from error
                    attempt += 1
                elif not _is_busy(code) or time.monotonic() > deadline:
                    message, request_id = str(error.get_message()), str(error.get_request_id() or "")
                    raise ApiError(action, code, message, request_id) from error
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    def vpc(self, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        return self.call("vpc", action, parameters)

    def cvm(self, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        return self.call("cvm", action, parameters)

    def find_response(self, service: str, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return `Response`, empty if the API reports that the resource does not exist."""
        try:
            return self.call(service, action, parameters)
        except ApiError as error:
            if error.missing:
                return {}
            raise

    def rows(self, service: str, action: str, key: str, /, **parameters: Any) -> list[dict[str, Any]]:
        """Return a list of a Describe response, empty if the API reports that the resource does not exist."""
        return self.find_response(service, action, parameters).get(key) or []

    def find(self, service: str, action: str, key: str, /, **parameters: Any) -> dict[str, Any] | None:
        return next(iter(self.rows(service, action, key, **parameters)), None)

    def _client(self, service: str) -> CommonClient:
        clients: dict[str, CommonClient] = self._local.__dict__.setdefault("clients", {})
        if service not in clients:
            # By default the SDK trusts only certifi; the bundle in these variables includes the CA of localcloud.
            bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("SSL_CERT_FILE")
            http = HttpProfile(
                protocol=self._endpoint.protocol, endpoint=self._endpoint.host(service), certification=bundle
            )
            profile = ClientProfile(httpProfile=http, language="en-US", request_client="localcloud-provider")
            identity = credential.Credential(self._endpoint.secret_id, self._endpoint.secret_key)
            clients[service] = CommonClient(service, _VERSIONS[service], identity, self.region, profile)
        return clients[service]

    def _forget(self, service: str) -> None:
        self._local.__dict__.setdefault("clients", {}).pop(service, None)


def wait_until(what: str, check: Callable[[], _Found], *, timeout_s: float) -> _Found:
    """Poll with increasing pauses until `check` returns a true value. Raises: ProviderError at the deadline."""
    deadline = time.monotonic() + timeout_s
    pause = _FIRST_PAUSE_S
    while not (found := check()):
        if time.monotonic() > deadline:
            raise ProviderError(f"timed out after {timeout_s:.0f} s waiting for {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE_S)
    return found


def ignore_missing(action: Callable[[], Any]) -> None:
    """Call `action` and ignore the error of a resource that does not exist."""
    try:
        action()
    except ApiError as error:
        if not error.missing:
            raise


def deleting(
    service: str, action: str, parameters: Callable[[str], Mapping[str, Any]]
) -> Callable[[Api, str, Properties], None]:
    """Return the delete function of a type that one call deletes; `parameters` returns those for an ID."""
    return lambda api, resource_id, _outputs: ignore_missing(lambda: api.call(service, action, parameters(resource_id)))


def _no_response(action: str, host: str, error: TencentCloudSDKException) -> str:
    text = f"{action}: no response from {host}: {error.get_message()}"
    if action.startswith("Describe"):
        return text
    return f"{text}\n  the call may have been executed: check its result in the cloud before the next run"


def _repeatable(action: str, parameters: Mapping[str, Any]) -> bool:
    """Whether repeating the call has no further effect."""
    return action.startswith(("Describe", "Modify")) or "ClientToken" in parameters


def _is_busy(code: str) -> bool:
    return code in _BUSY or code.split(".", 1)[0] in _BUSY
