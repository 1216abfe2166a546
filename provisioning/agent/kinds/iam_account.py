"""A login and an authorization decision with the deployment's own IAM account.

The account is created by the first check through the node's apiserver, with any database. Its policy allows
one action on resources that nothing else has, so the account grants no access.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from http import HTTPStatus
from typing import Any

from ..node import Node
from ..results import fail, ok, warning
from ..web import Response

RESOURCE = "tandem:health"
_ACTION = "check"
_USER_EXISTS = 110002  # error code of marmotedu/iam 16c723d
_DECISION_S = 5.0  # a new policy reaches the authz-servers within a second
_REFRESH_S = 2.0  # the notice of the change was lost
_TOKEN_S = 60
_LOGIN_LOOK_AT = "journalctl -u iam-apiserver; the database of the IAM services"


def check(node: Node, item: dict[str, Any]) -> list[dict[str, Any]]:
    began = node.now()
    login = _log_in(node, item)
    if login.status == HTTPStatus.UNAUTHORIZED:
        if fault := _create(node, item):
            return fault
        login = _log_in(node, item)
    if login.status == HTTPStatus.UNAUTHORIZED:
        user = item["user"]
        seen = f"cannot log in as {user} with the deployment's password: the account's password was changed"
        look_at = f"delete the IAM user {user}; the next check creates it again"
        return [warning("login", seen, look_at), warning("authorization", "not checked without a login", look_at)]
    token = login.json().get("token")
    if not token:
        return [fail("login", f"POST {item['apiserver']}/login: {login}", _LOGIN_LOOK_AT)]
    logged_in = ok("login", f"as {item['user']} in {(node.now() - began) * 1000:.0f} ms")
    return [logged_in, _decide(node, item, {"Authorization": f"Bearer {token}"})]


def _log_in(node: Node, item: dict[str, Any]) -> Response:
    body = {"username": item["user"], "password": item["password"]}
    return node.request("POST", f"{item['apiserver']}/login", body=body)


def _create(node: Node, item: dict[str, Any]) -> list[dict[str, Any]]:
    """Create the account if it is missing.

    The apiserver answers a login with 401 for a wrong password, for a missing user and while the database is down.
    """
    created = node.request("POST", f"{item['apiserver']}/v1/users", body=_new_user(item))
    if created.status == HTTPStatus.OK or created.json().get("code") == _USER_EXISTS:
        return []
    seen = f"POST {item['apiserver']}/login: 401; POST /v1/users: {created}"
    if created.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        seen = f"the database does not respond: {seen}"
    return [fail("login", seen, _LOGIN_LOOK_AT)]


def _new_user(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {"name": item["user"]}, "nickname": item["nickname"], "password": item["password"],
        "email": f"{item['user']}@example.com", "phone": "10000000000",
    }  # fmt: skip


def _decide(node: Node, item: dict[str, Any], login: dict[str, str]) -> dict[str, Any]:
    secret, response = _find_secret(node, item, login)
    if not secret:
        seen = f"{item['apiserver']}/v1/secrets: {response}"
        return fail("authorization", seen, _LOGIN_LOOK_AT)
    body = {"subject": f"users:{item['user']}", "action": _ACTION, "resource": f"{RESOURCE}:{item['nonce']}"}
    began, refreshed = node.now(), False
    while True:
        token = sign(secret["secretID"], secret["secretKey"], node.wall_clock() + _TOKEN_S)
        headers = {"Authorization": f"Bearer {token}"}
        response = node.request("POST", f"{item['authz']}/v1/authz", body=body, headers=headers)
        if response.json().get("allowed") is True:
            return ok("authorization", "allowed")
        waited_s = node.now() - began
        if not response.status or waited_s > _DECISION_S:
            break
        if waited_s > _REFRESH_S and not refreshed:
            # Its timer may be later than the deadline of a gate.
            node.run(["systemctl", "start", "iam-refresh.service"])
            refreshed = True
        node.sleep(0.2)
    look_at = "journalctl -u iam-authz-server; Redis, which notifies it of changes"
    return fail("authorization", f"POST {item['authz']}/v1/authz: {response}", look_at)


def _find_secret(node: Node, item: dict[str, Any], login: dict[str, str]) -> tuple[dict[str, Any], Response]:
    """The account's secret, created together with its policy if it is missing."""
    user, url = item["user"], item["apiserver"]
    listed = node.request("GET", f"{url}/v1/secrets?offset=0&limit=10", headers=login)
    if listed.status != HTTPStatus.OK:
        return {}, listed
    for secret in listed.json().get("items") or []:
        if secret["metadata"]["name"] == user:
            return secret, listed
    policy = {
        "description": "health checks", "effect": "allow", "subjects": [f"users:{user}"], "actions": [_ACTION],
        "resources": [f"{RESOURCE}:<.*>"],
    }  # fmt: skip
    made = node.request(
        "POST", f"{url}/v1/policies", body={"metadata": {"name": user}, "policy": policy}, headers=login
    )
    if made.status == HTTPStatus.OK:
        body = {"metadata": {"name": user}, "expires": 0, "description": "health checks"}
        made = node.request("POST", f"{url}/v1/secrets", body=body, headers=login)
    return (made.json() if made.status == HTTPStatus.OK else {}), made


def sign(key_id: str, key: str, expires_at: float) -> str:
    """A token for iam-authz-server: HS256 with the secret's key, `kid` is the secret's id (marmotedu/iam 16c723d)."""
    header = {"alg": "HS256", "typ": "JWT", "kid": key_id}
    signed = f"{_encode(header)}.{_encode({'exp': int(expires_at)})}"
    return f"{signed}.{_base64(hmac.new(key.encode(), signed.encode(), hashlib.sha256).digest())}"


def _encode(part: dict[str, Any]) -> str:
    return _base64(json.dumps(part, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
