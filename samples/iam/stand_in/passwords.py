"""bcrypt hashes as in the real server: `$2a$`, cost 10."""

from __future__ import annotations

import secrets
import string

import bcrypt

_COST = 10


def encrypt(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(_COST, prefix=b"2a")).decode()


def matches(password: str, hashed: str) -> bool:
    """Takes about 50 ms of CPU. Returns False for a malformed hash."""
    try:
        # bcrypt uses only 72 bytes; newer libraries refuse longer passwords, which cannot match a stored hash.
        return bcrypt.checkpw(password.encode()[:72], hashed.encode())
    except ValueError:
        return False


def random_text(length: int) -> str:
    """Letters and digits, for secret ids and keys."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))
