"""Pulumi.yaml and Pulumi.<stack>.yaml, as the `pulumi` command reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from localcloud.engine.errors import ProjectError
from localcloud.engine.secrets import open_crypter


@dataclass(frozen=True, slots=True)
class Project:
    """A project and the configuration of one of its stacks."""

    name: str
    stack: str
    root: Path  # where Pulumi.yaml is
    main: Path  # the directory or file to run
    config: dict[str, str] = field(default_factory=dict)  # "namespace:key" to text; objects as JSON
    secret_keys: frozenset[str] = frozenset()

    def namespaced(self, namespace: str) -> dict[str, str]:
        """The configuration of one namespace, e.g. a provider's, by key."""
        prefix = f"{namespace}:"
        return {key.removeprefix(prefix): text for key, text in self.config.items() if key.startswith(prefix)}


def read_project(directory: Path, stack: str, config_file: Path | None, passphrase: str) -> Project:
    """Raises ProjectError when a file is missing or is not what Pulumi expects."""
    root = _find_root(directory)
    data = _read_yaml(root / "Pulumi.yaml")
    name = data.get("name")
    if not isinstance(name, str) or not name:
        msg = f"{root / 'Pulumi.yaml'} has no `name`"
        raise ProjectError(msg)
    _check_runtime(root / "Pulumi.yaml", data.get("runtime"))
    stack_file = config_file or root / str(data.get("stackConfigDir") or ".") / f"Pulumi.{stack}.yaml"
    _check_stack(stack, stack_file)
    config, secret_keys = _read_config(name, data, stack_file, must_exist=config_file is not None, phrase=passphrase)
    return Project(name, stack, root, (root / str(data.get("main") or ".")).resolve(), config, secret_keys)


def _check_stack(stack: str, stack_file: Path) -> None:
    """A misspelt name would be a new stack, whose settings are all missing. A project without settings has no files."""
    others = sorted(path.name[len("Pulumi.") : -len(".yaml")] for path in stack_file.parent.glob("Pulumi.*.yaml"))
    if others and not stack_file.exists():
        msg = f"no stack {stack!r}: {stack_file} is not there; there are: {', '.join(others)}"
        raise ProjectError(msg)


def _find_root(directory: Path) -> Path:
    start = directory.resolve()
    for candidate in (start, *start.parents):
        if (candidate / "Pulumi.yaml").is_file():
            return candidate
    msg = f"no Pulumi.yaml in {start} or above it; run this in the project's directory, or name it with --cwd"
    raise ProjectError(msg)


def _check_runtime(path: Path, runtime: Any) -> None:
    name = runtime.get("name") if isinstance(runtime, Mapping) else runtime
    if name != "python":
        msg = f"{path}: runtime is {name!r}; this engine runs python programs only"
        raise ProjectError(msg)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        data = yaml.safe_load(path.read_text()) or {}
    except FileNotFoundError as error:
        msg = f"{path} does not exist"
        raise ProjectError(msg) from error
    except yaml.YAMLError as error:
        msg = f"{path} is not YAML: {error}"
        raise ProjectError(msg) from error
    if not isinstance(data, dict):
        msg = f"{path} holds {type(data).__name__}, where a mapping is expected"
        raise ProjectError(msg)
    return data


def _read_config(
    name: str, project: Mapping[str, Any], path: Path, *, must_exist: bool, phrase: str
) -> tuple[dict[str, str], frozenset[str]]:
    stack = _read_yaml(path) if must_exist or path.exists() else {}
    values = {**_project_defaults(project), **(stack.get("config") or {})}
    config: dict[str, str] = {}
    secret_keys: set[str] = set()
    for key, value in values.items():
        full_key = key if ":" in key else f"{name}:{key}"
        if _holds_secure(value):
            secret_keys.add(full_key)
            config[full_key] = _as_text(_decrypted(value, str(stack.get("encryptionsalt") or ""), phrase, path))
        else:
            config[full_key] = _as_text(value)
    return config, frozenset(secret_keys)


def _project_defaults(project: Mapping[str, Any]) -> dict[str, Any]:
    """Values that Pulumi.yaml itself gives under `config`."""
    found: dict[str, Any] = {}
    for key, value in (project.get("config") or {}).items():
        if not isinstance(value, Mapping):
            found[key] = value
        elif "value" in value:
            found[key] = value["value"]
        elif "default" in value:
            found[key] = value["default"]
    return found


def _holds_secure(value: Any) -> bool:
    if isinstance(value, Mapping):
        return set(value) == {"secure"} or any(_holds_secure(item) for item in value.values())
    return isinstance(value, list) and any(_holds_secure(item) for item in value)


def _decrypted(value: Any, salt: str, phrase: str, path: Path) -> Any:
    if not salt:
        msg = f"{path} has a `secure:` value, but no encryptionsalt to open it with"
        raise ProjectError(msg)
    crypter = open_crypter(phrase, salt)

    def change(item: Any) -> Any:
        if isinstance(item, Mapping):
            if set(item) == {"secure"}:
                return crypter.decrypt(item["secure"])
            return {key: change(inner) for key, inner in item.items()}
        return [change(inner) for inner in item] if isinstance(item, list) else item

    return change(value)


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    return json.dumps(value, separators=(",", ":"), default=str)
