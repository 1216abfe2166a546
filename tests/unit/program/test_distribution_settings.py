"""Settings that depend on the distribution of the nodes."""

from __future__ import annotations

from typing import Any

import pytest
from settings_samples import parse, problems_of, sections, with_values

from provisioning.deployment import make_deployment

CENTOS: dict[str, Any] = {
    "nodes.distribution": "centos-8", "system": {"hardenSsh": False}, "iam.release": "iam.tar.gz",
    "keepalived.profile": "balanced",
}  # fmt: skip


def texts(changes: dict[str, Any]) -> list[str]:
    return [f"{problem.key} {problem.text}" for problem in problems_of(with_values(sections(), changes))]


@pytest.mark.parametrize(
    ("changes", "version", "user"),
    [
        ({}, "1.22", "www-data"),
        ({"nodes.distribution": "debian-13"}, "1.26", "www-data"),
        ({"nodes.distribution": "ubuntu-22.04"}, "1.18", "www-data"),
        (CENTOS, "1.18", "nginx"),
        ({**CENTOS, "nginx": {"version": "1.26", "user": "web"}}, "1.26", "web"),
    ],
)
def test_nginx_has_the_version_and_the_account_of_the_package_unless_the_stack_names_them(
    changes: dict[str, Any], version: str, user: str
) -> None:
    nginx = make_deployment(parse(with_values(sections(), changes)), "tandem-local").nginx
    assert (nginx.version, nginx.user) == (version, user)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"nodes.distribution": "arch"}, "tandem:nodes.distribution must be 'debian-12', 'debian-13', 'ubuntu-22.04'"),
        ({**CENTOS, "iam.release": "stand-in"}, "tandem:iam.release must name a release with nodes.distribution"),
        (
            {**CENTOS, "keepalived.profile": "fast"},
            "tandem:keepalived.profile must be balanced with nodes.distribution",
        ),
        ({**CENTOS, "system": {}}, "tandem:system.hardenSsh must be false with nodes.distribution centos-8"),
        (
            {**CENTOS, "system": {"hardenSsh": False, "securityUpdates": True}},
            "tandem:system.securityUpdates must be false with nodes.distribution centos-8",
        ),
    ],
)
def test_what_a_distribution_cannot_do_is_refused_with_the_reason(changes: dict[str, Any], problem: str) -> None:
    found = texts(changes)
    assert any(text.startswith(problem) for text in found), found


def test_the_rhel_family_is_accepted_with_a_release() -> None:
    assert texts(CENTOS) == []
