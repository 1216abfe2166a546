"""Whole runs: up, preview, destroy."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Final

from localcloud.engine import guarded
from localcloud.engine.catalog import make_providers
from localcloud.engine.deployment import Deployment
from localcloud.engine.display import Display
from localcloud.engine.errors import EngineError
from localcloud.engine.hooks import Hooks
from localcloud.engine.monitor import EngineService, Monitor, serve
from localcloud.engine.options import Options
from localcloud.engine.program import ProgramArguments
from localcloud.engine.project import Project
from localcloud.engine.secrets import find_passphrase
from localcloud.engine.session import Session, open_session
from localcloud.engine.state import StateStore
from localcloud.engine.steps import Steps

if TYPE_CHECKING:
    from types import FrameType

    from localcloud.engine.values import Properties

_PARALLEL: Final = 16
_POLL_S: Final = 0.02


def up(options: Options) -> bool:
    """Make what the program declares; False when something failed, which has been shown."""
    with _run(options, "Updating", dry_run=False) as run:
        run.deployment.recover()
        succeeded = run.with_program(run.keep_outputs_and_delete_the_rest)
        if succeeded:
            run.display.outputs(run.session.store.stack_outputs())
        return run.finish(succeeded=succeeded)


def preview(options: Options) -> bool:
    with _run(options, "Previewing", dry_run=True) as run:
        return run.finish(succeeded=run.with_program(run.deployment.delete_the_rest))


def destroy(options: Options) -> bool:
    with _run(options, "Destroying", dry_run=False, destroying=True) as run:
        run.deployment.recover()
        hooked = any({"before_delete", "after_delete"} & set(one.hooks) for one in run.session.store.resources())
        if hooked:
            run.display.plain("resources have delete hooks: running the program, to have them")
            succeeded = run.with_program(run.deployment.delete_the_rest)
        else:
            succeeded = run.deployment.delete_the_rest()
        return run.finish(succeeded=succeeded)


class _Run:
    """One run's parts."""

    def __init__(self, session: Session, display: Display, *, dry_run: bool, destroying: bool) -> None:
        self.session = session
        self.display = display
        self.stopped = threading.Event()
        self._dry_run = dry_run
        self._hooks = Hooks(dry_run=dry_run)
        self._providers = make_providers(session.project)
        steps = Steps(session.store, self._providers, self._hooks, display, self.stopped)
        self.deployment = Deployment(steps, dry_run=dry_run, destroying=destroying)
        self._process: subprocess.Popen[str] | None = None

    def with_program(self, when_done: Callable[[], bool]) -> bool:
        """Run the program; once it has registered everything, and while its hooks are there, call `when_done`."""
        project = self.session.project
        monitor = Monitor(
            project,
            self.deployment,
            self._hooks,
            self.display,
            stack_outputs=self._outputs_of,
            dry_run=self._dry_run,
        )
        server, address = serve(monitor, EngineService(self.display))
        try:
            return self._run_child(monitor, address, when_done)
        finally:
            monitor.may_leave.set()
            server.stop(grace=0).wait()

    def _run_child(self, monitor: Monitor, address: str, when_done: Callable[[], bool]) -> bool:
        process, guard = _start_program(self.session.project, address, dry_run=self._dry_run)
        self._process = process
        readers = [
            threading.Thread(target=self._show, args=(stream,), daemon=True)
            for stream in (process.stdout, process.stderr)
            if stream is not None
        ]
        for reader in readers:
            reader.start()
        try:
            while process.poll() is None and not monitor.program_done.wait(_POLL_S):
                pass
            succeeded = monitor.program_done.is_set() or process.poll() == 0
            succeeded = succeeded and not self.stopped.is_set() and not self.display.errors and when_done()
            monitor.may_leave.set()
            code = process.wait()
        finally:
            # Whatever became of the program: what is at work is finished and recorded.
            self.deployment.wait_until_idle()
            process.kill()
            os.close(guard)
        for reader in readers:
            reader.join(timeout=1)
        if code and not self.display.errors and not self.stopped.is_set():
            self.display.error(f"the program ended with exit code {code}")
        return succeeded and code == 0 and not self.display.errors

    def keep_outputs_and_delete_the_rest(self) -> bool:
        self.deployment.keep_outputs()
        return self.deployment.delete_the_rest()

    def interrupt(self) -> None:
        """Ask to stop; the second time, stop the program itself too."""
        if self.stopped.is_set() and self._process is not None:
            self._process.kill()
            return
        self.stopped.set()
        self.display.warning("stopping: steps that run now will be finished; once more abandons the program")
        threading.Thread(target=self._end_when_idle, daemon=True).start()

    def _end_when_idle(self) -> None:
        # The program may wait in a hook for something that no longer comes; nothing that it does now counts any more.
        self.deployment.wait_until_idle()
        if self._process is not None:
            self._process.kill()

    def finish(self, *, succeeded: bool) -> bool:
        self.display.summary()
        if not succeeded and not self._dry_run:
            kept = "what was made is in the state, and `up` continues from there"
            self.display.plain(f"failed; {kept if self.display.touched else 'nothing was changed'}")
        return succeeded

    def close(self) -> None:
        self._providers.close()

    def _show(self, stream: IO[str]) -> None:
        for line in stream:
            self.display.plain(line.rstrip("\n"))

    def _outputs_of(self, name: str) -> Properties:
        """Outputs of a stack named `stack` or `organization/project/stack`, as its last run left them."""
        *_, stack = name.split("/")
        if stack == self.session.project.stack:
            return self.session.store.stack_outputs()
        directory = self.session.store.path.parent
        if not (directory / f"{stack}.json").exists():
            msg = f"unknown stack {name!r}: {directory} has no state of it"
            raise EngineError(msg)
        passphrase = find_passphrase(directory)
        return StateStore(directory, self.session.project.name, stack, passphrase).stack_outputs()


@contextmanager
def _run(options: Options, command: str, *, dry_run: bool, destroying: bool = False) -> Generator[_Run]:
    session = open_session(options)
    session.store.lock()
    session.store.reload()
    display = Display(preview=dry_run)
    display.header(command, session.project.name, session.project.stack)
    run = _Run(session, display, dry_run=dry_run, destroying=destroying)

    def stop(number: int, frame: FrameType | None) -> None:
        del number, frame
        run.interrupt()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield run
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        run.close()
        session.store.unlock()


def _start_program(project: Project, address: str, *, dry_run: bool) -> tuple[subprocess.Popen[str], int]:
    arguments = ProgramArguments(
        main=str(project.main),
        root=str(project.root),
        project=project.name,
        stack=project.stack,
        monitor=address,
        engine=address,
        parallel=_PARALLEL,
        dry_run=dry_run,
    )
    environment = {
        **os.environ,
        "PULUMI_CONFIG": json.dumps(project.config),
        "PULUMI_CONFIG_SECRET_KEYS": json.dumps(sorted(project.secret_keys)),
    }
    directory = project.main if project.main.is_dir() else project.main.parent
    return guarded.start(
        "localcloud.engine.program", [arguments.to_argument()], directory=directory, environment=environment
    )
