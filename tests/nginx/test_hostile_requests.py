"""Requests that no browser sends, on a real nginx: what a client cannot reach with them."""

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
    {"path": "/public/", "proxy": "web", "proxyPath": "/inner/public/"},
    {"path": "/files/", "root": "/srv/www"},
    {"path": "/alias/", "alias": "/srv/www/files/", "tryFiles": ["$uri", "=404"]},
    {"path": "/named/.git/", "alias": "/srv/www/files/.git/"},
    {
        "path": "^/file/([a-z]+)$", "match": "~", "root": "/srv/www",
        "errorPages": {"404": {"body": "no $1", "contentType": "text/plain"}},
    },
    {
        "path": "^/grouped/([a-z]+)$", "match": "~", "proxy": "web", "cache": {"validS": 60, "key": "kept-$1"},
        "access": {"allow": ["127.0.0.0/8"], "exceptMethods": ["GET"]}, "basicAuth": {"users": "staff"},
        "rateLimit": {"perS": 1000, "burst": 100, "only": "basic-auth"},
    },
    {
        "path": "/own/", "root": "/srv/www", "headers": {"X-Frame-Options": "DENY"},
        "errorPages": {"40x": {"body": "general"}, "404": {"body": "missing"}},
    },
    {"path": "/own-headers/", "root": "/srv/www", "headers": {"X-Frame-Options": "DENY"}},
    {"path": "/down/", "proxy": "nobody", "errorPages": {"404": {"body": "missing"}}},
]  # fmt: skip
SITE = {
    "hosts": [WWW], "locations": LOCATIONS, "headers": {"X-Site": "www"},
    "errorPages": {"404": {"body": "of the site"}, "50x": {"body": "down"}},
}  # fmt: skip


@pytest.fixture(scope="module")
def lab(web: Backend, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    directory = tmp_path_factory.mktemp("nginx")
    for name in ("index.html", ".env", ".git/config", ".well-known/security.txt"):
        path = directory / "srv/www/files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    settings = {
        "upstreams": {
            "web": {"servers": [{"address": "127.0.0.1", "port": web.port}]},
            "nobody": {"servers": [{"address": "127.0.0.1", "port": 1}]},
        },
        "sites": [SITE],
    }
    with running(directory, settings, users={"staff": _USERS}) as started:
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


@pytest.mark.parametrize("path", ["a%0Ab", "ab%0A", "%0A/../a"])
def test_a_line_feed_in_a_path_does_not_lead_out_of_the_proxy_path(lab: Lab, path: str) -> None:
    seen = json.loads(lab.send("GET", WWW, f"/public/{path}").body)
    assert seen["path"].startswith("/inner/public/")


@pytest.mark.parametrize("location", ["/files", "/alias"])
def test_hidden_files_are_not_public(lab: Lab, location: str) -> None:
    for name, status in {
        "index.html": 200, ".env": 404, "%2eenv": 404, ".git/config": 404, ".well-known/security.txt": 200,
        ".well-known/../.env": 404, ".well-known-not": 404,
    }.items():  # fmt: skip
        assert lab.send("GET", WWW, f"{location}/{name}").status == status, name


def test_a_location_whose_path_names_hidden_files_serves_them(lab: Lab) -> None:
    assert lab.send("GET", WWW, "/named/.git/config").body == b".git/config"


def test_the_groups_of_a_path_keep_their_values(lab: Lab) -> None:
    """A condition with a regular expression clears them: the responses of all paths would have the same key."""
    assert lab.send("GET", WWW, "/file/alice").body == b"no alice"
    paths = [
        json.loads(lab.send("GET", WWW, f"/grouped/{name}", headers=_PASSWORD).body)["path"]
        for name in ("alice", "bob")
    ]
    assert paths == ["/grouped/alice", "/grouped/bob"]


@pytest.mark.parametrize("path", ["/files/.well-known", "//files//.well-known"])
def test_the_redirect_to_a_directory_leads_neither_to_http_nor_to_another_host(lab: Lab, path: str) -> None:
    response = lab.send("GET", WWW, path)
    assert (response.status, response.header("Location")) == (301, f"{path.replace('//', '/')}/")


@pytest.mark.parametrize(
    ("path", "body", "framing"),
    [
        pytest.param("/own/x", "missing", "DENY", id="headers and a page of the location"),
        pytest.param("/own-headers/x", "of the site", "DENY", id="headers of the location, the page of the site"),
        pytest.param("/down/x", "down", "", id="a page of the location for another status"),
    ],
)
def test_error_pages_have_the_headers_of_their_location(lab: Lab, path: str, body: str, framing: str) -> None:
    response = lab.send("GET", WWW, path)
    assert (response.body.decode(), response.header("X-Frame-Options"), response.header("X-Site")) == (
        body,
        framing,
        "www",
    )
