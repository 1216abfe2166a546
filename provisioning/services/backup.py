"""Nightly backups of the databases: on the data disk, and copied to the second node and optionally to a bucket.

The data node reaches the second node by SSH with a key that can only run the backup program there.
"""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from provisioning import placeholders
from provisioning.deployment import Deployment, Node
from provisioning.kinds.base import Item
from provisioning.kinds.directory import Directory
from provisioning.kinds.file import File
from provisioning.kinds.timer import Timer
from provisioning.kinds.user import User
from provisioning.rendering import render
from provisioning.services.data import redis_address
from provisioning.services.packages import packages
from provisioning.services.programs import FOLDER, sources_of

UNIT = "tandem-backup"
PROGRAM = "/usr/local/lib/tandem/backup"
_MODULES = f"{FOLDER}/database_backup"
UPLOAD = "/usr/local/lib/tandem/backup-upload"
_RECEIVER = "tandem-backup"  # the account on the second node
_HOME = "/var/lib/tandem-backup"
_KEYS = "/etc/tandem/backup"
_BUCKET_KEY = f"{_KEYS}/bucket.env"


def desired(deployment: Deployment, node: Node) -> list[Item]:
    if node == deployment.data_node:
        return _data_node(deployment)
    return _backup_node(deployment) if node == deployment.backup_node else []


def _uploader() -> File:
    source = resources.files("provisioning.programs").joinpath("backup_upload.py").read_text(encoding="utf-8")
    return File(UPLOAD, source, mode=0o755)


def _programs(deployment: Deployment, **more: Any) -> list[Item]:
    keep = {"keep_days": deployment.data.backup.keep_days, "keep_weeks": deployment.data.backup.keep_weeks}
    return [
        Directory(_MODULES),
        *(File(f"{_MODULES}/{name}", text) for name, text in sources_of("database_backup").items()),
        File(PROGRAM, render("backup/backup.j2", modules=_MODULES), mode=0o755),
        File("/etc/tandem/backup.json", json.dumps({**keep, **more}, indent=2) + "\n"),
    ]


def _data_node(deployment: Deployment) -> list[Item]:
    peer, settings = deployment.backup_node, deployment.data.backup
    assert peer is not None
    redis_host, redis_port = redis_address(deployment)
    bucket = settings.bucket
    given: dict[str, Any] = {
        "database": deployment.data.database,
        "redis_host": redis_host,
        "redis_port": redis_port,
        "redis_env": "/etc/iam/redis.env",
        "peer": peer.private_address,
        "key": f"{_KEYS}/key",
        "known_hosts": f"{_KEYS}/known_hosts",
    }
    if bucket is not None:
        given["bucket"] = {**bucket.model_dump(), "region": bucket.region or "", "role": bucket.role or ""}
    known = f"{peer.private_address} {placeholders.placeholder(placeholders.host_key(peer.name))}\n"
    key = placeholders.placeholder(placeholders.BACKUP_PRIVATE_KEY) + "\n"
    return [
        *packages(deployment, "openssh-client"),
        Directory(_KEYS, mode=0o700),
        *_programs(deployment, **given),
        File(f"{_KEYS}/known_hosts", known, mode=0o600),
        File(f"{_KEYS}/key", key, mode=0o600),
        *([*packages(deployment, "rclone"), _uploader()] if bucket is not None else []),
        *([_bucket_key()] if bucket is not None and bucket.role is None else []),
        File(
            f"/etc/systemd/system/{UNIT}.service",
            render(
                "backup/tandem-backup.service.j2",
                program=PROGRAM,
                bucket_key=_BUCKET_KEY,
                redis_unit=deployment.distribution.family.redis_unit,
            ),
        ),
        Timer(UNIT, "Nightly backup of the databases", calendar=f"*-*-* {settings.hour:02}:00:00 UTC"),
    ]


def _bucket_key() -> File:
    """Variables of rclone, which the unit reads from a file: the key is on no command line."""
    variables = {
        "RCLONE_S3_ACCESS_KEY_ID": placeholders.BUCKET_KEY_ID,
        "RCLONE_S3_SECRET_ACCESS_KEY": placeholders.BUCKET_KEY_SECRET,
    }
    lines = [f'{name}="{placeholders.escaped_placeholder(key, "environment")}"\n' for name, key in variables.items()]
    return File(_BUCKET_KEY, "".join(lines), mode=0o600)


def _backup_node(deployment: Deployment) -> list[Item]:
    data_node = deployment.data_node
    assert data_node is not None
    public_key = placeholders.placeholder(placeholders.BACKUP_PUBLIC_KEY)
    # sshd runs the command with the shell of the account, not the command that the client requests.
    key = f'command="{PROGRAM} serve",restrict,from="{data_node.private_address}" {public_key}\n'
    return [
        User(_RECEIVER, home=_HOME, shell="/bin/sh"),  # noqa: S604 - a login shell, no call
        Directory(_HOME),
        Directory(f"{_HOME}/.ssh"),
        Directory(f"{_HOME}/received", owner=_RECEIVER, group=_RECEIVER, mode=0o700),
        *_programs(deployment),
        File(f"{_HOME}/.ssh/authorized_keys", key),
    ]
