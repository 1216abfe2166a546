"""Looks into a certificate that somebody gave."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from settings.credentials import GivenCertificate


def find_faults(given: GivenCertificate, domains: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Why nginx or a client would refuse it: the key in the settings, and what is wrong. Never shows the key."""
    try:
        certificate = x509.load_pem_x509_certificates(given.certificate.encode())[0]
    except ValueError:
        yield "certificate", "is no PEM certificate that can be read"
        return
    names = _names(certificate)
    for domain in domains:
        if not any(_covers(name, domain) for name in names):
            yield "certificate", f"is not for {domain}; its names are {', '.join(names) or 'none'}"
    try:
        key = serialization.load_pem_private_key(given.private_key.get_secret_value().encode(), password=None)
    except (ValueError, TypeError):
        yield "privateKey", "is no PEM key without a passphrase (the value is a secret and not shown)"
        return
    if _public_text(key.public_key()) != _public_text(certificate.public_key()):
        yield "privateKey", "belongs to another certificate (the value is a secret and not shown)"


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        # A common name alone is not looked at by today's clients (RFC 9525).
        return []
    return extension.value.get_values_for_type(x509.DNSName)


def _covers(name: str, domain: str) -> bool:
    """A wildcard stands for one label (RFC 9525, 6.3)."""
    return name == domain or (name.startswith("*.") and domain.partition(".")[2] == name[2:])


def _public_text(key: object) -> bytes:
    return key.public_bytes(  # pyright: ignore[reportAttributeAccessIssue] - every public key has it
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
