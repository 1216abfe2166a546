"""The health checks from outside, against an HTTPS and an HTTP server in this process."""

from __future__ import annotations

import datetime as dt
import http.server
import json
import ssl
import threading
from collections.abc import Iterator

import pytest
import trustme

from provisioning.errors import HealthError, UnreachableError
from provisioning.health.checks import PublicSide, check, check_public
from provisioning.health.node_checks import check_certificates, unreachable
from provisioning.health.public_checks import Address, Service, check_services, check_validity, is_blocked
from provisioning.health.results import CheckResult, Level
from provisioning.kinds.file import File

API, AUTHZ = "iam.api.example.com", "iam.authz.example.com"
PASSWORD = "Health-1234"
_LIMIT = 1024 * 1024


class Site:
    """Serves two domains like nginx and the services behind it."""

    def __init__(self, ca: trustme.CA, *names: str) -> None:
        self.requests: list[str] = []
        self.status = dict.fromkeys(names, 200)
        self.fails_first = 0
        self.password = PASSWORD
        self.allowed = True
        self.token: object = {"token": "t"}
        self.secrets: tuple[int, object] = 200, {"items": [{"secretID": "id", "secretKey": "key"}]}
        self.location = "https://{host}{path}"
        self.limit, self.refusal = _LIMIT, 413
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert(*names).configure_cert(context)

        def choose(_socket: object, name: str | None, _context: object) -> int | None:
            return None if name in names else ssl.AlertDescription.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

        context.sni_callback = choose  # pyright: ignore[reportAttributeAccessIssue] - typeshed expects the exact parameters
        self._https = _start(_handler(self, secure=True), context)
        self._http = _start(_handler(self, secure=False))
        self.address = Address("127.0.0.1", self._https.server_port, self._http.server_port)

    def services(self, *names: str, ca: str) -> tuple[Service, ...]:
        domains = {"api": API, "authz": AUTHZ}
        return tuple(Service(name, domains[name], ca) for name in names or ("api", "authz"))

    def close(self) -> None:
        for server in (self._https, self._http):
            server.shutdown()
            server.server_close()


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that reject the certificate end the connection."""


def _start(
    handler: type[http.server.BaseHTTPRequestHandler], context: ssl.SSLContext | None = None
) -> http.server.ThreadingHTTPServer:
    server = _Server(("127.0.0.1", 0), handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    return server


def _handler(site: Site, *, secure: bool) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            host = self.headers["Host"]
            if not secure:
                self._answer(301, {}, {"Location": site.location.format(host=host, path=self.path)})
                return
            site.requests.append(host + self.path)
            if self.path.startswith("/v1/secrets"):
                self._answer(*site.secrets)
                return
            failing = len(site.requests) <= site.fails_first
            self._answer(502 if failing else site.status.get(host, 404), {"status": "ok"})

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            if site.limit and length > site.limit:
                self._answer(site.refusal, {})
                return
            body = json.loads(self.rfile.read(length)) if length < _LIMIT else {}
            site.requests.append(self.headers["Host"] + self.path)
            if self.path == "/login":
                right = body.get("password") == site.password
                self._answer(200 if right else 401, site.token if right else {"message": "incorrect"})
            else:
                self._answer(200, {"allowed": site.allowed})

        def _answer(self, status: int, body: object, headers: dict[str, str] | None = None) -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parameter name of the base class
            pass

    return Handler


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def site(ca: trustme.CA) -> Iterator[Site]:
    served = Site(ca, API, AUTHZ)
    yield served
    served.close()


def pem(ca: trustme.CA) -> str:
    return ca.cert_pem.bytes().decode()


def public(site: Site, ca: trustme.CA, password: str = PASSWORD) -> PublicSide:
    return PublicSide((site.address,), site.services(ca=pem(ca)), password)


def failed(results: tuple[CheckResult, ...]) -> list[str]:
    return [f"{result.name}: {result.seen}" for result in results if result.level is Level.FAIL]


def test_a_healthy_site_passes_each_check_of_each_domain(site: Site, ca: trustme.CA) -> None:
    results = check_public(public(site, ca), "n1").results
    assert failed(results) == []
    assert {(result.target.split()[0], result.name) for result in results} == {
        *((domain, name) for domain in (API, AUTHZ) for name in ("https", "certificate", "redirect", "body too large")),
        ("127.0.0.1", "unknown host"), (API, "login"), (AUTHZ, "authorization"),
    }  # fmt: skip


def test_the_check_repeats_until_no_check_fails(site: Site, ca: trustme.CA) -> None:
    site.fails_first = 3
    slept: list[float] = []
    assert check(public(site, ca), sleep=slept.append).healthy
    assert len(slept) == 2
    # A login costs the service CPU time: none before the other checks pass.
    assert site.requests.count(f"{API}/login") == 1


def test_the_check_waits_two_minutes_for_the_traffic_of_a_havip(site: Site, ca: trustme.CA) -> None:
    site.fails_first = 3
    now = 0.0

    def sleep(_: float) -> None:
        nonlocal now
        now += 60

    assert check(public(site, ca), clock=lambda: now, sleep=sleep).healthy
    assert now == 120


def test_the_error_after_the_deadline_shows_the_responses(site: Site, ca: trustme.CA) -> None:
    site.status[AUTHZ] = 503
    with pytest.raises(HealthError) as caught:
        check(public(site, ca), deadline_s=0)
    assert f"FAIL {AUTHZ} (127.0.0.1): https: 503" in str(caught.value)
    assert "look at: tandem health" in str(caught.value)


def test_a_certificate_of_another_authority_fails_the_check_and_names_the_setting(site: Site) -> None:
    (result, *_) = check_services(site.address, site.services("api", ca=pem(trustme.CA())))
    assert (result.name, result.level) == ("https", Level.FAIL)
    assert "tandem:credentials.server" in result.look_at
    assert site.requests == []


def test_a_certificate_for_another_name_fails_the_check(ca: trustme.CA) -> None:
    wrong = Site(ca, API)
    try:
        (result, *_) = check_services(wrong.address, wrong.services("authz", ca=pem(ca)))
        assert result.level is Level.FAIL
        assert wrong.requests == []
    finally:
        wrong.close()


def test_an_unreachable_address_fails_with_the_reason(ca: trustme.CA) -> None:
    results = check_services(Address("127.0.0.1", 1, 1), (Service("api", API, pem(ca)),))
    assert [result.level for result in results] == [Level.FAIL] * 3
    assert "ConnectError" in results[0].seen


def test_a_domain_that_is_cut_off_while_nginx_responds_is_explained_by_its_filing(ca: trustme.CA) -> None:
    """Mainland regions of the cloud reset connections whose TLS server name is a domain without ICP filing."""
    other = Site(ca, AUTHZ)  # rejects the handshake for the API's name, as for every unknown name
    try:
        (result, *_) = check_services(other.address, other.services("api", ca=pem(ca)))
        assert "ICP filing" in result.look_at
    finally:
        other.close()


@pytest.mark.parametrize(
    ("location", "look_at"),
    [
        pytest.param("http://{host}{path}", "error.log", id="to http again"),
        pytest.param("https://other.example.com{path}", "error.log", id="to another domain"),
        pytest.param("https://dnspod.qcloud.com/static/webblock.html", "ICP filing", id="to the cloud's block page"),
    ],
)
def test_a_wrong_redirect_fails(site: Site, ca: trustme.CA, location: str, look_at: str) -> None:
    site.location = location
    (result,) = [
        each for each in check_services(site.address, site.services("api", ca=pem(ca))) if each.name == "redirect"
    ]
    assert result.level is Level.FAIL
    assert look_at in result.look_at


@pytest.mark.parametrize(
    ("location", "blocked"),
    [("https://dnspod.qcloud.com/static/webblock.html?d=x", True), ("https://{host}{path}", False)],
)
def test_the_block_page_of_the_cloud_is_recognized(site: Site, location: str, *, blocked: bool) -> None:
    site.location = location
    assert is_blocked(site.address, site.services("api", ca="")[0]) is blocked


def test_without_an_answer_it_is_unknown_whether_a_domain_is_blocked() -> None:
    nothing = Address("127.0.0.1", http_port=1)
    assert is_blocked(nothing, Service("api", "iam.api.example.com")) is None


def test_a_body_that_is_accepted_whatever_its_size_fails(site: Site, ca: trustme.CA) -> None:
    site.limit = 0
    results = check_services(site.address, site.services("api", ca=pem(ca)))
    assert [each.split(":")[0] for each in failed(tuple(results))] == ["body too large"]


def test_a_service_that_is_down_is_not_reported_as_a_wrong_limit(site: Site, ca: trustme.CA) -> None:
    site.refusal = 503
    results = check_services(site.address, site.services("api", ca=pem(ca)))
    (found,) = (result for result in results if result.name == "body too large")
    assert (found.level, found.seen) == (Level.WARNING, "not checked: 503")


def test_the_reason_of_a_missing_connection_follows_a_colon() -> None:
    error = UnreachableError("no connection to 10.0.4.21 port 22", seen="timed out", look_at="the console")
    (result,) = unreachable("iam-b", error).results
    assert result.seen == "no connection to 10.0.4.21 port 22: timed out"


def test_a_denied_decision_fails(site: Site, ca: trustme.CA) -> None:
    site.allowed = False
    assert [each.split(":")[0] for each in failed(check_public(public(site, ca), "n1").results)] == ["authorization"]


_PAGE = b"<html>502 Bad Gateway</html>"


@pytest.mark.parametrize(
    ("token", "listed", "seen"),
    [
        pytest.param({"token": "t"}, (502, _PAGE), "GET /v1/secrets as tandem-health: 502 <html>", id="nginx: 502"),
        pytest.param({"token": "t"}, (200, _PAGE), "GET /v1/secrets as tandem-health: 200 <html>", id="no JSON"),
        pytest.param({"token": "t"}, (200, {"items": [{}]}), "GET /v1/secrets as tandem-health: 200", id="no secret"),
        pytest.param({}, (200, {}), "POST /login as tandem-health gave no token: 200", id="no token"),
        pytest.param(_PAGE, (200, {}), "POST /login as tandem-health gave no token: 200", id="no JSON after the login"),
    ],
)
def test_an_unexpected_response_to_a_client_fails_and_is_shown(
    site: Site, ca: trustme.CA, token: object, listed: tuple[int, object], seen: str
) -> None:
    site.token, site.secrets = token, listed
    (result,) = failed(check_public(public(site, ca), "n1").results)
    assert result.startswith(f"login: {seen}")


def test_a_changed_password_is_a_warning_because_the_nodes_tell_why(site: Site, ca: trustme.CA) -> None:
    results = check_public(public(site, ca, password="Other-1234"), "n1").results
    assert [result.name for result in results if result.level is Level.WARNING] == ["login"]
    assert failed(results) == []


@pytest.mark.parametrize(
    ("validity", "left", "level"),
    [
        (365, 31, Level.OK), (365, 29, Level.WARNING), (365, -1, Level.FAIL),
        # Let's Encrypt renews 90-day certificates 30 days before the end; shorter ones in the last third.
        (90, 29, Level.WARNING), (6, 3, Level.OK), (6, 1, Level.WARNING),
    ],
)  # fmt: skip
def test_a_certificate_is_reported_before_it_expires(validity: int, left: int, level: Level) -> None:
    now = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
    end = now + dt.timedelta(days=left)
    form = "%b %d %H:%M:%S %Y GMT"
    certificate = {"notBefore": f"{end - dt.timedelta(days=validity):{form}}", "notAfter": f"{end:{form}}"}
    assert check_validity("x", certificate, now).level is level


def test_the_renewal_of_a_ca_is_another_than_that_of_a_certificate(ca: trustme.CA) -> None:
    leaf = ca.issue_cert(API).cert_chain_pems[0].bytes().decode()
    items = [File("/etc/iam/ca.crt", pem(ca)), File("/etc/nginx/tls/api.pem", leaf), File("/etc/iam/node.key", "key")]
    authority, certificate = check_certificates("iam-a", items, dt.datetime(9998, 1, 1, tzinfo=dt.UTC).timestamp())
    assert authority.seen.startswith("ca.crt: expired on ")
    assert authority.look_at.startswith("tandem:credentials.generation.ca: increase it, then tandem up")
    assert certificate.look_at.startswith("tandem up renews")
