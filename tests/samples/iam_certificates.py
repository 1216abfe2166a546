from __future__ import annotations

from pathlib import Path

import trustme


def write_certificates(directory: Path, *addresses: str) -> None:
    """Write the certificate files that a node has: a CA and a certificate for loopback addresses."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(directory / "ca.crt"))
    leaf = ca.issue_cert("localhost", "127.0.0.1", *addresses)
    leaf.cert_chain_pems[0].write_to_path(str(directory / "node.crt"))
    leaf.private_key_pem.write_to_path(str(directory / "node.key"))
