"""The health daemon's probe of the IAM services: answered, and not in their access logs."""

from __future__ import annotations

import socket

import pytest
from iam_site import Site

from provisioning.services.health import UNLOGGED_REQUEST


@pytest.mark.parametrize("server", ["apiserver", "authz-server"])
def test_the_probe_gets_an_answer(iam: Site, server: str) -> None:
    with socket.create_connection(("127.0.0.1", iam.ports[server]), 5) as connection:
        connection.sendall(UNLOGGED_REQUEST.encode())
        assert connection.recv(64).split()[1] == b"400"
    assert "healthz" not in iam.log.getvalue()
