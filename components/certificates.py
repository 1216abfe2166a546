"""The certificate authority of a stack, and the certificates that it signs: of public names, sites and nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_tls as tls

from components.labels import Labels, generation_suffix, name_of_node_key
from settings.credentials import SERVED_NAMES, CredentialsSettings, SecretName, ServedName
from settings.domains import DomainsSettings
from settings.nodes import NodeSettings

# A private key and its certificate, in PEM.
Certificate = tuple[pulumi.Output[str], pulumi.Output[str]]

_SERVER_USES = ["digital_signature", "key_encipherment", "server_auth"]


class CertificateAuthority:
    """Signs certificates, except those that the settings give."""

    def __init__(self, name: str, settings: CredentialsSettings, labels: Labels, opts: pulumi.ResourceOptions) -> None:
        """`name` begins the names of all resources; `opts` have their parent."""
        self._name, self._settings, self._labels, self._opts = name, settings, labels, opts
        key = self._key("ca-key", "ca")
        self._private_key = key.private_key_pem
        self.certificate = tls.SelfSignedCert(
            f"{name}-ca",
            private_key_pem=key.private_key_pem,
            is_ca_certificate=True,
            set_subject_key_id=True,
            subject={
                "common_name": labels.subject(f"{labels.group} CA"),
                "organization": labels.subject(labels.project),
            },
            allowed_uses=["cert_signing", "crl_signing", "digital_signature"],
            validity_period_hours=settings.ca_validity_hours,
            # Without early_renewal_hours: clients trust the CA, so it must not change when a certificate is renewed.
            opts=opts,
        ).cert_pem

    def server_certificates(self, domains: DomainsSettings, addresses: Sequence[str]) -> dict[str, Certificate]:
        """Return what nginx presents to clients of the IAM services, for each public name."""
        found: dict[str, Certificate] = {}
        for name in SERVED_NAMES:
            if (given := self._settings.server.get(name)) is not None:
                key = pulumi.Output.secret(given.private_key.get_secret_value())
                found[name] = (key, pulumi.Output.from_input(given.certificate))
        remaining: list[ServedName] = [name for name in SERVED_NAMES if name not in found]
        if remaining:
            key = self._key("server-key", "serverCertificate")
            names = [domains.api if name == "api" else domains.authz for name in remaining]
            certificate = self._sign("server", key, names, addresses)
            found |= dict.fromkeys(remaining, (key.private_key_pem, certificate))
        return found

    def site_certificates(
        self, signed: Mapping[str, Sequence[str]], addresses: Sequence[str]
    ) -> dict[str, Certificate]:
        """Return those of sites and streams, by the name in placeholders. `signed`: hosts, by name."""
        found: dict[str, Certificate] = {}
        for name, given in self._settings.certificates.items():
            key = pulumi.Output.secret(given.private_key.get_secret_value())
            found[f"given.{name}"] = (key, pulumi.Output.from_input(given.certificate))
        for name, hosts in signed.items():
            what = name.replace(".", "-", 1)
            private = self._key(f"{what}-key", "serverCertificate")
            found[name] = (private.private_key_pem, self._sign(what, private, hosts, addresses))
        return found

    def node_certificate(self, node: NodeSettings) -> Certificate:
        """Return that of one node's services (ADR 0011)."""
        what = name_of_node_key(node.name)
        key = self._key(f"{what}-key", "nodeCertificates")
        names, addresses = [node.name, "localhost"], [str(node.address), "127.0.0.1"]
        return key.private_key_pem, self._sign(what, key, names, addresses)

    def _key(self, what: str, secret: SecretName) -> tls.PrivateKey:
        return make_key(f"{self._name}-{what}", self._settings.generation_of(secret), self._opts)

    def _sign(
        self, what: str, key: tls.PrivateKey, names: Sequence[str], addresses: Sequence[str]
    ) -> pulumi.Output[str]:
        labels = self._labels
        request = tls.CertRequest(
            f"{self._name}-{what}-request",
            private_key_pem=key.private_key_pem,
            subject={"common_name": labels.subject(names[0]), "organization": labels.subject(labels.project)},
            dns_names=list(names),
            ip_addresses=list(addresses),
            opts=self._opts,
        )
        certificate = tls.LocallySignedCert(
            f"{self._name}-{what}-certificate",
            cert_request_pem=request.cert_request_pem,
            ca_private_key_pem=self._private_key,
            ca_cert_pem=self.certificate,
            allowed_uses=_SERVER_USES,
            validity_period_hours=self._settings.validity_hours,
            early_renewal_hours=self._settings.early_renewal_hours,
            opts=self._opts,
        )
        return certificate.cert_pem


def make_key(name: str, generation: str, opts: pulumi.ResourceOptions) -> tls.PrivateKey:
    # A tls.PrivateKey has no keepers, so a new generation is a new resource with a new name.
    return tls.PrivateKey(
        f"{name}{generation_suffix(generation)}",
        algorithm="ECDSA",
        ecdsa_curve="P256",
        opts=opts,
    )
