"""The errors of the `tandem` command.

OperationError
├── UsageError            an argument is wrong; the process exits with code 2
├── EngineError           pulumi failed; its output precedes the message
├── SettingsRefusedError  the stack's settings have problems; the engine was not started
└── NoDeploymentError     nothing is deployed
"""

from __future__ import annotations

from operations.failures import Failures

_REPEATED_LINES = 12  # of each error


class OperationError(Exception):
    """Shown without a traceback; the process exits with code 1."""


class UsageError(OperationError):
    """Wrong usage that only the deployment shows, for example the name of a node."""


class SettingsRefusedError(OperationError):
    """The report of the program (settings/problems.py)."""


class EngineError(OperationError):
    def __init__(self, command: str, exit_code: int, failures: Failures) -> None:
        # Pulumi prints the outputs after the errors, so these are repeated at the end.
        errors = [line for text in failures.errors for line in text.splitlines()[:_REPEATED_LINES]]
        seen = ":" if errors else ", see above"
        lines = [f"{command} failed with exit code {exit_code}{seen}", *errors, *failures.advice]
        super().__init__("\n  ".join(lines))
        self.exit_code = exit_code
        self.failures = failures


class NoDeploymentError(OperationError):
    def __init__(self, stack: str) -> None:
        super().__init__(f"nothing is deployed in stack {stack}\n  run: tandem up --stack {stack}")
