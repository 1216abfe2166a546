"""pulumi_random: random values that are stored in the state (semantics: documentation of terraform-provider-random)."""

from __future__ import annotations

import base64
import secrets
import string
import uuid
from typing import Final

import bcrypt

from localcloud.providers.adapter import Created
from localcloud.providers.errors import ProviderError
from localcloud.providers.schema import FIXED, Property, Schema
from localcloud.providers.state_only.backend import StateOnlyType
from localcloud.providers.values import Properties

_SPECIAL: Final = "!@#$%&*()-_=+[]{}<>:?"


def _draw(inputs: Properties) -> str:
    """Return characters of the enabled classes in random order, with the minimum number of each class."""
    special = inputs.get("overrideSpecial") or _SPECIAL
    # `number` is the old name of `numeric`; either of them disables digits.
    digits = inputs["numeric"] and inputs["number"]
    classes = [
        (string.ascii_lowercase, inputs["lower"], inputs["minLower"]),
        (string.ascii_uppercase, inputs["upper"], inputs["minUpper"]),
        (string.digits, digits, inputs["minNumeric"]),
        (special, inputs["special"], inputs["minSpecial"]),
    ]
    alphabet = "".join(letters for letters, enabled, _ in classes if enabled)
    drawn = [secrets.choice(letters) for letters, _, least in classes for _ in range(least)]
    if not alphabet or len(drawn) > inputs["length"]:
        raise ProviderError(
            f"length must be large enough for the minimums of the enabled character classes (got {inputs['length']})"
        )
    drawn += [secrets.choice(alphabet) for _ in range(inputs["length"] - len(drawn))]
    secrets.SystemRandom().shuffle(drawn)
    return "".join(drawn)


def _make_string(inputs: Properties) -> Created:
    result = _draw(inputs)
    return Created(result, {"result": result})


def _make_password(inputs: Properties) -> Created:
    result = _draw(inputs)
    # bcrypt supports at most 72 bytes; the real provider hashes the first 72 bytes of longer passwords.
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


def _make_uuid(_inputs: Properties) -> Created:
    result = str(uuid.uuid4())
    return Created(result, {"result": result})


def _make_integer(inputs: Properties) -> Created:
    low, high = inputs["min"], inputs["max"]
    if low > high:
        raise ProviderError(f"min must not be larger than max {high} (got {low})")
    result = low + secrets.randbelow(high - low + 1)
    return Created(str(result), {"result": result})


_FIXED: Final = Property(replaces=True)
_STRING: Final = {
    "length": FIXED,
    "keepers": _FIXED,
    "overrideSpecial": _FIXED,
    **dict.fromkeys(("lower", "upper", "numeric", "number", "special"), Property(replaces=True, implied=True)),
    **dict.fromkeys(("minLower", "minUpper", "minNumeric", "minSpecial"), Property(replaces=True, implied=0)),
}

TYPES: Final = {
    "random:index/randomString:RandomString": StateOnlyType(Schema(_STRING), _make_string),
    "random:index/randomPassword:RandomPassword": StateOnlyType(
        Schema(_STRING, secrets=frozenset({"result", "bcryptHash"})), _make_password
    ),
    "random:index/randomId:RandomId": StateOnlyType(
        Schema({"byteLength": FIXED, "keepers": _FIXED, "prefix": _FIXED}), _make_id
    ),
    "random:index/randomBytes:RandomBytes": StateOnlyType(
        Schema({"length": FIXED, "keepers": _FIXED}, secrets=frozenset({"base64", "hex"})), _make_bytes
    ),
    "random:index/randomUuid:RandomUuid": StateOnlyType(Schema({"keepers": _FIXED}), _make_uuid),
    "random:index/randomInteger:RandomInteger": StateOnlyType(
        Schema({"min": FIXED, "max": FIXED, "keepers": _FIXED, "seed": _FIXED}), _make_integer
    ),
}
