"""The requests of users of the IAM services: healthz, logins, reading secrets, and authorization decisions.

They use the account of the health checks (provisioning/agent/kinds/iam_account.py), whose policy allows one action on
resources that nothing else has.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from operations.drill.requests import Sender, Stream
from provisioning.agent.kinds.iam_account import RESOURCE, sign
from provisioning.kinds.iam_account import USER

NEW, KEPT, AUTHORIZATION, SECRETS, LOGIN = "healthz, new", "healthz, kept", "authorization", "secrets", "login"
# POST requests that a dead node may have received are not repeated, so they are counted separately.
POSTS = (AUTHORIZATION, LOGIN)
_TOKEN_S = 60


@dataclass
class User:
    """The account of the health checks. Its methods raise OSError or RuntimeError."""

    sender: Sender
    api: str  # domain
    authz: str  # domain
    password: str
    _bearer: dict[str, str] = field(default_factory=dict[str, str])
    _secret: dict[str, str] = field(default_factory=dict[str, str])

    async def start(self) -> None:
        await self.log_in()
        listed = await self._call(
            Stream("", 1, self.api, "/v1/secrets?offset=0&limit=10", headers=lambda: self._bearer)
        )
        found = listed.get("items") or []
        if not found:
            raise RuntimeError(f"{USER} has no secret; run `tandem health`")
        self._secret = found[0]

    async def log_in(self) -> None:
        answer = await self._call(Stream("", 1, self.api, "/login", "POST", self._credentials()))
        self._bearer = {"Authorization": f"Bearer {answer['token']}"}

    def streams(self, scale: float) -> list[Stream]:
        """The streams at `scale` times the full rates."""
        decision = {"subject": f"users:{USER}", "action": "check", "resource": f"{RESOURCE}:drill"}
        return [
            *plain_streams(self.api, "/healthz", scale),
            Stream(AUTHORIZATION, 50 * scale, self.authz, "/v1/authz", "POST", decision, keep_alive=True,
                   idempotent=False, expected=b'"allowed":true', headers=self._key),
            Stream(SECRETS, 50 * scale, self.api, "/v1/secrets", keep_alive=True, headers=lambda: self._bearer,
                   refused=self.log_in),
            Stream(LOGIN, 2 * scale, self.api, "/login", "POST", self._credentials(), idempotent=False),
        ]  # fmt: skip

    def _credentials(self) -> dict[str, str]:
        return {"username": USER, "password": self.password}

    def _key(self) -> Mapping[str, str]:
        token = sign(self._secret["secretID"], self._secret["secretKey"], time.time() + _TOKEN_S)
        return {"Authorization": f"Bearer {token}"}

    async def _call(self, stream: Stream) -> dict[str, Any]:
        response = await self.sender.ask(stream)
        if response.status != 200:  # noqa: PLR2004 - the status of success of these requests
            raise RuntimeError(f"{stream.method} {stream.path} must return 200 (got {response.status})")
        return response.json()


def plain_streams(domain: str, path: str, scale: float, *, any_answer: bool = False) -> list[Stream]:
    """Requests that need no login."""
    return [
        Stream(NEW, 200 * scale, domain, path, any_answer=any_answer),
        Stream(KEPT, 200 * scale, domain, path, keep_alive=True, any_answer=any_answer),
    ]
