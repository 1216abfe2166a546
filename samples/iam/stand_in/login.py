"""Login tokens: HS256 with aud, iss, identity, sub, exp and orig_iat, checked as gin-jwt does.

IamError
└── TokenError     401 with a message and no code
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jwt

from .codes import IamError

AUDIENCE = "iam.api.marmotedu.com"
ISSUER = "iam-apiserver"


class TokenError(IamError):
    """A token was refused. The message is returned to the caller."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Creates and verifies login tokens. Nodes with the same key accept each other's tokens."""

    key: str
    timeout_s: float
    max_refresh_s: float
    now: Callable[[], float] = time.time

    def issue(self, username: str) -> tuple[str, float]:
        """Return the token and its expiry time."""
        return self._sign({"aud": AUDIENCE, "iss": ISSUER, "identity": username, "sub": username})

    def username(self, token: str) -> str:
        """Raises TokenError."""
        claims = self._claims(token)
        if claims["exp"] < self.now():
            raise TokenError("Token is expired")
        return str(claims["identity"])

    def refresh(self, token: str) -> tuple[str, float]:
        """A new token for an old one, expired or not, until `max_refresh_s` after the login. Raises TokenError."""
        claims = self._claims(token)
        if claims["orig_iat"] < self.now() - self.max_refresh_s:
            raise TokenError("token is expired")
        return self._sign(claims)

    def _sign(self, claims: dict[str, Any]) -> tuple[str, float]:
        now = self.now()
        expiry = now + self.timeout_s
        signed = jwt.encode({**claims, "exp": int(expiry), "orig_iat": int(now)}, self.key, algorithm="HS256")
        return signed, expiry

    def _claims(self, token: str) -> dict[str, Any]:
        _check_header(token)
        try:
            # Callers check the expiry: a refresh accepts an expired token.
            claims = jwt.decode(
                token, self.key, algorithms=["HS256"], options={"verify_exp": False, "verify_aud": False}
            )
        except jwt.InvalidSignatureError as error:
            raise TokenError("signature is invalid") from error
        except jwt.InvalidTokenError as error:
            raise TokenError(str(error)) from error
        if not isinstance(claims.get("exp"), int) or not isinstance(claims.get("orig_iat"), int):
            raise TokenError("missing exp field")
        return claims


def _check_header(token: str) -> None:
    """Go's error message for a malformed token."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, claims, signature
        raise TokenError("token contains an invalid number of segments")
    try:
        header = base64.urlsafe_b64decode(parts[0] + "=" * (-len(parts[0]) % 4))
    except (binascii.Error, ValueError) as error:
        raise TokenError("illegal base64 data at input byte 0") from error
    if not header.startswith(b"{"):
        raise TokenError(f"invalid character {header[:1].decode('latin-1')!r} looking for beginning of value")
