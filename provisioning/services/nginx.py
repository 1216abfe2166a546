"""nginx: terminates TLS for two domains and distributes the requests over all nodes."""

from __future__ import annotations

from dataclasses import dataclass

from provisioning import placeholders
from provisioning.deployment import Deployment, Node
from provisioning.kinds.absent import Absent
from provisioning.kinds.base import Item, reload
from provisioning.kinds.check import Check
from provisioning.kinds.directory import Directory
from provisioning.kinds.file import File
from provisioning.kinds.gate import Gate
from provisioning.kinds.package import Package
from provisioning.kinds.port import Port
from provisioning.kinds.site import Site
from provisioning.kinds.unit import Unit
from provisioning.rendering import render
from provisioning.services.iam import APISERVER_PORT, AUTHZ_PORT
from provisioning.services.upstreams import upstreams

SETTINGS = "provisioning/templates/nginx/ and the stack's tandem:nginx"


@dataclass(frozen=True, slots=True)
class Service:
    """One upstream and the domain in front of it."""

    name: str
    port: int
    domain: str
    variable: str  # the name in nginx variables, which must not contain hyphens
    login: bool
    certificate: str  # name of its certificate in placeholders and files


def desired(deployment: Deployment, node: Node) -> list[Item]:
    if not node.eligible:
        return []
    nginx = deployment.nginx
    services = (
        Service("iam-apiserver", APISERVER_PORT, deployment.domains.api, "apiserver", login=True, certificate="api"),
        Service("iam-authz-server", AUTHZ_PORT, deployment.domains.authz, "authz", login=False, certificate="authz"),
    )
    changed = (reload("nginx"),)

    def file(path: str, template: str, **values: object) -> File:
        return File(path, render(f"nginx/{template}", nginx=nginx, **values), after=changed)

    return [
        Package("nginx"),
        Directory("/etc/nginx/tls", mode=0o700),
        Check("nginx", ("nginx", "-t", "-q"), ("/etc/nginx",), look_at=SETTINGS),
        Absent("/etc/nginx/sites-enabled/default", after=changed),
        file("/etc/nginx/nginx.conf", "nginx.conf.j2"),
        file("/etc/nginx/conf.d/default.conf", "default.conf.j2"),
        file("/etc/nginx/conf.d/upstreams.conf", "upstreams.conf.j2", upstreams=upstreams(deployment)),
        *(file(f"/etc/nginx/conf.d/{service.name}.conf", "site.conf.j2", service=service) for service in services),
        *(file for service in services for file in _identity(service.certificate)),
        # Needs a daemon-reload only, which `File` adds; nginx is not restarted.
        File(
            "/etc/systemd/system/nginx.service.d/tandem.conf",
            render("nginx/restart.conf.j2", tracked=deployment.keepalived.profile != "seed"),
        ),
        Unit("nginx"),
        Gate("nginx", f"http://{node.private_address}/healthz"),
        *(Port("nginx", "0.0.0.0", port) for port in (80, 443)),  # noqa: S104 - where nginx listens
        *(Site(each.domain, node.private_address, f"/etc/nginx/tls/{each.certificate}.pem") for each in services),
    ]


def _identity(name: str) -> list[File]:
    return [
        _secret_file(f"/etc/nginx/tls/{name}.pem", placeholders.server_certificate(name), 0o644),
        _secret_file(f"/etc/nginx/tls/{name}.key", placeholders.server_private_key(name), 0o600),
    ]


def _secret_file(path: str, secret: str, mode: int) -> File:
    return File(path, placeholders.placeholder(secret) + "\n", mode=mode, after=(reload("nginx"),))
