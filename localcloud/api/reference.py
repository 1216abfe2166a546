"""The actions and the rules of the API, as data and as a page; generated from the registered actions."""

from __future__ import annotations

from typing import Any

from localcloud import services
from localcloud.api import request_rules
from localcloud.rules import client_token, refusal
from localcloud.rules.refusal import Refusal, rule_in_words
from localcloud.services import parameters
from localcloud.services.actions import ACTIONS, VERSIONS

services.load()

# Rules of every action: those of the gateway, and those that any handler's parameters can break.
COMMON: tuple[type[Refusal], ...] = tuple(
    dict.fromkeys(
        found
        for module in (refusal, request_rules, parameters, client_token)
        for found in vars(module).values()
        if isinstance(found, type) and issubclass(found, Refusal) and found is not Refusal
    )
)


def _rule(refusal: type[Refusal]) -> dict[str, str]:
    return {
        "code": refusal.code,
        "rule": rule_in_words(refusal),
        "source": refusal.source.kind,
        "where": refusal.source.where,
        "page": refusal.source.page,
    }


def actions_as_data() -> dict[str, Any]:
    """Return every action with its rules, by service, and the rules common to all actions."""
    by_service: dict[str, Any] = {}
    for (service, name), action in sorted(ACTIONS.items()):
        of_service = by_service.setdefault(service, {"version": VERSIONS[service], "actions": {}})
        of_service["actions"][name] = {
            "summary": action.summary,
            "rules": [_rule(refusal) for refusal in dict.fromkeys(action.refuses)],
        }
    return {"services": by_service, "common": [_rule(refusal) for refusal in COMMON]}


def page() -> str:
    """Return the generated part of docs/localcloud.md: the actions of each service, and one Markdown row per rule."""
    data = actions_as_data()
    lines = [
        "Each rule names its source: **documented** with the page (`215/15774` is",
        "https://cloud.tencent.com/document/product/215/15774; `intl:` marks the numbers of tencentcloud.com),",
        "**provider** (terraform-provider-tencentcloud relies on it), **assumed** (not documented; the strict choice).",
        "`localcloud actions` prints them action by action.",
        "",
        *(f"- {service} {of['version']}: {', '.join(of['actions'])}" for service, of in data["services"].items()),
        "",
        "| Code | Rule | Source | Actions |",
        "|---|---|---|---|",
        *(_row(rule, actions) for rule, actions in sorted(_by_rule(data).items(), key=_order)),
    ]
    return "\n".join(lines) + "\n"


# code, rule, source, where, page
_Rule = tuple[str, str, str, str, str]


def _by_rule(data: dict[str, Any]) -> dict[_Rule, list[str]]:
    """Group the actions by rule, as `service:Action`; empty for the rules of every action."""
    found: dict[_Rule, list[str]] = {_key(rule): [] for rule in data["common"]}
    for service, of in data["services"].items():
        for name, action in of["actions"].items():
            for key in map(_key, action["rules"]):
                if key in found and not found[key]:
                    continue
                found.setdefault(key, []).append(f"{service}:{name}")
    return found


def _key(rule: dict[str, str]) -> _Rule:
    return rule["code"], rule["rule"], rule["source"], rule["where"], rule["page"]


def _order(entry: tuple[_Rule, list[str]]) -> tuple[bool, bool, str, str, str]:
    """Sort assumed rules first, then those of every action, then by service and code."""
    (code, rule, source, _, _), actions = entry
    return source != "assumed", bool(actions), actions[0].partition(":")[0] if actions else "", code, rule


def _row(rule: _Rule, actions: list[str]) -> str:
    code, text, source, where, page_number = rule
    cells = (f"`{code}`", text, f"{source} {page_number}".rstrip() + f": {where}", _names(actions) or "every action")
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _names(actions: list[str]) -> str:
    """`vpc: CreateVpc, DeleteVpc; cvm: RunInstances`."""
    of: dict[str, list[str]] = {}
    for action in actions:
        service, _, name = action.partition(":")
        of.setdefault(service, []).append(name)
    return "; ".join(f"{service}: {', '.join(names)}" for service, names in of.items())
