"""Reads and checks the settings of one stack, once and as a whole. The only reader of `pulumi.Config`."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pulumi
from pulumi.runtime.config import CONFIG, get_config_env, is_config_secret

from samples.iam.build import archive, build
from settings.parsing import parse_sections
from settings.problems import Problem, SettingsError
from settings.releases import Release, ReleaseError, read_release
from settings.rules import find_contradictions
from settings.sections import Sections, Settings

_NAMESPACE = "tandem"
# Pulumi's own key: the provider reads it too, so that the two cannot differ.
_REGION = "tencentcloud:region"
# Set by `tandem --config-file`: Pulumi does not tell a program which file it has read.
_FILE = "TANDEM_CONFIG_FILE"
# Relative to the project: an absolute path would show as a change in the preview of another checkout.
_RELEASES = Path(".tandem/releases")


@dataclass(frozen=True, slots=True)
class Stack:
    """Which stack it is."""

    project: str
    name: str
    region: str | None
    given_file: str | None = None  # instead of the stack's own

    @property
    def file(self) -> str:
        """Where its settings stand, as a person would look for it."""
        return self.given_file or f"Pulumi.{self.name}.yaml"


def load() -> Settings:
    """Read the current stack's configuration. Raises SettingsError with every problem."""
    raw = {key.partition(":")[2]: value for key, value in _configuration().items() if key.startswith(f"{_NAMESPACE}:")}
    secret = frozenset(key for key in raw if is_config_secret(f"{_NAMESPACE}:{key}"))
    region = pulumi.Config("tencentcloud").get("region")
    stack = Stack(pulumi.get_project(), pulumi.get_stack(), region, os.environ.get(_FILE))
    return parse(stack, raw, secret)


def find_release(path: str) -> Release:
    """The release at that path; "" means the stand-in of samples/iam, built on demand. Raises ReleaseError."""
    return read_release(Path(path)) if path else _build_stand_in()


@cache
def _build_stand_in() -> Release:
    sha256 = hashlib.sha256(archive()).hexdigest()
    source = _RELEASES / f"iam-stand-in-{sha256[:12]}.tar.gz"
    build(source)
    return Release(str(source), sha256, stand_in=True)


def parse(
    stack: Stack,
    raw: Mapping[str, object],
    secret: frozenset[str] = frozenset(),
    find_release: Callable[[str], Release] = find_release,
) -> Settings:
    """Check raw values, by section. `secret` names the sections that Pulumi keeps encrypted. Raises SettingsError."""
    parsed = parse_sections(Sections, {key: _decoded(value) for key, value in raw.items()}, _NAMESPACE)
    facts = {**parsed.sections, "region": stack.region, "secret": secret}
    problems = [*parsed.problems, *find_contradictions(facts)]
    if stack.region is None:
        problems.append(Problem(_REGION, "is missing; what for: the region of every resource, e.g. ap-guangzhou"))
    release: Release | None = None
    if "iam" in parsed.sections:
        try:
            release = find_release(parsed.sections["iam"].release)
        except ReleaseError as error:
            problems.append(Problem(f"{_NAMESPACE}:iam.release", error.message))
        data = parsed.sections.get("data")
        if release is not None and release.stand_in and data is not None and data.mongodb is not None:
            wanted = "needs a real release (tandem:iam.release): the stand-in's iam-pump writes csv files alone"
            problems.append(Problem(f"{_NAMESPACE}:data.mongodb", wanted))
    if problems:
        raise SettingsError(stack.file, tuple(problems))
    return Settings.model_construct(
        project=stack.project,
        stack=stack.name,
        file=stack.file,
        region=stack.region,
        release=release,
        **parsed.sections,
    )


def _configuration() -> dict[str, object]:
    """Every key of the stack. `pulumi.Config` reads only keys that one can name, and would hide a misspelt one."""
    return {**get_config_env(), **CONFIG.get()}


def _decoded(value: object) -> object:
    """Pulumi hands mappings and lists over as JSON text."""
    if isinstance(value, str) and value[:1] in {"{", "["}:
        try:
            return json.loads(value)
        except ValueError:
            # Not what Pulumi writes; the section says what it wants instead.
            return value
    return value
