"""Checks the settings file of a stack without the engine and without a passphrase (`tandem config check`).

    python -m settings.check [FILE ...]     default: all of stacks/

Encrypted values are not checked: a rule that needs one, such as whether a key belongs to a certificate, is left to
`up`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import yaml

from settings import yaml_files
from settings.iam import IamSettings
from settings.load import Stack, find_release, parse
from settings.parsing import UNKNOWN_KEY, key_below
from settings.problems import MISSING, Problem, SettingsError
from settings.releases import Release, is_url
from settings.sections import Settings

_PROJECT = "tandem"
_NAMESPACES = ("tandem", "tencentcloud", "pulumi")
_ENCRYPTED = "Encrypted-value-0"  # has the form of most secrets
_ENCRYPTED_HASH = "$5$salt$Encrypted-value-0"  # of credentials.basicAuth
FOREIGN_KEY = "is not a known key; keys start with tandem: or tencentcloud:"
_PREFIX = "Pulumi."


@dataclass(frozen=True, slots=True)
class Checked:
    """The result for one file."""

    file: str
    problems: tuple[Problem, ...]
    settings: Settings | None  # None if there are problems
    encrypted: tuple[str, ...] = ()  # keys whose values were not checked
    has_environment: bool = False  # Pulumi ESC adds settings, which were not checked


def check_file(file: Path, name: str | None = None) -> Checked:
    """Check one file. `name` is the stack's; by default, that of the file."""
    shown = str(file)
    name = name or file.stem.removeprefix(_PREFIX)
    try:
        content = yaml_files.read(file)
    except FileNotFoundError:
        return Checked(shown, (Problem(shown, MISSING),), None)
    except OSError as error:
        return Checked(shown, (Problem(shown, f"cannot be read: {error.strerror}"),), None)
    except UnicodeDecodeError:
        return Checked(shown, (Problem(shown, "must be text in UTF-8"),), None)
    except (yaml.YAMLError, ValueError) as error:
        return Checked(shown, (Problem(shown, " ".join(str(error).split())),), None)
    fields = cast("dict[str, Any]", content) if isinstance(content, dict) else {}
    if isinstance(config := fields.get("config"), dict):
        checked = _check(shown, name, {str(key): each for key, each in cast("dict[Any, Any]", config).items()})
    else:
        checked = Checked(shown, (Problem(shown, "must have the mapping `config:`"),), None)
    return replace(checked, has_environment="environment" in fields)


def _check(shown: str, name: str, config: Mapping[str, Any]) -> Checked:
    foreign = [Problem(key, FOREIGN_KEY) for key in config if key.partition(":")[0] not in _NAMESPACES]
    encrypted: list[str] = []
    plain = {key: _replace_encrypted(value, key, encrypted) for key, value in config.items()}
    raw = {key.partition(":")[2]: value for key, value in plain.items() if key.startswith("tandem:")}
    sections = frozenset(key.partition(":")[2].partition(".")[0] for key in encrypted if key.startswith("tandem:"))
    region = plain.get("tencentcloud:region")
    try:
        settings = parse(Stack(_PROJECT, name, region, shown), raw, sections, _find_release)
    except SettingsError as error:
        # A problem of the key itself does not come from the replaced value.
        own = (each for each in error.problems if each.key not in encrypted or each.text.startswith(UNKNOWN_KEY))
        problems = (*foreign, *own)
        return Checked(shown, problems, None, tuple(encrypted))
    return Checked(shown, tuple(foreign), None if foreign else settings, tuple(encrypted))


def find_files(directory: Path) -> list[Path]:
    """The settings files of all stacks."""
    return sorted(directory.glob(f"{_PREFIX}*.yaml"))


def _replace_encrypted(value: Any, path: str, encrypted: list[str]) -> Any:
    """Replace `secure: TEXT` by a text, and add its key to `encrypted`."""
    if isinstance(value, Mapping):
        fields = cast("Mapping[str, Any]", value)
        if set(fields) == {"secure"}:
            encrypted.append(path)
            return _ENCRYPTED_HASH if ".basicAuth." in path else _ENCRYPTED
        return {key: _replace_encrypted(each, key_below(path, key), encrypted) for key, each in fields.items()}
    if isinstance(value, list):
        entries = enumerate(cast("list[Any]", value))
        return [_replace_encrypted(each, key_below(path, number), encrypted) for number, each in entries]
    return value


def _find_release(settings: IamSettings) -> Release:
    """The release if it is a file; a URL is not fetched."""
    if settings.release and is_url(settings.release):
        return Release(settings.release, settings.sha256 or "0" * 64)
    return find_release(settings)


def describe(checked: Checked) -> Iterator[str]:
    """The result as text."""
    if not checked.problems:
        skipped = f" ({len(checked.encrypted)} encrypted values not checked)" if checked.encrypted else ""
        yield f"{checked.file}: ok{skipped}"
        return
    # SettingsError has the same form in `up` and `preview`.
    yield str(SettingsError(checked.file, checked.problems))


def main(arguments: Sequence[str]) -> int:
    files = [Path(each) for each in arguments] or find_files(Path("stacks"))
    results = [check_file(file) for file in files]
    for line in (line for each in results for line in describe(each)):
        print(line)
    return 1 if any(each.problems for each in results) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
