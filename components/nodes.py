"""The nodes as CVM instances, their placement group and login key, the bastion, and the data disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from tencentcloud_iac_pulumi import cbs, eip, instance, key, placement

from components.credentials import KeyPair
from components.firewall import Firewall
from components.hooks import Hooks, of_node
from components.labels import Labels, generation_suffix
from components.network import Network
from provisioning.deployment import BASTION
from provisioning.first_boot import user_data
from settings.access import AccessSettings
from settings.data import DataLocation
from settings.distributions import DISTRIBUTIONS
from settings.nodes import ELIGIBLE_NODES, WEEKDAYS, NodeSettings, NodesSettings, SnapshotSettings

_PLACEMENT_TYPES = {"host": "HOST", "rack": "RACK", "switch": "SW"}
# A change would stop or reinstall the instance, is not supported, or (user data, keys) has no effect after the first
# boot. These settings only apply to nodes that are created later.
_FIXED_AT_CREATION = [
    "availability_zone",
    "disable_automation_service",
    "disable_monitor_service",
    "disable_security_service",
    "image_id",
    "key_ids",
    "system_disk_type",
    "user_data_raw",
]
# The provider reads back the user data, which contains the temporary host key, and does not mark it as secret.
_SECRET_OUTPUTS = ["user_data"]


@dataclass(frozen=True, slots=True)
class NodesArgs:
    settings: NodesSettings
    access: AccessSettings
    zone: str
    data_location: DataLocation
    role: str | None  # of the first node, in CAM
    network: Network
    firewall: Firewall
    deployment_key: KeyPair
    key_generations: tuple[str, ...]  # of the deployment key: of earlier deployments, and of this one (the last)
    temporary_host_keys: Mapping[str, KeyPair]
    hooks: Hooks
    protect: bool
    labels: Labels


@dataclass(frozen=True, slots=True)
class Instance:
    """The properties of one instance that other components use."""

    name: str
    private_address: str
    eligible: bool  # may hold the virtual IP
    instance_id: pulumi.Output[str]
    ssh_address: pulumi.Output[str]


class Nodes(pulumi.ComponentResource):
    """2 to 16 instances with fixed private addresses in a placement group."""

    instances: tuple[Instance, ...]
    bastion: Instance | None
    data_disk_id: pulumi.Output[str] | None
    key_generations: tuple[str, ...]

    def __init__(self, name: str, args: NodesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tandem:cloud:Nodes", name, None, opts)
        self._name, self._args = name, args
        self._child = pulumi.ResourceOptions(parent=self)
        self.key_generations = args.key_generations
        self._key_pairs = {generation: self._key_pair(generation) for generation in args.key_generations}
        self._group_id = placement.Group(
            f"{name}-placement",
            name=args.labels.name("placement"),
            type=_PLACEMENT_TYPES[args.settings.placement],
            tags=args.labels.tags,
            opts=self._child,
        ).id
        self.instances = tuple(self._node(position, node) for position, node in enumerate(args.settings.members))
        self.bastion = self._bastion() if args.access.mode == "bastion" else None
        self.data_disk_id = None
        if args.data_location is not DataLocation.EXTERNAL:
            disk = self._data_disk()
            if args.settings.data_disk.snapshots:
                self._snapshots(disk, args.settings.data_disk.snapshots)
            if args.data_location is DataLocation.FIRST_NODE:
                self.data_disk_id = self._attached(disk, self.instances[0])
        self.register_outputs({"instance_ids": [each.instance_id for each in self.instances]})

    def _key_pair(self, generation: str) -> key.Pair:
        """The cloud's copy of one generation of the deployment key. It only affects nodes at their first boot.

        Pairs of earlier generations are kept: the provider unbinds a pair before it deletes it, which stops all nodes
        that were created with it. They let no one log in: the rollout removes their key from the nodes.
        """
        suffix = generation_suffix(generation)
        return key.Pair(
            f"{self._name}-key{suffix}",
            key_name=self._args.labels.key_name(f"deploy{suffix.replace('-', '_')}"),
            public_key=self._args.deployment_key.public_key,
            tags=self._args.labels.tags,
            # Of earlier generations only this pair has the public key. A replacement would stop all nodes.
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["public_key"]),
        )

    def _node(self, position: int, node: NodeSettings) -> Instance:
        args, settings = self._args, self._args.settings
        eligible = position < ELIGIBLE_NODES
        application_id = args.firewall.application_id
        group_id = args.firewall.eligible_id if eligible or application_id is None else application_id
        args.hooks.declare_member(node.name)
        cvm = self._instance(
            node.name,
            address=str(node.address),
            instance_type=node.type or settings.type,
            group_id=group_id,
            role=args.role if position == 0 else None,
            # An instance must be deleted before its replacement can use the same private address.
            opts=pulumi.ResourceOptions(
                parent=self,
                delete_before_replace=True,
                ignore_changes=_FIXED_AT_CREATION,
                additional_secret_outputs=_SECRET_OUTPUTS,
                hooks=args.hooks.node,
                depends_on=self._earlier_key_pairs(),
            ),
        )
        cvm.id.apply(lambda _: args.hooks.declare(node.name))
        ssh_address = pulumi.Output.from_input(str(node.address))
        if args.access.mode == "public":
            ssh_address = self._public_address(node.name, cvm, args.access.public_bandwidth_mbps)
        return Instance(node.name, str(node.address), eligible, cvm.id, ssh_address)

    def _bastion(self) -> Instance:
        settings = self._args.access.bastion
        group_id = self._args.firewall.bastion_id
        if group_id is None:
            raise ValueError(
                "the bastion must have a security group; Firewall and Nodes were created with different access settings"
            )
        cvm = self._instance(
            BASTION,
            address=str(settings.address),
            instance_type=settings.type,
            group_id=group_id,
            opts=pulumi.ResourceOptions(
                parent=self,
                delete_before_replace=True,
                ignore_changes=_FIXED_AT_CREATION,
                additional_secret_outputs=_SECRET_OUTPUTS,
                depends_on=self._earlier_key_pairs(),
            ),
        )
        ssh_address = self._public_address(BASTION, cvm, settings.bandwidth_mbps)
        return Instance(BASTION, str(settings.address), eligible=False, instance_id=cvm.id, ssh_address=ssh_address)

    def _earlier_key_pairs(self) -> list[key.Pair]:
        """Instances depend on them, so that `destroy` deletes the instances first."""
        return [self._key_pairs[generation] for generation in self._args.key_generations[:-1]]

    def _instance(
        self,
        name: str,
        *,
        address: str,
        instance_type: str,
        group_id: pulumi.Output[str],
        opts: pulumi.ResourceOptions,
        role: str | None = None,
    ) -> instance.Instance:
        args, settings = self._args, self._args.settings
        return instance.Instance(
            of_node(self._name, name),
            instance_name=args.labels.name(name),
            hostname=name,
            availability_zone=args.zone,
            instance_type=instance_type,
            image_id=settings.image,
            system_disk_type=settings.system_disk.type,
            system_disk_size=settings.system_disk.size_gib,
            vpc_id=args.network.vpc_id,
            subnet_id=args.network.subnet_id,
            private_ip=address,
            # Public addresses are EIPs: a change of this property would replace the node.
            allocate_public_ip=False,
            orderly_security_groups=[group_id],
            cam_role_name=role,
            key_ids=[self._key_pairs[self._args.key_generations[-1]].id],
            placement_group_id=self._group_id if name != BASTION else None,
            disable_security_service=not settings.security_agent,
            disable_monitor_service=not settings.monitoring_agent,
            disable_api_termination=settings.termination_protection,
            user_data_raw=self._user_data(name),
            tags={**args.labels.tags, "node": name},
            opts=opts,
        )

    def _user_data(self, name: str) -> pulumi.Output[str]:
        """Return the cloud-init user data. It contains the temporary host key, so it is secret."""
        host_key, access, user = self._args.temporary_host_keys[name], self._args.access, self._args.settings.user
        return pulumi.Output.secret(
            pulumi.Output.all(host_key.private_key, host_key.public_key, self._args.deployment_key.public_key).apply(
                lambda keys: user_data(
                    hostname=name,
                    host_key_private=keys[0],
                    host_key_public=keys[1],
                    user=user,
                    public_keys=(keys[2], *access.public_keys),
                    python=DISTRIBUTIONS[self._args.settings.distribution].python,
                )
            )
        )

    def _public_address(self, name: str, cvm: instance.Instance, bandwidth_mbps: int) -> pulumi.Output[str]:
        labels = self._args.labels
        address = eip.Instance(
            of_node(f"{self._name}-address", name),
            name=labels.name(name),
            internet_charge_type="TRAFFIC_POSTPAID_BY_HOUR",
            internet_max_bandwidth_out=bandwidth_mbps,
            tags=labels.tags,
            opts=self._child,
        )
        bound = eip.Association(
            of_node(f"{self._name}-binding", name),
            eip_id=address.id,
            instance_id=cvm.id,
            # An EIP can be bound to one instance at a time.
            opts=pulumi.ResourceOptions(
                parent=self, delete_before_replace=True, hooks=self._args.hooks.attachment if name != BASTION else None
            ),
        )
        # Connections must wait for the binding, not only for the address.
        return pulumi.Output.all(address.public_ip, bound.id).apply(lambda known: known[0])

    def _data_disk(self) -> cbs.Storage:
        """Create the disk of the databases. It is independent of the node, so a rebuilt node gets its data back."""
        args = self._args
        return cbs.Storage(
            f"{self._name}-data",
            storage_name=args.labels.name("data"),
            storage_type=args.settings.data_disk.type,
            storage_size=args.settings.data_disk.size_gib,
            availability_zone=args.zone,
            tags=args.labels.tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.protect,
                # Another type or zone would replace the disk and delete the databases; the operator must move the data.
                ignore_changes=["storage_type", "availability_zone"],
            ),
        )

    def _snapshots(self, disk: cbs.Storage, settings: SnapshotSettings) -> None:
        policy = cbs.SnapshotPolicy(
            f"{self._name}-data-snapshots",
            snapshot_policy_name=self._args.labels.name("data"),
            # The API counts the days from Sunday.
            repeat_weekdays=[number for number, day in enumerate(WEEKDAYS) if day in settings.weekdays],
            repeat_hours=sorted(set(settings.hours)),
            retention_days=settings.keep_days,
            opts=self._child,
        )
        cbs.SnapshotPolicyAttachment(
            f"{self._name}-data-snapshots", storage_id=disk.id, snapshot_policy_id=policy.id, opts=self._child
        )

    def _attached(self, disk: cbs.Storage, node: Instance) -> pulumi.Output[str]:
        """Attach the disk to a node. Returns the disk's id, known after the attachment."""
        return cbs.StorageAttachment(
            of_node(f"{self._name}-data", node.name),
            storage_id=disk.id,
            instance_id=node.instance_id,
            # A disk can be attached to one instance at a time.
            opts=pulumi.ResourceOptions(parent=self, delete_before_replace=True, hooks=self._args.hooks.attachment),
        ).storage_id
