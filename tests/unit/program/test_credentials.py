"""Which secret is made, when, and what is made anew with it."""

from __future__ import annotations

from typing import get_args

import pytest
from fake_cloud import Run
from program_runs import run

from settings.credentials import SecretName

# On one worker, beside the one of the other runs: each run of the program is made once in a process.
pytestmark = pytest.mark.xdist_group("changes of the program")

# What is another resource, or has other inputs, once one secret's number was raised. All else stays as it is.
_MADE_ANEW: dict[str, set[str]] = {
    "ca": {"credentials-ca-key-2", "credentials-ca", "credentials-server-certificate",
           "credentials-iam-a-certificate", "credentials-iam-b-certificate"},
    "serverCertificate": {"credentials-server-key-2", "credentials-server-request"},
    "nodeCertificates": {"credentials-iam-a-key-2", "credentials-iam-a-request",
                         "credentials-iam-b-key-2", "credentials-iam-b-request"},
    "mariadbPassword": {"credentials-mariadb-password"},
    "redisPassword": {"credentials-redis-password"},
    "jwtKey": {"credentials-jwt-key"},
    "adminPassword": {"credentials-admin-password"},
    "vrrpPassword": {"credentials-vrrp-password"},
}  # fmt: skip


def test_every_secret_that_can_be_made_anew_is_looked_at() -> None:
    assert set(_MADE_ANEW) == set(get_args(SecretName))


@pytest.mark.parametrize(("name", "expected"), _MADE_ANEW.items())
def test_a_raised_number_makes_one_secret_anew_and_no_other(name: str, expected: set[str]) -> None:
    before, after = _inputs(run("local")), _inputs(run("local", {"credentials": {"generation": {name: 2}}}))
    changed = {resource for resource in after if after[resource] != before.get(resource)}
    # The mocks answer with names: a password's new value does not show in what uses it, another key's name does.
    assert changed - {"rollout"} == expected


def test_a_raised_number_of_a_password_is_what_it_is_kept_by() -> None:
    after = run("local", {"credentials": {"generation": {"jwtKey": 2}}})
    assert after.get("credentials-jwt-key").inputs["keepers"] == {"generation": "2"}


def test_a_secret_that_was_given_is_not_made() -> None:
    given = {"jwtKey": "given-jwt-password", "redisPassword": "given-redis-password"}
    declared = run("local", {"credentials": {"given": given}})
    made = _inputs(run("local")).keys() - _inputs(declared).keys()
    assert made == {"credentials-jwt-key", "credentials-redis-password"}
    rollout = declared.get("rollout")
    assert rollout.inputs["secrets"].items() >= {
        ("jwt_key", "given-jwt-password"), ("redis_password", "given-redis-password"),
    }  # fmt: skip
    assert "secrets" in rollout.secret_inputs


def test_nodes_are_logged_in_to_by_an_rsa_key_which_is_all_that_the_cloud_imports() -> None:
    declared = run("local")
    key = declared.get("credentials-deployment-key").inputs
    assert (key["algorithm"], key["rsaBits"]) == ("RSA", 4096)
    assert declared.get("nodes-key").inputs["publicKey"] == "credentials-deployment-key.publicKeyOpenssh"


def test_the_ca_never_renews_with_its_leaves() -> None:
    declared = run("prod")
    assert "earlyRenewalHours" not in declared.get("credentials-ca").inputs
    for each in declared.of_kind("index/locallySignedCert"):
        assert each.inputs["earlyRenewalHours"] == 720


def _inputs(declared: Run) -> dict[str, object]:
    return {each.name: each.inputs for each in declared.resources}
