"""Each pair of settings gives a configuration that nginx accepts without a warning, and gixy without a finding."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from settings.nginx import NginxSettings
from settings.streams import StreamSettings
from settings.upstreams import UpstreamSettings
from tests.nginx.combinations import GLOBAL, SERVER, STREAM, UPSTREAMS, accepted, pairs, sites
from tests.nginx.lab import Lab, deployment

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed; nginx -t runs on nodes")
_GIXY = Path(sys.executable).parent / "gixy"
# nginx 1.22 does not know what 1.26 is configured with, and needs no certificate where 1.18 does.
_FOREIGN = re.compile(r"^ *http2 on;\n", re.MULTILINE)


def find_problems(lab: Lab, *skipped: str) -> str:
    """What gixy reports."""
    options = ["--skips", ",".join(skipped)] if skipped else []
    result = subprocess.run(
        [str(_GIXY), *options, str(lab.path("/etc/nginx/nginx.conf"))], capture_output=True, text=True, check=False
    )
    assert "==== Results ====" in result.stdout, result.stderr
    return "" if result.returncode == 0 else result.stdout


def written(directory: Path, nginx: dict[str, Any], trusted: tuple[str, ...] = ("given.given",)) -> Lab:
    lab = Lab(directory, users={"staff": "alice:$5$x$y"})
    lab.write(deployment(nginx, trusted))
    for path in lab.path("/etc/nginx").rglob("*.conf"):
        path.write_text(_FOREIGN.sub("", path.read_text()))
    return lab


@pytest.mark.parametrize("chosen", [pytest.param(row, id=str(number)) for number, row in enumerate(pairs(GLOBAL))])
def test_global_settings(tmp_path: Path, chosen: dict[str, Any]) -> None:
    # 500,000 connections take half a gigabyte at the start of a worker, which `nginx -t` does not allocate.
    lab = written(tmp_path, {**chosen, "upstreams": UPSTREAMS}, ("api", "authz"))
    assert lab.check() == ""
    # Before 1.19.4 the server for unknown names cannot reject the handshake; it closes the connection without a header.
    assert find_problems(lab, *(["hsts_header"] if chosen["version"] == "1.18" else [])) == ""


@pytest.mark.parametrize("chosen", [pytest.param(row, id=row["hosts"][0]) for row in sites()])
def test_sites_and_locations(tmp_path: Path, chosen: dict[str, Any]) -> None:
    trusted = ("given.given", f"site.{chosen['hosts'][0]}", "api", "authz")
    lab = written(tmp_path, {"sites": [chosen], "upstreams": UPSTREAMS}, trusted)
    assert lab.check() == ""
    # HSTS that is switched off, or shorter than half a year, is the choice of the settings.
    skipped = ["hsts_header"] if chosen.get("hstsMaxAgeS") == 0 else []
    assert find_problems(lab, *skipped) == ""


def test_upstreams(tmp_path: Path) -> None:
    rows = pairs(SERVER | {"method": ["round-robin", "least-conn", "ip-hash", "url-hash", "random"]})
    upstreams: dict[str, Any] = {}
    for number, row in enumerate(rows):
        method = row.pop("method")
        server = {"address": "127.0.0.9", "port": 7100 + number, **row}
        given = {"method": method, "servers": [{"address": "iam-b", "port": 7000}, server]}
        if method not in {"round-robin", "least-conn"}:
            server["backup"] = False
        upstreams[f"u{number}"] = UpstreamSettings.model_validate(given).model_dump()
    lab = written(tmp_path, {"upstreams": upstreams}, ("api", "authz"))
    assert lab.check() == ""
    assert find_problems(lab) == ""


def test_streams(tmp_path: Path) -> None:
    rows = [{**row.pop("target"), **row, "port": 10_000 + number} for number, row in enumerate(pairs(STREAM))]
    streams = accepted(rows, StreamSettings)
    assert {row["protocol"] for row in streams} == {"tcp", "udp"}
    NginxSettings.model_validate({"streams": streams, "upstreams": UPSTREAMS})
    lab = written(tmp_path, {"streams": streams, "upstreams": UPSTREAMS}, ("api", "authz"))
    assert lab.check() == ""
    # With pass-through the variable of proxy_pass only holds names of upstreams, which gixy does not see.
    assert find_problems(lab, "missing_resolver") == ""
    (tmp_path / "plain").mkdir()
    plain = [row for row in streams if "serverNames" not in row]
    lab = written(tmp_path / "plain", {"streams": plain, "upstreams": UPSTREAMS}, ("api", "authz"))
    assert find_problems(lab) == ""


def test_the_longest_names_and_names_of_zones(tmp_path: Path) -> None:
    """Errors for nginx: names that exceed its hash buckets, and two zones with one name."""
    host = ".".join([*(letter * 60 for letter in "abc"), "x.example"])
    site = {
        "hosts": [host],
        "root": "/srv/x",
        "cors": {"allowOrigins": ["https://a.example.com"]},
        "errorPages": {"404": {"file": "404.html"}},
    }
    own = {"path": "/404.html", "match": "=", "access": {"deny": ["192.0.2.0/24"]}}
    names = ("web", "stream-web", "tandem", "tandem-http")
    nginx = {
        "sites": [{**site, "locations": [{"path": "/"}, own]}],
        "upstreams": {name: {"servers": [{"address": "iam-b", "port": 7000}]} for name in names},
        "streams": [{"port": 6443, "serverNames": {host: "web", "k8s." + "a" * 40 + ".example.com": "tandem"}}],
    }
    assert written(tmp_path, nginx, ("api", "authz")).check() == ""


def test_without_a_certificate_that_clients_trust_the_only_finding_is_the_missing_hsts_header(tmp_path: Path) -> None:
    lab = written(tmp_path, {"upstreams": UPSTREAMS}, ())
    assert "Missing HSTS header" in find_problems(lab)
    assert find_problems(lab, "hsts_header") == ""


def test_the_only_finding_of_an_upstream_with_a_host_name_is_that_it_is_resolved_at_start(tmp_path: Path) -> None:
    """Only nginx 1.27.3 can resolve it again (`server ... resolve`)."""
    upstreams = {"named": {"servers": [{"address": "backend.example.com", "port": 7005}]}}
    site = {"hosts": ["a.example.com"], "locations": [{"path": "/", "proxy": "named"}]}
    lab = written(tmp_path, {"upstreams": upstreams, "sites": [site]}, ("api", "authz", "site.a.example.com"))
    assert "missing_resolver" in find_problems(lab)
    assert find_problems(lab, "missing_resolver") == ""
