from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from components.last_deployment import patiently

HALF = Exception("readStackOutputs returned an error: failed to load checkpoint: EOF")


class Engine:
    """Answers with each of these in turn, and with the last one for ever."""

    def __init__(self, *answers: Exception | Mapping[str, Any]) -> None:
        self.answers = list(answers)
        self.slept: list[float] = []

    def read(self) -> Mapping[str, Any]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_a_state_that_is_being_written_is_read_again() -> None:
    engine = Engine(HALF, HALF, {"nodes": []})
    assert patiently(engine.read, engine.slept.append) == {"nodes": []}
    assert len(engine.slept) == 2


def test_a_state_that_stays_half_a_state_is_an_error_after_some_seconds() -> None:
    engine = Engine(HALF)
    with pytest.raises(Exception, match="failed to load checkpoint"):
        patiently(engine.read, engine.slept.append)
    assert 3 < sum(engine.slept) < 10


def test_another_error_is_not_waited_for() -> None:
    engine = Engine(Exception("the engine is gone"))
    with pytest.raises(Exception, match="the engine is gone"):
        patiently(engine.read, engine.slept.append)
    assert engine.slept == []
