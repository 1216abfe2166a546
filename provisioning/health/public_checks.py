"""Checks of the services from outside, through each public IP: what clients of the services see.

Every request opens a new connection, because a kept-alive one would not follow the virtual IP. Domains need no DNS
records: requests go to the IP address with the domain as TLS server name.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import httpx

from provisioning.health.results import CheckResult, Level, count, fail, ok, warning
from settings.credentials import SERVED_NAMES

REQUEST_TIMEOUT_S = 5.0
WARNING_PERIOD = timedelta(days=30)
_UNKNOWN = "unknown.invalid"
TOO_LARGE = 1 << 50  # bytes announced; nginx refuses the request before any is sent
_UNRECOGNIZED_NAME = ("UNRECOGNIZED_NAME", "unrecognized name", "UNRECOGNIZED NAME")
_NGINX = "/var/log/nginx/error.log on the master"
_RENEWAL = "tandem up renews a certificate of the stack; replace a given one (tandem:credentials.server)"
UNFILED = "the domain's ICP filing: mainland regions block domains without one"
_BLOCK_PAGE = "webblock"  # dnspod.qcloud.com/static/webblock.html, Tencent Cloud's answer for an unfiled domain


@dataclass(frozen=True, slots=True)
class Service:
    """One public name: of an IAM service, or of a site of the user's own."""

    name: str  # "api" or "authz"; for a site its domain
    domain: str
    ca: str = ""  # PEM of the CA that clients trust; "": the CAs of this computer
    https: bool = True
    http: Literal["serve", "redirect", "off"] = "redirect"  # port 80
    default: bool = False  # also serves unknown host names

    @property
    def iam(self) -> bool:
        """Whether it is an IAM service, whose answers are known. A site may answer anything but an error of nginx."""
        return self.name in SERVED_NAMES

    @property
    def path(self) -> str:
        return "/healthz" if self.iam else "/"

    @property
    def url(self) -> str:
        return f"{'https' if self.https else 'http'}://{self.domain}"

    @classmethod
    def from_data(cls, name: str, data: Mapping[str, Any], ca: str) -> Service:
        """Parse an entry of the export `sites`."""
        return cls(name, data["domain"], ca, bool(data["https"]), data["http"], bool(data["default"]))


@dataclass(frozen=True, slots=True)
class Address:
    """A public IP address."""

    ip: str
    https_port: int = 443
    http_port: int = 80


def check_services(address: Address, services: Sequence[Service]) -> list[CheckResult]:
    """Check each domain through one public IP, and that other names are refused unless a site serves them."""
    results = [result for service in services for result in _check_service(address, service)]
    return results if any(service.default for service in services) else [*results, _check_unknown_host(address)]


def _check_service(address: Address, service: Service) -> list[CheckResult]:
    results = _check_https(address, service) if service.https else []
    large_body = service.iam and results[0].level is not Level.FAIL
    if service.http != "off":
        results.append((_check_redirect if service.http == "redirect" else _check_http)(address, service))
    return [*results, *([_check_large_body(address, service)] if large_body else [])]


def check_answer(address: Address, service: Service) -> CheckResult:
    """Whether a domain answers as clients expect: over HTTPS, or over plain HTTP if the site has no HTTPS."""
    return _check_https(address, service)[0] if service.https else _check_http(address, service)


def _check_http(address: Address, service: Service) -> CheckResult:
    target = target_of(address, service)
    try:
        response = _get_plain(address, service, service.path)
    except httpx.HTTPError as error:
        return fail(target, "http", f"port 80: {type(error).__name__}: {error}", "the security group; " + _NGINX)
    seen = f"{response.status_code} at port 80"
    if _shows_block_page(response):
        return fail(target, "http", seen, UNFILED)
    return fail(target, "http", seen, _NGINX) if response.is_server_error else ok(target, "http", seen)


def is_blocked(address: Address, service: Service) -> bool | None:
    """Whether plain HTTP is answered with the cloud's block page. None: no answer."""
    try:
        response = _get_plain(address, service, "/")
    except httpx.HTTPError:
        return None
    return _shows_block_page(response)


def _get_plain(address: Address, service: Service, path: str) -> httpx.Response:
    """The response to plain HTTP through the public address. Raises httpx.HTTPError."""
    with httpx.Client(timeout=REQUEST_TIMEOUT_S, trust_env=False) as client:
        return client.get(f"http://{address.ip}:{address.http_port}{path}", headers={"Host": service.domain})


def _shows_block_page(response: httpx.Response) -> bool:
    return _BLOCK_PAGE in response.headers.get("Location", "") + response.text


def target_of(address: Address, service: Service) -> str:
    return f"{service.domain} ({address.ip})"


def _context(service: Service) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=service.ca or None)


def request(
    address: Address, service: Service, method: str, path: str, **options: Any
) -> tuple[httpx.Response | None, str, dict[str, Any]]:
    """Send one HTTPS request. Returns the response or None, a description, and the server's certificate."""
    url = f"https://{address.ip}:{address.https_port}{path}"
    options["headers"] = {"Host": service.domain, **options.get("headers", {})}
    options["extensions"] = {"sni_hostname": service.domain}
    try:
        with (
            httpx.Client(verify=_context(service), timeout=REQUEST_TIMEOUT_S, trust_env=False) as client,
            client.stream(method, url, **options) as answer,
        ):
            certificate = answer.extensions["network_stream"].get_extra_info("ssl_object").getpeercert()
            answer.read()
    except httpx.HTTPError as error:
        return None, f"{type(error).__name__}: {error}", {}
    # Without the creation of the client, which takes longer than the request.
    took_ms = answer.elapsed.total_seconds() * 1000
    return answer, f"{answer.status_code} {answer.text.strip()[:120]} in {took_ms:.0f} ms", certificate


def _check_https(address: Address, service: Service) -> list[CheckResult]:
    target = target_of(address, service)
    response, seen, certificate = request(address, service, "GET", service.path)
    if response is None:
        return [fail(target, "https", seen, _explain(address, seen))]
    if not response.is_success and (service.iam or response.is_server_error):
        return [fail(target, "https", seen, f"{_NGINX}; the units of the services on all nodes")]
    return [ok(target, "https", seen), check_validity(target, certificate)]


def _explain(address: Address, seen: str) -> str:
    if "certificate" in seen.lower():
        return "tandem:credentials.server: its chain, names and ca"
    if "ConnectError" in seen and _refuses_unknown_names(address):
        # nginx responds to other names, so something before it cuts this one off.
        return UNFILED
    return "tandem health; the security group; journalctl -u nginx -u keepalived on the nodes"


def check_validity(target: str, certificate: dict[str, Any], now: datetime | None = None) -> CheckResult:
    """Check how long a certificate, as `SSLSocket.getpeercert` returns it, is still valid."""
    start, end = (parsedate_to_datetime(certificate[key]) for key in ("notBefore", "notAfter"))
    return judge_validity(target, start, end, now or datetime.now(UTC))


def judge_validity(
    target: str, start: datetime, end: datetime, now: datetime, *, file: str = "", look_at: str = _RENEWAL
) -> CheckResult:
    """Warn 30 days before the end, or a third of the validity period if that is shorter."""
    name = f"{file}: " if file else ""
    if now > end:
        return fail(target, "certificate", f"{name}expired on {end:%Y-%m-%d %H:%M} UTC", look_at)
    if end - now < min(WARNING_PERIOD, (end - start) / 3):
        seen = f"{name}expires in {count((end - now).days, 'day')}, on {end:%Y-%m-%d %H:%M} UTC"
        return warning(target, "certificate", seen, look_at)
    return ok(target, "certificate", f"{name}{count((end - now).days, 'day')} left")


def _check_redirect(address: Address, service: Service) -> CheckResult:
    target, expected = target_of(address, service), f"https://{service.domain}{service.path}"
    try:
        response = _get_plain(address, service, service.path)
    except httpx.HTTPError as error:
        return fail(target, "redirect", f"port 80: {type(error).__name__}: {error}", "the security group; " + _NGINX)
    location = response.headers.get("Location", "")
    if response.status_code in {301, 308} and location == expected:
        return ok(target, "redirect", f"http to https ({response.status_code})")
    seen = f"port 80: {response.status_code} {location}, must redirect to {expected}"
    return fail(target, "redirect", seen, UNFILED if _shows_block_page(response) else _NGINX)


def _check_large_body(address: Address, service: Service) -> CheckResult:
    """Announce a body larger than any limit. Nothing of it is sent."""
    target = target_of(address, service)
    try:
        with (
            socket.create_connection((address.ip, address.https_port), REQUEST_TIMEOUT_S) as plain,
            _context(service).wrap_socket(plain, server_hostname=service.domain) as connection,
        ):
            head = f"POST /login HTTP/1.1\r\nHost: {service.domain}\r\nContent-Length: {TOO_LARGE}\r\n\r\n"
            connection.sendall(head.encode())
            response = http.client.HTTPResponse(connection)
            response.begin()
            status = response.status
    except (OSError, http.client.HTTPException) as error:
        return fail(target, "body too large", f"{type(error).__name__}: {error}", _NGINX)
    if status == http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return ok(target, "body too large", "refused (413)")
    if status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:  # a consequence of what another check reports
        return warning(target, "body too large", f"not checked: {status}", "the checks that fail; " + _NGINX)
    return fail(target, "body too large", f"{status}, must be refused with 413", "tandem:nginx.clientMaxBodySize")


def _check_unknown_host(address: Address) -> CheckResult:
    if _refuses_unknown_names(address):
        return ok(address.ip, "unknown host", "refused")
    seen = f"https://{_UNKNOWN} at {address.ip} must be refused in the TLS handshake"
    return fail(address.ip, "unknown host", seen, "/etc/nginx/conf.d/default.conf on the master")


def _refuses_unknown_names(address: Address) -> bool:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((address.ip, address.https_port), REQUEST_TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=_UNKNOWN),
        ):
            return False
    except ssl.SSLError as error:
        return any(text in str(error) for text in _UNRECOGNIZED_NAME)
    except OSError:
        return False
