"""JSON as Go's encoding/json writes it: no spaces, and < > & escaped (policies contain <...>)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).translate(_ESCAPES)


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, without trailing zeros of the fraction, e.g. 2026-11-20T22:02:53.54Z."""
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
    return text.rstrip("0").rstrip(".") + "Z"
