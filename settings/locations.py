"""`tandem:nginx.sites[].locations`: what nginx does with the requests below a path."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from settings.base import FrozenModel, Network
from settings.files import FileName, NodePath, PublicDirectory, TryFiles
from settings.headers import HeaderName, Headers, RequestHeaders
from settings.texts import REMOTE_USER, HeaderValue, refuse_missing_groups
from settings.upstreams import Expression, UpstreamName
from settings.web import (
    CorsSettings,
    ErrorPages,
    ExtraConfig,
    HotlinkSettings,
    Method,
    RedirectSettings,
    ResponseSettings,
    Size,
    bodies_of,
)

_PATH = re.compile(r"/[A-Za-z0-9._~!&()*+,:@/-]*")
_REGEX = re.compile(r"[^\s\"\\;{}]*(\\[^\s\"\\tnr][^\s\"\\;{}]*)*")
# The literal prefix of a regular expression, without a character that a quantifier may repeat or omit.
_START = re.compile(r"\^((?:[A-Za-z0-9_/-](?![?*]))+)")
# Paths and, with a literal beginning, regular expressions of hidden files.
_HIDDEN = re.compile(r".*/\.(?!well-known(/|$))")
_HIDDEN_REGEX = re.compile(r"\^[A-Za-z0-9_/-]*/\\\.(?![?*]|well-known\b)")
# What Python accepts and PCRE does not.
_NOT_IN_PCRE = re.compile(r"\\[uUN]|\(\?[a-z]*[au][a-z]*[):]")
# nginx: https://nginx.org/en/docs/http/ngx_http_headers_module.html#expires
_EXPIRES = r"^(max|off|epoch|-?[0-9]{1,9}[smhdwMy]|@([01]?[0-9]|2[0-3])h([0-5]?[0-9]m)?)$"


class RateLimitSettings(FrozenModel):
    """Requests above the limit are answered with status 429."""

    per_s: int = Field(ge=1, le=100_000, description="Requests per second and client address.")
    burst: int = Field(default=0, ge=0, le=100_000, description="Requests above `perS` that are accepted.")
    name: str = Field(
        default="",
        pattern=r"^([a-z][a-z0-9]*)?$",
        description="Locations of a site with the same name share one count. Default: each location has its own.",
    )
    only: Literal["all", "basic-auth"] = Field(
        default="all", description="`basic-auth` only counts requests with a password in the Authorization header."
    )


class AccessSettings(FrozenModel):
    """Which clients are served; the others are answered with status 403. The most specific network decides."""

    allow: tuple[Network, ...] = Field(default=(), description="Networks that are served. Default: all.")
    deny: tuple[Network, ...] = Field(default=(), description="Networks that are not served.")
    except_methods: tuple[Method, ...] = Field(default=(), description="Methods that all clients may use.")

    @property
    def closed(self) -> bool:
        """Whether only `allow` is served."""
        return bool(self.allow) or any(cidr.prefixlen == 0 for cidr in self.deny)

    @model_validator(mode="after")
    def _is_clear(self) -> AccessSettings:
        both = [str(each) for each in self.allow if each in self.deny]
        if both:
            raise ValueError(f"allow and deny must differ (got {both[0]} in both)")
        return self


class BasicAuthSettings(FrozenModel):
    users: str = Field(min_length=1, description="Name of a list of users in `credentials.basicAuth`.")
    realm: HeaderValue = Field(default="Restricted", min_length=1, description="Text that browsers show.")


class CacheSettings(FrozenModel):
    """Keeps responses of the upstream on the node, except those with Set-Cookie or Cache-Control: private.

    Requests with an Authorization header bypass it, unless `basicAuth` checks the header or `key` contains it.
    """

    valid_s: int = Field(
        ge=1, le=31_536_000, description="Time for which a response with status 200, 301 or 302 is kept."
    )
    not_found_s: int = Field(default=0, ge=0, le=86_400, description="Time for which a response 404 is kept.")
    key: Expression = Field(
        default="$scheme$host$request_uri", description="Requests with the same key share a response."
    )
    max_size_mib: int = Field(default=256, ge=1, le=1_000_000, description="Maximum size on disk.")
    inactive_s: int = Field(
        default=600, ge=1, le=31_536_000, description="Unused responses are deleted after this time."
    )
    stale: bool = Field(
        default=True, description="Serve an expired response while the upstream fails or is asked again."
    )

    @property
    def has_groups(self) -> bool:
        return re.search(r"\$\{?[1-9]", self.key) is not None


class LocationSettings(FrozenModel):
    """One of proxy, root, alias, redirect and respond decides what is served; without one, the files of the site."""

    path: str = Field(
        min_length=1,
        max_length=300,
        description="Path, or a regular expression with `match` `~` and `~*`. Hidden files, such as `/.git/config`, "
        "are served only by a location whose path names them.",
    )
    match: Literal["prefix", "=", "^~", "~", "~*"] = Field(
        default="prefix",
        description="`prefix`; `=` for this path only; `^~` for a prefix that regular expressions do not override; "
        "`~` and `~*` for a regular expression, the latter ignores case.",
    )
    proxy: UpstreamName | None = Field(
        default=None, description="Name of the upstream (`nginx.upstreams`) or service that receives the requests."
    )
    proxy_path: NodePath | None = Field(
        default=None, description="Replaces `path` at the start of the path that the upstream receives."
    )
    proxy_method: Method | None = Field(default=None, description="Method that the upstream receives.")
    root: PublicDirectory | None = Field(default=None, description="Directory; the whole path is appended to it.")
    alias: PublicDirectory | None = Field(default=None, description="Directory that replaces `path`.")
    index: tuple[FileName, ...] = Field(
        default=("index.html",), min_length=1, description="Files served for a directory."
    )
    try_files: TryFiles = Field(
        default=(), description="Paths tried in this order, such as `$uri`, `$uri/` and last `/index.html` or `=404`."
    )
    redirect: RedirectSettings | None = Field(default=None, description="Redirect the client.")
    respond: ResponseSettings | None = Field(default=None, description="A fixed response.")
    headers: Headers = Field(default_factory=dict, description="Response headers, in addition to those of the site.")
    request_headers: RequestHeaders = Field(
        default_factory=dict,
        description="Request headers for the upstream. Default: Host, X-Forwarded-Host, X-Forwarded-Proto, "
        "X-Forwarded-For, X-Real-IP and X-Request-ID describe the client.",
    )
    hide_headers: tuple[HeaderName, ...] = Field(default=(), description="Response headers of the upstream to remove.")
    connect_timeout_s: int | None = Field(default=None, ge=1, le=60, description="Default: `nginx.connectTimeoutS`.")
    read_timeout_s: int | None = Field(default=None, ge=1, le=86_400, description="Default: `nginx.readTimeoutS`.")
    send_timeout_s: int | None = Field(
        default=None, ge=1, le=86_400, description="Timeout between two writes to the upstream. Default: 60."
    )
    client_max_body_size: Size | None = Field(default=None, description="Default: that of the site.")
    buffering: bool = Field(default=True, description="Read the response into memory before it is sent.")
    request_buffering: bool = Field(default=True, description="Read the whole request before it is passed on.")
    websocket: bool = Field(default=False, description="Pass on WebSocket upgrades. Set `readTimeoutS` for idle ones.")
    rate_limit: RateLimitSettings | None = Field(default=None, description="Limit of the request rate.")
    max_connections: int | None = Field(
        default=None, ge=1, le=65_535, description="Concurrent requests per client address; more get status 429."
    )
    access: AccessSettings | None = Field(default=None, description="Networks that are served.")
    basic_auth: BasicAuthSettings | None = Field(default=None, description="Ask for a user and a password.")
    expires: str | None = Field(
        default=None,
        pattern=_EXPIRES,
        description="Browser cache: a time such as `7d`, a time of day such as `@22h30m`, `max`, `epoch` or `-1h`.",
    )
    cache: CacheSettings | None = Field(default=None, description="Cache of nginx for responses of the upstream.")
    hotlink: HotlinkSettings | None = Field(default=None, description="Hotlink protection.")
    cors: CorsSettings | None = Field(default=None, description="CORS of this location. Default: that of the site.")
    error_pages: ErrorPages = Field(default_factory=dict, description="Pages by status: `404` or `50x`.")
    access_log: bool = Field(default=True, description="Log the requests.")
    extra_config: ExtraConfig = Field(default="", description="Further directives, as a last resort.")

    @property
    def is_regex(self) -> bool:
        return self.match in {"~", "~*"}

    def may_match_below(self, prefix: str) -> bool:
        """Whether the regular expression may match a path that begins with `prefix`; True if this cannot be decided."""
        start = _START.match(self.path)
        if start is None or "|" in self.path:
            return True
        own, other = (text.lower() if self.match == "~*" else text for text in (start[1], prefix))
        return own.startswith(other) or other.startswith(own)

    @property
    def names_hidden_files(self) -> bool:
        return (_HIDDEN_REGEX if self.is_regex else _HIDDEN).match(self.path) is not None

    @property
    def shares_private_responses(self) -> bool:
        """Whether the response to a request with an Authorization header is cached, for requests with the same key."""
        private = re.compile(r"\$\{?http_authorization\b")
        return self.basic_auth is not None or (self.cache is not None and private.search(self.cache.key) is not None)

    @property
    def has_target(self) -> bool:
        """Whether it does not serve the files of the site."""
        return any((self.proxy, self.root, self.alias, self.redirect, self.respond))

    @field_validator("path")
    @classmethod
    def _has_no_special_characters(cls, path: str) -> str:
        if not _PATH.fullmatch(path) and not _REGEX.fullmatch(path):
            raise ValueError(
                f"must not contain white space, quotes, semicolons or braces (got {path}); "
                r"in a regular expression write x?x?x for x{1,3} and \s for a space"
            )
        return path

    @property
    def groups(self) -> int:
        """The number of groups of the regular expression in the path."""
        return re.compile(self.path).groups if self.is_regex else 0

    @model_validator(mode="after")
    def _path_matches_its_kind(self) -> LocationSettings:
        if not self.is_regex:
            if not _PATH.fullmatch(self.path):
                raise ValueError(
                    f"path must start with / and cannot be a regular expression with match {self.match} (got "
                    f"{self.path}); for characters other than letters, digits and ._~!&()*+,:@- write ^{self.path} "
                    "with match ~"
                )
            if {"", ".", ".."} & set(self.path.removesuffix("/").split("/")[1:]):
                raise ValueError(
                    f"path cannot contain //, /./ or /../ (got {self.path}): nginx removes them from the path of a "
                    "request before it selects a location"
                )
            return self
        try:
            re.compile(self.path)
        except re.error as error:
            raise ValueError(f"path must be a regular expression with match {self.match} ({error})") from error
        if (found := _NOT_IN_PCRE.search(self.path)) is not None:
            raise ValueError(f"path cannot contain {found[0]} (got {self.path}): PCRE does not support it")
        if not (self.path.startswith("^") or self.path.endswith("$")):
            raise ValueError(
                f"path must start with ^ or end with $ (got {self.path}): without an anchor it also matches inside of "
                r"other names, \.png also /x.png.html"
            )
        return self

    @model_validator(mode="after")
    def _groups_exist(self) -> LocationSettings:
        texts = bodies_of(self.error_pages)
        texts |= {"respond.body": self.respond and self.respond.body, "cache.key": self.cache and self.cache.key}
        if not self.extra_config:  # which may have other regular expressions
            refuse_missing_groups(texts, self.groups)
        return self

    @model_validator(mode="after")
    def _has_one_target(self) -> LocationSettings:
        targets = ("proxy", "root", "alias", "redirect", "respond")
        found = [name for name in targets if getattr(self, name) is not None]
        if len(found) > 1:
            raise ValueError(f"must have only one of {', '.join(targets)} (got {' and '.join(found)})")
        only_proxy = {
            "proxyPath": self.proxy_path, "proxyMethod": self.proxy_method, "websocket": self.websocket,
            "cache": self.cache, "requestHeaders": self.request_headers, "hideHeaders": self.hide_headers,
            "connectTimeoutS": self.connect_timeout_s, "readTimeoutS": self.read_timeout_s,
            "sendTimeoutS": self.send_timeout_s,
        }  # fmt: skip
        given = [name for name, value in only_proxy.items() if value]
        if given and self.proxy is None:
            raise ValueError(f"{given[0]} cannot be set without proxy: the target is missing")
        if self.basic_auth is None and any(REMOTE_USER in value for value in self.request_headers.values()):
            raise ValueError(
                f"requestHeaders cannot contain {REMOTE_USER} without basicAuth: nginx would pass on any name that a "
                "client sends, even one with a line feed"
            )
        if self.cache is not None and not self.buffering:
            raise ValueError(
                "buffering must be true with cache: nginx only keeps responses that it buffers (got false)"
            )
        if self.proxy_path is not None and self.match not in {"prefix", "^~"}:
            raise ValueError(f"proxyPath cannot be set with match {self.match}: only a prefix can be replaced")
        if self.proxy_path is not None and self.proxy_path.endswith("/") != self.path.endswith("/"):
            raise ValueError(f"path and proxyPath must both end with / or not (got {self.path} and {self.proxy_path})")
        return self

    @model_validator(mode="after")
    def _files_are_safe(self) -> LocationSettings:
        if self.alias is not None:
            if self.is_regex:
                raise ValueError("alias cannot be set with a regular expression; use root")
            # Otherwise /static../x reaches the parent of the directory (gixy: alias_traversal).
            if self.match != "=" and not (self.path.endswith("/") and self.alias.endswith("/")):
                raise ValueError(
                    f"path and alias must end with / (got {self.path} and {self.alias}): otherwise {self.path}../ "
                    "leads out of the directory"
                )
        serves_files = not (self.proxy or self.redirect or self.respond)
        if self.try_files and not serves_files:
            raise ValueError("tryFiles can only be set where files are served, not with proxy, redirect or respond")
        later = {"basicAuth": self.basic_auth, "rateLimit": self.rate_limit, "maxConnections": self.max_connections}
        given = [name for name, value in later.items() if value is not None]
        if given and (self.redirect or self.respond):
            raise ValueError(f"{given[0]} cannot be set with redirect or respond: nginx answers before it is checked")
        return self
