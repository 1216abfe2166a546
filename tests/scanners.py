"""Security scanners, in an environment of their own: sslyze needs an older cryptography than the program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REQUIREMENTS = Path(__file__).parents[1] / "requirements/scanners.txt"


def install(directory: Path) -> Path:
    """Install sslyze and ssh-audit. Returns the directory of the programs."""
    subprocess.run([sys.executable, "-m", "venv", str(directory)], check=True)
    pip = [str(directory / "bin/python"), "-m", "pip", "install", "--quiet", "--require-hashes"]
    subprocess.run([*pip, "-r", str(REQUIREMENTS)], check=True)
    return directory / "bin"
