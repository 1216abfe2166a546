"""ClientToken: a request that is sent twice is done once."""

from __future__ import annotations

from dataclasses import dataclass

from localcloud.rules.records import Record
from localcloud.rules.refusal import ClientTokenReused, Refusal, documented
from localcloud.rules.transaction import Transaction

LIMIT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientToken(Record):
    """The id is the token; the digest is of the action and its parameters."""

    digest: str
    answer: str


class ClientTokenTooLong(Refusal):
    """A ClientToken has at most 64 characters."""

    code = "InvalidClientToken.TooLong"
    template = "The ClientToken exceeds 64 characters."
    source = documented("RunInstances: ClientToken at most 64 characters; InvalidClientToken.TooLong", page="213/15730")


def former_answer(tx: Transaction, token: str, digest: str) -> str | None:
    """What the same request was answered before, or None. Raises ClientTokenTooLong or ClientTokenReused."""
    if len(token) > LIMIT:
        raise ClientTokenTooLong
    found = tx.find(ClientToken, token)
    if found is None:
        return None
    if found.digest != digest:
        raise ClientTokenReused(token=token)
    return found.answer


def remember(tx: Transaction, token: str, digest: str, answer: str) -> None:
    """Keep the answer."""
    tx.put(ClientToken(id=token, region=tx.region, created=tx.now, digest=digest, answer=answer))
