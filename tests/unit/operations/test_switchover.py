"""A public name answers as its clients expect: the check that a switchover and a drill wait for."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Generator
from contextlib import contextmanager

import pytest
import trustme

from operations.drill.site import DrillError, choose_service
from operations.switchover import find_public_answer
from provisioning.health.checks import PublicSide
from provisioning.health.public_checks import Address, Service

DOMAIN = "www.example.com"
AUTHORITY = trustme.CA()
PEM = AUTHORITY.cert_pem.bytes().decode()


@contextmanager
def listen(statuses: dict[str, int], *, secure: bool) -> Generator[int]:
    """Answers each path with its status, and others with 404. Yields the port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(statuses.get(self.path, 404))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parameter name of the base class
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if secure:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        AUTHORITY.issue_cert(DOMAIN).configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("name", "https", "statuses", "answers"),
    [
        pytest.param(DOMAIN, True, {"/": 200}, True, id="a site has no /healthz"),
        pytest.param(DOMAIN, True, {"/": 401}, True, id="a site may ask for a password"),
        pytest.param(DOMAIN, True, {"/": 502, "/healthz": 200}, False, id="a site with an error of nginx"),
        pytest.param(DOMAIN, False, {"/": 404}, True, id="a site without HTTPS"),
        pytest.param(DOMAIN, False, {"/": 502}, False, id="an error of nginx over plain HTTP"),
        pytest.param("api", True, {"/healthz": 200}, True, id="iam-apiserver"),
        pytest.param("api", True, {"/": 200}, False, id="iam-apiserver must answer with success"),
    ],
)
def test_each_name_is_asked_as_its_clients_ask(
    name: str,
    https: bool,  # noqa: FBT001 - from the parameters above
    statuses: dict[str, int],
    answers: bool,  # noqa: FBT001 - as above
) -> None:
    with listen(statuses, secure=https) as port:
        address = Address("127.0.0.1", https_port=port if https else 1, http_port=1 if https else port)
        service = Service(name, DOMAIN, PEM, https=https, http="off" if https else "serve")
        seen = find_public_answer(PublicSide((address,), (service,), ""))
    assert (seen == "") is answers, seen


def test_the_load_of_a_drill_goes_to_iam_apiserver_or_to_a_site_with_https() -> None:
    plain, site = Service("a.example.com", "a.example.com", https=False), Service(DOMAIN, DOMAIN)
    api, authz = Service("api", "iam.api.example.com"), Service("authz", "iam.authz.example.com")
    assert choose_service((plain, site, api, authz)) is api, "logins go to iam-apiserver"
    assert choose_service((plain, site)) is site
    with pytest.raises(DrillError, match="needs a site with HTTPS"):
        choose_service((plain,))
