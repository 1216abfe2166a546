"""`tandem:notifications`: who is told about each change of master and each fault."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from settings.base import FrozenModel, HostName, crosses_the_internet_unencrypted

_NAME = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+"
MailAddress = Annotated[str, Field(pattern=rf"^{_NAME}$", max_length=254)]


def _http_url(value: SecretStr) -> SecretStr:
    """Reject what is not a URL. The value is not shown: it contains the key of the robot."""
    text = value.get_secret_value()
    if not all("!" <= character <= "~" for character in text):
        raise ValueError("must consist of printable ASCII characters without spaces (the value is not shown)")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise ValueError("must be a URL (the value is not shown)") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise ValueError("must be an http or https URL with a host name (the value is not shown)")
    if crosses_the_internet_unencrypted(text):
        raise ValueError(
            "must be an https URL: over http, anyone on the path can read its key and the events; http is accepted "
            "only for a private IPv4 address, a name without a dot, .internal and .local (the value is not shown)"
        )
    return value


def _one_line(value: SecretStr) -> SecretStr:
    if not all(" " <= character <= "~" for character in value.get_secret_value()):
        raise ValueError("must consist of printable ASCII characters (the value is not shown)")
    return value


SecretUrl = Annotated[SecretStr, AfterValidator(_http_url)]
SecretLine = Annotated[SecretStr, AfterValidator(_one_line)]


class RobotSettings(FrozenModel):
    url: SecretUrl = Field(description="URL of the group's robot, with its key. Set it with `--secret`.")


class SignedRobotSettings(RobotSettings):
    secret: SecretLine | None = Field(
        default=None,
        min_length=1,
        max_length=256,
        description="Secret of the robot, if it requires signatures. Set it with `--secret`.",
    )


class WebhookSettings(FrozenModel):
    url: SecretUrl = Field(
        description="URL that receives each event as JSON in a POST request: https, or http with a private IPv4 "
        "address, a name without a dot, `.internal` or `.local`. Set it with `--secret`."
    )
    authorization: SecretLine | None = Field(
        default=None,
        min_length=1,
        max_length=2048,
        description="Value of the request's `Authorization` header. Set it with `--secret`.",
    )


class MailSettings(FrozenModel):
    server: HostName = Field(description="Host name of the SMTP server.")
    port: int = Field(default=465, ge=1, le=65535, description="Port of the SMTP server.")
    security: Literal["tls", "starttls", "none"] = Field(
        default="tls",
        description="`tls` (from the beginning, usually port 465), `starttls` (usually port 587) or `none`.",
    )
    username: str | None = Field(default=None, min_length=1, description="User name, if the server requires a login.")
    password: SecretLine | None = Field(
        default=None, min_length=1, max_length=256, description="Password of `username`. Set it with `--secret`."
    )
    sender: MailAddress = Field(description="Address of the sender.")
    receivers: tuple[MailAddress, ...] = Field(min_length=1, max_length=20, description="Addresses of the receivers.")

    @model_validator(mode="after")
    def _login_is_complete(self) -> MailSettings:
        if (self.username is None) != (self.password is None):
            missing = "username" if self.username is None else "password"
            raise ValueError(f"username and password must be set together ({missing} is missing)")
        if self.password is not None and self.security == "none":
            raise ValueError("security must be tls or starttls with a password, which is sent in plain text otherwise")
        return self


class NotificationsSettings(FrozenModel):
    """Receivers of notifications. Each gets every event once and in order, also after it was away."""

    mail: MailSettings | None = Field(default=None, description="A mail for each event.")
    wecom: RobotSettings | None = Field(default=None, description="A robot of a WeCom group.")
    dingtalk: SignedRobotSettings | None = Field(default=None, description="A robot of a DingTalk group.")
    feishu: SignedRobotSettings | None = Field(default=None, description="A robot of a Feishu group.")
    webhooks: tuple[WebhookSettings, ...] = Field(default=(), max_length=3, description="Your own HTTP receivers.")

    def channels(self) -> dict[str, FrozenModel]:
        """The receivers by their key in the stack's file, such as `wecom` or `webhooks[0]`."""
        named = {"mail": self.mail, "wecom": self.wecom, "dingtalk": self.dingtalk, "feishu": self.feishu}
        hooks = {f"webhooks[{number}]": hook for number, hook in enumerate(self.webhooks)}
        return {name: channel for name, channel in {**named, **hooks}.items() if channel is not None}

    def secrets(self) -> Mapping[str, SecretStr]:
        """The secret values by their key, such as `wecom.url`."""
        return {
            f"{name}.{field}": value
            for name, channel in self.channels().items()
            for field, value in channel
            if isinstance(value, SecretStr)
        }

    def hosts(self) -> Mapping[str, str]:
        """The host names or addresses that the nodes have to reach, by the key of the setting."""
        urls = {key: value for key, value in self.secrets().items() if key.endswith(".url")}
        hosts = {key: urlsplit(value.get_secret_value()).hostname or "" for key, value in urls.items()}
        return {**hosts, **({"mail.server": self.mail.server} if self.mail is not None else {})}
