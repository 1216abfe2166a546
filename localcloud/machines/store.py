"""The images of this host: built once, verified, shared read-only by all clouds."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import signal
import stat
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from localcloud.errors import ImageError
from localcloud.machines import builder
from localcloud.machines.distributions import IMAGES, ON_REQUEST, Image, lineage
from localcloud.machines.image_files import MASKED_UNITS, base_files

DEFAULT_DIRECTORY = Path("/var/cache/localcloud/images")
_REPLACED = ".replaced-"
_STALE_S = 10.0  # time for the children of a killed build to end

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class ImageStore:
    """A directory with `<image id>-<recipe digest>/{root,manifest,image.json}` for each finished image."""

    directory: Path = DEFAULT_DIRECTORY

    def path(self, image: Image) -> Path:
        return self.directory / f"{image.image_id}-{recipe_digest(image)}"

    def layers(self, image_id: str) -> list[Path]:
        """Directories for overlayfs's lowerdir, topmost first. Raises ImageError if one is missing."""
        if image_id not in IMAGES:
            raise ImageError(f"unknown image {image_id!r}; known: {', '.join(IMAGES)}")
        paths = [self.path(image) / "root" for image in lineage(image_id)]
        for path in paths:
            if not path.is_dir():
                raise ImageError(
                    f"image {image_id} is not built ({path} does not exist); run `localcloud up --image {image_id}`"
                )
        return paths

    def ensure(self, report: Report, also: str | None = None) -> None:
        """Build missing or damaged images, of those that are built on request only `also`.

        Of two concurrent callers, one builds and the other waits.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        with self._lock(report):
            self.remove_stale()
            built: set[str] = set()
            for image in (IMAGES[name] for name in IMAGES if name not in ON_REQUEST or name == also):
                # A layer depends on the files of its parent, so it is rebuilt with it.
                damage = f"{image.parent} was rebuilt" if image.parent in built else self.damage(image)
                if damage is None:
                    continue
                built.add(image.image_id)
                if self.path(image).exists():
                    report(f"{image.image_id}: {damage}; rebuilding it")
                self._build(image, report)
                self._remove_old(image)

    def damage(self, image: Image, *, thorough: bool = False) -> str | None:
        """Describe the damage of an image, or return None.

        Checks every file's kind, size, mode and owner, and the contents of the files that changed after the image was
        sealed (a write also sets the ctime, which no program can reset). With `thorough`, checks the contents of all
        files.
        """
        finished = self._finished(image)
        if finished is None:
            return "not built"
        manifest = self.path(image) / "manifest"
        try:
            text = manifest.read_bytes()
        except OSError as error:
            return f"its manifest cannot be read ({error})"
        if hashlib.sha256(text).hexdigest() != finished["manifest_sha256"]:
            return "its manifest has changed since it was written"
        root = self.path(image) / "root"
        recorded = text.decode("utf-8", "surrogateescape").splitlines()
        present = set(_entries(root, touched_since_ns=0 if thorough else manifest.stat().st_mtime_ns))
        expected = {*recorded, *(_without_digest(line) for line in recorded)}
        missing_files = {_name(line) for line in recorded} - {_name(line) for line in present}
        damaged = sorted(missing_files | {_name(line) for line in present - expected})
        if damaged:
            more = f" (and {len(damaged) - 1} others)" if len(damaged) > 1 else ""
            return f"{damaged[0]}{more} has changed since the build"
        return None

    def _finished(self, image: Image) -> dict[str, str] | None:
        try:
            return json.loads((self.path(image) / "image.json").read_text())
        except (OSError, ValueError):
            return None

    def _build(self, image: Image, report: Report) -> None:
        started = time.monotonic()
        target = self.directory / f".building-{image.image_id}-{os.getpid()}"
        shutil.rmtree(target, ignore_errors=True)
        lower = [self.path(parent) / "root" for parent in lineage(image.image_id)[1:]]
        try:
            builder.build(image, target, lower, report)
            built_s = time.monotonic() - started
            self.seal(image, target, built_s)
            self.put_in_place(image, target)
        finally:
            shutil.rmtree(target, ignore_errors=True)
        report(f"{image.image_id}: built in {built_s:.0f} s")

    def put_in_place(self, image: Image, target: Path) -> None:
        """Publish the finished directory `target` as the image; machines that run on an earlier one keep using it."""
        final = self.path(image)
        os.sync()  # without sync, a power cut could leave a renamed image with incomplete contents
        if final.exists():
            final.rename(self.directory / f"{_REPLACED}{final.name}.{time.time_ns()}")
        target.rename(final)

    def seal(self, image: Image, directory: Path, built_s: float) -> None:
        """Write the manifest of every file of `directory`/root, and image.json."""
        manifest = "".join(line + "\n" for line in _entries(directory / "root", touched_since_ns=0))
        data = manifest.encode("utf-8", "surrogateescape")
        (directory / "manifest").write_bytes(data)
        record = {
            "image": asdict(image),
            "manifest_sha256": hashlib.sha256(data).hexdigest(),
            "files": data.count(b"\n"),
            "built_s": round(built_s, 1),
        }
        (directory / "image.json").write_text(json.dumps(record, indent=2) + "\n")

    def remove_stale(self) -> None:
        """Remove unfinished builds (no build runs while the lock is held) and images that no machine uses."""
        used = "".join(_mounts_of_all_processes())
        for path in self.directory.glob(f"{_REPLACED}*"):
            if f"{self.directory / path.name.removeprefix(_REPLACED).split('.')[0]}/" not in used:
                shutil.rmtree(path, ignore_errors=True)
        for path in self.directory.glob(".building-*"):
            deadline = time.monotonic() + _STALE_S
            while path.exists() and time.monotonic() < deadline:
                # Children of the killed build may still write below the directory and recreate removed files.
                _end_processes_below(path)
                shutil.rmtree(path, ignore_errors=True)

    def _remove_old(self, image: Image) -> None:
        """Remove earlier recipes of the image, unless a machine still uses them."""
        used = "".join(_mounts_of_all_processes())
        for path in self.directory.glob(f"{image.image_id}-*"):
            if path != self.path(image) and f"{path}/" not in used:
                shutil.rmtree(path, ignore_errors=True)

    @contextlib.contextmanager
    def _lock(self, report: Report) -> Generator[None]:
        with (self.directory / ".lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                report("another localcloud is building images; waiting")
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def _end_processes_below(path: Path) -> None:
    """Kill processes whose root or working directory is below the directory."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any((process / link).readlink().is_relative_to(path) for link in ("root", "cwd")):
                os.kill(int(process.name), signal.SIGKILL)


def recipe_digest(image: Image) -> str:
    """Digest of the recipe: a changed recipe makes a new image, and existing machines keep the old one."""
    parts = [asdict(each) for each in lineage(image.image_id)]
    text = json.dumps([parts, base_files(image.codename), MASKED_UNITS, builder.RECIPE_VERSION], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _entries(root: Path, *, touched_since_ns: int) -> Iterator[str]:
    """One line per file, sorted: path, kind and mode, owner, size or target; the digest of the files changed since."""
    pending = [root]
    lines: list[str] = []
    while pending:
        directory = pending.pop()
        with os.scandir(directory) as entries:
            for entry in entries:
                info = entry.stat(follow_symlinks=False)
                name = os.path.relpath(entry.path, root).replace("\n", "\\n")
                kind = stat.S_IFMT(info.st_mode)
                value = str(info.st_size) if kind == stat.S_IFREG else ""
                if kind == stat.S_IFLNK:
                    value = str(Path(entry.path).readlink())
                line = f"{name}\t{info.st_mode:o}\t{info.st_uid}:{info.st_gid}\t{value}"
                if kind == stat.S_IFREG and info.st_ctime_ns >= touched_since_ns:
                    with Path(entry.path).open("rb") as handle:
                        line += "\t" + hashlib.file_digest(handle, "sha256").hexdigest()
                lines.append(line)
                if kind == stat.S_IFDIR:
                    pending.append(Path(entry.path))
    yield from sorted(lines)


def _mounts_of_all_processes() -> set[str]:
    found: set[str] = set()
    for path in Path("/proc").glob("[0-9]*/mountinfo"):
        with contextlib.suppress(OSError):
            found.add(path.read_text())
    return found


def _name(line: str) -> str:
    return line.split("\t", 1)[0]


def _without_digest(line: str) -> str:
    return "\t".join(line.split("\t")[:4])
