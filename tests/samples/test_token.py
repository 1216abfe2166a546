"""The token of README's tour, against PyJWT."""

from __future__ import annotations

import json
import subprocess
import sys

import jwt
import pytest

from samples.iam.token import make_token


def test_the_token_is_signed_with_the_secret_and_expires() -> None:
    token = make_token("id-1", "key-of-at-least-thirty-two-characters", now=2_000_000_000)
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT", "kid": "id-1"}
    claims = jwt.decode(token, "key-of-at-least-thirty-two-characters", algorithms=["HS256"])
    assert claims == {"exp": 2_000_000_300}


@pytest.mark.parametrize("text", ["", "{}", '{"secretID": "x"}', "no JSON"])
def test_another_input_is_refused_with_what_is_required(text: str) -> None:
    done = subprocess.run([sys.executable, "-m", "samples.iam.token"], input=text, text=True, capture_output=True, check=False)  # fmt: skip  # noqa: E501 - one call
    assert done.returncode == 1
    assert "secretID and secretKey" in done.stderr


def test_the_answer_of_the_api_is_read_from_stdin() -> None:
    secret = json.dumps({"metadata": {"name": "tour"}, "secretID": "id-1", "secretKey": "k" * 32})
    done = subprocess.run([sys.executable, "-m", "samples.iam.token"], input=secret, text=True, capture_output=True, check=True)  # fmt: skip  # noqa: E501 - one call
    assert jwt.get_unverified_header(done.stdout.strip())["kid"] == "id-1"
