"""The requests of users of the IAM services: healthz, logins, reading secrets, and authorization decisions."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

import jwt

from operations.drill.requests import Sender, Stream

ALLOW = {"subjects": ["users:<.*>"], "actions": ["read"], "resources": ["res:<.*>"], "effect": "allow"}
DECISION = {"subject": "users:load", "action": "read", "resource": "res:1"}
PASSWORD = "Load@2026x"
READY_S = 60


@dataclass
class User:
    """The administrator with a secret and a policy for the load."""

    sender: Sender
    api: str  # domain
    authz: str  # domain
    password: str
    _name: str = field(default_factory=lambda: f"load-{uuid.uuid4().hex[:8]}")
    _bearer: dict[str, str] = field(default_factory=dict[str, str])
    _secret: dict[str, str] = field(default_factory=dict[str, str])

    async def create(self) -> None:
        await self.log_in()
        self._secret = await self._call("POST", "/v1/secrets", {"metadata": {"name": self._name}})
        await self._call("POST", "/v1/policies", {"metadata": {"name": self._name}, "policy": ALLOW})
        await self._wait_until_allowed()

    async def delete(self) -> None:
        await self.log_in()
        await self._call("DELETE", f"/v1/policies/{self._name}", None)
        await self._call("DELETE", f"/v1/secrets/{self._name}", None)

    async def log_in(self) -> None:
        self._bearer = {}  # with an Authorization header the service ignores the body of a login
        answer = await self._call("POST", "/login", self._login())
        self._bearer = {"Authorization": f"Bearer {answer['token']}"}

    def _login(self) -> dict[str, str]:
        return {"username": "admin", "password": self.password}

    def streams(self, scale: float) -> list[Stream]:
        """Return the streams at `scale` times the full rates."""
        api, authz = self.api, self.authz
        return [
            Stream("healthz", 200 * scale, api, "/healthz"),
            Stream("healthz-kept", 50 * scale, api, "/healthz", keep_alive=True),
            Stream("authorization", 50 * scale, authz, "/v1/authz", "POST", DECISION, keep_alive=True,
                   headers=self._key),
            Stream("secrets", 50 * scale, api, "/v1/secrets", keep_alive=True, headers=lambda: self._bearer,
                   refused=self.log_in),
            Stream("login", 2 * scale, api, "/login", "POST", self._login()),
        ]  # fmt: skip

    def _key(self) -> Mapping[str, str]:
        claims = {"exp": int(time.time()) + 60}
        token = jwt.encode(claims, self._secret["secretKey"], headers={"kid": self._secret["secretID"]})
        return {"Authorization": f"Bearer {token}"}

    async def _call(self, method: str, path: str, body: object, basic: tuple[str, str] | None = None) -> dict[str, str]:
        headers = self._bearer
        if basic:
            token = await self._call("POST", "/login", {"username": basic[0], "password": basic[1]})
            headers = {"Authorization": f"Bearer {token['token']}"}
        response = await self.sender.ask(Stream("setup", 1, self.api, path, method, body, headers=lambda: headers))
        if response.status != 200:
            raise RuntimeError(f"{method} {path} must return 200 (got {response.status}: {response.body!r})")
        return response.json()

    async def _wait_until_allowed(self) -> None:
        """Both nodes must have read the new policy; several decisions in a row ask both."""
        stream = Stream("setup", 1, self.authz, "/v1/authz", "POST", DECISION, headers=self._key)
        deadline = time.monotonic() + READY_S
        allowed = 0
        while allowed < 10:
            response = await self.sender.ask(stream)
            allowed = allowed + 1 if response.status == 200 and response.json().get("allowed") else 0
            if time.monotonic() > deadline:
                raise RuntimeError(f"the load's policy is not in effect after {READY_S} s (got {response.body!r})")
            await asyncio.sleep(0.1)
