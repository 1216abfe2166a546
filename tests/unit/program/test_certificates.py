from __future__ import annotations

import pytest
from certificate_samples import make_certificate
from settings_samples import problems_of, sections, with_value

_ENCRYPTED = frozenset({"credentials"})


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(("iam.api.example.com", "iam.authz.example.com"), id="both names"),
        pytest.param(("*.api.example.com", "*.authz.example.com"), id="a wildcard for each name"),
    ],
)
def test_a_certificate_for_both_domains_is_accepted(names: tuple[str, ...]) -> None:
    values = with_value(sections(), "credentials", {"server": make_certificate(*names)})
    assert problems_of(values, encrypted_sections=_ENCRYPTED) == ()


@pytest.mark.parametrize(
    ("server", "key", "text"),
    [
        pytest.param(
            make_certificate("iam.api.example.com"),
            "certificate",
            "must be valid for iam.authz.example.com",
            id="one name is missing",
        ),
        pytest.param(
            make_certificate("*.example.com"),
            "certificate",
            "must be valid for iam.api.example.com",
            id="a wildcard covers one label",
        ),
        pytest.param(
            make_certificate("iam.api.example.com", "iam.authz.example.com", key_number=2),
            "privateKey",
            "must belong to the certificate",
            id="key of another certificate",
        ),
        pytest.param(
            {**make_certificate("iam.api.example.com", "iam.authz.example.com"), "privateKey": "no key"},
            "privateKey",
            "must be a PEM key",
            id="invalid key",
        ),
        pytest.param(
            {**make_certificate("a.example.com"), "certificate": "-----BEGIN CERTIFICATE-----\nx"},
            "certificate",
            "must be a valid PEM certificate",
            id="truncated certificate",
        ),
    ],
)
def test_a_certificate_that_clients_would_reject_is_reported(server: dict[str, str], key: str, text: str) -> None:
    problems = problems_of(with_value(sections(), "credentials", {"server": server}), encrypted_sections=_ENCRYPTED)
    texts = [problem.text for problem in problems if problem.key == f"tandem:credentials.server.{key}"]
    assert any(text in each for each in texts), problems
    assert "BEGIN PRIVATE KEY" not in str(problems)
