"""No spelling of `POST /v1/users` creates a user through nginx: the service creates administrators without a login."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from iam_site import Site

from tests.nginx.lab import API, NODE_ADDRESSES, Lab, running

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
USER = {
    "metadata": {"name": "intruder"}, "password": "Intruder@2026", "nickname": "intruder",
    "email": "i@example.com", "phone": "1812345678", "isAdmin": 1,
}  # fmt: skip


@pytest.fixture
def behind(iam: Site, tmp_path: Path) -> Iterator[tuple[Lab, Site]]:
    replaced = {f"{address}:8080 ": f"127.0.0.1:{iam.ports['apiserver']} " for address in NODE_ADDRESSES}
    with running(tmp_path / "nginx", {"registrationCidrs": ["127.0.4.0/24"]}, replaced=replaced) as lab:
        yield lab, iam


def create(lab: Lab, path: str, method: str = "POST", source: str = "127.0.0.1", **headers: str) -> int:
    """Ask for a new administrator. Returns the status."""
    body = json.dumps(USER).encode()
    given = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return lab.send(method, API, path, body=body, headers=given, source=source).status


def test_no_spelling_creates_a_user(behind: tuple[Lab, Site]) -> None:
    lab, iam = behind
    spellings = [
        "/v1/users", "/v1/users/", "//v1/users", "/v1//users", "/v1/users//", "/v1/%75sers",
        "/%76%31/users", "/v1/./users",
        "/v1/x/../users", "/./v1/users", "/v1/users?x=1", "/v1/users;x=1", "/v1/users/;x", "/v1/users%2f",
        "/v1/users/.",
        "/v1/users/%2e", "/V1/users", "/v1/users%00", "/v1/users#x", f"https://{API}/v1/users",
        f"http://{API}//v1/users",
        "/v1/users/%2e%2e/users", "/healthz/../v1/users", "/login/../v1/users", "/metrics/../v1/users",
    ]  # fmt: skip
    found = {path: create(lab, path) for path in spellings}
    assert [user.metadata.name for user in iam.store.users] == ["admin"], found
    assert all(status >= 400 for status in found.values()), found


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "OPTIONS", "HEAD", "CREATE", "DELETE"])
def test_a_method_override_creates_no_user(behind: tuple[Lab, Site], method: str) -> None:
    lab, iam = behind
    for name in ("X_HTTP_Method_Override", "X_HTTP_Method", "X_Method_Override"):
        create(lab, "/v1/users", method, **{name: "POST"})
        create(lab, "/v1/users?_method=POST", method, **{name: "POST"})
    assert [user.metadata.name for user in iam.store.users] == ["admin"]


def test_a_user_is_created_from_a_named_network(behind: tuple[Lab, Site]) -> None:
    lab, iam = behind
    assert create(lab, "/v1/users", source="127.0.4.1") == 200
    assert [user.metadata.name for user in iam.store.users] == ["admin", "intruder"]
