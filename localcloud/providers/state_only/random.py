"""pulumi_random: random values that are stored in the state (semantics: documentation of terraform-provider-random)."""

from __future__ import annotations

import secrets
import string
from typing import Final

import bcrypt

from localcloud.providers.adapter import Created
from localcloud.providers.errors import ProviderError
from localcloud.providers.schema import FIXED, Property, Schema
from localcloud.providers.state_only.backend import StateOnlyBackend, StateOnlyType
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


def _make_password(inputs: Properties) -> Created:
    result = _draw(inputs)
    # bcrypt supports at most 72 bytes; the real provider hashes the first 72 bytes of longer passwords.
    hashed = bcrypt.hashpw(result.encode()[:72], bcrypt.gensalt(rounds=10)).decode()
    return Created("none", {"result": result, "bcryptHash": hashed})


_FIXED: Final = Property(replaces=True)
_PASSWORD: Final = {
    "length": FIXED,
    "keepers": _FIXED,
    "overrideSpecial": _FIXED,
    **dict.fromkeys(("lower", "upper", "numeric", "number", "special"), Property(replaces=True, implied=True)),
    **dict.fromkeys(("minLower", "minUpper", "minNumeric", "minSpecial"), Property(replaces=True, implied=0)),
}

TYPES: Final = {
    "random:index/randomPassword:RandomPassword": StateOnlyType(
        Schema(_PASSWORD, secrets=frozenset({"result", "bcryptHash"})), _make_password
    )
}

BACKEND: Final = StateOnlyBackend(TYPES)
