"""Runs commands in a fresh root with its own process and mount namespaces.

The kernel, the devices and the network are those of this host.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

# The new root must be a mount point (pivot_root), because systemd-nspawn and `unshare --mount` change the mount
# propagation of /. localcloud creates its control groups below this host's /sys, and uses the kernel's loop devices.
_ENTER = r"""
set -eu
root=$1
shift
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount --rbind /sys sys
mount -t devtmpfs devtmpfs dev 2>/dev/null || mount --rbind /dev dev
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts dev/pts
mkdir -p dev/shm
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run
mkdir -p .host
pivot_root . .host
umount -l /.host
rmdir /.host
cd /root/tandem
exec "$@"
"""
_ENTERED = ("unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--ipc", "--uts")

# Runs the commands in sequence like an interactive user, and reports the exit code and time of each.
_SESSION = r"""
hostname fresh
status=0
for command in "$@"; do
  printf '\n# %s\n' "$command"
  began=$(date +%s)
  bash -c "$command" </dev/null || status=$?
  printf 'fresh: %s s, exit code %s: %s\n' "$(($(date +%s) - began))" "$status" "$command"
  [ "$status" = 0 ] || break
done
make --silent down || echo "fresh: make down failed"
exit "$status"
"""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class FreshSystem:
    """A root directory with the environment of its session."""

    root: Path
    environment: dict[str, str]

    def run(self, commands: list[str], log: Path) -> int:
        """Run the commands in the clone and write their output to stdout and `log`. Returns the exit code."""
        environment = {"PATH": _PATH, "HOME": "/root", "USER": "root", "LANG": "C.UTF-8", **self.environment}
        session = [
            "env", "-i", *(f"{name}={value}" for name, value in environment.items()),
            "bash", "-c", _SESSION, "fresh", *commands,
        ]  # fmt: skip
        with log.open("ab") as file:
            process = subprocess.Popen(
                [*_ENTERED, "sh", "-c", _ENTER, "fresh", str(self.root), *session],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            assert process.stdout is not None
            try:
                for line in process.stdout:
                    file.write(line)
                    file.flush()
                    print(line.decode(errors="replace"), end="", flush=True)
                return process.wait()
            finally:
                process.kill()
                process.wait()
