"""Signature method v1 (HmacSHA1, HmacSHA256; 213/15693): common parameters and signature are in the form."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

from localcloud.api.request_rules import CredentialUnknown, SignatureExpired, SignatureWrong
from localcloud.api.signature import TOLERANCE_S, Identity
from localcloud.rules.refusal import MissingParameter, WrongType


def verify(method: str, host: str, form: Mapping[str, str], credentials: Mapping[str, str], now: float) -> Identity:
    """Return the signer; the host's first label is the service. Raises the matching AuthFailure."""
    for name in ("SecretId", "Signature", "Timestamp", "Nonce"):
        if not form.get(name):
            raise MissingParameter(name=name)
    for name in ("Timestamp", "Nonce"):
        if not form[name].isascii() or not form[name].isdigit():
            raise WrongType(name=name, expected="a positive integer")
    if abs(now - int(form["Timestamp"])) > TOLERANCE_S:
        raise SignatureExpired(timestamp=form["Timestamp"], now=int(now))
    key = credentials.get(form["SecretId"])
    if key is None:
        raise CredentialUnknown
    if not hmac.compare_digest(sign(method, host, form, key).encode(), form["Signature"].encode()):
        raise SignatureWrong(hint=f"{form.get('SignatureMethod') or 'HmacSHA1'} of {method}{host}/?...")
    return Identity(form["SecretId"], host.partition(".")[0])


def sign(method: str, host: str, form: Mapping[str, str], key: str) -> str:
    """Return the signature in base64. The values are signed unencoded, not as the form encodes them."""
    signed = "&".join(f"{name}={form[name]}" for name in sorted(form) if name != "Signature")
    # According to the page: HmacSHA256 only if SignatureMethod names it, otherwise HmacSHA1.
    digest = hashlib.sha256 if form.get("SignatureMethod") == "HmacSHA256" else hashlib.sha1
    return base64.b64encode(hmac.new(key.encode(), f"{method}{host}/?{signed}".encode(), digest).digest()).decode()
