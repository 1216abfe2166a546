"""The health check from outside, against an HTTPS server in this process."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Iterator

import pytest
import trustme

from provisioning.errors import HealthError
from provisioning.health import check

API, AUTHZ = "iam.api.example.com", "iam.authz.example.com"
DOMAINS = {"api": API, "authz": AUTHZ}


class Service:
    """An HTTPS server that responds to /healthz for some domains."""

    def __init__(self, ca: trustme.CA, *names: str) -> None:
        self.requests: list[str] = []
        self.status = dict.fromkeys(names, 200)
        self.fails_first = 0
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                host = self.headers["Host"]
                service.requests.append(host + self.path)
                failing = len(service.requests) <= service.fails_first
                self.send_response(502 if failing else service.status.get(host, 404))
                self.end_headers()
                self.wfile.write(b'{"status":"ok"}')

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parameter name of the base class
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert(*names).configure_cert(context)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def service(ca: trustme.CA) -> Iterator[Service]:
    served = Service(ca, API, AUTHZ)
    yield served
    served.close()


def pem(ca: trustme.CA) -> str:
    return ca.cert_pem.bytes().decode()


def test_each_domain_is_requested_through_each_address(service: Service, ca: trustme.CA) -> None:
    report = check([service.address], DOMAINS, pem(ca))
    assert report.healthy
    assert service.requests == [f"{API}/healthz", f"{AUTHZ}/healthz"]
    assert str(report).splitlines()[0].startswith(f"ok   api through {service.address}")


def test_the_check_repeats_until_all_requests_succeed(service: Service, ca: trustme.CA) -> None:
    service.fails_first = 3
    slept: list[float] = []
    assert check([service.address], DOMAINS, pem(ca), sleep=slept.append).healthy
    assert len(slept) == 2


def test_the_check_waits_two_minutes_for_the_traffic_of_a_havip(service: Service, ca: trustme.CA) -> None:
    service.fails_first = 3
    now = 0.0

    def sleep(_: float) -> None:
        nonlocal now
        now += 60

    assert check([service.address], DOMAINS, pem(ca), clock=lambda: now, sleep=sleep).healthy
    assert now == 120


def test_the_error_after_the_deadline_shows_the_responses(service: Service, ca: trustme.CA) -> None:
    service.status[AUTHZ] = 503
    with pytest.raises(HealthError) as caught:
        check([service.address], DOMAINS, pem(ca), deadline_s=0)
    assert f"FAIL authz through {service.address}" in str(caught.value)
    assert "503" in str(caught.value)
    assert "look at: tandem health" in str(caught.value)


def test_a_certificate_of_another_authority_fails_the_check(service: Service) -> None:
    with pytest.raises(HealthError, match="the group failed its health check"):
        check([service.address], DOMAINS, pem(trustme.CA()), deadline_s=0)
    assert service.requests == []


def test_a_certificate_for_another_name_fails_the_check(ca: trustme.CA) -> None:
    wrong = Service(ca, API)
    try:
        with pytest.raises(HealthError) as caught:
            check([wrong.address], {"authz": AUTHZ}, pem(ca), deadline_s=0)
        assert "mismatch" in str(caught.value).lower() or "certificate" in str(caught.value).lower()
        assert wrong.requests == []
    finally:
        wrong.close()


def test_an_unreachable_address_is_an_error_with_the_reason(ca: trustme.CA) -> None:
    with pytest.raises(HealthError, match="the group failed its health check") as caught:
        check(["127.0.0.1:1"], DOMAINS, pem(ca), deadline_s=0)
    assert "ConnectError" in str(caught.value)
