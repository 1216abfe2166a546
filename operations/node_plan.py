"""`tandem plan`: what a rollout of the present program and settings would change on the nodes, without changing them.

The preview of the engine renders the new files; the nodes tell how they differ from them. The rollout makes the same
plan (provisioning/plan.py), validates the candidates on the nodes in addition, and only then changes anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from operations.errors import OperationError
from operations.events import Preview
from provisioning.errors import ProvisioningError
from provisioning.exports import parse_inventory
from provisioning.facts import Facts, question
from provisioning.inventory import Inventory
from provisioning.kinds.base import Item
from provisioning.manifest import Manifest
from provisioning.placeholders import find_names
from provisioning.plan import changed_lines, make_plan
from provisioning.preview_text import read_manifest
from provisioning.rollout.desired import replace_secrets
from provisioning.ssh.agent_calls import Connection
from provisioning.ssh.connections import Connect, ask_each


@dataclass(frozen=True, slots=True)
class NodePlan:
    """What a rollout would do on one node."""

    node: str
    changes: tuple[str, ...] = ()
    restarts: tuple[str, ...] = ()  # units whose connections are cut
    refused: tuple[str, ...] = ()  # the rollout would stop because of these
    master: bool = False  # changed last, after a switchover if needed
    note: str = ""  # why there is no plan

    def to_data(self) -> dict[str, Any]:
        return {
            "node": self.node, "changes": list(self.changes), "restarts": list(self.restarts),
            "refused": list(self.refused), "master": self.master, "note": self.note,
        }  # fmt: skip


def plan_nodes(preview: Preview, recorded: Mapping[str, Any], connect: Connect) -> tuple[NodePlan, ...]:
    """Compare the nodes with the manifests of a preview, in the order of the rollout. Changes nothing.

    `recorded` are the outputs of the last rollout, which have the values of secrets. Raises OperationError if the
    preview failed.
    """
    rollout = preview.rollout()
    if preview.errors or rollout is None:
        raise OperationError("\n  ".join(["the preview failed; no node was asked", *preview.errors]))
    manifests = {
        node: read_manifest(node, items, rollout.new["files"][node]) for node, items in rollout.new["manifests"].items()
    }
    inventory = parse_inventory(recorded)
    nodes = (*inventory.nodes, *([inventory.bastion] if inventory.bastion else []))
    kept = [node for node in nodes if node.name in manifests]
    plans = _ask(replace(inventory, nodes=tuple(kept)), manifests, _values(manifests, recorded), connect)
    names = {node.name for node in nodes}
    created = [NodePlan(name, note="will be created") for name in manifests if name not in names]
    removed = [NodePlan(name, note="will be removed") for name in sorted(names - manifests.keys())]
    return (*created, *sorted(plans, key=lambda plan: plan.master), *removed)


def _values(manifests: Mapping[str, Manifest], recorded: Mapping[str, Any]) -> dict[str, str]:
    """The value of each placeholder. One that does not exist yet is different from every value on a node."""
    texts = [str(value) for each in manifests.values() for item in each.items for value in _texts(item)]
    used = {name for text in texts for name in find_names(text)}
    return {**{name: f"(new: {name})" for name in used}, **recorded["values"], **recorded["secrets"]}


def _texts(item: Item) -> list[str]:
    return [value for value in (getattr(item, name) for name in item.__dataclass_fields__) if isinstance(value, str)]


def _ask(
    inventory: Inventory, manifests: Mapping[str, Manifest], values: Mapping[str, str], connect: Connect
) -> list[NodePlan]:
    desired = replace_secrets(inventory, manifests, values)

    def ask(connection: Connection) -> NodePlan:
        name = connection.node.name
        items = desired[name]
        facts = Facts.from_answer(connection.call([question(items, inventory.virtual_ips)])[0])
        plan = make_plan(name, items, facts)
        secret = frozenset(path for path, text in manifests[name].files().items() if find_names(text))
        return NodePlan(
            name,
            tuple(changed_lines(plan, facts, secret)),
            plan.restarts(),
            tuple(map(str, plan.refused)),
            master=bool(facts.addresses),
        )

    found = ask_each(inventory.nodes, connect, ask)
    return [
        NodePlan(node.name, note=plan.message) if isinstance(plan, ProvisioningError) else plan
        for node, plan in zip(inventory.nodes, found, strict=True)
    ]


def describe_plans(plans: Sequence[NodePlan]) -> list[str]:
    """As text, in the order in which the nodes change."""
    lines: list[str] = []
    for plan in plans:
        if plan.note:
            lines.append(f"{plan.node}: {plan.note}")
            continue
        role = " (holds a virtual IP, so it changes last)" if plan.master and len(plans) > 1 and plan.changes else ""
        count = sum(not line.startswith("  ") for line in plan.changes)
        lines.append(f"{plan.node}: {count or 'no'} change{'' if count == 1 else 's'}{role}")
        lines += [f"  {line}" for line in plan.changes]
        lines += [f"  restarts: {', '.join(plan.restarts)}"] if plan.restarts else []
        lines += [f"  REFUSED: {line}" for line in plan.refused]
    return lines
