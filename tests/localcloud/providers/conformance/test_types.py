"""Each resource type has the same operations and outputs as with the real provider plugins.

`expected/` was recorded from the real plugins (`python -m tests.localcloud.providers.conformance`). If they are
on the PATH, the same tests also run on them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from localcloud import services
from localcloud.providers.state_only.certificates import TYPES as TLS_TYPES
from localcloud.providers.state_only.random import TYPES as RANDOM_TYPES
from localcloud.providers.tencentcloud.types import TYPES
from localcloud.services.actions import ACTIONS
from tests.localcloud.providers.cloud import running_cloud

from .known import KNOWN
from .plugin_sets import PLUGIN_SETS, open_project
from .record import run_scene
from .scenes import SCENES

_DOCS = Path(__file__).resolve().parents[4] / "docs" / "providers.md"
_EXPECTED = Path(__file__).with_name("expected")

Record = dict[str, Any]


@pytest.fixture(scope="module")
def record_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Record]:
    """Return a function that runs a scene on a plugin set, once for all of its types."""
    records: dict[tuple[str, str], Record] = {}

    def find(scene: str, plugins: str) -> Record:
        if (scene, plugins) not in records:
            directory = tmp_path_factory.mktemp(scene)
            with (
                running_cloud(directory) as cloud,
                closing(open_project(plugins, directory, cloud)) as project,
            ):
                records[scene, plugins] = run_scene(SCENES[scene], project, cloud)
                assert cloud.counts() == {}, "nothing is left after the deletion"
                assert cloud.more_counts() == {}, "nothing is left after the deletion"
        return records[scene, plugins]

    return find


@pytest.mark.parametrize(
    ("plugins", "scene", "resource"),
    [
        pytest.param(plugins, scene.name, resource, id=f"{plugins}-{scene.name}-{resource}")
        for plugins in PLUGIN_SETS
        for scene in SCENES.values()
        for resource in scene.types
    ],
)
def test_a_resource_type_behaves_as_recorded_from_the_real_plugins(
    record_of: Callable[[str, str], Record], plugins: str, scene: str, resource: str
) -> None:
    expected = json.loads((_EXPECTED / f"{scene}.json").read_text())[resource]
    found = record_of(scene, plugins)[resource]
    if plugins == "localcloud":
        for difference in KNOWN:
            expected, found = difference.without(expected), difference.without(found)
    assert found == expected


def test_the_api_has_each_action_that_the_real_plugin_calls() -> None:
    """The list was recorded from the real plugin, which runs only where it is installed."""
    services.load()
    actions = {f"{service}:{name}" for service, name in ACTIONS}
    assert set((_EXPECTED / "actions.txt").read_text().split()) - actions == set()


def test_each_resource_type_is_in_a_scene() -> None:
    tested = {resource_type for scene in SCENES.values() for resource_type in scene.types.values()}
    assert tested == {*TYPES, *RANDOM_TYPES, *TLS_TYPES}


def test_each_known_difference_is_documented() -> None:
    text = " ".join(_DOCS.read_text().split())
    assert [one.reason for one in KNOWN if one.reason not in text] == []
