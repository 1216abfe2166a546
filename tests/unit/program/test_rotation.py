"""Rotation of secrets in the program: what is announced, what is refused, and which account and key pair are used."""

from __future__ import annotations

import json
from typing import Any

import pytest
from program_runs import run
from settings_samples import EXTERNAL, GIVEN, parse, sections, with_values

from components.announcements import find_announcements
from components.changes import check_deployment_key, list_key_generations
from components.rollout import refuse_a_password_in_place
from provisioning.deployment import make_deployment
from provisioning.errors import ProvisioningError
from provisioning.exports import Exports, parse_exports
from provisioning.kinds.remote_account import RemoteAccount
from provisioning.manifest_rendering import render
from settings.sections import Settings

_C = {"name": "iam-c", "address": "10.0.4.22"}


def settings(**changes: Any) -> Settings:
    return parse(with_values(sections(), {key.replace("__", "."): value for key, value in changes.items()}))


def deployed(changes: dict[str, Any] | None = None, **exports: Any) -> Exports:
    parsed = parse_exports({**run("local", changes or {}).exports, **exports})
    assert parsed is not None
    return parsed


def generation(name: str, number: int = 2) -> Settings:
    return settings(credentials={"generation": {name: number}})


# ---- announcements -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requested", "text"),
    [
        pytest.param(generation("jwtKey"), "jwtKey changes from 1 to 2: iam-apiserver has one key at a time", id="JWT"),
        pytest.param(generation("adminPassword"), "the old password of the account admin is refused", id="admin"),
        pytest.param(generation("ca"), "must trust the new one", id="CA"),
        pytest.param(settings(keepalived={"virtualRouterId": 52}), "no other node can take over", id="router id"),
        pytest.param(settings(keepalived={"profile": "balanced"}), "tandem:keepalived.profile changes", id="profile"),
        pytest.param(settings(keepalived={"mode": "preempt"}), "tandem:keepalived.mode changes", id="mode"),
    ],
)
def test_an_effect_that_users_notice_is_announced(requested: Settings, text: str) -> None:
    (line,) = find_announcements(requested, deployed())
    assert text in line


@pytest.mark.parametrize("name", ["mariadbPassword", "redisPassword", "nodeCertificates", "serverCertificate",
                                  "deploymentKey", "vrrpPassword", "healthPassword"])  # fmt: skip
def test_a_rotation_that_nobody_notices_is_not_announced(name: str) -> None:
    """The VRRP password is only used with the profile seed."""
    assert list(find_announcements(generation(name), deployed())) == []


def test_the_vrrp_password_of_the_profile_seed_is_announced() -> None:
    seed = {"keepalived": {"profile": "seed"}}
    before = deployed(seed)
    after = settings(**seed, credentials={"generation": {"vrrpPassword": 2}})
    assert "generation.vrrpPassword changes" in next(find_announcements(after, before))


def test_unchanged_settings_announce_nothing() -> None:
    assert list(find_announcements(settings(), deployed())) == []


# ---- MariaDB -------------------------------------------------------------------------------------------------------


def test_each_generation_of_the_mariadb_password_has_its_own_account() -> None:
    assert make_deployment(settings(), "tandem-local").data.username == "iam"
    assert make_deployment(generation("mariadbPassword", 3), "tandem-local").data.username == "iam_g3"


def test_a_given_mariadb_password_can_be_rotated_with_its_generation() -> None:
    given = {"mariadbPassword": "p" * 20}
    values = with_values(sections(), {"credentials": {"given": given, "generation": {"mariadbPassword": 2}}})
    rotated = parse(values, encrypted_sections=frozenset({"credentials"}))
    assert make_deployment(rotated, "tandem-local").data.username == "iam_g2"


def test_an_administrator_creates_an_account_of_each_generation_on_an_external_database() -> None:
    given = {"redisPassword": "p" * 20, "mariadbAdministratorPassword": "q" * 20}
    data = {**EXTERNAL, "administrator": "dba"}
    changes = {"data": data, "credentials": {"given": given, "generation": {"mariadbPassword": 2}}}
    rotated = parse(with_values(sections(), changes), encrypted_sections=frozenset({"credentials"}))
    manifests = render(make_deployment(rotated, "tandem-local"))
    found = [item for manifest in manifests.values() for item in manifest.items if isinstance(item, RemoteAccount)]
    assert [(item.user, item.host) for item in found] == [("iam_g2", "10.0.4.20"), ("iam_g2", "10.0.4.21")]
    secrets = run("local", changes).get("rollout").inputs["secrets"]
    assert secrets["mariadb_administrator_password"] == "q" * 20
    assert secrets["mariadb_iam_password"] == "credentials-mariadb-password.result"


def rollout_inputs(changes: dict[str, Any], password: str) -> dict[str, Any]:
    inputs = run("local", changes).get("rollout").inputs
    plain = json.loads(json.dumps(inputs))
    return {**plain, "secrets": {**plain["secrets"], "mariadb_iam_password": password}}


def test_a_new_password_for_an_account_in_use_is_refused() -> None:
    with pytest.raises(ProvisioningError, match="cannot be changed in place") as caught:
        refuse_a_password_in_place(rollout_inputs({}, "old"), rollout_inputs({}, "new"))
    assert "generation.mariadbPassword" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "password"),
    [
        pytest.param({}, "old", id="nothing changes"),
        pytest.param({"credentials": {"generation": {"mariadbPassword": 2}}}, "new", id="a second account"),
        pytest.param({"data": {**EXTERNAL, "location": "moved"}, "credentials": {"given": GIVEN}}, "new", id="moved"),
    ],
)
def test_other_changes_of_the_password_are_accepted(changes: dict[str, Any], password: str) -> None:
    refuse_a_password_in_place(rollout_inputs({}, "old"), rollout_inputs(changes, password))


# ---- the deployment key --------------------------------------------------------------------------------------------


def test_key_pairs_of_earlier_generations_are_kept() -> None:
    """The provider would stop all nodes that were created with them."""
    assert list_key_generations(settings(), None) == ("1",)
    assert list_key_generations(generation("deploymentKey"), None) == ("2",)
    assert list_key_generations(generation("deploymentKey"), deployed()) == ("1", "2")
    assert list_key_generations(generation("deploymentKey", 3), deployed(key_generations=["1", "2"])) == ("1", "2", "3")


def test_key_pairs_are_never_replaced() -> None:
    pairs = run("local").of_kind("Key/pair")
    assert pairs
    for each in pairs:
        assert each.ignores == {"publicKey"}


def test_an_earlier_generation_of_the_deployment_key_is_refused() -> None:
    (problem,) = check_deployment_key(settings(), deployed(key_generations=["1", "2"]))
    assert "cannot be reduced (current 2, requested 1)" in problem.text


def test_a_new_key_together_with_a_new_node_behind_a_bastion_is_refused() -> None:
    bastion = {"access.mode": "bastion"}
    members = [*sections()["nodes"]["members"], _C]
    requested = parse(
        with_values(
            sections(),
            {**bastion, "credentials": {"generation": {"deploymentKey": 2}}, "nodes.members": members},
        )
    )
    (problem,) = check_deployment_key(requested, deployed(bastion))
    assert "in the `up` that adds iam-c" in problem.text
