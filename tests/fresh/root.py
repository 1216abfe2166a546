"""A minimal Debian 12 root: nothing of this host's but its package sources and the package clients' settings."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from localcloud.package_sources import apt_options, sources_for
from tests.fresh.client_settings import LOCAL_AUTHORITIES, ClientSettings
from tests.fresh.readme import PREREQUISITES

CODENAME = "bookworm"
# Below a home that other users cannot enter, as a newcomer's clone is.
CHECKOUT = Path("root/tandem")


def make_root(root: Path, settings: ClientSettings) -> None:
    """A tree of essential packages and README's prerequisites, without Python, systemd or any tool of the tests."""
    sources = sources_for(CODENAME)
    listing = root.with_name("sources.list")
    listing.write_text("".join(f"{source.line()}\n" for source in sources))
    subprocess.run(
        [
            "mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=directory",
            f"--include={','.join(PREREQUISITES)}", "--aptopt=APT::Install-Recommends false",
            '--aptopt=Acquire::Languages "none"', "--dpkgopt=force-unsafe-io",
            *(f'--aptopt={key} "{value}"' for key, _, value in (option.partition("=") for option in apt_options())),
            CODENAME, str(root), str(listing),
        ],
        check=True,
    )  # fmt: skip
    keyrings = [Path(source.signed_by) for source in sources if source.signed_by]
    for file in (*settings.files, *keyrings, Path("/etc/resolv.conf")):
        place = root / file.relative_to("/")
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")  # which Debian's installer writes, and no package
    if any((root / LOCAL_AUTHORITIES).glob("**/*.crt")):
        subprocess.run(["chroot", str(root), "update-ca-certificates"], check=True, stdout=subprocess.DEVNULL)


def clone(repository: Path, root: Path) -> str:
    """A clone of the commit that is checked out; returns its hash."""
    place = root / CHECKOUT
    subprocess.run(["git", "clone", "--quiet", "--no-local", str(repository), str(place)], check=True)
    commit = subprocess.run(
        ["git", "-C", str(repository), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    subprocess.run(["git", "-C", str(place), "switch", "--quiet", "--detach", commit], check=True)
    place.parent.chmod(0o700)
    return commit


def warm(root: Path, pulumi: Path) -> None:
    """Give it what takes the minutes, as after an earlier `make up`: the `pulumi` command and the images."""
    shutil.copy2(pulumi, root / "usr/local/bin/pulumi")
    subprocess.run(["cp", "--archive", "--parents", "/var/cache/localcloud", str(root)], check=True)
