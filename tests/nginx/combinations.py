"""Settings of nginx in combinations: each pair of values of two settings occurs once (pairwise testing)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from allpairspy import AllPairs
from pydantic import BaseModel, ValidationError

from settings.locations import LocationSettings
from settings.sites import SiteSettings

UNSET = None  # the default
_CORS = {"allowOrigins": ["https://a.example.com", "http://b.example.com:8080"]}
_PAGES = {"404": {"body": "<h1>Not here</h1>"}, "50x": {"body": '{"code":1}', "contentType": "application/json"}}

TARGETS: list[dict[str, Any]] = [
    {"proxy": "web"},
    {"proxy": "hashed", "proxyMethod": "GET"},
    {"root": "/srv/files"},
    {"alias": "/srv/files/"},
    {"redirect": {"to": "https://www.example.com$request_uri", "status": 301}},
    {"respond": {"status": 200, "body": '{"ok": true}', "contentType": "application/json"}},
    {"respond": {"status": 404}},
    {},  # the files of the site
]
LOCATION: dict[str, list[Any]] = {
    "target": TARGETS,
    "match": ["prefix", "=", "^~", "~", "~*"],
    "proxyPath": [UNSET, "/inner/"],
    "tryFiles": [UNSET, ["$uri", "$uri/", "/index.html"], ["$uri", "=404"]],
    "headers": [UNSET, {"X-Frame-Options": "DENY", "Content-Security-Policy": "default-src 'self'"}],
    "requestHeaders": [UNSET, {"Host": "inner.example.com", "X-Forwarded-For": "$proxy_add_x_forwarded_for"}],
    "hideHeaders": [UNSET, ["X-Powered-By"]],
    "timeouts": [UNSET, {"connectTimeoutS": 2, "readTimeoutS": 300, "sendTimeoutS": 30}],
    "clientMaxBodySize": [UNSET, "1g"],
    "buffering": [True, False],
    "requestBuffering": [True, False],
    "websocket": [False, True],
    "rateLimit": [UNSET, {"perS": 5, "burst": 3}, {"perS": 7, "only": "basic-auth"}, {"perS": 9, "name": "shared"}],
    "maxConnections": [UNSET, 10],
    "access": [
        UNSET, {"allow": ["10.0.0.0/8"]}, {"deny": ["192.0.2.0/24"], "exceptMethods": ["GET"]},
        {"allow": ["10.0.0.0/8"], "deny": ["10.1.0.0/16"]},
    ],
    "basicAuth": [UNSET, {"users": "staff", "realm": "Staff only"}],
    "expires": [UNSET, "7d", "@22h30m", "max", "epoch", "-1h", "off"],
    "cache": [UNSET, {"validS": 60}, {"validS": 60, "notFoundS": 5, "stale": False, "key": "$host$request_uri"}],
    "hotlink": [UNSET, {"hosts": ["*.example.com"]}, {"allowEmpty": False}],
    "cors": [UNSET, _CORS, {"allowOrigins": ["*"]}, {}],
    "errorPages": [UNSET, _PAGES, {"404": {"file": "404.html"}}],
    "accessLog": [True, False],
    "extraConfig": [UNSET, "sub_filter_once on;\nsub_filter a b;"],
}  # fmt: skip
SITE: dict[str, list[Any]] = {
    "http": ["serve", "redirect", "off"],
    "https": [True, False],
    "certificate": [UNSET, "given"],
    "default": [False, True],
    "headers": [UNSET, {"X-Content-Type-Options": "nosniff"}],
    "cors": [UNSET, _CORS | {"allowCredentials": True, "exposeHeaders": ["X-Total"]}, {}],
    "errorPages": [UNSET, _PAGES, {"404": {"file": "404.html"}}],
    "hstsMaxAgeS": [UNSET, 0, 31_536_000],
    "clientMaxBodySize": [UNSET, "1m"],
    "accessLog": [True, False],
    "extraConfig": [UNSET, "server_tokens off;"],
}
GLOBAL: dict[str, list[Any]] = {
    "version": ["1.22", "1.26", "1.18"],
    "workerProcesses": ["auto", 2],
    "workerConnections": [64, 4096, 500_000],
    "headerBufferKib": [4, 16, 128],
    "balance": ["round-robin", "least-conn", "ip-hash"],
    "openRegistration": [False, True],
    "registrationCidrs": [[], ["192.0.2.0/24"]],
    "gzip": [{}, {"enabled": False}, {"minLength": 1, "level": 9, "types": ["application/json"]}],
    "cors": [{}, _CORS, {"allowOrigins": ["*"]}],
    "accessLog": [{}, {"format": "text"}],
    "trustedProxies": [
        {},
        {"cidrs": ["10.0.0.0/8", "198.51.100.7/32"]},
        {"cidrs": ["10.0.0.0/8"], "header": "X-Real-IP"},
    ],
    "extraConfig": ["", "map $host $mine { default 0; }"],
}
SERVER: dict[str, list[Any]] = {
    "weight": [1, 5], "down": [False, True], "backup": [False, True], "maxConns": [0, 10], "maxFails": [UNSET, 0, 3],
    "failTimeoutS": [UNSET, 30],
}  # fmt: skip
STREAM: dict[str, list[Any]] = {
    "protocol": ["tcp", "udp"],
    "target": [
        {"upstream": "db"}, {"serverNames": {"a.example.com": "db", "*.b.example.com": "cache"}},
        {"upstream": "cache", "serverNames": {"a.example.com": "db"}},
    ],
    "tls": [UNSET, {"host": "db.example.com"}, {"certificate": "given"}],
    "connectTimeoutS": [UNSET, 3],
    "udpResponses": [UNSET, 1],
    "maxConnections": [UNSET, 5],
    "allow": [(), ["10.0.0.0/8"]],
    "deny": [(), ["10.1.0.0/16"]],
    "extraConfig": ["", "tcp_nodelay on;"],
}  # fmt: skip
UPSTREAMS = {
    "web": {"servers": [{"address": "iam-a", "port": 7001}, {"address": "127.0.0.9", "port": 7002}]},
    "hashed": {"servers": [{"address": "127.0.0.9", "port": 7003}], "method": "hash", "hashKey": "$cookie_session"},
    "db": {"servers": [{"address": "127.0.0.9", "port": 7004}], "method": "hash", "hashKey": "$remote_addr"},
    "cache": {"servers": [{"address": "127.0.0.8", "port": 7005}], "method": "least-conn", "keepalive": 0},
}  # fmt: skip


def pairs(table: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """Combinations of the table's values in which each pair of two values occurs; without what is unset."""
    found = AllPairs([list(enumerate(values)) for values in table.values()])
    rows = [{name: value for name, (_, value) in zip(table, row, strict=True)} for row in found]
    return [{name: value for name, value in row.items() if value is not UNSET} for row in rows]


def accepted(rows: list[dict[str, Any]], model: type[BaseModel]) -> list[dict[str, Any]]:
    """The rows without the values that the model refuses together with the others of the row."""
    return [each for each in (_reduce(row, model) for row in rows) if each is not None]


def _reduce(row: dict[str, Any], model: type[BaseModel]) -> dict[str, Any] | None:
    """Remove what the refusal names first, until the row is accepted."""
    for _ in range(len(row)):
        try:
            model.model_validate(row)
        except ValidationError as error:
            text = error.errors()[0]["msg"]
            named = [word for word in re.findall(r"\w+", text) if word in row and word not in {"path", "match", "http"}]
            if not named:
                return None
            row = {name: value for name, value in row.items() if name != named[0]}
        else:
            return row
    return None


def locations() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for number, row in enumerate(pairs(LOCATION)):
        given = {**row.pop("target"), **row.pop("timeouts", {}), **row}
        given["path"] = rf"^/l{number}/.*\.png$" if given["match"] in {"~", "~*"} else f"/l{number}/"
        rows.append(given)
    return accepted(rows, LocationSettings)


def sites() -> list[dict[str, Any]]:
    """Sites with all locations, one of them the default."""
    rows = [
        {**row, "hosts": [f"s{number}.example.com", f"*.s{number}.example.com"], "locations": locations()}
        | {"root": "/srv/site"}
        for number, row in enumerate(pairs(SITE))
    ]
    found = accepted(rows, SiteSettings)
    first = next(number for number, row in enumerate(found) if row["default"])
    return [{**row, "default": number == first} for number, row in enumerate(found)]
