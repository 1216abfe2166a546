"""Replays all recorded exchanges with the real services and compares status, code and shape of the responses.

`data/exchanges.jsonl` contains exchanges recorded with the error-code table (`+codes`) and those that do not depend on
it. Tokens and ids are truncated there, so this module defines the token of each request and the unrecorded requests.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import pytest
from iam_site import ADMIN_PASSWORD, KEY, Site, sign

_EXCHANGES = [
    exchange
    for line in (Path(__file__).parent / "data" / "exchanges.jsonl").read_text().splitlines()
    if "request" in (exchange := json.loads(line))
]

# label -> the reason for another response of the stand-in. An entry whose response does not differ is an error.
DEVIATIONS = {
    "version/apiserver": "reports its own version",
    "version/authz-server": "reports its own version",
    "metrics/apiserver": "has no metrics",
    "metrics/authz-server": "has no metrics",
    "pprof-open/apiserver": "is not a Go program; provisioning disables profiling",
}
# Values that change between runs: compared by type only.
_VOLATILE = {
    "id", "instanceID", "createdAt", "updatedAt", "loginedAt", "password", "secretID", "secretKey", "token", "expire",
}  # fmt: skip


def _key(exchange: dict[str, Any]) -> str:
    return f"{exchange['label']}/{exchange['server']}"


def _expired(login_s_ago: float) -> str:
    now = int(time.time())
    claims = {
        "aud": "iam.api.marmotedu.com", "iss": "iam-apiserver", "identity": "admin", "sub": "admin",
        "exp": now - 10, "orig_iat": now - int(login_s_ago),
    }  # fmt: skip
    return jwt.encode(claims, KEY, algorithm="HS256")


class _Recording:
    """The state of the replay: tokens by owner, secrets by name."""

    def __init__(self, iam: Site) -> None:
        self.iam = iam
        self.tokens = {"admin": self._login("admin", ADMIN_PASSWORD)}
        self.secrets: dict[str, dict[str, Any]] = {}

    def _login(self, name: str, password: str) -> str:
        return self.iam.login(name, password)["Authorization"]

    def send(self, owner: str, method: str, path: str, body: object = None) -> dict[str, Any]:
        status, _, text = self.iam.send("apiserver", method, path, body, {"Authorization": self.tokens[owner]})
        assert status == 200, text
        return json.loads(text) or {}

    def make_user(self, name: str) -> None:
        body = {"metadata": {"name": name}, "nickname": name, "password": "Demo@2026x", "email": f"{name}@example.com"}
        self.iam.send("apiserver", "POST", "/v1/users", body)
        self.tokens[name] = self._login(name, "Demo@2026x")

    def make_secret(self, owner: str, name: str, expires: int = 0) -> None:
        body = {"metadata": {"name": name}, "expires": expires, "description": "health"}
        self.secrets[name] = self.send(owner, "POST", "/v1/secrets", body)
        self.iam.wait_until_cached(self.secrets[name]["secretID"])

    def authz_token(self, kind: str) -> str:
        now, secret = int(time.time()), self.secrets["hc"]
        made: dict[str, Callable[[], str]] = {
            "good": lambda: sign(secret),
            "other audience": lambda: sign(secret, aud="somebody-else", iss="nobody"),
            "expired": lambda: sign(secret, exp=now - 60),
            "wrong signature": lambda: sign({**secret, "secretKey": "x" * 32}),
            "unknown kid": lambda: sign({**secret, "secretID": "z" * 36}),
            "of an expired secret": lambda: sign(self.secrets["old"]),
            "of a user without policies": lambda: sign(self.secrets["nopol"]),
        }
        return f"Bearer {made[kind]()}"


# Requests before the exchange of a label that were not recorded.
def _log_demo1_in(it: _Recording) -> None:
    it.tokens["demo1"] = it._login("demo1", "Demo@2026x")


def _make_hc(it: _Recording) -> None:
    it.make_secret("demo1", "hc")


def _before_authz(it: _Recording) -> None:
    it.secrets["old"] = it.send("demo1", "GET", "/v1/secrets/old")
    it.make_user("nopol")
    it.make_secret("nopol", "nopol")
    _wait_for_policies(it, "demo1", 2)


def _wait_for_policies(it: _Recording, owner: str, count: int) -> None:
    assert it.iam.cache
    until = time.monotonic() + 5
    while len(it.iam.cache.snapshot.policies.get(owner, ())) != count:
        assert time.monotonic() < until
        time.sleep(0.01)


def _fill_secrets(it: _Recording) -> None:
    it.make_secret("demo1", "old", expires=int(time.time()) - 60)
    for number in range(10 - it.send("demo1", "GET", "/v1/secrets")["totalCount"]):
        it.make_secret("demo1", f"tmp{number}")


def _policy_two(it: _Recording) -> None:
    policy = {"subjects": ["users:hc"], "actions": ["read"], "effect": "allow", "resources": ["res:two"]}
    it.send("demo1", "POST", "/v1/policies", {"metadata": {"name": "two"}, "policy": policy})
    _wait_for_policies(it, "demo1", 3)


BEFORE: dict[str, Callable[[_Recording], None]] = {
    "user-delete-missing": _log_demo1_in,
    "secret-create-expired": _make_hc,
    "authz-allowed": _before_authz,
    "secret-create-over-limit+codes": _fill_secrets,
    "authz-on-node-b": _policy_two,
}

# label -> credentials of the request. Default: a login token of `admin`, or a valid authz token.
_DEMO1 = (
    "secret-create", "secret-create-same-name", "secret-delete", "secret-create-expired", "secret-list", "secret-get",
    "policy-create", "policy-create-deny", "policy-list", "policy-get", "oversize-policy-70KB", "policy-delete",
    "policy-delete-missing", "user-list-non-admin+codes", "user-delete-non-admin+codes", "secret-get-missing+codes",
    "policy-get-missing+codes", "secret-create-over-limit+codes", "token-of-deleted-user",
)  # fmt: skip
CREDENTIALS: dict[str, Callable[[_Recording], str]] = {
    **{label: lambda it: it.tokens["demo1"] for label in _DEMO1},
    "user-list-by-sneak": lambda it: it._login("sneak", "Demo@2026x"),
    "tampered-token": lambda it: it.tokens["admin"][:-4] + "AAAA",
    "expired-token": lambda _: f"Bearer {_expired(60)}",
    "refresh-expired-within-max-refresh": lambda _: f"Bearer {_expired(60)}",
    "refresh-beyond-max-refresh": lambda _: f"Bearer {_expired(8000)}",
    "authz-other-audience": lambda it: it.authz_token("other audience"),
    "authz-user-without-policies": lambda it: it.authz_token("of a user without policies"),
    "authz-wrong-signature+codes": lambda it: it.authz_token("wrong signature"),
    "authz-unknown-kid+codes": lambda it: it.authz_token("unknown kid"),
    "authz-expired-token+codes": lambda it: it.authz_token("expired"),
    "authz-expired-secret+codes": lambda it: it.authz_token("of an expired secret"),
}
_BIG = {"description": "d", "subjects": ["users:<hc|bob>"], "actions": ["x" * 70000], "effect": "allow"}
_BIG_POLICY = {"metadata": {"name": "big"}, "policy": {**_BIG, "resources": ["r"]}}
BODIES = {
    "oversize-login-20MB": {"username": "admin", "password": "x" * (20 << 20)},
    "oversize-authz-20MB": {"subject": "users:hc", "action": "x" * (20 << 20), "resource": "res:a:1"},
    "oversize-policy-70KB": _BIG_POLICY,
}


def test_the_stand_in_responds_to_each_recorded_request_like_the_real_services(iam: Site) -> None:
    recording = _Recording(iam)
    differences: dict[str, str] = {}
    for exchange in _EXCHANGES:
        label = exchange["label"]
        if label in BEFORE:
            BEFORE[label](recording)
        got = _replay(recording, exchange)
        difference = _difference(exchange["response"], *got)
        if difference:
            differences[_key(exchange)] = difference
    unexpected = {key: text for key, text in differences.items() if key not in DEVIATIONS}
    assert not unexpected, json.dumps(unexpected, indent=1)
    assert set(DEVIATIONS) == set(differences), "each listed deviation must differ"


def _replay(it: _Recording, exchange: dict[str, Any]) -> tuple[int, dict[str, str], str]:
    label, request, server = exchange["label"], exchange["request"], exchange["server"]
    headers: dict[str, str] = dict(request["headers"])
    if headers.get("Authorization", "").startswith("Bearer eyJ"):
        default = it.authz_token("good") if server.startswith("authz") else it.tokens["admin"]
        headers["Authorization"] = CREDENTIALS[label](it) if label in CREDENTIALS else default
    if "X-Big" in headers:
        headers["X-Big"] = "x" * 1_126_400
    body = BODIES.get(label, request["body"])
    if label == "token-of-node-a-on-node-b-other-key":
        server = "apiserver-B-other-key"
    return it.iam.send(server, request["method"], request["path"], body, headers)


def _difference(expected: dict[str, Any], status: int, headers: dict[str, str], body: str) -> str:
    """Describe the first difference between the responses. Empty when they are equal."""
    if status != expected["status"]:
        return f"status {status} {body[:200]}, not {expected['status']} {expected['body'][:200]}"
    for name in ("Www-Authenticate", "Set-Cookie"):
        if _cookie_shape(headers.get(name)) != _cookie_shape(expected["headers"].get(name)):
            return f"{name}: {headers.get(name)}, not {expected['headers'].get(name)}"
    if expected["headers"]["Content-Type"].startswith("application/json") and expected["body"]:
        if headers["Content-Type"] != expected["headers"]["Content-Type"]:
            return f"Content-Type: {headers['Content-Type']}, not {expected['headers']['Content-Type']}"
        if expected["body"].endswith(" chars)"):
            return ""  # the recording contains only the beginning of the body
        ours, theirs = _shape(json.loads(body)), _shape(json.loads(expected["body"]))
        return "" if ours == theirs else f"{json.dumps(ours)[:900]}, not {json.dumps(theirs)[:900]}"
    return ""


def _cookie_shape(value: str | None) -> str | None:
    if value and value.startswith("jwt=") and not value.startswith("jwt=;"):
        return "jwt=TOKEN" + value[value.index(";") :]
    return value


def _shape(value: Any, key: str = "") -> Any:
    """Return the value with volatile values replaced by their types, in key order (that of the Go structs)."""
    if isinstance(value, dict):
        return [[name, _shape(inner, name)] for name, inner in value.items()]
    if isinstance(value, list):
        return [_shape(inner, key) for inner in value]
    if key in _VOLATILE or (key == "expires" and value):
        return type(value).__name__
    return value


def test_the_recording_uses_the_administrators_password_for_basic_authentication() -> None:
    basic = [e for e in _EXCHANGES if e["label"] == "login-basic-ok"]
    encoded = basic[0]["request"]["headers"]["Authorization"].split()[1]
    assert base64.b64decode(encoded).decode() == f"admin:{ADMIN_PASSWORD}"


@pytest.mark.parametrize("key", DEVIATIONS)
def test_a_listed_deviation_belongs_to_a_recorded_exchange(key: str) -> None:
    assert key in {_key(exchange) for exchange in _EXCHANGES}
