"""The IAM services, which run on every node: release, configuration, units."""

from __future__ import annotations

from provisioning import placeholders
from provisioning.deployment import Deployment, Node
from provisioning.kinds.audit_queue import AuditQueue
from provisioning.kinds.base import Item, restart
from provisioning.kinds.check import Check
from provisioning.kinds.directory import Directory
from provisioning.kinds.endpoint import Endpoint
from provisioning.kinds.file import File
from provisioning.kinds.gate import Gate
from provisioning.kinds.iam_account import IamAccount, nickname_of
from provisioning.kinds.port import Port
from provisioning.kinds.timer import Timer
from provisioning.kinds.unit import Unit
from provisioning.kinds.user import User
from provisioning.rendering import render
from provisioning.services.data import POOL_SIZE, external_addresses, mariadb_address, mongodb_url, redis_address
from provisioning.services.delivery import Delivery
from provisioning.services.packages import packages
from provisioning.services.service_unit import ServiceUnit
from settings.releases import Release

_DIRECTORY = "/opt/iam"
AUDIT_DIRECTORY = "/var/lib/iam/audit"
APISERVER_PORT = 8080
AUTHZ_PORT = 9090
PUMP_PORT = 7070
PUMP_UNIT = "iam-pump"
_SERVICES = {
    "iam-apiserver": "users, secrets and policies",
    "iam-authz-server": "authorization decisions",
    PUMP_UNIT: "transfer of audit records out of Redis",
}
_CERTIFICATE = "/etc/iam/node.crt"
_PRIVATE_KEY = "/etc/iam/node.key"
_CA = "/etc/iam/ca.crt"
_RUNNER = "/usr/local/lib/tandem/run-censored"
_REFRESH = "/usr/local/lib/tandem/iam-refresh"
_STAND_IN_PACKAGES = (
    "python3-pymysql", "python3-redis", "python3-bcrypt", "python3-yaml", "python3-jwt", "python3-msgpack",
)  # fmt: skip


def desired(deployment: Deployment, node: Node) -> list[Item]:
    release = deployment.release
    if release is None:
        return []
    everything = tuple(restart(name) for name in _SERVICES)
    delivery = Delivery(
        _DIRECTORY, release.source, release.sha256, release.path, deployment.iam.keep_releases, everything
    )
    return [
        *packages(deployment, *(_STAND_IN_PACKAGES if release.stand_in else ()), "redis-tools", "openssl"),
        User("iam", home="/var/lib/iam"),
        Directory("/etc/iam", group="iam", mode=0o750),
        Directory("/var/lib/iam", owner="iam", group="iam", mode=0o750),
        Directory(AUDIT_DIRECTORY, owner="iam", group="iam", mode=0o750),
        *delivery.received(),
        *_checks(),
        *(_connection_check(setting, address) for setting, address in external_addresses(deployment).items()),
        *_identity(node),
        *_configuration(deployment, node),
        *_units(deployment, node, release),
        *_housekeeping(deployment),
        delivery.link(),
        *(Unit(name) for name in _SERVICES),
        delivery.old(),
        _refresh_timer(deployment.iam.refresh_interval_s),
        Gate("iam-apiserver", f"http://{node.private_address}:{APISERVER_PORT}/healthz"),
        Gate("iam-authz-server", f"http://{node.private_address}:{AUTHZ_PORT}/healthz"),
        Gate("iam-pump", f"http://127.0.0.1:{PUMP_PORT}/healthz"),
        *_health(deployment, node),
    ]


def _health(deployment: Deployment, node: Node) -> list[Item]:
    """The health checks beyond the gates that only show that a process responds."""
    data, address = deployment.data, node.private_address
    redis_host, redis_port = redis_address(deployment)
    mariadb_host, _, mariadb_port = mariadb_address(deployment).rpartition(":")
    redis_password = placeholders.placeholder(placeholders.REDIS_PASSWORD)
    outside = "tandem:data of the stack, and the route to this address"
    look_at = (
        outside
        if data.outside_group
        else f"journalctl -u mariadb -u {deployment.distribution.family.redis_unit} on {deployment.nodes[0].name}"
    )
    return [
        IamAccount(
            f"http://{address}:{APISERVER_PORT}",
            f"http://{address}:{AUTHZ_PORT}",
            placeholders.placeholder(placeholders.IAM_HEALTH_PASSWORD),
            nickname_of(deployment.health_generation),
        ),
        Port("iam-apiserver", address, APISERVER_PORT),
        Port("iam-authz-server", address, AUTHZ_PORT),
        Endpoint(
            "mariadb",
            mariadb_host,
            int(mariadb_port),
            data.username,
            placeholders.placeholder(placeholders.MARIADB_IAM_PASSWORD),
            look_at,
        ),
        Endpoint("redis", redis_host, redis_port, "", redis_password, look_at),
        *_mongodb_login(deployment),
        AuditQueue(
            redis_host,
            redis_port,
            redis_password,
            deployment.iam.audit_interval_s,
            AUDIT_DIRECTORY,
            mongodb_url(data),
            data.mongodb.collection if data.mongodb else "",
        ),
    ]


def _mongodb_login(deployment: Deployment) -> list[Item]:
    mongodb = deployment.data.mongodb
    if mongodb is None:
        return []
    host, _, port = mongodb.address.rpartition(":")
    look_at = "tandem:data.mongodb and credentials.given.mongodbPassword of the stack; docs/iam.md, MongoDB"
    for app in deployment.apps:
        for node in deployment.nodes_of(app):
            if mongodb.address == f"{node.private_address}:{app.settings.port}":
                look_at = f"journalctl -u {app.unit} on {node.name}; {look_at}"
    return [Endpoint("mongodb", host, int(port), look_at=look_at, url=mongodb_url(deployment.data))]


def _checks() -> list[Item]:
    """Check the node certificate: with a wrong one iam-authz-server (marmotedu/iam 16c723d) blocks without an error."""
    look_at = "components/certificates.py (node certificates)"
    trusted = ("openssl", "verify", "-CAfile", _CA, "-verify_ip", "127.0.0.1", _CERTIFICATE)
    same_key = (
        f'test "$(openssl x509 -in {_CERTIFICATE} -noout -pubkey)" = "$(openssl pkey -in {_PRIVATE_KEY} -pubout)"'
    )
    return [
        Check("the IAM services' certificate", trusted, ("/etc/iam",), look_at),
        Check("the IAM services' private key", ("sh", "-c", same_key), ("/etc/iam",), look_at),
    ]


def _connection_check(setting: str, address: str) -> Check:
    """Check that a database outside the group accepts connections.

    Otherwise a wrong address of MongoDB would never be reported (marmotedu/iam 16c723d).
    """
    host, _, port = address.rpartition(":")
    command = ("timeout", "5", "bash", "-c", f"exec 3<>/dev/tcp/{host}/{port}")
    look_at = f"tandem:data.{setting}, and the security group and routes between this node and the address"
    return Check(f"{setting} {address} (connection test)", command, ("/etc/iam",), look_at)


def _secret_file(path: str, text: str, *services: str) -> File:
    return File(path, text, group="iam", mode=0o640, after=tuple(restart(service) for service in services))


def _identity(node: Node) -> list[Item]:
    def pem(name: str) -> str:
        return placeholders.placeholder(name) + "\n"

    https = ("iam-apiserver", "iam-authz-server")
    return [
        _secret_file(_CA, pem(placeholders.CA_CERTIFICATE), "iam-authz-server"),
        _secret_file(_CERTIFICATE, pem(placeholders.node_certificate(node.name)), *https),
        _secret_file(_PRIVATE_KEY, pem(placeholders.node_private_key(node.name)), *https),
    ]


def _configuration(deployment: Deployment, node: Node) -> list[Item]:
    redis_host, redis_port = redis_address(deployment)
    values = {
        "settings": deployment.iam,
        "data": deployment.data,
        "address": node.private_address,
        "mariadb_address": mariadb_address(deployment),
        "mariadb_password": placeholders.escaped_placeholder(placeholders.MARIADB_IAM_PASSWORD, "yaml"),
        "redis_host": redis_host,
        "redis_port": redis_port,
        "redis_password": placeholders.escaped_placeholder(placeholders.REDIS_PASSWORD, "yaml"),
        "mongodb_url": mongodb_url(deployment.data),
        "jwt_key": placeholders.escaped_placeholder(placeholders.JWT_KEY, "yaml"),
        "pool_size": POOL_SIZE,
        "certificate": _CERTIFICATE,
        "private_key": _PRIVATE_KEY,
        "ca": _CA,
        "apiserver_port": APISERVER_PORT,
        "authz_port": AUTHZ_PORT,
        "pump_port": PUMP_PORT,
    }
    configurations = [
        _secret_file(f"/etc/iam/{name}.yaml", render(f"iam/{name}.yaml.j2", **values), name) for name in _SERVICES
    ]
    password = placeholders.escaped_placeholder(placeholders.REDIS_PASSWORD, "environment")
    return [*configurations, _secret_file("/etc/iam/redis.env", render("iam/redis.env.j2", redis_password=password))]


def _unit(deployment: Deployment, node: Node, name: str, *, censored: bool) -> File:
    program = (f"{_DIRECTORY}/current/bin/{name}", "-c", f"/etc/iam/{name}.yaml")
    authz = name == "iam-authz-server"
    data = ("mariadb", deployment.distribution.family.redis_unit) if node == deployment.data_node else ()
    return ServiceUnit(
        name,
        _SERVICES[name],
        user="iam",
        working_directory="/var/lib/iam",
        command=(_RUNNER, *program) if censored else program,
        after=(*data, *(("iam-apiserver",) if authz else ())),
        # Logs why the connection to the apiserver fails; without it the server waits silently.
        environment=(("GRPC_GO_LOG_SEVERITY_LEVEL", "warning"),) if authz else (),
        writes=("/var/lib/iam",),
        # The masking process must run until the server has stopped writing.
        kill_mode="mixed" if censored else "",
        # marmotedu/iam 16c723d needs up to 425 MB, with bodies of 20 MB that nginx does not let through.
        memory_mib=deployment.iam.memory_mib,
    ).file()


def _units(deployment: Deployment, node: Node, release: Release) -> list[Item]:
    # The real servers print their whole configuration at start, including passwords and keys.
    censored = not release.stand_in
    runner = File(_RUNNER, render("iam/run-censored.sh.j2"), mode=0o755)
    redis_host, redis_port = redis_address(deployment)
    return [
        *([runner] if censored else []),
        *(_unit(deployment, node, name, censored=censored) for name in _SERVICES),
        File(
            _REFRESH,
            render(
                "iam/refresh.sh.j2",
                redis_host=redis_host,
                redis_port=redis_port,
                interval_s=deployment.iam.refresh_interval_s,
                seen="/var/lib/iam/pump-lock-seen",
            ),
            mode=0o755,
        ),
        File("/etc/systemd/system/iam-refresh.service", render("iam/iam-refresh.service.j2", script=_REFRESH)),
    ]


def _refresh_timer(interval_s: int) -> Timer:
    return Timer(
        "iam-refresh",
        f"Refresh the caches of the IAM services every {interval_s} s (iam-refresh.service)",
        interval_s,
        random_delay_s=interval_s // 4,
    )


def _housekeeping(deployment: Deployment) -> list[Item]:
    return [
        File("/etc/tmpfiles.d/iam.conf", render("iam/tmpfiles.conf.j2", keep_days=deployment.iam.audit_keep_days)),
    ]
