"""`tandem:nginx.sites`: what nginx serves under which host names."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from settings.base import FrozenModel
from settings.files import PublicDirectory
from settings.headers import CORS, Headers, find_header
from settings.locations import LocationSettings
from settings.texts import refuse_missing_groups
from settings.web import CorsSettings, ErrorPages, ExtraConfig, Size, bodies_of

# At least one label; a wildcard as the first one. Shorter than a file name, which contains it.
SiteHost = Annotated[
    str,
    StringConstraints(
        pattern=r"^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?$", max_length=200
    ),
]


def name_of(host: str) -> str:
    """A name that a host of a site matches, for resources, files and checks."""
    return host.replace("*", "any")


class SiteSettings(FrozenModel):
    hosts: tuple[SiteHost, ...] = Field(
        min_length=1,
        max_length=50,
        description="Host names in lower case, without a port; the first one names the site. `*.example.com` is a "
        "wildcard.",
    )
    http: Literal["serve", "redirect", "off"] = Field(
        default="redirect",
        description="Port 80: `serve` the site without TLS too, `redirect` to HTTPS, or `off`. "
        "/.well-known/acme-challenge/ is served from /srv/acme in any case.",
    )
    https: bool = Field(default=True, description="Serve the site on port 443.")
    certificate: str | None = Field(
        default=None,
        description="Name of a certificate in `credentials.certificates`. Default: one of the stack's CA for `hosts`.",
    )
    default: bool = Field(default=False, description="Also serve the requests for unknown host names.")
    root: PublicDirectory | None = Field(default=None, description="Directory on the nodes with the files of the site.")
    content: str | dict[str, str] | None = Field(
        default=None,
        min_length=1,
        description="The files of the site, which are delivered to the eligible nodes: a folder, or the path or URL of "
        "a .tar.gz. A mapping of node names to these serves other files on each node. Not with `root`.",
    )
    content_sha256: str | None = Field(
        default=None, pattern=r"^[0-9a-f]{64}$", description="SHA-256 checksum of `content`, required for a URL."
    )
    locations: tuple[LocationSettings, ...] = Field(
        default=(), max_length=200, description="What is served below which path. Default: the files of the site."
    )
    headers: Headers = Field(default_factory=dict, description="Response headers of all locations.")
    cors: CorsSettings | None = Field(
        default=None, description="CORS of all locations. Default: the headers of the upstream are passed on."
    )
    error_pages: ErrorPages = Field(default_factory=dict, description="Pages by status: `404` or `50x`.")
    hsts_max_age_s: int | None = Field(default=None, ge=0, description="Default: `nginx.hstsMaxAgeS`.")
    client_max_body_size: Size | None = Field(default=None, description="Default: `nginx.clientMaxBodySize`.")
    access_log: bool = Field(default=True, description="Log the requests.")
    extra_config: ExtraConfig = Field(default="", description="Further directives for the site, as a last resort.")

    @property
    def name(self) -> str:
        """A host name that the site serves, which also names its files, zones and secrets: any.X for `*.X`."""
        return name_of(self.hosts[0])

    @property
    def has_files(self) -> bool:
        """Whether the site has files, which locations without a target serve."""
        return self.root is not None or self.content is not None

    @property
    def sources(self) -> dict[str, str]:
        """The delivered files by node name; "" stands for all nodes."""
        if self.content is None:
            return {}
        return {"": self.content} if isinstance(self.content, str) else self.content

    @property
    def certificate_name(self) -> str:
        """Name of the certificate in placeholders and files; "" without HTTPS."""
        if not self.https:
            return ""
        return f"given.{self.certificate}" if self.certificate else f"site.{self.name}"

    @model_validator(mode="after")
    def _has_one_kind_of_files(self) -> SiteSettings:
        if self.content is not None and self.root is not None:
            raise ValueError(f"root cannot be set with content, which is delivered to a directory (got {self.root})")
        if self.content_sha256 is not None and not isinstance(self.content, str):
            raise ValueError("contentSha256 can only be set with one content for all nodes")
        return self

    @model_validator(mode="after")
    def _groups_exist(self) -> SiteSettings:
        if not self.extra_config and not any(location.extra_config for location in self.locations):
            groups = max((location.groups for location in self.locations), default=0)
            refuse_missing_groups(bodies_of(self.error_pages), groups)
        return self

    @model_validator(mode="after")
    def _expressions_do_not_bypass_restrictions(self) -> SiteSettings:
        expressions = [location for location in self.locations if location.is_regex]
        for number, location in enumerate(self.locations):
            if location.match != "prefix" or location.path == "/":
                continue
            for key, name in (("basicAuth", "basic_auth"), ("access", "access")):
                others = [each for each in expressions if getattr(each, name) is None]
                opened = [each.path for each in others if each.may_match_below(location.path)]
                if getattr(location, name) is not None and opened:
                    raise ValueError(
                        f"locations[{number}].match must be ^~ for {location.path} with {key} (got prefix): the "
                        f"regular expression {opened[0]}, which has no {key}, also serves paths below it"
                    )
        return self

    @model_validator(mode="after")
    def _headers_of_cors_are_sent_once(self) -> SiteSettings:
        for number, location in enumerate(self.locations):
            cors = location.cors or self.cors
            for key, headers in (("headers", self.headers), (f"locations[{number}].headers", location.headers)):
                if cors is not None and (name := find_header(headers, CORS)) is not None:
                    raise ValueError(
                        f"{key} cannot contain {name} with cors: browsers reject a repeated header; use only cors"
                    )
        return self

    @model_validator(mode="after")
    def _is_served(self) -> SiteSettings:
        if not self.https and self.http != "serve":
            raise ValueError(f"http must be serve without https (got {self.http}): the site would not be served")
        if not self.https and (self.certificate or self.hsts_max_age_s):
            raise ValueError("certificate and hstsMaxAgeS cannot be set without https")
        return self

    @model_validator(mode="after")
    def _locations_differ(self) -> SiteSettings:
        found: set[tuple[str, str]] = set()
        for location in self.locations:
            # nginx refuses `location /x` beside `location ^~ /x`.
            key = ("prefix" if location.match == "^~" else location.match, location.path)
            if key in found:
                raise ValueError(f"locations must differ (got {location.match} {location.path} twice)")
            found.add(key)
        return self

    @model_validator(mode="after")
    def _shared_limits_are_equal(self) -> SiteSettings:
        limits = [location.rate_limit for location in self.locations if location.rate_limit]
        for limit in limits:
            for other in limits:
                if limit.name and limit.name == other.name and limit.per_s != other.per_s:
                    raise ValueError(f"rateLimit {limit.name} must have one perS (got {limit.per_s} and {other.per_s})")
        return self


def bundle_key(site: SiteSettings, node: str) -> str:
    """The key of the delivered files in `Settings.bundles`."""
    return f"sites.{site.name}.{node}" if node else f"sites.{site.name}"
