from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from components.last_deployment import LastDeployment, read_with_retries
from provisioning.errors import SwitchoverError
from provisioning.exports import parse_exports

INCOMPLETE = Exception("readStackOutputs returned an error: failed to load checkpoint: EOF")


class Engine:
    """Returns or raises the responses in order, and repeats the last one."""

    def __init__(self, *responses: Exception | Mapping[str, Any]) -> None:
        self.responses = list(responses)
        self.slept: list[float] = []

    def read(self) -> Mapping[str, Any]:
        response = self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]
        if isinstance(response, Exception):
            raise response
        return response


def test_an_incomplete_state_is_read_again() -> None:
    engine = Engine(INCOMPLETE, INCOMPLETE, {"nodes": []})
    assert read_with_retries(engine.read, engine.slept.append) == {"nodes": []}
    assert len(engine.slept) == 2


def test_a_state_that_stays_incomplete_is_an_error_after_a_few_seconds() -> None:
    engine = Engine(INCOMPLETE)
    with pytest.raises(Exception, match="failed to load checkpoint"):
        read_with_retries(engine.read, engine.slept.append)
    assert 3 < sum(engine.slept) < 10


def test_other_errors_are_not_retried() -> None:
    engine = Engine(Exception("the engine has ended"))
    with pytest.raises(Exception, match="the engine has ended"):
        read_with_retries(engine.read, engine.slept.append)
    assert engine.slept == []


@pytest.mark.parametrize("protected", [True, False])
def test_a_protected_node_is_not_stopped_for_a_replacement_that_the_api_would_refuse(*, protected: bool) -> None:
    outputs = {"group": "g", "nodes": [], "ssh": {"private_key": "key"}, "virtual_ips": []}
    last = LastDeployment(parse_exports({**outputs, "termination_protection": protected}), {}, "img-1")
    if not protected:
        asyncio.run(last.check_replacement("iam-b"))
        return
    with pytest.raises(
        SwitchoverError, match=r"iam-b: cannot be replaced while nodes\.terminationProtection"
    ) as raised:
        asyncio.run(last.check_replacement("iam-b"))
    assert "set tandem:nodes.terminationProtection to false" in (raised.value.look_at or "")
