"""The pictures of terminals in docs/recordings, and the module that draws them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.recordings.terminal import WIDTH, Step, draw, shortened

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "recordings"
PICTURES = sorted(FOLDER.glob("*.svg"))


def texts(picture: str) -> str:
    root = ET.fromstring(picture)  # noqa: S314 - our own picture
    found = [element.text or "" for element in root.iter() if element.tag.endswith("text")]
    return "\n".join(found).replace("\xa0", " ")


def test_a_picture_shows_commands_and_output_and_is_reproducible() -> None:
    steps = [Step("tandem health", "│ \x1b[32mok\x1b[0m │ [brackets] & <angles>"), Step("true", "")]
    picture = draw("health", steps)
    assert "tandem health" in texts(picture)
    assert "[brackets] & <angles>" in texts(picture)
    assert draw("health", steps) == picture


def test_a_picture_loads_nothing_from_elsewhere() -> None:
    picture = draw("x", [Step("true", "done")])
    assert "url(http" not in picture
    assert "@font-face" not in picture


def test_the_middle_of_a_long_output_is_left_out() -> None:
    lines = "\n".join(map(str, range(10)))
    assert shortened(lines, 2, 1) == "0\n1\n...\n9"
    assert shortened(lines, 5, 5) == lines
    assert shortened(lines, 2, 0) == "0\n1\n..."


def test_the_recordings_of_readme_exist() -> None:
    assert [file.stem for file in PICTURES] == ["failover", "preview", "up"]
    readme = (FOLDER.parents[1] / "README.md").read_text()
    assert all(f"docs/recordings/{file.name}" in readme for file in PICTURES)


@pytest.mark.parametrize("picture", PICTURES, ids=lambda file: file.stem)
def test_a_recording_shows_its_text_and_fits(picture: Path) -> None:
    shown = texts(picture.read_text())
    text = picture.with_suffix(".txt").read_text()
    assert all(len(line) <= WIDTH for line in text.splitlines())
    assert all(line.removeprefix("$ ").strip() in shown for line in text.splitlines() if line.startswith("$ "))
    assert "PRIVATE KEY" not in text
    assert "url(http" not in picture.read_text()
