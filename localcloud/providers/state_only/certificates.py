"""pulumi_tls SelfSignedCert, CertRequest and LocallySignedCert: X.509 as in the real provider (Go's crypto/x509)."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from localcloud.providers.adapter import Created
from localcloud.providers.errors import ProviderError
from localcloud.providers.schema import FIXED, Property, Schema
from localcloud.providers.state_only.backend import StateOnlyBackend, StateOnlyType
from localcloud.providers.state_only.keys import PRIVATE_KEY, PrivateKey, algorithm_of, hash_for_id, load_key
from localcloud.providers.values import Properties

_KEY_USAGES: Final = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "cert_signing",
    "crl_signing",
    "encipher_only",
    "decipher_only",
)
_EXTENDED_KEY_USAGES: Final[dict[str, ObjectIdentifier]] = {
    "any_extended": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server_auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client_auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code_signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email_protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp_signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "ipsec_end_system": ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "ipsec_tunnel": ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
    "ipsec_user": ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
}
# In the order of Go's distinguished names.
_NAMES: Final = (
    ("country", NameOID.COUNTRY_NAME),
    ("organization", NameOID.ORGANIZATION_NAME),
    ("organizationalUnit", NameOID.ORGANIZATIONAL_UNIT_NAME),
    ("locality", NameOID.LOCALITY_NAME),
    ("province", NameOID.STATE_OR_PROVINCE_NAME),
    ("streetAddresses", NameOID.STREET_ADDRESS),
    ("postalCode", NameOID.POSTAL_CODE),
    ("commonName", NameOID.COMMON_NAME),
    ("serialNumber", NameOID.SERIAL_NUMBER),
    ("emailAddress", NameOID.EMAIL_ADDRESS),
)


def _name(subject: Properties | None) -> x509.Name:
    attributes: list[x509.NameAttribute[str]] = []
    for key, oid in _NAMES:
        value = (subject or {}).get(key)
        values = value if isinstance(value, list) else [value]
        attributes += [x509.NameAttribute(oid, text) for text in values if text]
    return x509.Name(attributes)


def _alternative_names(inputs: Properties) -> x509.SubjectAlternativeName | None:
    try:
        names: list[x509.GeneralName] = [x509.DNSName(dns_name) for dns_name in inputs.get("dnsNames") or ()]
        names += [x509.IPAddress(ip_address(address)) for address in inputs.get("ipAddresses") or ()]
        names += [x509.UniformResourceIdentifier(uri) for uri in inputs.get("uris") or ()]
    except ValueError as error:
        raise ProviderError(str(error)) from error
    return x509.SubjectAlternativeName(names) if names else None


def _usages(allowed: list[str]) -> list[tuple[x509.ExtensionType, bool]]:
    unknown = [one for one in allowed if one not in _KEY_USAGES and one not in _EXTENDED_KEY_USAGES]
    if unknown:
        raise ProviderError(
            f"allowedUses must be among {', '.join((*_KEY_USAGES, *_EXTENDED_KEY_USAGES))} (got {', '.join(unknown)})"
        )
    found: list[tuple[x509.ExtensionType, bool]] = []
    if any(one in _KEY_USAGES for one in allowed):
        has = {name: name in allowed for name in _KEY_USAGES}
        usage = x509.KeyUsage(
            digital_signature=has["digital_signature"],
            content_commitment=has["content_commitment"],
            key_encipherment=has["key_encipherment"],
            data_encipherment=has["data_encipherment"],
            key_agreement=has["key_agreement"],
            key_cert_sign=has["cert_signing"],
            crl_sign=has["crl_signing"],
            # These two are defined only together with key agreement (RFC 5280, 4.2.1.3).
            encipher_only=has["encipher_only"] and has["key_agreement"],
            decipher_only=has["decipher_only"] and has["key_agreement"],
        )
        found.append((usage, True))
    extended = [_EXTENDED_KEY_USAGES[one] for one in allowed if one in _EXTENDED_KEY_USAGES]
    if extended:
        found.append((x509.ExtendedKeyUsage(extended), False))
    return found


def _hash_for(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    # Go selects the hash for the strength of the curve.
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP384R1):
        return hashes.SHA384()
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP521R1):
        return hashes.SHA512()
    return hashes.SHA256()


def _certificate(
    inputs: Properties,
    *,
    subject: x509.Name,
    names: x509.SubjectAlternativeName | None,
    public_key: Any,
    signer: PrivateKey,
    issuer: x509.Certificate | None,
) -> Created:
    start = datetime.now(UTC)
    end = start + timedelta(hours=inputs["validityPeriodHours"])
    serial = secrets.randbits(128)
    is_ca = bool(inputs.get("isCaCertificate"))
    if is_ca and not list(subject):
        raise ProviderError("subject: a certificate authority must have at least one distinguished name")
    path_length = inputs.get("maxPathLength")
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(start)
        .not_valid_after(end)
    )
    for usage, critical in _usages(list(inputs["allowedUses"])):
        builder = builder.add_extension(usage, critical)
    length = path_length if is_ca and path_length is not None and path_length >= 0 else None
    builder = builder.add_extension(x509.BasicConstraints(is_ca, length), critical=True)
    own_id = x509.SubjectKeyIdentifier.from_public_key(public_key)
    if is_ca or inputs.get("setSubjectKeyId"):
        builder = builder.add_extension(own_id, critical=False)
    authority = _authority(issuer, own_id if inputs.get("setAuthorityKeyId") else None)
    if authority is not None:
        builder = builder.add_extension(authority, critical=False)
    if names is not None:
        builder = builder.add_extension(names, critical=not list(subject))
    pem = builder.sign(signer, _hash_for(signer)).public_bytes(Encoding.PEM).decode()
    outputs = {
        "certPem": pem,
        "validityStartTime": _timestamp(start),
        "validityEndTime": _timestamp(end),
        "readyForRenewal": start >= _renewal(end, inputs),
    }
    return Created(str(serial), outputs)


def _authority(
    issuer: x509.Certificate | None, own: x509.SubjectKeyIdentifier | None
) -> x509.AuthorityKeyIdentifier | None:
    if issuer is None:
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own) if own else None
    try:
        found = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound:
        return None
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(found.value)


def _timestamp(when: datetime) -> str:
    return when.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _make_self_signed(inputs: Properties) -> Created:
    key = load_key(inputs["privateKeyPem"])
    made = _certificate(
        inputs,
        subject=_name(inputs.get("subject")),
        names=_alternative_names(inputs),
        public_key=key.public_key(),
        signer=key,
        issuer=None,
    )
    return Created(made.id, {**made.outputs, "keyAlgorithm": algorithm_of(key)})


def _make_request(inputs: Properties) -> Created:
    key = load_key(inputs["privateKeyPem"])
    builder = x509.CertificateSigningRequestBuilder().subject_name(_name(inputs.get("subject")))
    names = _alternative_names(inputs)
    if names is not None:
        builder = builder.add_extension(names, critical=False)
    request = builder.sign(key, _hash_for(key))
    pem = request.public_bytes(Encoding.PEM).decode()
    return Created(
        hash_for_id(request.public_bytes(Encoding.DER)), {"certRequestPem": pem, "keyAlgorithm": algorithm_of(key)}
    )


def _make_locally_signed(inputs: Properties) -> Created:
    signer = load_key(inputs["caPrivateKeyPem"])
    try:
        request = x509.load_pem_x509_csr(inputs["certRequestPem"].encode())
        issuer = x509.load_pem_x509_certificate(inputs["caCertPem"].encode())
    except ValueError as error:
        raise ProviderError(f"certRequestPem or caCertPem must be valid PEM: {error}") from error
    try:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names = None
    made = _certificate(
        inputs, subject=request.subject, names=names, public_key=request.public_key(), signer=signer, issuer=issuer
    )
    return Created(made.id, {**made.outputs, "caKeyAlgorithm": algorithm_of(signer)})


def _expired(outputs: Properties) -> str | None:
    """A certificate must be replaced within `earlyRenewalHours` of its end."""
    end = datetime.fromisoformat(outputs["validityEndTime"])
    return "readyForRenewal" if datetime.now(UTC) >= _renewal(end, outputs) else None


def _renewal(end: datetime, inputs: Properties) -> datetime:
    return end - timedelta(hours=inputs.get("earlyRenewalHours") or 0)


_FIXED: Final = Property(replaces=True)
_SUBJECT: Final = Property(replaces=True, nested={name: Property() for name, _ in _NAMES})
_ALTERNATIVE_NAMES: Final = dict.fromkeys(("dnsNames", "ipAddresses", "uris"), _FIXED)
_CERTIFICATE: Final = {
    "allowedUses": FIXED,
    "validityPeriodHours": FIXED,
    "earlyRenewalHours": Property(implied=0),
    "isCaCertificate": Property(replaces=True, implied=False),
    "setSubjectKeyId": Property(replaces=True, implied=False),
    "maxPathLength": _FIXED,
}

TYPES: Final = {
    "tls:index/privateKey:PrivateKey": PRIVATE_KEY,
    "tls:index/selfSignedCert:SelfSignedCert": StateOnlyType(
        Schema(
            {
                "privateKeyPem": FIXED,
                "subject": _SUBJECT,
                **_ALTERNATIVE_NAMES,
                **_CERTIFICATE,
                "setAuthorityKeyId": Property(replaces=True, implied=False),
            },
            expired=_expired,
        ),
        _make_self_signed,
    ),
    "tls:index/certRequest:CertRequest": StateOnlyType(
        Schema({"privateKeyPem": FIXED, "subject": _SUBJECT, **_ALTERNATIVE_NAMES}), _make_request
    ),
    "tls:index/locallySignedCert:LocallySignedCert": StateOnlyType(
        Schema(
            {"certRequestPem": FIXED, "caPrivateKeyPem": FIXED, "caCertPem": FIXED, **_CERTIFICATE}, expired=_expired
        ),
        _make_locally_signed,
    ),
}

BACKEND: Final = StateOnlyBackend(TYPES)
