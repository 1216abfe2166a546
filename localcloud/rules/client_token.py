"""ClientToken: a repeated request returns the first response and has no further effect."""

from __future__ import annotations

from dataclasses import dataclass

from localcloud.rules.records import Record
from localcloud.rules.refusal import ClientTokenReused, documented, rule
from localcloud.rules.transaction import Transaction

LIMIT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientToken(Record):
    """A used token. The ID is the token; the digest covers the action and its parameters."""

    digest: str
    answer: str


ClientTokenTooLong = rule(
    "InvalidClientToken.TooLong",
    "A ClientToken must not exceed 64 characters.",
    documented("RunInstances: ClientToken at most 64 characters", page="213/15730"),
)


def former_answer(tx: Transaction, token: str, digest: str) -> str | None:
    """Return the response to the same earlier request, or None. Raises: ClientTokenTooLong or ClientTokenReused."""
    if len(token) > LIMIT:
        raise ClientTokenTooLong
    found = tx.find(ClientToken, token)
    if found is None:
        return None
    if found.digest != digest:
        raise ClientTokenReused(token=token)
    return found.answer


def remember(tx: Transaction, token: str, digest: str, answer: str) -> None:
    tx.put(ClientToken(id=token, region=tx.region, created=tx.now, digest=digest, answer=answer))
