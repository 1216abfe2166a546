"""`tandem:credentials`: certificates and secrets, generated or given."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, model_validator

from settings.base import FrozenModel

SecretName = Literal[
    "deploymentKey",
    "ca",
    "serverCertificate",
    "nodeCertificates",
    "mariadbPassword",
    "redisPassword",
    "jwtKey",
    "adminPassword",
    "healthPassword",
    "vrrpPassword",
    "backupKey",
]

_PASSWORD_HASH = re.compile(r"\$(1|5|6|apr1|2[aby]|y)\$[A-Za-z0-9./$=,+-]{10,200}")


def _printable(value: SecretStr) -> SecretStr:
    """Reject characters that a file format, a protocol or a driver could change. The value is not shown."""
    for position, character in enumerate(value.get_secret_value(), 1):
        if not " " <= character <= "~":
            raise ValueError(
                "must consist of printable ASCII characters: letters, digits, punctuation and spaces "
                f"(character {position} is another one; the value is not shown)"
            )
    return value


def _is_hash(value: SecretStr) -> SecretStr:
    """Reject what nginx would take for a password in plain text. The value is not shown."""
    if not _PASSWORD_HASH.fullmatch(value.get_secret_value()):
        raise ValueError(
            "must be the hash of a password, as printed by `openssl passwd -5` (the value is not shown): "
            "$5$, $6$, $apr1$, $1$, $2y$ or $y$"
        )
    return value


PasswordHash = Annotated[SecretStr, AfterValidator(_is_hash)]
PrintableSecret = Annotated[SecretStr, AfterValidator(_printable)]
_PEM_CERTIFICATE = r"^\s*-----BEGIN CERTIFICATE-----"
CertificateName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=60)]
UserName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]*$", max_length=100)]
ServedName = Literal["api", "authz"]  # the public host names, as in tandem:domains
SERVED_NAMES: tuple[ServedName, ...] = ("api", "authz")


class GivenCertificate(FrozenModel):
    """A certificate that was issued elsewhere."""

    certificate: str = Field(
        pattern=_PEM_CERTIFICATE,
        description="The certificate, followed by its intermediate certificates, in PEM format.",
    )
    private_key: SecretStr = Field(
        description="The private key in PEM format, without a passphrase. Set it with `--secret`."
    )
    ca: str | None = Field(
        default=None,
        pattern=_PEM_CERTIFICATE,
        description="The CA that clients trust, in PEM format. Only for a CA that operating systems do not trust.",
    )


class ServerCertificates(FrozenModel):
    """Certificates for the public names that were issued elsewhere: one for both, or one for each."""

    certificate: str | None = Field(
        default=None,
        pattern=_PEM_CERTIFICATE,
        description="The certificate for both names, followed by its intermediate certificates, in PEM format.",
    )
    private_key: SecretStr | None = Field(
        default=None, description="The private key of `certificate`, without a passphrase. Set it with `--secret`."
    )
    ca: str | None = Field(
        default=None,
        pattern=_PEM_CERTIFICATE,
        description="The CA of `certificate`, in PEM format. Only for a CA that operating systems do not trust.",
    )
    api: GivenCertificate | None = Field(default=None, description="The certificate for `domains.api` only.")
    authz: GivenCertificate | None = Field(default=None, description="The certificate for `domains.authz` only.")

    @model_validator(mode="after")
    def _is_complete(self) -> ServerCertificates:
        if (self.certificate is None) != (self.private_key is None):
            missing = "certificate" if self.certificate is None else "privateKey"
            raise ValueError(f"certificate and privateKey must be set together ({missing} is missing)")
        if self.ca is not None and self.certificate is None:
            raise ValueError("ca cannot be set without certificate; the keys api and authz have a ca each")
        return self

    def shared(self) -> GivenCertificate | None:
        """The certificate for each name without a separate certificate."""
        if self.certificate is None or self.private_key is None:
            return None
        return GivenCertificate(certificate=self.certificate, private_key=self.private_key, ca=self.ca)

    def get(self, name: ServedName) -> GivenCertificate | None:
        """The certificate of one name; None: one signed by the stack's own CA."""
        return (self.api if name == "api" else self.authz) or self.shared()


class GivenSecrets(FrozenModel):
    """Existing secrets; all others are generated. Set each with `--secret`."""

    mariadb_password: PrintableSecret | None = Field(
        default=None,
        min_length=8,
        max_length=128,
        description="Password of the IAM services' MariaDB account. Required if the databases are outside the group "
        "and `data.administrator` is not set. To change it on a database of the group, or with an administrator, "
        "increase `generation.mariadbPassword` too.",
    )
    mariadb_administrator_password: PrintableSecret | None = Field(
        default=None, min_length=1, max_length=128, description="Password of `data.administrator`."
    )
    redis_password: PrintableSecret | None = Field(
        default=None,
        min_length=8,
        max_length=128,
        description="Password of Redis. Required if the databases are outside the group.",
    )
    mongodb_password: PrintableSecret | None = Field(
        default=None, min_length=8, max_length=128, description="Password of MongoDB. Required with `data.mongodb`."
    )
    bucket_key_id: PrintableSecret | None = Field(
        default=None,
        min_length=3,
        max_length=128,
        description="Access key id for `data.backup.bucket`. The key only needs the permission to write objects.",
    )
    bucket_key_secret: PrintableSecret | None = Field(
        default=None,
        min_length=3,
        max_length=128,
        description="Secret of the access key for `data.backup.bucket`.",
    )
    jwt_key: PrintableSecret | None = Field(
        default=None,
        min_length=6,
        max_length=32,
        description="Key that signs tokens. Give the current key to keep existing tokens valid.",
    )


class CredentialsSettings(FrozenModel):
    """Secret values never appear as plain text in the state, a preview, a log or an output."""

    generation: dict[SecretName, Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict,
        description="Generation number of each secret, 1 by default. Increase it to generate that secret again. "
        "The old one stays valid until all nodes have the new one, except `jwtKey` and `adminPassword`, which have one "
        "value only (docs/operations.md).",
    )
    server: ServerCertificates = Field(
        default=ServerCertificates(),
        description="Certificates for the public names that were issued elsewhere. A name without one gets a "
        "certificate signed by the stack's own CA.",
    )
    certificates: dict[CertificateName, GivenCertificate] = Field(
        default_factory=dict,
        description="Certificates that were issued elsewhere, by name, for `nginx.sites` and `nginx.streams`.",
    )
    basic_auth: dict[CertificateName, dict[UserName, PasswordHash]] = Field(
        default_factory=dict,
        description="Lists of users with the hash of their password, for `basicAuth` of a location. Create a hash with "
        "`openssl passwd -5`. One that takes long to check, such as bcrypt, blocks all requests of a worker meanwhile.",
    )
    given: GivenSecrets = Field(
        default=GivenSecrets(), description="Existing secrets to use instead of generated ones."
    )
    validity_hours: int = Field(
        default=8760, ge=24, le=19_800, description="Validity period of the generated certificates."
    )
    early_renewal_hours: int = Field(
        default=720,
        ge=1,
        description="Certificates that expire within this time are renewed by the next `up`. "
        "Must be less than `validityHours`.",
    )
    ca_validity_hours: int = Field(
        default=87_600,
        ge=8760,
        description="Validity period of the CA. The CA is not renewed automatically, because clients trust it.",
    )

    def trusted_names(self) -> frozenset[str]:
        """Names of the certificates that operating systems trust, as in placeholders and files."""
        served = {name: self.server.get(name) for name in SERVED_NAMES}
        given = {f"given.{name}": each for name, each in self.certificates.items()}
        return frozenset(name for name, each in {**served, **given}.items() if each is not None and each.ca is None)

    def generation_of(self, name: SecretName) -> str:
        """Return the generation of a secret as text. A different value generates the secret again."""
        return str(self.generation.get(name, 1))
