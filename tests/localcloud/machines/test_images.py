"""Images: their sources, atomic publication, and detection of damage."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from localcloud.errors import HostError, ImageError
from localcloud.machines import builder
from localcloud.machines.distributions import IMAGES, ON_REQUEST
from localcloud.machines.store import ImageStore
from localcloud.package_sources import Source, read_sources, sources_for
from localcloud.rules import catalog

_REPOSITORY = Path(__file__).resolve().parents[3]

_DEB822 = """\
Types: deb
# a comment
URIs: http://mirror.test/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb deb-src
URIs: http://mirror.test/debian-security
Suites: bookworm-security
Components: main contrib
Enabled: yes

Types: deb
URIs: http://elsewhere.test/tool
Suites: bookworm
Components: main
Signed-By: /usr/share/keyrings/tool.gpg

Types: deb
URIs: http://mirror.test/debian
Suites: trixie
Components: main
Enabled: no
"""


@pytest.fixture
def etc_apt(tmp_path: Path) -> Path:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d/debian.sources").write_text(_DEB822)
    (tmp_path / "sources.list").write_text(
        "# nothing\ndeb [signed-by=/k.gpg arch=amd64] http://other.test/debian bullseye main # old\n"
        "deb-src http://x y z\n"
    )
    return tmp_path


def test_sources_of_both_formats_are_read(etc_apt: Path) -> None:
    found = read_sources(etc_apt)
    assert Source("http://other.test/debian", "bullseye", ("main",), "/k.gpg") in found
    assert {source.suite for source in found} == {"bullseye", "bookworm", "bookworm-updates", "bookworm-security"}


def test_images_are_built_only_from_debian_sources(etc_apt: Path) -> None:
    chosen = sources_for("bookworm", read_sources(etc_apt))
    assert [source.uri.rsplit("/", 1)[-1] for source in chosen] == ["debian", "debian", "debian-security"]
    assert chosen[0].line() == (
        "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.test/debian bookworm main"
    )


def test_a_missing_package_source_is_reported_with_a_remedy(etc_apt: Path) -> None:
    with pytest.raises(HostError) as refused:
        sources_for("sid", read_sources(etc_apt))
    assert "no apt source of Debian 'sid' (found: bookworm, bookworm-security" in str(refused.value)


def test_an_unknown_image_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="unknown image 'img-none'; known: img-debian12, img-services, img-debian13"):
        ImageStore(tmp_path).layers("img-none")


def test_an_image_that_is_not_built_is_not_used(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="is not built"):
        ImageStore(tmp_path).layers("img-debian12")
    assert {ImageStore(tmp_path).damage(image) for image in IMAGES.values()} == {"not built"}


@pytest.mark.root
def test_the_images_of_this_host_are_undamaged() -> None:
    store = ImageStore()
    store.ensure(print)
    for image in (IMAGES[name] for name in IMAGES if name not in ON_REQUEST):
        assert store.damage(image, thorough=True) is None


@pytest.mark.root
@pytest.mark.parametrize(
    ("damage", "said"),
    [
        pytest.param("echo x >>root/bin/true", "bin/true has changed since the build", id="a longer file"),
        pytest.param("rm root/etc/fstab", "etc/fstab has changed since the build", id="a missing file"),
        pytest.param("touch root/etc/zzz", "etc/zzz has changed since the build", id="an additional file"),
        pytest.param("chmod 4777 root/bin/true", "bin/true has changed since the build", id="a changed mode"),
        pytest.param("echo >>manifest", "its manifest has changed since it was written", id="a changed manifest"),
        pytest.param("rm image.json", "not built", id="no image.json"),
    ],
)
def test_damage_to_an_image_is_detected(tmp_path: Path, damage: str, said: str) -> None:
    image = IMAGES["img-debian12"]
    store = ImageStore(tmp_path)
    copy = _small_copy(store)
    assert store.damage(image, thorough=True) is None
    subprocess.run(["sh", "-c", damage], cwd=copy, check=True)
    assert store.damage(image) == said


@pytest.mark.root
@pytest.mark.parametrize("thorough", [False, True])
def test_a_changed_byte_is_detected_even_with_equal_size_and_times(tmp_path: Path, *, thorough: bool) -> None:
    image = IMAGES["img-debian12"]
    store = ImageStore(tmp_path)
    target = _small_copy(store) / "root/bin/true"
    before = target.stat()
    target.write_bytes(b"X" + target.read_bytes()[1:])
    os.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert store.damage(image, thorough=thorough) == "bin/true has changed since the build"


@pytest.mark.root
def test_a_copied_image_is_undamaged(tmp_path: Path) -> None:
    """As when a CI cache restores it: every file is new, with the same contents."""
    store = ImageStore(tmp_path / "one")
    _small_copy(store)
    subprocess.run(["cp", "-a", tmp_path / "one", tmp_path / "two"], check=True)
    assert ImageStore(tmp_path / "two").damage(IMAGES["img-debian12"]) is None


@pytest.mark.root
def test_a_machine_keeps_its_image_when_the_image_is_rebuilt(tmp_path: Path) -> None:
    image, store = IMAGES["img-debian12"], ImageStore(tmp_path)
    old = _small_copy(store)
    for name in ("upper", "work", "merged"):
        (tmp_path / name).mkdir()
    options = f"lowerdir={old}/root,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    script = f"mount -t overlay overlay -o {options} {tmp_path}/merged && echo ready; read line; cat merged/bin/true"
    words = ["unshare", "--mount", "sh", "-c", script]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as machine:
        assert machine.stdout is not None
        assert machine.stdout.readline() == "ready\n"
        fresh = tmp_path / "fresh"
        (fresh / "root/bin").mkdir(parents=True)
        (fresh / "root/bin/true").write_text("another\n")
        store.seal(image, fresh, built_s=0.0)
        store.put_in_place(image, fresh)
        store.remove_stale()
        assert store.damage(image) is None
        assert machine.communicate("continue\n")[0] == "this is bin/true\n"
    assert list(tmp_path.glob(".replaced-*"))
    store.remove_stale()
    assert list(tmp_path.glob(".replaced-*")) == []


def _small_copy(store: ImageStore) -> Path:
    """Create an image of three files, with a manifest as written by a build."""
    copy = store.path(IMAGES["img-debian12"])
    for name in ("bin/true", "etc/fstab"):
        (copy / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / "root" / name).write_text(f"this is {name}\n")
    store.seal(IMAGES["img-debian12"], copy, built_s=0.0)
    return copy


def test_a_build_reports_its_progress(tmp_path: Path) -> None:
    said: list[str] = []
    command = ["sh", "-c", "echo Unpacking nginx; exec sleep 0.5"]
    builder.run(command, tmp_path / "log", IMAGES["img-services"], said.append, progress_s=0.1)
    assert said
    assert all(re.fullmatch(r"img-services: \d+ s so far: Unpacking nginx", line) for line in said)


def test_the_api_offers_exactly_the_images_that_can_be_built() -> None:
    assert [image.image_id for image in catalog.IMAGES] == list(IMAGES)


@pytest.mark.root
def test_a_killed_build_leaves_no_partial_image(tmp_path: Path) -> None:
    before = Path("/proc/self/mountinfo").read_text().count(str(tmp_path))
    code = "import sys; from pathlib import Path; from localcloud.machines.store import ImageStore; "
    code += "ImageStore(Path(sys.argv[1])).ensure(print)"
    build = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(_REPOSITORY)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".building-*/root/usr")):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    build.send_signal(signal.SIGKILL)
    build.wait()
    store = ImageStore(tmp_path)
    damages = {store.damage(image) for image in IMAGES.values()}
    assert damages == {"not built"}, "a partial image is accepted as complete"
    deadline = time.monotonic() + 10
    while _processes_about(tmp_path):
        assert time.monotonic() < deadline, _processes_about(tmp_path)
        time.sleep(0.1)
    assert Path("/proc/self/mountinfo").read_text().count(str(tmp_path)) == before
    store.remove_stale()
    assert list(tmp_path.glob(".building-*")) == []


def _processes_about(path: Path) -> list[str]:
    found: list[str] = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(path) in line and "pytest" not in line:
            found.append(line)
    return found
