from __future__ import annotations

import pytest
from program_runs import ALL_RUNS, run_any
from replacement_table import NEVER_BY_A_SETTING, REPLACED_BY

# One worker: results of program runs are cached per process.


def test_the_table_contains_all_types_of_the_program() -> None:
    runs = [run_any(stack, option) for stack, option in ALL_RUNS]
    kinds = {each.kind for run in runs for each in run.resources if each.type.startswith("tencentcloud:")}
    assert kinds == set(REPLACED_BY)


@pytest.mark.parametrize("kind", NEVER_BY_A_SETTING)
def test_no_setting_replaces_a_node_or_its_data(kind: str) -> None:
    for stack, option in ALL_RUNS:
        for each in run_any(stack, option).of_kind(kind):
            # The remaining inputs are constants of the program.
            assert REPLACED_BY[kind] - each.ignores == NEVER_BY_A_SETTING[kind]
