"""The exports of the stack, for operators, for `tandem` and for the hooks of the next run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pulumi

from components.announcements import describe_generations, describe_vrrp
from components.changes import describe_disks, describe_network
from components.credentials import Credentials
from components.host_keys_resource import GroupHostKeys
from components.labels import Labels
from components.nodes import Nodes
from components.public_sites import describe_sites, urls_of
from components.virtual_ip import VirtualIp
from provisioning import placeholders
from settings.data import DataLocation
from settings.sections import Settings


def export(  # noqa: PLR0917 - one call, in the order of the program
    settings: Settings,
    labels: Labels,
    nodes: Nodes,
    host_keys: GroupHostKeys,
    credentials: Credentials,
    virtual_ips: Sequence[VirtualIp],
    incomplete: pulumi.Output[Sequence[str]],
) -> None:
    """Export all outputs of the stack."""
    public_ips = [each.public_ip for each in virtual_ips]
    addresses = [each.address for each in virtual_ips]
    pulumi.export("group", labels.group)
    pulumi.export("public_ip", public_ips[0])
    pulumi.export("public_ips", public_ips)
    pulumi.export("virtual_ip", addresses[0])
    pulumi.export("virtual_ips", addresses)
    pulumi.export("urls", urls_of(settings))
    pulumi.export("sites", dict(describe_sites(settings)))
    pulumi.export("nodes", list(host_keys.nodes))
    pulumi.export("ssh", _ssh(settings, nodes, host_keys, credentials))
    pulumi.export("known_hosts", pulumi.Output.from_input(_all_nodes(host_keys)).apply(known_hosts))
    pulumi.export("incomplete", incomplete.apply(lambda names: list(names or ())))
    pulumi.export("profile", settings.keepalived.profile)
    pulumi.export("ca_certificate", credentials.ca_certificate)
    if settings.iam.enabled:
        # The first password of the user `admin`. A user who changes it over the API knows the new password.
        password = credentials.secrets.apply(lambda secrets: secrets[placeholders.IAM_ADMIN_PASSWORD])
        pulumi.export("admin_password", pulumi.Output.secret(password))
    pulumi.export("certificate_authorities", dict(credentials.authorities))
    # Read by the next run to refuse impossible changes (components/changes.py).
    local = settings.data_location is DataLocation.FIRST_NODE
    pulumi.export("data_node", settings.nodes.members[0].name if local else None)
    pulumi.export("termination_protection", settings.nodes.termination_protection)
    pulumi.export("network", describe_network(settings))
    pulumi.export("disks", describe_disks(settings))
    pulumi.export("key_generations", list(nodes.key_generations))
    # Read by the next run to announce effects (components/announcements.py).
    pulumi.export("generations", describe_generations(settings))
    pulumi.export("vrrp", dict(describe_vrrp(settings)))


def _ssh(settings: Settings, nodes: Nodes, host_keys: GroupHostKeys, credentials: Credentials) -> dict[str, Any]:
    ssh: dict[str, Any] = {
        "user": settings.nodes.user,
        "port": 22,
        "addresses": {instance.name: instance.ssh_address for instance in nodes.instances},
        "private_key": pulumi.Output.secret(credentials.deployment_key.private_key),
    }
    return ssh if host_keys.bastion is None else {**ssh, "bastion": host_keys.bastion}


def _all_nodes(host_keys: GroupHostKeys) -> list[dict[str, Any]]:
    return [*host_keys.nodes, *([host_keys.bastion] if host_keys.bastion is not None else [])]


def known_hosts(nodes: Sequence[Mapping[str, Any]]) -> str:
    """Return the text of an SSH known_hosts file with each node by name and address."""
    lines = [f"{node['name']},{node['ssh_address']} {key}" for node in nodes for key in node["host_keys"]]
    return "".join(f"{line}\n" for line in lines)
