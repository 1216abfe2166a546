"""HmacSHA1 and HmacSHA256: the official SDK with its option `signMethod`, and hand-written forms."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.common.sign import Sign

from tests.localcloud.api.lab import SECRET_ID, SECRET_KEY, Server

_FORM = {"Content-Type": "application/x-www-form-urlencoded", "Connection": "close"}
_METHODS = pytest.mark.parametrize("method", ["HmacSHA1", "HmacSHA256", "TC3-HMAC-SHA256"])
_VERBS = pytest.mark.parametrize("verb", ["GET", "POST"])


def _sdk(server: Server, method: str, verb: str, key: str = SECRET_KEY) -> CommonClient:
    http = HttpProfile(protocol="http", endpoint=f"127.0.0.1:{server.port}", reqMethod=verb, reqTimeout=10)
    profile = ClientProfile(httpProfile=http, signMethod=method)
    return CommonClient("vpc", "2017-03-12", Credential(SECRET_ID, key), "ap-guangzhou", profile=profile)


@_METHODS
@_VERBS
def test_the_official_sdk_can_sign_with_each_of_its_methods(server: Server, method: str, verb: str) -> None:
    sdk = _sdk(server, method, verb)
    wanted = {"VpcName": "网络 1+2", "CidrBlock": "10.0.0.0/16", "Tags": [{"Key": "a", "Value": "b=c+d"}]}
    made = sdk.call_json("CreateVpc", wanted)["Response"]["Vpc"]
    assert made["VpcName"] == "网络 1+2"
    assert made["TagSet"] == [{"Key": "a", "Value": "b=c+d"}]
    asked = {"Filters": [{"Name": "vpc-id", "Values": [made["VpcId"]]}]}
    assert sdk.call_json("DescribeVpcs", asked)["Response"]["TotalCount"] == 1


@_METHODS
def test_a_wrong_key_is_refused_with_each_method(server: Server, method: str) -> None:
    with pytest.raises(TencentCloudSDKException) as refused:
        _sdk(server, method, "POST", "another key").call_json("DescribeVpcs", {})
    assert refused.value.get_code() == "AuthFailure.SignatureFailure"


def _ask(server: Server, *, key: str = SECRET_KEY, method: str = "HmacSHA1", **change: Any) -> str:
    """Return the error code of a hand-signed form; a parameter that is None is left out."""
    host = "vpc.tencentcloudapi.com"
    given: dict[str, Any] = {
        "Action": "DescribeVpcs",
        "Version": "2017-03-12",
        "Region": "ap-guangzhou",
        "Timestamp": int(time.time()),
        "Nonce": 4711,
        "SecretId": SECRET_ID,
    } | change
    form = {name: value for name, value in given.items() if value is not None}
    text = "&".join(f"{name}={form[name]}" for name in sorted(form))
    form["Signature"] = Sign.sign(key, f"POST{host}/?{text}", method)
    kept = {name: value for name, value in form.items() if value != ""}
    answer = httpx.post(
        f"http://127.0.0.1:{server.port}/", headers=_FORM | {"Host": host}, content=urlencode(kept), timeout=10
    )
    return answer.json()["Response"].get("Error", {}).get("Code", "")


def test_the_default_method_is_hmac_sha1(server: Server) -> None:
    assert _ask(server) == ""
    assert _ask(server, SignatureMethod="HmacSHA256", method="HmacSHA256") == ""
    assert _ask(server, SignatureMethod="HmacSHA256") == "AuthFailure.SignatureFailure"
    assert _ask(server, method="HmacSHA256") == "AuthFailure.SignatureFailure"


REFUSED = [
    pytest.param({"SecretId": "nobody"}, "AuthFailure.SecretIdNotFound", id="an unknown secret id"),
    pytest.param({"Timestamp": 1465185768}, "AuthFailure.SignatureExpire", id="a timestamp of another year"),
    pytest.param({"Timestamp": "soon"}, "InvalidParameter", id="a timestamp that is not a number"),
    pytest.param({"Timestamp": None}, "MissingParameter", id="no timestamp"),
    pytest.param({"Nonce": None}, "MissingParameter", id="no nonce"),
    pytest.param({"Nonce": -1}, "InvalidParameter", id="a negative nonce"),
    pytest.param({"Action": None}, "MissingParameter", id="no action"),
    pytest.param({"Version": "2016-01-01"}, "NoSuchVersion", id="another version"),
    pytest.param({"Region": "mo-copernicus"}, "UnsupportedRegion", id="an unknown region"),
    pytest.param({"Colour": "blue"}, "UnknownParameter", id="an unknown parameter"),
    pytest.param({"Offset": "0" * 1024 * 1024}, "RequestSizeLimitExceeded", id="more than 1 MiB"),
]


@pytest.mark.parametrize(("change", "code"), REFUSED)
def test_a_form_that_the_gateway_refuses_gets_the_real_clouds_code(
    server: Server, change: dict[str, Any], code: str
) -> None:
    assert _ask(server, **change) == code
