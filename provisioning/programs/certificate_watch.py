"""Reports certificates that expire soon to the event recorder (event_recorder.py). Standard library and openssl.

Usage: certificate_watch.py PATTERN..., once a day. The limit is that of `tandem health`: 30 days before the end, or a
third of the validity period if that is shorter. The recorder passes on only what changes.
"""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
import time
from pathlib import Path

FIFO = "/run/tandem/events"
_WARNING_S = 30 * 86400.0


def validity(file: str) -> tuple[float, float]:
    """The begin and end of the first certificate in a file, in seconds since the epoch. Raises OSError, ValueError."""
    command = ["openssl", "x509", "-in", file, "-noout", "-startdate", "-enddate"]
    shown = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if shown.returncode:
        # The reason is in the first or in the last line, depending on the version of OpenSSL.
        raise ValueError("; ".join(shown.stderr.split("\n")).strip("; ")[:500] or f"exit code {shown.returncode}")
    begin, end = (line.partition("=")[2] for line in shown.stdout.splitlines())
    return ssl.cert_time_to_seconds(begin), ssl.cert_time_to_seconds(end)


def judge(file: str, now: float) -> str:
    """The line for the event recorder."""
    subject = f'HEALTH "certificate {Path(file).stem}"'
    try:
        begin, end = validity(file)
    except (OSError, ValueError) as error:
        return f"{subject} failed {file} cannot be read: {error}"
    if end - now >= min(_WARNING_S, (end - begin) / 3):
        return f"{subject} healthy"
    date = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(end))
    return f"{subject} failed " + (f"expired on {date}" if now > end else f"expires on {date}")


def main(patterns: list[str], fifo: str = FIFO, now: float | None = None) -> None:
    files = sorted(str(file) for pattern in patterns for file in Path("/").glob(pattern.lstrip("/")))
    lines = [judge(file, time.time() if now is None else now) + "\n" for file in files]
    try:
        out = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:  # the recorder does not run; the next run reports it
        return
    with os.fdopen(out, "w", encoding="utf-8") as events:
        events.writelines(lines)


if __name__ == "__main__":
    main(sys.argv[1:])
