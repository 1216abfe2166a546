"""`tandem:credentials`: certificates and secrets, made here or given."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from settings.base import FrozenModel

# Not the deployment key: nodes know the one they were born with, and a new one could not log in to tell them.
SecretName = Literal[
    "ca",
    "serverCertificate",
    "nodeCertificates",
    "mariadbPassword",
    "redisPassword",
    "jwtKey",
    "adminPassword",
    "vrrpPassword",
]


class GivenCertificate(FrozenModel):
    """A certificate that somebody else issued, for the public names."""

    certificate: str = Field(
        pattern=r"^\s*-----BEGIN CERTIFICATE-----", description="PEM: the certificate, then its chain."
    )
    private_key: SecretStr = Field(description="PEM, not encrypted. Set with `--secret`.")


class GivenSecrets(FrozenModel):
    """Secrets that exist already; whatever is not given is made. Set each with `--secret`."""

    mariadb_password: SecretStr | None = Field(
        default=None,
        min_length=8,
        max_length=128,
        description="Of the IAM services' account; needed with `data.location: external`.",
    )
    redis_password: SecretStr | None = Field(
        default=None, min_length=8, max_length=128, description="Of Redis; needed with `data.location: external`."
    )
    mongodb_password: SecretStr | None = Field(
        default=None, min_length=8, max_length=128, description="Of MongoDB; `data.mongodb` needs it."
    )
    jwt_key: SecretStr | None = Field(
        default=None,
        min_length=6,
        max_length=32,
        description="What tokens are signed with; given, older ones stay good.",
    )


class CredentialsSettings(FrozenModel):
    """Nothing here is ever shown: not in the state, a preview, a log or an output."""

    generation: dict[SecretName, Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict, description="Raise one secret's number to make that secret anew; each starts at 1."
    )
    server: GivenCertificate | None = Field(
        default=None, description="The certificate for both domains; none = one signed by a CA of this stack's own."
    )
    given: GivenSecrets = Field(default=GivenSecrets(), description="Secrets that exist already.")
    validity_hours: int = Field(default=8760, ge=24, le=19_800, description="Life of the certificates made here.")
    early_renewal_hours: int = Field(
        default=720, ge=1, description="An `up` within this time before the end makes them anew."
    )
    ca_validity_hours: int = Field(
        default=87_600, ge=8760, description="Life of the CA. It never renews with its leaves: clients hold it."
    )

    def generation_of(self, name: SecretName) -> str:
        """What a secret depends on: another text makes it anew."""
        return str(self.generation.get(name, 1))
