from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from provisioning_deployments import deployment
from pydantic import ValidationError

from provisioning.kinds.absent import Absent
from provisioning.kinds.port import Port
from provisioning.manifest_rendering import render
from settings.iam import IamSettings
from settings.nginx import NginxSettings


def files(**settings: Any) -> dict[str, str]:
    return render(deployment(nginx=settings))["iam-a"].files()


def site(text: str) -> str:
    """Remove comments."""
    return re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)


def test_the_upstreams_are_equal_on_all_nodes_and_contain_all_nodes() -> None:
    path = "/etc/nginx/conf.d/upstreams.conf"
    a, b = (manifest.files()[path] for manifest in render(deployment()).values())
    assert a == b
    for server in ("10.0.4.20:8080", "10.0.4.21:8080", "10.0.4.20:9090", "10.0.4.21:9090"):
        assert f"server {server} " in a
    assert "127.0.0.1" not in a


def test_each_upstream_has_a_zone_that_its_workers_share() -> None:
    upstreams = files()["/etc/nginx/conf.d/upstreams.conf"]
    assert upstreams.count("zone iam-") == upstreams.count("upstream iam-") == 2


@pytest.mark.parametrize("name", ["iam-apiserver", "iam-authz-server"])
def test_a_dead_node_delays_by_one_second_and_a_post_is_not_retried(name: str) -> None:
    text = site(files()[f"/etc/nginx/conf.d/{name}.conf"])
    assert "proxy_connect_timeout 1s;" in text
    assert "proxy_next_upstream_tries 2;" in text
    assert "non_idempotent" not in text


@pytest.mark.parametrize(("given", "used"), [(60, 10), (3, 3)])
def test_a_request_to_iam_waits_at_most_ten_seconds(given: int, used: int) -> None:
    for name in ("iam-apiserver", "iam-authz-server"):
        text = site(files(readTimeoutS=given)[f"/etc/nginx/conf.d/{name}.conf"])
        assert f"proxy_read_timeout {used}s;" in text


def test_only_the_apiservers_domain_answers_503_without_the_database() -> None:
    assert "-f /run/tandem/database-away" in files()["/etc/nginx/conf.d/iam-apiserver.conf"]
    assert "database-away" not in files()["/etc/nginx/conf.d/iam-authz-server.conf"]
    seed = render(deployment(profile="seed"))["iam-a"].files()
    assert "database-away" not in seed["/etc/nginx/conf.d/iam-apiserver.conf"], "without a health daemon"


@pytest.mark.parametrize("name", ["iam-apiserver", "iam-authz-server"])
def test_x_forwarded_for_of_the_client_is_replaced(name: str) -> None:
    text = site(files()[f"/etc/nginx/conf.d/{name}.conf"])
    assert "X-Forwarded-For $remote_addr;" in text
    assert "proxy_add_x_forwarded_for" not in text


def test_the_default_site_of_the_distribution_is_removed() -> None:
    items = render(deployment())["iam-a"].items
    assert "/etc/nginx/sites-enabled/default" in [item.path for item in items if isinstance(item, Absent)]


def test_the_case_of_header_names_does_not_matter() -> None:
    headers = {"x-forwarded-for": "$proxy_add_x_forwarded_for", "HOST": "inner.example.com", "x-real-ip": "$host"}
    one = {
        "path": "/", "proxy": "iam-apiserver", "requestHeaders": headers, "websocket": True,
        "headers": {"x-frame-options": "DENY"},
    }  # fmt: skip
    sites = [{"hosts": ["web.example.com"], "headers": {"X-Frame-Options": "SAMEORIGIN"}, "locations": [one]}]
    text = files(sites=sites)["/etc/nginx/conf.d/site-web.example.com.conf"]
    location = text.partition("location / {\n        add_header")[2].lower()
    names = re.findall("proxy_set_header ([a-z-]+) ", location)
    assert len(names) == len(set(names)), names
    assert set(headers) <= {*names, "HOST"}
    assert "sameorigin" not in location


def test_hsts_as_a_header_replaces_the_default() -> None:
    given = {"hosts": ["web.example.com"], "root": "/srv/web", "headers": {"strict-transport-security": "max-age=9"}}
    deployed = replace(deployment(nginx={"sites": [given]}), trusted_certificates=frozenset({"site.web.example.com"}))
    text = render(deployed)["iam-a"].files()["/etc/nginx/conf.d/site-web.example.com.conf"]
    assert re.findall("(?i)add_header strict-transport-security .*", text) == [
        'add_header strict-transport-security "max-age=9" always;'
    ]


def test_a_proxied_acme_challenge_has_the_same_headers_without_tls() -> None:
    """Programs such as lego answer a challenge only for the host name of the certificate."""
    challenges = {
        "path": "/.well-known/acme-challenge/",
        "proxy": "iam-apiserver",
        "errorPages": {"404": {"body": "x"}},
    }
    text = files(sites=[{"hosts": ["web.example.com"], "root": "/srv/web", "locations": [{"path": "/"}, challenges]}])
    plain, tls = text["/etc/nginx/conf.d/site-web.example.com.conf"].split("listen 443")
    names = re.compile(r"proxy_set_header .*|location @\S+")
    assert set(names.findall(plain)) == set(names.findall(tls)) >= {"proxy_set_header Host $host;"}


def test_a_location_for_one_challenge_keeps_the_directory_for_the_others() -> None:
    one = {"path": "/.well-known/acme-challenge/token", "match": "=", "respond": {"body": "answer"}}
    text = files(sites=[{"hosts": ["web.example.com"], "root": "/srv/web", "locations": [{"path": "/"}, one]}])
    plain = text["/etc/nginx/conf.d/site-web.example.com.conf"].split("listen 443")[0]
    assert "location ^~ /.well-known/acme-challenge/ {" in plain
    assert "location = /.well-known/acme-challenge/token {" in plain


@pytest.mark.parametrize("version", ["1.18", "1.22", "1.26"])
@pytest.mark.parametrize("https", [True, False])
def test_the_checked_ports_are_those_on_which_nginx_listens(version: str, *, https: bool) -> None:
    """Without a certificate, version 1.18 has no server on port 443, and the health gate would always fail."""
    one = {"hosts": ["web.example.com"], "https": https, "http": "serve", "root": "/srv/web"}
    group = deployment(nginx={"version": version, "sites": [one]})
    manifest = render(replace(group, iam=IamSettings(enabled=False), domains=None, release=None))["iam-a"]
    text = "".join(manifest.files().values())
    listens = {int(port) for port in re.findall(r"^ +listen (\d+)", text, re.MULTILINE)}
    assert {item.port for item in manifest.items if isinstance(item, Port)} == listens


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"user": "root"}, "must be an unprivileged user", id="workers as root"),
        pytest.param(
            {"cors": {"allowOrigins": ["*"], "allowCredentials": True}},
            "list the origins instead",
            id="credentials with any origin",
        ),
        pytest.param({"clientMaxBodySize": "5 m"}, "pattern", id="a size with a space"),
        pytest.param({"workerConnection": 5}, "Extra inputs", id="an unknown key"),
        pytest.param({"workerProcesses": 0}, "greater than", id="zero workers"),
        pytest.param({"connectTimeoutS": 60}, "less than", id="the default connect timeout of nginx"),
    ],
)
def test_an_invalid_setting_is_rejected(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        NginxSettings.model_validate(settings)
