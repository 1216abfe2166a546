"""The passwords of Redis' default user: in the file of its users, and in the running server.

Tandem has a separate user, which can change users only. Its password exists on this node only, so it does not depend
on the services' password, which it changes.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence

from .files import owner_facts, replace_text, what_is
from .node import Node, StepError
from .systemd import systemctl

USER = "tandem"
USERS = "/etc/redis/users.acl"  # named in redis.conf
_PASSWORD_RECORD = "redis-administrator.json"  # noqa: S105 - the name of a file
_CONFIGURATION = "/etc/redis/redis.conf"
_MODE = 0o640  # of the file of users: hashes of passwords are not for everyone


def accepted(node: Node, address: str, port: int) -> tuple[list[str], list[str] | None]:
    """The hashes of the accepted passwords: in the file, and in the running server.

    In the server: None if it does not run, none if it has other users and so cannot be queried.
    """
    in_file = node.read(USERS) if what_is(node.at(USERS)) == "a file" else ""
    listed = _command(node, address, port, "ACL LIST")
    return _hashes(in_file) or [], [] if _refused(listed) else _hashes(listed)


def set_accepted(
    node: Node, address: str, port: int, *, add: Sequence[str] = (), remove: Sequence[str] = (), unit: str = ""
) -> None:
    """Change the file, then the running server. Connections are kept. Raises StepError.

    To add a password to a server that was started with other users, its unit is restarted: nothing but the file can
    give it Tandem's user.
    """
    in_file, live = accepted(node, address, port)
    node.before("write " + USERS)
    _write(node, [hashed for hashed in dict.fromkeys([*in_file, *add]) if hashed not in remove])
    if live is None:
        return  # the server reads the file when it starts
    rules = [f"#{hashed}" for hashed in add if hashed not in live]
    rules += [f"!{hashed}" for hashed in remove if hashed in live]
    if rules:
        node.before("set the passwords of Redis")
        out = _command(node, address, port, f"ACL SETUSER default {' '.join(rules)}")
        if _refused(out):
            node.before("restart " + unit)
            systemctl(node, "restart", unit)
        elif out.strip() != "OK":
            raise StepError("redis", "Redis did not accept the change of its passwords", out)


def owner_difference(node: Node) -> str:
    """What is wrong with the owner or the mode of the file; "" if nothing, or if it does not exist."""
    users, redis = node.at(USERS), node.at(_CONFIGURATION)
    if what_is(users) != "a file" or not redis.exists():
        return ""
    fact, right = owner_facts(users), owner_facts(redis)
    if (fact["owner"], fact["group"], fact["mode"]) == (right["owner"], right["group"], _MODE):
        return ""
    seen, expected = f"{fact['owner']}:{fact['group']} {fact['mode']:04o}", f"{right['owner']}:{right['group']}"
    return f"owner and mode of {USERS} are {seen}, must be {expected} {_MODE:04o}"


def _hashes(users: str) -> list[str] | None:
    for line in users.splitlines():
        if line.startswith("user default "):
            return re.findall(r" #([0-9a-f]{64})", line)
    return None


def _refused(output: str) -> bool:
    """Whether the server runs and does not know Tandem's user or its password. `redis-cli` succeeds nevertheless."""
    return output.startswith(("NOAUTH", "WRONGPASS"))


def _command(node: Node, address: str, port: int, command: str) -> str:
    """The output of one command; "" if the server does not run or does not know this user."""
    password = node.read_json(_PASSWORD_RECORD, "")
    if not password:
        return ""
    argv = ["redis-cli", "-h", address, "-p", str(port), "--user", USER, "--no-auth-warning"]
    result = node.run(argv, text=command + "\n", timeout_s=10, env={"REDISCLI_AUTH": password})
    return result.out if result.code == 0 else ""


def _write(node: Node, hashes: list[str]) -> None:
    password = node.read_json(_PASSWORD_RECORD, "")
    if not password:
        password = secrets.token_hex(32)
        node.write_json(_PASSWORD_RECORD, password)  # in a directory that only root may read
    own = hashlib.sha256(password.encode()).hexdigest()
    # Redis accepts each password whose SHA-256 is listed. It allows no comments in this file.
    text = (
        f"user default on {' '.join('#' + hashed for hashed in hashes)} ~* &* +@all\nuser {USER} on #{own} -@all +acl\n"
    )
    redis = node.at(_CONFIGURATION).stat()
    replace_text(node, node.at(USERS), text, owner=(redis.st_uid, redis.st_gid), mode=_MODE)
