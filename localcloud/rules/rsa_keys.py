"""Generation of RSA key pairs. A separate module because `cryptography` is slow to import."""

from __future__ import annotations

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


def make_rsa_pair() -> tuple[str, str]:
    """Return the private key as PEM and the public key as an OpenSSH line."""
    secret = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = secret.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    public = secret.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private.decode(), public.decode()
