"""The sources of programs that run on nodes."""

from __future__ import annotations

from importlib import resources

FOLDER = "/usr/local/lib/tandem"


def sources_of(package: str) -> dict[str, str]:
    """The modules of a package below provisioning/programs, by file name."""
    folder = resources.files("provisioning.programs").joinpath(package)
    return {
        file.name: file.read_text(encoding="utf-8")
        for file in sorted(folder.iterdir(), key=lambda file: file.name)
        if file.name.endswith(".py")
    }
