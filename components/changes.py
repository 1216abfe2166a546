"""What a stack's file may not ask of a group that is deployed already: found before anything is declared.

Each of these would be refused by the cloud half-way, with nodes gone by then or data moved.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pulumi

from provisioning.exports import Exports
from settings.data import DataLocation
from settings.problems import Problem
from settings.sections import Settings


class ChangeError(pulumi.RunError):
    """Every wanted change that cannot be made so."""

    def __init__(self, file: str, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        many = "a change" if len(problems) == 1 else f"{len(problems)} changes"
        lines = [f"  {problem.key}\n    {problem.text.replace(chr(10), f'{chr(10)}    ')}" for problem in problems]
        super().__init__(
            "\n".join([f"{file} asks for {many} that a deployed group cannot make; nothing was changed:", *lines])
        )


def refuse_impossible_changes(settings: Settings, deployed: Exports | None) -> None:
    """Raises ChangeError."""
    if deployed is None:
        return
    problems = tuple(problem for rule in _RULES for problem in rule(settings, deployed))
    if problems:
        raise ChangeError(settings.file, problems)


def the_network_is_for_life(settings: Settings, deployed: Exports) -> Iterator[Problem]:
    wanted = describe_network(settings)
    for key, was in deployed.network.items():
        if key in wanted and wanted[key] != was:
            yield Problem(
                f"tandem:network.{key}",
                f"it is {was}, wanted is {wanted[key]}: the subnet would be deleted under its nodes.\n"
                "Bring up a stack of its own there, move the DNS names, then destroy this one.",
            )


def an_address_has_one_node(settings: Settings, deployed: Exports) -> Iterator[Problem]:
    """New nodes are made before others are deleted, so an address cannot pass from one to the other in one run."""
    addresses = {node.name: node.private_address for node in deployed.inventory.nodes}
    owners = {address: name for name, address in addresses.items()}
    owners |= dict.fromkeys(deployed.inventory.virtual_ips, "the virtual IP")
    if deployed.inventory.bastion:
        owners[deployed.inventory.bastion.private_address] = "the bastion"
    for index, node in enumerate(settings.nodes.members):
        key = f"tandem:nodes.members[{index}].address"
        was = addresses.get(node.name)
        if was is not None and was != str(node.address):
            yield Problem(
                key,
                f"{node.name} is at {was} for life, wanted is {node.address}.\n"
                f"Add a node with the new address under a new name, then take {node.name} out in another `up`.",
            )
        elif (owner := owners.get(str(node.address), node.name)) != node.name:
            yield Problem(
                key,
                f"{node.address} is {owner}'s, wanted is {node.name}: a name is for life too.\n"
                f"Give {node.name} an address of its own; {owner}'s is free after an `up` without it.",
            )


def the_databases_stay_on_their_node(settings: Settings, deployed: Exports) -> Iterator[Problem]:
    data_node, first = deployed.data_node, settings.nodes.members[0].name
    if data_node in {None, first} or settings.data.location is not DataLocation.FIRST_NODE:
        return
    yield Problem(
        "tandem:nodes.members",
        f"{data_node} has the databases and their disk, and these do not move to {first} by themselves.\n"
        f"Keep {data_node} first. To rebuild it with all its data: pulumi up --replace its URN (docs/operations.md).\n"
        "To do without it: bring the data to databases of your own and set data.location moved in an `up` of its "
        "own (docs/operations.md).",
    )


def the_disk_with_the_databases_outlives_their_move(settings: Settings, deployed: Exports) -> Iterator[Problem]:
    """No setting of where the databases are deletes what is in them; that takes an `up` of its own."""
    data_node, first = deployed.data_node, settings.nodes.members[0].name
    if data_node is None or settings.data.location is DataLocation.FIRST_NODE:
        return
    if settings.data.location is DataLocation.EXTERNAL:
        yield Problem(
            "tandem:data.location",
            f"it is first-node, wanted is external: the disk with the databases of {data_node} would be deleted "
            "in this run.\n"
            "Copy the data to your databases (docs/operations.md), and set data.location to moved: `up` then keeps "
            "the disk.\n"
            "When the disk is no longer needed, set data.location to external in a later `up`.",
        )
    elif data_node != first:
        yield Problem(
            "tandem:nodes.members",
            f"{data_node} has the databases and has to stop them before its disk is detached.\n"
            f"Keep {data_node} first in the `up` that sets data.location moved; after it, it may go.",
        )


def a_disk_never_shrinks(settings: Settings, deployed: Exports) -> Iterator[Problem]:
    wanted = describe_disks(settings)
    for key, was in deployed.disks.items():
        if key in wanted and wanted[key] < was:
            yield Problem(
                f"tandem:nodes.{key}.sizeGib",
                f"it is {was:g}, wanted is {wanted[key]}: a disk can grow, never shrink, and the cloud would refuse "
                f"after the node has handed over.\nKeep {was:g}.",
            )


def nodes_leave_one_at_a_time(settings: Settings, deployed: Exports) -> Iterator[Problem]:
    staying = {node.name for node in settings.nodes.members}
    leaving = [node.name for node in deployed.inventory.nodes if node.name not in staying]
    if len(leaving) > 1:
        yield Problem(
            "tandem:nodes.members",
            f"{', '.join(leaving)} would leave in one run, and the others only learn of it at its end.\n"
            f"Take one out, `up`, then the next: keep {', '.join(leaving[1:])} for now.",
        )
    if leaving and deployed.termination_protection:
        yield Problem(
            "tandem:nodes.terminationProtection",
            f"it is on, so the cloud would refuse to delete {', '.join(leaving)} after it has left the group.\n"
            f"Set it to false with {', '.join(leaving)} still there, `up` (no node notices), then take it out.",
        )


def describe_network(settings: Settings) -> dict[str, Any]:
    """What of the network is for life, by its key in the stack's file."""
    network = settings.network
    if network.existing is not None:
        # Its addresses are what somebody else made them, and what the file says of them may be put right.
        return {"zone": network.zone, "existing": f"{network.existing.vpc_id}, {network.existing.subnet_id}"}
    return {
        "zone": network.zone,
        "existing": "none",
        "vpcCidr": str(network.vpc_cidr),
        "subnetCidr": str(network.subnet_cidr),
    }


def describe_disks(settings: Settings) -> dict[str, int]:
    """The sizes of those that are declared, in GiB, by their key in the stack's file."""
    nodes = settings.nodes
    sizes = {"systemDisk": nodes.system_disk.size_gib}
    if settings.data.location is not DataLocation.EXTERNAL:
        sizes["dataDisk"] = nodes.data_disk.size_gib
    return sizes


_RULES = (
    the_network_is_for_life,
    an_address_has_one_node,
    the_databases_stay_on_their_node,
    the_disk_with_the_databases_outlives_their_move,
    a_disk_never_shrinks,
    nodes_leave_one_at_a_time,
)
