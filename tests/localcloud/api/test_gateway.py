"""Checks before any service: signature, time, service; throttle, faults, log."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.sign import Sign

from localcloud import services
from localcloud.api.api_faults import ApiFault
from localcloud.api.rates import RATES, rate
from localcloud.services.actions import ACTIONS
from tests.localcloud.api.lab import SECRET_ID, SECRET_KEY, Server, running_cloud, serving

_FORM = "application/x-www-form-urlencoded"

# One for all tests: creating a client reads all CAs of the system. No connection is kept between tests.
_HTTP = httpx.Client(headers={"Connection": "close"})


@dataclass
class Asked:
    """A request signed by the official SDK, to be altered before it is sent."""

    action: str = "DescribeVpcs"
    service: str = "vpc"
    version: str = "2017-03-12"
    region: str = "ap-guangzhou"
    host: str = "vpc.tencentcloudapi.com"
    method: str = "POST"
    body: bytes = b"{}"
    query: str = ""
    content_type: str = "application/json"
    secret_id: str = SECRET_ID
    secret_key: str = SECRET_KEY
    timestamp: int = 0
    scope: str = ""
    signed: str = "content-type;host"
    changed: dict[str, str] = field(default_factory=dict[str, str])  # headers, changed after signing; "" removes one

    def send(self, server: Server) -> httpx.Response:
        timestamp = self.timestamp or int(time.time())
        date = datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d")
        scope = self.scope or f"{date}/{self.service}/tc3_request"
        headers = f"content-type:{self.content_type}\nhost:{self.host}\n"
        payload = hashlib.sha256(self.body).hexdigest()
        canonical = f"{self.method}\n/\n{self.query}\n{headers}\ncontent-type;host\n{payload}"
        hashed = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"TC3-HMAC-SHA256\n{timestamp}\n{scope}\n{hashed}"
        signature = Sign.sign_tc3(self.secret_key, date, self.service, text)
        sent = {
            "Host": self.host,
            "Content-Type": self.content_type,
            "X-TC-Action": self.action,
            "X-TC-Version": self.version,
            "X-TC-Region": self.region,
            "X-TC-Timestamp": str(timestamp),
            "Authorization": f"TC3-HMAC-SHA256 Credential={self.secret_id}/{scope}, "
            f"SignedHeaders={self.signed}, Signature={signature}",
        } | self.changed
        url = f"http://127.0.0.1:{server.port}/" + (f"?{self.query}" if self.query else "")
        kept = {name: value for name, value in sent.items() if value}
        return _HTTP.request(self.method, url, headers=kept, content=self.body)


def _code(response: httpx.Response) -> str:
    assert response.status_code == 200
    answer = response.json()["Response"]
    assert answer["RequestId"]
    return answer["Error"]["Code"] if "Error" in answer else ""


REFUSED = [
    pytest.param(Asked(secret_key="another"), "AuthFailure.SignatureFailure", id="a wrong key"),
    pytest.param(Asked(secret_id="nobody"), "AuthFailure.SecretIdNotFound", id="an unknown secret id"),
    pytest.param(Asked(timestamp=-310), "AuthFailure.SignatureExpire", id="a timestamp 5 minutes old"),
    pytest.param(Asked(timestamp=310), "AuthFailure.SignatureExpire", id="a timestamp 5 minutes ahead"),
    pytest.param(
        Asked(changed={"X-TC-Timestamp": "soon"}), "AuthFailure.SignatureExpire", id="a timestamp that is not a number"
    ),
    pytest.param(Asked(changed={"Authorization": ""}), "MissingParameter", id="an unsigned request"),
    pytest.param(Asked(changed={"X-TC-Timestamp": ""}), "MissingParameter", id="no timestamp"),
    pytest.param(Asked(changed={"Authorization": "Basic x"}), "AuthFailure.InvalidAuthorization", id="another scheme"),
    pytest.param(Asked(signed="host"), "AuthFailure.InvalidAuthorization", id="a content type that is not signed"),
    pytest.param(
        Asked(scope="2020-01-01/vpc/tc3_request"), "AuthFailure.InvalidAuthorization", id="a scope of another day"
    ),
    pytest.param(Asked(service="cvm"), "NoSuchProduct", id="a scope of a service other than the host's"),
    pytest.param(Asked(service="moon", host="moon.example"), "NoSuchProduct", id="an unknown service"),
    pytest.param(Asked(changed={"Host": "x.example"}), "AuthFailure.SignatureFailure", id="a host that was not signed"),
    pytest.param(Asked(changed={"X-TC-Action": ""}), "MissingParameter", id="no action"),
    pytest.param(Asked(changed={"X-TC-Version": ""}), "MissingParameter", id="no version"),
    pytest.param(Asked(changed={"X-TC-Region": ""}), "MissingParameter", id="no region"),
    pytest.param(Asked(version="2016-01-01"), "NoSuchVersion", id="another version"),
    pytest.param(Asked(region="mo-copernicus"), "UnsupportedRegion", id="an unknown region"),
    pytest.param(Asked(action="DescribeMoons"), "InvalidAction", id="an unknown action"),
    pytest.param(Asked(method="PUT"), "UnsupportedProtocol", id="a method that is neither POST nor GET"),
    pytest.param(Asked(content_type="text/plain"), "InvalidParameter", id="another content type"),
    pytest.param(Asked(body=b"[]"), "InvalidParameter", id="a body that is a list"),
    pytest.param(Asked(body=b"{"), "InvalidParameter", id="a body that is not JSON"),
    pytest.param(Asked(body=b"[" * 200_000), "InvalidParameter", id="a deeply nested body"),
    pytest.param(Asked(body=b'{"Limit": "\xff"}'), "InvalidParameter", id="a body that is not UTF-8"),
    pytest.param(Asked(body=b" " * (10 * 1024 * 1024 + 1)), "RequestSizeLimitExceeded", id="more than 10 MiB"),
    pytest.param(Asked(content_type=_FORM), "InvalidParameter", id="a form that is signed with v3"),
    pytest.param(Asked(method="GET", body=b""), "InvalidParameter", id="a GET with a JSON content type"),
    pytest.param(
        Asked(method="GET", body=b"", content_type=_FORM, query="Offset=" + "0" * 32768),
        "RequestSizeLimitExceeded",
        id="a GET of more than 32 KiB",
    ),
]


@pytest.mark.parametrize(("asked", "code"), REFUSED)
def test_a_request_that_the_gateway_refuses_gets_the_real_clouds_code(server: Server, asked: Asked, code: str) -> None:
    if abs(asked.timestamp) == 310:
        asked = Asked(timestamp=int(time.time()) + asked.timestamp)
    assert _code(asked.send(server)) == code


def test_a_slightly_wrong_timestamp_is_accepted(server: Server) -> None:
    assert _code(Asked(timestamp=int(time.time()) - 290).send(server)) == ""


def test_a_body_changed_after_signing_is_refused(server: Server) -> None:
    asked = Asked()
    signed = asked.send(server).request
    kept = {name: value for name, value in signed.headers.items() if name != "content-length"}
    spoilt = _HTTP.post(str(signed.url), headers=kept, content=b'{"VpcIds": []}')
    assert _code(spoilt) == "AuthFailure.SignatureFailure"


@pytest.mark.parametrize("host", ["vpc.tencentcloudapi.com", "vpc.ap-guangzhou.example.net:8443", "127.0.0.1:18080"])
def test_every_host_name_is_served(server: Server, host: str) -> None:
    assert _code(Asked(host=host).send(server)) == ""


def test_header_names_are_case_insensitive(server: Server) -> None:
    spelt = {"X-TC-Action": "", "X-Tc-Action": "DescribeVpcs", "X-TC-Region": "", "x-tc-region": "ap-guangzhou"}
    assert _code(Asked(changed=spelt).send(server)) == ""


def test_a_get_has_its_parameters_in_the_query(server: Server) -> None:
    server.call("vpc:CreateVpc", {"VpcName": "one", "CidrBlock": "10.0.0.0/16"})
    server.call("vpc:CreateVpc", {"VpcName": "two", "CidrBlock": "10.0.0.0/16"})
    query = "Filters.0.Name=vpc-name&Filters.0.Values.0=two&Limit=5"
    answer = Asked(method="GET", query=query, content_type=_FORM, body=b"").send(server).json()["Response"]
    assert [row["VpcName"] for row in answer["VpcSet"]] == ["two"]
    for query, code in (("Colour=blue", "UnknownParameter"), ("Filters=x", "InvalidParameter")):
        assert _code(Asked(method="GET", query=query, content_type=_FORM, body=b"").send(server)) == code


def test_errors_have_status_200_and_a_request_id(server: Server) -> None:
    answers = [Asked(action=action).send(server) for action in ("DescribeVpcs", "Nonsense", "DescribeVpcs")]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert len({answer.json()["Response"]["RequestId"] for answer in answers}) == 3


@pytest.fixture
def throttled() -> Iterator[Server]:
    with running_cloud() as cloud, serving(cloud, requests_per_second=None) as server:
        yield server


@pytest.mark.parametrize(("action", "limit"), [("DescribeVpcs", 20), ("DescribeAddresses", 10)])
def test_calls_above_the_documented_rate_are_refused(throttled: Server, action: str, limit: int) -> None:
    codes = [_code(Asked(action=action).send(throttled)) for _ in range(limit + 5)]
    assert codes[:limit] == [""] * limit
    assert "RequestLimitExceeded" in codes[limit:]
    assert _code(Asked(action="DescribeSubnets").send(throttled)) == ""
    time.sleep(1.0)
    assert _code(Asked(action=action).send(throttled)) == ""


def test_each_action_that_changes_instances_can_be_called_10_times_a_second() -> None:
    """As on each of their pages that could be read."""
    changing = [name for service, name in ACTIONS if service == "cvm" and not name.startswith("Describe")]
    assert {name: rate("cvm", name) for name in changing} == dict.fromkeys(changing, 10)


def test_each_rate_belongs_to_an_existing_action() -> None:
    services.load()
    assert set(RATES) <= set(ACTIONS)


def _vpcs(server: Server) -> int:
    return server.call("vpc:DescribeVpcs", {})["TotalCount"]


def test_a_fault_occurs_as_often_as_configured_and_changes_nothing(server: Server) -> None:
    server.gateway.faults.add(ApiFault("vpc:Create*", code="InternalError", times=2))
    wanted = {"VpcName": "v", "CidrBlock": "10.0.0.0/16"}
    for _ in range(2):
        with pytest.raises(TencentCloudSDKException, match="InternalError"):
            server.call("vpc:CreateVpc", wanted)
    assert _vpcs(server) == 0
    server.call("vpc:CreateVpc", wanted)
    assert _vpcs(server) == 1


def test_a_fault_can_delay_a_response(server: Server) -> None:
    server.gateway.faults.add(ApiFault("*", latency_ms=200))
    began = time.monotonic()
    _vpcs(server)
    assert time.monotonic() - began >= 0.2
    _vpcs(server)
    assert time.monotonic() - began < 0.4


def test_a_stale_read_shows_old_records_and_a_change_uses_the_present_ones(server: Server) -> None:
    wanted = {"VpcName": "v", "CidrBlock": "10.0.0.0/16"}
    gone = server.call("vpc:CreateVpc", wanted)["Vpc"]["VpcId"]
    time.sleep(1.1)
    server.gateway.faults.add(ApiFault("vpc:*", stale_ms=1000, times=0))
    kept = server.call("vpc:CreateVpc", wanted)["Vpc"]["VpcId"]
    server.call("vpc:ModifyVpcAttribute", {"VpcId": kept, "VpcName": "w"})
    server.call("vpc:DeleteVpc", {"VpcId": gone})
    assert [vpc["VpcId"] for vpc in server.call("vpc:DescribeVpcs", {})["VpcSet"]] == [gone]
    time.sleep(1.1)
    found = server.call("vpc:DescribeVpcs", {})["VpcSet"]
    assert [(vpc["VpcId"], vpc["VpcName"]) for vpc in found] == [(kept, "w")]


@pytest.mark.parametrize("fault", [ApiFault("vpc:CreateVpc", drop=True), ApiFault("vpc:CreateVpc", half=True)])
def test_a_broken_connection_loses_the_response_and_keeps_the_change(server: Server, fault: ApiFault) -> None:
    """This detects clients that repeat a request without a ClientToken."""
    server.gateway.faults.add(fault)
    body = json.dumps({"VpcName": "v", "CidrBlock": "10.0.0.0/16"}).encode()
    with pytest.raises(httpx.RemoteProtocolError):
        Asked(action="CreateVpc", body=body).send(server)
    assert _vpcs(server) == 1


def test_a_fault_with_a_probability_occurs_about_that_often(server: Server) -> None:
    server.gateway.faults.add(ApiFault("*", code="InternalError", times=0, probability=0.5))
    codes = [_code(Asked().send(server)) for _ in range(100)]
    assert 30 <= codes.count("InternalError") <= 70
    assert server.gateway.faults.clear() == 1
    assert _code(Asked().send(server)) == ""


def test_the_log_shows_every_request_without_secrets(server: Server) -> None:
    with pytest.raises(TencentCloudSDKException):
        server.call("cvm:RunInstances", {"ImageId": "img-debian12", "UserData": "c2VjcmV0"})
    Asked(secret_key="another").send(server)
    entries = server.gateway.log.last(2)
    assert [entry["error"] for entry in entries] == ["MissingParameter", "AuthFailure.SignatureFailure"]
    assert entries[0]["action"] == "RunInstances"
    assert "c2VjcmV0" not in json.dumps(entries)
    assert [entry["number"] for entry in server.gateway.log.after(entries[0]["number"])] == [entries[1]["number"]]


def test_a_repeated_request_with_a_client_token_is_executed_once(server: Server) -> None:
    vpc_id = server.call("vpc:CreateVpc", {"VpcName": "v", "CidrBlock": "10.0.0.0/16"})["Vpc"]["VpcId"]
    place = {"VpcId": vpc_id, "CidrBlock": "10.0.4.0/24", "SubnetName": "s", "Zone": "ap-guangzhou-6"}
    subnet_id = server.call("vpc:CreateSubnet", place)["Subnet"]["SubnetId"]
    wanted: dict[str, Any] = {"VpcId": vpc_id, "SubnetId": subnet_id, "HaVipName": "vip", "ClientToken": "once"}
    first = server.call("vpc:CreateHaVip", wanted)["HaVip"]["HaVipId"]
    assert server.call("vpc:CreateHaVip", wanted)["HaVip"]["HaVipId"] == first
    assert server.call("vpc:DescribeHaVips", {})["TotalCount"] == 1
