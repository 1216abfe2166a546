"""Reads and validates the settings of one stack. No other module reads `pulumi.Config`."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env, is_config_secret

from samples.iam.build import archive, build
from settings.bundles import find_bundle
from settings.data import DataSettings
from settings.iam import STAND_IN, IamSettings
from settings.nginx import NginxSettings
from settings.parsing import parse_sections
from settings.problems import Problem, SettingsError
from settings.releases import Bundle, Release, ReleaseError, is_url, read_release, shown
from settings.rules import find_contradictions
from settings.sections import Sections, Settings
from settings.services import ServiceSettings
from settings.sites import SiteSettings, bundle_key

_NAMESPACE = "tandem"
# Pulumi's own key: the provider reads the same one, so the two regions cannot differ.
_REGION = "tencentcloud:region"
# Set by `tandem --config-file`: Pulumi does not pass the file's name to the program.
_FILE = "TANDEM_CONFIG_FILE"
_NO_STAND_IN = (
    "is required in a production stack: a path or URL of your release of the IAM services. Without it the stand-in of "
    f"samples/iam would be deployed, which is for tests; set it to {STAND_IN} if you want that"
)
# Relative to the project: an absolute path would show as a change in the preview of another checkout.
_RELEASES = Path(".tandem/releases")


@dataclass(frozen=True, slots=True)
class Stack:
    """Identifies one stack."""

    project: str
    name: str
    region: str | None
    given_file: str | None = None  # instead of the stack's own

    @property
    def file(self) -> str:
        """The file with the settings, as it is named in error messages."""
        return self.given_file or f"stacks/Pulumi.{self.name}.yaml"


def load() -> Settings:
    """Read the configuration of the current stack. Raises: SettingsError with all problems."""
    raw = {key.partition(":")[2]: value for key, value in _configuration().items() if key.startswith(f"{_NAMESPACE}:")}
    encrypted_sections = frozenset(key for key in raw if is_config_secret(f"{_NAMESPACE}:{key}"))
    region = pulumi.Config("tencentcloud").get("region")
    stack = Stack(pulumi.get_project(), pulumi.get_stack(), region, os.environ.get(_FILE))
    return parse(stack, raw, encrypted_sections)


def find_release(settings: IamSettings) -> Release:
    """Return the release, fetched if it is a URL; the stand-in in samples/iam by default. Raises: ReleaseError."""
    if settings.release in {"", STAND_IN}:
        return _build_stand_in()
    if not is_url(settings.release):
        return read_release(Path(settings.release), settings.sha256)
    from settings.downloads import fetch  # noqa: PLC0415 - HTTP takes 0.1 s to import

    return read_release(fetch(settings.release, settings.sha256, _RELEASES), settings.sha256)


@cache
def _build_stand_in() -> Release:
    sha256 = hashlib.sha256(archive()).hexdigest()
    source = _RELEASES / f"iam-stand-in-{sha256[:12]}.tar.gz"
    build(source)
    return replace(read_release(source), stand_in=True)


def parse(
    stack: Stack,
    raw: Mapping[str, object],
    encrypted_sections: frozenset[str] = frozenset(),
    find_release: Callable[[IamSettings], Release] = find_release,
) -> Settings:
    """Validate raw values, by section. Pulumi encrypts `encrypted_sections`.

    Raises: SettingsError with all problems.
    """
    parsed = parse_sections(Sections, {key: _decode(value) for key, value in raw.items()}, _NAMESPACE)
    facts = {**parsed.sections, "region": stack.region, "encrypted_sections": encrypted_sections}
    problems = [*parsed.problems, *find_contradictions(facts)]
    if stack.region is None:
        problems.append(Problem(_REGION, "is required: region of all resources, for example ap-guangzhou"))
    release: Release | None = None
    iam: IamSettings | None = parsed.sections.get("iam")
    if iam is not None and iam.enabled:
        problems += _check_domains(parsed.sections, problems)
        try:
            release = find_release(iam)
        except ReleaseError as error:
            problems.append(Problem(f"{_NAMESPACE}:iam.release", error.message))
        data = parsed.sections.get("data")
        if release is not None and data is not None:
            problems += _check_release(release, data)
        if release is not None and release.stand_in and not iam.release and _is_production(stack, parsed.sections):
            problems.append(Problem(f"{_NAMESPACE}:iam.release", _NO_STAND_IN))
    bundles: dict[str, Bundle] = {}
    for name, service in parsed.sections.get("services", {}).items():
        problems += _find_service(name, service, bundles)
    nginx: NginxSettings | None = parsed.sections.get("nginx")
    for number, site in enumerate(nginx.sites if nginx is not None else ()):
        problems += _find_content(number, site, bundles)
    if problems:
        raise SettingsError(stack.file, tuple(problems))
    return Settings.model_construct(
        project=stack.project,
        stack=stack.name,
        file=stack.file,
        region=stack.region,
        release=release,
        bundles=bundles,
        **parsed.sections,
    )


def _check_domains(sections: Mapping[str, Any], problems: Sequence[Problem]) -> Iterator[Problem]:
    """The IAM services need both public names; a missing section is otherwise valid."""
    reported = any(problem.key.startswith(f"{_NAMESPACE}:domains") for problem in problems)
    if sections.get("domains") is None and not reported:
        for key, service in {"api": "iam-apiserver", "authz": "iam-authz-server"}.items():
            text = f"is required: public host name of {service}, or set iam.enabled to false"
            yield Problem(f"{_NAMESPACE}:domains.{key}", text)


def _check_release(release: Release, data: DataSettings) -> Iterator[Problem]:
    if release.stand_in and data.mongodb is not None:
        text = "cannot be set without tandem:iam.release: the stand-in's iam-pump writes only csv files"
        yield Problem(f"{_NAMESPACE}:data.mongodb", text)
    others = [name for name in release.schema.databases if name != data.database]
    if others and not data.outside_group:
        text = (
            f"must be {others[0]}: sql/iam.sql of the release selects the database {others[0]} by name "
            f"(got {data.database})"
        )
        yield Problem(f"{_NAMESPACE}:data.database", text)


def _find_service(name: str, service: ServiceSettings, bundles: dict[str, Bundle]) -> Iterator[Problem]:
    """Add the release of a service to `bundles`, or yield what is wrong with it."""
    key = f"services.{name}"
    try:
        bundle = find_bundle(service.release, service.sha256, key, f"{_NAMESPACE}:{key}.sha256", _RELEASES)
    except ReleaseError as error:
        yield Problem(f"{_NAMESPACE}:{key}.release", error.message)
        return
    if service.program is not None and service.program not in bundle.files:
        yield Problem(
            f"{_NAMESPACE}:{key}.command[0]",
            f"must be a file of the release {shown(service.release)} or a command of the node (got {service.program})",
        )
    bundles[key] = bundle


def _find_content(number: int, site: SiteSettings, bundles: dict[str, Bundle]) -> Iterator[Problem]:
    """Add the files of a site to `bundles`, or yield what is wrong with them."""
    for node, source in site.sources.items():
        key = bundle_key(site, node)
        try:
            checksum = f"{_NAMESPACE}:nginx.sites[{number}].contentSha256"
            bundles[key] = find_bundle(source, site.content_sha256, key, checksum, _RELEASES)
        except ReleaseError as error:
            yield Problem(f"{_NAMESPACE}:nginx.sites[{number}].content" + (f".{node}" if node else ""), error.message)


def _is_production(stack: Stack, sections: Mapping[str, Any]) -> bool:
    return stack.name in {"prod", "production"} or bool(sections.get("protect"))


def _configuration() -> dict[str, object]:
    """Return all keys of the stack. `pulumi.Config` only reads keys by name, so a misspelled key would go unnoticed."""
    return {**get_config_env(), **CONFIG.get()}


def _decode(value: object) -> object:
    """Decode a value: Pulumi passes mappings and lists as JSON text."""
    if isinstance(value, str) and value[:1] in {"{", "["}:
        try:
            return json.loads(value)
        except ValueError:
            # Not JSON from Pulumi: the section's model reports the invalid value.
            return value
    return value
