"""A request's common parameters: in the headers (signature v3) or in the form with the others (signature v1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode

from localcloud.api import signature, signature_v1
from localcloud.api.request_rules import ContentTypeWrong, RequestTooLarge, UnsupportedProtocol
from localcloud.api.signature import Identity, Signed

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
QUERY_LIMIT, FORM_LIMIT, JSON_LIMIT = 32 * 1024, 1024 * 1024, 10 * 1024 * 1024

_COMMON = frozenset(
    {
        "Action",
        "Language",
        "Nonce",
        "Region",
        "RequestClient",
        "SecretId",
        "Signature",
        "SignatureMethod",
        "Timestamp",
        "Token",
        "Version",
    }
)


@dataclass(frozen=True, slots=True)
class Envelope:
    """The common parameters of a request."""

    signed: Signed
    action: str
    version: str
    region: str
    client: str
    # The action's parameters, flattened as in a query; None if the body is a JSON object.
    query: str | None
    # The complete form, if it contains the signature.
    form: Mapping[str, str] = field(default_factory=dict[str, str])


def open_envelope(signed: Signed) -> Envelope:
    """Read the common parameters, without verification."""
    text = _form_text(signed)
    form = dict(parse_qsl(text or "", keep_blank_values=True))
    if "authorization" not in signed.headers and form.keys() & {"Signature", "SecretId"}:
        own = {name: value for name, value in form.items() if name not in _COMMON}
        common = [form.get(name, "") for name in ("Action", "Version", "Region", "RequestClient")]
        return Envelope(signed, *common, query=urlencode(own), form=form)
    common = [signed.headers.get(f"x-tc-{name}", "") for name in ("action", "version", "region", "requestclient")]
    return Envelope(signed, *common, query=signed.query if signed.method == "GET" else None)


def _form_text(signed: Signed) -> str | None:
    if signed.method == "GET":
        return signed.query
    return signed.body.decode("utf-8", "replace") if _content_type(signed) == FORM else None


def _content_type(signed: Signed) -> str:
    return signed.headers.get("content-type", "").partition(";")[0].strip().lower()


def verify(envelope: Envelope, credentials: Mapping[str, str], now: float) -> Identity:
    """Return the identity of the signer. Raises RequestTooLarge or the matching AuthFailure."""
    signed = envelope.signed
    _check_size(len(signed.query), QUERY_LIMIT)
    _check_size(len(signed.body), FORM_LIMIT if envelope.form else JSON_LIMIT)
    if envelope.form:
        return signature_v1.verify(signed.method, signed.headers.get("host", ""), envelope.form, credentials, now)
    return signature.verify(signed, credentials, now)


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise RequestTooLarge(limit=limit)


def check_protocol(envelope: Envelope) -> None:
    """Raises UnsupportedProtocol or ContentTypeWrong: GET and v1 use forms, a POST signed with v3 uses JSON."""
    signed = envelope.signed
    if signed.method not in {"GET", "POST"}:
        raise UnsupportedProtocol(method=signed.method)
    expected = FORM if signed.method == "GET" or envelope.form else JSON
    # A GET has no body, so v1 may omit the content type.
    if _content_type(signed) != expected and not (envelope.form and signed.method == "GET"):
        raise ContentTypeWrong(content_type=signed.headers.get("content-type", ""), expected=expected)
