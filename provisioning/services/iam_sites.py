"""The sites and upstreams of the IAM services: a preset of what `tandem:nginx` can express."""

from __future__ import annotations

from ipaddress import IPv4Network

from provisioning.deployment import Deployment
from provisioning.services.iam import APISERVER_PORT, AUTHZ_PORT
from provisioning.sites import Site
from provisioning.upstreams import Server, Upstream
from settings.iam import APISERVER, AUTHZ_SERVER
from settings.locations import AccessSettings, LocationSettings, RateLimitSettings
from settings.nginx import NginxSettings
from settings.sites import SiteSettings
from settings.web import ErrorPage, ResponseSettings

# iam-apiserver answers a login with 401 and other requests with 500 while its database is away. The health daemon
# creates the file (programs/health_daemon/database.py).
WITHOUT_DATABASE = """
default_type application/json;
set $tandem_database_away "";
if (-f /run/tandem/database-away) {
    set $tandem_database_away 1;
}
if ($uri = /healthz) {
    set $tandem_database_away "";
}
if ($tandem_database_away) {
    return 503 '{"code":100101,"message":"Database error"}';
}
"""
# The longest request, a login, takes 50 ms. The health daemon takes out a server that hangs after 250 ms (profile
# `fast`); this limit is for a kernel that cannot destroy its connections.
_READ_TIMEOUT_S = 10
_REFUSED = '{"code":100207,"message":"Permission denied"}'


def upstreams(deployment: Deployment) -> tuple[Upstream, ...]:
    """One upstream for each of the two services; every node runs both."""
    if not deployment.iam.enabled:
        return ()
    nginx = deployment.nginx

    def upstream(name: str, port: int) -> Upstream:
        return Upstream(
            name=name,
            servers=tuple(
                Server(
                    node.private_address,
                    port,
                    max_fails=nginx.max_fails,
                    fail_timeout_s=nginx.fail_timeout_s,
                    comment=node.name,
                )
                for node in deployment.nodes
            ),
            method=nginx.balance,
            keepalive=nginx.upstream_keepalive,
            look_at="provisioning/services/iam_sites.py",
        )

    return (upstream(APISERVER, APISERVER_PORT), upstream(AUTHZ_SERVER, AUTHZ_PORT))


def sites(deployment: Deployment) -> tuple[Site, ...]:
    """The public site of each of the two services; none without them."""
    nginx, domains = deployment.nginx, deployment.domains
    if domains is None:
        return ()

    def site(name: str, host: str, certificate: str, locations: list[LocationSettings], body_size: str) -> Site:
        settings = SiteSettings(
            hosts=(host,),
            locations=tuple(locations),
            cors=nginx.cors,
            client_max_body_size=body_size,
            # iam-authz-server answers from its cache.
            extra_config=WITHOUT_DATABASE if name == APISERVER and deployment.keepalived.profile != "seed" else "",
        )
        trusted = certificate in deployment.trusted_certificates
        return Site(name, settings, certificate, trusted, probe="/healthz")

    return (
        site(APISERVER, domains.api, "api", _apiserver(nginx), nginx.client_max_body_size),
        site(AUTHZ_SERVER, domains.authz, "authz", _common(AUTHZ_SERVER, nginx), nginx.authz_max_body_size),
    )


def _common(name: str, nginx: NginxSettings, rate_limit: RateLimitSettings | None = None) -> list[LocationSettings]:
    return [
        LocationSettings(path="/", proxy=name, rate_limit=rate_limit, read_timeout_s=_read_timeout_s(nginx)),
        # The services support only GET here and answer HEAD with 500.
        LocationSettings(path="/healthz", match="=", proxy=name, proxy_method="GET"),
        # The services serve these paths without a login, so they are not public.
        LocationSettings(path="^/(metrics$|debug(/|$))", match="~", respond=ResponseSettings(status=404)),
    ]


def _read_timeout_s(nginx: NginxSettings) -> int:
    return min(_READ_TIMEOUT_S, nginx.read_timeout_s)


def _apiserver(nginx: NginxSettings) -> list[LocationSettings]:
    # A login costs the service 50 ms of CPU: 40 logins a second saturate two cores. It also accepts a password
    # instead of a token on every path (Basic authentication).
    rate, burst = nginx.login_rate_per_s, nginx.login_burst
    login = RateLimitSettings(name="login", per_s=rate, burst=burst)
    password = RateLimitSettings(name="login", per_s=rate, burst=burst, only="basic-auth")
    found = [
        *_common(APISERVER, nginx, password),
        LocationSettings(
            path="/login", match="=", proxy=APISERVER, rate_limit=login, read_timeout_s=_read_timeout_s(nginx)
        ),
    ]
    if nginx.open_registration:
        return found
    # The service creates users, including administrators, without a login.
    return [
        *found,
        LocationSettings(
            path="^/v1/users/?$",
            match="~",
            proxy=APISERVER,
            rate_limit=password,
            read_timeout_s=_read_timeout_s(nginx),
            access=AccessSettings(
                allow=nginx.registration_cidrs,
                deny=() if nginx.registration_cidrs else (IPv4Network("0.0.0.0/0"),),
                except_methods=("GET", "PUT", "DELETE", "PATCH", "OPTIONS"),
            ),
            error_pages={"403": ErrorPage(body=_REFUSED, content_type="application/json")},
        ),
    ]
