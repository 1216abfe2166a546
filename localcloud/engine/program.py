"""The child process in which the program runs: sets the SDK up for the monitor's address, then runs `__main__.py`.

Prints nothing of its own; what goes wrong is logged to the engine, through the SDK, as Pulumi's launcher does.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import runpy
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import pulumi
import pulumi.runtime

_SAID = 32  # exit code for "the person has been told" (as in Pulumi's own launcher)
_STOPPED = "Resource monitor has terminated"  # pulumi/runtime/settings.py: grpc_error_to_exception


@dataclass(frozen=True, slots=True)
class ProgramArguments:
    """Everything that the child is told, as one JSON argument; configuration travels in PULUMI_CONFIG."""

    main: str
    root: str
    project: str
    stack: str
    monitor: str
    engine: str
    parallel: int
    dry_run: bool

    def to_argument(self) -> str:
        return json.dumps(asdict(self))


def run(arguments: ProgramArguments) -> int:
    """The exit code."""
    pulumi.runtime.set_all_config(pulumi.runtime.get_config_env(), pulumi.runtime.get_config_secret_keys_env())
    pulumi.runtime.configure(
        pulumi.runtime.Settings(
            project=arguments.project,
            stack=arguments.stack,
            monitor=arguments.monitor,
            engine=arguments.engine,
            parallel=arguments.parallel,
            dry_run=arguments.dry_run,
            organization="organization",
            root_directory=arguments.root,
        )
    )
    sys.argv = [arguments.main]
    # A failed deployment leaves futures that nobody awaits; asyncio's complaints about them help nobody.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    executor = ThreadPoolExecutor(arguments.parallel * 4)
    loop.set_default_executor(executor)
    try:
        loop.run_until_complete(pulumi.runtime.run_in_stack(lambda: _run_main(arguments.main)))
    except pulumi.RunError as error:
        if not str(error).startswith(_STOPPED):
            pulumi.log.error(str(error))
        return _SAID
    except Exception:  # noqa: BLE001 - whatever the program raises is for the person to see
        pulumi.log.error(f"the program failed:\n{_program_traceback(arguments.main)}")
        return _SAID
    finally:
        executor.shutdown(wait=True)
        loop.close()
    return 0


def _run_main(main: str) -> None:
    runpy.run_path(main, run_name="__main__")


def _program_traceback(main: str) -> str:
    """The traceback from the program's own first frame on."""
    error = sys.exc_info()[1]
    frames = traceback.extract_tb(error.__traceback__ if error else None)
    home = str(Path(main).resolve())
    for index, frame in enumerate(frames):
        if not frame.filename.startswith("<") and str(Path(frame.filename).resolve()).startswith(home):
            return traceback.format_exc(limit=index - len(frames))
    return traceback.format_exc()


def main() -> None:
    arguments = ProgramArguments(**json.loads(sys.argv[1]))
    os.chdir(arguments.main if Path(arguments.main).is_dir() else Path(arguments.main).parent)
    code = run(arguments)
    sys.stdout.flush()
    sys.stderr.flush()
    sys.exit(code)


if __name__ == "__main__":
    main()
