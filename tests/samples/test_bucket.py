"""The upload of a backup with a write-only key: the S3 service below refuses everything but PUT of objects."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from provisioning.programs.backup import upload


@dataclass
class Bucket:
    """An S3 service with one bucket and a write-only key."""

    requests: list[str] = field(default_factory=list[str])
    objects: dict[str, bytes] = field(default_factory=dict[str, bytes])
    authorizations: list[str] = field(default_factory=list[str])
    refuses: bool = False


class _Handler(BaseHTTPRequestHandler):
    bucket: Bucket

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
        del format, args

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.bucket.authorizations.append(self.headers.get("Authorization", ""))
        self._answer(403 if self.bucket.refuses or self.path.count("/") < 2 else 200)
        self.bucket.objects[self.path] = content

    def do_GET(self) -> None:
        self._answer(403)

    do_HEAD = do_POST = do_DELETE = do_GET  # noqa: N815 - names of http.server

    def _answer(self, status: int) -> None:
        self.bucket.requests.append(f"{self.command} {self.path.partition('?')[0]}")
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.send_header("ETag", '"x"')
        self.end_headers()


@pytest.fixture
def bucket() -> Iterator[tuple[Bucket, str]]:
    bucket = Bucket()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"bucket": bucket}))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # rclone cannot use a CA bundle that the environment of the tests may name; nodes have none.
    before = os.environ.pop("AWS_CA_BUNDLE", None)
    yield bucket, f"http://127.0.0.1:{server.server_port}"
    if before is not None:
        os.environ["AWS_CA_BUNDLE"] = before
    server.shutdown()
    server.server_close()


def settings(tmp_path: Path, endpoint: str) -> dict[str, str]:
    env = tmp_path / "bucket.env"
    env.write_text("RCLONE_S3_ACCESS_KEY_ID=AKID/1+x\nRCLONE_S3_SECRET_ACCESS_KEY=se=cr+et/\n")
    return {"name": "backups", "prefix": "prod/", "region": "", "endpoint": endpoint, "env": str(env)}


def test_a_backup_is_uploaded_with_one_signed_request(tmp_path: Path, bucket: tuple[Bucket, str]) -> None:
    service, endpoint = bucket
    file = tmp_path / "20261127T020000Z.sql.gz"
    file.write_bytes(os.urandom(100_000))
    assert upload(settings(tmp_path, endpoint), file) == 0
    assert service.requests == ["PUT /backups/prod/20261127T020000Z.sql.gz"]
    assert list(service.objects.values()) == [file.read_bytes()]
    assert service.authorizations[0].startswith("AWS4-HMAC-SHA256 Credential=AKID/1+x/")


def test_a_refused_upload_is_an_error(tmp_path: Path, bucket: tuple[Bucket, str]) -> None:
    service, endpoint = bucket
    service.refuses = True
    file = tmp_path / "20261127T020000Z.sql.gz"
    file.write_bytes(b"x")
    assert upload(settings(tmp_path, endpoint), file) != 0
