"""A drill on a real stack asks first. Nothing is deployed, so a confirmed drill ends with an error."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from operations.drill.command import drill
from operations.errors import OperationError

APP = typer.Typer()
APP.command()(drill)


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        pytest.param([], "2 faults on the running stack prod", id="once"),
        pytest.param(["--runs", "3", "--repeat", "2"], "12 faults on the running stack prod", id="several times"),
        pytest.param(["--on", "backup"], "1 fault on the running stack prod", id="on one node"),
    ],
)
def test_a_drill_on_a_real_stack_says_how_many_faults_it_inflicts_and_needs_the_name(
    options: list[str], shown: str
) -> None:
    done = CliRunner().invoke(APP, ["nginx-stop", "--stack", "prod", *options], input="staging\n")
    assert shown in done.output
    assert isinstance(done.exception, OperationError)
    assert str(done.exception) == "the name differs; nothing was done"


def test_a_drill_without_a_terminal_inflicts_nothing() -> None:
    done = CliRunner().invoke(APP, ["nginx-stop", "--stack", "prod"], input="")
    assert isinstance(done.exception, OperationError)
    assert str(done.exception) == "the name was not given; nothing was done"
