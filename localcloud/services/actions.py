"""The registry of actions: the handler of each action and the rules that can refuse it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from localcloud.rules.refusal import Refusal
from localcloud.rules.transaction import Transaction
from localcloud.services.parameters import Parameters

Answer = dict[str, Any]

# The emulated version of each service.
VERSIONS = {
    "cbs": "2017-03-12",
    "clb": "2018-03-17",
    "cvm": "2017-03-12",
    "dnspod": "2021-03-23",
    "monitor": "2018-07-24",
    "tag": "2018-08-13",
    "vpc": "2017-03-12",
}


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as passed to a handler."""

    tx: Transaction
    parameters: Parameters
    region: str
    secret_id: str
    request_id: str


# Takes the request, and its parameters; returns the response, or None if it is empty.
Handler = Callable[[Call, Parameters], Answer | None]


@dataclass(frozen=True, slots=True)
class Action:
    """A handler and its description."""

    service: str
    name: str
    handler: Handler
    refuses: tuple[type[Refusal], ...] = field(default=())

    @property
    def summary(self) -> str:
        """The first line of the docstring of the handler."""
        return (self.handler.__doc__ or "").strip().partition("\n")[0]


ACTIONS: dict[tuple[str, str], Action] = {}


def action(service: str, name: str, *refuses: type[Refusal]) -> Callable[[Handler], Handler]:
    """Register a handler: `@action("vpc", "CreateVpc", vpc.VpcCidrNotPrivate, vpc.VpcQuota)`."""

    def register(handler: Handler) -> Handler:
        ACTIONS[service, name] = Action(service, name, handler, refuses)
        return handler

    return register
