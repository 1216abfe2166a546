"""The upload of backups with a write-only key, given or of a role: the service below refuses all but PUT of objects."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from provisioning.programs.backup_upload import temporary_key, upload_missing


@dataclass
class Bucket:
    """An S3 service with one bucket and a write-only key."""

    requests: list[str] = field(default_factory=list[str])
    objects: dict[str, bytes] = field(default_factory=dict[str, bytes])
    authorizations: list[str] = field(default_factory=list[str])
    tokens: list[str] = field(default_factory=list[str])
    refuses: bool = False
    role: dict[str, str] | None = None  # the metadata service's answer about the role of the instance


class _Handler(BaseHTTPRequestHandler):
    bucket: Bucket

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the base class
        del format, args

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.bucket.authorizations.append(self.headers.get("Authorization", ""))
        if token := self.headers.get("X-Amz-Security-Token"):
            self.bucket.tokens.append(token)
        self._answer(403 if self.bucket.refuses or self.path.count("/") < 2 else 200)
        self.bucket.objects[self.path] = content

    def do_GET(self) -> None:
        role = self.bucket.role if "/security-credentials/" in self.path else None
        self._answer(403 if role is None else 200, json.dumps(role).encode() if role else b"")

    def do_HEAD(self) -> None:
        self._answer(403)

    do_POST = do_DELETE = do_HEAD  # noqa: N815 - names of http.server

    def _answer(self, status: int, content: bytes = b"") -> None:
        self.bucket.requests.append(f"{self.command} {self.path.partition('?')[0]}")
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", '"x"')
        self.end_headers()
        self.wfile.write(content)


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


KEYS = {"RCLONE_S3_ACCESS_KEY_ID": "AKID/1+x", "RCLONE_S3_SECRET_ACCESS_KEY": "se=cr+et/"}
NAME = "20261127T020000Z"


def settings(endpoint: str) -> dict[str, str]:
    return {"name": "backups", "prefix": "prod/", "region": "", "endpoint": endpoint, "role": ""}


def test_each_backup_is_uploaded_once_with_one_signed_request_for_each_file(
    tmp_path: Path, bucket: tuple[Bucket, str]
) -> None:
    service, endpoint = bucket
    contents = {f"{NAME}.queue": b"queue", f"{NAME}.sql.gz": os.urandom(100_000)}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    for _ in range(2):
        assert not upload_missing(settings(endpoint), tmp_path, KEYS)
    assert service.requests == [f"PUT /backups/prod/{name}" for name in contents]
    assert list(service.objects.values()) == list(contents.values())
    assert service.authorizations[0].startswith("AWS4-HMAC-SHA256 Credential=AKID/1+x/")


def test_a_refused_upload_is_an_error_and_is_repeated(tmp_path: Path, bucket: tuple[Bucket, str]) -> None:
    service, endpoint = bucket
    service.refuses = True
    (tmp_path / f"{NAME}.sql.gz").write_bytes(b"x")
    assert upload_missing(settings(endpoint), tmp_path, KEYS) == f"{NAME}.sql.gz"
    service.refuses = False
    assert not upload_missing(settings(endpoint), tmp_path, KEYS)
    assert service.requests[-1] == f"PUT /backups/prod/{NAME}.sql.gz"


def test_the_temporary_key_of_a_role_signs_the_upload(tmp_path: Path, bucket: tuple[Bucket, str]) -> None:
    service, endpoint = bucket
    service.role = {"Code": "Success", "TmpSecretId": "AKIDtmp", "TmpSecretKey": "k", "Token": "to/ken=="}
    (tmp_path / f"{NAME}.sql.gz").write_bytes(b"x")
    keys = temporary_key("tandem-backup", endpoint)
    assert service.requests == ["GET /latest/meta-data/cam/security-credentials/tandem-backup"]
    assert not upload_missing(settings(endpoint), tmp_path, keys)
    assert "Credential=AKIDtmp/" in service.authorizations[0]
    assert service.tokens == ["to/ken=="]


def test_an_instance_without_the_role_has_no_key(bucket: tuple[Bucket, str]) -> None:
    service, endpoint = bucket
    with pytest.raises(OSError, match="403"):
        temporary_key("tandem-backup", endpoint)
    service.role = {"Code": "InternalError"}
    with pytest.raises(ValueError, match="InternalError"):
        temporary_key("tandem-backup", endpoint)
