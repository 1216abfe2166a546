"""The module that draws a terminal for docs/recordings."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from tests.recordings.terminal import Step, draw, shortened


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
