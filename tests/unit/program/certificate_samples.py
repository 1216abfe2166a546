"""Certificates for the setting `credentials.server`."""

from __future__ import annotations

import datetime as dt
import functools

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@functools.cache
def _key(number: int) -> ec.EllipticCurvePrivateKey:
    # Deterministic, so that the text is the same in every process.
    return ec.derive_private_key(1000 + number, ec.SECP256R1())


def make_certificate(*domains: str, key_number: int = 1) -> dict[str, str]:
    """Return a certificate for the domains and a key, in the form of the settings."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domains[0])])
    key = _key(1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2046, 1, 1, tzinfo=dt.UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(domain) for domain in domains]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = _key(key_number).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return {
        "certificate": certificate.public_bytes(serialization.Encoding.PEM).decode(),
        "privateKey": private.decode(),
    }
