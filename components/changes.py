"""Refuses changes of a deployed group that one run cannot make, before any resource is declared.

Without this check, the cloud would reject each of them in the middle of the run, or data would be lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pulumi

from provisioning.deployment import BASTION
from provisioning.exports import Exports
from settings.data import DataLocation
from settings.nodes import ELIGIBLE_NODES
from settings.problems import Problem
from settings.sections import Settings


class ChangeError(pulumi.RunError):
    """All requested changes that a deployed group cannot make."""

    def __init__(self, file: str, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        count = "1 change" if len(problems) == 1 else f"{len(problems)} changes"
        lines = [f"  {problem.key}\n    {problem.text.replace(chr(10), f'{chr(10)}    ')}" for problem in problems]
        super().__init__(
            "\n".join([f"{file} has {count} that a deployed group cannot make; nothing was changed:", *lines])
        )


@dataclass(frozen=True, slots=True)
class LeavingNodes:
    """The names of nodes of the last deployment that leave the group, or the eligible nodes."""

    removed: tuple[str, ...] = ()
    demoted: tuple[str, ...] = ()  # stay as application nodes


def find_leaving(settings: Settings, deployed: Exports | None) -> LeavingNodes:
    """Compare the nodes of the settings with those of the last deployment."""
    if deployed is None:
        return LeavingNodes()
    members = [node.name for node in settings.nodes.members]
    return LeavingNodes(
        removed=tuple(node.name for node in deployed.inventory.nodes if node.name not in members),
        demoted=tuple(
            node.name for node in deployed.inventory.nodes if node.eligible and node.name in members[ELIGIBLE_NODES:]
        ),
    )


def refuse_impossible_changes(settings: Settings, deployed: Exports | None) -> None:
    """Compare the settings with the last deployment. Raises: ChangeError with all impossible changes."""
    if deployed is None:
        return
    problems = tuple(problem for rule in _RULES for problem in rule(settings, deployed))
    if problems:
        raise ChangeError(settings.file, problems)


def check_network(settings: Settings, deployed: Exports) -> Iterator[Problem]:
    requested = describe_network(settings)
    for key, current in deployed.network.items():
        if key in requested and requested[key] != current:
            yield Problem(
                f"tandem:network.{key}",
                f"cannot be changed after creation (current {current}, requested {requested[key]}), because the subnet "
                "of the nodes would be deleted.\n"
                "Deploy a new stack in the new network, move the DNS names, then destroy this stack.",
            )


def check_node_addresses(settings: Settings, deployed: Exports) -> Iterator[Problem]:
    """Pulumi creates new nodes before it deletes old ones, so one run cannot move an address between two nodes."""
    addresses = {node.name: node.private_address for node in deployed.inventory.nodes}
    owners = {address: name for name, address in addresses.items()}
    owners |= dict.fromkeys(deployed.inventory.virtual_ips, "the virtual IP")
    if deployed.inventory.bastion:
        owners[deployed.inventory.bastion.private_address] = "the bastion"
    for index, node in enumerate(settings.nodes.members):
        key = f"tandem:nodes.members[{index}].address"
        current = addresses.get(node.name)
        if current is not None and current != str(node.address):
            yield Problem(
                key,
                f"cannot be changed after creation of {node.name} (current {current}, requested {node.address}).\n"
                f"Add a node with the new address and a new name, then remove {node.name} in another `up`.",
            )
        elif (owner := owners.get(str(node.address), node.name)) != node.name:
            yield Problem(
                key,
                f"cannot be {node.address}, the address of {owner}, for {node.name}. Nodes cannot be renamed.\n"
                f"Choose a free address for {node.name}; {node.address} is free after an `up` without {owner}.",
            )


def check_virtual_ips_keep_their_places(settings: Settings, deployed: Exports) -> Iterator[Problem]:
    """Each place has its own HAVIP and public address. One HAVIP cannot get an address that another one still has."""
    current, requested = deployed.inventory.virtual_ips, [str(address) for address in settings.virtual_ip.addresses]
    moved = [each for place, each in enumerate(requested) if each in current and current.index(each) != place]
    if moved:
        yield Problem(
            "tandem:virtualIp",
            f"must keep the order of its addresses (current {', '.join(current)}, requested {', '.join(requested)}), "
            f"because each place has its own HAVIP and public address, and {moved[0]} would still belong to another "
            "one.\n"
            "To remove an address before the last one, put a new address in its place, or remove it and those after "
            "it, and add the others in another `up`.",
        )
    # New HAVIPs are created before nodes are deleted. (The settings refuse the address of a remaining node.)
    nodes = [*deployed.inventory.nodes, *([deployed.inventory.bastion] if deployed.inventory.bastion else [])]
    for node in nodes:
        if node.private_address in requested:
            yield Problem(
                "tandem:virtualIp",
                f"cannot contain {node.private_address}, the address of {node.name}.\n"
                f"Choose a free address; {node.private_address} is free after an `up` without {node.name}.",
            )


def check_data_node_stays_first(settings: Settings, deployed: Exports) -> Iterator[Problem]:
    data_node, first = deployed.data_node, settings.nodes.members[0].name
    if data_node in {None, first} or settings.data_location is not DataLocation.FIRST_NODE:
        return
    yield Problem(
        "tandem:nodes.members",
        f"must start with {data_node}, which has the databases and the data disk (got {first} first).\n"
        f"To rebuild {data_node} with its data, run `tandem replace {data_node} --stack STACK` (docs/operations.md).\n"
        "To remove it, copy the data to your own databases and set data.location to moved in a separate `up` first "
        "(docs/operations.md).",
    )


def check_data_disk_is_kept(settings: Settings, deployed: Exports) -> Iterator[Problem]:
    """Moving the databases must not delete their disk; a separate `up` deletes it."""
    data_node, first = deployed.data_node, settings.nodes.members[0].name
    if data_node is None or settings.data_location is DataLocation.FIRST_NODE:
        return
    if not settings.iam.enabled and settings.data_location is DataLocation.EXTERNAL:
        yield Problem(
            "tandem:iam.enabled",
            f"cannot be set to false in one `up`, because the data disk with the databases of {data_node} would be "
            "deleted.\n"
            "Set data.location to moved with it, which keeps the disk and needs data.mariadbAddress and "
            "data.redisAddress (docs/operations.md).\n"
            "When the disk is no longer needed, set data.location to external in a later `up`.",
        )
    elif settings.data_location is DataLocation.EXTERNAL:
        yield Problem(
            "tandem:data.location",
            "cannot be changed from first-node to external in one `up`, because the data disk with the databases of "
            f"{data_node} would be deleted.\n"
            "Copy the data to your databases (docs/operations.md) and set data.location to moved, which keeps the "
            "disk.\n"
            "When the disk is no longer needed, set data.location to external in a later `up`.",
        )
    elif data_node != first:
        yield Problem(
            "tandem:nodes.members",
            f"must start with {data_node} in the `up` that sets data.location to moved (got {first} first), because "
            "its databases are stopped before its disk is detached.\n"
            f"You can remove {data_node} in a later `up`.",
        )


def check_disk_sizes(settings: Settings, deployed: Exports) -> Iterator[Problem]:
    requested = describe_disks(settings)
    for key, current in deployed.disks.items():
        if key in requested and requested[key] < current:
            yield Problem(
                f"tandem:nodes.{key}.sizeGib",
                f"cannot be reduced (current {current:g}, requested {requested[key]}); the cloud would reject it after "
                f"the switchover of the node.\nKeep {current:g}.",
            )


def check_node_removals(settings: Settings, deployed: Exports) -> Iterator[Problem]:
    removed = [*find_leaving(settings, deployed).removed]
    if len(removed) > 1:
        yield Problem(
            "tandem:nodes.members",
            f"must keep all nodes but one in each `up` (removed {', '.join(removed)}), because the remaining nodes are "
            "only reconfigured at its end.\n"
            f"Keep {', '.join(removed[1:])} in this `up`, and remove the next node in another one.",
        )
    if deployed.inventory.bastion is not None and settings.access.mode != "bastion":
        removed.append(BASTION)
    if removed and deployed.termination_protection:
        yield Problem(
            "tandem:nodes.terminationProtection",
            f"must be false before {', '.join(removed)} can be deleted (current true).\n"
            f"Keep {', '.join(removed)}, set it to false and run `up` (this does not interrupt the nodes), then remove "
            f"{', '.join(removed)}.",
        )


def check_nodes_that_leave_stay_reachable(settings: Settings, deployed: Exports) -> Iterator[Problem]:
    """A node leaves through the current bastion, in part after the security groups have changed."""
    change = describe_bastion_change(settings, deployed)
    leaving = find_leaving(settings, deployed)
    if change and (names := ", ".join((*leaving.removed, *leaving.demoted))):
        yield Problem(
            "tandem:access",
            f"must keep its bastion in the `up` that takes {names} out of the group or of the eligible nodes "
            f"({change}), because {names} would not be reachable for it.\n"
            "Change tandem:access in an `up` before or after.",
        )


def check_deployment_key(settings: Settings, deployed: Exports) -> Iterator[Problem]:
    key, requested = "tandem:credentials.generation.deploymentKey", settings.credentials.generation_of("deploymentKey")
    current = deployed.key_generations[-1]
    if requested in deployed.key_generations[:-1]:
        yield Problem(
            key,
            f"cannot be reduced (current {current}, requested {requested}): its key pair exists with an earlier key.\n"
            f"Choose a generation after {current}.",
        )
    new = {node.name for node in settings.nodes.members} - {node.name for node in deployed.inventory.nodes}
    if requested != current and new and deployed.inventory.bastion is not None:
        yield Problem(
            key,
            f"cannot be changed in the `up` that adds {', '.join(sorted(new))}, because the bastion accepts the new "
            "key only after the rollout.\nChange it in an `up` before or after.",
        )


def describe_bastion_change(settings: Settings, deployed: Exports | None) -> str:
    """Describe a change of the bastion: "current no bastion, requested bastion at 10.0.4.5"; "" without one."""
    if deployed is None:
        return ""
    access, bastion = settings.access, deployed.inventory.bastion
    current = f"bastion at {bastion.private_address}" if bastion is not None else "no bastion"
    requested = f"bastion at {access.bastion.address}" if access.mode == "bastion" else "no bastion"
    return f"current {current}, requested {requested}" if current != requested else ""


def list_key_generations(settings: Settings, deployed: Exports | None) -> tuple[str, ...]:
    """Return the generations of the deployment key whose key pairs exist or are created; the last one is in use."""
    current = settings.credentials.generation_of("deploymentKey")
    earlier = deployed.key_generations if deployed is not None else ()
    return (*(generation for generation in earlier if generation != current), current)


def describe_network(settings: Settings) -> dict[str, Any]:
    """Return the properties of the network that cannot be changed, by their key in the stack's file."""
    network = settings.network
    if network.existing is not None:
        # The CIDR blocks of an existing network are not created by this program, so they may be corrected in the file.
        return {"zone": network.zone, "existing": f"{network.existing.vpc_id}, {network.existing.subnet_id}"}
    return {
        "zone": network.zone,
        "existing": "none",
        "vpcCidr": str(network.vpc_cidr),
        "subnetCidr": str(network.subnet_cidr),
    }


def describe_disks(settings: Settings) -> dict[str, int]:
    """Return the sizes of the declared disks in GiB, by their key in the stack's file."""
    nodes = settings.nodes
    sizes = {"systemDisk": nodes.system_disk.size_gib}
    if settings.data_location is not DataLocation.EXTERNAL:
        sizes["dataDisk"] = nodes.data_disk.size_gib
    return sizes


_RULES = (
    check_network,
    check_node_addresses,
    check_virtual_ips_keep_their_places,
    check_data_node_stays_first,
    check_data_disk_is_kept,
    check_disk_sizes,
    check_node_removals,
    check_nodes_that_leave_stay_reachable,
    check_deployment_key,
)
