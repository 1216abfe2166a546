"""Network namespaces and iproute2, which mounts /run/netns on itself, and each file in it twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.localcloud.network.namespace_scenario import SCENARIOS

pytestmark = pytest.mark.root

_ROOT = Path(__file__).resolve().parents[3]
_IN_PRIVATE_RUN = 'mount -t tmpfs tmpfs /run && mount "--make-$1" /run && shift && exec "$@"'


@pytest.mark.parametrize("propagation", ["private", "shared"])
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_namespace_is_removed_with_all_its_mounts(scenario: str, propagation: str) -> None:
    script = Path(__file__).with_name("namespace_scenario.py")
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", _IN_PRIVATE_RUN, "sh", propagation, sys.executable, str(script), scenario],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"files": ["other"], "mounts": []}
