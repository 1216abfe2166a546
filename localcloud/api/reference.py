"""What the API does and refuses, as data and as a page: made from the register of actions, never by hand."""

from __future__ import annotations

from typing import Any

from localcloud import services
from localcloud.api import request_rules
from localcloud.rules import client_token, refusal
from localcloud.rules.refusal import Refusal, rule_in_words
from localcloud.services import parameters
from localcloud.services.actions import ACTIONS, VERSIONS

services.load()

# Rules that every action has.
COMMON: tuple[type[Refusal], ...] = (
    refusal.MissingParameter,
    request_rules.AuthorizationMalformed,
    request_rules.SignatureExpired,
    request_rules.CredentialUnknown,
    request_rules.SignatureWrong,
    request_rules.ServiceUnknown,
    request_rules.NoSuchVersion,
    request_rules.InvalidAction,
    request_rules.ActionNotEmulated,
    request_rules.UnsupportedRegion,
    request_rules.UnsupportedProtocol,
    request_rules.ContentTypeWrong,
    request_rules.RequestTooLarge,
    request_rules.TooManyRequests,
    request_rules.BodyNotJson,
    refusal.UnknownParameter,
    refusal.WrongType,
    parameters.AddressMalformed,
    parameters.CidrMalformed,
    parameters.FlagMalformed,
    refusal.InvalidParameterValue,
    refusal.ParameterOutOfRange,
    refusal.ParameterTooLong,
    refusal.TooManyValues,
    refusal.IdMalformed,
    refusal.ClientTokenReused,
    client_token.ClientTokenTooLong,
    request_rules.InternalError,
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
    """Every action with its rules, by service, and the rules that all have."""
    by_service: dict[str, Any] = {}
    for (service, name), action in sorted(ACTIONS.items()):
        of_service = by_service.setdefault(service, {"version": VERSIONS[service], "actions": {}})
        of_service["actions"][name] = {
            "summary": action.summary,
            "rules": [_rule(refusal) for refusal in dict.fromkeys(action.refuses)],
        }
    return {"services": by_service, "common": [_rule(refusal) for refusal in COMMON]}


def page() -> str:
    """docs/localcloud.md's generated part, in Markdown."""
    data = actions_as_data()
    lines = [
        "Each rule names its source: **documented** with the page (`215/15774` is",
        "https://cloud.tencent.com/document/product/215/15774; `intl:` marks the numbers of tencentcloud.com),",
        "**provider** (terraform-provider-tencentcloud relies on it), **assumed** (no page says so; the strict side).",
        "A rule that applies to several actions is printed with each of them. The assumed ones are listed first.",
        "",
        "### Assumed",
        "",
        *_assumed(data),
        "",
        "### Every action",
        "",
        *_rules(data["common"]),
    ]
    for service, of_service in data["services"].items():
        lines += ["", f"### {service} {of_service['version']}"]
        for name, action in of_service["actions"].items():
            lines += ["", f"**{name}**: {action['summary']}", *_rules(action["rules"])]
    return "\n".join(lines) + "\n"


def _rules(rules: list[dict[str, str]]) -> list[str]:
    return [f"- `{rule['code']}` {rule['rule']} ({_source(rule)}: {rule['where']})" for rule in rules]


def _source(rule: dict[str, str]) -> str:
    return f"{rule['source']} {rule['page']}".rstrip()


def _assumed(data: dict[str, Any]) -> list[str]:
    """The assumed rules, each with the services that have it."""
    of: dict[str, list[str]] = {line: ["every action"] for line in _rules(_only_assumed(data["common"]))}
    for service, of_service in data["services"].items():
        for action in of_service["actions"].values():
            for line in _rules(_only_assumed(action["rules"])):
                services = of.setdefault(line, [])
                if service not in services:
                    services.append(service)
    return [f"{line} [{', '.join(services)}]" for line, services in of.items()]


def _only_assumed(rules: list[dict[str, str]]) -> list[dict[str, str]]:
    return [rule for rule in rules if rule["source"] == "assumed"]
