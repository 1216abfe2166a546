"""SSH key pairs."""

from __future__ import annotations

import base64
import binascii
import re
import struct
from dataclasses import dataclass, replace

from localcloud.rules import references, tag
from localcloud.rules.records import Record
from localcloud.rules.refusal import assumed, documented, rule
from localcloud.rules.transaction import Transaction

NAME_LIMIT = 25
DESCRIPTION_LIMIT = 60
QUOTA = 100
_RSA_FIELDS = 3  # type, exponent, modulus (RFC 4253, 6.6)
_NAMES = documented("CreateKeyPair: KeyName, unique, at most 25 digits, letters and underscores", page="213/15702")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair(Record):
    """A public key. The cloud does not keep the private key of a pair that it created."""

    name: str
    public_key: str  # one OpenSSH line
    project_id: int = 0
    description: str = ""


_IMPORT_KEY_PAIR = documented("ImportKeyPair", page="213/15703")
_MODIFY_KEY_PAIR_ATTRIBUTE = documented("ModifyKeyPairAttribute", page="213/15701")
KeyPairNotFound = rule(
    "InvalidKeyPairId.NotFound",
    "KeyId must identify an existing key pair.",
    documented("DeleteKeyPairs", page="213/15700"),
)
KeyPairUnknown = rule(
    "InvalidParameterValue.KeyPairNotFound",
    "The key pair of a new instance must exist.",
    documented("RunInstances", page="213/15730"),
)
KeyPairIdMalformed = rule(
    "InvalidKeyPairId.Malformed",
    "A key pair ID must be `skey-` followed by 8 letters or digits.",
    documented("DescribeKeyPairs: KeyIds such as skey-11112222", page="213/15699"),
)
KeyPairNameEmpty = rule("InvalidKeyPairNameEmpty", "The name of a key pair must not be empty.", _NAMES)
KeyPairNameTooLong = rule("InvalidKeyPairNameTooLong", "The name of a key pair must not exceed 25 characters.", _NAMES)
KeyPairNameIllegal = rule(
    "InvalidKeyPairNameIncludeIllegalChar",
    "The name of a key pair must consist of letters, digits and underscores.",
    _NAMES,
)
KeyPairNameTaken = rule("InvalidKeyPairName.Duplicate", "The name of a key pair must be unique in its region.", _NAMES)
KeyPairQuota = rule(
    "InvalidKeyPair.LimitExceeded",
    "A region can have at most 100 key pairs.",
    assumed("CreateKeyPair (213/15702) has the code; no page gives the limit"),
)
PublicKeyMalformed = rule(
    "InvalidPublicKey.Malformed", "An imported public key must be an OpenSSH line of type RSA.", _IMPORT_KEY_PAIR
)
PublicKeyTaken = rule(
    "InvalidPublicKey.Duplicate", "A public key can be imported only once in a region.", _IMPORT_KEY_PAIR
)
KeyPairInUse = rule(
    "InvalidParameterValue.KeyPairNotSupported",
    "A key pair cannot be deleted while an instance uses it.",
    documented("DeleteKeyPairs: no key pair that an instance or an image refers to", page="213/15700"),
)
KeyPairDescriptionTooLong = rule(
    "InvalidParameterValue", "The description of a key pair must not exceed 60 characters.", _MODIFY_KEY_PAIR_ATTRIBUTE
)
KeyPairUnchanged = rule(
    "MissingParameter", "A request to change a key pair must have a name or a description.", _MODIFY_KEY_PAIR_ATTRIBUTE
)


def get(tx: Transaction, key_id: str) -> KeyPair:
    """Return the key pair. Raises: KeyPairIdMalformed or KeyPairNotFound."""
    if not re.fullmatch(r"skey-[0-9a-z]{8}", key_id):
        raise KeyPairIdMalformed(got=key_id)
    return tx.get(KeyPair, key_id, KeyPairNotFound)


def get_for_instance(tx: Transaction, key_id: str) -> KeyPair:
    """Return the key pair. Raises: KeyPairIdMalformed or KeyPairUnknown."""
    try:
        return get(tx, key_id)
    except KeyPairNotFound:
        raise KeyPairUnknown(got=key_id) from None


def _check_name(tx: Transaction, name: str) -> None:
    if not name:
        raise KeyPairNameEmpty
    if len(name) > NAME_LIMIT:
        raise KeyPairNameTooLong(got=name)
    if not re.fullmatch(r"[A-Za-z0-9_]+", name):
        raise KeyPairNameIllegal(got=name)
    if any(pair.name == name for pair in tx.all(KeyPair)):
        raise KeyPairNameTaken(got=name)


def _blob(line: str) -> bytes:
    """Return the decoded key without type and comment. Raises: PublicKeyMalformed."""
    words = line.split()
    if not words[1:] or "\n" in line.strip():
        raise PublicKeyMalformed(reason="it must be one line with type and key")
    if words[0] != "ssh-rsa":
        raise PublicKeyMalformed(reason=f"type {words[0]!r} is not supported")
    try:
        blob = base64.b64decode(words[1], validate=True)
        fields = _fields(blob)
    except (binascii.Error, struct.error):
        raise PublicKeyMalformed(reason="the second field is not a key in base64") from None
    if fields[:1] != [b"ssh-rsa"] or len(fields) != _RSA_FIELDS or not all(fields):
        raise PublicKeyMalformed(reason="the second field is not an RSA key")
    return blob


def _fields(blob: bytes) -> list[bytes]:
    """Return the string fields of a key. Raises: struct.error."""
    fields: list[bytes] = []
    while blob:
        (length,) = struct.unpack_from(">I", blob)
        fields.append(struct.unpack_from(f"{length}s", blob, 4)[0])
        blob = blob[4 + length :]
    return fields


def create(tx: Transaction, requested: KeyPair, tags: tag.Tags) -> KeyPair:
    """Add an imported or generated key pair."""
    _check_name(tx, requested.name)
    blob = _blob(requested.public_key)
    pairs = tx.all(KeyPair)
    for pair in pairs:
        if _blob(pair.public_key) == blob:
            raise PublicKeyTaken(key_id=pair.id)
    if len(pairs) >= QUOTA:
        raise KeyPairQuota
    return tag.create(tx, "skey", replace(requested, public_key=requested.public_key.strip()), tags)


def change(tx: Transaction, present: KeyPair, changed: KeyPair) -> None:
    if len(changed.description) > DESCRIPTION_LIMIT:
        raise KeyPairDescriptionTooLong
    if changed.name != present.name:
        _check_name(tx, changed.name)
    tx.put(changed)


def delete(tx: Transaction, key_id: str) -> None:
    """Delete an unused key pair. Raises: KeyPairInUse."""
    pair = get(tx, key_id)
    for user in references.users(tx, pair):
        raise KeyPairInUse(key_id=key_id, user=user)
    tag.delete(tx, pair)
