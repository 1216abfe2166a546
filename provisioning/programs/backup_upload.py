#!/usr/bin/python3
"""Uploads the backups that have not been uploaded. Installed on the data node as /usr/local/lib/tandem/backup-upload.

tandem-backup.service passes a key that may only write objects (RCLONE_S3_*, in the environment). If the instance has a
CAM role for the bucket, the metadata service supplies a temporary key instead. Standard library only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

CONFIGURATION = Path("/etc/tandem/backup.json")
OWN = Path("/srv/tandem/backups")
METADATA = "http://metadata.tencentyun.com"
_TIMEOUT_S = 10


def upload_missing(bucket: dict[str, str], directory: Path, keys: dict[str, str]) -> str:
    """Returns the name of the file that could not be uploaded, or "". The next run repeats a failed upload.

    Such a key cannot list the bucket, so a mark is kept for each uploaded backup.
    """
    for dump in sorted(directory.glob("[0-9]*.sql.gz")):
        name = dump.name[: -len(".sql.gz")]
        mark = directory / f"{name}.uploaded"
        for file in () if mark.exists() else (directory / f"{name}.queue", dump):
            if file.exists() and _upload(bucket, file, keys):
                return file.name
        mark.touch()
    return ""


def _upload(bucket: dict[str, str], file: Path, keys: dict[str, str]) -> int:
    remote = f":s3:{bucket['name']}/{bucket['prefix']}{file.name}"
    # COS accepts only the bucket's own host name (virtual-hosted style), which the provider selects.
    provider = "TencentCOS" if bucket["endpoint"].endswith(".myqcloud.com") else "Other"
    # Without HEAD requests, and without creating the bucket: a write-only key may do neither.
    options = ["--s3-no-check-bucket", "--s3-no-head", "--no-check-dest", "--ignore-times", "--retries=3", "--quiet",
               f"--s3-endpoint={bucket['endpoint']}", f"--s3-provider={provider}"]  # fmt: skip
    region = [f"--s3-region={bucket['region']}"] if bucket["region"] else []
    command = ["rclone", "copyto", str(file), remote, *options, *region]
    return subprocess.run(command, env={**os.environ, **keys, "HOME": "/root"}, check=False).returncode


def temporary_key(role: str, metadata: str = METADATA) -> dict[str, str]:
    """The key of the instance's role (cloud.tencent.com/document/product/213/4934). Raises OSError, ValueError."""
    url = f"{metadata}/latest/meta-data/cam/security-credentials/{role}"
    with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:
        key = json.load(response)
    if key.get("Code") != "Success":
        raise ValueError(f"{url}: {key.get('Code')}")
    return {
        "RCLONE_S3_ACCESS_KEY_ID": key["TmpSecretId"],
        "RCLONE_S3_SECRET_ACCESS_KEY": key["TmpSecretKey"],
        "RCLONE_S3_SESSION_TOKEN": key["Token"],
    }


def main() -> None:
    bucket = json.loads(CONFIGURATION.read_text(encoding="utf-8"))["bucket"]
    try:
        keys = temporary_key(bucket["role"]) if bucket["role"] else {}
    except (OSError, ValueError, KeyError) as failed:
        sys.exit(f"backup-upload: no key of the role {bucket['role']}: {type(failed).__name__}: {failed}")
    failed_file = upload_missing(bucket, OWN, keys)
    if failed_file:
        sys.exit(f"backup-upload: {failed_file} was not uploaded; the messages of rclone are above")


if __name__ == "__main__":
    main()
