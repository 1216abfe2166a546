"""Given secrets with any printable characters reach each program unchanged, through the format that it reads."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from iam_real_servers import REDIS_PASSWORD, A, RealNode, deployment_of, group

from components.credentials import encode_for_a_url
from provisioning.agent.kinds import redis_password
from provisioning.agent.mariadb import query_on
from provisioning.agent.mariadb_login import log_in
from provisioning.agent.node import Node
from provisioning.agent.redis_client import Redis
from provisioning.deployment import Deployment
from provisioning.kinds.account import Account, password_hash
from provisioning.kinds.file import File
from provisioning.kinds.redis_password import RedisPassword
from provisioning.manifest_rendering import render
from provisioning.placeholders import (
    BUCKET_KEY_ID,
    BUCKET_KEY_SECRET,
    JWT_KEY,
    MARIADB_IAM_PASSWORD,
    MONGODB_PASSWORD,
    substitute,
)
from provisioning.placeholders import (
    REDIS_PASSWORD as REDIS,
)
from provisioning.programs.database_backup.audit_queue import read_environment
from settings.data import DataSettings
from settings.iam import IamSettings
from settings.load import find_release

PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
EVERY_CHARACTER = [
    PRINTABLE, f" {PRINTABLE[::-1]} ", "\\", '"', "$HOME `id` \\$", "''", "#@@", "yes", "0x1F", "~", "*a",
]  # fmt: skip
secrets = st.text(PRINTABLE, min_size=1, max_size=128)
GENERATOR = "/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator"


def with_examples(test: Callable[..., None]) -> Callable[..., None]:
    for secret in EVERY_CHARACTER:
        test = example(secret)(test)
    return hypothesis_settings(max_examples=60, deadline=None)(given(secrets)(test))


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """The files of the first node: with databases of the group, or outside (with MongoDB)."""
    inside = deployment_of(find_release(IamSettings()))
    bucket = {"bucket": {"endpoint": "https://s3.example.com", "name": "backups"}}
    outside = {
        "location": "external", "mariadbAddress": "10.0.9.1:3306", "redisAddress": "10.0.9.2:6379",
        "mongodb": {"address": "10.0.9.3:27017"},
    }  # fmt: skip
    found = _files(replace(inside, data=DataSettings.model_validate({"backup": bucket})))
    pump = _files(replace(inside, data=DataSettings.model_validate(outside)))["/etc/iam/iam-pump.yaml"]
    return {**found, "mongodb": pump}


def _files(deployment: Deployment) -> dict[str, str]:
    return {item.path: item.text for item in render(deployment)[A.name].items if isinstance(item, File)}


def test_no_other_file_contains_a_given_secret(texts: dict[str, str]) -> None:
    """A file that is added to this list needs a test below."""
    names = f"{BUCKET_KEY_ID}|{BUCKET_KEY_SECRET}|{JWT_KEY}|{MARIADB_IAM_PASSWORD}|{MONGODB_PASSWORD}|{REDIS}"
    assert sorted(path for path, text in texts.items() if re.search(rf"@@secret:({names})\b", text)) == [
        "/etc/iam/iam-apiserver.yaml", "/etc/iam/iam-authz-server.yaml", "/etc/iam/iam-pump.yaml",
        "/etc/iam/redis.env", "/etc/tandem/backup/bucket.env", "/etc/tandem/database.json", "mongodb",
    ]  # fmt: skip


@with_examples
def test_yaml_returns_each_secret(texts: dict[str, str], secret: str) -> None:
    values = {MARIADB_IAM_PASSWORD: secret, REDIS: secret[::-1], JWT_KEY: secret + "x"}

    def parsed(path: str) -> Any:
        return yaml.safe_load(substitute(texts[path], values, path))

    api = parsed("/etc/iam/iam-apiserver.yaml")
    assert (api["mysql"]["password"], api["jwt"]["key"]) == (secret, secret + "x")
    for name in ("apiserver", "authz-server", "pump"):
        assert parsed(f"/etc/iam/iam-{name}.yaml")["redis"]["password"] == secret[::-1]


@with_examples
def test_json_returns_each_secret(texts: dict[str, str], secret: str) -> None:
    path = "/etc/tandem/database.json"
    values = {MARIADB_IAM_PASSWORD: secret, REDIS: secret[::-1]}
    found = set(_strings(json.loads(substitute(texts[path], values, path))))
    assert {values[name] for name in values if f"@@secret:{name} " in texts[path]} <= found
    assert "@@secret" not in str(found)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _strings(each)
    elif isinstance(value, str):
        yield value


@with_examples
def test_the_url_of_mongodb_returns_the_secret(texts: dict[str, str], secret: str) -> None:
    values = {REDIS: "x", MONGODB_PASSWORD: encode_for_a_url(secret)}
    pump = yaml.safe_load(substitute(texts["mongodb"], values, "iam-pump"))
    url = urlsplit(pump["pumps"]["mongo"]["meta"]["mongo_url"])
    assert unquote(url.password or "") == secret
    assert (url.username, url.hostname, url.port, url.path) == ("iam", "10.0.9.3", 27017, "/iam_analytics")


@with_examples
def test_environment_files_return_the_secret_to_systemd_and_to_the_backup_program(
    texts: dict[str, str], tmp_path_factory: pytest.TempPathFactory, secret: str
) -> None:
    directory = tmp_path_factory.mktemp("env")
    # This parser of systemd also expands variables, which an EnvironmentFile does not: `$$` is one `$`.
    assert _read_by_systemd(directory, texts["/etc/iam/redis.env"], secret.replace("$", "$$")) == secret
    file = directory / "redis.env"
    file.write_text(substitute(texts["/etc/iam/redis.env"], {REDIS: secret}, "redis.env"))
    assert read_environment(str(file)) == {"REDISCLI_AUTH": secret}


def _read_by_systemd(directory: Path, text: str, secret: str) -> str:
    configured = directory / "environment.d/x.conf"
    configured.parent.mkdir()
    configured.write_text(substitute(text, {REDIS: secret}, "redis.env"))
    environment = {"XDG_CONFIG_HOME": str(directory), "HOME": str(directory)}
    shown = subprocess.run([GENERATOR], env=environment, check=True, capture_output=True, text=True).stdout
    return subprocess.run(
        ["sh", "-c", f'{shown}\nprintf %s "$REDISCLI_AUTH"'], check=True, capture_output=True, text=True, env={}
    ).stdout


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNode]:
    with group(tmp_path_factory.mktemp("group")) as (first, _):
        yield first


@pytest.mark.parametrize("secret", [PRINTABLE, f" {PRINTABLE[::-1]} ", "'; DROP USER iam; --", "\\'\\\\"])
def test_mariadb_accepts_the_secret(node: RealNode, secret: str) -> None:
    node.sql(f"CREATE OR REPLACE USER given@'%' IDENTIFIED VIA mysql_native_password USING '{password_hash(secret)}'")
    assert Account("given", "%", secret).compare({"given@%": password_hash(secret)}) is None
    host, port = A.private_address, 3306
    assert log_in(host, port, "given", secret) == ""
    assert "Access denied" in log_in(host, port, "given", secret + "x")
    shown = query_on(Node(), f"{host}:{port}", "given", secret, "SELECT 1;\n", "information_schema")
    assert shown.out == "1\n", shown.err


@pytest.mark.parametrize("secret", [PRINTABLE, f" {PRINTABLE[::-1]} ", "#>x +@all", "'\"\\"])
def test_redis_accepts_the_secret_from_its_file_and_at_run_time(node: RealNode, tmp_path: Path, secret: str) -> None:
    for path in ("etc/redis", "root"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "etc/redis/redis.conf").write_text("")
    item = RedisPassword(secret, A.private_address, 6379)
    redis_password.commit(Node(root=str(tmp_path)), item.operation())
    users = (tmp_path / "etc/redis/users.acl").read_text()
    file = node.directory / "etc/redis/users.acl"
    file.write_text(users)
    with node.redis() as client:
        client.execute_command("ACL LOAD")
    connection = Redis(A.private_address, 6379, secret)
    assert connection.call("PING") == "PONG"
    environment = {**os.environ, "REDISCLI_AUTH": secret}
    command = ["redis-cli", "-e", "-h", A.private_address, "PING"]
    assert subprocess.run(command, env=environment, check=True, capture_output=True).stdout == b"PONG\n"
    connection.call("ACL", "SETUSER", "default", f">{REDIS_PASSWORD}")
    connection.close()
