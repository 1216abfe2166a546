"""What may go wrong between the operator and the nodes.

    ProvisioningError
    ├── TemplateError        a template or a setting cannot be rendered (a fault of ours; nothing was touched)
    ├── UnreachableError     no SSH to a node within the deadline
    │   └── HostKeyError     somebody answered, but with another host key than the pinned one
    ├── LockedError          another rollout is at work on the group
    ├── CandidateError       a node refused a candidate; nothing was changed on any node
    ├── NodeError         a step on a node failed; says which, and with what words
    ├── GateError            a node took its files but does not serve; the rollout stopped there
    ├── SwitchoverError        the virtual IP could not be handed over in a planned way; nobody was cut off
    └── HealthError          the group does not answer as it should through the public IP

Every text says what, where, the value seen, and where to look next: it is read at 3 in the morning,
often as the only thing on the screen (a dynamic provider's error carries no traceback).
"""

from __future__ import annotations


class ProvisioningError(Exception):
    """What happened (one line), what was seen (the node's own words), and where to look next."""

    def __init__(self, message: str, *, seen: str = "", look_at: str = "") -> None:
        self.message = message
        self.seen = seen.strip()
        self.look_at = look_at
        super().__init__(message)

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


class NodeError(ProvisioningError):
    pass


class GateError(ProvisioningError):
    pass


class SwitchoverError(ProvisioningError):
    pass


class HealthError(ProvisioningError):
    pass
