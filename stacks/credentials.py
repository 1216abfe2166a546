"""`tandem:credentials`: certificates and secrets, made here or given."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from provisioning.settings.base import FrozenModel

SecretName = Literal[
    "deploymentKey",
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

    certificate: Annotated[
        str, Field(pattern=r"^\s*-----BEGIN CERTIFICATE-----", description="PEM: the certificate, then its chain.")
    ]
    private_key: Annotated[SecretStr, Field(description="PEM, not encrypted. Set with `--secret`.")]


class CredentialsSettings(FrozenModel):
    """Nothing here is ever shown: not in the state, a preview, a log or an output."""

    generation: Annotated[
        dict[SecretName, Annotated[int, Field(ge=1)]],
        Field(description="Raise one secret's number to make that secret anew; each starts at 1."),
    ] = {}
    server: Annotated[
        GivenCertificate | None,
        Field(description="The certificate for both domains; none = one signed by a CA of this stack's own."),
    ] = None
    validity_hours: Annotated[int, Field(ge=24, le=19_800, description="Life of the certificates made here.")] = 8760
    early_renewal_hours: Annotated[
        int, Field(ge=1, description="An `up` within this time before the end makes them anew.")
    ] = 720
    ca_validity_hours: Annotated[
        int, Field(ge=8760, description="Life of the CA. It never renews with its leaves: clients hold it.")
    ] = 87_600

    def generation_of(self, name: SecretName) -> str:
        """What a secret depends on: another text makes it anew."""
        return str(self.generation.get(name, 1))
