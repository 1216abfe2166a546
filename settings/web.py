"""Parts of a site's configuration that sites and locations share: responses, headers, error pages, CORS, hotlinks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, field_validator, model_validator

from settings.base import FrozenModel, refuse_repeated
from settings.files import FileName
from settings.headers import HeaderName
from settings.texts import Body, HeaderValue, refuse_decoded_in_html

Size = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,9}[kKmMgG]?$")]
Origin = Annotated[str, StringConstraints(pattern=r"^(\*|https?://[A-Za-z0-9.-]+(:[0-9]+)?)$")]
Method = Annotated[str, StringConstraints(pattern=r"^[A-Z]+$", max_length=20)]
MimeType = Annotated[str, StringConstraints(pattern=r"^[a-z]+/[A-Za-z0-9.+-]+(; ?charset=[A-Za-z0-9-]+)?$")]
# `none` and `=404` cannot be confused with statuses because YAML keys are text here: "404", "50x".
# nginx uses 494 to 499 internally; clients never see them.
StatusGroup = Annotated[str, StringConstraints(pattern=r"^(4[0-8][0-9]|49[0-3]|5[0-9]{2}|[45]0x)$")]
# With these statuses nginx uses the text of `return` as a URL (ngx_http_rewrite_module).
_REDIRECTS = (301, 302, 303, 307, 308)
_WITHOUT_BODY = (204, 304)

ExtraConfig = Annotated[str, StringConstraints(max_length=20_000)]


def _status_text(value: Any) -> Any:
    """YAML parses the key 404 as a number."""
    return {str(key): each for key, each in value.items()} if isinstance(value, dict) else value


class ResponseSettings(FrozenModel):
    """A response of nginx itself."""

    status: int = Field(default=200, ge=200, le=599, description="Status code.")
    body: Body = Field(default="", description="Body. May contain variables of nginx.")
    content_type: MimeType = Field(default="text/plain", description="Type of the body.")

    @model_validator(mode="after")
    def _has_no_injected_script(self) -> ResponseSettings:
        refuse_decoded_in_html(self.body, self.content_type)
        return self

    @model_validator(mode="after")
    def _status_has_a_body(self) -> ResponseSettings:
        if self.status in _REDIRECTS:
            raise ValueError(f"status cannot be {self.status}, which needs a URL; use redirect instead of respond")
        if self.status in _WITHOUT_BODY and self.body:
            raise ValueError(f"body cannot be set with status {self.status}, which has none (RFC 9110, 15)")
        return self


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
        refuse_decoded_in_html(self.body or "", self.content_type)
        return self


def bodies_of(pages: Mapping[str, ErrorPage]) -> dict[str, str | None]:
    """The bodies by the name of their setting."""
    return {f"errorPages.{status}.body": page.body for status, page in pages.items()}


ErrorPages = Annotated[dict[StatusGroup, ErrorPage], BeforeValidator(_status_text)]


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

    @field_validator("allow_origins")
    @classmethod
    def _origins_differ(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        refuse_repeated(origins, "origin")
        return origins

    @model_validator(mode="after")
    def _credentials_need_named_origins(self) -> CorsSettings:
        # Browsers reject the combination (Fetch standard, 3.2.5), and reflecting any origin would be insecure.
        if self.allow_credentials and "*" in self.allow_origins:
            raise ValueError("allowOrigins cannot contain * with allowCredentials; list the origins instead")
        return self


def _is_a_host(name: str) -> str:
    if name in {"none", "blocked"}:
        raise ValueError(
            f"cannot be {name}, a keyword of nginx's valid_referers: allowEmpty serves requests without a Referer "
            "header, and a Referer header without http:// is always refused"
        )
    return name


Referer = Annotated[str, StringConstraints(pattern=r"^(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)*$"), AfterValidator(_is_a_host)]


class HotlinkSettings(FrozenModel):
    """Refuse requests from pages of other sites with status 403."""

    hosts: tuple[Referer, ...] = Field(
        default=(),
        description="Hosts whose pages may embed the files, such as `*.example.com`, in addition to the site.",
    )
    allow_empty: bool = Field(
        default=True, description="Serve requests without a Referer header, such as those of a typed address."
    )
