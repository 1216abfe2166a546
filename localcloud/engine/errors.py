"""What can go wrong in the engine.

EngineError
├── ProjectError      Pulumi.yaml or Pulumi.<stack>.yaml cannot be used
├── StateError        the state file cannot be read, or its secrets cannot be opened
├── LockedError       another run has the stack
├── ProgramError      the program itself failed, and has said why
└── ResourceError     a step on one resource failed; carries its URN
"""

from __future__ import annotations


class EngineError(Exception):
    """Base of everything that the engine reports to a person."""


class ProjectError(EngineError):
    pass


class StateError(EngineError):
    pass


class LockedError(EngineError):
    pass


class ProgramError(EngineError):
    pass


class ResourceError(EngineError):
    """One resource could not be made so."""

    def __init__(self, urn: str, message: str) -> None:
        super().__init__(f"{urn}: {message}")
        self.urn = urn
        self.message = message
