"""The real `keepalived -t` accepts each rendered configuration, over pairwise combinations of the settings."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from provisioning.kinds.check import Check
from provisioning.manifest import render
from settings.keepalived import KeepalivedSettings
from tests.keepalived.configurations import NODES, VIP3, deployment, pairwise, write
from tests.keepalived.pair import in_namespace

pytestmark = pytest.mark.root


def test_keepalived_accepts_pairwise_combinations_of_all_settings(tmp_path: Path) -> None:
    combinations, refused = pairwise()
    assert len(combinations) > 15
    assert refused < 60, "most pairs must be possible"
    problems: list[str] = []
    with in_namespace("accepted") as namespace:
        for number, settings in enumerate(combinations):
            for node in NODES:
                sync = KeepalivedSettings.model_validate(settings).sync_group
                of = deployment(settings, (VIP3,) if sync or (number % 2 and settings["profile"] != "seed") else ())
                configuration = write(of, node, tmp_path / f"{number}{node}")
                done = subprocess.run(
                    ["ip", "netns", "exec", namespace, "keepalived", "-t", "-f", str(configuration)],
                    capture_output=True,
                    text=True,
                    check=False,
                )
                if done.returncode or "keyword" in done.stderr:  # 2.1.5 exits with 0 after an unknown one
                    problems.append(f"{settings}: exit code {done.returncode}: {done.stderr}")
    assert not problems, "\n".join(problems)


SEED = Path(__file__).parents[1] / "seed"
SECURITY = "   enable_script_security\n   script_user root\n"


def check(text: str, folder: Path, scripts: Path, namespace: str) -> subprocess.CompletedProcess[str]:
    """`keepalived -t` of a text from a lecture, with the scripts of that lecture."""
    folder.mkdir()
    for script in scripts.glob("*.sh"):
        (folder / script.name).write_text(script.read_text())
        (folder / script.name).chmod(0o755)
    (folder / "keepalived.conf").write_text(text.replace("/etc/keepalived", str(folder)))
    command = ["ip", "netns", "exec", namespace, "keepalived", "-t", "-f", str(folder / "keepalived.conf")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_keepalived_accepts_the_texts_of_the_lectures(tmp_path: Path) -> None:
    texts = sorted(SEED.rglob("keepalived*.conf"))
    texts = [text for text in texts if "service.d" not in text.name]
    assert len(texts) == 11
    with in_namespace("seed") as namespace:
        for number, text in enumerate(texts):
            scripts = SEED / text.relative_to(SEED).parts[0]
            done = check(text.read_text(), tmp_path / str(number), scripts, namespace)
            assert done.returncode == 0, f"{text}: {done.stderr}"


@pytest.mark.parametrize(
    ("lecture", "corrected", "printed"),
    [
        pytest.param("lecture-001/10.0.4.20/keepalived.conf", "vrrp_skip_check_adv_addr", "vrrp_garp_interval 0",
                     id="vrrp_garp_interval 0"),
        pytest.param("lecture-001/10.0.4.20/keepalived.conf", "garp_master_delay 1",
                     "track_interface {\n    eth0\n  }", id="an explicit track_interface"),
        pytest.param("lecture-002/pair/10.0.4.20/keepalived.conf", SECURITY, "",
                     id="no script security"),
        pytest.param("lecture-002/lvs-dr/10.0.4.20/keepalived.conf", " retry 2", " nb_get_retry 2",
                     id="nb_get_retry in a TCP_CHECK"),
        pytest.param("lecture-003/keepalived.conf", "   smtp_connect_timeout 30", "   vrrp_strict",
                     id="vrrp_strict with unicast"),
    ],
)  # fmt: skip
def test_keepalived_refuses_what_the_lectures_print(tmp_path: Path, lecture: str, corrected: str, printed: str) -> None:
    text = (SEED / lecture).read_text()
    assert corrected in text
    with in_namespace("printed") as namespace:
        scripts = SEED / lecture.split("/", maxsplit=1)[0]
        done = check(text.replace(corrected, printed, 1), tmp_path / "printed", scripts, namespace)
    assert done.returncode != 0, done.stderr


@pytest.mark.parametrize(("interface", "accepted"), [("lo", True), ("ens5", False)])
def test_an_interface_that_does_not_exist_is_refused_as_a_candidate(interface: str, accepted: bool) -> None:  # noqa: FBT001 - a column of the table
    """`keepalived -t` accepts it, and a backup would stop at the reload."""
    items = render(deployment({"interface": interface}))["iam-a"].items
    (check,) = [item for item in items if isinstance(item, Check) and item.name == "the interface of keepalived"]
    assert check.sees(["/etc/keepalived/keepalived.conf"])
    with in_namespace("interface") as namespace:
        command = ["ip", "netns", "exec", namespace, *check.command]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == accepted, done.stderr
    assert accepted or "ens5" in done.stderr
