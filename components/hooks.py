"""Resource hooks that run before a node is changed or deleted. If a before hook fails, the change is not made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi import ErrorHook, ErrorHookArgs, ResourceHook, ResourceHookArgs, ResourceHookBinding, ResourceHookOptions

from components.changes import LeavingNodes
from components.node_sequence import NodeSequence
from provisioning.errors import SwitchoverError

# Changes that do not interrupt a running node. For all other changes the node is drained first, one node at a time.
_NON_DISRUPTIVE = frozenset(
    {
        "camRoleName", "disableApiTermination", "instanceName", "orderlySecurityGroups", "projectId", "securityGroups",
        "tags",
    }
)  # fmt: skip
# The provider can change these on a running node, but firewall, VRRP peers and certificates use the old address.
_IMMUTABLE = ("privateIp", "subnetId", "vpcId")

_NONE = LeavingNodes()


class Hooks:
    """The hooks of one group. Their names must not change: the state refers to hooks by name when it deletes a node
    that the program no longer declares.
    """

    node: ResourceHookBinding  # for instances
    attachment: ResourceHookBinding  # for resources attached to a node, which are replaced with it and deleted first
    havip_attachment: ResourceHookBinding  # also deleted when the node may not hold the virtual IP any more
    rules: ResourceHookBinding  # for the rules of the security groups

    def __init__(self, sequence: NodeSequence, bastion_change: str = "", leaving: LeavingNodes = _NONE) -> None:
        self._sequence = sequence
        self._bastion_change = bastion_change  # description; "" if the bastion stays
        self._leaving = leaving
        self._members: set[str] = set()
        self._attached: set[str] = set()
        leave = ResourceHook("leave-group", self._leave)
        after_failure = ErrorHook("release-change-lock-after-failure", self._end_failed_change)
        detached = ResourceHook("record-detachment", self._record_detached)
        self.node = ResourceHookBinding(
            before_update=[
                # Also in a preview, which should show that the change will be refused.
                ResourceHook("refuse-a-new-address", self._refuse_unsafe_changes, ResourceHookOptions(on_dry_run=True)),
                ResourceHook("take-change-lock", self._begin_change),
            ],
            after_update=[ResourceHook("release-change-lock", self._end_change)],
            before_delete=[leave],
            on_error=[after_failure],
        )
        # Without this hook, a node whose removal is refused would already have lost its address and its disk.
        self.attachment = ResourceHookBinding(before_delete=[leave], after_delete=[detached], on_error=[after_failure])
        self.havip_attachment = ResourceHookBinding(
            before_delete=[ResourceHook("leave-virtual-ip", self._leave_virtual_ip)],
            after_delete=[detached],
            on_error=[after_failure],
        )
        # The new rules drop what a leaving node still receives and sends: requests, queries, VRRP.
        self.rules = ResourceHookBinding(before_update=[ResourceHook("leave-before-rules", self._leave_before_rules)])

    def declare(self, node: str) -> None:
        """Record that this run has created or updated the node."""
        self._sequence.declare(node)

    def declare_member(self, node: str) -> None:
        """Record that the program declares the node. Call it before the instance is made."""
        self._members.add(node)

    def declare_attachment(self, name: str) -> None:
        """Record that the program declares the HAVIP attachment of a node. Call it before the attachment is made."""
        self._attached.add(name)

    def _refuse_unsafe_changes(self, args: ResourceHookArgs) -> None:
        _refuse_a_new_location(args)
        changed = _disruptive_changes(args)
        if self._bastion_change and changed:
            raise SwitchoverError(
                f"{node_of(args.name)}: {', '.join(sorted(changed))} cannot be changed in the `up` that changes the "
                f"bastion ({self._bastion_change}), because the node would not be reachable for a drain",
                seen="no node was changed",
                look_at="tandem:access; change it in an `up` before or after",
            )

    async def _begin_change(self, args: ResourceHookArgs) -> None:
        if _disruptive_changes(args):
            await self._sequence.begin_change(node_of(args.name))

    async def _end_change(self, args: ResourceHookArgs) -> None:
        await self._sequence.end(node_of(args.name))

    async def _end_failed_change(self, args: ErrorHookArgs) -> bool:
        # Without this hook, the node would stay out of service, and other changes would wait indefinitely.
        if args.failed_operation == "delete":
            await self._sequence.cancel_removal(node_of(args.name))
        else:
            await self._sequence.end(node_of(args.name), failed=True)
        return False

    async def _leave(self, args: ResourceHookArgs) -> None:
        node = node_of(args.name)
        await self._sequence.begin_removal(node, replaced=node in self._members)

    async def _leave_virtual_ip(self, args: ResourceHookArgs) -> None:
        await self._leave(args)
        # An attachment that the program declares is deleted by `destroy`, or together with its HAVIP.
        if args.name not in self._attached and node_of(args.name) in self._members:
            await self._sequence.begin_demotion(node_of(args.name))

    async def _leave_before_rules(self, _: ResourceHookArgs) -> None:
        for node in self._leaving.removed:
            await self._sequence.begin_removal(node)
        for node in self._leaving.demoted:
            await self._sequence.begin_demotion(node)

    def _record_detached(self, args: ResourceHookArgs) -> None:
        self._sequence.record_detached(node_of(args.name))


def _refuse_a_new_location(args: ResourceHookArgs) -> None:
    old, new = args.old_inputs or {}, args.new_inputs or {}
    for key in _IMMUTABLE:
        if _differ(old.get(key), new.get(key)):
            raise SwitchoverError(
                f"{node_of(args.name)}: {key} cannot be changed after creation "
                f"(current {old.get(key)}, requested {new.get(key)})",
                seen="nothing was changed",
                look_at="tandem:nodes.members; add a node with the new address and a new name, "
                "then remove the old one in another `up`",
            )


def _disruptive_changes(args: ResourceHookArgs) -> frozenset[str]:
    return changed_keys(args.old_inputs, args.new_inputs) - _NON_DISRUPTIVE


def of_node(prefix: str, node: str) -> str:
    """Return the name of a resource that belongs to one node. Node names contain no dots."""
    return f"{prefix}.{node}"


def node_of(resource: str) -> str:
    """Return the node's name from a resource name made by `of_node`."""
    return resource.rpartition(".")[2]


def changed_keys(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> frozenset[str]:
    """Return the names of the inputs that differ."""
    before, after = dict(old or {}), dict(new or {})
    return frozenset(
        key for key in before.keys() | after.keys() if key != "__defaults" and _differ(before.get(key), after.get(key))
    )


def _differ(old: Any, new: Any) -> bool:
    # Secrets and values that are not known yet cannot be compared.
    if isinstance(old, pulumi.Output) or isinstance(new, pulumi.Output):
        return False
    return bool(old != new)
