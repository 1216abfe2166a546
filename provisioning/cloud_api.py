"""Requests to Tencent Cloud's API for information that Pulumi's state does not contain."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from provisioning.cloud_calls import CallApi
from provisioning.errors import CloudApiError

_VERSIONS = {
    "vpc": "2017-03-12",
    "cvm": "2017-03-12",
    "cbs": "2017-03-12",
    "monitor": "2018-07-24",
    "dnspod": "2021-03-23",
}
# Error codes that mean an empty list.
_EMPTY = ("ResourceNotFound.NoDataOfRecord",)
# Temporary errors, and the pauses before the next attempts.
_TEMPORARY = ("RequestLimitExceeded", "ClientNetworkError", "ServerNetworkError", "InternalError")
_PAUSES_S = (0.5, 1, 2, 4, 8)


def connect(settings: Mapping[str, str]) -> CallApi:
    """Return a function that calls the API.

    `settings` are environment variables and the stack's `tencentcloud:*` settings, the same that the provider uses.
    Raises CloudApiError if a credential or the region is missing.
    """

    def find(key: str, variable: str, default: str = "") -> str:
        return settings.get(key) or settings.get(variable) or default

    given = {
        "TENCENTCLOUD_SECRET_ID": find("secretId", "TENCENTCLOUD_SECRET_ID"),
        "TENCENTCLOUD_SECRET_KEY": find("secretKey", "TENCENTCLOUD_SECRET_KEY"),
        "tencentcloud:region": find("region", "TENCENTCLOUD_REGION"),
    }
    if missing := [name for name, value in given.items() if not value]:
        raise CloudApiError(f"{', '.join(missing)} must be set to call the API")
    secret_id, secret_key, region = given.values()
    credential = Credential(secret_id, secret_key, find("securityToken", "TENCENTCLOUD_SECURITY_TOKEN") or None)
    protocol = find("protocol", "TENCENTCLOUD_PROTOCOL", "https").lower()
    domain = find("domain", "TENCENTCLOUD_DOMAIN", "tencentcloudapi.com")

    try:
        host = urlsplit(f"//{domain}").hostname or ""
        ipaddress.ip_address(host)
    except ValueError:
        endpoint = "{service}." + domain
    else:
        endpoint = domain  # an API without host names: localcloud on loopback

    # The SDK trusts only certifi's CAs by default; these variables name a bundle with others, such as localcloud's.
    bundle = settings.get("REQUESTS_CA_BUNDLE") or settings.get("SSL_CERT_FILE")

    def call(service: str, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        http = HttpProfile(protocol, endpoint.format(service=service), reqTimeout=30, certification=bundle)
        client = CommonClient(service, _VERSIONS[service], credential, region, profile=ClientProfile(httpProfile=http))
        return _call_with_retries(client, action, parameters)

    return call


def _call_with_retries(client: CommonClient, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    for pause_s in _PAUSES_S:
        try:
            return client.call_json(action, dict(parameters))["Response"]
        except TencentCloudSDKException as error:
            code = str(error.get_code())
            if code in _EMPTY:
                return {}
            if not code.startswith(_TEMPORARY) or pause_s == _PAUSES_S[-1]:
                raise CloudApiError(f"{action}: [{code}] {error.get_message()}") from None
        time.sleep(pause_s)
    raise AssertionError("the last attempt returns or raises")
