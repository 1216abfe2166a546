"""An S3 server on loopback (moto), in an environment of its own, since it needs 27 packages that nothing else uses."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.engine.project import ROOT

_REQUIREMENTS = ROOT / "requirements" / "s3-server.txt"
BUCKET = "tandem-state-1250000000"


def install() -> Path:
    """Create the environment once. Returns its directory."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tandem" / "s3-server"
    wanted = hashlib.sha256(_REQUIREMENTS.read_bytes()).hexdigest()
    mark = cache / "installed"
    if not mark.exists() or mark.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(cache)], check=True)
        pip = [str(cache / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        subprocess.run([*pip, "-r", str(_REQUIREMENTS)], check=True)
        mark.write_text(wanted)
    return cache


@contextmanager
def s3_server() -> Generator[str]:
    """Yield the address of a server with one empty bucket."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(install() / "bin" / "moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _create_bucket(f"http://127.0.0.1:{port}/{BUCKET}")
            yield f"127.0.0.1:{port}"
        finally:
            server.kill()


def _create_bucket(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            httpx.put(url, timeout=10).raise_for_status()
        except httpx.TransportError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return
