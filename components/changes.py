"""What a stack's file may not ask of a group that is deployed already: found before anything is declared.

Each of these would be refused by the cloud half-way, with machines gone by then or data moved.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pulumi

from provisioning.exports import Exports
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
                f"it is {was}, wanted is {wanted[key]}: the subnet would be deleted under its machines.\n"
                "Bring up a stack of its own there, move the DNS names, then destroy this one.",
            )


def an_address_has_one_machine(settings: Settings, deployed: Exports) -> Iterator[Problem]:
    """New machines are made before others are deleted, so an address cannot pass from one to the other in one run."""
    addresses = {host.name: host.private_address for host in deployed.inventory.hosts}
    owners = {address: name for name, address in addresses.items()}
    owners |= dict.fromkeys(deployed.inventory.virtual_ips, "the virtual IP")
    if deployed.inventory.bastion:
        owners[deployed.inventory.bastion.private_address] = "the bastion"
    for index, node in enumerate(settings.machines.nodes):
        key = f"tandem:machines.nodes[{index}].address"
        was = addresses.get(node.name)
        if was is not None and was != str(node.address):
            yield Problem(
                key,
                f"{node.name} is at {was} for life, wanted is {node.address}.\n"
                f"Add a machine with the new address under a new name, then take {node.name} out in another `up`.",
            )
        elif (owner := owners.get(str(node.address), node.name)) != node.name:
            yield Problem(
                key,
                f"{node.address} is {owner}'s, wanted is {node.name}: a name is for life too.\n"
                f"Give {node.name} an address of its own; {owner}'s is free after an `up` without it.",
            )


def the_databases_stay_on_their_machine(settings: Settings, deployed: Exports) -> Iterator[Problem]:
    primary, first = deployed.primary, settings.machines.nodes[0].name
    if primary is None or not settings.has_local_data or primary == first:
        return
    yield Problem(
        "tandem:machines.nodes",
        f"{primary} has the databases and their disk, and these do not move to {first} by themselves.\n"
        f"Keep {primary} first. To have it anew with all its data: pulumi up --replace its URN (docs/operations.md).\n"
        "To do without it: bring the data to databases of your own and set data.placement external in an `up` of its "
        "own (docs/operations.md).",
    )


def the_disk_with_the_databases_outlives_their_move(settings: Settings, deployed: Exports) -> Iterator[Problem]:
    """No setting of where the databases are deletes what is in them; that takes an `up` of its own."""
    primary, first = deployed.primary, settings.machines.nodes[0].name
    if primary is None or settings.has_local_data:
        return
    if not settings.has_former_data:
        yield Problem(
            "tandem:data.placement",
            f"it is on-primary, wanted is external: the disk with the databases of {primary} would be deleted "
            "in this run.\n"
            "Bring what is in them to yours (docs/operations.md), and set machines.dataDisk.keep to true: `up` then "
            "leaves the disk as it is.\n"
            "When nobody needs it any more, set machines.dataDisk.keep to false in an `up` of its own.",
        )
    elif primary != first:
        yield Problem(
            "tandem:machines.nodes",
            f"{primary} has the databases and has to stop them before its disk is detached.\n"
            f"Keep {primary} first in the `up` that sets data.placement external; after it, it may go.",
        )


def a_disk_never_shrinks(settings: Settings, deployed: Exports) -> Iterator[Problem]:
    wanted = describe_disks(settings)
    for key, was in deployed.disks.items():
        if key in wanted and wanted[key] < was:
            yield Problem(
                f"tandem:machines.{key}.sizeGib",
                f"it is {was:g}, wanted is {wanted[key]}: a disk can grow, never shrink, and the cloud would refuse "
                f"after the machine has handed over.\nKeep {was:g}.",
            )


def machines_leave_one_at_a_time(settings: Settings, deployed: Exports) -> Iterator[Problem]:
    staying = {node.name for node in settings.machines.nodes}
    leaving = [host.name for host in deployed.inventory.hosts if host.name not in staying]
    if len(leaving) > 1:
        yield Problem(
            "tandem:machines.nodes",
            f"{', '.join(leaving)} would leave in one run, and the others only learn of it at its end.\n"
            f"Take one out, `up`, then the next: keep {', '.join(leaving[1:])} for now.",
        )
    if leaving and deployed.termination_protection:
        yield Problem(
            "tandem:machines.terminationProtection",
            f"it is on, so the cloud would refuse to delete {', '.join(leaving)} after it has left the group.\n"
            f"Set it to false with {', '.join(leaving)} still there, `up` (no machine notices), then take it out.",
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
    machines = settings.machines
    sizes = {"systemDisk": machines.system_disk.size_gib}
    if settings.has_local_data or settings.has_former_data:
        sizes["dataDisk"] = machines.data_disk.size_gib
    return sizes


_RULES = (
    the_network_is_for_life,
    an_address_has_one_machine,
    the_databases_stay_on_their_machine,
    the_disk_with_the_databases_outlives_their_move,
    a_disk_never_shrinks,
    machines_leave_one_at_a_time,
)
