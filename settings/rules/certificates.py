"""Checks of a given certificate: everything for which nginx would not load it or clients would reject it.

nginx loads a certificate that is expired, or whose chain is incomplete, without a message; only clients refuse it.
"""

from __future__ import annotations

import re
import ssl
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID

from settings.credentials import GivenCertificate

# The limits of browsers and of OpenSSL's default security level 2 (SSL_CTX_set_security_level(3)).
_RSA_BITS = 2048
_CURVE_BITS = 256
_WEAK_HASHES = ("md5", "sha1")
_LONGEST_CHAIN = 10
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
# Where distributions store the CAs that they trust, if OpenSSL's own default does not exist.
_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
Certificates = Sequence[x509.Certificate]


def find_problems(
    given: GivenCertificate,
    domains: Sequence[str],
    *,
    now: datetime | None = None,
    trusted: Iterable[x509.Certificate] | None = None,
) -> Iterator[tuple[str, str]]:
    """Yield (settings key, problem). Never contains the private key.

    `trusted` are the CAs of clients in addition to `given.ca`; by default those of this computer.
    """
    now = now or datetime.now(UTC)
    try:
        leaf, *others = x509.load_pem_x509_certificates(given.certificate.encode())
    except ValueError:
        yield "certificate", "must be a valid PEM certificate"
        return
    try:
        own = x509.load_pem_x509_certificates(given.ca.encode()) if given.ca else []
    except ValueError:
        yield "ca", "must be a valid PEM certificate"
        return
    for text in (*_name_problems(leaf, domains), *_use_problems(leaf)):
        yield "certificate", text
    roots = [*own, *(system_authorities() if trusted is None else trusted)]
    for text in _chain_problems(leaf, others, roots, now):
        yield "certificate", text
    yield from _key_problems(given, leaf)


def _name_problems(leaf: x509.Certificate, domains: Sequence[str]) -> Iterator[str]:
    names = _names(leaf)
    for domain in domains:
        if not any(_covers(name, domain) for name in names):
            yield f"must be valid for {domain} (got a certificate for {', '.join(names) or 'no name'})"


def _use_problems(leaf: x509.Certificate) -> Iterator[str]:
    try:
        uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if ExtendedKeyUsageOID.SERVER_AUTH not in uses:
        yield "must be a certificate for servers (got one without the extended key usage serverAuth)"


def _chain_problems(leaf: x509.Certificate, others: Certificates, roots: Certificates, now: datetime) -> Iterator[str]:
    """Follow the issuers from the certificate to a CA that clients trust."""
    current = leaf
    for _ in range(_LONGEST_CHAIN):
        yield from _validity_problems(current, now)
        if current in roots:  # clients trust a CA by its key; its signature does not matter
            return
        weak = list(_strength_problems(current))
        yield from weak
        if weak:  # cryptography does not verify weak signatures
            return
        issuer = _find_issuer(current, others) or _find_issuer(current, roots)
        if issuer is None or issuer == current:
            break
        current = issuer
    yield _untrusted(current)


def _untrusted(last: x509.Certificate) -> str:
    issuer = last.issuer.rfc4514_string() or "a CA without a name"
    if last.issuer == last.subject:
        return (
            f"must be signed by a CA that the operator's host trusts (got the CA {issuer}); "
            "if your clients trust it, set the key ca beside certificate to it"
        )
    return (
        f"must contain the complete chain of intermediate certificates (the certificate of {issuer} is missing); "
        "append it, or set the key ca if it is a CA that your clients trust"
    )


def _validity_problems(certificate: x509.Certificate, now: datetime) -> Iterator[str]:
    subject = certificate.subject.rfc4514_string()
    if now > certificate.not_valid_after_utc:
        yield f"must not be expired (got one that expired on {_day(certificate.not_valid_after_utc)}: {subject})"
    if now < certificate.not_valid_before_utc:
        yield f"must be valid now (got one that is valid from {_day(certificate.not_valid_before_utc)}: {subject})"


def _strength_problems(certificate: x509.Certificate) -> Iterator[str]:
    subject, key = certificate.subject.rfc4514_string(), certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < _RSA_BITS:
        yield f"must have an RSA key of at least {_RSA_BITS} bits (got {key.key_size}: {subject})"
    if isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < _CURVE_BITS:
        yield f"must have an elliptic curve key of at least {_CURVE_BITS} bits (got {key.key_size}: {subject})"
    algorithm = certificate.signature_hash_algorithm
    if algorithm is not None and algorithm.name in _WEAK_HASHES:
        yield f"must not be signed with {algorithm.name.upper()} (got {subject})"


def _key_problems(given: GivenCertificate, leaf: x509.Certificate) -> Iterator[tuple[str, str]]:
    try:
        key = serialization.load_pem_private_key(given.private_key.get_secret_value().encode(), password=None)
    except (ValueError, TypeError):
        yield "privateKey", "must be a PEM key without a passphrase (got a secret, not shown)"
        return
    if _public_text(key.public_key()) != _public_text(leaf.public_key()):
        yield "privateKey", "must belong to the certificate (got the key of another one, not shown)"


@cache
def system_authorities() -> tuple[x509.Certificate, ...]:
    """The CAs that programs on this computer trust. SSL_CERT_FILE and SSL_CERT_DIR replace the default."""
    paths = ssl.get_default_verify_paths()
    directory = Path(paths.capath) if paths.capath else None
    for file in (paths.cafile, *_BUNDLES):
        if file and Path(file).is_file():
            return tuple(_read_authorities(Path(file)))
    files = sorted(directory.iterdir()) if directory else []
    return tuple(certificate for file in files if file.is_file() for certificate in _read_authorities(file))


def _read_authorities(file: Path) -> list[x509.Certificate]:
    found: list[x509.Certificate] = []
    with warnings.catch_warnings():
        # Some old CAs violate rules that cryptography enforces (ValueError) or announces.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        for text in _PEM.findall(file.read_text(errors="replace")):
            with suppress(ValueError):
                found.append(x509.load_pem_x509_certificate(text.encode()))
    return found


def _find_issuer(certificate: x509.Certificate, candidates: Certificates) -> x509.Certificate | None:
    for candidate in candidates:
        if candidate.subject == certificate.issuer:
            try:
                certificate.verify_directly_issued_by(candidate)
            except (ValueError, TypeError, InvalidSignature):
                continue
            return candidate
    return None


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


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _public_text(key: object) -> bytes:
    return key.public_bytes(  # pyright: ignore[reportAttributeAccessIssue] - all public keys have this method
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
