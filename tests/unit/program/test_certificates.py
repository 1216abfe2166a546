from __future__ import annotations

import pytest
from certificate_samples import make_certificate
from settings_samples import problems_of, sections, with_value

_ENCRYPTED = frozenset({"credentials"})


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(("iam.api.example.com", "iam.authz.example.com"), id="both names"),
        pytest.param(("*.api.example.com", "*.authz.example.com"), id="a wildcard for each"),
    ],
)
def test_a_certificate_for_both_domains_is_taken(names: tuple[str, ...]) -> None:
    values = with_value(sections(), "credentials", {"server": make_certificate(*names)})
    assert problems_of(values, secret=_ENCRYPTED) == ()


@pytest.mark.parametrize(
    ("server", "key", "words"),
    [
        pytest.param(
            make_certificate("iam.api.example.com"),
            "certificate",
            "is not for iam.authz.example.com",
            id="one name short",
        ),
        pytest.param(
            make_certificate("*.example.com"),
            "certificate",
            "is not for iam.api.example.com",
            id="a wildcard is one label",
        ),
        pytest.param(
            make_certificate("iam.api.example.com", "iam.authz.example.com", key_number=2),
            "privateKey",
            "belongs to another certificate",
            id="another key",
        ),
        pytest.param(
            {**make_certificate("iam.api.example.com", "iam.authz.example.com"), "privateKey": "no key"},
            "privateKey",
            "is no PEM key",
            id="no key",
        ),
        pytest.param(
            {**make_certificate("a.example.com"), "certificate": "-----BEGIN CERTIFICATE-----\nx"},
            "certificate",
            "is no PEM certificate",
            id="a torn certificate",
        ),
    ],
)
def test_a_certificate_that_clients_would_refuse_is_a_problem(server: dict[str, str], key: str, words: str) -> None:
    problems = problems_of(with_value(sections(), "credentials", {"server": server}), secret=_ENCRYPTED)
    texts = [problem.text for problem in problems if problem.key == f"tandem:credentials.server.{key}"]
    assert any(words in text for text in texts), problems
    assert "BEGIN PRIVATE KEY" not in str(problems)
