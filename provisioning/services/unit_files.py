"""The check of unit files: systemd ignores what it cannot parse, so a misspelled key would go unnoticed."""

from __future__ import annotations

from collections.abc import Sequence

from provisioning.kinds.base import Item
from provisioning.kinds.check import Check

DIRECTORY = "/etc/systemd/system"
# Programs of a release may not exist yet. Lines about other units are left out: `verify` loads the dependencies too.
_SCRIPT = """
seen=$(systemd-analyze verify --man=no --recursive-errors=no "$@" 2>&1 | grep -v 'is not executable: No such file')
status=0
for unit in "$@"; do
    printf '%s\\n' "$seen" | grep -F -e "$unit:" -e "/$unit.d/" && status=1
done
exit $status
"""


def find_units(items: Sequence[Item]) -> list[str]:
    """The units whose files or drop-ins are below /etc/systemd/system."""
    paths = [each.path for item in items for each in item.candidates() if each.text is not None]
    names = [path.removeprefix(f"{DIRECTORY}/").split("/")[0] for path in paths if path.startswith(f"{DIRECTORY}/")]
    return sorted({name.removesuffix(".d") for name in names})


def check(items: Sequence[Item]) -> list[Item]:
    """The check for all unit files of a node; empty if there are none."""
    units = find_units(items)
    command = ("sh", "-c", _SCRIPT, "sh", *units)
    return [Check("systemd-analyze verify", command, (DIRECTORY,), look_at=__name__)] if units else []
