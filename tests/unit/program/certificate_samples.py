"""Certificates for the setting `credentials.server`."""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BOTH = ("iam.api.example.com", "iam.authz.example.com")
_START, _END = dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2046, 1, 1, tzinfo=dt.UTC)
_NO_ENCRYPTION = serialization.NoEncryption()
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@functools.cache
def elliptic_key(number: int) -> ec.EllipticCurvePrivateKey:
    # Deterministic, so that the text is the same in every process.
    return ec.derive_private_key(1000 + number, ec.SECP256R1())


@dataclass(frozen=True)
class Issued:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def private_key(self) -> str:
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        return self.key.private_bytes(encoding, form, _NO_ENCRYPTION).decode()


def issue(
    name: str,
    *domains: str,
    by: Issued | None = None,
    key: Key | None = None,
    start: dt.datetime = _START,
    end: dt.datetime = _END,
    uses: Sequence[x509.ObjectIdentifier] = (ExtendedKeyUsageOID.SERVER_AUTH,),
) -> Issued:
    """Issue a certificate: a CA without `domains`, self-signed without `by`."""
    key = key or elliptic_key(1)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(end)
    )
    if domains:
        names = x509.SubjectAlternativeName([x509.DNSName(domain) for domain in domains])
        builder = builder.add_extension(names, critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    else:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return Issued(builder.sign(by.key if by else key, hashes.SHA256()), key)


def make_certificate(*domains: str, key_number: int = 1) -> dict[str, str]:
    """Return a certificate for the domains, its CA and a key, in the form of the settings."""
    issued = issue(domains[0], *domains)
    return {
        "certificate": issued.pem,
        "privateKey": Issued(issued.certificate, elliptic_key(key_number)).private_key,
        "ca": issued.pem,
    }


# cryptography does not sign with SHA-1. From `openssl req -x509 -sha1 -days 36500`, for both names.
SIGNED_WITH_SHA1 = """\
-----BEGIN CERTIFICATE-----
MIIBwjCCAWigAwIBAgIUBQlgAdk0Gsv3CkVPdRH1k6FmkNMwCQYHKoZIzj0EATAP
MQ0wCwYDVQQDDARzaGExMCAXDTI2MTEyNzEwNTgwM1oYDzIxMjYxMTAzMTA1ODAz
WjAPMQ0wCwYDVQQDDARzaGExMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEh9OD
LIO3iPgiEH8H7QRpJ5jJyMfhrym4HTZxbxHbvtVGtSTRP5yVpmJCszCAyqDf9C9Q
/O/aR4ZtFZm7a1b7iKOBoDCBnTAdBgNVHQ4EFgQUMZ2U7hGN4TJ/OvUlpGD/sg2a
vW0wHwYDVR0jBBgwFoAUMZ2U7hGN4TJ/OvUlpGD/sg2avW0wDwYDVR0TAQH/BAUw
AwEB/zA1BgNVHREELjAsghNpYW0uYXBpLmV4YW1wbGUuY29tghVpYW0uYXV0aHou
ZXhhbXBsZS5jb20wEwYDVR0lBAwwCgYIKwYBBQUHAwEwCQYHKoZIzj0EAQNJADBG
AiEAlORo9TCX4UvMYixD6kL6o8wWOINRtqg6JKVx3Yz4tWYCIQD3tFe2mKe0UAqy
jIHMBANi2XCdub6+Iq1T7rMHgclezA==
-----END CERTIFICATE-----
"""
