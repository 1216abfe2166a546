"""A login and an authorization decision through the public IP, as a client asks for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx

from provisioning.agent.kinds.iam_account import RESOURCE, sign
from provisioning.health.public_checks import Address, Service, request, target_of
from provisioning.health.results import CheckResult, fail, ok, warning
from provisioning.kinds.iam_account import USER


def check_login(
    address: Address,
    services: Sequence[Service],
    password: str,
    nonce: str,
    *,
    user: str = USER,
    clock: Callable[[], float] = time.time,
) -> list[CheckResult]:
    """Log in and ask for an authorization decision as a client does. The gates have created the account."""
    api, authz = (next(service for service in services if service.name == name) for name in ("api", "authz"))
    target, look_at = target_of(address, api), "the line `login` of each node; journalctl -u iam-apiserver"
    body = {"username": user, "password": password}
    response, seen, _ = request(address, api, "POST", "/login", json=body)
    status = response.status_code if response is not None else 0
    if response is None or not response.is_success:
        judge = warning if status in {401, 429} else fail  # 401: the nodes' own check tells why; 429: limited by nginx
        return [judge(target, "login", f"POST /login as {user}: {seen}", look_at)]
    bearer = _content(response).get("token")
    if not isinstance(bearer, str):
        return [fail(target, "login", f"POST /login as {user} gave no token: {seen}", look_at)]
    headers = {"Authorization": f"Bearer {bearer}"}
    listed, seen, _ = request(address, api, "GET", "/v1/secrets?offset=0&limit=10", headers=headers)
    secret = _first_secret(listed)
    if secret is None:
        return [fail(target, "login", f"GET /v1/secrets as {user}: {seen}", look_at)]
    token = sign(*secret, clock() + 300)
    asked = {"subject": f"users:{user}", "action": "check", "resource": f"{RESOURCE}:{nonce}"}
    decision, seen, _ = request(
        address, authz, "POST", "/v1/authz", json=asked, headers={"Authorization": f"Bearer {token}"}
    )
    target = target_of(address, authz)
    allowed = _content(decision).get("allowed") is True
    result = (
        ok(target, "authorization", "allowed")
        if allowed
        else fail(target, "authorization", f"POST /v1/authz: {seen}", "journalctl -u iam-authz-server on the nodes")
    )
    return [ok(target_of(address, api), "login", f"as {user}"), result]


def _content(response: httpx.Response | None) -> Mapping[str, Any]:
    """The JSON object of a successful response, or an empty one: nginx answers errors with a page in HTML."""
    if response is None or not response.is_success:
        return {}
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _first_secret(listed: httpx.Response | None) -> tuple[str, str] | None:
    """The id and the key of the first secret."""
    try:
        first = _content(listed)["items"][0]
        return str(first["secretID"]), str(first["secretKey"])
    except (KeyError, IndexError, TypeError):
        return None
