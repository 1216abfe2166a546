"""What is wrong with a stack's settings, as one readable report."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One wrong value: where it stands, and what it is and ought to be."""

    key: str  # as in the stack's file: "tandem:network.subnetCidr"
    text: str  # one line; never the value of a secret


# Pulumi's launcher prints a RunError's text alone and exits with 1: no traceback.
class SettingsError(pulumi.RunError):
    """Every problem of one stack's settings, found before any resource is declared."""

    def __init__(self, file: str, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__(_report(file, problems))


def _report(file: str, problems: tuple[Problem, ...]) -> str:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    width = max(len(problem.key) for problem in problems)
    lines = [f"  {problem.key.ljust(width)}  {problem.text}" for problem in problems]
    return "\n".join([f"{file} has {count}:", *lines])
