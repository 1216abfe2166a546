"""A stack, opened: its project, its configuration and its state."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from localcloud.engine.options import Options
from localcloud.engine.project import Project, read_project
from localcloud.engine.secrets import find_passphrase
from localcloud.engine.state import StateStore


@dataclass(frozen=True, slots=True)
class Session:
    """An opened stack."""

    project: Project
    store: StateStore


def open_session(options: Options) -> Session:
    """Raises EngineError when project, configuration or state cannot be used."""
    directory = options.state_directory or _default_state_directory(options.directory)
    passphrase = find_passphrase(directory)
    project = read_project(options.directory, options.stack, options.config_file, passphrase)
    return Session(project, StateStore(directory, project.name, options.stack, passphrase))


def _default_state_directory(directory: Path) -> Path:
    start = directory.resolve()
    root = next((one for one in (start, *start.parents) if (one / "Pulumi.yaml").is_file()), start)
    return root / ".tandem" / "engine"
