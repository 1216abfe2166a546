"""Questions to Tencent Cloud's API, where Pulumi's state cannot answer."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from operations.errors import OperationError
from operations.pending_types import Ask

_VERSIONS = {
    "vpc": "2017-03-12",
    "cvm": "2017-03-12",
    "cbs": "2017-03-12",
    "monitor": "2018-07-24",
    "dnspod": "2021-03-23",
}
# How the API says that a list is empty.
_EMPTY = ("ResourceNotFound.NoDataOfRecord",)


def connect(settings: Mapping[str, str]) -> Ask:
    """By the provider's own settings and environment variables: `settings` are the stack's `tencentcloud:*`.

    Raises OperationError where a credential or the region is missing.
    """

    def find(key: str, variable: str, default: str = "") -> str:
        return settings.get(key) or settings.get(variable) or default

    given = {
        "TENCENTCLOUD_SECRET_ID": find("secretId", "TENCENTCLOUD_SECRET_ID"),
        "TENCENTCLOUD_SECRET_KEY": find("secretKey", "TENCENTCLOUD_SECRET_KEY"),
        "tencentcloud:region": find("region", "TENCENTCLOUD_REGION"),
    }
    if missing := [name for name, value in given.items() if not value]:
        raise OperationError(f"the API cannot be asked: {', '.join(missing)} is not set")
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
        endpoint = domain  # an API without names: localcloud's on loopback

    def ask(service: str, action: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        http = HttpProfile(protocol=protocol, endpoint=endpoint.format(service=service), reqTimeout=30)
        client = CommonClient(service, _VERSIONS[service], credential, region, profile=ClientProfile(httpProfile=http))
        try:
            answer = client.call_json(action, dict(parameters))
        except TencentCloudSDKException as error:
            if error.get_code() in _EMPTY:
                return {}
            raise OperationError(f"{service} {action}: [{error.get_code()}] {error.get_message()}") from None
        return json.loads(answer)["Response"] if isinstance(answer, str) else answer["Response"]

    return ask
