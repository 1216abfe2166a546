"""The examples without the IAM services: samples/web and samples/pair."""

from __future__ import annotations

import re
from typing import Any

import pytest
from program_runs import run
from settings_samples import parse, problems_of, sections, with_value

SAMPLES = ["web", "pair"]


def without_domains(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != "domains"}


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_examples_are_valid(sample: str) -> None:
    assert problems_of(sections(sample)) == ()


@pytest.mark.parametrize("sample", SAMPLES)
def test_no_credential_of_the_iam_services_is_generated(sample: str) -> None:
    declared = run("local", {}), run(sample)
    names = [{each.name.removeprefix("credentials-") for each in one.resources} for one in declared]
    for secret in ("mariadb-password", "redis-password", "jwt-key", "admin-password", "health-password", "backup-key"):
        assert secret in names[0]
        assert secret not in names[1]
    assert not [name for name in names[1] if name.startswith(("web-a-key", "web-a-certificate"))]


@pytest.mark.parametrize("sample", SAMPLES)
def test_no_node_has_a_data_disk(sample: str) -> None:
    assert run("local", {}).of_kind("Cbs/storage")
    assert run(sample).of_kind("Cbs/storage") == []


def test_every_secret_of_the_manifests_has_a_value() -> None:
    rollout = next(each for each in run("web").resources if each.type.endswith("Rollout"))
    text = str(rollout.inputs["files"]) + str(rollout.inputs["manifests"])
    known = {**rollout.inputs["values"], **rollout.inputs["secrets"]}
    used = set(re.findall(r"@@secret:([A-Za-z0-9_.-]+)", text))
    missing = {name for name in used - known.keys() if not name.startswith("host_key.")}
    assert missing == set()


def test_health_asks_for_the_sites_of_the_settings() -> None:
    health = next(each for each in run("web").resources if each.type.endswith("Health"))
    assert health.inputs["sites"] == {
        "www.example.com": {"domain": "www.example.com", "https": True, "http": "redirect", "default": False}
    }
    assert health.inputs["password"] == ""
    assert health.inputs["authorities"] == {"www.example.com": run("web").exports["ca_certificate"]}


def test_names_of_sites_in_the_zone_get_dns_records() -> None:
    records = run("web", {"dns": {"zone": "example.com"}}).of_kind("Dnspod/record")
    assert [each.inputs["subDomain"] for each in records] == ["www"]


def test_domains_are_required_with_the_iam_services_and_refused_without_them() -> None:
    found = problems_of(without_domains(sections("local")))
    assert [problem.key for problem in found] == ["tandem:domains.api", "tandem:domains.authz"]
    found = problems_of(with_value(sections("web"), "domains", sections("local")["domains"]))
    assert [problem.key for problem in found] == ["tandem:domains"]


def test_a_location_cannot_name_a_service_that_does_not_exist() -> None:
    values = with_value(sections("web"), "nginx.sites.0.locations.1.proxy", "iam-apiserver")
    (found,) = problems_of(values)
    assert "must be the name of an upstream or of a service with a port" in found.text
    assert "known: api, echo" in found.text


def test_a_stream_cannot_listen_on_the_port_of_a_service() -> None:
    (found,) = problems_of(with_value(sections("web"), "nginx.streams.0.port", 9001))
    assert "must differ from the port of service echo" in found.text


def test_content_by_node_must_name_the_eligible_nodes() -> None:
    values = with_value(sections("pair"), "nginx.sites.0.content", {"web-a": "samples/pair/master"})
    (found,) = problems_of(values)
    assert found.text == "must name the eligible nodes web-a and web-b (got web-a)"


def test_content_that_does_not_exist_is_reported() -> None:
    (found,) = problems_of(with_value(sections("web"), "nginx.sites.0.content", "/nowhere"))
    assert (found.key, found.text[:23]) == ("tandem:nginx.sites[0].content", "/nowhere cannot be read")


def test_a_stack_without_iam_has_no_databases() -> None:
    assert parse(sections("web")).data_location == "external"
