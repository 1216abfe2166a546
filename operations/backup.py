"""`tandem backup`, `tandem backups` and `tandem restore`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from operations.errors import OperationError, UsageError
from provisioning.backups import Backup, choose, describe_backups, list_backups, parse_name
from provisioning.change_lock import locked
from provisioning.errors import ProvisioningError, UnreachableError
from provisioning.exports import parse_exports
from provisioning.inventory import RemoteNode
from provisioning.rollout.held_data import decide, read_record
from provisioning.ssh.agent_calls import Connection
from provisioning.ssh.connections import connector
from provisioning.ssh.reachable import connected

_NO_DATABASES = "this deployment has no databases in the group; Tandem makes no backups of others"
_DEADLINE_S = 6 * 3600.0
Connect = Callable[[RemoteNode], Connection]
Report = Callable[[str], None]


class Backups:
    """The databases of a deployment and their backups."""

    def __init__(self, data_node: str | None, connections: Sequence[Connection], report: Report) -> None:
        self._data_node = data_node
        self._connections = connections
        self._report = report

    def show(self) -> None:
        """Print one line for each backup."""
        for line in describe_backups(list_backups(self._connections)) or ["there is no backup"]:
            self._report(line)

    def create(self) -> None:
        made = self._on_data_node().call([{"do": "back_up"}], deadline_s=_DEADLINE_S)[0]
        for name in made:
            self._report(f"created the backup of {_format(parse_name(name))}")

    def restore(
        self, at: datetime | None, *, audit_queue: bool, confirm: Callable[[str], None], discard: bool = False
    ) -> None:
        """Restore the newest backup, or the newest one that is not younger than `at`.

        `discard`: make no backup of the present data before.
        """
        backups = list_backups(self._connections)
        backup = choose(backups, at)
        if backup is None:
            found = describe_backups(backups)
            raise OperationError("\n  ".join([f"there is no backup to restore{_until(at)}; backups:", *found]))
        if self._is_present():
            self._replace(backup, audit_queue=audit_queue, discard=discard, confirm=confirm)
        else:
            self._decide(backup.name)
            self._report(f"The next `tandem up` creates the database from the backup of {_format(backup.time)}.")

    def start_empty(self, confirm: Callable[[str], None]) -> None:
        """Accept the loss of the data."""
        if self._is_present():
            raise OperationError(f"the database on {self._data_node} exists; --empty is for a lost database only")
        confirm("The next `tandem up` creates an empty database. The backups are kept. Continue?")
        self._decide("empty")
        self._report("The next `tandem up` creates an empty database.")

    def _replace(
        self, backup: Backup, *, audit_queue: bool, discard: bool, confirm: Callable[[str], None]
    ) -> None:  # fmt: skip
        present = "The present data is lost" if discard else "A backup of the present data is made first"
        confirm(
            f"Replace the database on {self._data_node} by the backup of {_format(backup.time)}? {present}. "
            "Requests fail while the data is loaded."
        )
        with locked(self._connections) as lock:
            operation = {"do": "restore", "backup": backup.name, "audit_queue": audit_queue, "discard": discard}
            done = self._on_data_node().call([operation], token=lock.token, deadline_s=2 * _DEADLINE_S)[0]
        for warning in done["warnings"]:
            self._report(f"warning: {warning}")
        self._report(f"restored the backup of {_format(backup.time)}")
        if done["kept"]:
            kept = f"{parse_name(done['kept']):%Y-%m-%d %H:%M:%S}"
            self._report(f"the replaced data is in a backup, too: `tandem restore --at '{kept}'` returns to it")

    def _is_present(self) -> bool:
        """Whether the database exists. Raises OperationError if that is not known."""
        if self._data_node is None:
            return False  # it has left the group; the next deployment may create it again
        try:
            state = self._on_data_node().call([{"do": "data_state"}])[0]["database"]
        except UnreachableError as error:
            raise OperationError(
                f"whether {self._data_node} has the database is not known: {error.message}; start the node, or run "
                "`tandem up`, which creates a lost one again; then repeat the command"
            ) from None
        if state == "unknown":
            raise OperationError(
                f"MariaDB on {self._data_node} does not run, and its data may exist; run `systemctl start mariadb` "
                "there, or `tandem up`; then repeat the command (journalctl -u mariadb)"
            )
        return state == "present"

    def _decide(self, replacement: str) -> None:
        with locked(self._connections) as lock:
            decide(self._connections, replacement, lock.token)

    def _on_data_node(self) -> Connection:
        for connection in self._connections:
            if connection.node.name == self._data_node:
                return connection
        if self._data_node is None:
            raise OperationError(_NO_DATABASES)
        raise UnreachableError(f"{self._data_node} cannot be reached")


@contextmanager
def open_backups(
    outputs: Mapping[str, Any], report: Report, connect: Connect | None = None
) -> Generator[Backups]:  # fmt: skip
    """Connect to all nodes that can be reached.

    Raises OperationError if the group has never had the databases. A group that had them needs a decision before it
    creates them again.
    """
    exports = parse_exports(outputs)
    if exports is None:
        raise OperationError(_NO_DATABASES)
    connect = connect or connector(exports.inventory, deadline_s=15)
    try:
        with connected(exports.inventory, connect) as reached:
            names, found = [node.name for node in exports.inventory.nodes], reached.connections
            for name, error in reached.unreachable.items():
                report(f"{name} is skipped: {error.message}")
            connections = [found[name] for name in names if name in found]
            if exports.data_node is None and read_record(connections) is None:
                raise OperationError(_NO_DATABASES)
            yield Backups(exports.data_node, connections, report)
    except ProvisioningError as error:
        raise OperationError(str(error)) from None


def parse_time(text: str) -> datetime:
    """Parse `2026-11-27 03:00`, in UTC unless it has an offset. Raises OperationError."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--at must be a time such as '2026-11-27 03:00', in UTC (got {text})") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _until(at: datetime | None) -> str:
    return f" that was made until {_format(at)}" if at else ""


def _format(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"
