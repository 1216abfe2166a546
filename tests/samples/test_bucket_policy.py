"""The upload of backups to a real S3 implementation (moto) whose policy lets the key write below one prefix only."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from provisioning.programs.backup_upload import upload_missing
from tests.engine.s3_server import BUCKET, install, s3_server

NAME = "20261127T020000Z"
# Two users: one with all rights, and one that may write objects below the prefix. Prints their keys.
_USERS = """
import json, sys, boto3
iam = boto3.client("iam", endpoint_url=sys.argv[1], region_name="us-east-1",
                   aws_access_key_id="x", aws_secret_access_key="x")
def user(name, action, resource):
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=document)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return [key["AccessKeyId"], key["SecretAccessKey"]]
print(json.dumps([user("reader", "s3:*", "*"), user("writer", "s3:PutObject", f"arn:aws:s3:::{sys.argv[2]}/prod/*")]))
"""
# Runs one action with a key; prints the result or the error code.
_ACTION = """
import json, sys, boto3, botocore.exceptions
s3 = boto3.client("s3", endpoint_url=sys.argv[1], region_name="us-east-1",
                  aws_access_key_id=sys.argv[2], aws_secret_access_key=sys.argv[3])
try:
    answer = getattr(s3, sys.argv[4])(**json.loads(sys.argv[5]))
    print(answer["Body"].read().hex() if "Body" in answer else "ok")
except botocore.exceptions.ClientError as error:
    print(error.response["Error"]["Code"])
"""
_ACTIONS_WITHOUT_A_KEY = 6  # of the script above


@dataclass(frozen=True)
class Service:
    """The S3 server, and the keys of its users."""

    endpoint: str
    reader: list[str]
    writer: list[str]

    def act(self, key: list[str], action: str, **parameters: Any) -> str:
        return _run(_ACTION, self.endpoint, *key, action, json.dumps({"Bucket": BUCKET, **parameters})).strip()

    def upload(self, directory: Path, prefix: str = "prod/", key: list[str] | None = None) -> str:
        names = ("RCLONE_S3_ACCESS_KEY_ID", "RCLONE_S3_SECRET_ACCESS_KEY")
        bucket = {"name": BUCKET, "prefix": prefix, "region": "us-east-1", "endpoint": self.endpoint, "role": ""}
        return upload_missing(bucket, directory, dict(zip(names, key or self.writer, strict=True)))


def _run(script: str, *arguments: str) -> str:
    python = str(install() / "bin" / "python")
    return subprocess.run([python, "-c", script, *arguments], check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    # Neither rclone nor boto3 can use a proxy or a CA bundle that the environment of the tests may name.
    before = os.environ.pop("AWS_CA_BUNDLE", None)
    with s3_server() as address:
        endpoint = f"http://{address}"
        httpx.post(f"{endpoint}/moto-api/reset-auth", content=str(_ACTIONS_WITHOUT_A_KEY)).raise_for_status()
        reader, writer = json.loads(_run(_USERS, endpoint, BUCKET))
        yield Service(endpoint, reader, writer)
    if before is not None:
        os.environ["AWS_CA_BUNDLE"] = before


def test_a_key_that_may_only_write_is_sufficient(service: Service, tmp_path: Path) -> None:
    contents = {f"{NAME}.queue": b"queue", f"{NAME}.sql.gz": os.urandom(7_000_000)}  # in several parts
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    assert service.upload(tmp_path) == ""
    for name, content in contents.items():
        assert service.act(service.reader, "get_object", Key=f"prod/{name}") == content.hex()
    # The key can do nothing else.
    assert service.act(service.writer, "get_object", Key=f"prod/{NAME}.queue") == "AccessDenied"
    assert service.act(service.writer, "delete_object", Key=f"prod/{NAME}.queue") == "AccessDenied"
    assert service.act(service.writer, "list_objects_v2") == "AccessDenied"


def test_another_prefix_and_a_wrong_key_are_refused(service: Service, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.sql.gz").write_bytes(b"x")
    assert service.upload(tmp_path, prefix="staging/") == f"{NAME}.sql.gz"
    assert service.upload(tmp_path, key=[service.writer[0], "wrong"]) == f"{NAME}.sql.gz"
    assert service.act(service.reader, "get_object", Key=f"staging/{NAME}.sql.gz") == "NoSuchKey"
    assert service.upload(tmp_path) == ""
