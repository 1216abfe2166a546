"""The sites of the IAM services on a real nginx: what clients may do, and what reaches the services."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.nginx.backends import Backend
from tests.nginx.lab import API, AUTHZ, NODE_ADDRESSES, Lab, running

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
ORIGIN = "https://shop.example.com"
PREFLIGHT = {
    "Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization",
}  # fmt: skip


@contextmanager
def iam(directory: Path, **nginx: Any) -> Generator[tuple[Lab, list[Backend]]]:
    """Nginx in front of both services on two nodes; the backends note what reaches them."""
    with ExitStack() as stack:
        backends: list[Backend] = []
        replaced: dict[str, str] = {}
        for address in NODE_ADDRESSES:
            for port in (8080, 9090):
                backend = Backend(f"{address}:{port}", address)
                backend.start()
                stack.callback(backend.stop)
                backends.append(backend)
                replaced[f"{address}:{port} "] = f"{address}:{backend.port} "
        directory.mkdir(exist_ok=True)
        lab = stack.enter_context(running(directory, nginx, replaced=replaced))
        yield lab, backends


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, list[Backend]]]:
    settings = {"cors": {"allowOrigins": [ORIGIN]}, "registrationCidrs": ["127.0.4.0/24"]}
    with iam(tmp_path_factory.mktemp("iam"), **settings) as started:
        yield started


@pytest.mark.parametrize("host", [API, AUTHZ])
def test_both_nodes_serve_each_site(group: tuple[Lab, list[Backend]], host: str) -> None:
    lab, _ = group
    names = {json.loads(lab.send("GET", host, "/v1/x").body)["backend"] for _ in range(4)}
    assert names == {f"{address}:{8080 if host == API else 9090}" for address in NODE_ADDRESSES}


@pytest.mark.parametrize("path", ["/v1/secrets", "/v1/users", "/login", "/healthz"])
def test_a_preflight_request_succeeds_without_a_login(group: tuple[Lab, list[Backend]], path: str) -> None:
    lab, backends = group
    before = [len(each.received) for each in backends]
    response = lab.send("OPTIONS", API, path, headers=PREFLIGHT)
    assert response.status == 204
    assert response.all("Access-Control-Allow-Origin") == [ORIGIN]
    assert "Authorization" in response.header("Access-Control-Allow-Headers")
    other = lab.send("OPTIONS", API, path, headers={**PREFLIGHT, "Origin": "https://evil.example.net"})
    assert (other.status, other.all("Access-Control-Allow-Origin")) == (403, [])
    assert [len(each.received) for each in backends] == before


def test_a_preflight_request_to_the_authorization_service(group: tuple[Lab, list[Backend]]) -> None:
    assert group[0].send("OPTIONS", AUTHZ, "/v1/authz", headers=PREFLIGHT).status == 204


def test_the_cors_headers_of_the_service_are_replaced(group: tuple[Lab, list[Backend]], tmp_path: Path) -> None:
    """The middleware `secure` of marmotedu/iam sends Access-Control-Allow-Origin: *."""
    response = group[0].send("GET", API, "/own-cors", headers={"Origin": ORIGIN})
    assert response.all("Access-Control-Allow-Origin") == [ORIGIN]
    with iam(tmp_path / "without") as (lab, _):
        assert lab.send("GET", API, "/own-cors", headers={"Origin": ORIGIN}).all("Access-Control-Allow-Origin") == []


def basic(password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()}


@pytest.mark.parametrize("path", ["/v1/secrets", "/v1/users", "//refresh"])
def test_passwords_on_any_path_are_limited(tmp_path: Path, path: str) -> None:
    with iam(tmp_path / "iam", loginRatePerS=1, loginBurst=5) as (lab, _):
        statuses = [lab.send("GET", API, path, headers=basic(f"wrong{n}")).status for n in range(20)]
        assert statuses.count(429) >= 10
        # Tokens are not limited, nor is another client.
        bearer = {"Authorization": "Bearer x"}
        assert [lab.send("GET", API, path, headers=bearer).status for _ in range(10)] == [200] * 10
        assert lab.send("GET", API, path, headers=basic("x"), source="127.0.0.77").status == 200


def test_changing_the_path_does_not_evade_the_limit_of_passwords(tmp_path: Path) -> None:
    with iam(tmp_path / "iam", loginRatePerS=1, loginBurst=5) as (lab, _):
        paths = ("/v1/secrets", "/v1/users", "/v1/policies", "/x")
        statuses = [lab.send("GET", API, paths[n % 4], headers=basic(str(n))).status for n in range(24)]
        assert statuses.count(429) >= 14


@pytest.mark.parametrize("spelling", ["/login", "//login", "/%6cogin", "/./login", "/x/../login", "/login?x=1"])
def test_logins_are_limited_in_every_spelling(tmp_path: Path, spelling: str) -> None:
    with iam(tmp_path / "iam", loginRatePerS=1, loginBurst=5) as (lab, _):
        statuses = [lab.send("POST", API, spelling, body=b"{}").status for _ in range(20)]
        assert statuses.count(429) >= 10


def test_without_a_burst_the_second_login_is_refused(tmp_path: Path) -> None:
    with iam(tmp_path / "iam", loginRatePerS=1, loginBurst=0) as (lab, _):
        assert [lab.send("POST", API, "/login", body=b"{}").status for _ in range(3)] == [200, 429, 429]


def test_the_authorization_service_gets_no_large_bodies(group: tuple[Lab, list[Backend]]) -> None:
    lab, _ = group
    assert lab.send("POST", AUTHZ, "/v1/authz", body=b"x" * 65_537).status == 413
    assert lab.send("POST", AUTHZ, "/v1/authz", body=b"x" * 65_536).status == 200
    assert lab.send("POST", API, "/v1/policies", body=b"x" * 1_000_000).status == 200


@pytest.mark.parametrize("path", ["/metrics", "/debug/pprof", "/debug", "//metrics", "/%6detrics", "/x/../debug/pprof"])
@pytest.mark.parametrize("host", [API, AUTHZ])
def test_internal_pages_are_not_public(group: tuple[Lab, list[Backend]], host: str, path: str) -> None:
    lab, backends = group
    before = [len(each.received) for each in backends]
    assert lab.send("GET", host, path).status == 404
    assert [len(each.received) for each in backends] == before


def test_registration_from_a_named_network_only(group: tuple[Lab, list[Backend]], tmp_path: Path) -> None:
    lab, _ = group
    refused = lab.send("POST", API, "/v1/users", body=b"{}")
    assert (refused.status, json.loads(refused.body)["code"]) == (403, 100207)
    assert refused.header("Content-Type") == "application/json"
    assert lab.send("POST", API, "/v1/users", body=b"{}", source="127.0.4.4").status == 200
    for method in ("GET", "HEAD", "PUT", "DELETE", "PATCH"):
        assert lab.send(method, API, "/v1/users").status == 200
    with iam(tmp_path / "open", openRegistration=True) as (opened, _):
        assert opened.send("POST", API, "/v1/users", body=b"{}").status == 200


def test_head_of_the_health_page_reaches_the_service_as_get(group: tuple[Lab, list[Backend]]) -> None:
    lab, backends = group
    assert lab.send("HEAD", API, "/healthz").status == 200
    methods = {each.method for backend in backends for each in backend.received if each.path == "/healthz"}
    assert methods == {"GET"}


def test_hsts_needs_a_certificate_that_clients_trust(group: tuple[Lab, list[Backend]], tmp_path: Path) -> None:
    assert group[0].send("GET", API, "/").header("Strict-Transport-Security") == ""
    for nginx, value in (({}, "max-age=63072000"), ({"hstsMaxAgeS": 0}, ""), ({"hstsMaxAgeS": 300}, "max-age=300")):
        directory = tmp_path / str(len(value))
        directory.mkdir()
        with running(directory, nginx, trusted=("api",)) as lab:
            assert lab.send("GET", API, "/metrics").header("Strict-Transport-Security") == value
            assert lab.send("GET", AUTHZ, "/metrics").header("Strict-Transport-Security") == ""
