"""What the `tandem` command says when it cannot do its work.

OperationError
├── EngineError       the engine (pulumi, or localcloud's) failed; its own words are above the message
└── NoDeploymentError there are no outputs to read: nothing was deployed under that stack's name
"""

from __future__ import annotations


class OperationError(Exception):
    """Shown as it is, without a traceback; the process exits with 1."""


class EngineError(OperationError):
    def __init__(self, command: str, exit_code: int, detail: str = "") -> None:
        what = f"{command} failed with exit code {exit_code}:\n{detail.rstrip()}" if detail else "it failed, see above"
        super().__init__(what)
        self.exit_code = exit_code


class NoDeploymentError(OperationError):
    def __init__(self, stack: str, missing: str, advice: str) -> None:
        super().__init__(f"stack {stack} has no output {missing!r}: {advice}")
