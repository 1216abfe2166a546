from __future__ import annotations

import datetime as dt
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from provisioning_deployments import deployment
from pydantic import ValidationError

from provisioning.kinds.absent import Absent
from provisioning.kinds.file import File
from provisioning.manifest import render
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


@pytest.mark.parametrize("name", ["iam-apiserver", "iam-authz-server"])
def test_x_forwarded_for_of_the_client_is_replaced(name: str) -> None:
    text = site(files()[f"/etc/nginx/conf.d/{name}.conf"])
    assert "X-Forwarded-For $remote_addr;" in text
    assert "proxy_add_x_forwarded_for" not in text


def test_registration_is_denied_unless_the_stack_allows_it() -> None:
    path = "/etc/nginx/conf.d/iam-apiserver.conf"
    assert "deny all;" in files()[path]
    assert "allow 192.0.2.0/24;" in files(registrationCidrs=["192.0.2.0/24"])[path]
    assert "deny all;" not in files(openRegistration=True)[path]


def test_the_default_site_of_the_distribution_is_removed() -> None:
    items = render(deployment())["iam-a"].items
    assert "/etc/nginx/sites-enabled/default" in [item.path for item in items if isinstance(item, Absent)]


def test_the_access_log_contains_the_upstream_address() -> None:
    assert "upstream=$upstream_addr" in files()["/etc/nginx/nginx.conf"]


def test_hsts_lasts_two_years_and_can_be_disabled() -> None:
    path = "/etc/nginx/conf.d/iam-apiserver.conf"
    assert 'Strict-Transport-Security "max-age=63072000"' in files()[path]
    assert "Strict-Transport-Security" not in files(hstsMaxAgeS=0)[path]


def test_only_named_origins_get_cors_headers() -> None:
    path = "/etc/nginx/conf.d/iam-apiserver.conf"
    assert "Access-Control" not in files()[path]
    text = files(cors={"allowOrigins": ["https://shop.example.com"], "allowCredentials": True})[path]
    assert '"https://shop.example.com" $http_origin;' in text
    assert "Access-Control-Allow-Credentials true" in text


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


def certificate() -> tuple[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return signed.public_bytes(pem).decode(), private.decode()


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="defaults"),
        pytest.param(
            {
                "balance": "least-conn",
                "cors": {"allowOrigins": ["https://a.example.com", "http://b.example.com:8080"]},
                "hstsMaxAgeS": 0,
                "gzip": {"enabled": False},
                "registrationCidrs": ["192.0.2.0/24"],
                "workerProcesses": 2,
            },
            id="no setting at its default",
        ),
        pytest.param(
            {"balance": "ip-hash", "openRegistration": True, "cors": {"allowOrigins": ["*"]}},
            id="open registration and CORS",
        ),
    ],
)
@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed; nginx -t runs on the nodes")
def test_nginx_accepts_the_rendered_configuration(tmp_path: Path, settings: dict[str, Any]) -> None:
    public, private = certificate()
    for item in render(deployment(nginx=settings))["iam-a"].items:
        if not (isinstance(item, File) and item.path.startswith("/etc/nginx/")):
            continue
        text = re.sub("@@secret:server_certificate.*?@@", public, item.text)
        text = re.sub("@@secret:server_private_key.*?@@", private, text)
        # Move the paths below tmp_path and remove directives that need root.
        text = text.replace("/etc/nginx/", f"{tmp_path}/").replace("/var/log/nginx/", f"{tmp_path}/")
        text = re.sub(r"^(user|include .*modules-enabled).*$", "", text, flags=re.MULTILINE)
        text = text.replace("/run/nginx.pid", f"{tmp_path}/nginx.pid").replace("listen 80", "listen 8980")
        text = text.replace("listen 443", "listen 8943")
        target = tmp_path / item.path.removeprefix("/etc/nginx/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    (tmp_path / "mime.types").write_text("types { text/html html; }\n")
    result = subprocess.run(
        ["nginx", "-t", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"), "-e", str(tmp_path / "e.log")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "[warn]" not in result.stderr
