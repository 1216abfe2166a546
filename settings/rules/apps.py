"""Rules about services of the user's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from settings.data import DataSettings
from settings.iam import APISERVER, AUTHZ_SERVER, IamSettings
from settings.nginx import NginxSettings
from settings.nodes import ELIGIBLE_NODES, NodesSettings
from settings.problems import Problem
from settings.rules.ports import iam_ports
from settings.services import ServiceSettings

Services = Mapping[str, ServiceSettings]


def check_names(services: Services, iam: IamSettings) -> Iterator[Problem]:
    for name in services:
        if iam.enabled and name in {APISERVER, AUTHZ_SERVER}:
            yield Problem(f"tandem:services.{name}", f"cannot be named {name}, the upstream of an IAM service")


def check_instances(services: Services, nodes: NodesSettings) -> Iterator[Problem]:
    names = [node.name for node in nodes.members]
    eligible = names[:ELIGIBLE_NODES]
    for name, service in services.items():
        if service.instances == "all":
            continue
        key = f"tandem:services.{name}.instances"
        unknown = [instance for instance in service.instances if instance not in names]
        if unknown:
            yield Problem(key, f"must be names of nodes.members: {', '.join(names)} (got {', '.join(unknown)})")
        if not service.instances:
            yield Problem(key, "must name at least one node (got none)")
        # On one named node the command needs no virtual IP to decide where it runs.
        others = [instance for instance in service.instances if instance in names and instance not in eligible]
        if service.schedule is not None and len(service.instances) > 1 and others:
            yield Problem(
                key,
                f"must be eligible nodes ({', '.join(eligible)}) or one node with schedule (got {', '.join(others)}): "
                "the command runs on the node that holds the virtual IP",
            )


def check_mongodb_runs(services: Services, nodes: NodesSettings, data: DataSettings) -> Iterator[Problem]:
    """On a node, MongoDB is a service of the user's own: no distribution has a package of it."""
    host, _, port = data.mongodb.address.rpartition(":") if data.mongodb else ("", "", "")
    node = next((each.name for each in nodes.members if str(each.address) == host), None)
    runs = any(
        str(service.port) == port and (service.instances == "all" or node in service.instances)
        for service in services.values()
    )
    if node is not None and not runs:
        yield Problem(
            "tandem:data.mongodb.address",
            f"must be a server outside the group or one of your services (got {host}:{port}, and no service in "
            f"tandem:services has port {port} on {node}): the distributions have no package of MongoDB, so give its "
            "archive as services.NAME.release",
        )


def check_ports(services: Services, iam: IamSettings, data: DataSettings) -> Iterator[Problem]:
    taken = dict(iam_ports(iam, data))
    for name, service in services.items():
        if service.port is None:
            continue
        if (owner := taken.setdefault(service.port, f"service {name}")) != f"service {name}":
            yield Problem(f"tandem:services.{name}.port", f"must be free (got {service.port}, the port of {owner})")


def check_stream_ports_are_not_those_of_services(services: Services, nginx: NginxSettings) -> Iterator[Problem]:
    """Nginx listens on all addresses of an eligible node, a service on one of them."""
    ports = {service.port: name for name, service in services.items() if service.port is not None}
    for number, stream in enumerate(nginx.streams):
        if stream.protocol == "tcp" and stream.port in ports:
            yield Problem(
                f"tandem:nginx.streams[{number}].port",
                f"must differ from the port of service {ports[stream.port]} (got {stream.port}): on a node that runs "
                "both, nginx and the service cannot listen on one port",
            )


def check_dependencies(services: Services) -> Iterator[Problem]:
    for name, service in services.items():
        key = f"tandem:services.{name}.dependsOn"
        for other in service.depends_on:
            if other not in services:
                yield Problem(key, f"must name services: {', '.join(sorted(services))} (got {other})")
            elif services[other].schedule is not None:
                yield Problem(key, f"cannot contain {other}, which has a schedule and does not run all the time")
        if name in _reachable(services, name):
            yield Problem(key, f"cannot form a cycle ({name} depends on itself)")


def _reachable(services: Services, start: str) -> set[str]:
    found: set[str] = set()
    waiting = list(services[start].depends_on)
    while waiting:
        name = waiting.pop()
        if name in services and name not in found:
            found.add(name)
            waiting += services[name].depends_on
    return found


def check_secrets_of_services_are_encrypted(
    services: Services, encrypted_sections: frozenset[str]
) -> Iterator[Problem]:
    if "services" in encrypted_sections:
        return
    for name, service in services.items():
        for secret in service.secrets:
            yield Problem(
                f"tandem:services.{name}.secrets.{secret}",
                "must be encrypted (got plain text); replace the secret and run "
                f"`pulumi config set --secret --stack STACK --path tandem:services.{name}.secrets.{secret}`",
            )


RULES = (
    check_names,
    check_mongodb_runs,
    check_instances,
    check_ports,
    check_stream_ports_are_not_those_of_services,
    check_dependencies,
    check_secrets_of_services_are_encrypted,
)
