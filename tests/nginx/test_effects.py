"""The effect of each setting of a site or location, seen from outside on one real nginx."""

from __future__ import annotations

import base64
import json
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.nginx.backends import Backend
from tests.nginx.lab import Lab, Response, running

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")

WWW, PLAIN, OTHER = "www.example.com", "plain.example.com", "other.example.com"
ORIGIN = "https://shop.example.com"
# `openssl passwd -5 -salt salt secret`
_USERS = "alice:$5$salt$kpa26zwgX83BPSR8d7w93OIXbFt/d3UOTZaAu5vsTM6"
_OWN_CORS = {"allowOrigins": [ORIGIN], "allowCredentials": True, "allowHeaders": ["Authorization", "X-Mine"]}

LOCATIONS: list[dict[str, Any]] = [
    {"path": "/", "proxy": "web"},
    {"path": "/exact", "match": "=", "respond": {"body": "exact"}},
    {"path": "/first/", "match": "^~", "respond": {"body": "first"}},
    {"path": r"\.txt$", "match": "~", "respond": {"body": "txt"}},
    {"path": r"\.IMG$", "match": "~*", "respond": {"body": "img"}},
    {"path": "/api/v1/", "proxy": "web", "proxyPath": "/"},
    {"path": "/get", "proxy": "web", "proxyMethod": "GET"},
    {"path": "/moved", "redirect": {"to": "https://new.example.com$request_uri", "status": 308}},
    {"path": "/teapot", "respond": {"status": 418, "body": '{"tea": true}', "contentType": "application/json"}},
    {"path": "/files/", "root": "/srv/www"},
    {"path": "/static/", "alias": "/srv/www/assets/", "expires": "7d"},
    {"path": "/app/", "root": "/srv/www", "tryFiles": ["$uri", "/app/index.html"]},
    {"path": "/headers-own/", "proxy": "web", "headers": {"X-Mine": "1"}, "hideHeaders": ["X-Long"]},
    {"path": "/to-inner", "proxy": "web", "requestHeaders": {"Host": "inner.example.com", "X-Tenant": "$host"}},
    {"path": "/small", "proxy": "web", "clientMaxBodySize": "1k"},
    {"path": "/streamed", "proxy": "web", "requestBuffering": False, "buffering": False},
    {"path": "/socket", "proxy": "web", "websocket": True},
    {"path": "/limited", "proxy": "web", "rateLimit": {"perS": 1, "burst": 2}},
    {"path": "/passwords", "proxy": "web", "rateLimit": {"perS": 1, "burst": 2, "only": "basic-auth"}},
    {"path": "/one/", "proxy": "web", "maxConnections": 1},
    {"path": "/inside", "match": "^~", "proxy": "web", "access": {"allow": ["127.0.1.0/24"], "deny": ["127.0.1.9/32"]}},
    {"path": "/outside", "match": "^~", "proxy": "web", "access": {"deny": ["127.0.1.0/24"], "exceptMethods": ["GET"]}},
    {"path": "/staff", "match": "^~", "proxy": "web", "basicAuth": {"users": "staff", "realm": "Staff"}},
    {"path": "/slow-1s", "proxy": "web", "readTimeoutS": 1},
    {"path": "/cached", "proxy": "web", "cache": {"validS": 60}},
    {"path": "/cached-short", "proxy": "web", "cache": {"validS": 1}},
    {"path": "/pictures/", "root": "/srv/www", "hotlink": {"hosts": ["*.friend.example.com"]}},
    {"path": "/strict/", "root": "/srv/www", "hotlink": {"allowEmpty": False}},
    {"path": "/cors", "proxy": "web", "cors": _OWN_CORS},
    {"path": "/quiet", "proxy": "web", "accessLog": False},
    {"path": "/broken", "proxy": "nobody", "errorPages": {"50x": {"body": "soon"}}},
    {"path": "/extra", "proxy": "web", "extraConfig": "proxy_set_header X-Extra yes;"},
]  # fmt: skip


@pytest.fixture(scope="module")
def lab(web: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    directory = tmp_path_factory.mktemp("nginx")
    files = {
        "files/a.html": "a", "assets/site.css": "css " * 1000, "app/index.html": "app", "app/x.html": "x",
        "pictures/a.png": "png", "strict/a.png": "png", "404.html": "not here", "index.html": "home",
    }  # fmt: skip
    for name, text in files.items():
        path = directory / "srv/www" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    challenge = directory / "srv/acme/.well-known/acme-challenge/token"
    challenge.parent.mkdir(parents=True)
    challenge.write_text("challenge")
    settings = {
        "upstreams": {
            "web": {"servers": [{"address": "127.0.0.1", "port": web.port}]},
            "nobody": {"servers": [{"address": "127.0.0.1", "port": 1}]},
        },
        "trustedProxies": {"cidrs": ["127.0.2.0/24"]},
        "gzip": {"minLength": 100},
        "sites": [
            {"hosts": [WWW, "*.alias.example.com"], "locations": LOCATIONS, "headers": {"X-Site": "www"}},
            {
                "hosts": [PLAIN], "https": False, "http": "serve", "root": "/srv/www", "default": True,
                "errorPages": {"404": {"file": "404.html"}},
            },
            {
                "hosts": [OTHER], "http": "off", "hstsMaxAgeS": 31_536_000, "cors": {"allowOrigins": ["*"]},
                "extraConfig": "add_header X-Extra site always;", "clientMaxBodySize": "1k",
                "locations": [{"path": "/", "proxy": "web"}],
            },
        ],
    }  # fmt: skip
    with running(directory, settings, users={"staff": _USERS}, trusted=(f"site.{OTHER}",)) as started:
        yield started


def seen(response: Response) -> dict[str, Any]:
    """What the backend says about the request."""
    assert response.status == 200, response
    return json.loads(response.body)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("/exact", b"exact", id="="),
        pytest.param("/first/x.txt", b"first", id="^~ wins over a regular expression"),
        pytest.param("/x.txt", b"txt", id="~"),
        pytest.param("/x.img", b"img", id="~* ignores case"),
    ],
)
def test_the_kind_of_match_decides(lab: Lab, path: str, body: bytes) -> None:
    assert lab.send("GET", WWW, path).body == body


@pytest.mark.parametrize("path", ["/exact/more", "/x.TXT", "/x.img.html"])
def test_other_paths_go_to_the_general_location(lab: Lab, path: str) -> None:
    assert seen(lab.send("GET", WWW, path))["path"] == path


def test_a_prefix_is_replaced(lab: Lab) -> None:
    assert seen(lab.send("GET", WWW, "/api/v1/users?a=%2F"))["path"] == "/users?a=%2F"


def test_the_method_is_replaced(lab: Lab) -> None:
    assert lab.send("HEAD", WWW, "/get").status == 200
    assert seen(lab.send("POST", WWW, "/get", body=b""))["method"] == "GET"


def test_redirects_and_fixed_responses(lab: Lab) -> None:
    moved = lab.send("GET", WWW, "/moved?a=1")
    assert (moved.status, moved.header("Location")) == (308, "https://new.example.com/moved?a=1")
    teapot = lab.send("GET", WWW, "/teapot")
    assert (teapot.status, teapot.header("Content-Type"), teapot.body) == (418, "application/json", b'{"tea": true}')


def test_files_by_root_alias_and_try_files(lab: Lab) -> None:
    assert lab.send("GET", WWW, "/files/a.html").body == b"a"
    assert lab.send("GET", WWW, "/static/site.css").body.startswith(b"css")
    assert lab.send("GET", WWW, "/app/x.html").body == b"x"
    assert lab.send("GET", WWW, "/app/any/route").body == b"app"
    for path in ("/static/%2e%2e/%2e%2e/%2e%2e/etc/passwd", "/files/../../../etc/passwd", "/files/none"):
        assert lab.send("GET", WWW, path).status in {400, 404}
    # No alias without a slash at its end.
    assert seen(lab.send("GET", WWW, "/static../app/index.html"))["path"] == "/static../app/index.html"


def test_the_browser_cache(lab: Lab) -> None:
    assert lab.send("GET", WWW, "/static/site.css").header("Cache-Control") == "max-age=604800"
    assert lab.send("GET", WWW, "/files/a.html").header("Cache-Control") == ""


def test_responses_are_compressed_from_the_minimum_size(lab: Lab) -> None:
    accepts = {"Accept-Encoding": "gzip"}
    css = lab.send("GET", WWW, "/static/site.css", headers=accepts)
    assert (css.header("Content-Encoding"), css.header("Vary")) == ("gzip", "Accept-Encoding")
    assert lab.send("GET", WWW, "/large", headers=accepts).header("Content-Encoding") == "gzip"
    assert lab.send("GET", WWW, "/files/a.html", headers=accepts).header("Content-Encoding") == ""


def test_response_headers_add_to_those_of_the_site(lab: Lab) -> None:
    own = lab.send("GET", WWW, "/headers-own/headers/10")
    assert (own.header("X-Site"), own.header("X-Mine"), own.header("X-Long")) == ("www", "1", "")
    assert lab.send("GET", WWW, "/headers/10").header("X-Long") == "y" * 10
    assert lab.send("GET", WWW, "/exact").header("X-Site") == "www"


def test_the_upstream_sees_the_client(lab: Lab) -> None:
    forged = {"X-Forwarded-For": "192.0.2.1", "X-Real-IP": "192.0.2.1", "X-Forwarded-Proto": "gopher"}
    headers = seen(lab.send("GET", WWW, "/", source="127.0.0.5", headers=forged))["headers"]
    assert headers["host"] == headers["x-forwarded-host"] == WWW
    assert headers["x-forwarded-for"] == headers["x-real-ip"] == "127.0.0.5"
    assert headers["x-forwarded-proto"] == "https"
    assert re.fullmatch("[0-9a-f]{32}", headers["x-request-id"])


def test_request_headers_replace_and_add(lab: Lab) -> None:
    headers = seen(lab.send("GET", WWW, "/to-inner"))["headers"]
    assert (headers["host"], headers["x-tenant"], headers["x-real-ip"]) == ("inner.example.com", WWW, "127.0.0.1")


def test_a_trusted_proxy_names_the_client(lab: Lab) -> None:
    given = {"X-Forwarded-For": "192.0.2.66, 203.0.113.7, 127.0.2.3", "X-Forwarded-Proto": "http"}
    headers = seen(lab.send("GET", WWW, "/", source="127.0.2.1", headers=given))["headers"]
    assert (headers["x-forwarded-for"], headers["x-forwarded-proto"]) == ("203.0.113.7", "http")
    assert json.loads(lab.last_entry("203.0.113.7"))["remote_addr"] == "203.0.113.7"


def test_body_sizes(lab: Lab) -> None:
    assert lab.send("POST", WWW, "/small", body=b"x" * 1025).status == 413
    assert seen(lab.send("POST", WWW, "/", body=b"x" * 1_000_000))["body"] == 1_000_000
    assert lab.send("POST", OTHER, "/", body=b"x" * 1025).status == 413
    assert seen(lab.send("POST", WWW, "/small", body=b"x" * 1024))["body"] == 1024


def test_headers_up_to_the_buffer_size(lab: Lab) -> None:
    assert seen(lab.send("GET", WWW, "/", headers={"Authorization": "Bearer " + "x" * 9000}))["headers"][
        "authorization"
    ]
    assert lab.send("GET", WWW, "/", headers={"Cookie": "x" * 17_000}).status == 400
    assert len(lab.send("GET", WWW, "/headers/12000").header("X-Long")) == 12_000


def test_an_unbuffered_request_reaches_the_upstream_before_it_ends(lab: Lab, web: Backend) -> None:
    """The backend reads the first part while the client still sends."""
    for path, early in (("/streamed", True), ("/", False)):
        before = len(web.received)
        with lab.connect(WWW) as sock:
            head = f"POST {path} HTTP/1.1\r\nHost: {WWW}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
            sock.sendall(head.encode())
            time.sleep(0.2)
            connected = web.reading > 0
            sock.sendall(b"0\r\n\r\n")
            assert sock.recv(4096).startswith(b"HTTP/1.1 200")
        assert connected == early
        assert len(web.received) == before + 1


def test_a_websocket_is_passed_on(lab: Lab) -> None:
    for path, status in (("/socket", b"101"), ("/", b"200")):
        with lab.connect(WWW) as sock:
            sock.sendall(
                f"GET {path} HTTP/1.1\r\nHost: {WWW}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n".encode()
            )
            assert sock.recv(4096).split()[1] == status
            if status == b"101":
                sock.sendall(b"\x81\x02hi")
                assert sock.recv(100) == b"\x81\x02hi"


def test_another_protocol_is_not_passed_on(lab: Lab) -> None:
    headers = {"Upgrade": "h2c", "Connection": "Upgrade"}
    assert "upgrade" not in seen(lab.send("GET", WWW, "/socket", headers=headers))["headers"]


def _statuses(send: Callable[[], Response], count: int) -> list[int]:
    return [send().status for _ in range(count)]


def test_the_request_rate_is_limited_for_each_client(lab: Lab) -> None:
    def send(source: str) -> Response:
        return lab.send("GET", WWW, "/limited", source=source)

    assert _statuses(lambda: send("127.0.3.1"), 5) == [200, 200, 200, 429, 429]
    assert send("127.0.3.2").status == 200


def test_a_limit_of_passwords_does_not_count_other_requests(lab: Lab) -> None:
    def send(**headers: str) -> Response:
        return lab.send("GET", WWW, "/passwords", source="127.0.3.4", headers=headers)

    assert _statuses(lambda: send(Authorization="Bearer x"), 6) == [200] * 6
    assert _statuses(lambda: send(Authorization="basic eA=="), 5) == [200, 200, 200, 429, 429]
    assert send().status == 200


def test_concurrent_requests_are_limited(lab: Lab) -> None:
    with ThreadPoolExecutor(3) as pool:
        sent = [pool.submit(lab.send, "GET", WWW, "/one/slow/0.5", source="127.0.3.5") for _ in range(3)]
        assert sorted(each.result().status for each in sent) == [200, 429, 429]


@pytest.mark.parametrize(
    ("method", "path", "source", "status"),
    [
        pytest.param("GET", "/inside", "127.0.1.1", 200, id="an allowed network"),
        pytest.param("GET", "/inside", "127.0.1.9", 403, id="a denied address in it"),
        pytest.param("GET", "/inside", "127.0.0.1", 403, id="another network"),
        pytest.param("GET", "/outside", "127.0.0.1", 200, id="no allowed network means all"),
        pytest.param("POST", "/outside", "127.0.1.1", 403, id="a denied network"),
        pytest.param("GET", "/outside", "127.0.1.1", 200, id="an excepted method"),
        pytest.param("HEAD", "/outside", "127.0.1.1", 200, id="HEAD belongs to GET"),
    ],
)
def test_access_by_network(lab: Lab, method: str, path: str, source: str, status: int) -> None:
    assert lab.send(method, WWW, path, source=source).status == status


def test_basic_authentication(lab: Lab) -> None:
    refused = lab.send("GET", WWW, "/staff")
    assert (refused.status, refused.header("WWW-Authenticate")) == (401, 'Basic realm="Staff"')
    for password, status in (("secret", 200), ("wrong", 401)):
        token = base64.b64encode(f"alice:{password}".encode()).decode()
        assert lab.send("GET", WWW, "/staff", headers={"Authorization": f"Basic {token}"}).status == status


def test_the_read_timeout_of_a_location(lab: Lab) -> None:
    began = time.monotonic()
    assert lab.send("GET", WWW, "/slow-1s/slow/3").status == 504
    assert time.monotonic() - began < 2.5


def test_responses_are_cached(lab: Lab, web: Backend) -> None:
    before = len(web.received)
    found = [lab.send("GET", WWW, "/cached/x").header("X-Cache-Status") for _ in range(3)]
    assert (found, len(web.received) - before) == (["MISS", "HIT", "HIT"], 1)
    assert lab.send("GET", WWW, "/cached/y").header("X-Cache-Status") == "MISS"
    assert lab.send("GET", WWW, "/cached-short").header("X-Cache-Status") == "MISS"
    time.sleep(2.1)
    assert lab.send("GET", WWW, "/cached-short").header("X-Cache-Status") in {"EXPIRED", "STALE"}


@pytest.mark.parametrize(
    ("path", "referer", "status"),
    [
        pytest.param("/pictures/a.png", "https://evil.example.net/", 403, id="another site"),
        pytest.param("/pictures/a.png", f"https://{WWW}/page", 200, id="the site"),
        pytest.param("/pictures/a.png", "https://my.friend.example.com/", 200, id="a named site"),
        pytest.param("/pictures/a.png", f"https://evil.example.net/?{WWW}", 403, id="the name of the site elsewhere"),
        pytest.param("/pictures/a.png", "", 200, id="no referer"),
        pytest.param("/strict/a.png", "", 403, id="no referer, strict"),
    ],
)
def test_hotlink_protection(lab: Lab, path: str, referer: str, status: int) -> None:
    headers = {"Referer": referer} if referer else {}
    assert lab.send("GET", WWW, path, headers=headers).status == status


def test_cors_of_a_location(lab: Lab) -> None:
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-mine"}
    preflight = lab.send("OPTIONS", WWW, "/cors", headers={"Origin": ORIGIN, **asks})
    assert (preflight.status, preflight.header("Access-Control-Allow-Origin")) == (204, ORIGIN)
    assert preflight.header("Access-Control-Allow-Headers") == "Authorization, X-Mine"
    assert preflight.header("Access-Control-Allow-Credentials") == "true"
    assert preflight.header("Access-Control-Max-Age") == "600"
    other = lab.send("OPTIONS", WWW, "/cors", headers={"Origin": "https://evil.example.net", **asks})
    assert (other.status, other.header("Access-Control-Allow-Origin")) == (403, "")
    assert seen(lab.send("OPTIONS", WWW, "/cors", headers={"Origin": ORIGIN}))["method"] == "OPTIONS"
    plain = lab.send("GET", WWW, "/cors/own-cors", headers={"Origin": ORIGIN})
    assert plain.all("Access-Control-Allow-Origin") == [ORIGIN]
    assert "Origin" in plain.header("Vary")


def test_without_cors_the_headers_of_the_upstream_pass(lab: Lab) -> None:
    assert lab.send("GET", WWW, "/own-cors").all("Access-Control-Allow-Origin") == ["*"]
    assert lab.send("GET", OTHER, "/own-cors").all("Access-Control-Allow-Origin") == ["*"]


def test_the_access_log(lab: Lab) -> None:
    lab.send("GET", WWW, '/log?"quoted', headers={"User-Agent": 'a "b" \\'})
    lab.send("GET", WWW, "/quiet")
    entry = json.loads(lab.last_entry("/log?"))
    assert entry["uri"] == '/log?"quoted'
    assert (entry["status"], entry["upstream_status"], entry["host"]) == (200, "200", WWW)
    assert float(entry["upstream_response_time"]) >= 0
    assert len(entry["request_id"]) == 32


def test_error_pages(lab: Lab) -> None:
    soon = lab.send("GET", WWW, "/broken")
    assert (soon.status, soon.header("Content-Type"), soon.body) == (502, "text/html", b"soon")
    missing = lab.send("GET", PLAIN, "/none", tls=False)
    assert (missing.status, missing.body) == (404, b"not here")
    assert lab.send("GET", PLAIN, "/404.html", tls=False).status == 404


def test_extra_directives(lab: Lab) -> None:
    assert seen(lab.send("GET", WWW, "/extra"))["headers"]["x-extra"] == "yes"
    assert lab.send("GET", OTHER, "/").header("X-Extra") == "site"


def test_plain_http_serve_redirect_and_off(lab: Lab) -> None:
    assert lab.send("GET", PLAIN, "/", tls=False).body == b"home"
    redirected = lab.send("GET", WWW, "/x?y=1", tls=False)
    assert (redirected.status, redirected.header("Location")) == (301, f"https://{WWW}/x?y=1")
    assert lab.send("GET", OTHER, "/", tls=False).status == 404


@pytest.mark.parametrize("host", [WWW, PLAIN, OTHER])
def test_acme_challenges_are_served_without_a_redirect(lab: Lab, host: str) -> None:
    assert lab.send("GET", host, "/.well-known/acme-challenge/token", tls=False).body == b"challenge"


def test_unknown_names_and_addresses(lab: Lab) -> None:
    assert lab.send("GET", "unknown.example.net", "/", tls=False).body == b"home"  # the default site
    assert lab.send("GET", "health", "/healthz", tls=False).body == b"ok\n"  # as the health daemons ask
    assert lab.send("GET", "x.alias.example.com", "/exact").body == b"exact"
    # The health daemons probe by address, also with a default site.
    assert lab.send("GET", "127.0.0.1", "/healthz", tls=False).body == b"ok\n"
    with pytest.raises(OSError, match=r"(?i)unrecognized|alert|eof|reset"):
        lab.connect("unknown.example.net")


def test_hsts_only_with_a_certificate_that_clients_trust(lab: Lab) -> None:
    assert lab.send("GET", OTHER, "/").header("Strict-Transport-Security") == "max-age=31536000"
    assert lab.send("GET", WWW, "/").header("Strict-Transport-Security") == ""


def test_the_version_is_not_shown(lab: Lab) -> None:
    assert lab.send("GET", WWW, "/none.txt").header("Server") == "nginx"


def test_a_drain_closes_connections_after_the_response(lab: Lab) -> None:
    """The agent writes this file for a drain and reloads nginx (provisioning/agent/drain.py)."""
    drain = lab.path("/run/tandem/nginx-drain.conf")
    drain.write_text("keepalive_timeout 0;\n")
    try:
        lab.reload()
        assert lab.send("GET", WWW, "/").header("Connection") == "close"
    finally:
        drain.unlink()
        lab.reload()
    assert lab.send("GET", WWW, "/").header("Connection") == "keep-alive"


def test_a_reload_drops_no_request(lab: Lab) -> None:
    stop, failed = threading.Event(), list[object]()

    def ask() -> None:
        while not stop.is_set():
            try:
                assert lab.send("GET", WWW, "/").status == 200
            except (OSError, AssertionError) as error:
                failed.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        lab.reload()
    stop.set()
    for thread in threads:
        thread.join()
    assert not failed
