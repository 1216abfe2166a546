"""The commands that concern a stack, and their names in messages.

Messages of `provisioning` name commands without the stack, which it does not know. Copied unchanged, `tandem undrain
iam-b` would act on the stack `local`.
"""

from __future__ import annotations

import re
from dataclasses import replace

from operations.workspace import LOCAL_STACK
from provisioning.health.results import HealthReport

# The commands that need the network of localcloud; the others read only the state or files.
INSIDE = frozenset({
    "backup", "backups", "cancel", "destroy", "doctor", "drain", "drill", "fence", "health", "logs", "plan", "preview",
    "refresh", "replace", "report", "restore", "rollback", "ssh", "status", "switchover", "undrain", "unlock", "up",
})  # fmt: skip
_NAMED = re.compile(rf"(?<![\w/.-])tandem (?:{'|'.join(sorted(INSIDE | {'outputs'}))})(?![\w-])")


def name_stack(text: str, stack: str) -> str:
    """Add `--stack` to each command that a message names without it."""
    if stack == LOCAL_STACK:
        return text

    def named(found: re.Match[str]) -> str:
        rest = re.split(r"[`\n;]", text[found.end() :], maxsplit=1)[0]
        return found[0] if "--stack" in rest else f"{found[0]} --stack {stack}"

    return _NAMED.sub(named, text)


def name_stack_in(report: HealthReport, stack: str) -> HealthReport:
    """Return the report with the stack in each command that its results name."""
    return HealthReport(tuple(replace(each, look_at=name_stack(each.look_at, stack)) for each in report.results))
