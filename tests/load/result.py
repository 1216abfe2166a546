"""Starts the load from a test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from operations.drill.result import Result, read_records

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def load(
    client: Callable[..., Sequence[str]], outputs: dict[str, Any], directory: Path, *, scale: float = 0.25,
    admin_password: str = "", site: tuple[str, str] | None = None, sources: Sequence[str] = (),
) -> Generator[Result]:  # fmt: skip
    """Send requests while the block runs.

    `client` turns a command into one that runs on a client on the internet side, and `outputs` are the stack's outputs
    with secrets. Without `admin_password`, only one path is requested: healthz of
    the API, or that of `site` (its name in the export `urls`, and the path). `sources` are addresses of the client.
    """
    out = directory / "load.jsonl"
    settings = {
        "address": outputs["public_ip"], "ca_certificate": outputs["ca_certificate"], "out": str(out), "scale": scale,
        "admin_password": admin_password, "path": site[1] if site else "/healthz", "sources": list(sources),
        "api": outputs["urls"][site[0] if site else "api"].removeprefix("https://"),
        "authz": outputs["urls"].get("authz", "").removeprefix("https://"),
    }  # fmt: skip
    result = Result()
    command = client(sys.executable, "-m", "tests.load")
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                          env=os.environ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(settings) + "\n")
        process.stdin.flush()
        ready = process.stdout.readline()
        assert ready == "ready\n", f"the load must start (got {ready!r}, exit code {process.wait()})"
        try:
            yield result
        finally:
            process.stdin.close()  # ends the load
            code = process.wait(timeout=30)
    assert code == 0, f"the load must end without an error (exit code {code})"
    result.records = read_records(out)
