"""Checks of a given certificate and its private key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from settings.credentials import GivenCertificate


def find_problems(given: GivenCertificate, domains: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield (settings key, problem) for everything that nginx or a client would reject. Never contains the key."""
    try:
        certificate = x509.load_pem_x509_certificates(given.certificate.encode())[0]
    except ValueError:
        yield "certificate", "must be a valid PEM certificate"
        return
    names = _names(certificate)
    for domain in domains:
        if not any(_covers(name, domain) for name in names):
            yield "certificate", f"must be valid for {domain} (got a certificate for {', '.join(names) or 'no name'})"
    try:
        key = serialization.load_pem_private_key(given.private_key.get_secret_value().encode(), password=None)
    except (ValueError, TypeError):
        yield "privateKey", "must be a PEM key without a passphrase (got a secret, not shown)"
        return
    if _public_text(key.public_key()) != _public_text(certificate.public_key()):
        yield "privateKey", "must belong to the certificate (got the key of another one, not shown)"


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        # Clients ignore the common name (RFC 9525).
        return []
    return extension.value.get_values_for_type(x509.DNSName)


def _covers(name: str, domain: str) -> bool:
    """Return whether a certificate name covers a domain. A wildcard matches exactly one label (RFC 9525, 6.3)."""
    return name == domain or (name.startswith("*.") and domain.partition(".")[2] == name[2:])


def _public_text(key: object) -> bytes:
    return key.public_bytes(  # pyright: ignore[reportAttributeAccessIssue] - all public keys have this method
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
