"""Passwords of Redis and SSH keys on a node: the new one is added first, and the old one is removed last."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from provisioning_fakes import FakeSystem

from provisioning.agent.kinds import authorized_key, redis_password
from provisioning.agent.node import Node, StepError
from provisioning.kinds.authorized_key import AuthorizedKey
from provisioning.kinds.base import Item
from provisioning.kinds.redis_password import RedisPassword, redis_hash

OLD, NEW = RedisPassword("old", "10.0.4.20", 6379), RedisPassword("new", "10.0.4.20", 6379)
OLD_KEY = AuthorizedKey("deployment key", "debian", "ssh-rsa AAAAold")
NEW_KEY = AuthorizedKey("deployment key", "debian", "ssh-rsa AAAAnew tandem")


@pytest.fixture
def system(tmp_path: Path) -> FakeSystem:
    system = FakeSystem(tmp_path)
    for path in ("etc/redis", "root", "home/debian/.ssh", "home/alice/.ssh"):
        (tmp_path / path).mkdir(parents=True)
    (tmp_path / "etc/redis/redis.conf").write_text("aclfile /etc/redis/users.acl\n")
    users = (("debian", "/home/debian"), ("alice", "/home/alice"), ("nobody", "/nonexistent"))
    rows = [f"{name}:x:{os.getuid()}:{os.getgid()}::{home}:/bin/sh\n" for name, home in users]
    (tmp_path / "etc/passwd").write_text("".join(rows))
    return system


def node(system: FakeSystem) -> Node:
    return Node(root=str(system.root), runner=system.run)


def difference(system: FakeSystem, item: Item) -> str | None:
    modules: dict[str, Any] = {"redis_password": redis_password, "authorized_key": authorized_key}
    return item.compare(modules[item.kind()].facts(node(system), [item.question()]))


def users_file(system: FakeSystem) -> str:
    return (system.root / "etc/redis/users.acl").read_text()


# ---- Redis ---------------------------------------------------------------------------------------------------------


def test_the_first_password_is_written_before_redis_runs(system: FakeSystem) -> None:
    assert difference(system, OLD) == "not accepted"
    redis_password.commit(node(system), OLD.operation())
    assert difference(system, OLD) is None
    default, own = users_file(system).splitlines()
    assert default == f"user default on #{redis_hash('old')} ~* &* +@all"
    assert own.startswith("user tandem on #")
    assert own.endswith(" -@all +acl")
    assert (system.root / "etc/redis/users.acl").stat().st_mode & 0o777 == 0o640


def test_old_and_new_password_are_valid_until_the_old_one_is_removed(system: FakeSystem) -> None:
    redis_password.commit(node(system), OLD.operation())
    system.redis = [redis_hash("old")]
    redis_password.commit(node(system), NEW.operation())
    assert system.redis == [redis_hash("old"), redis_hash("new")]
    assert difference(system, OLD) is difference(system, NEW) is None
    redis_password.remove(node(system), OLD.removal())
    assert system.redis == [redis_hash("new")]
    assert redis_hash("old") not in users_file(system)
    assert redis_password.remove(node(system), OLD.removal()) == []


def test_a_password_that_only_the_file_has_is_set_in_the_running_server(system: FakeSystem) -> None:
    """A run was killed between the two."""
    redis_password.commit(node(system), NEW.operation())
    system.redis = [redis_hash("old")]
    assert difference(system, NEW) == "not accepted until a restart"
    redis_password.commit(node(system), NEW.operation())
    assert system.redis == [redis_hash("old"), redis_hash("new")]


def test_no_password_appears_in_an_operation() -> None:
    assert "new" not in str(NEW.operation()) + str(NEW.removal()) + str(NEW.question())


# ---- SSH keys --------------------------------------------------------------------------------------------------------


def authorized(system: FakeSystem, user: str) -> list[str]:
    return (system.root / f"home/{user}/.ssh/authorized_keys").read_text().splitlines()


def test_old_and_new_key_are_authorized_until_the_old_one_is_removed(system: FakeSystem) -> None:
    for user in ("debian", "alice"):  # the cloud gives its key pair to the user of the image, with options
        file = system.root / f"home/{user}/.ssh/authorized_keys"
        file.write_text("# by hand\nno-pty ssh-rsa AAAAold old@host\nssh-ed25519 AAAAother carol\n")
    assert difference(system, OLD_KEY) is None
    assert difference(system, NEW_KEY) == "not authorized"
    authorized_key.commit(node(system), NEW_KEY.operation())
    assert difference(system, OLD_KEY) is difference(system, NEW_KEY) is None
    authorized_key.remove(node(system), OLD_KEY.removal())
    others = ["# by hand", "ssh-ed25519 AAAAother carol"]
    assert authorized(system, "debian") == [*others, "ssh-rsa AAAAnew tandem"]
    assert authorized(system, "alice") == others
    assert authorized_key.remove(node(system), OLD_KEY.removal()) == []


def test_the_first_key_of_a_user_creates_a_file_that_only_the_user_can_read(system: FakeSystem) -> None:
    (system.root / "home/debian/.ssh").rmdir()
    authorized_key.commit(node(system), NEW_KEY.operation())
    assert (system.root / "home/debian/.ssh").stat().st_mode & 0o777 == 0o700
    assert (system.root / "home/debian/.ssh/authorized_keys").stat().st_mode & 0o777 == 0o600


def test_a_key_of_a_user_that_does_not_exist_is_an_error(system: FakeSystem) -> None:
    item = AuthorizedKey("deployment key", "carol", "ssh-rsa AAAA")
    assert difference(system, item) == "not authorized"
    with pytest.raises(StepError, match="the user carol does not exist"):
        authorized_key.commit(node(system), item.operation())
