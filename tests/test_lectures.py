"""docs/lectures.md: a row for each section and exercise of the lectures, and each test that a row names exists."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
PAGE = (TESTS.parent / "docs" / "lectures.md").read_text()
NAMED = re.compile(r"`([\w/]+\.py)::(\w+)`")
# The headings of lecture 002, the numbered headings of the others, and their exercises and titles without a number.
SECTIONS = {
    "000": ["部署方案", "Nginx 安装和配置", "Keepalived 安装步骤", "配置文件解析", "exercise 1", "exercise 2"],
    "001": [
        "部署IAM应用", "反向代理 第一步, 第二步", "反向代理 第三步", "反向代理 第四步", "反向代理 第五步", "负载均衡",
        "Keepalived 第一步", "第二步, 第三步: master", "场景1", "场景2", "场景3", "Keepalived 第五步", "第六步",
        "exercise 1", "exercise 2",
    ],
    "002": [
        *(f"1-{number}" for number in (1, 2, 3, 7, 8, 9, 10, 11, 12, 15, 16, 17, 19, 21, 22, 24)),
        *(f"2-{number}" for number in (0, 1, 2, 3, 6, 8, 9, 10, 11, 12, 14, 16, 18, 20, 22, 24, 25, 27, 30)),
        *(f"2-{number}" for number in (32, 33, 34, 35, 37)),
        *(f"3-{number}" for number in (1, 2, 4, 6, 7, 9, 11, 12, 13)),
        *(f"4-{number}" for number in (1, 2, 3, 4, 6, 8, 10, 12, 13, 14)),
    ],
    "003": ["一", "1.2", "二", "2.2", "2.3", "2.4", "2.4.1", "2.4.2", "五", "六", "通知脚本", "日志功能", "脑裂", "七"],
    "004": ["Dockerfile", "docker-compose.yml", "entrypoint.sh", "haproxy.cfg", "keepalived-master.conf",
            "keepalived-slave.conf", "check_nginx.sh", "index-master.html", "index-slave.html", "stop the master"],
}  # fmt: skip


def rows_of(lecture: str) -> list[list[str]]:
    part = re.search(rf"^## Lecture {lecture}:.*?(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert part is not None
    lines = [line for line in part[0].splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines[1:]]


@functools.cache
def functions_of(file: str) -> frozenset[str]:
    tree = ast.parse((TESTS / file).read_text())
    return frozenset(each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef))


def sections_of(cell: str) -> list[str]:
    """The sections that a first column names: "1-7, 1-9: text" has two."""
    return [part.strip() for part in re.split(r"[,;:]", cell)]


@pytest.mark.parametrize("lecture", SECTIONS)
def test_every_section_has_a_row(lecture: str) -> None:
    cells = [row[0] for row in rows_of(lecture)]
    named = {part for cell in cells for part in sections_of(cell)}
    assert [s for s in SECTIONS[lecture] if s not in named and not any(s in c for c in cells if "-" not in s)] == []


@pytest.mark.parametrize("lecture", SECTIONS)
def test_every_row_names_a_test_or_says_why_there_is_none(lecture: str) -> None:
    for row in rows_of(lecture):
        tested = len(row) == 3 and NAMED.search(row[2]) is not None
        assert tested or row[1].startswith("Not done: "), row


@pytest.mark.parametrize(("file", "name"), sorted(set(NAMED.findall(PAGE))), ids=str)
def test_every_named_test_exists(file: str, name: str) -> None:
    assert name.startswith("test_")
    assert name in functions_of(file)


DOCS = TESTS.parent / "docs"


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.stem)
def test_every_test_file_that_a_page_names_exists(page: Path) -> None:
    named = set(re.findall(r"`(tests/[\w/]+(?:\.\w+)?)", page.read_text()))
    assert {path for path in named if not (TESTS.parent / path).exists()} == set()
