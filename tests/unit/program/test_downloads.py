from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from settings import releases
from settings.downloads import fetch
from settings.releases import ReleaseError, read_release

URL = "https://bucket.cos.example.com/iam.tar.gz?q-signature=topsecret"
DATA = bytes(range(256)) * 100
SHA256 = hashlib.sha256(DATA).hexdigest()
Handler = Callable[[httpx.Request], httpx.Response]


def attempt(cache: Path, handler: Handler, sha256: str | None = SHA256) -> Path:
    return fetch(
        URL, sha256, cache, transport=httpx.MockTransport(handler), report=lambda _line: None, sleep=lambda _s: None
    )


def respond(status: int, data: bytes) -> httpx.Response:
    # `content=` would be read before the client streams it.
    return httpx.Response(status, headers={"Content-Length": str(len(data))}, stream=httpx.ByteStream(data))


def ranges(request: httpx.Request) -> httpx.Response:
    if "Range" not in request.headers:
        return respond(200, DATA)
    offset = int(request.headers["Range"].removeprefix("bytes=").removesuffix("-"))
    return respond(206, DATA[offset:]) if offset < len(DATA) else httpx.Response(416)


def refuse(status: int) -> Handler:
    def handler(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(status)

    return handler


def test_a_release_is_fetched_once(tmp_path: Path) -> None:
    path = attempt(tmp_path, ranges)
    assert path.read_bytes() == DATA
    assert attempt(tmp_path, refuse(403)) == path, "an expired URL does not matter any more"
    path.write_bytes(b"damaged")
    assert attempt(tmp_path, ranges).read_bytes() == DATA
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (URL, "https://bucket.cos.example.com/iam.tar.gz"),
        (
            "HTTPS://deploy:topsecret@files.example.com:8443/a@b/iam.tar.gz",
            "HTTPS://files.example.com:8443/a@b/iam.tar.gz",
        ),
        ("https://topsecret@files.example.com?q=topsecret", "https://files.example.com"),
        ("releases/iam@2?.tar.gz", "releases/iam@2?.tar.gz"),
    ],
)
def test_a_url_is_shown_without_secrets(source: str, shown: str, tmp_path: Path) -> None:
    assert releases.shown(source) == shown
    if source != shown:
        with pytest.raises(ReleaseError) as caught:
            fetch(source, None, tmp_path)
        assert "topsecret" not in str(caught.value)


class Broken(httpx.SyncByteStream):
    """Breaks after some bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __iter__(self) -> Iterator[bytes]:
        yield self._data
        raise httpx.ReadTimeout("timed out")


@pytest.mark.parametrize("has_ranges", [True, False])
def test_a_connection_that_breaks_is_continued(tmp_path: Path, *, has_ranges: bool) -> None:
    requests: list[str | None] = []

    def handler(request: httpx.Request) -> httpx.Response:
        requests.append(request.headers.get("Range"))
        if len(requests) == 1:
            return httpx.Response(200, stream=Broken(DATA[:1000]))
        return ranges(request) if has_ranges else respond(200, DATA)

    assert attempt(tmp_path, handler).read_bytes() == DATA
    assert requests == [None, "bytes=1000-"]


def test_a_server_that_does_not_answer_is_an_error_and_the_next_run_continues(tmp_path: Path) -> None:
    def handler(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Broken(DATA[:1000]))

    with pytest.raises(ReleaseError, match="cannot be fetched: ReadTimeout: timed out"):
        attempt(tmp_path, handler)
    assert attempt(tmp_path, ranges).read_bytes() == DATA


@pytest.mark.parametrize(
    ("handler", "sha256", "message"),
    [
        pytest.param(refuse(403), SHA256, "HTTP status 403; a presigned URL may have expired", id="403"),
        pytest.param(refuse(404), SHA256, "HTTP status 404", id="404"),
        pytest.param(ranges, "0" * 64, f"must have the checksum of tandem:iam.sha256 (got {SHA256}", id="checksum"),
        pytest.param(ranges, None, "must be set together with tandem:iam.sha256", id="no checksum"),
    ],
)
def test_a_refused_release_is_an_error_without_the_signature(
    tmp_path: Path, handler: Handler, sha256: str | None, message: str
) -> None:
    with pytest.raises(ReleaseError) as caught:
        attempt(tmp_path, handler, sha256)
    assert message in caught.value.message
    assert "topsecret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("https://[::1/iam.tar.gz", id="bracket"),
        pytest.param("https://bucket.example.com:port/iam.tar.gz", id="port"),
        pytest.param(f"https://{'a' * 64}.example.com/iam.tar.gz", id="label of 64 characters"),
    ],
)
def test_a_malformed_url_is_an_error_of_the_setting(tmp_path: Path, url: str) -> None:
    with pytest.raises(ReleaseError, match=re.escape(f"{url} must be a valid URL: ")):
        fetch(f"{url}?q-signature=topsecret", SHA256, tmp_path)


def test_a_file_with_another_checksum_than_the_given_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "iam.tar.gz"
    path.write_bytes(DATA)
    with pytest.raises(ReleaseError) as caught:
        read_release(path, "0" * 64)
    assert f"got {SHA256}, requested {'0' * 64}" in caught.value.message
