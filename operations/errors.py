"""What the `tandem` command says when it cannot do its work.

OperationError
├── EngineError       pulumi failed; its own words are above the message
└── NoDeploymentError there are no outputs to read: nothing was deployed under that stack's name
"""

from __future__ import annotations


class OperationError(Exception):
    """Shown as it is, without a traceback; the process exits with 1."""


class EngineError(OperationError):
    def __init__(self, command: str, exit_code: int) -> None:
        super().__init__(f"{command} failed with exit code {exit_code}, see above")
        self.exit_code = exit_code


class NoDeploymentError(OperationError):
    def __init__(self, stack: str, missing: str, advice: str) -> None:
        super().__init__(f"stack {stack} has no output {missing!r}: {advice}")
