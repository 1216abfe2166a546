"""Previews, drift and replacement of a deployed group."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.end_to_end.lab import ROOT, CommandError, Lab
from tests.end_to_end.settings import write_settings

pytestmark = pytest.mark.root


def changed_lines(preview: str) -> list[str]:
    """Return the lines of a text diff (`  -   worker_connections 4096;`), without property lines (`~ files: {`)."""
    return [line.strip() for line in preview.splitlines() if re.match(r"\s+[-+] \s+\S", line)]


def test_a_changed_nginx_setting_changes_one_line_on_each_node(deployed: Lab, tmp_path: Path) -> None:
    settings = write_settings(tmp_path / "changed.yaml", nginx={"workerConnections": 2048})
    preview = deployed.tandem("preview", "--config-file", str(settings))
    changes = [line for line in preview.splitlines() if "worker_connections" in line]
    assert [line.split() for line in changes if re.match(r"\s+[-+]", line)] == [
        ["-", "worker_connections", "4096;"],
        ["+", "worker_connections", "2048;"],
    ] * 2
    assert len(changed_lines(preview)) == len(changes)
    # The preview shows no secret and no unchanged property.
    assert "PRIVATE KEY" not in preview
    assert len(preview.splitlines()) < 100


def test_a_refresh_finds_nothing_to_change(deployed: Lab) -> None:
    deployed.up()
    seen = deployed.tandem("refresh")
    assert re.search(r"Resources:\n\s+\d+ unchanged\n", seen), seen


def test_a_manually_changed_file_is_reported_as_drift_and_repaired(deployed: Lab) -> None:
    deployed.on("iam-b", "sed -i s/4096/77/ /etc/nginx/nginx.conf")
    drift = deployed.tandem("refresh", "--diff")
    assert "worker_connections 77;" in drift
    deployed.up()
    assert "4096" in deployed.on("iam-b", "grep worker_connections /etc/nginx/nginx.conf")


def test_a_powered_off_node_is_reported_as_drift_without_an_error(deployed: Lab) -> None:
    deployed.localcloud("fault", "iam-a", "power-off")
    try:
        seen = deployed.tandem("refresh", "--diff")
    finally:
        deployed.localcloud("fault", "iam-a", "heal")
        # The refresh recorded the drift: the next `up` repairs it, so the following one has no changes.
        deployed.up()
    assert "iam-a" in seen
    assert "cannot be reached" in seen or "no answer" in seen or "unreachable" in seen, seen


def test_a_rebuilt_first_node_keeps_its_databases(deployed: Lab) -> None:
    """The data disk moves from the replaced node to the new one (docs/operations.md, Rebuild a node)."""
    deployed.on("iam-a", "mariadb iam -e 'CREATE TABLE kept (number INT); INSERT INTO kept VALUES (42)'")
    before = {node["name"]: node["instance_id"] for node in deployed.outputs()["nodes"]}
    deployed.tandem("replace", "iam-a")
    after = {node["name"]: node["instance_id"] for node in deployed.outputs()["nodes"]}
    assert after["iam-a"] != before["iam-a"]
    assert after["iam-b"] == before["iam-b"]
    assert deployed.on("iam-a", "mariadb -N iam -e 'SELECT number FROM kept; DROP TABLE kept'").strip() == "42"
    assert re.search(r"Resources:\n\s+\d+ unchanged\n", deployed.up())


def test_an_invalid_configuration_is_refused_and_changes_no_node(deployed: Lab, tmp_path: Path) -> None:
    """The nginx of a node refuses what no rule of the settings knows."""
    settings = write_settings(tmp_path / "invalid.yaml", nginx={"extraConfig": "no_such_directive on;"})
    files = "cd /etc; find nginx keepalived iam -type f -exec stat -c '%n %i %y' {} + | sort"
    before = {node: deployed.on(node, files) for node in ("iam-a", "iam-b")}
    with pytest.raises(CommandError, match=r'unknown directive "no_such_directive"') as refused:
        deployed.up("--config-file", str(settings))
    assert "Traceback" not in str(refused.value)
    assert {node: deployed.on(node, files) for node in before} == before
    assert re.search(r"Resources:\n\s+\d+ unchanged\n", deployed.up())


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_node_is_rebuilt_with_a_new_image_and_the_other_one_keeps_its_own(deployed: Lab, tmp_path: Path) -> None:
    settings = write_settings(tmp_path / "image.yaml", nodes={"image": "img-debian12"})
    try:
        output = deployed.tandem("replace", "iam-b", "--config-file", str(settings))
        assert images(deployed) == {"iam-a": "img-services", "iam-b": "img-debian12"}, output
        assert deployed.operator("tandem", "health", "--stack", "local").returncode == 0
        # `up` ignores a changed image.
        assert re.search(r"Resources:\n\s+\d+ unchanged\n", deployed.up())
    finally:
        deployed.tandem("replace", "iam-b")
    assert set(images(deployed).values()) == {"img-services"}


def images(lab: Lab) -> dict[str, str]:
    """The image of each node, as the state records it."""
    script = (
        "import json; from operations.engine import open_engine; "
        "found = open_engine('local').deployment()['resources']; "
        "found = [each['outputs'] for each in found if 'imageId' in each.get('outputs', {})]; "
        "print(json.dumps({each['hostname']: each['imageId'] for each in found}))"
    )
    return json.loads(lab.operator(str(ROOT / ".venv" / "bin" / "python"), "-c", script).stdout)
