"""Runs a module as `__main__` in a child process that ends with its parent, however that one ends.

A killed engine must not leave a program or a dynamic provider at work behind it. The parent holds one end of
a pipe; its end of file, which the kernel brings even after `kill -9`, ends the child.
(PR_SET_PDEATHSIG would not do: it follows the parent's thread, not its process.)
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

_PACKAGE_ROOT = Path(__file__).resolve().parents[2]


def start(
    module: str, arguments: Sequence[str], *, directory: Path, environment: Mapping[str, str]
) -> tuple[subprocess.Popen[str], int]:
    """The child, with piped output, and the descriptor whose closing ends it."""
    ours, theirs = os.pipe()[::-1]
    try:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", __name__, str(theirs), module, *arguments],
            cwd=directory,
            env=_with_import_path(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=(theirs,),
            start_new_session=True,  # a Ctrl-C is for the engine, which lets running steps finish
        )
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    return process, ours


def _with_import_path(environment: Mapping[str, str]) -> dict[str, str]:
    """The child must find this package wherever its working directory is; the project's own modules come first."""
    known = environment.get("PYTHONPATH", "")
    path = f"{known}{os.pathsep}{_PACKAGE_ROOT}" if known else str(_PACKAGE_ROOT)
    # gRPC would send even loopback calls through an HTTP proxy that the environment names.
    return {**environment, "PYTHONPATH": path, "no_grpc_proxy": "127.0.0.1,localhost"}


def _end_with_parent(descriptor: int) -> None:
    os.set_inheritable(descriptor, False)

    def wait() -> None:
        os.read(descriptor, 1)
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    _end_with_parent(int(sys.argv.pop(1)))
    runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
