"""The TLS configuration, judged by sslyze against Mozilla's intermediate profile."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import socket
import ssl
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.nginx.lab import API, AUTHZ, Lab, running
from tests.scanners import install

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
_PEM = serialization.Encoding.PEM


def issue() -> tuple[str, str, str]:
    """A CA and a certificate as the program makes them: P-256, one year. Returns CA, certificate and key."""
    now = dt.datetime.now(dt.UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tandem-test CA")])

    def builder(name: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(ca_name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=8760 - 2))
        )

    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    identifier = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    ca = (
        builder(ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(identifier, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    names = x509.SubjectAlternativeName([x509.DNSName(API), x509.DNSName(AUTHZ)])
    authority = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    leaf = (
        builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, API)]), key.public_key())
        .add_extension(names, critical=False)
        .add_extension(authority, critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    private = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return ca.public_bytes(_PEM).decode(), leaf.public_bytes(_PEM).decode(), private.decode()


@pytest.fixture(scope="module")
def sslyze(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(install(tmp_path_factory.mktemp("scanners")) / "sslyze")


def scan(sslyze: str, lab: Lab, ca: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sslyze, "--certinfo_ca_file", str(ca), "--sni", API, *options, f"127.0.0.1:{lab.ports[443]}"]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.long
def test_the_configuration_complies_with_mozillas_intermediate_profile(tmp_path: Path, sslyze: str) -> None:
    ca, certificate, key = issue()
    (tmp_path / "ca.pem").write_text(ca)
    with running(tmp_path / "nginx", {}, trusted=("api",), identity=(certificate, key)) as lab:
        result = scan(sslyze, lab, tmp_path / "ca.pem", "--mozilla_config", "intermediate")
        assert "OK - Compliant" in result.stdout, result.stdout[-2000:]
        report = tmp_path / "report.json"
        scan(sslyze, lab, tmp_path / "ca.pem", "--json_out", str(report), "--http_headers", "--resum")
        found: dict[str, Any] = json.loads(report.read_text())["server_scan_results"][0]["scan_result"]
        assert found["session_resumption"]["result"]["session_id_resumption_result"] == "FULLY_SUPPORTED"
        assert found["http_headers"]["result"]["strict_transport_security_header"]["max_age"] == 63_072_000


def _handshake(lab: Lab, change: Callable[[ssl.SSLContext], object]) -> str:
    """Connect with a changed context. Returns the protocol and the cipher; "" if the server refuses."""
    context = lab.trust
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        change(context)
    with socket.create_connection(("127.0.0.1", lab.ports[443]), 10) as sock:
        try:
            with context.wrap_socket(sock, server_hostname=API) as tls:
                cipher = tls.cipher()
                return f"{tls.version()} {cipher[0] if cipher else ''}"
        except (ssl.SSLError, OSError):
            return ""


def _only(protocol: ssl.TLSVersion, ciphers: str = "ALL:@SECLEVEL=0") -> Callable[[ssl.SSLContext], object]:
    def change(context: ssl.SSLContext) -> None:
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = protocol
        context.minimum_version = protocol
        context.set_ciphers(ciphers)

    return change


def test_old_protocols_weak_ciphers_and_unusual_curves_are_refused(tmp_path: Path) -> None:
    with running(tmp_path, {}) as lab:
        assert _handshake(lab, lambda _: None).startswith("TLSv1.3 ")
        assert _handshake(lab, _only(ssl.TLSVersion.TLSv1_2)).startswith("TLSv1.2 ECDHE-")
        for old in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            assert _handshake(lab, _only(old)) == ""
        for weak in ("AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "ADH"):
            assert _handshake(lab, _only(ssl.TLSVersion.TLSv1_2, f"{weak}:@SECLEVEL=0")) == ""
        assert _handshake(lab, lambda context: context.set_ecdh_curve("prime256v1"))
        assert _handshake(lab, lambda context: context.set_ecdh_curve("secp521r1")) == ""
