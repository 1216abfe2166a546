from __future__ import annotations

from fake_cloud import ROOT

from settings.reference import render_reference
from settings.schema import find_field, known_keys
from settings.sections import Sections


def test_the_reference_is_up_to_date() -> None:
    written = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert written == render_reference(), "run: python -m settings.reference > docs/settings.md"


def test_every_key_has_a_description() -> None:
    rows = [line for line in render_reference().splitlines() if line.startswith("| `")]
    assert len(rows) > 80
    assert not [row for row in rows if row.endswith("|  |")]


def test_every_key_of_the_reference_is_a_key_of_the_settings() -> None:
    for key in known_keys(Sections):
        assert find_field(Sections, [key]) is not None
