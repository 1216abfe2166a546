from __future__ import annotations

from typing import Any

import pytest

from samples.iam.stand_in import ladon
from samples.iam.stand_in.codes import BIND, VALIDATION, CodedError


def policy(name: str = "p", effect: str = "allow", **given: Any) -> dict[str, Any]:
    base = {"subjects": ["users:<hc|bob>"], "actions": ["<read|list>"], "resources": ["res:<.*>"], "effect": effect}
    return ladon.to_json(name, {**base, **given})


READ = ladon.Asked("users:hc", "read", "res:1")


@pytest.mark.parametrize(
    ("asked", "policies", "allowed", "reason"),
    [
        pytest.param(READ, [policy()], True, "", id="a matching allow policy allows"),
        pytest.param(READ, [], False, ladon.BY_DEFAULT, id="no policy denies"),
        pytest.param(
            ladon.Asked("users:eve", "read", "res:1"), [policy()], False, ladon.BY_DEFAULT, id="other subject"
        ),
        pytest.param(
            READ, [policy(), policy("d", "deny")], False, ladon.FORCEFULLY, id="allow, then deny"
        ),
        pytest.param(
            READ, [policy("d", "deny"), policy()], False, ladon.FORCEFULLY, id="deny, then allow"
        ),
        pytest.param(
            ladon.Asked("users:hc", "read", "res:1"), [policy(effect="")], False, ladon.FORCEFULLY, id="empty effect"
        ),
        pytest.param(
            ladon.Asked("users:hcx", "read", "res:1"), [policy()], False, ladon.BY_DEFAULT, id="complete match"
        ),
        pytest.param(
            ladon.Asked("a.c", "x", "y"),
            [policy(subjects=["a.c"], actions=["x"], resources=["y"])],
            True, "", id="a template without <> is compared literally",
        ),
        pytest.param(
            ladon.Asked("abc", "x", "y"),
            [policy(subjects=["a.c<>"], actions=["x"], resources=["y"])],
            False, ladon.BY_DEFAULT, id="a dot outside <> is literal",
        ),
        pytest.param(
            ladon.Asked("u<v>", "x", "y"),
            [policy(subjects=["u<.v.>"], actions=["x"], resources=["y"])],
            True, "", id="a pattern can match brackets in the value",
        ),
    ],
)  # fmt: skip
def test_policies_decide_a_request(asked: ladon.Asked, policies: list[Any], *, allowed: bool, reason: str) -> None:
    decision = ladon.decide(asked, policies)
    assert (decision.allowed, decision.reason) == (allowed, reason)


@pytest.mark.parametrize(
    ("kind", "options", "value", "fulfilled"),
    [
        ("StringEqualCondition", {"equals": "x"}, "x", True),
        ("StringEqualCondition", {"equals": "x"}, None, False),
        ("StringMatchCondition", {"matches": "b+"}, "abbc", True),
        ("StringMatchCondition", {"matches": "^b+$"}, "abbc", False),
        ("StringPairsEqualCondition", {}, [["a", "a"], ["b", "b"]], True),
        ("StringPairsEqualCondition", {}, [["a", "b"]], False),
        ("StringPairsEqualCondition", {}, "aa", False),
        ("CIDRCondition", {"cidr": "192.168.0.0/16"}, "192.168.3.4", True),
        ("CIDRCondition", {"cidr": "192.168.0.0/16"}, "10.0.0.1", False),
        ("CIDRCondition", {"cidr": "192.168.0.0/16"}, "no address", False),
        ("EqualsSubjectCondition", {}, "users:hc", True),
        ("EqualsSubjectCondition", {}, "users:eve", False),
        ("ResourceContainsCondition", {}, {"value": "1", "delimiter": ":"}, True),
        ("ResourceContainsCondition", {}, {"value": "es", "delimiter": ":"}, False),
        ("ResourceContainsCondition", {}, {"value": "es"}, True),
        ("BooleanCondition", {"value": True}, True, True),
        ("BooleanCondition", {"value": True}, False, False),
        ("BooleanCondition", {"value": True}, 1, False),
    ],
)
def test_conditions_must_be_fulfilled_in_addition_to_the_match(
    kind: str, options: dict[str, Any], value: Any, *, fulfilled: bool
) -> None:
    conditioned = policy(conditions={"key": {"type": kind, "options": options}})
    asked = ladon.Asked("users:hc", "read", "res:1", context={} if value is None else {"key": value})
    assert ladon.decide(asked, [conditioned]).allowed is fulfilled


def test_an_unknown_condition_is_rejected_when_the_policy_is_created() -> None:
    with pytest.raises(CodedError) as error:
        policy(conditions={"key": {"type": "FullMoonCondition"}})
    assert error.value.code is BIND
    assert "StringEqualCondition" in str(error.value)


def test_an_effect_other_than_allow_or_deny_is_rejected() -> None:
    with pytest.raises(CodedError) as error:
        policy(effect="maybe")
    assert error.value.code is VALIDATION


@pytest.mark.parametrize("template", ["<unclosed", "closed>twice>", "<(>"])
def test_an_invalid_pattern_is_named_in_the_error(template: str) -> None:
    broken = policy(subjects=[f"<>{template}"])
    with pytest.raises(ladon.PatternError) as error:
        ladon.decide(READ, [broken])
    assert template in str(error.value)


def test_deciders_are_the_matching_policies_up_to_the_deny() -> None:
    decision = ladon.decide(READ, [policy("a"), policy("b", subjects=["nobody"]), policy("d", "deny"), policy("e")])
    assert [decider["id"] for decider in decision.deciders] == ["a", "d"]
