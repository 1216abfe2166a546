"""The errors of a rollout.

    ProvisioningError
    ├── TemplateError        a template cannot be rendered; no node was contacted
    ├── UnreachableError     no SSH connection to a node within the deadline
    │   └── HostKeyError     the SSH server has a different host key than the pinned one
    ├── LockedError          another rollout holds the change lock of the group
    ├── CandidateError       a node rejected a candidate; no configuration and no running service was changed
    ├── RejectedError        the revision was rolled back before; nothing was changed
    ├── LostDataError        a database has held data and is empty now; no database was created
    ├── NodeError            a step on a node failed
    ├── GateError            a node failed its health gate after the commit; the rollout stopped
    ├── SwitchoverError      a node cannot be taken out of service, or its virtual IP cannot be switched over
    ├── CloudApiError        a request to the cloud's API failed
    └── HealthError          the group failed the health check through the public IP

Each message names the node, the step, the value seen and the next place to look. It is often all that the operator
sees: errors of dynamic providers carry no traceback.
"""

from __future__ import annotations

from collections.abc import Iterable


class ProvisioningError(Exception):
    """What happened (one line), what was seen (output of the node), and where to look next."""

    def __init__(self, message: str, *, seen: str = "", look_at: str = "") -> None:
        self.message = message
        self.seen = seen.strip()
        self.look_at = look_at
        self.commit_began = False  # a rollout had begun to change configurations and services when this was raised
        self.restored = False  # the node was restored to its previous version, which passed its health gates
        super().__init__(message)

    def with_others(self, errors: Iterable[ProvisioningError]) -> ProvisioningError:
        """Add the errors of other nodes. Returns this error."""
        self.seen = "\n".join([self.seen, *(f"also: {error}" for error in errors if error is not self)]).strip()
        return self

    def __str__(self) -> str:
        lines = [self.message]
        lines += [f"  {line}" for line in self.seen.splitlines()]
        if self.look_at:
            lines.append(f"  look at: {self.look_at}")
        return "\n".join(lines)


class TemplateError(ProvisioningError):
    pass


class UnreachableError(ProvisioningError):
    pass


class HostKeyError(UnreachableError):
    pass


class LockedError(ProvisioningError):
    pass


class CandidateError(ProvisioningError):
    pass


class RejectedError(ProvisioningError):
    pass


class LostDataError(ProvisioningError):
    pass


class NodeError(ProvisioningError):
    pass


class GateError(ProvisioningError):
    pass


class SwitchoverError(ProvisioningError):
    pass


class CloudApiError(ProvisioningError):
    pass


class HealthError(ProvisioningError):
    pass
