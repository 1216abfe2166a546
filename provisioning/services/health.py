"""The health daemon and the event recorder of an eligible node (programs/health_daemon, programs/event_recorder.py)."""

from __future__ import annotations

import json
from importlib import resources

from provisioning import placeholders
from provisioning.deployment import Deployment, Node
from provisioning.kinds.absent import Absent
from provisioning.kinds.base import Item, restart
from provisioning.kinds.directory import Directory
from provisioning.kinds.file import File
from provisioning.kinds.timer import Timer
from provisioning.kinds.unit import Unit
from provisioning.rendering import render
from provisioning.services.data import mariadb_address
from provisioning.services.packages import packages
from provisioning.services.programs import FOLDER, sources_of
from provisioning.services.upstreams import upstreams
from provisioning.services.vrrp import Profile, virtual_routers
from provisioning.upstreams import STREAM_UPSTREAMS_FILE, UPSTREAMS_FILE

DAEMON = "tandem-health"
RECORDER = "tandem-events"
_CERTIFICATES = "/etc/nginx/tls/*.pem /etc/iam/*.crt"
_DATABASE = "/etc/tandem/database.json"
_RISE = 2  # correct answers in a row, after which a target is healthy again
# The health page of a service of the user's own may use databases, and so be slow.
_OTHERS_PATIENCE_S = 2.0
# nginx buffers request bodies and responses of upstreams below it.
_NGINX_DATA = "/var/lib/nginx"
# Go's HTTP server rejects a request without a Host header with status 400 before the service logs it, so probes do not
# fill the access logs of iam-apiserver and iam-authz-server. Their /healthz is a constant, too.
_IAM = frozenset({"iam-apiserver", "iam-authz-server"})
UNLOGGED_REQUEST = "GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n"


def desired(deployment: Deployment, node: Node, profile: Profile) -> list[Item]:
    daemon = _daemon(deployment, node, profile) if profile.probe_s else _no_daemon()
    return [*_recorder(deployment, node), *_certificate_watch(deployment), *daemon]


def _daemon(deployment: Deployment, node: Node, profile: Profile) -> list[Item]:
    settings = {
        "interval_s": profile.probe_s,
        "patience_s": profile.patience_s,
        "rise": _RISE,
        "fault": profile.fault,
        # In a sync group any value but 0 is a fault.
        "lowered": 0 if deployment.keepalived.sync_group else profile.drain,
        "peers": [peer.private_address for peer in deployment.peers(node)],
        "routers": [router.name for router in virtual_routers(deployment, node)],
        "disk": _NGINX_DATA,
        "upstreams": [UPSTREAMS_FILE, STREAM_UPSTREAMS_FILE],
        "services": _services(deployment, profile),
    }
    changed = (restart(DAEMON),)
    database = [File(_DATABASE, _database(deployment), mode=0o600, after=changed)] if deployment.iam.enabled else []
    return [
        Directory(f"{FOLDER}/health_daemon"),
        *(
            File(f"{FOLDER}/health_daemon/{name}", text, after=changed)
            for name, text in sources_of("health_daemon").items()
        ),
        File("/etc/tandem/health.json", json.dumps(settings, indent=2) + "\n", after=changed),
        *database,
        *(
            File(
                f"{FOLDER}/{name}",
                render(f"health/{name}.j2", profile=profile, lowered=settings["lowered"]),
                mode=0o755,
            )
            for name in ("nginx-stopped", "nginx-started", "health-stopped")
        ),
        File(
            f"/etc/systemd/system/{DAEMON}.service",
            render(
                "health/tandem-health.service.j2",
                watchdog_s=max(1.0, 10 * profile.probe_s),
                database=_DATABASE if database else "",
            ),
            after=changed,
        ),
        Unit(DAEMON),
    ]


def _no_daemon() -> list[Item]:
    return [
        Unit(DAEMON, enabled=False, running=False),
        Absent(f"/etc/systemd/system/{DAEMON}.service"),
        *(Absent(f"{FOLDER}/{name}") for name in ("nginx-stopped", "nginx-started", "health-stopped")),
    ]


def _recorder(deployment: Deployment, node: Node) -> list[Item]:
    routers = virtual_routers(deployment, node)
    settings = {
        "group": deployment.group,
        "node": node.name,
        "addresses": {router.name: " ".join(each.address for each in router.addresses) for router in routers},
    }
    changed = (restart(RECORDER),)
    program = resources.files("provisioning.programs").joinpath("event_recorder.py").read_text(encoding="utf-8")
    return [
        File(f"{FOLDER}/event_recorder.py", program, after=changed),
        File("/etc/tandem/events.json", json.dumps(settings, indent=2) + "\n", after=changed),
        File(f"/etc/systemd/system/{RECORDER}.service", render("health/tandem-events.service.j2"), after=changed),
        Unit(RECORDER),
    ]


def _certificate_watch(deployment: Deployment) -> list[Item]:
    program, name = f"{FOLDER}/certificate_watch.py", "tandem-certificates"
    unit = render("health/tandem-certificates.service.j2", program=program, patterns=_CERTIFICATES)
    source = resources.files("provisioning.programs").joinpath("certificate_watch.py").read_text(encoding="utf-8")
    return [
        *packages(deployment, "openssl"),
        File(program, source),
        File(f"/etc/systemd/system/{name}.service", unit),
        Timer(name, "Report certificates that expire soon, once a day", calendar="*-*-* 06:00:00 UTC"),
    ]


def _services(deployment: Deployment, profile: Profile) -> list[dict[str, object]]:
    """The upstreams with servers on nodes of the group. Without a request an accepted connection is enough."""
    only_udp = deployment.nginx.only_udp()
    nodes = {node.private_address for node in deployment.nodes}
    paths = {app.name: app.settings.health.path for app in deployment.apps if app.settings.health}
    found: list[dict[str, object]] = []
    for upstream in upstreams(deployment):
        servers = sorted({(server.address, server.port) for server in upstream.servers if server.address in nodes})
        if servers and upstream.name not in only_udp:
            path = paths.get(upstream.name)
            request = UNLOGGED_REQUEST if upstream.name in _IAM else _request(path) if path else ""
            patience_s = max(_OTHERS_PATIENCE_S, profile.patience_s) if path else profile.patience_s
            found.append({"name": upstream.name, "request": request, "patience_s": patience_s, "servers": servers})
    return found


def _database(deployment: Deployment) -> str:
    host, _, port = mariadb_address(deployment).rpartition(":")
    password = placeholders.escaped_placeholder(placeholders.MARIADB_IAM_PASSWORD, "json")
    values = {"host": host, "port": port, "user": deployment.data.username, "password": password}
    return json.dumps(values, indent=2) + "\n"


def _request(path: str) -> str:
    return f"GET {path} HTTP/1.1\r\nHost: health\r\nConnection: close\r\n\r\n"
