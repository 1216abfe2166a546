from __future__ import annotations

import json
import time
from typing import Any

from iam_site import ADMIN_PASSWORD, Site, sign

from samples.iam.stand_in.audit import Record
from samples.iam.stand_in.stores import AUDIT_LIST

ALLOW = {"subjects": ["users:<.*>"], "actions": ["read"], "resources": ["res:<.*>"], "effect": "allow"}
QUESTION = {"subject": "users:hc", "action": "read", "resource": "res:1"}


def wait_for(condition: Any, deadline_s: float = 5) -> None:
    until = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def make_grant(iam: Site, policy: dict[str, Any] = ALLOW) -> tuple[dict[str, str], dict[str, Any]]:
    """Log in as administrator and create a secret and a policy. Returns the Authorization header and the secret."""
    admin = iam.login("admin", ADMIN_PASSWORD)
    iam.send("apiserver", "POST", "/v1/policies", {"metadata": {"name": "p"}, "policy": policy}, admin)
    secret = json.loads(iam.send("apiserver", "POST", "/v1/secrets", {"metadata": {"name": "s"}}, admin)[2])
    iam.wait_until_cached(secret["secretID"])
    return admin, secret


def decision(iam: Site, secret: dict[str, Any], question: dict[str, Any] = QUESTION) -> dict[str, Any]:
    bearer = {"Authorization": f"Bearer {sign(secret)}"}
    return json.loads(iam.send("authz-server", "POST", "/v1/authz", question, bearer)[2])


def test_a_policy_change_takes_effect_without_a_restart(iam: Site) -> None:
    admin, secret = make_grant(iam)
    assert decision(iam, secret) == {"allowed": True}
    iam.send("apiserver", "PUT", "/v1/policies/p", {"policy": {**ALLOW, "effect": "deny"}}, admin)
    wait_for(lambda: decision(iam, secret).get("denied"))
    assert decision(iam, secret)["reason"] == "Request was forcefully denied"


def test_a_new_subscription_reloads_after_a_missed_notice(iam: Site) -> None:
    admin, secret = make_grant(iam)
    iam.messages.down = True  # the notice of the next change is lost
    iam.messages.cut()
    iam.send("apiserver", "DELETE", "/v1/policies/p", None, admin)
    assert decision(iam, secret) == {"allowed": True}
    iam.messages.down = False
    wait_for(lambda: decision(iam, secret).get("reason") == "list policies failed")


def test_without_the_apiserver_decisions_use_the_cache_and_a_failed_reload_is_repeated(iam: Site) -> None:
    admin, secret = make_grant(iam)
    iam.store.down = True
    iam.messages.publish("iam.cluster.notifications", "{}")
    wait_for(lambda: "keeping the old ones" in iam.log.getvalue())
    assert decision(iam, secret) == {"allowed": True}
    iam.store.down = False
    iam.store.delete_policies("admin", ["p"])
    # The failed reload is repeated without another notice.
    wait_for(lambda: decision(iam, secret).get("reason") == "list policies failed")
    assert admin


def test_conditions_use_the_context_of_the_request(iam: Site) -> None:
    conditions = {"address": {"type": "CIDRCondition", "options": {"cidr": "10.0.0.0/8"}}}
    _, secret = make_grant(iam, {**ALLOW, "conditions": conditions})
    assert decision(iam, secret, {**QUESTION, "context": {"address": "10.1.2.3"}}) == {"allowed": True}
    assert decision(iam, secret, {**QUESTION, "context": {"address": "192.168.0.1"}})["denied"]
    assert decision(iam, secret)["denied"]


def test_the_context_of_a_request_cannot_override_the_owner(iam: Site) -> None:
    conditions = {"username": {"type": "StringEqualCondition", "options": {"equals": "root"}}}
    _, secret = make_grant(iam, {**ALLOW, "conditions": conditions})
    assert decision(iam, secret, {**QUESTION, "context": {"username": "root"}})["denied"]


def test_an_invalid_pattern_denies_access_and_is_reported_as_the_reason(iam: Site) -> None:
    _, secret = make_grant(iam, {**ALLOW, "subjects": ["users:<(>"]})
    assert "users:<(>" in decision(iam, secret)["reason"]


def test_each_decision_writes_one_audit_record_and_a_missing_policy_list_none(iam: Site) -> None:
    admin, secret = make_grant(iam)
    decision(iam, secret)
    decision(iam, secret, {**QUESTION, "action": "delete"})
    wait_for(lambda: len(iam.messages.lists.get(AUDIT_LIST, [])) == 2)
    iam.send("apiserver", "DELETE", "/v1/policies/p", None, admin)
    wait_for(lambda: decision(iam, secret).get("reason") == "list policies failed")
    time.sleep(0.1)
    records = [Record.unpack(data) for data in iam.messages.lists[AUDIT_LIST]]
    assert [(record.effect, record.conclusion) for record in records[:2]] == [
        ("allow", "policies p allow access"),
        ("deny", "no policy allowed access"),
    ]
    assert json.loads(records[0].request) == {**QUESTION, "context": {"username": "admin"}}
    # Decisions before the deletion of the policy are recorded, later ones are not.
    assert all(record.effect == "allow" for record in records[2:])


def test_pending_audit_records_are_sent_before_the_process_exits(iam: Site) -> None:
    _, secret = make_grant(iam)
    for _ in range(50):
        decision(iam, secret)
    assert iam.recorder
    iam.recorder.finish()
    assert len(iam.messages.lists[AUDIT_LIST]) == 50


def test_without_redis_decisions_continue_and_their_records_are_sent_later(iam: Site) -> None:
    _, secret = make_grant(iam)
    iam.messages.down = True
    assert decision(iam, secret) == {"allowed": True}
    wait_for(lambda: "audit records wait for redis" in iam.log.getvalue())
    iam.messages.down = False
    wait_for(lambda: len(iam.messages.lists.get(AUDIT_LIST, [])) == 1)
