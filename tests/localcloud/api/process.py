"""`localcloud api` as a separate process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.credential import Credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from localcloud.services.actions import VERSIONS


@dataclass
class ApiProcess:
    """One run of the command; `start` can be called again after `kill`."""

    home: Path
    options: tuple[str, ...] = ()
    process: subprocess.Popen[str] | None = None
    addresses: tuple[str, ...] = ()

    def start(self) -> float:
        """Run the command until it prints `ready`; return the seconds that took."""
        command = [sys.executable, "-m", "localcloud.main", "api", "--state", str(self.home / "state.sqlite")]
        command += ["--credentials", "tester:secret-of-tester", "--requests-per-second", "0"]
        began = time.monotonic()
        # A process that may not write bytecode compiles 300 modules at each start, which takes 0.9 s.
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        self.process = subprocess.Popen([*command, *self.options], stdout=subprocess.PIPE, text=True, env=environment)
        assert self.process.stdout is not None
        words = self.process.stdout.readline().split()
        assert words[:1] == ["ready"], words
        self.addresses = tuple(words[1:])
        return time.monotonic() - began

    def kill(self) -> None:
        """Kill the process, as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """Stop the process with SIGTERM; return the exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(15)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def call(self, target: str, **parameters: Any) -> dict[str, Any]:
        """Send a request with the official SDK to the first address."""
        service, _, action = target.partition(":")
        http = HttpProfile(protocol="http", endpoint=self.addresses[0], reqTimeout=10)
        profile = ClientProfile(httpProfile=http)
        secret = Credential("tester", "secret-of-tester")
        client = CommonClient(service, VERSIONS[service], secret, "ap-guangzhou", profile=profile)
        return client.call_json(action, parameters)["Response"]
