"""The Pulumi program: settings -> components -> rollout -> health check -> exports."""

from __future__ import annotations

import pulumi

from components.alarms import Alarms, AlarmsArgs
from components.announcements import announce_changes
from components.changes import (
    describe_bastion_change,
    find_leaving,
    list_key_generations,
    refuse_impossible_changes,
)
from components.credentials import Credentials, CredentialsArgs
from components.dns import Dns, DnsArgs
from components.exports import export
from components.failures import end_quietly_when_cancelled, reported_once
from components.firewall import Firewall, FirewallArgs
from components.health_resource import Health, HealthArgs
from components.hooks import Hooks
from components.host_keys_resource import GroupHostKeys, HostKeysArgs
from components.labels import Labels
from components.last_deployment import LastDeployment, cloud_settings, read_exports
from components.network import Network, NetworkArgs
from components.node_sequence import NodeSequence
from components.nodes import Nodes, NodesArgs
from components.public_sites import describe_sites, names_in_zone
from components.rollout_resource import Rollout, RolloutArgs
from components.virtual_ip import VIRTUAL_IP_NAMES, VirtualIp, VirtualIpArgs
from provisioning.deployment import make_deployment
from settings.load import load

end_quietly_when_cancelled()
with reported_once():
    s = load()
    last = read_exports()
    refuse_impossible_changes(s, last)
announce_changes(s, last)
labels = Labels(s.project, s.stack, s.tags)
hooks = Hooks(
    NodeSequence(LastDeployment(last, cloud_settings(), s.nodes.image)),
    describe_bastion_change(s, last),
    find_leaving(s, last),
)

credentials = Credentials(
    "credentials",
    CredentialsArgs(
        s.credentials,
        s.nodes,
        s.domains,
        s.virtual_ip,
        s.nginx,
        s.notifications,
        s.services,
        s.access.mode == "bastion",
        labels,
    ),
)
network = Network("network", NetworkArgs(s.network, s.protect, labels))
firewall = Firewall("firewall", FirewallArgs(s.nodes, s.access, s.nginx, hooks, labels))
nodes = Nodes(
    "nodes",
    NodesArgs(
        s.nodes, s.access, s.network.zone, s.data_location, s.bucket_role, network, firewall,
        credentials.deployment_key, list_key_generations(s, last), credentials.temporary_host_keys, hooks, s.protect,
        labels,
    ),
)  # fmt: skip
virtual_ips = [
    VirtualIp(name, VirtualIpArgs(s.virtual_ip, address, name, nodes, network, hooks, s.protect, labels))
    for name, address in zip(VIRTUAL_IP_NAMES, map(str, s.virtual_ip.addresses), strict=False)
]
dns = Dns("dns", DnsArgs(s.dns, names_in_zone(s), virtual_ips))
alarms = Alarms("alarms", AlarmsArgs(s.alarms, nodes, virtual_ips, s.virtual_ip.bandwidth_mbps, labels))

host_keys = GroupHostKeys("host-keys", HostKeysArgs(nodes, credentials, s.nodes.user))
rollout = Rollout(
    "rollout",
    RolloutArgs(make_deployment(s, labels.group), host_keys, credentials, nodes.data_disk_id, s.rollout.unreachable),
    # keepalived announces virtual IPs as soon as it starts, and packages are downloaded through the network's egress.
    pulumi.ResourceOptions(depends_on=[network, *virtual_ips]),
)
Health(
    "health",
    HealthArgs(rollout.revision, virtual_ips, describe_sites(s), credentials.authorities, credentials.health_password),
    # Created last, so deleted first: with `protect`, `destroy` fails here, before addresses and secrets are deleted.
    pulumi.ResourceOptions(depends_on=[dns, alarms], protect=s.protect),
)
export(s, labels, nodes, host_keys, credentials, virtual_ips, rollout.incomplete)
