"""nftables in its JSON form: functions that build statements, and one atomic load."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from localcloud.errors import NetworkError
from localcloud.network.namespaces import Namespaces

Expression = dict[str, Any] | str | int | list[Any]
Statement = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """Builds one table; `replace()` returns the commands that swap it for the present one in one transaction."""

    family: str
    name: str
    commands: list[Statement]

    @classmethod
    def new(cls, family: str, name: str) -> Table:
        return cls(family, name, [])

    def base_chain(self, name: str, hook: str, priority: int, *, kind: str = "filter", policy: str = "accept") -> None:
        self._add("chain", name=name, type=kind, hook=hook, prio=priority, policy=policy)

    def chain(self, name: str) -> None:
        self._add("chain", name=name)

    def rule(self, chain: str, *statements: Statement, comment: str = "") -> None:
        extra = {"comment": comment} if comment else {}
        self._add("rule", chain=chain, expr=list(statements), **extra)

    def set(self, name: str, kinds: Sequence[str], elements: Iterable[Expression], *, interval: bool = False) -> str:
        """Add a named set; return the reference to it (`@name`)."""
        listed = list(elements)
        extra: dict[str, Any] = {"elem": listed} if listed else {}
        if interval:
            extra["flags"] = ["interval"]
        self._add("set", name=name, type=kinds[0] if len(kinds) == 1 else list(kinds), **extra)
        return f"@{name}"

    def map(self, name: str, key: str, value: str, elements: Iterable[tuple[Expression, Expression]]) -> str:
        listed = [[left, right] for left, right in elements]
        extra: dict[str, Any] = {"elem": listed} if listed else {}
        self._add("map", name=name, type=key, map=value, **extra)
        return f"@{name}"

    def replace(self) -> list[Statement]:
        table = {"table": {"family": self.family, "name": self.name}}
        return [{"add": table}, {"delete": table}, {"add": table}, *self.commands]

    def _add(self, kind: str, **values: Any) -> None:
        self.commands.append({"add": {kind: {"family": self.family, "table": self.name, **values}}})


def load(namespaces: Namespaces, what: str, commands: Sequence[Statement]) -> None:
    """Apply the commands in the namespace, all or none. Raises NetworkError with nft's output."""
    text = json.dumps({"nftables": list(commands)})
    with namespaces.inside(what):
        done = subprocess.run(["nft", "-j", "-f", "-"], input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NetworkError(
            f"nft rejected the rules of {namespaces.full(what)}: {done.stderr.strip() or done.stdout.strip()}"
        )


def comments(namespaces: Namespaces, what: str, family: str, table: str) -> frozenset[str]:
    """Return the comments of a table's rules; empty if the table does not exist."""
    with namespaces.inside(what):
        done = subprocess.run(
            ["nft", "-j", "list", "table", family, table], capture_output=True, text=True, check=False
        )
    if done.returncode:
        return frozenset()
    rules = [entry["rule"] for entry in json.loads(done.stdout)["nftables"] if "rule" in entry]
    return frozenset(rule["comment"] for rule in rules if "comment" in rule)


def meta(key: str) -> Expression:
    return {"meta": {"key": key}}


def field(protocol: str, name: str) -> Expression:
    return {"payload": {"protocol": protocol, "field": name}}


def ct(key: str) -> Expression:
    return {"ct": {"key": key}}


def concat(*parts: Expression) -> Expression:
    return {"concat": list(parts)}


def match(left: Expression, right: Expression, operator: str = "==") -> Statement:
    return {"match": {"op": operator, "left": left, "right": right}}


def among(left: Expression, values: Iterable[Expression]) -> Statement:
    return match(left, {"set": list(values)})


def set_mark(value: int) -> Statement:
    return {"mangle": {"key": meta("mark"), "value": value}}


def verdicts(key: Expression, targets: Iterable[tuple[Expression, Statement]]) -> Statement:
    return {"vmap": {"key": key, "data": {"set": [[value, verdict] for value, verdict in targets]}}}


def lookup(key: Expression, map_reference: str) -> Expression:
    return {"map": {"key": key, "data": map_reference}}


def jump(chain: str) -> Statement:
    return {"jump": {"target": chain}}


def goto(chain: str) -> Statement:
    return {"goto": {"target": chain}}


def span(low: IPv4Address | int, high: IPv4Address | int) -> Expression:
    first, last = (str(low), str(high)) if isinstance(low, IPv4Address) else (low, high)
    return first if first == last else {"range": [first, last]}


def network(cidr: IPv4Network) -> Expression:
    return {"prefix": {"addr": str(cidr.network_address), "len": cidr.prefixlen}}


ACCEPT: Statement = {"accept": None}
DROP: Statement = {"drop": None}
RETURN: Statement = {"return": None}
