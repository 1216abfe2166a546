"""The results of health checks, as `tandem health`, the gates and the health resource use them."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


class Level(enum.StrEnum):
    OK = "ok"
    WARNING = "warning"  # works now, but needs attention
    FAIL = "fail"


def count(number: int, noun: str) -> str:
    """A number with its noun: "1 change", "2 changes"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check and its result."""

    target: str  # a node, "group", or a domain with its address
    name: str  # "disk", "login"
    level: Level
    seen: str  # "/ 34 % used", or what is wrong
    look_at: str = ""  # the next place to look; "" if the level is OK

    @classmethod
    def from_data(cls, target: str, data: Mapping[str, Any]) -> CheckResult:
        """Parse a result of the agent."""
        return cls(target, data["name"], Level(data["level"]), data["seen"], data["look_at"])

    def to_data(self) -> dict[str, str]:
        """The result as JSON data."""
        return {
            "target": self.target, "check": self.name, "level": str(self.level), "seen": self.seen,
            "look_at": self.look_at,
        }  # fmt: skip

    def __str__(self) -> str:
        mark = {Level.OK: "ok", Level.WARNING: "WARN", Level.FAIL: "FAIL"}[self.level]
        return f"{mark:<4} {self.target}: {self.name}: {self.seen}" + (f" ({self.look_at})" if self.look_at else "")


def ok(target: str, name: str, seen: str) -> CheckResult:
    return CheckResult(target, name, Level.OK, seen)


def warning(target: str, name: str, seen: str, look_at: str) -> CheckResult:
    return CheckResult(target, name, Level.WARNING, seen, look_at)


def fail(target: str, name: str, seen: str, look_at: str) -> CheckResult:
    return CheckResult(target, name, Level.FAIL, seen, look_at)


@dataclass(frozen=True, slots=True)
class HealthReport:
    results: tuple[CheckResult, ...]

    @property
    def healthy(self) -> bool:
        """Whether no check failed. Warnings do not count."""
        return all(result.level is not Level.FAIL for result in self.results)

    def __str__(self) -> str:
        return "\n".join(map(str, self.results))


def merge_successes(results: Iterable[CheckResult]) -> tuple[CheckResult, ...]:
    """Combine the successful results of one check and target into one, at the place of the first."""
    merged: dict[tuple[str, str, str], CheckResult] = {}
    for number, result in enumerate(results):
        key = (result.target, result.name, "" if result.level is Level.OK else str(number))
        before = merged.get(key)
        merged[key] = ok(result.target, result.name, f"{before.seen}, {result.seen}") if before else result
    return tuple(merged.values())
