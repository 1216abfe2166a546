"""Settings of services of the user's own: parsing, rules, and their releases."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import pytest
from settings_samples import parse, problems_of, sections, with_value

from settings.archives import pack_folder
from settings.bundles import find_bundle
from settings.releases import ReleaseError


@pytest.fixture
def release(tmp_path: Path) -> str:
    folder = tmp_path / "web"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "web").write_text("#!/bin/sh\n")
    (folder / "bin" / "web").chmod(0o755)
    return str(folder)


def settings(release: str, **services: dict[str, Any]) -> dict[str, Any]:
    complete = {name: {"release": release, "command": ["bin/web"], **values} for name, values in services.items()}
    return with_value(sections(), "services", complete)


def texts(values: dict[str, Any], encrypted: frozenset[str] = frozenset()) -> list[str]:
    return [f"{problem.key} {problem.text}" for problem in problems_of(values, encrypted_sections=encrypted)]


def test_a_service_needs_only_a_release_and_a_command(release: str) -> None:
    parsed = parse(settings(release, web={}))
    assert parsed.services["web"].instances == "all"
    assert parsed.bundles["services.web"].files == {"bin/web"}


def test_a_service_cannot_have_the_name_of_an_upstream_of_iam(release: str) -> None:
    values = settings(release, **{"iam-apiserver": {"port": 9000}})
    assert texts(values) == [
        "tandem:services.iam-apiserver cannot be named iam-apiserver, the upstream of an IAM service"
    ]
    without_iam = {**values, "iam": {"enabled": False}}
    del without_iam["domains"]
    assert texts(without_iam) == []


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        pytest.param(
            {"command": ["bin/other"]},
            "tandem:services.web.command[0] must be a file of the release",
            id="a program that the release does not have",
        ),
        pytest.param({"port": 80}, "tandem:services.web.port must be greater than or equal to 1024", id="a low port"),
        pytest.param(
            {"port": 8080}, "tandem:services.web.port must be free (got 8080, the port of iam-apiserver)", id="IAM"
        ),
        pytest.param({"port": 3306}, "(got 3306, the port of MariaDB)", id="a database's port"),
        pytest.param({"instances": ["iam-x"]}, "must be names of nodes.members: iam-a, iam-b (got iam-x)", id="node"),
        pytest.param({"instances": []}, "must name at least one node", id="no instance"),
        pytest.param({"dependsOn": ["api"]}, "must name services: web (got api)", id="an unknown dependency"),
        pytest.param({"dependsOn": ["web"]}, "cannot form a cycle", id="a dependency on itself"),
        pytest.param({"schedule": "daily", "port": 9000}, "port cannot be set with schedule", id="a scheduled server"),
        pytest.param({"health": {"path": "/healthz"}}, "port is required with health.path", id="no port to check"),
        pytest.param({"env": {"PORT": "1"}}, "env cannot contain PORT", id="a variable of the program"),
        pytest.param({"env": {"A": "x\ny"}}, "must be one line of printable characters", id="a line break"),
        pytest.param({"env": {"A": "@@secret:jwt_key@@"}}, "write ${secret.NAME}", id="a secret of the stack"),
        pytest.param({"files": {"a": "@@secret:jwt_key@@"}}, "write ${secret.NAME}", id="the same in a file"),
        pytest.param({"files": {"a": "key ${secret.KEY}"}}, "add secrets.KEY", id="a secret that is not set"),
        *(pytest.param({"files": {"a": f"key {text}"}, "secrets": {"KEY": "x"}},
                       f"files.a cannot contain {text}; write", id=text)
          for text in ("${secret.KEY as json}", "${ secret.KEY }", "${secrets.KEY}", "${secret.K-Y}")),
        pytest.param({"env": {"URL": "db://u:${secret.KEY}@x"}, "secrets": {"KEY": "x"}},
                     "env.URL cannot contain ${secret.KEY}, which only files can contain", id="a secret in a variable"),
        pytest.param({"command": ["bin/web", "${secret.KEY}"], "secrets": {"KEY": "x"}},
                     "command cannot contain ${secret.KEY}", id="a secret in an argument"),
        pytest.param({"files": {"../a": ""}}, "tandem:services.web.files", id="a file outside its directory"),
        pytest.param({"user": "www-data"}, "tandem:services.web.user has an invalid format", id="a system account"),
        pytest.param({"replicas": 2}, "is not a known key", id="an unknown key"),
        pytest.param({"release": "/nowhere"}, "tandem:services.web.release /nowhere cannot be read", id="no release"),
        pytest.param({"sha256": "0" * 64}, "must have the checksum of tandem:services.web.sha256", id="a checksum"),
        pytest.param({"release": "https://x.example.com/web.tar.gz"},
                     "must be set together with tandem:services.web.sha256", id="a URL without a checksum"),
    ],
)  # fmt: skip
def test_an_invalid_service_is_reported_with_the_reason(release: str, values: dict[str, Any], problem: str) -> None:
    found = texts(settings(release, web=values))
    assert any(problem in text for text in found), found


@pytest.mark.parametrize(
    ("service", "accepted"),
    [
        pytest.param({"port": 27017, "instances": ["iam-a"]}, True, id="the archive of MongoDB on that node"),
        pytest.param({"port": 27017}, True, id="on all nodes"),
        pytest.param({"port": 27017, "instances": ["iam-b"]}, False, id="on another node"),
        pytest.param({"port": 9000}, False, id="another service"),
    ],
)
def test_mongodb_on_a_node_needs_its_archive(release: str, service: dict[str, Any], accepted: bool) -> None:  # noqa: FBT001 - a column of the table
    values = with_value(settings(release, mongodb=service), "data", {"mongodb": {"address": "10.0.4.20:27017"}})
    values = with_value(values, "credentials", {"given": {"mongodbPassword": "a-password"}})
    found = texts(values, frozenset({"credentials"}))
    reason = "the distributions have no package of MongoDB, so give its archive as services.NAME.release"
    assert [text for text in found if reason not in text] == []
    assert bool(found) != accepted


def test_two_services_cannot_have_one_port(release: str) -> None:
    found = texts(settings(release, web={"port": 9000}, api={"port": 9000}))
    assert found == ["tandem:services.api.port must be free (got 9000, the port of service web)"]


def test_services_cannot_depend_on_each_other_in_a_cycle(release: str) -> None:
    found = texts(settings(release, a={"dependsOn": ["b"]}, b={"dependsOn": ["c"]}, c={"dependsOn": ["a"]}))
    assert len([text for text in found if "cannot form a cycle" in text]) == 3


def test_a_plain_secret_is_refused_and_not_shown(release: str) -> None:
    values = settings(release, web={"secrets": {"KEY": "hunter2!"}})
    (found,) = texts(values)
    assert "tandem:services.web.secrets.KEY must be encrypted" in found
    assert "hunter2" not in found
    assert texts(values, frozenset({"services"})) == []


def test_an_unprintable_secret_is_refused_and_not_shown(release: str) -> None:
    found = texts(settings(release, web={"secrets": {"KEY": "hunter2\x00"}}), frozenset({"services"}))
    assert any("character 8 is another one" in text for text in found), found
    assert not any("hunter2" in text for text in found)


def test_a_scheduled_command_runs_on_eligible_nodes_or_on_one_node(release: str) -> None:
    values = settings(release, job={"schedule": "hourly", "instances": ["iam-a", "iam-c"]})
    values = with_value(values, "nodes.members", [{"name": f"iam-{n}", "address": f"10.0.4.2{i}"} for i, n in
                                                  enumerate("abc")])  # fmt: skip
    assert any("must be eligible nodes (iam-a, iam-b) or one node" in text for text in texts(values))
    assert texts(with_value(values, "services.job.instances", ["iam-c"])) == []


def test_the_archive_of_a_folder_depends_on_its_files_only(release: str) -> None:
    before = pack_folder(Path(release))
    (Path(release) / "bin" / "web").touch()
    (Path(release) / "bin" / "__pycache__").mkdir()
    (Path(release) / "bin" / "__pycache__" / "web.pyc").write_bytes(b"compiled")
    assert pack_folder(Path(release)) == before
    with tarfile.open(fileobj=io.BytesIO(before)) as archive:
        assert [(member.name, member.mode) for member in archive] == [("bin/web", 0o755)]


def test_a_folder_with_a_link_is_refused(release: str, tmp_path: Path) -> None:
    (Path(release) / "latest").symlink_to("bin")
    with pytest.raises(ReleaseError, match="cannot contain latest, which is a link"):
        find_bundle(release, None, "services.web", "tandem:services.web.sha256", tmp_path)


def test_an_archive_with_a_path_outside_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "web.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("../etc/passwd"))
    with pytest.raises(ReleaseError, match=r"cannot contain \.\./etc/passwd"):
        find_bundle(str(path), None, "services.web", "tandem:services.web.sha256", tmp_path)
