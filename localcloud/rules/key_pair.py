"""SSH key pairs."""

from __future__ import annotations

import base64
import binascii
import re
import struct
from dataclasses import dataclass, replace

from localcloud.rules import references, tag
from localcloud.rules.records import Record
from localcloud.rules.refusal import Refusal, documented, provider
from localcloud.rules.transaction import Transaction

NAME_LIMIT = 25
QUOTA = 100
_ERRORS = documented("the SDK's errorcodes.py (cvm)")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair(Record):
    """A public key, and the private one where the cloud made the pair."""

    name: str
    public_key: str  # one OpenSSH line
    private_key: str = ""
    project_id: int = 0
    description: str = ""


class KeyPairNotFound(Refusal):
    """A key pair that a request names must exist."""

    code = "InvalidKeyPairId.NotFound"
    template = "The key pair `{key_id}` does not exist."
    source = _ERRORS


class KeyPairIdMalformed(Refusal):
    """A key pair's id is `skey-` and 8 letters or digits."""

    code = "InvalidKeyPairId.Malformed"
    template = "The key pair id `{key_id}` is malformed."
    source = _ERRORS


class KeyPairNameEmpty(Refusal):
    """A key pair has a name."""

    code = "InvalidKeyPairNameEmpty"
    template = "The key pair's name is empty."
    source = _ERRORS


class KeyPairNameTooLong(Refusal):
    """A key pair's name has at most 25 characters."""

    code = "InvalidKeyPairNameTooLong"
    template = "The key pair's name `{name}` exceeds 25 characters."
    source = _ERRORS


class KeyPairNameIllegal(Refusal):
    """A key pair's name consists of letters, digits and underscores."""

    code = "InvalidKeyPairNameIncludeIllegalChar"
    template = "The key pair's name `{name}` may hold letters, digits and underscores only."
    source = _ERRORS


class KeyPairNameTaken(Refusal):
    """Two key pairs of a region have different names."""

    code = "InvalidKeyPairName.Duplicate"
    template = "The key pair's name `{name}` is in use."
    source = _ERRORS


class KeyPairQuota(Refusal):
    """A region holds at most 100 key pairs."""

    code = "InvalidKeyPair.LimitExceeded"
    template = "The number of key pairs has reached the limit {limit}."
    source = documented("product/213/2664, purchase limits; errorcodes.py")


class PublicKeyMalformed(Refusal):
    """An imported key is an OpenSSH line of type RSA, ED25519 or ECDSA."""

    code = "InvalidPublicKey.Malformed"
    template = "The public key is not in OpenSSH format: {reason}."
    source = documented("the page of ImportKeyPair (RSA); ED25519 and ECDSA: assumed")


class PublicKeyTaken(Refusal):
    """A public key is imported once in a region."""

    code = "InvalidPublicKey.Duplicate"
    template = "The public key is already there as `{key_id}`."
    source = _ERRORS


class KeyPairInUse(Refusal):
    """A key pair that an instance uses is not deleted."""

    code = "InvalidParameterValue.KeyPairNotSupported"
    template = "The key pair `{key_id}` is associated with `{user}`."
    source = provider("DeleteKeyPairs retries this code (provider-api.md, key.Pair); errorcodes.py")


def get(tx: Transaction, key_id: str) -> KeyPair:
    """The key pair. Raises KeyPairIdMalformed or KeyPairNotFound."""
    if not re.fullmatch(r"skey-[0-9a-z]{8}", key_id):
        raise KeyPairIdMalformed(key_id=key_id)
    found = tx.find(KeyPair, key_id)
    if found is None:
        raise KeyPairNotFound(key_id=key_id)
    return found


def _check_name(tx: Transaction, name: str) -> None:
    if not name:
        raise KeyPairNameEmpty
    if len(name) > NAME_LIMIT:
        raise KeyPairNameTooLong(name=name)
    if not re.fullmatch(r"[A-Za-z0-9_]+", name):
        raise KeyPairNameIllegal(name=name)
    if any(pair.name == name for pair in tx.all(KeyPair)):
        raise KeyPairNameTaken(name=name)


def _blob(line: str) -> bytes:
    """The key itself, without type and comment. Raises PublicKeyMalformed."""
    words = line.split()
    if len(words) == 1 or not words:
        raise PublicKeyMalformed(reason="it needs a type and a key")
    kind = words[0]
    if kind not in {"ssh-rsa", "ssh-ed25519"} and not kind.startswith("ecdsa-sha2-nistp"):
        raise PublicKeyMalformed(reason=f"type {kind!r}")
    try:
        blob = base64.b64decode(words[1], validate=True)
        (length,) = struct.unpack_from(">I", blob)
    except (binascii.Error, struct.error):
        raise PublicKeyMalformed(reason="its second word is not base64") from None
    if blob[4 : 4 + length] != kind.encode():
        raise PublicKeyMalformed(reason="its type differs from the key's own")
    return blob


def add(tx: Transaction, *, name: str, public_key: str, private_key: str, project_id: int, tags: tag.Tags) -> KeyPair:
    """A new key pair, imported or made."""
    _check_name(tx, name)
    blob = _blob(public_key)
    pairs = tx.all(KeyPair)
    for pair in pairs:
        if _blob(pair.public_key) == blob:
            raise PublicKeyTaken(key_id=pair.id)
    if len(pairs) >= QUOTA:
        raise KeyPairQuota(limit=QUOTA)
    pair = tx.put(
        KeyPair(
            id=tx.new_id("skey"),
            region=tx.region,
            created=tx.now,
            name=name,
            public_key=public_key.strip(),
            private_key=private_key,
            project_id=project_id,
        )
    )
    tag.attach(tx, pair.id, tags)
    return pair


def modify(tx: Transaction, key_id: str, *, name: str | None, description: str | None) -> None:
    """Change what is given."""
    pair = get(tx, key_id)
    if name is not None and name != pair.name:
        _check_name(tx, name)
    tx.put(
        replace(
            pair,
            name=pair.name if name is None else name,
            description=pair.description if description is None else description,
        )
    )


def delete(tx: Transaction, key_id: str) -> None:
    """Remove a key pair that no instance uses."""
    pair = get(tx, key_id)
    for user in references.users(tx, pair):
        raise KeyPairInUse(key_id=key_id, user=user)
    tag.detach_all(tx, key_id)
    tx.delete(pair)
