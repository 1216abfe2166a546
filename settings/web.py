"""Parts of a site's configuration that sites and locations share: responses, headers, error pages, CORS."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator

from settings.base import FrozenModel

Size = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}[kmg]?$")]
Origin = Annotated[str, StringConstraints(pattern=r"^(\*|https?://[A-Za-z0-9.-]+(:[0-9]+)?)$")]
Method = Annotated[str, StringConstraints(pattern=r"^[A-Z]+$", max_length=20)]
HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9-]*$", max_length=100)]
MimeType = Annotated[str, StringConstraints(pattern=r"^[a-z]+/[A-Za-z0-9.+-]+(; ?charset=[A-Za-z0-9-]+)?$")]
# Absolute path on the node, without characters that nginx treats specially.
NodePath = Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._/+-]*$", max_length=200)]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
# `none` and `=404` cannot be confused with statuses because YAML keys are text here: "404", "50x".
StatusGroup = Annotated[str, StringConstraints(pattern=r"^([45][0-9]{2}|[45]0x)$")]

_QUOTED = re.compile(r'^[^"\\\x00-\x1f]*$')
_BODY = re.compile(r"^[^'\\\x00-\x08\x0b-\x1f]*$")
# nginx knows $1 to $9, but neither $0 nor ${1}.
_NO_VARIABLE = re.compile(r"\$(?![A-Za-z1-9_]|\{[A-Za-z_][A-Za-z0-9_]*\})")
_GROUP = re.compile(r"\$([1-9])")
_DECODED = re.compile(r"\$(uri\b|document_uri\b|\{|[0-9])")


def refuse_missing_groups(texts: Mapping[str, str | None], groups: int) -> None:
    """Reject `$1` to `$9` for which a regular expression with so many groups has no value. Raises ValueError.

    A group without a value is empty: the body "It costs $5" would lose its price.
    """
    for name, text in texts.items():
        for number in _GROUP.findall(text or ""):
            if int(number) > groups:
                raise ValueError(
                    f"{name} cannot contain ${number}: the path has {groups} groups of a regular expression, and "
                    "nginx cannot show a dollar sign; use a file"
                )


def _fits_into_quotes(text: str) -> str:
    if not _QUOTED.match(text):
        raise ValueError(f'must not contain double quotes, backslashes or control characters (got "{text}")')
    return refuse_lone_dollars(text)


def refuse_lone_dollars(text: str) -> str:
    if _NO_VARIABLE.search(text):
        raise ValueError("must not contain a $ that begins no variable: nginx cannot show a dollar sign; use a file")
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


def _fits_into_single_quotes(text: str) -> str:
    if not _BODY.match(text):
        raise ValueError("must not contain single quotes, backslashes or control characters; use a file instead")
    return refuse_lone_dollars(text)


Text = Annotated[str, StringConstraints(max_length=4000), AfterValidator(_fits_into_quotes)]
Body = Annotated[str, StringConstraints(max_length=4000), AfterValidator(_fits_into_single_quotes)]
HeaderValue = Annotated[Text, StringConstraints(max_length=1000), AfterValidator(_only_encoded_variables)]
ExtraConfig = Annotated[str, StringConstraints(max_length=20_000)]


def _status_text(value: Any) -> Any:
    """YAML parses the key 404 as a number."""
    return {str(key): each for key, each in value.items()} if isinstance(value, dict) else value


class ResponseSettings(FrozenModel):
    """A response of nginx itself."""

    status: int = Field(default=200, ge=200, le=599, description="Status code.")
    body: Body = Field(default="", description="Body. May contain variables of nginx.")
    content_type: MimeType = Field(default="text/plain", description="Type of the body.")


class RedirectSettings(FrozenModel):
    to: HeaderValue = Field(
        min_length=1,
        description="URL or path, with variables such as `$request_uri`: `https://www.example.com$request_uri`.",
    )
    status: Literal[301, 302, 303, 307, 308] = Field(default=302, description="Status code.")


class ErrorPage(FrozenModel):
    """The page for an error: a file of the site, or a text. The status code stays."""

    file: FileName | None = Field(default=None, description="File in the root of the site.")
    body: Body | None = Field(default=None, description="The text itself.")
    content_type: MimeType = Field(default="text/html", description="Type of `body`.")

    @model_validator(mode="after")
    def _is_one(self) -> ErrorPage:
        if (self.file is None) == (self.body is None):
            raise ValueError("must have either file or body")
        return self


def bodies_of(pages: Mapping[str, ErrorPage]) -> dict[str, str | None]:
    """The bodies by the name of their setting."""
    return {f"errorPages.{status}.body": page.body for status, page in pages.items()}


ErrorPages = Annotated[dict[StatusGroup, ErrorPage], BeforeValidator(_status_text)]


def _different_names(headers: dict[str, str]) -> dict[str, str]:
    names = [name.lower() for name in headers]
    for name in headers:
        if names.count(name.lower()) > 1:
            raise ValueError(f"must contain each header once, in upper or lower case (got {name} twice)")
    return headers


Headers = Annotated[dict[HeaderName, HeaderValue], AfterValidator(_different_names)]


class CorsSettings(FrozenModel):
    allow_origins: tuple[Origin, ...] = Field(
        default=(), description="Origins that may call the services. Default: no CORS headers are sent."
    )
    allow_credentials: bool = Field(
        default=False, description="Allow these origins to send credentials. Not with the origin `*`."
    )
    allow_methods: tuple[Method, ...] = Field(
        default=("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"), min_length=1, description="Allowed methods."
    )
    allow_headers: tuple[HeaderName, ...] = Field(
        default=("Authorization", "Content-Type"), description="Allowed request headers."
    )
    expose_headers: tuple[HeaderName, ...] = Field(default=(), description="Response headers that pages may read.")
    max_age_s: int = Field(
        default=600, ge=0, le=86_400, description="Time for which browsers keep the answer to a preflight request."
    )

    @model_validator(mode="after")
    def _credentials_need_named_origins(self) -> CorsSettings:
        # Browsers reject the combination (Fetch standard, 3.2.5), and reflecting any origin would be insecure.
        if self.allow_credentials and "*" in self.allow_origins:
            raise ValueError("allowOrigins cannot contain * with allowCredentials; list the origins instead")
        return self
