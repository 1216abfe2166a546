"""Which secrets are generated, and which resources change with a new generation."""

from __future__ import annotations

from collections import Counter
from typing import get_args

import pytest
from fake_cloud import Run
from program_runs import run

from settings.credentials import SecretName

# One worker, separate from the one of the other program runs: results are cached per process.

# The resources that are new or have other inputs after the generation of a secret is increased.
_CHANGED: dict[str, set[str]] = {
    # The key pair of the first generation stays, since nodes are bound to it (components/nodes.py).
    "deploymentKey": {"credentials-deployment-key-2", "nodes-key-2", "nodes.iam-a", "nodes.iam-b",
                      "host-keys.iam-a", "host-keys.iam-b"},
    "ca": {"credentials-ca-key-2", "credentials-ca", "credentials-server-certificate",
           "credentials-iam-a-certificate", "credentials-iam-b-certificate"},
    "serverCertificate": {"credentials-server-key-2", "credentials-server-request"},
    "nodeCertificates": {"credentials-iam-a-key-2", "credentials-iam-a-request",
                         "credentials-iam-b-key-2", "credentials-iam-b-request"},
    "mariadbPassword": {"credentials-mariadb-password"},
    "redisPassword": {"credentials-redis-password"},
    "jwtKey": {"credentials-jwt-key"},
    "adminPassword": {"credentials-admin-password"},
    "healthPassword": {"credentials-health-password"},
    "vrrpPassword": {"credentials-vrrp-password"},
    "backupKey": {"credentials-backup-key-2"},
}  # fmt: skip


def test_all_secrets_with_a_generation_are_tested() -> None:
    assert set(_CHANGED) == set(get_args(SecretName))


@pytest.mark.parametrize(("name", "expected"), _CHANGED.items())
def test_a_new_generation_changes_only_one_secret(name: str, expected: set[str]) -> None:
    before, after = _inputs(run("local")), _inputs(run("local", {"credentials": {"generation": {name: 2}}}))
    changed = {resource for resource in after if after[resource] != before.get(resource)}
    # Outputs of the mocks are derived from resource names: only a resource with a new name changes its dependents.
    assert changed - {"rollout"} == expected


def test_the_generation_of_a_password_is_its_keeper() -> None:
    after = run("local", {"credentials": {"generation": {"jwtKey": 2}}})
    assert after.get("credentials-jwt-key").inputs["keepers"] == {"generation": "2"}


@pytest.mark.parametrize(
    "names", [("server", "backup"), ("ca", "deployment"), ("web", "web-host"), ("site-www", "web")]
)
def test_each_resource_has_its_own_name_whatever_the_nodes_are_called(names: tuple[str, str]) -> None:
    members = [{"name": name, "address": f"10.0.4.{20 + number}"} for number, name in enumerate(names)]
    changes = {"nodes.members": members, "nginx.sites": [{"hosts": ["www"], "root": "/srv/www"}]}
    declared = Counter((each.type, each.name) for each in run("local", changes).resources)
    assert [key for key, count in declared.items() if count > 1] == []


def test_a_long_host_name_fits_into_the_subject_of_its_certificate() -> None:
    """Clients only read the names; a common name has at most 64 characters (RFC 5280, ub-common-name)."""
    host = f"{'a' * 50}.api.example.com"
    request = run("local", {"domains.api": host}).get("credentials-server-request").inputs
    assert request["dnsNames"][0] == host
    assert len(request["subject"]["commonName"]) <= 64


def test_a_given_secret_is_not_generated() -> None:
    given = {"jwtKey": "given-jwt-password", "redisPassword": "given-redis-password"}
    declared = run("local", {"credentials": {"given": given}})
    not_generated = _inputs(run("local")).keys() - _inputs(declared).keys()
    assert not_generated == {"credentials-jwt-key", "credentials-redis-password"}
    rollout = declared.get("rollout")
    assert rollout.inputs["secrets"].items() >= {
        ("jwt_key", "given-jwt-password"), ("redis_password", "given-redis-password"),
    }  # fmt: skip
    assert "secrets" in rollout.secret_inputs


def test_the_deployment_key_is_an_rsa_key_which_the_cloud_can_import() -> None:
    declared = run("local")
    key = declared.get("credentials-deployment-key").inputs
    assert (key["algorithm"], key["rsaBits"]) == ("RSA", 4096)
    assert declared.get("nodes-key").inputs["publicKey"] == "credentials-deployment-key.publicKeyOpenssh"


def test_the_ca_is_not_renewed_early() -> None:
    declared = run("prod")
    assert "earlyRenewalHours" not in declared.get("credentials-ca").inputs
    for each in declared.of_kind("index/locallySignedCert"):
        assert each.inputs["earlyRenewalHours"] == 720


def _inputs(declared: Run) -> dict[str, object]:
    return {each.name: each.inputs for each in declared.resources}
