"""Keys, certificates and passwords, made by Pulumi's own providers so that the state keeps them encrypted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

import pulumi
import pulumi_random as random
import pulumi_tls as tls
from pydantic import SecretStr

from components.labels import Labels
from provisioning import placeholders
from settings.credentials import CredentialsSettings, SecretName
from settings.domains import DomainsSettings
from settings.nodes import NodeSettings, NodesSettings
from settings.virtual_ip import VirtualIpSettings

# What IAM's API takes in a password besides letters and digits, and what SQL, YAML and shells leave alone.
_SPECIAL = "!@#%^*-_=+"
_DEPLOYMENT_KEY_BITS = 4096
_SERVER_USES = ["digital_signature", "key_encipherment", "server_auth"]


@dataclass(frozen=True, slots=True)
class CredentialsArgs:
    settings: CredentialsSettings
    nodes: NodesSettings
    domains: DomainsSettings
    virtual_ip: VirtualIpSettings
    bastion: bool
    labels: Labels


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A key of one node."""

    private_key: pulumi.Output[str]
    public_key: pulumi.Output[str]  # "ecdsa-sha2-nistp256 AAAA..."


class Credentials(pulumi.ComponentResource):
    """All that must never be seen, and the public halves of it."""

    deployment_key: KeyPair
    temporary_host_keys: Mapping[str, KeyPair]  # by node: the identity of its first minutes
    ca_certificate: pulumi.Output[str]
    server_certificate: pulumi.Output[str]
    secrets: pulumi.Output[Mapping[str, str]]  # by the names that files ask for
    certificates: pulumi.Output[Mapping[str, str]]  # the same, for what may be seen

    def __init__(self, name: str, args: CredentialsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("tandem:cloud:Credentials", name, None, opts)
        self._name, self._args = name, args
        self.deployment_key = self._deployment_key()
        names = [node.name for node in args.nodes.members] + (["bastion"] if args.bastion else [])
        self.temporary_host_keys = {node: self._temporary_host_key(node) for node in names}
        secrets: dict[str, pulumi.Output[str]] = self._passwords()
        certificates: dict[str, pulumi.Output[str]] = {}
        authority = self._authority()
        self.ca_certificate = authority[1]
        certificates[placeholders.CA_CERTIFICATE] = self.ca_certificate
        key, self.server_certificate = self._server_certificate(authority)
        certificates[placeholders.SERVER_CERTIFICATE] = self.server_certificate
        secrets[placeholders.SERVER_PRIVATE_KEY] = key
        for node in args.nodes.members:
            key, certificate = self._node_certificate(node, authority)
            certificates[placeholders.node_certificate(node.name)] = certificate
            secrets[placeholders.node_private_key(node.name)] = key
        self.secrets = pulumi.Output.secret(pulumi.Output.all(**secrets))
        self.certificates = pulumi.Output.all(**certificates)
        self.register_outputs({})

    def _deployment_key(self) -> KeyPair:
        # ImportKeyPair takes RSA alone ("OpenSSH RSA format", document 213/15703).
        key = tls.PrivateKey(
            f"{self._name}-deployment-key", algorithm="RSA", rsa_bits=_DEPLOYMENT_KEY_BITS, opts=self._child()
        )
        return KeyPair(pulumi.Output.secret(key.private_key_openssh), key.public_key_openssh.apply(str.strip))

    def _temporary_host_key(self, node: str) -> KeyPair:
        # Another type than the node's own long-term key: sshd serves one key of each type.
        key = tls.PrivateKey(f"{self._name}-{node}-host-key", algorithm="ECDSA", ecdsa_curve="P256", opts=self._child())
        return KeyPair(pulumi.Output.secret(key.private_key_openssh), key.public_key_openssh.apply(str.strip))

    def _passwords(self) -> dict[str, pulumi.Output[str]]:
        given = self._args.settings.given
        admin = self._password("adminPassword", length=16, special=_SPECIAL)
        mongodb = given.mongodb_password
        return {
            **({placeholders.MONGODB_PASSWORD: _for_a_url(mongodb)} if mongodb is not None else {}),
            placeholders.MARIADB_IAM_PASSWORD: self._given_or_made("mariadbPassword", given.mariadb_password),
            placeholders.REDIS_PASSWORD: self._given_or_made("redisPassword", given.redis_password),
            placeholders.JWT_KEY: self._given_or_made("jwtKey", given.jwt_key),
            placeholders.IAM_ADMIN_PASSWORD: admin.result,
            # The database's row holds this, never the password.
            "iam_admin_password_hash": admin.bcrypt_hash,
            # VRRPv2 takes 8 characters and sends them in clear: a guard against mistakes, not against people.
            placeholders.VRRP_PASSWORD: self._password("vrrpPassword", length=8).result,
        }

    def _given_or_made(self, name: SecretName, given: SecretStr | None) -> pulumi.Output[str]:
        if given is not None:
            return pulumi.Output.secret(given.get_secret_value())
        return self._password(name, length=32).result

    def _password(self, name: SecretName, *, length: int, special: str = "") -> random.RandomPassword:
        return random.RandomPassword(
            f"{self._name}-{_kebab(name)}",
            length=length,
            special=bool(special),
            override_special=special or None,
            min_lower=1,
            min_upper=1,
            min_numeric=1,
            min_special=1 if special else 0,
            keepers={"generation": self._args.settings.generation_of(name)},
            opts=self._child(),
        )

    def _authority(self) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        """The key and certificate of a CA of this stack's own."""
        key, labels = self._key("ca-key", "ca"), self._args.labels
        certificate = tls.SelfSignedCert(
            f"{self._name}-ca",
            private_key_pem=key.private_key_pem,
            is_ca_certificate=True,
            set_subject_key_id=True,
            subject={
                "common_name": labels.subject(f"{labels.group} CA"),
                "organization": labels.subject(labels.project),
            },
            allowed_uses=["cert_signing", "crl_signing", "digital_signature"],
            validity_period_hours=self._args.settings.ca_validity_hours,
            # No early_renewal_hours: clients hold the CA, so that it must not change when a leaf does.
            opts=self._child(),
        )
        return key.private_key_pem, certificate.cert_pem

    def _server_certificate(
        self, authority: tuple[pulumi.Output[str], pulumi.Output[str]]
    ) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        """The key and certificate that clients see."""
        given = self._args.settings.server
        if given is not None:
            return pulumi.Output.secret(given.private_key.get_secret_value()), pulumi.Output.from_input(
                given.certificate
            )
        key = self._key("server-key", "serverCertificate")
        names = [self._args.domains.api, self._args.domains.authz]
        addresses = [str(address) for address in self._args.virtual_ip.addresses]
        return key.private_key_pem, self._leaf("server", key, names, addresses, authority)

    def _node_certificate(
        self, node: NodeSettings, authority: tuple[pulumi.Output[str], pulumi.Output[str]]
    ) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        """The key and certificate of one node's services: a further node changes no other one's."""
        key = self._key(f"{node.name}-key", "nodeCertificates")
        names, addresses = [node.name, "localhost"], [str(node.address), "127.0.0.1"]
        return key.private_key_pem, self._leaf(node.name, key, names, addresses, authority)

    def _leaf(
        self,
        what: str,
        key: tls.PrivateKey,
        names: list[str],
        addresses: list[str],
        authority: tuple[pulumi.Output[str], pulumi.Output[str]],
    ) -> pulumi.Output[str]:
        settings, labels = self._args.settings, self._args.labels
        request = tls.CertRequest(
            f"{self._name}-{what}-request",
            private_key_pem=key.private_key_pem,
            subject={"common_name": names[0], "organization": labels.subject(labels.project)},
            dns_names=names,
            ip_addresses=addresses,
            opts=self._child(),
        )
        certificate = tls.LocallySignedCert(
            f"{self._name}-{what}-certificate",
            cert_request_pem=request.cert_request_pem,
            ca_private_key_pem=authority[0],
            ca_cert_pem=authority[1],
            allowed_uses=_SERVER_USES,
            validity_period_hours=settings.validity_hours,
            early_renewal_hours=settings.early_renewal_hours,
            opts=self._child(),
        )
        return certificate.cert_pem

    def _key(self, what: str, secret: SecretName) -> tls.PrivateKey:
        generation = self._args.settings.generation_of(secret)
        # A TLS key has no keepers: a new generation is a new resource, under a new name.
        suffix = "" if generation == "1" else f"-{generation}"
        return tls.PrivateKey(
            f"{self._name}-{what}{suffix}",
            algorithm="ECDSA",
            ecdsa_curve="P256",
            opts=self._child(),
        )

    def _child(self) -> pulumi.ResourceOptions:
        return pulumi.ResourceOptions(parent=self)


def _for_a_url(secret: SecretStr) -> pulumi.Output[str]:
    return pulumi.Output.secret(quote(secret.get_secret_value(), safe=""))


def _kebab(name: str) -> str:
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name)
