"""What a client cannot reach by requests that no browser sends, on one real nginx."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from tests.nginx.backends import Backend
from tests.nginx.lab import Lab, running

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")

WWW, EVIL = "www.example.com", "evil.example.net"
# `openssl passwd -5 -salt salt secret`
_USERS = "alice:$5$salt$kpa26zwgX83BPSR8d7w93OIXbFt/d3UOTZaAu5vsTM6"
_PASSWORD = {"Authorization": f"Basic {base64.b64encode(b'alice:secret').decode()}"}

LOCATIONS: list[dict[str, Any]] = [
    {"path": "/", "proxy": "web"},
    {"path": "/kept", "proxy": "web", "cache": {"validS": 60}},
    {"path": "/kept-for-staff", "proxy": "web", "cache": {"validS": 60}, "basicAuth": {"users": "staff"}},
    {"path": "/kept-for-each", "proxy": "web", "cache": {"validS": 60, "key": "$request_uri$http_authorization"}},
]


@pytest.fixture(scope="module")
def web() -> Iterator[Backend]:
    backend = Backend("web")
    backend.start()
    yield backend
    backend.stop()


@pytest.fixture(scope="module")
def lab(web: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    settings = {
        "upstreams": {"web": {"servers": [{"address": "127.0.0.1", "port": web.port}]}},
        "sites": [{"hosts": [WWW], "locations": LOCATIONS}],
    }
    with running(tmp_path_factory.mktemp("nginx"), settings, users={"staff": _USERS}) as started:
        yield started


@pytest.mark.parametrize(
    ("path", "private", "again", "public"),
    [
        pytest.param("/kept", "BYPASS", "BYPASS", "MISS", id="the service checks the header"),
        pytest.param("/kept-for-staff", "MISS", "HIT", "", id="nginx checks the header"),
        pytest.param("/kept-for-each", "MISS", "HIT", "MISS", id="the header is in the key"),
    ],
)
def test_a_response_to_a_request_with_credentials_is_not_served_to_others(
    lab: Lab, path: str, private: str, again: str, public: str
) -> None:
    found = [lab.send("GET", WWW, f"{path}/x", headers=headers) for headers in (_PASSWORD, _PASSWORD, {})]
    assert [each.header("X-Cache-Status") for each in found] == [private, again, public]
    assert b"authorization" not in found[-1].body


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        # The host of the request line is valid, so the Host header is ignored (RFC 9112, 3.2.2).
        pytest.param(f"https://{WWW}/kept/links", {"Host": EVIL}, id="a Host header beside a host in the request line"),
        pytest.param("/kept/forwarded", {"Forwarded": f"host={EVIL}"}, id="Forwarded"),
        pytest.param("/kept/prefix", {"X-Forwarded-Prefix": f"//{EVIL}"}, id="X-Forwarded-Prefix"),
        pytest.param("/kept/port", {"X-Forwarded-Port": EVIL}, id="X-Forwarded-Port"),
        pytest.param("/kept/host", {"X-Forwarded-Host": EVIL}, id="X-Forwarded-Host"),
    ],
)
def test_a_client_cannot_choose_the_host_in_the_links_of_a_service(
    lab: Lab, path: str, headers: dict[str, str]
) -> None:
    """A cache would serve such links to everyone."""
    response = lab.send("GET", WWW, path, headers=headers)
    assert EVIL not in response.body.decode()
    assert json.loads(response.body)["headers"]["x-forwarded-host"] == WWW
