"""Static content of sites: delivered as a release is, and served by nginx from the link."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from provisioning_deployments import deployment

from provisioning.agent.kinds.archive import unpack
from provisioning.deployment import Deployment
from provisioning.kinds.archive import Archive
from provisioning.kinds.link import Link
from provisioning.kinds.old_archives import OldArchives
from provisioning.manifest_rendering import render
from provisioning.services import content
from settings.nginx import NginxSettings
from settings.releases import Bundle

SITE: dict[str, Any] = {"hosts": ["www.example.com"], "content": "static"}


def with_content(**bundles: Bundle) -> Deployment:
    nginx = NginxSettings.model_validate({"sites": [SITE]})
    of_site = {name if name.startswith("iam") else "": bundle for name, bundle in bundles.items()}
    return replace(deployment(application_nodes=1), nginx=nginx, content={"www.example.com": of_site})


def links(made: Deployment) -> list[list[tuple[str, str]]]:
    """The links of each node."""
    return [
        [(item.path, item.target) for item in content.desired(made, node) if isinstance(item, Link)]
        for node in made.nodes
    ]


def test_the_files_are_delivered_beside_the_previous_ones_to_the_eligible_nodes() -> None:
    made = with_content(all=Bundle("a.tar.gz", "ab" * 32))
    link = ("/srv/sites/www.example.com/current", "/srv/sites/www.example.com/abababababab")
    assert links(made) == [[link], [link], []]
    items = content.desired(made, made.nodes[0])
    assert Archive("a.tar.gz", "ab" * 32, link[1]) in items
    assert OldArchives(link[1], 2) in items


def test_each_node_can_have_other_files() -> None:
    made = with_content(**{"iam-a": Bundle("a.tar.gz", "a" * 64), "iam-b": Bundle("b.tar.gz", "b" * 64)})
    assert [found[0][1].rpartition("/")[2] for found in links(made)[:2]] == ["a" * 12, "b" * 12]


def test_a_new_version_switches_the_link_and_neither_reloads_nor_restarts_anything() -> None:
    made = with_content(all=Bundle("a.tar.gz", "ab" * 32))
    assert all(not item.unit_actions() for item in content.desired(made, made.nodes[0]))


def test_nginx_serves_the_link() -> None:
    files = render(with_content(all=Bundle("a.tar.gz", "ab" * 32)))["iam-a"].files()
    assert "root /srv/sites/www.example.com/current;" in files["/etc/nginx/conf.d/site-www.example.com.conf"]


@pytest.mark.parametrize(("mode", "unpacked"), [(0o600, 0o644), (0o644, 0o644), (0o700, 0o755), (0o4755, 0o755)])
def test_all_accounts_of_the_node_can_read_delivered_files(tmp_path: Path, mode: int, unpacked: int) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        directory = tarfile.TarInfo("d")
        directory.type, directory.mode = tarfile.DIRTYPE, 0o700
        archive.addfile(directory)
        file = tarfile.TarInfo("d/f")
        file.mode = mode
        archive.addfile(file, io.BytesIO(b""))
    unpack(tmp_path / "a.tar.gz", tmp_path / "out")
    assert (tmp_path / "out/d").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "out/d/f").stat().st_mode & 0o7777 == unpacked
