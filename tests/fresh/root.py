"""Creates a minimal Debian 12 root with the package sources and package client settings of this host."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from localcloud.package_sources import apt_options, sources_for
from tests.fresh.client_settings import LOCAL_AUTHORITIES, ClientSettings
from tests.fresh.readme import PREREQUISITES

CODENAME = "bookworm"
# In a home directory that other users cannot enter, like the clone of a first-time user.
CHECKOUT = Path("root/tandem")


def make_root(root: Path, settings: ClientSettings) -> None:
    """Install the essential packages and the README's prerequisites; no Python, systemd or tool of the tests."""
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
        target = root / file.relative_to("/")
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")  # written by Debian's installer, not by a package
    if any((root / LOCAL_AUTHORITIES).glob("**/*.crt")):
        subprocess.run(["chroot", str(root), "update-ca-certificates"], check=True, stdout=subprocess.DEVNULL)


def clone(repository: Path, root: Path) -> str:
    """Clone the commit that is checked out. Returns its hash."""
    target = root / CHECKOUT
    subprocess.run(["git", "clone", "--quiet", "--no-local", str(repository), str(target)], check=True)
    commit = subprocess.run(
        ["git", "-C", str(repository), "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    ).stdout.strip()
    subprocess.run(["git", "-C", str(target), "switch", "--quiet", "--detach", commit], check=True)
    target.parent.chmod(0o700)
    return commit


def warm(root: Path, pulumi: Path) -> None:
    """Copy the slow parts of a first `make up` from this host: the `pulumi` command and the images."""
    shutil.copy2(pulumi, root / "usr/local/bin/pulumi")
    subprocess.run(["cp", "--archive", "--parents", "/var/cache/localcloud", str(root)], check=True)
