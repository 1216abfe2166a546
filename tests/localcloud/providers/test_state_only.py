"""Random values, keys and certificates have the documented properties of pulumi_random and pulumi_tls."""

from __future__ import annotations

import re
import string
from datetime import UTC, datetime, timedelta
from typing import Any

import bcrypt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key, load_ssh_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID

from localcloud.providers.adapter import Created
from localcloud.providers.difference import compare
from localcloud.providers.errors import ProviderError
from localcloud.providers.state_only.backend import StateOnlyBackend
from localcloud.providers.state_only.certificates import TYPES as TLS_TYPES
from localcloud.providers.state_only.random import TYPES as RANDOM_TYPES
from localcloud.providers.values import UNKNOWN

_BACKEND = StateOnlyBackend({**RANDOM_TYPES, **TLS_TYPES})
_PASSWORD = "random:index/randomPassword:RandomPassword"
_KEY = "tls:index/privateKey:PrivateKey"
_SELF_SIGNED = "tls:index/selfSignedCert:SelfSignedCert"
_REQUEST = "tls:index/certRequest:CertRequest"
_SIGNED = "tls:index/locallySignedCert:LocallySignedCert"


def _make(resource_type: str, **inputs: Any) -> Created:
    return _BACKEND.create(resource_type, inputs, lambda made: None)  # noqa: ARG005 - the signature of the backend


def _replaced_by(resource_type: str, state: dict[str, Any], inputs: dict[str, Any]) -> list[str]:
    return [change.path for change in compare(_BACKEND.schemas[resource_type], state, inputs) if change.replaces]


def test_a_password_satisfies_its_minimums_and_alphabet() -> None:
    made = _make(_PASSWORD, length=12, minUpper=3, minNumeric=2, minSpecial=2, overrideSpecial="!?", lower=False)
    result = made.outputs["result"]
    assert len(result) == 12
    assert set(result) <= set(string.ascii_uppercase + string.digits + "!?")
    assert sum(one.isupper() for one in result) >= 3
    assert sum(one.isdigit() for one in result) >= 2
    assert sum(one in "!?" for one in result) >= 2
    assert bcrypt.checkpw(result.encode(), made.outputs["bcryptHash"].encode())
    assert made.id == "none"


@pytest.mark.parametrize(
    "inputs",
    [{"length": 2, "minUpper": 3}, {"length": 5, "lower": False, "upper": False, "numeric": False, "special": False}],
)
def test_an_impossible_password_is_refused(inputs: dict[str, Any]) -> None:
    with pytest.raises(ProviderError, match="length must be large enough"):
        _make(_PASSWORD, **inputs)


def test_a_changed_input_replaces_the_value_and_an_explicit_default_does_not() -> None:
    state = _make(_PASSWORD, length=8).outputs
    assert _replaced_by(_PASSWORD, state, {"length": 9}) == ["length"]
    assert _replaced_by(_PASSWORD, state, {"length": 8, "special": True}) == []
    assert _replaced_by(_PASSWORD, state, {"length": 8, "special": False}) == ["special"]


@pytest.mark.parametrize(
    ("inputs", "kind", "header"),
    [
        ({"algorithm": "ED25519"}, "ssh-ed25519", "BEGIN PRIVATE KEY"),
        ({"algorithm": "ECDSA", "ecdsaCurve": "P256"}, "ecdsa-sha2-nistp256", "BEGIN EC PRIVATE KEY"),
        ({"algorithm": "ECDSA", "ecdsaCurve": "P521"}, "ecdsa-sha2-nistp521", "BEGIN EC PRIVATE KEY"),
        ({"algorithm": "RSA"}, "ssh-rsa", "BEGIN RSA PRIVATE KEY"),
    ],
)
def test_a_key_has_all_its_forms(inputs: dict[str, Any], kind: str, header: str) -> None:
    made = _make(_KEY, **inputs)
    outputs = made.outputs
    assert header in outputs["privateKeyPem"]
    assert "BEGIN PRIVATE KEY" in outputs["privateKeyPemPkcs8"]
    assert outputs["publicKeyOpenssh"].startswith(f"{kind} ")
    assert outputs["publicKeyOpenssh"].endswith("\n")
    public = load_ssh_public_key(outputs["publicKeyOpenssh"].encode())
    for private in (
        load_pem_private_key(outputs["privateKeyPem"].encode(), None),
        load_pem_private_key(outputs["privateKeyPemPkcs8"].encode(), None),
        load_ssh_private_key(outputs["privateKeyOpenssh"].encode(), None),
    ):
        assert private.public_key() == public
    assert re.fullmatch(r"([0-9a-f]{2}:){15}[0-9a-f]{2}", outputs["publicKeyFingerprintMd5"])
    assert re.fullmatch(r"SHA256:[A-Za-z0-9+/]{43}", outputs["publicKeyFingerprintSha256"])
    assert re.fullmatch(r"[0-9a-f]{40}", made.id)


def test_a_curve_without_openssh_support_has_no_openssh_form() -> None:
    outputs = _make(_KEY, algorithm="ECDSA").outputs
    assert outputs["ecdsaCurve"] == "P224"
    assert outputs["publicKeyOpenssh"] == outputs["privateKeyOpenssh"] == ""


@pytest.mark.parametrize("inputs", [{"algorithm": "DSA"}, {"algorithm": "ECDSA", "ecdsaCurve": "P1"}])
def test_an_unknown_kind_of_key_is_refused(inputs: dict[str, Any]) -> None:
    with pytest.raises(ProviderError, match="must be one of"):
        _make(_KEY, **inputs)


def _authority() -> tuple[str, str]:
    key = _make(_KEY, algorithm="ECDSA", ecdsaCurve="P256").outputs["privateKeyPem"]
    made = _make(
        _SELF_SIGNED,
        privateKeyPem=key,
        isCaCertificate=True,
        maxPathLength=1,
        validityPeriodHours=48,
        allowedUses=["cert_signing", "crl_signing"],
        subject={"commonName": "test CA", "organization": "test"},
    )
    return key, made.outputs["certPem"]


def test_a_chain_is_valid_and_has_the_requested_attributes() -> None:
    ca_key, ca_pem = _authority()
    key = _make(_KEY, algorithm="RSA").outputs["privateKeyPem"]
    request = _make(
        _REQUEST, privateKeyPem=key, subject={"commonName": "a"}, dnsNames=["a.example.com"], ipAddresses=["10.0.4.99"]
    )
    made = _make(
        _SIGNED,
        certRequestPem=request.outputs["certRequestPem"],
        caPrivateKeyPem=ca_key,
        caCertPem=ca_pem,
        validityPeriodHours=24,
        allowedUses=["digital_signature", "key_encipherment", "server_auth", "client_auth"],
    )
    authority = x509.load_pem_x509_certificate(ca_pem.encode())
    leaf = x509.load_pem_x509_certificate(made.outputs["certPem"].encode())
    leaf.verify_directly_issued_by(authority)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.example.com"]
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == ["10.0.4.99"]
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    basic = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (basic.ca, basic.path_length) == (True, 1)
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(hours=24)
    assert (request.outputs["keyAlgorithm"], made.outputs["caKeyAlgorithm"]) == ("RSA", "ECDSA")
    assert made.outputs["readyForRenewal"] is False


def test_a_certificate_is_replaced_only_near_its_end() -> None:
    ca_key, _ = _authority()
    inputs = {
        "privateKeyPem": ca_key,
        "validityPeriodHours": 48,
        "allowedUses": ["server_auth"],
        "subject": {"commonName": "a"},
    }
    made = _make(_SELF_SIGNED, **inputs)

    def replaced_by(early_renewal_hours: int) -> list[str]:
        return _replaced_by(_SELF_SIGNED, made.outputs, {**inputs, "earlyRenewalHours": early_renewal_hours})

    assert replaced_by(47) == []
    assert replaced_by(49) == ["readyForRenewal"]
    state = {**made.outputs, "validityEndTime": (datetime.now(UTC) - timedelta(minutes=1)).isoformat()}
    assert _replaced_by(_SELF_SIGNED, state, inputs) == ["readyForRenewal"]
    assert _replaced_by(_SELF_SIGNED, made.outputs, {**inputs, "privateKeyPem": UNKNOWN}) == ["privateKeyPem"]


def test_an_authority_without_a_name_or_with_an_unknown_use_is_refused() -> None:
    ca_key, _ = _authority()
    with pytest.raises(ProviderError, match="distinguished name"):
        _make(_SELF_SIGNED, privateKeyPem=ca_key, isCaCertificate=True, validityPeriodHours=1, allowedUses=[])
    with pytest.raises(ProviderError, match="allowedUses must be among"):
        _make(_SELF_SIGNED, privateKeyPem=ca_key, validityPeriodHours=1, allowedUses=["world_domination"])
