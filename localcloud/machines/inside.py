"""Runs a command on a machine: in its control groups and namespaces, with no more rights than the machine has.

    python3 -IS inside.py PID GROUPS -- COMMAND ...          (GROUPS: directories of cgroups, with colons between)

Standard library only, and no import of this package: it starts in 20 ms. It is there because nsenter(1)
- stays outside the machine's limits, as it joins no control group;
- leaves the command every right on the host (`date -s` inside would set the host's clock);
- stops itself when its child is stopped, as systemd-shutdown does with everybody, and then never reaps it: the
  machine's shutdown waits 90 s for that.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

# In the order of entering: once in the machine's mounts, the host's files are out of reach.
_NAMESPACES = (("ipc", 0x08000000), ("uts", 0x04000000), ("net", 0x40000000), ("pid", 0x20000000), ("mnt", 0x00020000))

# CAP_SYS_MODULE, SYS_RAWIO, SYS_TIME, MAC_OVERRIDE, MAC_ADMIN, SYSLOG, WAKE_ALARM, BPF: what reaches the host.
WITHHELD = {
    "SYS_MODULE": 16, "SYS_RAWIO": 17, "SYS_TIME": 25, "MAC_OVERRIDE": 32, "MAC_ADMIN": 33, "SYSLOG": 34,
    "WAKE_ALARM": 35, "BPF": 39,
}  # fmt: skip
_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_NOT_FOUND = 127
_NOT_RUN = 126

_libc = ctypes.CDLL(None, use_errno=True)


def main(arguments: list[str]) -> int:
    """Returns the command's exit code, 128 + N when signal N ended it."""
    pid, groups, _, *command = arguments
    _join(groups.split(":"))
    _enter(int(pid))
    child = os.fork()  # only a child is in the PID namespace
    if child == 0:
        _become(command)
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # the terminal sends them to the command as well
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: os.kill(child, received))
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)


def _join(groups: list[str]) -> None:
    for group in groups:
        try:
            (Path(group) / "cgroup.procs").write_text(str(os.getpid()))
        except OSError:
            # cgroup v2 lets no process into a group that has groups below it: then the limits of those hold.
            continue


def _enter(pid: int) -> None:
    try:
        descriptors = [(os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY), flag) for name, flag in _NAMESPACES]
    except OSError as error:
        sys.exit(f"localcloud: the machine ended just now ({error.strerror})")
    for descriptor, flag in descriptors:
        if _libc.setns(descriptor, flag) != 0:
            sys.exit(f"localcloud: setns: {os.strerror(ctypes.get_errno())}")
        os.close(descriptor)


def _become(command: list[str]) -> None:
    # Whoever started this and is killed takes the command along, as a closed connection does.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGHUP, 0, 0, 0)
    for number in WITHHELD.values():
        _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)
    for home in ("/root", "/"):
        try:
            os.chdir(home)
        except OSError:
            continue
        break
    try:
        os.execvp(command[0], command)  # noqa: S606 - to become the command is the point
    except OSError as error:
        sys.stderr.write(f"localcloud: {command[0]}: {error.strerror}\n")
        os._exit(_NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_RUN)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
