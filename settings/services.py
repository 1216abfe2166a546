"""`tandem:services`: your own services, which run on the nodes beside the IAM services or instead of them."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator

from settings.base import FrozenModel

# A part of unit, account and directory names (app-NAME), and of nginx's upstreams.
ServiceName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=24)]
EnvironmentName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$", max_length=100)]
# Set for every service (provisioning/services/app.py).
OWN_VARIABLES = ("NODE", "ADDRESS", "PORT", "CONFIGURATION_DIRECTORY")
SECRET_REFERENCE = re.compile(r"\$\{secret\.([A-Za-z0-9_]+)(?: as (yaml|environment))?\}")
_LIKE_A_REFERENCE = re.compile(r"\$\{ *secrets?\.[^}\n]*\}?")
# systemd gives other first characters a meaning, and expands ${NAME} in arguments only.
_PROGRAM = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./+-]*")


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError(f"must be one line of printable characters (got {text!r})")
    return text


def _text_secret(value: SecretStr) -> SecretStr:
    """Refuse characters that a file or an environment could change. The value is not shown."""
    for position, character in enumerate(value.get_secret_value(), 1):
        if not (" " <= character <= "~" or character == "\n"):
            raise ValueError(
                f"must consist of printable ASCII characters and line breaks (character {position} is another one; "
                "the value is not shown)"
            )
    return value


Line = Annotated[str, AfterValidator(_one_line)]
Secret = Annotated[SecretStr, Field(min_length=1), AfterValidator(_text_secret)]


class ServiceHealth(FrozenModel):
    """How the health gate of a rollout and `tandem health` check an instance."""

    path: str | None = Field(
        default=None,
        pattern=r"^/[!-~]*$",
        description="Path that the service answers over HTTP, for example `/healthz`. It should use what requests use. "
        "Default: the check only connects to `port`; without a port, the service must run for 5 s.",
    )
    status: int = Field(default=200, ge=100, le=599, description="Status code of a healthy answer.")
    deadline_s: int = Field(
        default=60,
        ge=1,
        le=600,
        description="Time after a start within which the check must pass. Then the node is rolled back.",
    )


class ServiceLimits(FrozenModel):
    """Limits of one instance, enforced by systemd."""

    memory_mib: int | None = Field(
        default=None, ge=16, le=1_048_576, description="Memory. A service that needs more is killed and restarted."
    )
    cpu_percent: int | None = Field(
        default=None, ge=1, le=12_800, description="CPU time; 100 is one CPU. Default: no limit."
    )
    open_files: int = Field(default=65_536, ge=64, le=1_048_576, description="Open files and connections.")
    tasks: int | None = Field(default=None, ge=1, le=100_000, description="Processes and threads. Default: systemd's.")


class ServiceSettings(FrozenModel):
    """One service: its release, how it is started, and where it runs."""

    release: str = Field(
        min_length=1,
        description="Folder, path or URL of a .tar.gz with the files of the service. A URL is fetched once and "
        "needs `sha256`.",
    )
    sha256: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{64}$",
        description="SHA-256 checksum of the archive, in lower case. Another archive is refused.",
    )
    command: tuple[Line, ...] = Field(
        min_length=1,
        description="Program and arguments. A program with a slash such as `bin/web` is in the release; one without is "
        "a command of the node such as `python3`. `${NAME}` is the value of an environment variable, `$$` a dollar "
        "sign.",
    )
    port: int | None = Field(
        default=None,
        ge=1024,
        le=65_535,
        description="TCP port on which the service listens at the node's private address (`${ADDRESS}:${PORT}`). "
        "nginx distributes requests to it; other clients cannot reach it. Default: the service has no port.",
    )
    health: ServiceHealth = Field(default=ServiceHealth(), description="The health check of an instance.")
    instances: Literal["all"] | tuple[str, ...] = Field(
        default="all", description="The nodes that run the service: `all`, or a list of names from `nodes.members`."
    )
    env: dict[EnvironmentName, Line] = Field(
        default_factory=dict,
        description="Environment variables. `NODE`, `ADDRESS`, `PORT` and `CONFIGURATION_DIRECTORY` are set for you.",
    )
    secrets: dict[EnvironmentName, Secret] = Field(
        default_factory=dict,
        description="Environment variables whose values are secrets. Set each with `--secret`. A text in `files` can "
        "contain them as `${secret.NAME}`, or as `${secret.NAME as yaml}` between the double quotes of a YAML or JSON "
        "text.",
    )
    files: dict[FileName, str] = Field(
        default_factory=dict,
        description="Text files in `${CONFIGURATION_DIRECTORY}` (`/etc/app-NAME`), by name. Only root and the service "
        "can read them. The service is restarted when one changes.",
    )
    user: str | None = Field(
        default=None,
        pattern=r"^app-[a-z0-9]+(-[a-z0-9]+)*$",
        max_length=28,
        description="System account that runs the service; services that share files can share one. Default: "
        "`app-NAME`.",
    )
    limits: ServiceLimits = Field(default=ServiceLimits(), description="Limits of one instance.")
    stop_timeout_s: int = Field(
        default=15, ge=1, le=600, description="Time between SIGTERM and SIGKILL when the service is stopped."
    )
    depends_on: tuple[str, ...] = Field(
        default=(), description="Services of this section that are started before this one on the same node."
    )
    schedule: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9*,:./ ~-]+$",
        max_length=100,
        description="Times at which the command runs to its end, as in systemd.time(7): `*-*-* 03:30:00 UTC`. "
        "It runs on one node each time: the one that holds the virtual IP. Default: the service runs all the time.",
    )
    packages: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]+$")], ...] = Field(
        default=(), description="Packages of the distribution that the service requires, for example `python3-yaml`."
    )
    keep_releases: int = Field(
        default=2, ge=1, le=20, description="Number of previous releases that each node keeps for a rollback."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> ServiceSettings:
        if self.schedule is not None and self.port is not None:
            raise ValueError("port cannot be set with schedule: a scheduled command runs to its end and serves nothing")
        if self.health.path is not None and self.port is None:
            raise ValueError(f"port is required with health.path (got {self.health.path} without a port)")
        if not _PROGRAM.fullmatch(self.command[0]):
            raise ValueError(f"command must start with a program such as bin/web or python3 (got {self.command[0]!r})")
        known = {*OWN_VARIABLES, *self.env}
        for name in self.secrets:
            if name in known:
                raise ValueError(f"secrets cannot contain {name}, which is set already; choose another name")
        for name in self.env:
            if name in OWN_VARIABLES:
                raise ValueError(f"env cannot contain {name}, which is set for every service; choose another name")
        for file, text in self.files.items():
            for name, _ in SECRET_REFERENCE.findall(text):
                if name not in self.secrets:
                    raise ValueError(f"files.{file} refers to ${{secret.{name}}}; add secrets.{name}")
            if (found := _LIKE_A_REFERENCE.search(SECRET_REFERENCE.sub("", text))) is not None:
                raise ValueError(
                    f"files.{file} cannot contain {found[0]}; write ${{secret.NAME}}, ${{secret.NAME as yaml}} or "
                    "${secret.NAME as environment}"
                )
        lines = {"command": " ".join(self.command), **{f"env.{name}": text for name, text in self.env.items()}}
        for key, text in lines.items():
            if (found := _LIKE_A_REFERENCE.search(text)) is not None:
                raise ValueError(
                    f"{key} cannot contain {found[0]}, which only files can contain; the service gets each entry "
                    "of secrets as an environment variable"
                )
        return self

    @property
    def program(self) -> str | None:
        """The path of the program in the release; None if it is a command of the node."""
        first = self.command[0]
        return None if first.startswith("/") or "/" not in first else first.removeprefix("./")
