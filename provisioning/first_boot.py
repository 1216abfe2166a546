"""User data for cloud-init: how a new node can be told from an impostor before anybody has logged in. Pure.

The user data carries a temporary host key of type ECDSA, whose public half the operator's side knows. The node
makes its long-term ed25519 key itself, at first boot; sshd serves both (it cannot serve two of one type). Whoever
connects pinned to the temporary key reads the long-term one, pins that, and the rollout removes the temporary one.
"""

from __future__ import annotations

import base64
import json

from provisioning.errors import TemplateError

LIMIT_BYTES = 16 * 1024  # of the cloud (CVM RunInstances, UserData), which takes it in base64


def user_data(
    *, hostname: str, host_key_private: str, host_key_public: str, user: str, public_keys: tuple[str, ...]
) -> str:
    """A cloud-config. JSON is YAML too, and quotes whatever a key may hold. Raises TemplateError above 16 KiB."""
    ed25519 = "/etc/ssh/ssh_host_ed25519_key"
    config = {
        "hostname": hostname,
        "preserve_hostname": False,
        "manage_etc_hosts": "localhost",
        # bootcmd runs before the ssh module: that one must neither delete what is made here nor make other types.
        "bootcmd": [
            [
                "cloud-init-per", "instance", "tandem-host-key", "sh", "-c",
                f"rm -f /etc/ssh/ssh_host_*_key*; ssh-keygen -q -t ed25519 -N '' -C '' -f {ed25519}",
            ]
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
            f"{hostname}: the user data has {size} bytes in base64, the cloud takes {LIMIT_BYTES}",
            look_at="tandem:access.publicKeys: fewer or shorter keys",
        )
    return text
