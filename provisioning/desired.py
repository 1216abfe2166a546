"""What a machine should hold and run: frozen data, one kind of thing each.

A manifest is a sequence of these, in the order in which they become true. The kinds that prepare
(Package, User, Directory, Archive) disturb nothing that serves and are done first; then every Check runs
on the candidates; then the rest is committed in order. A changed thing names what has to follow
(`after=(reload("nginx"),)`); that is done where the manifest next names the unit (`Unit`), so a
configuration is complete before anything reads it. What has to follow is written down on the machine before
the change is made: a rollout that is killed in between still reloads, in the next run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Action = Literal["reload", "restart"]


@dataclass(frozen=True, slots=True)
class After:
    """What has to happen to a unit once something that it reads has changed."""

    action: Action
    unit: str  # "nginx", or with its type: "tandem.timer"


def reload(unit: str) -> After:
    """The unit reads its files again and drops nothing."""
    return After("reload", unit)


def restart(unit: str) -> After:
    """Only where a reload cannot do it: connections are cut."""
    return After("restart", unit)


@dataclass(frozen=True, slots=True)
class Package:
    """A Debian package; its services are not started by the installation."""

    name: str


@dataclass(frozen=True, slots=True)
class User:
    """A system user without a login, with a group of its own name."""

    name: str
    home: str = "/nonexistent"


@dataclass(frozen=True, slots=True)
class Directory:
    path: str
    owner: str = "root"
    group: str = "root"
    mode: int = 0o755


@dataclass(frozen=True, slots=True)
class Archive:
    """A .tar.gz from the operator's side, unpacked at `path`, complete or not at all.

    `path` names the content (/opt/iam/<first 12 of its sha256>): a new release lies beside the old one.
    """

    source: str  # a file on the operator's side
    sha256: str  # of that file, in hex
    path: str


@dataclass(frozen=True, slots=True)
class FileSystem:
    """A disk that holds an ext4 file system: made when the disk is blank, and never otherwise.

    A disk that comes back from another machine brings its data; one that holds anything else is an error.
    """

    device: str  # by id, so that no other disk can be meant; may hold a placeholder


@dataclass(frozen=True, slots=True)
class FirstContent:
    """A directory whose first content is a copy of another one: complete or not at all, and never again.

    The unit, which works on `source`, is stopped before the copy.
    """

    path: str
    source: str
    unit: str


@dataclass(frozen=True, slots=True)
class File:
    """A text file; `text` may hold `@@secret:NAME@@`."""

    path: str
    text: str
    owner: str = "root"
    group: str = "root"
    mode: int = 0o644
    after: tuple[After, ...] = ()


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link, switched atomically."""

    path: str
    target: str
    after: tuple[After, ...] = ()


@dataclass(frozen=True, slots=True)
class Absent:
    """A file or link that must not be there."""

    path: str
    after: tuple[After, ...] = ()


@dataclass(frozen=True, slots=True)
class Sysctl:
    """A kernel setting, now and after each boot."""

    key: str  # net.ipv4.ip_nonlocal_bind
    value: str


@dataclass(frozen=True, slots=True)
class Database:
    """A MariaDB database and its schema.

    `schema` is a file on the machine (say, in the release) and is loaded once; it must stand being loaded
    again (CREATE ... IF NOT EXISTS), since a load may be cut off half-way and is then repeated.
    """

    name: str
    schema: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """A MariaDB account with a password; `password` is text with a placeholder."""

    user: str
    host: str  # "localhost", "10.0.4.21", "%"
    password: str


@dataclass(frozen=True, slots=True)
class Grant:
    """What an account may do, no more and no less, on one database."""

    user: str
    host: str
    database: str
    privileges: tuple[str, ...] = ("ALL PRIVILEGES",)  # e.g. ("SELECT", "INSERT")


@dataclass(frozen=True, slots=True)
class Query:
    """An SQL statement to run unless `unless` (a SELECT) returns a row. Both may hold placeholders."""

    name: str  # what it brings about: "the administrator's account"
    database: str
    statement: str
    unless: str


@dataclass(frozen=True, slots=True)
class Check:
    """A command that must accept the candidates before anything is changed.

    It runs with the candidates at their final paths, in a mount namespace of its own where `directories`
    are replaced by copies that hold them: `nginx -t` reads /etc/nginx as it will be. It runs when anything
    below `directories` would change, and not otherwise.
    """

    name: str  # "nginx"
    command: tuple[str, ...]
    directories: tuple[str, ...]
    look_at: str = ""  # where the text comes from, for whoever reads the error


@dataclass(frozen=True, slots=True)
class Unit:
    """A systemd unit that is enabled and runs; what its files' changes asked for is done here."""

    name: str
    enabled: bool = True
    running: bool = True


@dataclass(frozen=True, slots=True)
class Gate:
    """An address on the machine that must answer before the rollout goes on."""

    name: str  # "nginx"
    url: str  # http://10.0.4.20/healthz
    status: int = 200
    deadline_s: int = 60


Prepared = Package | User | FileSystem | Directory | Archive
Committed = FirstContent | File | Link | Absent | Sysctl | Database | Account | Grant | Query | Unit
Thing = Prepared | Check | Committed | Gate
