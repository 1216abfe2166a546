"""Every kind of item in every state of a node: absent, present, drifted, wrong owner, a link in the way, no writing."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from pathlib import Path

import kind_tables_checks
import kind_tables_databases
import kind_tables_files
import kind_tables_system
import pytest
from kind_bench import OUTSIDE, OWNER, READ_ONLY, STATES, Bench, CheckRow, NotApplicable, Row, Table, prove

import provisioning.agent.kinds
import provisioning.kinds

TABLES: dict[str, Table] = {
    **kind_tables_checks.TABLES,
    **kind_tables_databases.TABLES,
    **kind_tables_files.TABLES,
    **kind_tables_system.TABLES,
}
_NO_KINDS = {"base"}  # of all kinds


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.close()


def _rows(of: type[Row | CheckRow]) -> list[object]:
    """All rows of that type. Real owners and mounts need root."""
    return [
        pytest.param(kind, state, id=f"{kind}: {state}", marks=[pytest.mark.root] if _needs_root(state, row) else [])
        for kind, table in TABLES.items()
        for state, row in table.rows.items()
        if isinstance(row, of)
    ]


def _needs_root(state: str, row: object) -> bool:
    return isinstance(row, Row) and (state in (OWNER, READ_ONLY) or "temporary path" in state)


@pytest.mark.parametrize(("kind", "state"), _rows(Row))
def test_a_rollout_repairs_the_state_or_names_what_is_wrong(bench: Bench, kind: str, state: str) -> None:
    row = TABLES[kind].rows[state]
    assert isinstance(row, Row)
    outside = str(bench.at(OUTSIDE))
    filled = Row(
        row.arrange,
        row.difference.format(outside=outside) if row.difference else None,
        row.error.format(outside=outside),
        row.after,
        row.repair,
    )
    prove(bench, TABLES[kind], filled)


@pytest.mark.parametrize(("kind", "state"), _rows(CheckRow))
def test_a_health_check_says_what_it_has_seen(bench: Bench, kind: str, state: str) -> None:
    row = TABLES[kind].rows[state]
    assert isinstance(row, CheckRow)
    row.arrange(bench)
    assert bench.check(TABLES[kind].item(bench))[0].startswith(row.result)


def test_every_kind_has_a_table_with_every_state(bench: Bench) -> None:
    paths = (*provisioning.kinds.__path__, *provisioning.agent.kinds.__path__)
    modules = {module.name for module in pkgutil.iter_modules(paths)}
    assert set(TABLES) == modules - _NO_KINDS
    for kind, table in TABLES.items():
        assert table.item(bench).kind() == kind
        assert set(table.rows) >= set(STATES), kind
        for row in table.rows.values():
            assert not isinstance(row, NotApplicable) or row.reason
