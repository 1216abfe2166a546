"""Problems in the settings of a stack, and the report that lists them."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

MISSING = "does not exist"  # the settings file


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One invalid value."""

    key: str  # as in the stack's file: "tandem:network.subnetCidr"
    text: str  # what is required and what was found; never the value of a secret


# Pulumi's launcher prints only the text of a RunError, without a traceback, and exits with 1.
class SettingsError(pulumi.RunError):
    """All problems in the settings of one stack. Raised before any resource is declared."""

    def __init__(self, file: str, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        super().__init__(_report(file, problems))


def _report(file: str, problems: tuple[Problem, ...]) -> str:
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    width = max(len(problem.key) for problem in problems)
    lines = [f"  {problem.key.ljust(width)}  {problem.text}" for problem in problems]
    return "\n".join([f"{file} has {count}:", *lines])
