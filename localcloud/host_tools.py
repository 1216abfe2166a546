"""The programs and files that localcloud requires on the host, and the Debian package of each; imports nothing."""

from __future__ import annotations

TOOLS = {
    "systemd-nspawn": "systemd-container",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "ip": "iproute2",
    "tc": "iproute2",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "mount": "mount",
    "losetup": "mount",
    "mkfs.ext4": "e2fsprogs",
    "apt-config": "apt",
}

# nft reads protocol names from it, also in its JSON form.
FILES = {"/etc/protocols": "netbase"}
