"""The health checks of one node over SSH: what its manifest declares, drift, certificates, disks, units and VRRP."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from cryptography import x509

from provisioning.errors import ProvisioningError
from provisioning.facts import Facts, question
from provisioning.health.public_checks import judge_validity
from provisioning.health.results import CheckResult, Level, fail, merge_successes, ok, warning
from provisioning.kinds.base import Item, Phase
from provisioning.kinds.file import File
from provisioning.kinds.old_archives import OldArchives
from provisioning.kinds.unit import CRASHES, Unit
from provisioning.plan import Plan, describe, make_plan
from provisioning.ssh.agent_calls import Connection

DEADLINE_S = 60.0
_SHOWN_DRIFT = 5
_CA_RENEWAL = "tandem:credentials.generation.ca: increase it, then tandem up; nothing else renews the CA of the stack"
_PEM = "-----BEGIN CERTIFICATE-----"


@dataclass(frozen=True, slots=True)
class NodeState:
    """The results of one node, and what the checks of the group need of it."""

    name: str
    results: tuple[CheckResult, ...]
    reached: bool = True
    held: tuple[str, ...] = ()  # virtual IPs
    offset_s: float = 0.0  # of its clock from this computer's


def check_node(
    connection: Connection,
    items: Sequence[Item],
    virtual_ips: Sequence[str],
    nonce: str,
    revision: str = "",
    *,
    clock: Callable[[], float] = time.time,
) -> NodeState:
    """Run all checks of one node once. `items` are those of the revision, without placeholders.

    Raises no ProvisioningError.
    """
    name = connection.node.name
    began = clock()
    try:
        answer, facts = connection.call([health_operation(items, virtual_ips, nonce), question(items, virtual_ips)],
                                        deadline_s=DEADLINE_S)  # fmt: skip
    except ProvisioningError as error:
        return unreachable(name, error)
    results = [CheckResult.from_data(name, each) for each in answer["results"]]
    results += [
        *_kept_out(name, answer["kept_out"]),
        _configuration(name, items, _without_marks(Facts.from_answer(facts), answer["kept_out"]), revision),
        *check_certificates(name, items, began),
    ]
    ended, now = clock(), float(answer["now"])
    offset_s = now - began if now < began else max(0.0, now - ended)  # 0: during the call
    located = [_with_node(result) for result in results]
    return NodeState(name, merge_successes(located), held=tuple(answer["held"]), offset_s=offset_s)


def unreachable(name: str, error: ProvisioningError) -> NodeState:
    seen = ": ".join(" ".join(text.split()) for text in (error.message, error.seen) if text)
    look_at = error.look_at or f"the console of {name}; the security group"
    return NodeState(name, (fail(name, "SSH", seen, look_at),), reached=False)


def health_operation(items: Sequence[Item], virtual_ips: Sequence[str], nonce: str) -> dict[str, Any]:
    """The agent's `health` operation for these items."""
    return {
        "do": "health",
        "units": list(dict.fromkeys(unit for item in items for unit in item.units())),
        "checks": [
            {"kind": item.kind(), **item.operation()} for item in items if item.phase in {Phase.GATE, Phase.HEALTH}
        ],
        "virtual_ips": list(virtual_ips),
        "nonce": nonce,
    }


def _with_node(result: CheckResult) -> CheckResult:
    """Add the node to the next place to look."""
    if result.level is Level.OK or " on " in result.look_at or result.look_at.startswith("tandem"):
        return result
    return CheckResult(result.target, result.name, result.level, result.seen, f"{result.look_at} (on {result.target})")


def _kept_out(name: str, out: Mapping[str, Any]) -> list[CheckResult]:
    """A deliberate drain, which every node with a part in it reports."""
    if "node" not in out:
        return []
    until = f"{datetime.fromtimestamp(out['until'], UTC):%d %b %H:%M} UTC"
    seen = f"{out['node']} is drained by `tandem drain` until {until}"
    return [warning(name, "drain", seen, f"tandem undrain {out['node']}")]


def _without_marks(facts: Facts, out: Mapping[str, Any]) -> Facts:
    """The facts as they were before a deliberate drain has marked the servers of a node: the marks are not drift."""
    if "node" not in out:
        return facts
    files = {**facts.answers.get(File.kind(), {})}
    for path, sha256 in out["originals"].items():
        if files.get(path):
            files[path] = {**files[path], "sha256": sha256}
    return replace(facts, answers={**facts.answers, File.kind(): files}, draining=False)


def _configuration(name: str, items: Sequence[Item], facts: Facts, revision: str) -> CheckResult:
    plan = make_plan(name, items, facts)
    lines = describe(plan)
    if revision in facts.versions.rejected:
        seen = facts.versions.describe_rejection(revision)
        if facts.versions.revision == revision:
            return fail(name, "configuration", f"{seen}, but this node still has it", "tandem rollback completes it")
        look_at = "the program or its settings; tandem up --force deploys the rejected revision nevertheless"
        return warning(name, "configuration", f"{seen}: this node has its previous version", look_at)
    if not lines:
        return ok(name, "configuration", "as deployed")
    more = f"; and {len(lines) - _SHOWN_DRIFT} more" if len(lines) > _SHOWN_DRIFT else ""
    result = warning if _are_leftovers(plan) else fail
    return result(name, "configuration", "; ".join(lines[:_SHOWN_DRIFT]) + more, remedy_of(plan))


def _are_leftovers(plan: Plan) -> bool:
    """Whether everything that is deployed is in place, beside what a change that was undone has left on the node."""
    steps = (*plan.prepare, *plan.commit)
    to_do = plan.pending or plan.unfinished is not None or plan.drained
    return not to_do and all(isinstance(step.item, OldArchives) for step in steps)


def remedy_of(plan: Plan) -> str:
    """A unit in a crash loop runs what is deployed, so a rollout does not correct it."""
    looping = [step.item.name for step in plan.commit if isinstance(step.item, Unit) and step.why.startswith(CRASHES)]
    if not looping:
        return "tandem up corrects it"
    rest = ["tandem up for the rest"] if len(plan.prepare) + len(plan.commit) > len(looping) else []
    return "; ".join([*(f"journalctl -u {unit}; systemctl cat {unit}" for unit in looping), *rest])


def check_certificates(name: str, items: Sequence[Item], now: float) -> list[CheckResult]:
    """Judge the deployed certificates by their text in the manifest; a different file on the node is drift."""
    moment = datetime.fromtimestamp(now, UTC)
    results: list[CheckResult] = []
    for item in items:
        if isinstance(item, File) and item.text.startswith(_PEM):
            leaf = x509.load_pem_x509_certificates(item.text.encode())[0]
            more = {"file": item.path.rpartition("/")[2], **({"look_at": _CA_RENEWAL} if _is_ca(leaf) else {})}
            results.append(judge_validity(name, leaf.not_valid_before_utc, leaf.not_valid_after_utc, moment, **more))
    return results


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
