"""Encryption of secrets at rest, in the format that Pulumi's passphrase provider uses.

Key: PBKDF2-HMAC-SHA256, one million rounds, 32 bytes; value: AES-256-GCM, `v1:<nonce>:<ciphertext>` in base64.
The salt is stored as `v1:<salt>:v1:<nonce>:<ciphertext of "pulumi">`, so that a wrong passphrase is noticed.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from localcloud.engine.errors import StateError

_ROUNDS = 1_000_000
_PROOF = "pulumi"


class Crypter:
    """Encrypts and decrypts with one key."""

    def __init__(self, key: bytes, salt: str) -> None:
        self._aead = AESGCM(key)
        self.salt = salt

    def encrypt(self, plain: str) -> str:
        return _seal(self._aead, plain)

    def decrypt(self, sealed: str) -> str:
        """Raises StateError when the text was not encrypted with this key."""
        try:
            return _open(self._aead, sealed)
        except (InvalidTag, ValueError) as error:
            msg = "a secret cannot be decrypted: wrong passphrase, or the file was changed by hand"
            raise StateError(msg) from error


def new_crypter(passphrase: str) -> Crypter:
    salt = os.urandom(8)
    key = _derive(passphrase, salt)
    proof = _seal(AESGCM(key), _PROOF)
    return Crypter(key, f"v1:{base64.b64encode(salt).decode()}:{proof}")


def open_crypter(passphrase: str, salt: str) -> Crypter:
    """Raises StateError when the passphrase is not the one that the salt was made with."""
    version, encoded, proof = salt.split(":", 2)
    if version != "v1":
        msg = f"encryption salt of version {version!r}; only v1 is known"
        raise StateError(msg)
    key = _derive(passphrase, base64.b64decode(encoded))
    crypter = Crypter(key, salt)
    try:
        crypter.decrypt(proof)
    except StateError as error:
        msg = "incorrect passphrase: set PULUMI_CONFIG_PASSPHRASE to the one that this stack was created with"
        raise StateError(msg) from error
    return crypter


def find_passphrase(directory: Path) -> str:
    """The passphrase from the environment, or the one kept (or now made) in the engine's directory."""
    given = os.environ.get("PULUMI_CONFIG_PASSPHRASE")
    if given is not None:
        return given
    named = os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    path = Path(named) if named else directory / "passphrase"
    if named or path.exists():
        return path.read_text().strip()
    passphrase = base64.urlsafe_b64encode(os.urandom(32)).decode()
    directory.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(passphrase + "\n")
        file.flush()
        os.fsync(file.fileno())
    return passphrase


def _derive(passphrase: str, salt: bytes) -> bytes:
    return PBKDF2HMAC(hashes.SHA256(), 32, salt, _ROUNDS).derive(passphrase.encode())


def _seal(aead: AESGCM, plain: str) -> str:
    nonce = os.urandom(12)
    sealed = aead.encrypt(nonce, plain.encode(), None)
    return f"v1:{base64.b64encode(nonce).decode()}:{base64.b64encode(sealed).decode()}"


def _open(aead: AESGCM, sealed: str) -> str:
    version, nonce, ciphertext = sealed.split(":")
    if version != "v1":
        msg = f"ciphertext of version {version!r}"
        raise ValueError(msg)
    return aead.decrypt(base64.b64decode(nonce), base64.b64decode(ciphertext), None).decode()
