from __future__ import annotations

import json
from typing import Any

import pytest
from provisioning_deployments import deployment

from provisioning.kinds.absent import Absent
from provisioning.kinds.base import reload
from provisioning.kinds.directory import Directory
from provisioning.kinds.file import File
from provisioning.kinds.gate import Gate
from provisioning.kinds.unit import Unit
from provisioning.manifest import Manifest
from provisioning.manifest_rendering import render
from provisioning.placeholders import find_names

ITEMS = (
    Directory("/etc/iam", mode=0o750),
    File("/etc/nginx/nginx.conf", "user www-data;\n", mode=0o640, after=(reload("nginx"),)),
    Unit("nginx"),
    Gate("nginx", "http://10.0.4.20/healthz", deadline_s=30),
)


def as_pulumi_returns_it(value: Any) -> Any:
    """Convert through JSON, with every number as a float."""
    return json.loads(json.dumps(value), parse_int=float)


@pytest.mark.parametrize("profile", ["fast", "balanced", "seed"])
def test_a_manifest_is_unchanged_after_storage_in_pulumis_state(profile: str) -> None:
    for name, manifest in render(deployment(profile=profile)).items():
        data = as_pulumi_returns_it(manifest.to_data())
        assert Manifest.from_data(name, data, manifest.files()) == manifest


def test_the_data_omits_file_texts_and_default_values() -> None:
    manifest = Manifest("iam-a", ITEMS)
    assert manifest.to_data() == [
        {"kind": "Directory", "path": "/etc/iam", "mode": "0750"},
        {"kind": "File", "path": "/etc/nginx/nginx.conf", "mode": "0640", "after": ["reload nginx"]},
        {"kind": "Unit", "name": "nginx"},
        {"kind": "Gate", "name": "nginx", "url": "http://10.0.4.20/healthz", "deadline_s": 30},
    ]
    assert manifest.files() == {"/etc/nginx/nginx.conf": "user www-data;\n"}


def test_a_path_belongs_to_one_item_only() -> None:
    with pytest.raises(ValueError, match=r"a path must belong to one item only \(got two for /etc/x\)"):
        Manifest("iam-a", (File("/etc/x", ""), Absent("/etc/x")))


def test_rendering_is_deterministic() -> None:
    assert render(deployment()) == render(deployment())


def test_changing_one_setting_changes_one_line_on_each_node() -> None:
    before, after = render(deployment()), render(deployment(nginx={"keepaliveTimeoutS": 30}))
    for name in before:
        assert before[name].to_data() == after[name].to_data()
        changed = [path for path, text in before[name].files().items() if after[name].files()[path] != text]
        assert changed == ["/etc/nginx/nginx.conf"]
        old, new = (set(files.files()[changed[0]].splitlines()) for files in (before[name], after[name]))
        assert (old - new, new - old) == ({"    keepalive_timeout 65s;"}, {"    keepalive_timeout 30s;"})


def test_an_additional_node_changes_only_the_peers_of_the_others() -> None:
    before, after = render(deployment()), render(deployment(application_nodes=1))
    assert list(after) == ["iam-a", "iam-b", "iam-c"]
    for name in before:
        changed = {path for path, text in before[name].files().items() if after[name].files()[path] != text}
        assert "/etc/nginx/conf.d/upstreams.conf" in changed
        assert not {path for path in changed if "keepalived" in path or path.startswith("/etc/nginx/tls")}


def test_an_application_node_runs_neither_nginx_nor_keepalived() -> None:
    items = render(deployment(application_nodes=1))["iam-c"].items
    assert not {"nginx", "keepalived"} & {item.name for item in items if isinstance(item, Unit)}


def test_rendered_files_contain_placeholders_and_no_secrets() -> None:
    names: set[str] = set()
    for manifest in render(deployment(profile="seed")).values():
        for path, text in manifest.files().items():
            names |= find_names(text)
            assert "BEGIN" not in text or "PRIVATE" not in text, path
    assert {"server_certificate.api", "server_private_key.authz", "vrrp_password"} <= names


def test_files_with_secrets_are_not_readable_by_all_users() -> None:
    public = {
        "server_certificate.api",
        "server_certificate.authz",
        "ca_certificate",
        "data_disk_id",
        "backup_public_key",
    }
    for profile in ("fast", "seed"):
        for manifest in render(deployment(profile=profile)).values():
            for item in manifest.items:
                if isinstance(item, File) and {
                    name for name in find_names(item.text) if name not in public and "certificate" not in name
                }:
                    assert item.mode & 0o007 == 0, item.path


def test_eligible_nodes_upgrade_their_packages_on_different_days_and_no_two_nodes_at_the_same_time() -> None:
    path = "/etc/systemd/system/apt-daily-upgrade.timer.d/tandem.conf"
    manifests = render(deployment(application_nodes=2))
    times = [line for each in manifests.values() for line in each.files()[path].splitlines() if "*-*-*" in line]
    days = ("Mon,Wed,Fri", "Tue,Thu,Sat")
    assert times == [f"OnCalendar={days[hour % 2]} *-*-* {hour:02}:00" for hour in range(4)]
