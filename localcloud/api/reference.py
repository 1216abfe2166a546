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
        "Each rule says where it comes from: **documented** (a public page of Tencent's, or the text of its SDK),",
        "**provider** (terraform-provider-tencentcloud relies on it), **assumed** (nothing",
        "public says so). A rule that stands at several actions is printed at each.",
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
    return [f"- `{rule['code']}` {rule['rule']} ({rule['source']}: {rule['where']})" for rule in rules]
