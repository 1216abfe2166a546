"""Requests to the services of a loopback group."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

import jwt
from iam_real_servers import ADMIN_PASSWORD, API, AUTHZ, RealNode, wait_until

ALLOW = {"subjects": ["users:<.*>"], "actions": ["read"], "resources": ["res:<.*>"], "effect": "allow"}


def send(  # noqa: PLR0917 - the parts of a request in their usual order
    node: RealNode, port: int, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    sent = {**(headers or {}), **({"Content-Type": "application/json"} if data else {})}
    request = urllib.request.Request(node.url(port, path), data, sent, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read() or b"null")


def login(node: RealNode) -> dict[str, str]:
    status, answer = send(node, API, "POST", "/login", {"username": "admin", "password": ADMIN_PASSWORD})
    assert status == 200, answer
    return {"Authorization": f"Bearer {answer['token']}"}


class Grant:
    """A new user with a secret and a policy, created on one node; requests decisions from any node."""

    def __init__(self, node: RealNode, name: str) -> None:
        self.node, self.name = node, name
        password = "Demo@2026x"
        body = {"metadata": {"name": name}, "nickname": name, "password": password, "email": f"{name}@example.com"}
        assert send(node, API, "POST", "/v1/users", body)[0] == 200
        answer = send(node, API, "POST", "/login", {"username": name, "password": password})[1]
        self.bearer = {"Authorization": f"Bearer {answer['token']}"}
        self.secret = send(node, API, "POST", "/v1/secrets", {"metadata": {"name": "s"}}, self.bearer)[1]
        self.set_policy("POST", "/v1/policies", ALLOW)

    def set_policy(self, method: str, path: str, policy: object) -> None:
        body = {"metadata": {"name": "p"}, "policy": policy}
        assert send(self.node, API, method, path, body, self.bearer)[0] == 200

    def decision(self, node: RealNode, resource: str = "res:1") -> Any:
        claims = {"exp": int(time.time()) + 60}
        token = jwt.encode(claims, self.secret["secretKey"], headers={"kid": self.secret["secretID"]})
        question = {"subject": "users:hc", "action": "read", "resource": resource}
        return send(node, AUTHZ, "POST", "/v1/authz", question, {"Authorization": f"Bearer {token}"})[1]

    def wait_until_allowed(self, *nodes: RealNode) -> None:
        for node in nodes:
            wait_until(lambda node=node: self.decision(node) == {"allowed": True}, f"{self.name} on {node.node.name}")
