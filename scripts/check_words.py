#!/usr/bin/env python3
"""Count phrases that plain technical English does not use, in each kind of text that this repository holds.

Prints one line for each kind of text with its rate per 1,000 words; with --list, each phrase found with file, line and
what to write instead. Exit code 1 if one kind has more than 1 per 1,000 words.
Usage: scripts/check_words.py [--list] [FILE...]   (default: every file that git tracks)
"""

from __future__ import annotations

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LIMIT_PER_1000 = 1.0

# What is not written -> what to write instead.
PHRASES = {
    r"whoever|whatever|whichever|whomever|whosoever": "name the subject, or `any`",
    r"somebody|someone else|nobody|anybody|everybody": "`a user`, `another process`, `no client`, `all nodes`",
    r"anew|for ever|for good|for life": "`again`, `permanently`, `cannot be changed after creation`",
    r"alone": "`only`",
    r"at once": "`immediately`, `at the same time`",
    r"by (?:itself|themselves)": "`automatically`, `separately`",
    r"(?:a|an|the)? ?[\w-]+ of (?:its|their|his|your|our) own": "`its own X`, `a separate X`",
    r"all that|what is there|what was there|what there is|that there is": "name the thing",
    r"made so|keeps? it so|wanted is|put(?:s|ting)? in use": "the standard verb",
    r"say(?:s|ing)? so|what for|is said|are said": "the standard verb",
    r"is no (?!longer\b|more\b)[a-z]+": "`is not a X`, `must be X`",
    r"go(?:es)? on|went on|going on": "`continues`",
    r"hand(?:s|ed|ing)?[- ]over|gives? (?:away|back)|take(?:s|n)? back|let(?:s|ting)? go of": (
        "`switchover`, `release`, `return`"
    ),
    r"more than once over|once more|over and over": "`again`, `repeatedly`",
    r"the day after|in the open|the house|on the spot|in the way": "no metaphor",
    r"and nothing else|and no more|nothing but": "`only`",
    r"such (?:a )?(?:thing|one)s?|one such|no such thing": "name the thing",
}
_INSTEAD = {re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE): advice for pattern, advice in PHRASES.items()}
_WORD = re.compile(r"[A-Za-z']+")
_SHELL_FIRST_LINE = re.compile(r"#!.*\b(?:ba)?sh\b")
# Recorded or generated elsewhere, or a quotation: the lectures' own files, answers of the real servers, lock files.
_NOT_OURS = re.compile(
    r"^(?:requirements/|tools/.*/go\.|tests/seed/|tests/unit/iam/data/|tests/.*/data/|tests/.*/snapshots/|scripts/check_words|tests/test_check_words)"
)


@dataclass(frozen=True, slots=True)
class Text:
    kind: str
    file: str
    line: int
    words: str


def texts_of(file: str, source: str) -> Iterator[Text]:
    """The prose of one file, by kind: program code holds comments, docstrings, messages and, in tests, names."""
    path = Path(file)
    if path.suffix == ".py" or (not path.suffix and source.startswith("#!") and "python" in source.split("\n", 1)[0]):
        yield from _python_texts(file, source)
    elif path.suffix == ".md":
        yield from _lines("docs", file, source)
    elif path.suffix == ".j2":
        yield from _lines("templates", file, source)
    elif path.suffix in {".yaml", ".yml", ".toml"}:
        yield from (
            Text("YAML and TOML", file, line, text) for line, text in _numbered(source) if "#" in text or ": " in text
        )
    elif path.name == "Makefile" or _SHELL_FIRST_LINE.match(source):
        yield from _lines("scripts", file, source)


def _python_texts(file: str, source: str) -> Iterator[Text]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield Text("comments and docstrings", file, token.start[0], token.string)
    docstrings: set[ast.expr] = set()
    for node in ast.walk(ast.parse(source)):  # parents first, so a docstring is known before its constant is met
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node) is not None and isinstance(expression := node.body[0], ast.Expr):
                docstrings.add(expression.value)
            if not isinstance(node, ast.Module) and node.name.startswith("test_"):
                yield Text("test names", file, node.lineno, node.name.replace("_", " "))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node in docstrings:
                yield from _lines("comments and docstrings", file, node.value, node.lineno)
            elif " " in node.value:
                yield from _lines("messages and other strings", file, node.value, node.lineno)


def _lines(kind: str, file: str, source: str, first: int = 1) -> Iterator[Text]:
    yield from (Text(kind, file, line, text) for line, text in _numbered(source, first))


def _numbered(source: str, first: int = 1) -> Iterator[tuple[int, str]]:
    yield from enumerate(source.splitlines(), first)


def _tracked_files() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=True).stdout
    return [file for file in listed.split("\0") if file and not _NOT_OURS.match(file)]


def main(arguments: list[str]) -> int:
    words: dict[str, int] = {}
    found: dict[str, list[str]] = {}
    for file in [one for one in arguments if one != "--list"] or _tracked_files():
        try:
            source = Path(file).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
        for text in texts_of(file, source):
            words[text.kind] = words.get(text.kind, 0) + len(_WORD.findall(text.words))
            for pattern, advice in _INSTEAD.items():
                for match in pattern.finditer(text.words):
                    found.setdefault(text.kind, []).append(f"{text.file}:{text.line}: {match[0].strip()}: {advice}")
    failed = False
    for kind, total in sorted(words.items()):
        rate = 1000 * len(found.get(kind, ())) / max(total, 1)
        failed = failed or rate > LIMIT_PER_1000
        if "--list" in arguments:
            print(*found.get(kind, ()), sep="\n")
        print(f"{kind}: {rate:.1f} per 1,000 words ({len(found.get(kind, ()))} of {total}; at most {LIMIT_PER_1000})")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
