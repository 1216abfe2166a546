"""The real nginx accepts the corrected texts of the lectures, and refuses what they print."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.root

SEED = Path(__file__).parent
TEXTS = ("lecture-001/10.0.4.20/nginx", "lecture-001/10.0.4.21/nginx", "lecture-002/nginx")


def check(folder: Path, text: str, work: Path) -> subprocess.CompletedProcess[str]:
    (work / "conf.d").mkdir()
    for file in folder.glob("conf.d/*"):
        (work / "conf.d" / file.name).write_text(file.read_text())
    for path in ("/etc/nginx/conf.d", "/var/log/nginx", "/run/nginx.pid"):
        text = text.replace(path, str(work / Path(path).name))
    (work / "nginx").mkdir()
    (work / "nginx.conf").write_text(text)
    command = ["nginx", "-t", "-q", "-c", str(work / "nginx.conf")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("folder", TEXTS)
def test_nginx_accepts_the_corrected_texts(folder: str, tmp_path: Path) -> None:
    done = check(SEED / folder, (SEED / folder / "nginx.conf").read_text(), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("folder", "corrected", "printed", "text"),
    [
        (TEXTS[0], "127.0.0.1:8080;", "127.0.0.1:8080", 'invalid parameter "server"'),
        (TEXTS[2], "gzip_comp_level", "gzip_com_level", 'unknown directive "gzip_com_level"'),
    ],
)
def test_nginx_refuses_what_the_lectures_print(
    folder: str, corrected: str, printed: str, text: str, tmp_path: Path
) -> None:
    source = (SEED / folder / "nginx.conf").read_text()
    assert corrected in source
    done = check(SEED / folder, source.replace(corrected, printed, 1), tmp_path)
    assert done.returncode != 0
    assert text in done.stderr
