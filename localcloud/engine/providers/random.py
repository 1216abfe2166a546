"""pulumi_random: values drawn once and kept in the state (semantics: terraform-provider-random's documentation)."""

from __future__ import annotations

import base64
import secrets
import string
import uuid
from typing import Any, Final

import bcrypt

from localcloud.engine.providers.base import Created, ProviderError
from localcloud.engine.providers.local import LocalType
from localcloud.engine.values import Properties

_SPECIAL: Final = "!@#$%&*()-_=+[]{}<>:?"
_STRING_DEFAULTS: Final[dict[str, Any]] = {
    "lower": True,
    "upper": True,
    "numeric": True,
    "number": True,
    "special": True,
    "minLower": 0,
    "minUpper": 0,
    "minNumeric": 0,
    "minSpecial": 0,
}


def _draw(inputs: Properties) -> str:
    """Characters of the wanted classes, with at least the wanted number of each, in random order."""
    special = inputs.get("overrideSpecial") or _SPECIAL
    # `number` is the old name of `numeric`: either of them switches the digits off.
    digits = inputs["numeric"] and inputs["number"]
    classes = [
        (string.ascii_lowercase, inputs["lower"], inputs["minLower"]),
        (string.ascii_uppercase, inputs["upper"], inputs["minUpper"]),
        (string.digits, digits, inputs["minNumeric"]),
        (special, inputs["special"], inputs["minSpecial"]),
    ]
    alphabet = "".join(letters for letters, wanted, _ in classes if wanted)
    drawn = [secrets.choice(letters) for letters, _, least in classes for _ in range(least)]
    if not alphabet or len(drawn) > inputs["length"]:
        msg = f"length {inputs['length']} has no room for what the minimums and character classes ask for"
        raise ProviderError(msg)
    drawn += [secrets.choice(alphabet) for _ in range(inputs["length"] - len(drawn))]
    secrets.SystemRandom().shuffle(drawn)
    return "".join(drawn)


def _make_string(inputs: Properties) -> Created:
    result = _draw(inputs)
    return Created(result, {"result": result})


def _make_password(inputs: Properties) -> Created:
    result = _draw(inputs)
    # bcrypt takes 72 bytes at most; the real provider hashes longer passwords by their first 72.
    hashed = bcrypt.hashpw(result.encode()[:72], bcrypt.gensalt(rounds=10)).decode()
    return Created("none", {"result": result, "bcryptHash": hashed})


def _make_id(inputs: Properties) -> Created:
    drawn = secrets.token_bytes(inputs["byteLength"])
    prefix = inputs.get("prefix") or ""
    url = base64.urlsafe_b64encode(drawn).decode().rstrip("=")
    return Created(
        url,
        {
            "b64Url": prefix + url,
            "b64Std": prefix + base64.b64encode(drawn).decode(),
            "hex": prefix + drawn.hex(),
            "dec": prefix + str(int.from_bytes(drawn, "big")),
        },
    )


def _make_bytes(inputs: Properties) -> Created:
    drawn = secrets.token_bytes(inputs["length"])
    return Created("none", {"base64": base64.b64encode(drawn).decode(), "hex": drawn.hex()})


def _make_uuid(inputs: Properties) -> Created:
    del inputs
    result = str(uuid.uuid4())
    return Created(result, {"result": result})


def _make_integer(inputs: Properties) -> Created:
    low, high = inputs["min"], inputs["max"]
    if low > high:
        msg = f"min {low} is larger than max {high}"
        raise ProviderError(msg)
    result = low + secrets.randbelow(high - low + 1)
    return Created(str(result), {"result": result})


RANDOM_TYPES: Final = {
    "random:index/randomString:RandomString": LocalType(_make_string, ("length",), _STRING_DEFAULTS),
    "random:index/randomPassword:RandomPassword": LocalType(_make_password, ("length",), _STRING_DEFAULTS),
    "random:index/randomId:RandomId": LocalType(_make_id, ("byteLength",)),
    "random:index/randomBytes:RandomBytes": LocalType(_make_bytes, ("length",)),
    "random:index/randomUuid:RandomUuid": LocalType(_make_uuid),
    "random:index/randomInteger:RandomInteger": LocalType(_make_integer, ("min", "max")),
}
