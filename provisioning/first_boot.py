"""User data for cloud-init, with the means to authenticate a new node before the first login. Pure.

The user data contains a temporary ECDSA host key whose public half is known to the operator. The node generates its
long-term ed25519 key at first boot; sshd offers both (it cannot offer two of one type). The operator connects with the
temporary key pinned, reads the long-term key and pins it; the rollout then removes the temporary key.
"""

from __future__ import annotations

import base64
import json

from provisioning.errors import TemplateError

_PYTHON = "dnf -q -y install {package} && alternatives --set python3 /usr/bin/{python}"
LIMIT_BYTES = 16 * 1024  # limit of CVM RunInstances for UserData, counted after base64 encoding


def _python(name: str) -> str:
    return _PYTHON.format(package=name.replace(".", ""), python=name)


def user_data(
    *,
    hostname: str,
    host_key_private: str,
    host_key_public: str,
    user: str,
    public_keys: tuple[str, ...],
    python: str = "",
) -> str:
    """Return a cloud-config as JSON, which is valid YAML and needs no quoting rules.

    `python` is one of the RHEL family that can run the agent, in place of the image's: "python3.9".

    Raises:
        TemplateError: the user data exceeds 16 KiB.
    """
    ed25519 = "/etc/ssh/ssh_host_ed25519_key"
    config = {
        "hostname": hostname,
        "preserve_hostname": False,
        "manage_etc_hosts": "localhost",
        # bootcmd runs before cloud-init's ssh module, which must neither delete this key nor generate other types.
        "bootcmd": [
            [
                "cloud-init-per", "instance", "tandem-host-key", "sh", "-c",
                f"rm -f /etc/ssh/ssh_host_*_key*; ssh-keygen -q -t ed25519 -N '' -C '' -f {ed25519}",
            ],
            # Before sshd starts, so that no login meets the old one. The family's own tools do not use `python3`.
            *([["cloud-init-per", "instance", "tandem-python", "sh", "-c", _python(python)]] if python else []),
        ],
        "ssh_deletekeys": False,
        "ssh_genkeytypes": [],
        "ssh_keys": {
            "ecdsa_private": host_key_private.strip() + "\n",
            "ecdsa_public": host_key_public.strip(),
        },
        "ssh_pwauth": False,
        "disable_root": True,
        "users": [
            "default",
            {
                "name": user,
                "shell": "/bin/bash",
                "lock_passwd": True,
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "ssh_authorized_keys": list(public_keys),
            },
        ],
    }  # fmt: skip
    text = "#cloud-config\n" + json.dumps(config, indent=1) + "\n"
    size = len(base64.b64encode(text.encode()))
    if size > LIMIT_BYTES:
        raise TemplateError(
            f"{hostname}: the user data must not exceed {LIMIT_BYTES} bytes in base64 (got {size})",
            look_at="tandem:access.publicKeys: use fewer or shorter keys",
        )
    return text
