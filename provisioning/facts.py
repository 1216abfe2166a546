"""What is there: the question for the agent, and its answer as frozen data. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from provisioning.desired import (
    Absent,
    Account,
    Archive,
    Database,
    Directory,
    File,
    FileSystem,
    FirstContent,
    Grant,
    Link,
    Package,
    Query,
    Sysctl,
    Thing,
    Unit,
    User,
)


@dataclass(frozen=True, slots=True)
class PathFact:
    kind: str  # file, directory, link
    sha256: str = ""  # of a file
    owner: str = ""
    group: str = ""
    mode: int = 0
    target: str = ""  # of a link
    text: str | None = None  # only where it was asked for and differs


@dataclass(frozen=True, slots=True)
class UnitFact:
    loaded: bool = False
    active: bool = False
    failed: bool = False
    enabled: bool = False
    needs_daemon_reload: bool = False


@dataclass(frozen=True, slots=True)
class MariadbFacts:
    databases: Mapping[str, str] = field(default_factory=dict[str, str])  # name -> comment (the schema's mark)
    accounts: Mapping[str, str] = field(default_factory=dict[str, str])  # user@host -> hash of the password
    grants: Mapping[str, Mapping[str, tuple[str, ...]]] = field(
        default_factory=dict[str, "Mapping[str, tuple[str, ...]]"]
    )  # user@host -> database -> privileges
    met: frozenset[str] = frozenset()  # names of queries whose condition holds


@dataclass(frozen=True, slots=True)
class Facts:
    """One machine as its agent saw it, as far as it was asked."""

    paths: Mapping[str, PathFact] = field(default_factory=dict[str, PathFact])
    packages: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    disks: Mapping[str, str] = field(default_factory=dict[str, str])  # device -> what it holds: "", "ext4", "gpt" ...
    units: Mapping[str, UnitFact] = field(default_factory=dict[str, UnitFact])
    # What is set now, and the text for the next boot.
    sysctls: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    addresses: tuple[str, ...] = ()  # of the virtual IPs, those that the machine has now
    mariadb: MariadbFacts = field(default_factory=MariadbFacts)
    pending: tuple[str, ...] = ()  # "reload nginx": changes of an earlier run that nothing has followed yet
    draining: bool = False  # a planned hand-over was begun and not ended
    hostname: str = ""
    boot_id: str = ""

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> Facts:
        mariadb = answer["mariadb"]
        return cls(
            paths={path: PathFact(**fact) for path, fact in answer["paths"].items() if fact is not None},
            packages=frozenset(answer["packages"]),
            users=frozenset(answer["users"]),
            disks=answer["disks"],
            units={name: _unit_fact(fact) for name, fact in answer["units"].items()},
            sysctls={key: (fact["now"], fact["boot"]) for key, fact in answer["sysctls"].items()},
            addresses=tuple(answer["addresses"]),
            mariadb=MariadbFacts(
                databases=mariadb["databases"],
                accounts=mariadb["accounts"],
                grants={
                    who: {database: tuple(rights) for database, rights in grants.items()}
                    for who, grants in mariadb["grants"].items()
                },
                met=frozenset(mariadb["met"]),
            ),
            pending=tuple(answer["pending"]),
            draining=answer["draining"],
            hostname=answer["hostname"],
            boot_id=answer["boot_id"],
        )


def _unit_fact(shown: Mapping[str, str]) -> UnitFact:
    return UnitFact(
        loaded=shown.get("LoadState") == "loaded",
        active=shown.get("ActiveState") in ("active", "reloading", "activating"),
        failed=shown.get("ActiveState") == "failed",
        enabled=shown.get("UnitFileState") in ("enabled", "enabled-runtime", "static", "alias", "generated"),
        needs_daemon_reload=shown.get("NeedDaemonReload") == "yes",
    )


def text_sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def question(things: Iterable[Thing], virtual_ips: Iterable[str], *, with_texts: bool = False) -> dict[str, Any]:
    """The agent's `facts` operation for these things, whose texts hold their secrets already."""
    asked: dict[str, Any] = {
        "do": "facts",
        "paths": {},
        "packages": [],
        "users": [],
        "disks": [],
        "units": [],
        "sysctls": [],
        "virtual_ips": list(virtual_ips),
        "databases": [],
        "accounts": [],
        "queries": [],
        "with_texts": with_texts,
    }
    for thing in things:
        match thing:
            case File():
                asked["paths"][thing.path] = text_sha256(thing.text)
            case FileSystem():
                asked["disks"].append(thing.device)
            case Link() | Absent() | Directory() | Archive() | FirstContent():
                asked["paths"][thing.path] = ""
            case Package():
                asked["packages"].append(thing.name)
            case User():
                asked["users"].append(thing.name)
            case Unit():
                asked["units"].append(thing.name)
            case Sysctl():
                asked["sysctls"].append(thing.key)
            case Database():
                asked["databases"].append(thing.name)
            case Account():
                asked["accounts"].append([thing.user, thing.host])
            case Query():
                asked["queries"].append([thing.name, thing.database, thing.unless])
            case Grant():
                pass  # comes with its account
            case _:
                pass  # checks and gates ask for nothing
    return asked
