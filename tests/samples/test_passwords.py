from __future__ import annotations

import pytest

from samples.iam.stand_in import passwords


def test_a_hash_has_the_format_of_the_real_server() -> None:
    hashed = passwords.encrypt("Admin@2021")
    assert hashed.startswith("$2a$10$")
    assert passwords.matches("Admin@2021", hashed)
    assert not passwords.matches("Admin@2022", hashed)


@pytest.mark.parametrize("prefix", ["$2a$", "$2b$"])
def test_hashes_of_other_tools_are_accepted(prefix: str) -> None:
    assert passwords.matches("Admin@2021", f"{prefix}04$6SfFA1X0BEhQRbiz/qLYUuGoz3gtWy.V9diduv5hZRaersetRAQXy")


@pytest.mark.parametrize("hashed", ["", "plain text", "$2a$10$short"])
def test_an_invalid_hash_matches_no_password(hashed: str) -> None:
    assert not passwords.matches("Admin@2021", hashed)


def test_a_password_beyond_the_length_limit_of_bcrypt_matches_no_hash() -> None:
    assert not passwords.matches("x" * 5000, "$2a$04$6SfFA1X0BEhQRbiz/qLYUuGoz3gtWy.V9diduv5hZRaersetRAQXy")
