"""Behaviour that the recording does not cover: permissions, an unavailable database, and other parts of the API."""

from __future__ import annotations

import json
from typing import Any

import pytest
from iam_fakes import MemoryStore
from iam_site import ADMIN_PASSWORD, KEY, Site, make_admin

from samples.iam.stand_in.login import Tokens
from samples.iam.stand_in.messages import Request
from samples.iam.stand_in.sessions import Sessions
from samples.iam.stand_in.stores import StoreError


def code_of(answer: tuple[int, dict[str, str], str]) -> tuple[int, int]:
    return answer[0], json.loads(answer[2])["code"]


def user(name: str, **given: Any) -> dict[str, Any]:
    body = {"metadata": {"name": name}, "nickname": name, "password": "Demo@2026x", "email": f"{name}@example.com"}
    return {**body, **given}


def make_demo(iam: Site) -> dict[str, str]:
    assert iam.send("apiserver", "POST", "/v1/users", user("demo"))[0] == 200
    return iam.login("demo", "Demo@2026x")


def test_a_user_may_change_only_their_own_profile(iam: Site) -> None:
    demo = make_demo(iam)
    body = {"nickname": "new", "email": "new@example.com", "phone": "1", "metadata": {"extend": {"team": "x"}}}
    status, _, text = iam.send("apiserver", "PUT", "/v1/users/demo", body, demo)
    shown = json.loads(text)
    assert (status, shown["nickname"], shown["metadata"]["extend"]) == (200, "new", {"team": "x"})
    assert code_of(iam.send("apiserver", "PUT", "/v1/users/admin", body, demo)) == (403, 100207)


def test_a_password_change_requires_the_old_password_and_a_valid_new_one(iam: Site) -> None:
    demo = make_demo(iam)
    path = "/v1/users/demo/change-password"
    wrong = {"oldPassword": "Wrong@2026", "newPassword": "Demo@2026y"}
    assert code_of(iam.send("apiserver", "PUT", path, wrong, demo)) == (401, 100206)
    weak = {"oldPassword": "Demo@2026x", "newPassword": "weak"}
    assert code_of(iam.send("apiserver", "PUT", path, weak, demo)) == (400, 100004)
    right = {"oldPassword": "Demo@2026x", "newPassword": "Demo@2026y"}
    assert iam.send("apiserver", "PUT", path, right, demo)[0] == 200
    assert iam.login("demo", "Demo@2026y")


@pytest.mark.parametrize(
    "wrong",
    [
        {"email": "no address"},
        {"nickname": ""},
        {"nickname": "x" * 31},
        {"password": "NoDigits@here"},
        {"metadata": {"name": "-dash"}},
        {"metadata": {"name": ""}},
    ],
)
def test_an_invalid_user_is_refused(iam: Site, wrong: dict[str, Any]) -> None:
    assert code_of(iam.send("apiserver", "POST", "/v1/users", user("demo", **wrong))) == (400, 100004)


def test_a_field_of_the_wrong_type_is_refused_as_unreadable(iam: Site) -> None:
    assert code_of(iam.send("apiserver", "POST", "/v1/users", user("demo", nickname=7))) == (400, 100003)
    assert code_of(iam.send("apiserver", "POST", "/v1/users", [1])) == (400, 100003)


def test_lists_have_pages_and_can_be_searched_by_name(iam: Site) -> None:
    admin = iam.login("admin", ADMIN_PASSWORD)
    for name in ("anna", "anton", "bert"):
        iam.send("apiserver", "POST", "/v1/users", user(name))

    def names(query: str) -> tuple[int, list[str]]:
        listed = json.loads(iam.send("apiserver", "GET", f"/v1/users?{query}", None, admin)[2])
        return listed["totalCount"], [item["metadata"]["name"] for item in listed["items"]]

    assert names("limit=2") == (4, ["bert", "anton"])
    assert names("offset=2&limit=2") == (4, ["anna", "admin"])
    assert names("fieldSelector=name%3Dan") == (2, ["anton", "anna"])


def test_only_an_administrator_may_delete_several_users_in_one_request(iam: Site) -> None:
    admin, demo = iam.login("admin", ADMIN_PASSWORD), make_demo(iam)
    for name in ("anna", "bert"):
        iam.send("apiserver", "POST", "/v1/users", user(name))
    assert code_of(iam.send("apiserver", "DELETE", "/v1/users?name=anna", None, demo)) == (403, 100207)
    assert iam.send("apiserver", "DELETE", "/v1/users?name=anna&name=bert", None, admin)[0] == 200
    assert {user.metadata.name for user in iam.store.users} == {"admin", "demo"}


def test_only_the_owner_may_access_secrets_and_policies(iam: Site) -> None:
    admin, demo = iam.login("admin", ADMIN_PASSWORD), make_demo(iam)
    iam.send("apiserver", "POST", "/v1/secrets", {"metadata": {"name": "s"}}, admin)
    iam.send("apiserver", "POST", "/v1/policies", {"metadata": {"name": "p"}, "policy": {}}, admin)
    assert code_of(iam.send("apiserver", "GET", "/v1/secrets/s", None, demo)) == (404, 110102)
    assert code_of(iam.send("apiserver", "GET", "/v1/policies/p", None, demo)) == (404, 110201)
    iam.send("apiserver", "DELETE", "/v1/secrets/s", None, demo)
    iam.send("apiserver", "DELETE", "/v1/policies?name=p", None, demo)
    assert len(iam.store.secrets) == len(iam.store.policies) == 1


def test_a_secret_keeps_its_key_when_its_description_changes(iam: Site) -> None:
    admin = iam.login("admin", ADMIN_PASSWORD)
    made = json.loads(iam.send("apiserver", "POST", "/v1/secrets", {"metadata": {"name": "s"}}, admin)[2])
    body = {"expires": 12, "description": "new"}
    changed = json.loads(iam.send("apiserver", "PUT", "/v1/secrets/s", body, admin)[2])
    assert (changed["expires"], changed["description"]) == (12, "new")
    assert changed["secretKey"] == made["secretKey"]
    assert code_of(iam.send("apiserver", "PUT", "/v1/secrets/none", body, admin)) == (500, 100101)


def test_a_policy_can_be_replaced_and_a_deleted_policy_is_kept_for_the_audit(iam: Site) -> None:
    admin = iam.login("admin", ADMIN_PASSWORD)
    iam.send("apiserver", "POST", "/v1/policies", {"metadata": {"name": "p"}, "policy": {"effect": "allow"}}, admin)
    changed = iam.send("apiserver", "PUT", "/v1/policies/p", {"policy": {"effect": "deny", "actions": ["x"]}}, admin)
    assert json.loads(changed[2])["policy"] == {
        "id": "p", "description": "", "subjects": None, "effect": "deny", "resources": None, "actions": ["x"],
        "conditions": {}, "meta": None,
    }  # fmt: skip
    assert iam.send("apiserver", "DELETE", "/v1/policies?name=p", None, admin)[0] == 200
    assert [policy.metadata.name for policy in iam.store.policy_audit] == ["p"]


@pytest.mark.parametrize(
    ("method", "path", "command"),
    [
        ("POST", "/v1/secrets", "SecretChanged"),
        ("PUT", "/v1/secrets/x", "SecretChanged"),
        ("DELETE", "/v1/secrets/x", "SecretChanged"),
        ("POST", "/v1/policies", "PolicyChanged"),
        ("PUT", "/v1/policies/x", "PolicyChanged"),
        ("DELETE", "/v1/policies/x", "PolicyChanged"),
    ],
)
def test_every_change_publishes_a_notice(iam: Site, method: str, path: str, command: str) -> None:
    admin = iam.login("admin", ADMIN_PASSWORD)
    body = {"metadata": {"name": "x"}, "policy": {}}
    for kind in ("secrets", "policies"):
        iam.send("apiserver", "POST", f"/v1/{kind}", body, admin)
    before = len(iam.messages.published)
    assert iam.send("apiserver", method, path, body, admin)[0] == 200
    channel, text = iam.messages.published[before]
    assert channel == "iam.cluster.notifications"
    assert json.loads(text)["command"] == command


def test_a_failed_request_publishes_no_notice(iam: Site) -> None:
    admin = iam.login("admin", ADMIN_PASSWORD)
    before = len(iam.messages.published)
    iam.send("apiserver", "POST", "/v1/secrets", {"metadata": {"name": "!"}}, admin)
    assert len(iam.messages.published) == before


def test_without_redis_a_change_is_stored_and_the_lost_notice_is_logged(iam: Site) -> None:
    admin = iam.login("admin", ADMIN_PASSWORD)
    iam.messages.down = True
    assert iam.send("apiserver", "POST", "/v1/secrets", {"metadata": {"name": "s"}}, admin)[0] == 200
    assert len(iam.store.secrets) == 1
    assert "publish redis message failed" in iam.log.getvalue()


def test_without_the_database_logins_and_requests_fail_and_healthz_succeeds(iam: Site) -> None:
    admin = iam.login("admin", ADMIN_PASSWORD)
    iam.store.down = True
    wrong = iam.send("apiserver", "POST", "/login", {"username": "admin", "password": ADMIN_PASSWORD})
    assert (wrong[0], json.loads(wrong[2])) == (401, {"message": "incorrect Username or Password"})
    assert code_of(iam.send("apiserver", "GET", "/v1/secrets", None, admin)) == (500, 100101)
    assert code_of(iam.send("apiserver", "GET", "/v1/users", None, admin)) == (403, 100207)
    assert iam.send("apiserver", "GET", "/healthz")[0] == 200


class _ReadOnlyStore(MemoryStore):
    def save_user(self, user: Any) -> None:
        del user
        raise StoreError("--read-only")


def test_a_login_succeeds_with_a_read_only_database() -> None:

    store = _ReadOnlyStore()
    make_admin(store)
    body = json.dumps({"username": "admin", "password": ADMIN_PASSWORD}).encode()
    answer = Sessions(store, Tokens(KEY, 60, 60), "iam jwt").login(Request("POST", "/login", {}, body))
    assert answer.status == 200
