"""The package mirror, with a package source on this host's loopback interface."""

from __future__ import annotations

import threading
from collections.abc import Generator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from localcloud.network.mirror import Mirror, roots
from localcloud.package_sources import Source

_PACKAGE = "/debian/pool/main/t/tree/tree_1.deb"
_INDEX = "/debian/dists/bookworm/InRelease"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        del format, args


@pytest.fixture
def source(tmp_path: Path) -> Generator[ThreadingHTTPServer]:
    for path in (_PACKAGE, _INDEX):
        file = tmp_path / "source" / path.lstrip("/")
        file.parent.mkdir(parents=True)
        file.write_text(f"this is {path}")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path / "source")))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def mirror(source: ThreadingHTTPServer, tmp_path: Path) -> Mirror:
    return Mirror({"debian": f"http://127.0.0.1:{source.server_port}/debian"}, tmp_path / "cache")


def _text(mirror: Mirror, path: str) -> str:
    found = mirror.get(path)
    assert found is not None
    return found.read_text()


@pytest.mark.parametrize(
    "path", ["/debian/pool", "/debian/pool/main/t/tree", "/debian/dists/", "/debian/dists/bookworm"]
)
def test_a_request_for_a_directory_does_not_block_the_packages_below_it(mirror: Mirror, path: str) -> None:
    """The source shows a directory listing: stored as a file, it would block the directory of that name."""
    assert mirror.get(path) is None
    assert _text(mirror, _PACKAGE) == f"this is {_PACKAGE}"
    assert _text(mirror, _INDEX) == f"this is {_INDEX}"


def test_a_missing_file_is_not_found(mirror: Mirror) -> None:
    for path in ("/debian/pool/none.deb", "/other/pool/a.deb", "/debian", "/", "/debian/../debian/pool/a.deb"):
        assert mirror.get(path) is None


def test_a_fetched_file_is_served_while_the_source_is_unreachable(mirror: Mirror, source: ThreadingHTTPServer) -> None:
    assert _text(mirror, _PACKAGE) == f"this is {_PACKAGE}"
    source.shutdown()
    source.server_close()
    assert _text(mirror, _PACKAGE) == f"this is {_PACKAGE}"
    with pytest.raises(OSError, match="refused"):
        mirror.get(_INDEX)


def test_the_hosts_sources_are_the_mirrors_roots() -> None:
    sources = (
        Source("http://a.test/debian/", "bookworm", ("main",)),
        Source("http://a.test/debian/", "bookworm-updates", ("main",)),
        Source("http://b.test/security", "bookworm-security", ("main",)),
    )
    assert roots(sources) == {"debian": "http://a.test/debian", "debian-security": "http://b.test/security"}
