"""What the template of a site needs to know about its locations. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from provisioning.sites import Site, content_root
from settings.headers import HSTS, find_header
from settings.locations import LocationSettings, RateLimitSettings
from settings.nginx import NginxSettings
from settings.web import CorsSettings, ErrorPage

ACME_PATH = "/.well-known/acme-challenge/"
TRUSTED_HSTS_S = 63_072_000  # two years, as in Mozilla's guideline
_GROUPS = {"50x": "500 502 503 504", "40x": "400 401 403 404 405"}
_CORS_HEADERS = ("Allow-Origin", "Allow-Methods", "Allow-Headers", "Allow-Credentials", "Expose-Headers", "Max-Age")


@dataclass(frozen=True, slots=True)
class Cors:
    """Rendered as maps from the request to the values of headers."""

    variable: str
    settings: CorsSettings

    @property
    def active(self) -> bool:
        return bool(self.settings.allow_origins)


@dataclass(frozen=True, slots=True)
class Page:
    """A page for errors: a file, or a named location with a text."""

    statuses: str  # "500 502 503 504"
    name: str  # of the named location
    page: ErrorPage


@dataclass(frozen=True, slots=True)
class Location:
    settings: LocationSettings
    variable: str  # start of the names of its variables and zones
    cors: Cors | None  # its own, or that of the site
    headers: tuple[tuple[str, str], ...]  # () if those of the site apply
    hidden: tuple[str, ...]  # headers of the upstream that are removed; () if those of the site apply
    pages: tuple[Page, ...]
    root: str  # "" with a target other than files, or with an alias
    rate_zone: str  # "" without a limit

    @property
    def preflight(self) -> Cors | None:
        """What answers a browser's preflight request."""
        answers_itself = self.settings.redirect or self.settings.respond
        return self.cors if self.cors and self.cors.active and not answers_itself else None

    @property
    def name(self) -> str:
        """As nginx writes it: `= /login`."""
        quoted = f'"{self.settings.path}"' if self.settings.is_regex else self.settings.path
        return quoted if self.settings.match == "prefix" else f"{self.settings.match} {quoted}"


@dataclass(frozen=True, slots=True)
class View:
    """A site as its template renders it."""

    site: Site
    locations: tuple[Location, ...]
    acme: tuple[Location, ...]  # of the settings, for ACME challenges
    cors: tuple[Cors, ...]  # of the site and of its locations
    headers: tuple[tuple[str, str], ...]
    hidden: tuple[str, ...]
    pages: tuple[Page, ...]
    body_size: str

    @property
    def serves_challenges(self) -> bool:
        """Whether a location of the settings replaces the directory with ACME challenges."""
        return any(each.settings.path == ACME_PATH and each.settings.match in {"prefix", "^~"} for each in self.acme)

    @property
    def rates(self) -> dict[str, RateLimitSettings]:
        """The limits by the names of their zones."""
        return {each.rate_zone: each.settings.rate_limit for each in self.locations if each.settings.rate_limit}

    @property
    def files(self) -> tuple[str, ...]:
        """The files of error pages."""
        pages = [*self.pages, *(page for location in self.locations for page in location.pages)]
        # nginx refuses a second location for the same path.
        taken = {each.settings.path for each in self.locations if each.settings.match == "="}
        files = dict.fromkeys(page.page.file for page in pages if page.page.file)
        return tuple(file for file in files if f"/{file}" not in taken)

    @property
    def root(self) -> str:
        return root_of(self.site)


def root_of(site: Site) -> str:
    """The directory with the files of a site; "" if it has none."""
    return content_root(site.settings.name) if site.settings.content else site.settings.root or ""


def make_view(site: Site, nginx: NginxSettings) -> View:
    settings = site.settings
    prefix = _variable(site.name)
    site_cors = Cors(f"{prefix}_cors", settings.cors) if settings.cors is not None else None
    # A header of the settings replaces the default, for example with includeSubDomains.
    hsts = () if find_header(settings.headers, HSTS) else _hsts(site, nginx)
    headers = (*hsts, *settings.headers.items())
    given = settings.locations or (LocationSettings(path="/", try_files=("$uri", "$uri/", "=404")),)
    locations = tuple(
        _location(site, f"{prefix}_{number}", each, site_cors, headers) for number, each in enumerate(given, 1)
    )
    used = [each for each in (site_cors, *(location.cors for location in locations)) if each and each.active]
    return View(
        site=site,
        locations=locations,
        acme=tuple(each for each in locations if each.settings.path.startswith(ACME_PATH)),
        cors=tuple(dict.fromkeys(used)),
        headers=(*headers, *_cors_headers(site_cors)),
        hidden=_hidden(site_cors),
        pages=_pages(prefix, settings.error_pages),
        body_size=settings.client_max_body_size or nginx.client_max_body_size,
    )


def _location(
    site: Site,
    variable: str,
    settings: LocationSettings,
    site_cors: Cors | None,
    site_headers: Sequence[tuple[str, str]],
) -> Location:
    cors = Cors(f"{variable}_cors", settings.cors) if settings.cors is not None else site_cors
    own = dict(settings.headers)
    if settings.cache is not None:
        own["X-Cache-Status"] = "$upstream_cache_status"
    headers: tuple[tuple[str, str], ...] = ()
    if own or settings.cors is not None:
        # nginx inherits headers only in locations without `add_header`.
        names = {name.lower() for name in own}
        headers = (*((name, value) for name, value in site_headers if name.lower() not in names), *own.items())
        of_cors = dict(_cors_headers(cors))
        # An empty value removes a header of the site.
        headers += tuple({**{name: "" for name, _ in _cors_headers(site_cors)}, **of_cors}.items())
    hidden = (*_hidden(cors), *settings.hide_headers) if settings.cors or settings.hide_headers else ()
    files = not (settings.proxy or settings.redirect or settings.respond or settings.alias)
    return Location(
        settings=settings,
        variable=variable,
        cors=cors,
        headers=headers,
        hidden=hidden,
        pages=_pages_of(site, variable, settings, headers),
        root=(settings.root or root_of(site)) if files else "",
        rate_zone=_rate_zone(site, variable, settings.rate_limit),
    )


def _rate_zone(site: Site, variable: str, limit: RateLimitSettings | None) -> str:
    """Name of the shared memory. nginx refuses to reload if the key of a zone has changed, so it is in the name."""
    if limit is None:
        return ""
    owner = f"{_variable(site.name)}_{limit.name}" if limit.name else variable
    return f"{owner}_rate_{limit.only.replace('-', '_')}"


def _hsts(site: Site, nginx: NginxSettings) -> tuple[tuple[str, str], ...]:
    """Browsers that do not trust the certificate could not reach the site any more, and could not ignore that."""
    wanted = site.settings.hsts_max_age_s if site.settings.hsts_max_age_s is not None else nginx.hsts_max_age_s
    age = (TRUSTED_HSTS_S if wanted is None else wanted) if site.trusted else 0
    return (("Strict-Transport-Security", f"max-age={age}"),) if age else ()


def _cors_headers(cors: Cors | None) -> tuple[tuple[str, str], ...]:
    """Headers for allowed origins. nginx sends no header with an empty value, so other origins get none."""
    if cors is None or not cors.active:
        return ()
    settings = cors.settings
    found = {
        "Allow-Methods": ", ".join(settings.allow_methods),
        "Allow-Headers": ", ".join(settings.allow_headers),
        "Expose-Headers": ", ".join(settings.expose_headers),
        "Allow-Credentials": "true" if settings.allow_credentials else "",
        "Max-Age": str(settings.max_age_s),
    }
    others = tuple((f"Access-Control-{name}", value) for name, value in found.items() if value)
    return (("Access-Control-Allow-Origin", f"${cors.variable}"), *others, ("Vary", "Origin"))


def _hidden(cors: Cors | None) -> tuple[str, ...]:
    """A browser refuses a header that both nginx and the service send."""
    return tuple(f"Access-Control-{name}" for name in _CORS_HEADERS) if cors is not None else ()


def _pages_of(
    site: Site, variable: str, settings: LocationSettings, headers: Sequence[tuple[str, str]]
) -> tuple[Page, ...]:
    """The pages of a location; () if it inherits those of the site, which have the headers of the site."""
    if not (settings.error_pages or headers):
        return ()
    # nginx inherits pages only in locations without `error_page`.
    return _pages(variable, {**site.settings.error_pages, **settings.error_pages})


def _pages(prefix: str, pages: dict[str, ErrorPage]) -> tuple[Page, ...]:
    # nginx uses the first page of a status, so 404 comes before 40x.
    ordered = sorted(pages.items(), key=lambda page: page[0] in _GROUPS)
    return tuple(Page(_GROUPS.get(status, status), f"@{prefix}_error_{status}", page) for status, page in ordered)


def _variable(name: str) -> str:
    """A name for variables, which contain no hyphens; different for each site."""
    return name.replace("-", "__").replace(".", "_")
