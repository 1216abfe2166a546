"""Texts that nginx's configuration contains in quotes, and that may contain its variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

_QUOTED = re.compile(r'[^"\\\x00-\x1f]*')
_BODY = re.compile(r"[^'\\\x00-\x08\x0b-\x1f]*")
# nginx knows $1 to $9, but neither $0 nor ${1}.
_NO_VARIABLE = re.compile(r"\$(?![A-Za-z1-9_]|\{[A-Za-z_][A-Za-z0-9_]*\})")
_GROUP = re.compile(r"\$([1-9])")
# Variables whose values nginx decodes, or takes from the body: they may contain line feeds and HTML.
_NAMES = "uri|document_uri|request_filename|fastcgi_script_name|fastcgi_path_info|remote_user|request_body"
_DECODED = re.compile(rf"\$(({_NAMES})\b|\{{|[0-9])")
_DECODED_TEXT = re.compile(rf"\$(\{{?({_NAMES})\b\}}?|[1-9])")
_MAX_BYTES = 4000  # of a text in quotes; nginx 1.22 refuses 4,096
REMOTE_USER = "$remote_user"
_WITH_SCRIPTS = ("text/html", "text/xml", "application/xml", "application/xhtml+xml", "image/svg+xml")


def refuse_missing_groups(texts: Mapping[str, str | None], groups: int) -> None:
    """Reject `$1` to `$9` for which a regular expression with so many groups has no value. Raises ValueError.

    A group without a value is empty: the body "It costs $5" would lose its price.
    """
    for name, text in texts.items():
        for number in _GROUP.findall(text or ""):
            if int(number) > groups:
                raise ValueError(
                    f"{name} cannot contain ${number}: the path has {groups} groups of a regular expression, and "
                    "nginx cannot output a dollar sign; use a file"
                )


def _fits_into_quotes(text: str) -> str:
    if text.endswith("\n"):
        raise ValueError(f"must not end with a line feed (got {text!r}): in YAML write >- instead of > or |")
    if not _QUOTED.fullmatch(text):
        raise ValueError(f'must not contain double quotes, backslashes or control characters (got "{text}")')
    return refuse_lone_dollars(text)


def refuse_lone_dollars(text: str) -> str:
    """Reject a `$` that does not begin a variable. Returns the text. Raises ValueError."""
    if _NO_VARIABLE.search(text):
        raise ValueError("must not contain a $ that does not begin a variable: nginx cannot output one; use a file")
    return text


def _only_encoded_variables(text: str) -> str:
    # A client could end the header with an encoded line feed in the path (gixy: http_splitting).
    if (found := _DECODED.search(text)) is not None:
        raise ValueError(
            f"must not contain {found[0]}: its value is decoded and may contain a line feed; "
            "use $request_uri, $host, $scheme or $args"
        )
    if "$http_host" in text:
        raise ValueError("must not contain $http_host, which the client chooses freely; use $host")
    return text


def refuse_decoded_in_html(body: str, content_type: str) -> None:
    """Reject decoded variables in HTML and XML: a link could inject a script into the page. Raises ValueError."""
    if content_type.partition(";")[0].strip() in _WITH_SCRIPTS and (found := _DECODED_TEXT.search(body)) is not None:
        raise ValueError(
            f"body must not contain {found[0]} with contentType {content_type}: its value is decoded and may contain "
            "an injected script; use $request_uri, contentType text/plain or a file"
        )


def _or_a_checked_user(text: str) -> str:
    # LocationSettings requires basicAuth for it, so nginx has checked the user before it proxies the request.
    _only_encoded_variables(text.replace(REMOTE_USER, ""))
    return text


def _fits_into_single_quotes(text: str) -> str:
    if (size := len(text.encode())) > _MAX_BYTES:
        raise ValueError(f"must have at most {_MAX_BYTES} bytes, the limit of nginx (got {size}); use a file")
    if not _BODY.fullmatch(text):
        raise ValueError("must not contain single quotes, backslashes or control characters; use a file instead")
    return refuse_lone_dollars(text)


Text = Annotated[str, StringConstraints(max_length=4000), AfterValidator(_fits_into_quotes)]
Body = Annotated[str, AfterValidator(_fits_into_single_quotes)]
HeaderValue = Annotated[Text, StringConstraints(max_length=1000), AfterValidator(_only_encoded_variables)]
RequestHeaderValue = Annotated[Text, StringConstraints(max_length=1000), AfterValidator(_or_a_checked_user)]
