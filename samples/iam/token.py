"""Makes the token with which a service asks iam-authz-server: a JWT that is signed with a secret of iam-apiserver.

python -m samples.iam.token <SECRET.json     the answer of POST /v1/secrets, with secretID and secretKey
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sys
import time
from typing import Any

_VALID_S = 300


def make_token(secret_id: str, secret_key: str, now: float | None = None) -> str:
    """RFC 7519 with HS256; `kid` names the secret."""
    expires = int(time.time() if now is None else now) + _VALID_S
    parts = [_encode({"alg": "HS256", "typ": "JWT", "kid": secret_id}), _encode({"exp": expires})]
    signature = hmac.new(secret_key.encode(), ".".join(parts).encode(), hashlib.sha256).digest()
    return ".".join([*parts, _base64(signature)])


def _encode(data: dict[str, Any]) -> str:
    return _base64(json.dumps(data, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def main() -> int:
    try:
        secret = json.load(sys.stdin)
        print(make_token(secret["secretID"], secret["secretKey"]))
    except (ValueError, KeyError):
        print("stdin must be the answer of POST /v1/secrets, with secretID and secretKey", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
