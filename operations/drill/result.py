"""What the requests of a load met."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

from operations.drill.requests import Record

LOST_S = 2.0  # a correct response must arrive within this time
SLOW_S = 0.25


def is_correct(record: Record) -> bool:
    if record.took > LOST_S:
        return False
    if record.any_answer:
        return 0 < record.status < HTTPStatus.INTERNAL_SERVER_ERROR
    return record.status == HTTPStatus.OK


@dataclass
class Result:
    """What was recorded. The counts are complete after the load has ended."""

    records: list[Record] = field(default_factory=list[Record])

    def lost(self, *streams: str) -> list[Record]:
        """The requests without a correct response within 2 s, of these streams or of all."""
        return [each for each in self._of(streams) if not is_correct(each)]

    def slow(self, *streams: str) -> list[Record]:
        return [each for each in self._of(streams) if is_correct(each) and each.took > SLOW_S]

    def blackout_s(self, *streams: str) -> float:
        """The longest time between two correct responses, or from the last one to the end of the load."""
        records = self._of(streams)
        times = sorted(each.began + each.took for each in records if is_correct(each))
        if not times:
            return float("inf")
        # A failed request that began after the last response shows that the load still ran.
        end = max(each.began for each in records)
        return max(later - earlier for earlier, later in itertools.pairwise([*times, max(times[-1], end)]))

    def outside(self, windows: Sequence[tuple[float, float]]) -> Result:
        """The requests that began in none of these windows (seconds since the epoch)."""
        return Result([each for each in self.records if not any(a <= each.began <= b for a, b in windows)])

    def between(self, began: float, ended: float) -> Result:
        """The requests that began in this window (seconds since the epoch)."""
        return Result([each for each in self.records if began <= each.began <= ended])

    def streams(self) -> list[str]:
        return sorted({each.stream for each in self.records})

    def summary(self) -> dict[str, str]:
        """Counts by stream, for the messages of assertions."""
        return {
            name: f"{len(self._of([name]))} sent, {len(self.lost(name))} lost, {len(self.slow(name))} slow,"
            f" blackout {self.blackout_s(name):.2f} s"
            for name in self.streams()
        }

    def _of(self, streams: Iterable[str]) -> list[Record]:
        names = set(streams)
        return [each for each in self.records if not names or each.stream in names]


def read_records(path: Path) -> list[Record]:
    return [Record(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
