"""Errors of the pulumi command, with advice."""

from __future__ import annotations

from pathlib import Path

from pulumi.automation.errors import CommandError

_BACKEND = "docs/team.md, State in a bucket"
# Advice, by a part of the message.
_ADVICE = {
    "incorrect passphrase": "the encryptionsalt in the stack's settings file was made with another passphrase: set "
    "PULUMI_CONFIG_PASSPHRASE to that one. If the stack was removed and created again: see docs/operations.md, When "
    "something is wrong.",
    "passphrase must be set": "set PULUMI_CONFIG_PASSPHRASE to the passphrase of this stack: see docs/team.md, "
    "Passphrase and keys",
    "PULUMI_ACCESS_TOKEN must be set": "log in to the backend that keeps the state (pulumi login), or set "
    f"PULUMI_BACKEND_URL: see {_BACKEND}",
    "unable to open state directory": f"check the URL of `pulumi whoami --verbose`: see {_BACKEND}",
    "blob (key": f"check the backend's URL, keys and network: see {_BACKEND}",
}


def describe(error: CommandError) -> str:
    """The stderr of pulumi, without the exit code and stdout that the error contains too, and advice."""
    text = str(error).partition("stderr: ")[2].strip() or str(error)
    lines = [line.removeprefix("error: ") for line in text.splitlines()]
    return "\n  ".join([*lines, *(advice for part, advice in _ADVICE.items() if part in text)])


def describe_missing_stack(name: str, stacks: Path, command: str) -> str:
    """The error for a stack that the backend does not have. A name without a settings file is probably misspelled."""
    file = stacks / f"Pulumi.{name.rpartition('/')[2]}.yaml"
    missing = f"there is no stack {name} in the backend that pulumi is logged in to"
    if file.exists():
        return f"{missing}\n  create it: {command} stack init {name}"
    known = ", ".join(sorted(each.stem.removeprefix("Pulumi.") for each in stacks.glob("Pulumi.*.yaml")))
    return (
        f"{missing}, and no file stacks/{file.name}\n  stacks with a file: {known}; `tandem init` creates another one"
    )
