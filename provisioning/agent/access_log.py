"""nginx's access log, in both formats (provisioning/templates/nginx/nginx.conf.j2)."""

from __future__ import annotations

import datetime as dt
import re

PATH = "/var/log/nginx/access.log"
_JSON = re.compile(r'^\{"time":"([^"]+)",.*?,"status":(\d{3}),', re.MULTILINE)  # quotes within values are escaped
_TEXT = re.compile(r'^[^{].*?\[(\d\d/\w{3}/\d{4}:[\d:]{8} [+-]\d{4})\] "[^"]*" (\d{3}) ', re.MULTILINE)
# The last server that was tried.
_UPSTREAM = re.compile(r"""upstream(?:=|":")(?:[^ "]+, )*([^ "]+)(?:"| upstream_status)""")


def requests(text: str) -> list[tuple[float, str]]:
    """The time (seconds since the epoch) and the status of each request, in the order of the time."""
    found = [(dt.datetime.fromisoformat(at).timestamp(), status) for at, status in _JSON.findall(text)]
    found += [
        (dt.datetime.strptime(at, "%d/%b/%Y:%H:%M:%S %z").timestamp(), status) for at, status in _TEXT.findall(text)
    ]
    return sorted(found)


def last_upstream(line: str) -> str:
    """The address of the server that answered, or "" if nginx answered itself."""
    match = _UPSTREAM.search(line)
    return match[1] if match else ""
