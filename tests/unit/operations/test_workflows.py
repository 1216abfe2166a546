"""The workflows for GitHub and the example for GitLab: their syntax, and who gets secrets."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from operations.workspace import PROJECT_ROOT

WORKFLOWS = sorted((PROJECT_ROOT / ".github" / "workflows").glob("*.yaml"))
GITLAB = PROJECT_ROOT / "samples" / "ci" / "gitlab-ci.yml"
_GH = """#!/bin/bash
printf '%s\\n' "$*" >> "$GH_CALLS"
case "$*" in
  *--jq*comments* | *comments*--jq*) printf '%s' "$GH_COMMENTS" ;;
  "issue list"*) printf '%s' "$GH_ISSUE" ;;
esac
"""


def read(name: str) -> dict[str, Any]:
    return yaml.safe_load((PROJECT_ROOT / ".github" / "workflows" / f"{name}.yaml").read_text())


def test_the_workflows_cover_preview_unit_localcloud_drift_and_release() -> None:
    assert [file.stem for file in WORKFLOWS] == ["drift", "localcloud", "preview", "release", "unit"]


@pytest.mark.long
def test_actionlint_accepts_the_workflows() -> None:
    checked = subprocess.run([PROJECT_ROOT / "scripts" / "actionlint"], text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout) == (0, ""), checked.stderr


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_each_workflow_says_that_it_has_not_run_and_limits_its_token(file: Path) -> None:
    text = file.read_text()
    assert re.search(r"not run on github yet|never run on github", text.lower())
    assert "permissions" in yaml.safe_load(text)


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_a_job_that_a_fork_can_start_gets_no_secret(file: Path) -> None:
    workflow: dict[Any, Any] = yaml.safe_load(file.read_text())
    # YAML 1.1 reads the key `on` as true.
    starts = workflow[True]
    assert "pull_request_target" not in starts
    for job in workflow["jobs"].values():
        own = "github.event.pull_request.head.repo.full_name == github.repository" in str(job.get("if"))
        assert "pull_request" not in starts or own or "secrets." not in str(job)


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_actions_are_pinned_by_commit_and_leave_no_token_in_the_checkout(file: Path) -> None:
    jobs = yaml.safe_load(file.read_text())["jobs"].values()
    steps = [step for job in jobs for step in job["steps"] if "uses" in step]
    assert steps
    for step in steps:
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", step["uses"])
        if step["uses"].startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_runs_of_one_subject_do_not_overlap(file: Path) -> None:
    workflow: dict[Any, Any] = yaml.safe_load(file.read_text())
    assert workflow["concurrency"]["group"]
    assert bool(workflow["concurrency"].get("cancel-in-progress")) == ("pull_request" in workflow[True])


def test_only_the_job_that_publishes_may_write_to_the_repository() -> None:
    release = read("release")
    assert release["permissions"] == {"contents": "read"}
    writing = [name for name, job in release["jobs"].items() if job.get("permissions") == {"contents": "write"}]
    assert writing == ["publish"]
    assert not any("make" in str(step.get("run")) for step in release["jobs"]["publish"]["steps"])


@pytest.mark.parametrize("file", [WORKFLOWS[0], WORKFLOWS[2], GITLAB], ids=lambda file: file.stem)
def test_a_job_that_reads_the_bucket_has_the_checksum_settings_for_cos(file: Path) -> None:
    names = re.findall(r"AWS_RE\w+", (PROJECT_ROOT / "docs" / "team.md").read_text())
    assert len(names) == 2
    assert all(f"{name}: when_required" in file.read_text() for name in names)


def test_the_preview_has_the_version_of_pulumi_that_is_pinned() -> None:
    (job,) = read("preview")["jobs"].values()
    (step,) = (step for step in job["steps"] if step.get("uses", "").startswith("pulumi/actions@"))
    module = (PROJECT_ROOT / "tools" / "pulumi" / "go.mod").read_text()
    assert f"pulumi/pkg/v3 v{step['with']['pulumi-version']}\n" in module


def test_the_provider_plugin_is_installed_from_the_server_of_its_package(tmp_path: Path) -> None:
    (tmp_path / "pulumi").write_text('#!/bin/sh\n[ "$1" = version ] && echo v3.300.0 || echo "$@" >&2\n')
    (tmp_path / "pulumi").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = [PROJECT_ROOT / "scripts" / "provider-plugin"]
    done = subprocess.run(command, env=environment, text=True, capture_output=True, check=True)
    readme = (PROJECT_ROOT / "README.md").read_text()
    assert f"pulumi {done.stderr}" in readme


def test_the_preview_on_localcloud_shows_what_a_pull_request_changes() -> None:
    """The base is deployed first; a deployment of the pull request itself would have nothing to preview."""
    (job,) = read("localcloud")["jobs"].values()
    steps = [str(step.get("run", "")) for step in job["steps"]]
    order = [
        'git checkout --quiet "${{ github.event.pull_request.base.sha }}"',
        "make up",
        "github.sha }}",
        "preview --markdown",
    ]
    places = [next(place for place, step in enumerate(steps) if text in step) for text in order]
    assert places == sorted(places)


@pytest.mark.parametrize("file", [*WORKFLOWS, GITLAB], ids=lambda file: file.stem)
def test_every_script_and_make_target_that_a_workflow_runs_exists(file: Path) -> None:
    text = file.read_text()
    targets = set(re.findall(r"^([a-z-]+):.*##", (PROJECT_ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:run: |- |script: )make ([a-z-]+)", text)) <= targets
    for script in re.findall(r"(?<![\w/.])scripts/([\w-]+)", text):
        assert os.access(PROJECT_ROOT / "scripts" / script, os.X_OK), script


class Gh:
    """A fake `gh` on the PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "gh").write_text(_GH)
        (folder / "gh").chmod(0o755)

    def run(self, script: str, *arguments: str, comments: str = "", issue: str = "") -> list[str]:
        """Run a script. Returns the calls of `gh` that change something."""
        calls = self.folder / "calls"
        calls.write_text("")
        environment = {
            **os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}", "GH_CALLS": str(calls),
            "GH_COMMENTS": comments, "GH_ISSUE": issue, "GITHUB_REPOSITORY": "team/tandem",
        }  # fmt: skip
        subprocess.run([PROJECT_ROOT / "scripts" / script, *arguments], env=environment, check=True)
        return [line for line in calls.read_text().splitlines() if "--jq" not in line]


@pytest.fixture
def gh(tmp_path: Path) -> Gh:
    return Gh(tmp_path)


def test_a_first_comment_is_created_and_a_later_one_replaces_it(gh: Gh, tmp_path: Path) -> None:
    file = tmp_path / "comment.md"
    file.write_text("<!-- tandem preview of stack prod -->\ntext\n")
    others = "11 LGTM\n12 <!-- tandem preview of stack staging -->\n"
    assert gh.run("pull-request-comment", "7", str(file), comments=others) == [
        f"api --method POST repos/team/tandem/issues/7/comments --field body=@{file} --silent"
    ]
    mine = f"{others}13 <!-- tandem preview of stack prod -->\r\n"
    assert gh.run("pull-request-comment", "7", str(file), comments=mine) == [
        f"api --method PATCH repos/team/tandem/issues/comments/13 --field body=@{file} --silent"
    ]


def test_an_empty_file_does_not_replace_a_comment(gh: Gh, tmp_path: Path) -> None:
    file = tmp_path / "comment.md"
    file.touch()
    with pytest.raises(subprocess.CalledProcessError):
        gh.run("pull-request-comment", "7", str(file), comments="11 \n")
    assert (tmp_path / "calls").read_text() == ""


def test_an_issue_about_a_failed_search_for_drift_is_not_empty(gh: Gh, tmp_path: Path) -> None:
    file = tmp_path / "drift.md"
    file.touch()
    assert gh.run("drift-issue", "prod", str(file))[0].startswith("issue create")
    assert file.read_text().startswith("The search for drift failed.")


def test_a_comment_before_many_others_is_replaced(gh: Gh, tmp_path: Path) -> None:
    file = tmp_path / "comment.md"
    file.write_text("<!-- tandem preview of stack prod -->\ntext\n")
    comments = f"13 {file.read_text().splitlines()[0]}\n" + "14 LGTM\n" * 12_000
    (call,) = gh.run("pull-request-comment", "7", str(file), comments=comments)
    assert call.startswith("api --method PATCH repos/team/tandem/issues/comments/13 ")


@pytest.mark.parametrize(
    ("summary", "issue", "call"),
    [
        pytest.param("1 to update, 46 unchanged", "", "issue create", id="drift opens an issue"),
        pytest.param("1 to update, 46 unchanged", "5", "issue comment 5", id="lasting drift is a comment"),
        pytest.param("failed", "", "issue create", id="a failed preview opens an issue"),
        pytest.param("no changes, 47 unchanged", "5", "issue close 5", id="the end of the drift closes the issue"),
        pytest.param("no changes, 47 unchanged", "", None, id="no drift and no issue"),
    ],
)
def test_drift_has_one_issue(gh: Gh, tmp_path: Path, summary: str, issue: str, call: str | None) -> None:
    file = tmp_path / "drift.md"
    file.write_text(f"<!-- x -->\n### Preview of stack `prod`: {summary}\n")
    calls = gh.run("drift-issue", "prod", str(file), issue=issue)
    assert len(calls) == (0 if call is None else 1)
    assert call is None or calls[0].startswith(call)
