"""RPM packages."""

from __future__ import annotations

import re
from typing import Any

from ..node import Node, Result, StepError
from ..package_lock import run_when_free

# Without exit_on_lock dnf waits for another process without an end, and without a word to the operator.
_DNF = ["dnf", "-q", "-y", "--setopt=exit_on_lock=True", "--setopt=timeout=15", "--setopt=retries=2"]
_HELD = re.compile(
    r"^.*(obtain the transaction lock|is locked by another process|transaction lock on).*$", re.MULTILINE
)
_ENV = {"LC_ALL": "C.UTF-8"}


def facts(node: Node, questions: list[str]) -> dict[str, str]:
    """The version of each installed package."""
    result = node.run(["rpm", "-q", "--qf", "%{NAME}\t%{VERSION}-%{RELEASE}\n", *questions])
    # A line for each package that is not installed has no tab.
    return dict(line.split("\t") for line in result.out.splitlines() if "\t" in line)


def prepare(node: Node, items: list[dict[str, Any]]) -> None:
    packages = [item["name"] for item in items]
    node.before("install " + " ".join(packages))
    if streams := sorted({item["stream"] for item in items} - {""}):
        enabled = _run(node, ["module", "enable", *streams], timeout_s=300)
        if enabled.code:
            raise _failure(f"cannot enable {' '.join(streams)}", enabled)
    install = ["--setopt=install_weak_deps=False", "install", *packages]
    if _run(node, install, timeout_s=900).code:
        refreshed = _run(node, ["makecache", "--refresh"], timeout_s=300)
        second = _run(node, install, timeout_s=900)
        if second.code:
            raise _failure(f"cannot install {' '.join(packages)}", refreshed, second)


def _run(node: Node, argv: list[str], timeout_s: float) -> Result:
    node.before("dnf " + next(word for word in argv if not word.startswith("-")))
    return run_when_free(node, "dnf", [*_DNF, *argv], _HELD, timeout_s=timeout_s, env=_ENV)


def _failure(what: str, *results: Result) -> StepError:
    seen = [line for result in results for line in result.err.splitlines()[-12:]]
    return StepError("packages", f"dnf {what}", "\n".join(seen))
