"""pulumi_tls PrivateKey: the properties and formats of the real provider."""

from __future__ import annotations

import base64
import hashlib
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from localcloud.providers.adapter import Created
from localcloud.providers.errors import ProviderError
from localcloud.providers.schema import FIXED, Property, Schema
from localcloud.providers.state_only.backend import StateOnlyType
from localcloud.providers.values import Properties

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

_CURVES: Final[dict[str, type[ec.EllipticCurve]]] = {
    "P224": ec.SECP224R1,
    "P256": ec.SECP256R1,
    "P384": ec.SECP384R1,
    "P521": ec.SECP521R1,
}


def _generate(inputs: Properties) -> PrivateKey:
    algorithm = inputs["algorithm"]
    if algorithm == "RSA":
        return rsa.generate_private_key(65537, inputs["rsaBits"])
    if algorithm == "ED25519":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm != "ECDSA":
        raise ProviderError(f"algorithm must be one of RSA, ECDSA, ED25519 (got {algorithm!r})")
    curve = _CURVES.get(inputs["ecdsaCurve"])
    if curve is None:
        raise ProviderError(f"ecdsaCurve must be one of {', '.join(_CURVES)} (got {inputs['ecdsaCurve']!r})")
    return ec.generate_private_key(curve())


def load_key(pem: str) -> PrivateKey:
    """Raises: ProviderError if the text is not a key of a supported type."""
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except ValueError as error:
        raise ProviderError(f"the key must be a private key in PEM: {error}") from error
    if not isinstance(key, PrivateKey):
        raise ProviderError(f"the key must be RSA, ECDSA or ED25519 (got {type(key).__name__})")
    return key


def algorithm_of(key: PrivateKey) -> str:
    if isinstance(key, rsa.RSAPrivateKey):
        return "RSA"
    return "ECDSA" if isinstance(key, ec.EllipticCurvePrivateKey) else "ED25519"


def hash_for_id(data: bytes) -> str:
    """Return a SHA-1 hash in hexadecimal, as in the IDs of the real provider. It is not used for security."""
    return hashlib.sha1(data.strip(), usedforsecurity=False).hexdigest()


def _make(inputs: Properties) -> Created:
    key = _generate(inputs)
    pkcs8 = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    # RSA and EC keys use their traditional formats ("BEGIN RSA PRIVATE KEY"); Ed25519 has none.
    traditional = (
        pkcs8
        if isinstance(key, ed25519.Ed25519PrivateKey)
        else key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
    )
    public = key.public_key()
    outputs = {
        "privateKeyPem": traditional,
        "privateKeyPemPkcs8": pkcs8,
        "publicKeyPem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        **_openssh(key),
    }
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Created(hash_for_id(der), outputs)


def _openssh(key: PrivateKey) -> dict[str, str]:
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP224R1):
        # OpenSSH does not support P-224; the real provider leaves these outputs empty.
        names = ("privateKeyOpenssh", "publicKeyOpenssh", "publicKeyFingerprintMd5", "publicKeyFingerprintSha256")
        return dict.fromkeys(names, "")
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    blob = base64.b64decode(public.split()[1])
    md5 = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    sha256 = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    return {
        "privateKeyOpenssh": key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode(),
        "publicKeyOpenssh": public + "\n",
        "publicKeyFingerprintMd5": ":".join(md5[index : index + 2] for index in range(0, len(md5), 2)),
        "publicKeyFingerprintSha256": f"SHA256:{sha256}",
    }


PRIVATE_KEY: Final = StateOnlyType(
    Schema(
        {
            "algorithm": FIXED,
            "ecdsaCurve": Property(replaces=True, implied="P224"),
            "rsaBits": Property(replaces=True, implied=2048),
        },
        secrets=frozenset({"privateKeyOpenssh", "privateKeyPem", "privateKeyPemPkcs8"}),
    ),
    _make,
)
