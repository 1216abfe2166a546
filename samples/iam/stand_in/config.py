"""Configuration as in the real servers: flags override the environment, which overrides the YAML file.

Keys are dotted (`mysql.host`), flags are `--mysql.host VALUE`, the environment is `IAM_APISERVER_MYSQL_HOST`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from . import VERSION
from .codes import IamError

_SERVING: dict[str, Any] = {
    "server.mode": "release",
    "server.middlewares": [],
    "insecure.bind-address": "127.0.0.1",
    "insecure.bind-port": 8080,
    "secure.bind-address": "0.0.0.0",  # noqa: S104 - the real server's default; provisioning sets it
    "secure.bind-port": 8443,
    "secure.tls.cert-key.cert-file": "/var/run/iam/iam.crt",
    "secure.tls.cert-key.private-key-file": "/var/run/iam/iam.key",
    "feature.profiling": True,
    "feature.enable-metrics": True,
}
_REDIS: dict[str, Any] = {
    "redis.host": "127.0.0.1",
    "redis.port": 6379,
    "redis.password": "",
    "redis.database": 0,
}
_LOG: dict[str, Any] = {"log.output-paths": ["stdout"], "log.level": "info"}

DEFAULTS: dict[str, dict[str, Any]] = {
    "iam-apiserver": _SERVING
    | _REDIS
    | _LOG
    | {
        "mysql.host": "127.0.0.1:3306",
        "mysql.username": "",
        "mysql.password": "",
        "mysql.database": "",
        "mysql.max-open-connections": 100,
        "grpc.bind-address": "0.0.0.0",  # noqa: S104 - as above
        "grpc.bind-port": 8081,
        "jwt.realm": "iam jwt",
        "jwt.key": "",
        "jwt.timeout": "1h",
        "jwt.max-refresh": "1h",
    },
    "iam-authz-server": _SERVING
    | _REDIS
    | _LOG
    | {
        "rpcserver": "127.0.0.1:8081",
        "client-ca-file": "",
        "analytics.enable": True,
        "analytics.records-buffer-size": 1000,
        "analytics.flush-interval": 200,
    },
    "iam-pump": _REDIS
    | _LOG
    | {
        "purge-delay": 10,
        "health-check-address": "0.0.0.0:7070",
        "health-check-path": "healthz",
        "omit-detailed-recording": False,
        "pumps": {},
    },
}
# As in the real pump: merged with the configured sinks, so it stays active until `csv` overrides it.
_DEFAULT_PUMPS = {"csv": {"type": "csv", "meta": {"csv_dir": "./analytics-data"}}}
_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class ConfigError(IamError):
    """The configuration is invalid. The message names the key."""


@dataclass(frozen=True, slots=True)
class Config:
    """The value of every known key. Keys that the stand-in does not use are accepted and ignored."""

    server: str
    values: Mapping[str, Any]

    def text(self, key: str) -> str:
        return str(self.values[key])

    def number(self, key: str) -> int:
        return int(self.values[key])

    def flag(self, key: str) -> bool:
        value = self.values[key]
        return value if isinstance(value, bool) else str(value).lower() in {"1", "t", "true"}

    def words(self, key: str) -> tuple[str, ...]:
        """A list, or a comma-separated string."""
        value = self.values[key]
        parts = value.split(",") if isinstance(value, str) else value or []
        return tuple(str(part).strip() for part in parts)

    def seconds(self, key: str) -> float:
        """A Go duration: 90s, 1h30m, 200ms."""
        text = self.text(key)
        parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", text)
        if not parts or "".join(number + unit for number, unit in parts) != text:
            raise ConfigError(f"{self.server}: {key} is {text!r}; must be a duration such as 90s or 1h30m")
        return sum(float(number) * _UNITS_S[unit] for number, unit in parts)

    @property
    def pumps(self) -> dict[str, dict[str, Any]]:
        return _DEFAULT_PUMPS | dict(self.values["pumps"] or {})


def load(server: str, arguments: Sequence[str], environ: Mapping[str, str]) -> Config:
    """Raises ConfigError. `--help` and `--version` end the process."""
    parser = argparse.ArgumentParser(prog=server, allow_abbrev=False)
    parser.add_argument("-c", "--config", default=None, help="configuration file (YAML)")
    parser.add_argument("--version", action="version", version=f"{server} {VERSION}")
    for key in DEFAULTS[server]:
        parser.add_argument(f"--{key}", dest=key, default=None)
    flags = vars(parser.parse_args(arguments))
    values = dict(DEFAULTS[server])
    values |= {key: value for key, value in _flatten(_read(server, flags.pop("config"))).items() if key in values}
    prefix = server.upper().replace("-", "_") + "_"
    for key in values:
        name = prefix + re.sub(r"[.-]", "_", key).upper()
        values[key] = environ.get(name, values[key])
    values |= {key: value for key, value in flags.items() if value is not None}
    return Config(server, values)


def _read(server: str, name: str | None) -> Mapping[str, Any]:
    candidates = [Path(name)] if name else [Path(f"{server}.yaml"), Path(f"/etc/iam/{server}.yaml")]
    for path in candidates:
        try:
            return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except FileNotFoundError:
            continue
        except (OSError, yaml.YAMLError) as error:
            raise ConfigError(f"{server}: cannot read {path}: {error}") from error
    raise ConfigError(f"{server}: configuration file not found; tried {', '.join(map(str, candidates))}")


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        # `pumps` maps names chosen by the user to sinks, so it is not flattened.
        if isinstance(value, dict) and name != "pumps":
            flat |= _flatten(value, f"{name}.")
        else:
            flat[name] = value
    return flat
