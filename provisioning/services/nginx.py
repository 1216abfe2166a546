"""nginx: terminates TLS, serves the sites and distributes requests and connections over the nodes."""

from __future__ import annotations

from collections.abc import Iterable

from provisioning import placeholders
from provisioning.deployment import Deployment, Node
from provisioning.kinds.absent import Absent
from provisioning.kinds.base import Item, reload
from provisioning.kinds.check import Check
from provisioning.kinds.directory import Directory
from provisioning.kinds.file import File
from provisioning.kinds.gate import Gate
from provisioning.kinds.port import Port
from provisioning.kinds.site import Site as SiteCheck
from provisioning.kinds.unit import Unit
from provisioning.rendering import render
from provisioning.services.nginx_http import ACME_PATH, View, make_view
from provisioning.services.packages import packages
from provisioning.services.sites import sites
from provisioning.services.upstreams import upstreams
from provisioning.sites import ACME_ROOT, TLS_DIRECTORY
from provisioning.upstreams import STREAM_UPSTREAMS_FILE, UPSTREAMS_FILE, Upstream

SETTINGS = "provisioning/templates/nginx/ and the stack's tandem:nginx"
CACHE_DIRECTORY = "/var/cache/tandem"  # of responses of upstreams
_CHANGED = (reload("nginx"),)
# For files and logs, beside two connections a request.
_OTHER_FILES = 1024
_CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)


def desired(deployment: Deployment, node: Node) -> list[Item]:
    if not node.eligible:
        return []
    nginx = deployment.nginx
    views = [make_view(site, nginx) for site in sites(deployment)]
    locations = [location.settings for view in views for location in view.locations]
    return [
        *packages(deployment, "nginx", *(["libnginx-mod-stream"] if nginx.streams else [])),
        *_directories(deployment, caches=any(location.cache for location in locations)),
        Check("nginx", ("nginx", "-t", "-q"), ("/etc/nginx",), look_at=SETTINGS),
        Absent("/etc/nginx/sites-enabled/default", after=_CHANGED),
        *_configuration(deployment, views),
        *_identities(deployment, views),
        *(
            _password_file(name, nginx.user)
            for name in sorted({each.basic_auth.users for each in locations if each.basic_auth})
        ),
        File(
            "/etc/logrotate.d/nginx",
            render("nginx/logrotate.j2", nginx=nginx, log_group=deployment.distribution.family.log_group),
        ),
        # Needs a daemon-reload only, which `File` adds; nginx is not restarted.
        File(
            "/etc/systemd/system/nginx.service.d/tandem.conf",
            render("nginx/restart.conf.j2", tracked=deployment.keepalived.profile != "seed"),
        ),
        Unit("nginx"),
        Gate("nginx", f"http://{node.private_address}/healthz"),
        *(Port("nginx", "0.0.0.0", port) for port in _ports(deployment, views)),  # noqa: S104 - where nginx listens
        *(_site_check(view, node) for view in views if view.site.certificate),
    ]


def open_files(deployment: Deployment) -> int:
    """The descriptors that a worker process may need."""
    return 2 * deployment.nginx.worker_connections + _OTHER_FILES


def _ports(deployment: Deployment, views: list[View]) -> list[int]:
    nginx = deployment.nginx
    # Version 1.18 cannot refuse TLS without a certificate, so without HTTPS sites it does not listen (default.conf.j2).
    https = [443] if nginx.version != "1.18" or any(view.site.certificate for view in views) else []
    return [80, *https, *sorted({stream.port for stream in nginx.streams if stream.protocol == "tcp"})]


def _directories(deployment: Deployment, *, caches: bool) -> list[Item]:
    found = [
        Directory(TLS_DIRECTORY, mode=0o700),
        Directory(ACME_ROOT),
        Directory(f"{ACME_ROOT}/.well-known"),
        Directory(f"{ACME_ROOT}/.well-known/acme-challenge"),
    ]
    if caches:
        found.append(Directory(CACHE_DIRECTORY))
    if deployment.nginx.streams:
        found.append(Directory("/etc/nginx/stream.d"))
    return list(found)


def _configuration(deployment: Deployment, views: list[View]) -> list[Item]:
    nginx = deployment.nginx
    settings = [location.settings for view in views for location in view.locations]
    uses = {
        "websocket": any(each.websocket for each in settings),
        "files": any(not (each.proxy or each.redirect or each.respond) for each in settings),
        "hotlink": any(each.hotlink and each.hotlink.allow_empty for each in settings),
        "password_limit": any(each.rate_limit and each.rate_limit.only == "basic-auth" for each in settings),
    }
    defaults = [view.site.settings for view in views if view.site.settings.default]
    addresses = ["127.0.0.1", "localhost", *(each.private_address for each in deployment.eligible_nodes)]
    http, stream = _divide(deployment)

    def file(path: str, template: str, **values: object) -> File:
        return File(path, render(f"nginx/{template}", **values), after=_CHANGED)

    found = [
        file(
            "/etc/nginx/nginx.conf",
            "nginx.conf.j2",
            nginx=nginx,
            uses=uses,
            ciphers=_CIPHERS,
            open_files=open_files(deployment),
            modules=deployment.distribution.family.nginx_modules,
        ),
        file(
            "/etc/nginx/conf.d/default.conf",
            "default.conf.j2",
            nginx=nginx,
            addresses=[*addresses, *deployment.virtual_ips],
            eligible=[each.private_address for each in deployment.eligible_nodes],
            http_default=bool(defaults),
            https_default=any(each.https for each in defaults),
            any_certificate=next((view.site.certificate for view in views if view.site.certificate), ""),
        ),
        file(UPSTREAMS_FILE, "upstreams.conf.j2", upstreams=http),
        *(
            file(view.site.path, "site.conf.j2", nginx=nginx, view=view, acme_path=ACME_PATH, acme_root=ACME_ROOT)
            for view in views
        ),
    ]
    if nginx.streams:
        found += [
            file(STREAM_UPSTREAMS_FILE, "stream-upstreams.conf.j2", upstreams=stream),
            file("/etc/nginx/stream.d/streams.conf", "streams.conf.j2", nginx=nginx, streams=nginx.streams),
        ]
    return list(found)


def _divide(deployment: Deployment) -> tuple[list[Upstream], list[Upstream]]:
    """The upstreams of sites and those of streams. One that nothing names is kept for sites."""
    streams = deployment.nginx.streams
    of_streams = {name for stream in streams for name in (stream.upstream, *stream.server_names.values())}
    of_sites = {each.proxy for site in sites(deployment) for each in site.settings.locations}
    every = upstreams(deployment)
    return (
        [each for each in every if each.name in of_sites or each.name not in of_streams],
        [each for each in every if each.name in of_streams],
    )


def _identities(deployment: Deployment, views: list[View]) -> list[Item]:
    of_streams = [stream.tls.certificate_name for stream in deployment.nginx.streams if stream.tls]
    names = dict.fromkeys([*(view.site.certificate for view in views if view.site.certificate), *of_streams])
    return [file for name in names for file in _identity(name)]


def _identity(name: str) -> Iterable[File]:
    yield _secret_file(f"{TLS_DIRECTORY}/{name}.pem", placeholders.server_certificate(name), 0o644)
    yield _secret_file(f"{TLS_DIRECTORY}/{name}.key", placeholders.server_private_key(name), 0o600)


def _password_file(name: str, group: str) -> File:
    # Workers, which have no privileges, read it with each request.
    path = f"/etc/nginx/{name}.htpasswd"
    return File(path, placeholders.placeholder(placeholders.basic_auth(name)) + "\n", group=group, mode=0o640)


def _secret_file(path: str, secret: str, mode: int) -> File:
    return File(path, placeholders.placeholder(secret) + "\n", mode=mode, after=_CHANGED)


def _site_check(view: View, node: Node) -> SiteCheck:
    site = view.site
    host = site.settings.name
    return SiteCheck(host, node.private_address, f"{TLS_DIRECTORY}/{site.certificate}.pem", path=site.probe)
