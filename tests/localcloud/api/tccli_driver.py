"""Runs command lines of the official `tccli` in one process: one list of arguments per line, one result for each.

The command takes seconds to import its modules; this is done once, and the command is unchanged.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys

lines, out = sys.stdin, os.fdopen(os.dup(1), "w")

import tccli.main  # noqa: E402 - it wraps sys.stdout when it is imported


class _Kept(io.BytesIO):
    """The command wraps these bytes in a stream that would close them when it is deleted."""

    def close(self) -> None:
        pass


def _stream() -> io.TextIOWrapper:
    return io.TextIOWrapper(_Kept(), encoding="utf-8", write_through=True)


def _text(stream: io.TextIOWrapper) -> str:
    kept = stream.buffer
    assert isinstance(kept, _Kept)
    return kept.getvalue().decode()


def main() -> None:
    for line in lines:
        sys.argv = ["tccli", *json.loads(line)]
        printed, complained = _stream(), _stream()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(complained):
            try:
                code = tccli.main.main()
            except SystemExit as end:
                code = end.code
        outcome = {"code": code, "out": _text(printed), "err": _text(complained)}
        print(json.dumps(outcome), file=out, flush=True)


if __name__ == "__main__":
    main()
