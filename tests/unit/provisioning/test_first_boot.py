from __future__ import annotations

import pytest
import yaml

from provisioning.errors import TemplateError
from provisioning.first_boot import LIMIT_BYTES, user_data

PRIVATE = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA\n-----END OPENSSH PRIVATE KEY-----\n"


def data(keys: tuple[str, ...] = ("ssh-ed25519 AAAA deploy",)) -> str:
    return user_data(
        hostname="iam-a", host_key_private=PRIVATE, host_key_public="ecdsa-sha2-nistp256 AAAA\n", user="debian",
        public_keys=keys,
    )  # fmt: skip


def test_the_user_data_is_a_cloud_config_in_valid_yaml() -> None:
    text = data()
    assert text.startswith("#cloud-config\n")
    config = yaml.safe_load(text)
    assert config["hostname"] == "iam-a"
    assert config["ssh_keys"] == {"ecdsa_private": PRIVATE, "ecdsa_public": "ecdsa-sha2-nistp256 AAAA"}
    assert config["users"][1]["ssh_authorized_keys"] == ["ssh-ed25519 AAAA deploy"]


def test_the_node_generates_its_long_term_key_before_the_ssh_module_runs() -> None:
    config = yaml.safe_load(data())
    assert "ssh-keygen -q -t ed25519" in config["bootcmd"][0][-1]
    assert config["ssh_deletekeys"] is False, "otherwise cloud-init's ssh module removes the key that bootcmd generated"
    assert config["ssh_genkeytypes"] == []


def test_logins_by_password_or_as_root_are_disabled() -> None:
    config = yaml.safe_load(data())
    assert (config["ssh_pwauth"], config["disable_root"]) == (False, True)


def test_user_data_over_the_limit_is_rejected() -> None:
    assert len(data().encode()) < 3000
    with pytest.raises(TemplateError, match=rf"must not exceed {LIMIT_BYTES} bytes in base64 \(got \d+\)"):
        data(tuple(f"ssh-rsa {'A' * 700} user{n}" for n in range(25)))
