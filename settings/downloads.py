"""Fetches a release from a URL, once: it is cached by its checksum, so a presigned URL may expire after that."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path

import httpx

from settings import releases
from settings.releases import ReleaseError, file_sha256

_TRIES = 5
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
_REPORT_EVERY_S = 5.0
_MIB = 1 << 20


def fetch(
    url: str,
    sha256: str | None,
    cache: Path,
    checksum: str = "tandem:iam.sha256",
    *,
    transport: httpx.BaseTransport | None = None,
    report: Callable[[str], object] = lambda line: sys.stderr.write(f"{line}\n"),
    sleep: Callable[[float], None] = time.sleep,
) -> Path:
    """Return the cached file with this checksum, after fetching it if necessary.

    A connection that breaks is continued, in this run or in the next one. `checksum` is the setting of `sha256`.

    Raises:
        ReleaseError: the URL cannot be fetched, or its content has another checksum. The text omits what may be a
            secret in the URL.
    """
    shown = releases.shown(url)
    if sha256 is None:
        raise ReleaseError(f"must be set together with {checksum} when it is a URL", shown)
    target = cache / f"{sha256[:12]}.tar.gz"
    with suppress(FileNotFoundError):
        if file_sha256(target) == sha256:
            return target
    cache.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    with httpx.Client(transport=transport, timeout=_TIMEOUT, follow_redirects=True) as client:
        for attempt in range(1, _TRIES + 1):
            try:
                _continue(client, url, part, lambda text: report(f"{shown}: {text}"))
                break
            except httpx.HTTPStatusError as error:
                raise _refused(shown, error.response.status_code) from None
            except (httpx.InvalidURL, UnicodeError) as error:  # UnicodeError: a label of the host name is too long
                raise ReleaseError(f"{shown} must be a valid URL: {error}", str(error)) from None
            except httpx.HTTPError as error:
                if attempt == _TRIES:
                    seen = f"{type(error).__name__}: {error}"
                    raise ReleaseError(f"{shown} cannot be fetched: {seen}", seen) from None
                report(f"{shown}: {type(error).__name__}; trying again")
                sleep(attempt)
    actual = file_sha256(part)
    if actual != sha256:
        part.unlink()
        raise ReleaseError(
            f"{shown} must have the checksum of {checksum} (got {actual}, requested {sha256})",
            "another release is at this URL, or the checksum is that of another one",
        )
    part.replace(target)
    return target


def _refused(shown: str, status: int) -> ReleaseError:
    hint = "; a presigned URL may have expired" if status in {401, 403} else ""
    return ReleaseError(f"{shown} cannot be fetched: HTTP status {status}{hint}", f"HTTP {status}")


def _continue(client: httpx.Client, url: str, part: Path, report: Callable[[str], object]) -> None:
    """Append to `part` what is missing. Raises: httpx.HTTPError."""
    offset = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={offset}-"} if offset else {})}
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # complete; the checksum decides
        response.raise_for_status()
        if response.status_code != HTTPStatus.PARTIAL_CONTENT:
            offset = 0
        size = offset + int(response.headers.get("Content-Length", 0))
        reported_at = time.monotonic()
        report(f"fetching {size / _MIB:.1f} MiB")
        with part.open("ab" if offset else "wb") as file:
            for block in response.iter_raw():
                file.write(block)
                offset += len(block)
                if time.monotonic() - reported_at >= _REPORT_EVERY_S:
                    reported_at = time.monotonic()
                    report(f"fetched {offset / _MIB:.1f} of {size / _MIB:.1f} MiB")
