from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import pytest
from certificate_samples import BOTH, SIGNED_WITH_SHA1, Issued, elliptic_key, issue, make_certificate
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from pydantic import SecretStr
from settings_samples import problems_of, sections, with_value

from settings.credentials import GivenCertificate
from settings.rules.certificates import find_problems

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


# ---- chains and validity periods -------------------------------------------------------------------------------------

NOW = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
ROOT = issue("Root CA", key=elliptic_key(10))
INTERMEDIATE = issue("Intermediate CA", by=ROOT, key=elliptic_key(11))
LEAF = issue("leaf", *BOTH, by=INTERMEDIATE)
RSA_1024 = rsa.generate_private_key(65537, 1024)  # noqa: S505 - a weak key, which must be refused


def texts(leaf: Issued, *chain: Issued, trusted: Sequence[Issued] = (ROOT,), ca: Issued | None = None) -> list[str]:
    pem = "".join(each.pem for each in (leaf, *chain))
    given = GivenCertificate(
        certificate=pem, private_key=SecretStr(leaf.private_key), ca=ca.pem if ca is not None else None
    )
    found = find_problems(given, BOTH, now=NOW, trusted=[each.certificate for each in trusted])
    return [f"{key} {text}" for key, text in found]


@pytest.mark.parametrize(
    ("chain", "trusted", "ca"),
    [
        pytest.param((INTERMEDIATE,), (ROOT,), None, id="the intermediate is in the file"),
        pytest.param((INTERMEDIATE, ROOT), (ROOT,), None, id="the root is in the file too"),
        pytest.param((INTERMEDIATE,), (), ROOT, id="the root is given as ca"),
        pytest.param((), (), INTERMEDIATE, id="the intermediate is given as ca"),
    ],
)
def test_a_chain_to_a_trusted_ca_is_accepted(
    chain: Sequence[Issued], trusted: Sequence[Issued], ca: Issued | None
) -> None:
    assert texts(LEAF, *chain, trusted=trusted, ca=ca) == []


@pytest.mark.parametrize(
    ("leaf", "chain", "problem"),
    [
        pytest.param(
            issue("x", *BOTH, by=ROOT, end=NOW - DAY), (), "must not be expired (got one that expired on", id="expired"
        ),
        pytest.param(issue("x", *BOTH, by=ROOT, start=NOW + DAY), (), "must be valid now", id="not yet valid"),
        pytest.param(LEAF, (), "must contain the complete chain", id="the intermediate is missing"),
        pytest.param(
            issue("x", *BOTH, by=issue("Old CA", by=ROOT, key=elliptic_key(12), end=NOW - DAY)),
            (issue("Old CA", by=ROOT, key=elliptic_key(12), end=NOW - DAY),),
            "CN=Old CA",
            id="the intermediate is expired",
        ),
        pytest.param(issue("x", *BOTH, by=ROOT, key=RSA_1024), (), "RSA key of at least 2048 bits", id="RSA of 1024"),
        pytest.param(
            issue("x", *BOTH, by=ROOT, key=ec.derive_private_key(5, ec.SECP192R1())),
            (),
            "elliptic curve key of at least 256 bits",
            id="curve of 192 bits",
        ),
        pytest.param(
            Issued(x509.load_pem_x509_certificate(SIGNED_WITH_SHA1.encode()), elliptic_key(1)),
            (),
            "must not be signed with SHA1",
            id="SHA-1",
        ),
        pytest.param(
            issue("x", *BOTH, by=ROOT, uses=(ExtendedKeyUsageOID.CLIENT_AUTH,)),
            (),
            "must be a certificate for servers",
            id="for clients only",
        ),
        pytest.param(issue("x", *BOTH), (), "must be signed by a CA that the operator's host trusts", id="self-signed"),
    ],
)
def test_a_certificate_that_clients_would_refuse_is_a_problem(
    leaf: Issued, chain: Sequence[Issued], problem: str
) -> None:
    found = [text for text in texts(leaf, *chain) if not text.startswith("privateKey")]
    assert len(found) == 1
    assert problem in found[0]


# ---- one certificate for each name -----------------------------------------------------------------------------------


def server_problems(server: dict[str, object]) -> list[str]:
    values = with_value(sections(), "credentials", {"server": server})
    return [f"{problem.key} {problem.text}" for problem in problems_of(values, encrypted_sections=_ENCRYPTED)]


@pytest.mark.parametrize(
    "server",
    [
        pytest.param({"api": make_certificate(BOTH[0])}, id="only one name has a given certificate"),
        pytest.param({"api": make_certificate(BOTH[0]), "authz": make_certificate(BOTH[1])}, id="each name has one"),
        pytest.param({**make_certificate(BOTH[0]), "authz": make_certificate(BOTH[1])}, id="one name has another one"),
    ],
)
def test_one_certificate_for_each_name_is_accepted(server: dict[str, object]) -> None:
    assert server_problems(server) == []


@pytest.mark.parametrize(
    ("server", "problem"),
    [
        pytest.param(
            {"api": make_certificate(BOTH[1])},
            f"tandem:credentials.server.api.certificate must be valid for {BOTH[0]}",
            id="the certificate is for the other name",
        ),
        pytest.param(
            {"certificate": make_certificate(*BOTH)["certificate"]},
            "tandem:credentials.server certificate and privateKey must be set together (privateKey is missing)",
            id="without a key",
        ),
        pytest.param(
            {"ca": make_certificate(*BOTH)["certificate"]},
            "tandem:credentials.server ca cannot be set without certificate",
            id="only a CA",
        ),
    ],
)
def test_an_incomplete_or_wrong_certificate_for_one_name_is_reported(server: dict[str, object], problem: str) -> None:
    (found,) = server_problems(server)
    assert found.startswith(problem)


def test_the_private_key_for_one_name_must_be_encrypted() -> None:
    values = with_value(sections(), "credentials", {"server": {"api": make_certificate(BOTH[0])}})
    problems = problems_of(values, encrypted_sections=frozenset())
    assert [problem.key for problem in problems] == ["tandem:credentials.server.api.privateKey"]
