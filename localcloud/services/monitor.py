"""Common parts of the actions of the service monitor."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import TypeVar

from localcloud.rules.refusal import Refusal, documented, rule
from localcloud.services.actions import Answer, Call, Handler, action
from localcloud.services.parameters import Parameters

T = TypeVar("T")

ACCOUNT = "100000000001"

ModuleUnknown = rule(
    "InvalidParameter",
    "The Module of a request to the service monitor must be `monitor`.",
    documented("CreateAlarmPolicy: Module is monitor", page="248/51287"),
)


def monitor_action(name: str, *refuses: type[Refusal]) -> Callable[[Handler], Handler]:
    """Register a handler, and check the Module of its requests."""

    def register(handler: Handler) -> Handler:
        @functools.wraps(handler)
        def checked(call: Call, given: Parameters) -> Answer | None:
            module = given.text("Module")
            if module != "monitor":
                raise ModuleUnknown(got=module)
            return handler(call, given)

        return action("monitor", name, ModuleUnknown, *refuses)(checked)

    return register


def numbered_page(given: Parameters, found: Sequence[T], *, highest: int) -> Sequence[T]:
    number = given.integer_in("PageNumber", 1, 2**31, default=1)
    size = given.integer_in("PageSize", 1, highest, default=20)
    return found[(number - 1) * size : number * size]
