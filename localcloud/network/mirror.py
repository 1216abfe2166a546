"""The package mirror inside a VPC: /debian and /debian-security, fetched from this host's package sources.

Packages never change under the same name, so they are kept permanently. An index is kept for a minute, and used longer
if the host's source is unreachable.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from localcloud.package_sources import Source

DEFAULT_CACHE = Path("/var/cache/localcloud/packages")
_INDEX_LIFE_S = 60
_FOR_EVER = re.compile(r"/(pool|by-hash)/")
_PLAIN = re.compile(r"^[A-Za-z0-9._+~:@=,/-]+$")


def roots(sources: tuple[Source, ...]) -> dict[str, str]:
    """Map path below the mirror to its source. A host may have both archives at one address or at two."""
    found: dict[str, str] = {}
    for source in sources:
        name = "debian-security" if source.suite.endswith("-security") else "debian"
        found.setdefault(name, source.uri.rstrip("/"))
    return found


class Mirror:
    """Fetches and stores files. Thread-safe: a file is published by a rename when it is complete."""

    def __init__(self, upstream: Mapping[str, str], cache: Path = DEFAULT_CACHE) -> None:
        self._upstream = dict(upstream)
        self._cache = cache

    def get(self, path: str) -> Path | None:
        """Return the local copy of `/debian/...`, fetched if necessary; None if the source has no such file.

        Raises:
            OSError: the source is unreachable, and no copy exists.
        """
        path = urllib.parse.unquote(path)  # apt encodes some characters as %7e
        archive, _, rest = path.strip("/").partition("/")
        base = self._upstream.get(archive)
        if base is None or not rest or not _PLAIN.match(rest) or ".." in rest.split("/"):
            return None
        local = self._cache / archive / rest
        if local.is_file() and (_FOR_EVER.search(path) or time.time() - local.stat().st_mtime < _INDEX_LIFE_S):
            return local
        try:
            if not self._fetch(f"{base}/{urllib.parse.quote(rest)}", local):
                return None
        except urllib.error.HTTPError as error:
            if error.code in {HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN, HTTPStatus.GONE}:
                return None
            if not local.is_file():
                raise
        except OSError:
            if not local.is_file():
                raise
        return local

    def _fetch(self, url: str, local: Path) -> bool:
        """Fetch one file. Returns False if the source serves a directory page there.

        A stored page would block every file below that path, for every cloud of this host.
        """
        with urllib.request.urlopen(url, timeout=60) as response:
            if response.url.endswith("/") or response.headers.get_content_type() == "text/html":
                return False
            local.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=local.parent, prefix=".part-")
            try:
                with os.fdopen(handle, "wb") as partial:
                    shutil.copyfileobj(response, partial, 1 << 16)
                expected = response.headers.get("Content-Length")
                if expected is not None and Path(name).stat().st_size != int(expected):
                    raise OSError(f"{url}: {Path(name).stat().st_size} bytes received of {expected}")
                Path(name).rename(local)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        return True


def make_handler(mirror: Mirror) -> type[BaseHTTPRequestHandler]:
    class MirrorHandler(BaseHTTPRequestHandler):
        server_version = "mirror"
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def _answer(self, *, with_body: bool) -> None:
            try:
                local = mirror.get(self.path)
            except OSError as error:
                text = f"the host's package source is unreachable: {error}\n".encode()
                self._head(HTTPStatus.BAD_GATEWAY, len(text))
                self.wfile.write(text)
                return
            if local is None:
                self._head(HTTPStatus.NOT_FOUND, 0)
                return
            with local.open("rb") as body, contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._head(HTTPStatus.OK, os.fstat(body.fileno()).st_size)
                if with_body:
                    shutil.copyfileobj(body, self.wfile, 1 << 16)

        def _head(self, status: HTTPStatus, size: int) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(size))
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            del format, args

    return MirrorHandler
