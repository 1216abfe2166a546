"""Record expected/ from the real provider plugins, which must be on the PATH."""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from tests.localcloud.providers.cloud import running_cloud

from .plugin_sets import MISSING, open_project
from .record import run_scene
from .scenes import SCENES


def main(names: list[str]) -> None:
    if MISSING:
        sys.exit(f"not on the PATH: {', '.join(MISSING)}")
    for name in names or SCENES:
        with (
            tempfile.TemporaryDirectory() as place,
            running_cloud(Path(place)) as cloud,
            closing(open_project("real", Path(place), cloud)) as project,
        ):
            record = run_scene(SCENES[name], project, cloud)
        text = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False)
        Path(__file__).with_name("expected").joinpath(f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
