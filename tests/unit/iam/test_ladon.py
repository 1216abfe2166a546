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
        pytest.param(READ, [policy()], True, "", id="an allowing policy that matches allows"),
        pytest.param(READ, [], False, ladon.BY_DEFAULT, id="no policy at all denies"),
        pytest.param(
            ladon.Asked("users:eve", "read", "res:1"), [policy()], False, ladon.BY_DEFAULT, id="another subject"
        ),
        pytest.param(
            READ, [policy(), policy("d", "deny")], False, ladon.FORCEFULLY, id="a deny wins over an allow before it"
        ),
        pytest.param(
            READ, [policy("d", "deny"), policy()], False, ladon.FORCEFULLY, id="a deny wins over an allow after it"
        ),
        pytest.param(
            ladon.Asked("users:hc", "read", "res:1"), [policy(effect="")], False, ladon.FORCEFULLY, id="none = deny"
        ),
        pytest.param(
            ladon.Asked("users:hcx", "read", "res:1"), [policy()], False, ladon.BY_DEFAULT, id="whole words"
        ),
        pytest.param(
            ladon.Asked("a.c", "x", "y"),
            [policy(subjects=["a.c"], actions=["x"], resources=["y"])],
            True, "", id="without <> a template is compared as it stands",
        ),
        pytest.param(
            ladon.Asked("abc", "x", "y"),
            [policy(subjects=["a.c<>"], actions=["x"], resources=["y"])],
            False, ladon.BY_DEFAULT, id="outside of <> a dot is a dot",
        ),
        pytest.param(
            ladon.Asked("u<v>", "x", "y"),
            [policy(subjects=["u<.v.>"], actions=["x"], resources=["y"])],
            True, "", id="a pattern may match brackets in the value",
        ),
    ],
)  # fmt: skip
def test_policies_decide(asked: ladon.Asked, policies: list[Any], *, allowed: bool, reason: str) -> None:
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
def test_a_condition_must_hold_beside_the_match(
    kind: str, options: dict[str, Any], value: Any, *, fulfilled: bool
) -> None:
    conditioned = policy(conditions={"key": {"type": kind, "options": options}})
    asked = ladon.Asked("users:hc", "read", "res:1", context={} if value is None else {"key": value})
    assert ladon.decide(asked, [conditioned]).allowed is fulfilled


def test_an_unknown_condition_is_refused_when_the_policy_is_made() -> None:
    with pytest.raises(CodedError) as error:
        policy(conditions={"key": {"type": "FullMoonCondition"}})
    assert error.value.code is BIND
    assert "StringEqualCondition" in str(error.value)


def test_an_effect_that_is_neither_allow_nor_deny_is_refused() -> None:
    with pytest.raises(CodedError) as error:
        policy(effect="maybe")
    assert error.value.code is VALIDATION


@pytest.mark.parametrize("template", ["<unclosed", "closed>twice>", "<(>"])
def test_a_pattern_that_is_none_gives_a_reason(template: str) -> None:
    broken = policy(subjects=[f"<>{template}"])
    with pytest.raises(ladon.PatternError) as error:
        ladon.decide(READ, [broken])
    assert template in str(error.value)


def test_the_deciders_are_the_policies_that_matched_up_to_the_deny() -> None:
    decision = ladon.decide(READ, [policy("a"), policy("b", subjects=["nobody"]), policy("d", "deny"), policy("e")])
    assert [decider["id"] for decider in decision.deciders] == ["a", "d"]
