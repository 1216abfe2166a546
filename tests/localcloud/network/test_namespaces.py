"""Network namespaces beside another program's: iproute2 mounts /run/netns on itself, and each file in it twice."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.localcloud.network.namespace_story import STORIES

pytestmark = pytest.mark.root

_ROOT = Path(__file__).resolve().parents[3]
_IN_OWN_RUN = 'mount -t tmpfs tmpfs /run && mount "--make-$1" /run && shift && exec "$@"'


@pytest.mark.parametrize("propagation", ["private", "shared"])
@pytest.mark.parametrize("story", STORIES)
def test_a_namespace_is_gone_after_its_removal_however_often_it_was_mounted(story: str, propagation: str) -> None:
    script = Path(__file__).with_name("namespace_story.py")
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", _IN_OWN_RUN, "sh", propagation, sys.executable, str(script), story],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"files": ["other"], "mounts": []}
