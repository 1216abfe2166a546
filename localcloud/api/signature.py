"""TC3-HMAC-SHA256 (API 3.0, signature method v3): identify the signer and verify the signature."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from localcloud.api.request_rules import AuthorizationMalformed, CredentialUnknown, SignatureExpired, SignatureWrong
from localcloud.rules.refusal import MissingParameter

ALGORITHM = "TC3-HMAC-SHA256"
TOLERANCE_S = 300

_FORM = re.compile(
    r"TC3-HMAC-SHA256 +Credential=(?P<secret_id>[^/,\s]+)/(?P<date>[^/,\s]*)/(?P<service>[^/,\s]*)/(?P<end>[^/,\s]*) *,"
    r" *SignedHeaders=(?P<headers>[^,\s]+) *, *Signature=(?P<signature>[0-9a-fA-F]+) *"
)


@dataclass(frozen=True, slots=True)
class Signed:
    """The signed data. Header names are in lower case."""

    method: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Identity:
    """The signer, and the service that the request is for."""

    secret_id: str
    service: str


def verify(request: Signed, credentials: Mapping[str, str], now: float) -> Identity:
    """Verify the signature. Raises the matching AuthFailure."""
    authorization = request.headers.get("authorization", "")
    if not authorization:
        raise MissingParameter(name="Authorization")
    timestamp = _timestamp(request.headers)
    found = _FORM.fullmatch(authorization)
    if found is None:
        raise AuthorizationMalformed(
            reason=f"it must have the form `{ALGORITHM} Credential=.../date/service/tc3_request, ...`"
        )
    signed = found["headers"].split(";")
    if not {"content-type", "host"} <= set(signed):
        raise AuthorizationMalformed(reason="the headers content-type and host must be signed")
    if found["end"] != "tc3_request":
        raise AuthorizationMalformed(reason="the credential scope must end in tc3_request")
    if abs(now - timestamp) > TOLERANCE_S:
        raise SignatureExpired(timestamp=timestamp, now=int(now))
    date = datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d")
    if found["date"] != date:
        raise AuthorizationMalformed(
            reason=f"the scope's date must be the timestamp's date {date} in UTC (got {found['date']})"
        )
    key = credentials.get(found["secret_id"])
    if key is None:
        raise CredentialUnknown
    expected = sign(request, signed, key, timestamp, found["service"])
    if not hmac.compare_digest(expected, found["signature"].lower()):
        raise SignatureWrong(hint=f"signed headers {found['headers']}, host {request.headers.get('host', '')}")
    return Identity(found["secret_id"], found["service"])


def _timestamp(headers: Mapping[str, str]) -> int:
    text = headers.get("x-tc-timestamp", "")
    if not text:
        raise MissingParameter(name="X-TC-Timestamp")
    if not re.fullmatch(r"[0-9]{1,11}", text):
        raise SignatureExpired(timestamp=text[:20], now="seconds since the epoch")
    return int(text)


def sign(request: Signed, signed_headers: list[str], key: str, timestamp: int, service: str) -> str:
    canonical_headers = "".join(f"{name}:{request.headers.get(name, '').strip().lower()}\n" for name in signed_headers)
    payload = hashlib.sha256(request.body).hexdigest()
    canonical = f"{request.method}\n/\n{request.query}\n{canonical_headers}\n{';'.join(signed_headers)}\n{payload}"
    date = datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%d")
    scope = f"{date}/{service}/tc3_request"
    to_sign = f"{ALGORITHM}\n{timestamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    secret = f"TC3{key}".encode()
    for part in (date, service, "tc3_request"):
        secret = hmac.new(secret, part.encode(), hashlib.sha256).digest()
    return hmac.new(secret, to_sign.encode(), hashlib.sha256).hexdigest()
