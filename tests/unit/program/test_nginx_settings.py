"""What the settings of nginx refuse, with the reason."""

from __future__ import annotations

from typing import Any

import pytest
from certificate_samples import issue
from settings_samples import EXTERNAL, GIVEN, parse, problems_of, sections, with_value, with_values

from settings.locations import LocationSettings

HOST = "www.example.com"
WILDCARD = ("*.example.com", "any.example.com")  # and the name that stands for it
WEB = {"web": {"servers": [{"address": "10.0.9.1", "port": 7000}]}}


def location(**values: Any) -> dict[str, Any]:
    """Settings with one site that has one location."""
    site = {"hosts": [HOST], "locations": [{"path": "/x/", **values}]}
    return {"upstreams": WEB, "sites": [site]}


def site(**values: Any) -> dict[str, Any]:
    return {"upstreams": WEB, "sites": [{"hosts": [HOST], "locations": [{"path": "/", "proxy": "web"}], **values}]}


def upstream(**values: Any) -> dict[str, Any]:
    return {"upstreams": {"web": {**WEB["web"], **values}}}


def server(**values: Any) -> dict[str, Any]:
    return {"upstreams": {"web": {"servers": [{"address": "10.0.9.1", "port": 80, **values}]}}}


def stream(**values: Any) -> dict[str, Any]:
    return {"upstreams": WEB, "streams": [{"port": 7001, "upstream": "web", **values}]}


LOCATION = "nginx.sites[0].locations[0]"
PROBLEMS: list[tuple[str, dict[str, Any], str, str]] = [
    ("slow_start", server(slowStart="30s"), "upstreams.web.servers[0].slowStart", "only in the commercial nginx"),
    *((f"the address {address}", server(address=address), "upstreams.web.servers[0].address",
       f"must be a host name or an IPv4 address (got {address})") for address in ("10.0.4.300", "10.4", "7")),
    ("hash without key", upstream(method="hash"), "upstreams.web", "hashKey must be set with method hash"),
    ("backup with ip-hash", {"upstreams": {"web": {"method": "ip-hash", "servers": [
        {"address": "a", "port": 1}, {"address": "b", "port": 1, "backup": True}]}}}, "upstreams.web",
     "cannot be backup with method ip-hash"),
    ("only backups", server(backup=True), "upstreams.web", "neither backup nor down"),
    ("name of an IAM upstream", {"upstreams": {"iam-apiserver": WEB["web"]}}, "upstreams.iam-apiserver", "IAM service"),
    ("unknown target", location(proxy="wbe"), f"{LOCATION}.proxy", "(got wbe); known: iam-apiserver"),
    ("no target", location(), LOCATION, "must have one of proxy, root, alias, redirect and respond"),
    ("two targets", location(proxy="web", root="/srv/x"), LOCATION, "must have only one of"),
    ("proxy option without proxy", location(root="/srv/x", websocket=True), LOCATION, "cannot be set without proxy"),
    ("no anchor", location(path=r"\.png", match="~*", root="/srv/x"), LOCATION, "must start with ^ or end with $"),
    ("broken expression", location(path="^/(", match="~", proxy="web"), LOCATION, "must be a regular expression"),
    ("expression without ~", location(path="^/x$", proxy="web"), LOCATION, "cannot be a regular expression"),
    ("braces", location(path="^/x{2}$", match="~", proxy="web"), f"{LOCATION}.path", "must not contain white space"),
    ("alias without slash", location(path="/x", alias="/srv/x/"), LOCATION, "leads out of the directory"),
    ("alias with expression", location(path="^/x", match="~", alias="/srv/x/"), LOCATION, "use root"),
    ("private files", location(root="/etc/nginx"), f"{LOCATION}.root",
     "cannot be below /etc, whose files are not public"),
    ("the root directory", location(root="/"), f"{LOCATION}.root", "must be a directory below /"),
    ("a parent", location(root="/srv/../etc"), f"{LOCATION}.root", "and .. (got"),
    *((f"{root} as a root", location(root=root), f"{LOCATION}.root", text) for root, text in (
        ("//etc", "without //, /./ and .."), ("/./etc", "without //, /./ and .."), ("/var", "cannot contain /var/"),
        ("/srv/", "cannot contain /srv/tandem"), ("/run/tandem", "cannot be below /run"))),
    *((f"tryFiles {last}", location(root="/srv/x", tryFiles=[first, last]), f"{LOCATION}.tryFiles", text)
      for first, last, text in (
          ("$uri", "$uri/", "must end with a status or the path of a file that exists"),
          ("$uri", "$uri/index.html", "a missing file would cause status 500"), ("=404", "/x", "as the last entry"),
          ("$uri", "/../../etc/passwd", "must contain paths"), ("$uri../x", "=404", "must contain paths"),
          ("$uri", "index.html", "must contain paths"))),
    *((f"the path {path}", location(path=path, proxy="web"), LOCATION, "path cannot contain //, /./ or /../")
      for path in ("/a//b", "/a/../b", "/./", "//")),
    ("no index", location(root="/srv/x", index=[]), f"{LOCATION}.index", "at least 1 item"),
    ("a time beyond all bounds", location(proxy="web", expires="99999999999d"), f"{LOCATION}.expires",
     "invalid format"),
    ("proxyPath with =", location(path="/x", match="=", proxy="web", proxyPath="/y"), LOCATION, "only a prefix"),
    ("uneven slashes", location(proxy="web", proxyPath="/y"), LOCATION, "must both end with / or not"),
    ("decoded redirect", location(redirect={"to": "https://x$uri"}), f"{LOCATION}.redirect.to", "use $request_uri"),
    *((f"decoded {name}", location(redirect={"to": f"https://x${name}"}), f"{LOCATION}.redirect.to",
       f"must not contain ${name}: its value is decoded") for name in ("request_filename", "fastcgi_script_name",
       "remote_user", "request_body")),
    *((f"a line feed at the end of {key}", location(**values), f"{LOCATION}.{key}", text) for key, values, text in (
        ("headers.X", {"proxy": "web", "headers": {"X": "default-src 'self'\n"}}, "write >- instead of > or |"),
        ("redirect.to", {"redirect": {"to": "https://x/\n"}}, "must not end with a line feed"),
        ("basicAuth.realm", {"proxy": "web", "basicAuth": {"users": "staff", "realm": "x\n"}}, "with a line feed"),
        ("path", {"path": "/x\n", "proxy": "web"}, "white space"),
        ("path", {"path": "^/x\n", "match": "~", "proxy": "web"}, "white space"))),
    ("a decoded header", location(proxy="web", headers={"X": "$request_filename"}), f"{LOCATION}.headers.X", "decoded"),
    ("a decoded realm", location(proxy="web", basicAuth={"users": "staff", "realm": "$uri"}),
     f"{LOCATION}.basicAuth.realm", "may contain a line feed"),
    ("an unchecked user", location(proxy="web", requestHeaders={"X-User": "$remote_user"}), LOCATION,
     "requestHeaders cannot contain $remote_user without basicAuth"),
    ("HTML of a client", location(respond={"body": "<b>$uri</b>", "contentType": "text/html"}), f"{LOCATION}.respond",
     "body must not contain $uri with contentType text/html"),
    ("HTML of a client, in a group", location(path="^/(.*)$", match="~", respond={
        "body": "<b>$1</b>", "contentType": "text/html; charset=utf-8"}), f"{LOCATION}.respond", "an injected script"),
    ("HTML of a client, on the page of a site", site(errorPages={404: {"body": "${request_filename} is missing"}}),
     "nginx.sites[0].errorPages.404", "body must not contain ${request_filename}"),
    ("HSTS as a header without trust", site(headers={"strict-transport-security": "max-age=300"}),
     "nginx.sites[0].headers.strict-transport-security", "without a certificate that clients trust"),
    ("HSTS as a header of a location", location(proxy="web", headers={"Strict-Transport-Security": "max-age=300"}),
     "nginx.sites[0].locations[0].headers.Strict-Transport-Security", "without a certificate that clients trust"),
    *((f"a second {name}", location(proxy="web", headers={name: "5"}), f"{LOCATION}.headers",
       f"cannot contain {name}, which nginx or the upstream sends") for name in ("Content-Length", "content-type",
       "Server", "Transfer-Encoding")),
    *((f"{name} of a client", location(proxy="web", requestHeaders={name: "x"}), f"{LOCATION}.requestHeaders",
       "For WebSocket set websocket: true") for name in ("Upgrade", "connection", "Transfer-Encoding")),
    ("CORS headers twice", location(proxy="web", cors={"allowOrigins": ["*"]}, headers={
        "Access-Control-Allow-Origin": "*"}), "nginx.sites[0]", "locations[0].headers cannot contain Access-Control"),
    ("CORS headers of a site twice", site(cors={"allowOrigins": ["*"]}, headers={"access-control-max-age": "5"}),
     "nginx.sites[0]", "headers cannot contain access-control-max-age with cors"),
    ("the client's Host", location(proxy="web", requestHeaders={"Host": "$http_host"}),
     f"{LOCATION}.requestHeaders.Host",
     "use $host"),
    ("quotes in a header", location(proxy="web", headers={"X": 'a"b'}), f"{LOCATION}.headers.X", "double quotes"),
    ("a late limit", location(respond={}, rateLimit={"perS": 1}), LOCATION, "nginx answers before it is checked"),
    ("a network twice", location(proxy="web", access={"allow": ["10.0.0.0/8"], "deny": ["10.0.0.0/8"]}),
     f"{LOCATION}.access", "allow and deny must differ"),
    ("CORS with any origin and credentials", location(proxy="web", cors={"allowOrigins": ["*"],
     "allowCredentials": True}),
     f"{LOCATION}.cors", "list the origins instead"),
    ("an origin twice", location(proxy="web", cors={"allowOrigins": ["https://a.org", "https://A.org"]}),
     f"{LOCATION}.cors.allowOrigins", "must contain each origin once"),
    *((f"a response {status}", location(respond={"status": status, "body": "x"}), f"{LOCATION}.respond", text)
      for status, text in ((302, "use redirect"), (301, "use redirect"), (204, "which has none"))),
    *((f"{word} as a host", location(root="/srv/x", hotlink={"hosts": [word]}), f"{LOCATION}.hotlink.hosts[0]",
       f"cannot be {word}, a keyword of nginx's valid_referers") for word in ("none", "blocked")),
    *((f"{what} in an expression", location(path=path, match="~", proxy="web"), LOCATION, f"path cannot contain {what}")
      for what, path in (("\\u", r"^/\u4e2d"), ("(?a)", "(?a)^/x$"), ("(?iu:", "^/(?iu:x)"))),
    ("a page for a status of nginx", site(errorPages={499: {"body": "x"}}), "nginx.sites[0].errorPages.499",
     "has an invalid format"),
    ("gzip beyond all bounds", {"gzip": {"minLength": 10**25}}, "nginx.gzip.minLength", "less than or equal"),
    ("unknown users", location(proxy="web", basicAuth={"users": "staff"}), f"{LOCATION}.basicAuth.users",
     "must be the name of a list in tandem:credentials.basicAuth"),
    ("tryFiles with proxy", location(proxy="web", tryFiles=["$uri", "=404"]), LOCATION, "where files are served"),
    ("a wrong time", location(proxy="web", expires="soon"), f"{LOCATION}.expires", "invalid format"),
    ("milliseconds", location(proxy="web", expires="500ms"), f"{LOCATION}.expires", "invalid format"),
    ("a time of the next day", location(proxy="web", expires="@24h"), f"{LOCATION}.expires", "invalid format"),
    ("an empty path", location(root="/srv/x", tryFiles=["", "=404"]), f"{LOCATION}.tryFiles", "must contain paths"),
    ("a cache of what is not buffered", location(proxy="web", cache={"validS": 60}, buffering=False), LOCATION,
     "buffering must be true with cache"),
    ("a long body", location(respond={"body": "\u4e2d" * 1400}), f"{LOCATION}.respond.body",
     "must have at most 4000 bytes, the limit of nginx (got 4200); use a file"),
    ("a path in Chinese", location(path="/\u4e2d/", proxy="web"), LOCATION, "write ^/\u4e2d/ with match ~"),
    ("a URL as a target", location(proxy="http://10.0.9.1:80"), f"{LOCATION}.proxy", "name of the upstream"),
    ("a size in words", {"clientMaxBodySize": "10mb"}, "nginx.clientMaxBodySize", "such as `512k` or `10m`"),
    ("a dollar sign", location(respond={"body": "It costs $ 5"}), f"{LOCATION}.respond.body",
     "a $ that does not begin a variable"),
    ("a dollar sign in quotes", location(redirect={"to": "/x$"}), f"{LOCATION}.redirect.to",
     "a $ that does not begin a variable"),
    *((f"a price of {text}", location(respond={"body": f"It costs {text}"}), f"{LOCATION}.respond.body",
       "a $ that does not begin a variable") for text in ("$0", "${5}", "${x")),
    ("a price that is a group", location(respond={"body": "It costs $5"}), LOCATION, "respond.body cannot contain $5"),
    ("a group that the path lacks", location(path="^/(x)/(y)$", match="~", errorPages={404: {
        "body": "$1 $3", "contentType": "text/plain"}},
     root="/srv/x"), LOCATION, "errorPages.404.body cannot contain $3: the path has 2 groups"),
    ("a price on the page of a site", site(errorPages={404: {"body": "It costs $5", "contentType": "text/plain"}}),
     "nginx.sites[0]",
     "errorPages.404.body cannot contain $5"),
    ("a group in a key", location(proxy="web", cache={"validS": 60, "key": "$host$1"}), LOCATION,
     "cache.key cannot contain $1"),
    ("a dollar sign in a key", upstream(method="hash", hashKey="$arg_user$"), "upstreams.web.hashKey",
     "a $ that does not begin a variable"),
    *((f"a comment as {key}", given, f"{key}", "invalid format") for key, given in (
        ("upstreams.web.hashKey", upstream(method="hash", hashKey="#user")),
        (f"{LOCATION}.cache.key", location(proxy="web", cache={"validS": 60, "key": "#user"})))),
    ("a header twice", location(proxy="web", requestHeaders={"Host": "a", "host": "b"}), f"{LOCATION}.requestHeaders",
     "must contain each header once, regardless of case (got Host twice)"),
    ("a size beyond all bounds", {"clientMaxBodySize": "99999999999g"}, "nginx.clientMaxBodySize", "invalid format"),
    ("a name longer than a file name", site(hosts=[".".join(["a" * 60] * 4)]), "nginx.sites[0].hosts[0]",
     "at most 200 characters"),
    ("a number as a network", {"registrationCidrs": [10]}, "nginx.registrationCidrs[0]", "must be text"),
    ("no memory for the servers", {"upstreams": {"web": {"zoneKib": 64, "servers": [
        {"address": f"10.0.9.{n}", "port": 80} for n in range(1, 33)]}}}, "upstreams.web",
     "zoneKib must be at least 66 with 32 servers (got 64)"),
    ("not served", site(https=False), "nginx.sites[0]", "http must be serve without https"),
    ("hosts twice", site(hosts=["iam.api.example.com"]), "nginx.sites[0].hosts[0]", "also in tandem:domains.api"),
    ("a wildcard and the name that stands for it", {"upstreams": WEB, "sites": [
        {"hosts": [host, f"{host}.org"], "root": "/srv/x"} for host in WILDCARD]}, "nginx.sites[1].hosts[0]",
     "cannot be any.example.com with *.example.com in tandem:nginx.sites[0].hosts[0]"),
    ("both as further hosts", site(hosts=[HOST, *reversed(WILDCARD)]), "nginx.sites[0].hosts[2]",
     "cannot be *.example.com with any.example.com"),
    ("a certificate for both", {"upstreams": WEB, "streams": [
        {"port": 7000 + n, "upstream": "web", "tls": {"host": host}} for n, host in enumerate(WILDCARD)]},
     "nginx.streams[1].tls.host", "cannot be any.example.com with *.example.com"),
    *((f"a site named {name}", site(hosts=[name, HOST]), "nginx.sites[0].hosts[0]", "which stands for an IAM service")
      for name in ("api", "authz")),
    *((f"a site for {host}", site(hosts=[HOST, host]), "nginx.sites[0].hosts[1]", "the name of each host for itself")
      for host in ("localhost", "www.localhost", "*.localhost")),
    ("the name of the health check", site(hosts=["health"]), "nginx.sites[0].hosts[0]",
     "the host name of the health daemons' probes"),
    *((f"a loop through {address}:{port}", {**site(), **server(address=address, port=port)}, "upstreams.web.servers[0]",
       f"cannot be {address}:{port}, where nginx listens") for address, port in (
           ("iam-a", 80), ("10.0.4.21", 443), ("10.0.4.99", 80))),
    *((f"a loop of {protocol}", {**stream(protocol=protocol), **server(address="10.0.4.99", port=7001)},
       "nginx.streams[0].port", "at a virtual IP nginx itself listens on it") for protocol in ("tcp", "udp")),
    ("an empty host", site(hosts=[""]), "nginx.sites[0].hosts[0]", "has an invalid format"),
    ("locations twice", site(locations=[{"path": "/", "proxy": "web"}, {"path": "/", "match": "^~", "proxy": "web"}]),
     "nginx.sites[0]", "locations must differ"),
    *((f"an expression that opens {key}", site(locations=[
        {"path": "/", "proxy": "web"}, {"path": "/admin/", "proxy": "web", key: value},
        {"path": r"\.png$", "match": "~", "root": "/srv/x"}]), "nginx.sites[0]",
       f"locations[1].match must be ^~ for /admin/ with {key} (got prefix)") for key, value in (
           ("access", {"allow": ["10.0.0.0/8"]}), ("basicAuth", {"users": "staff"}))),
    *((f"the expression {path}", site(locations=[
        {"path": "/admin/", "proxy": "web", "access": {"allow": ["10.0.0.0/8"]}},
        {"path": path, "match": match, "root": "/srv/x"}]), "nginx.sites[0]", f"the regular expression {path}")
      for path, match in (("^/admin/x", "~"), ("^/ADMIN/", "~*"), ("^/a", "~"), ("^/admini?", "~"), ("^/x|^/a", "~"),
                          ("^/admin/b?", "~"), ("^/adminx*/", "~"), ("^/[a-z]+/", "~"))),
    ("two defaults", {"sites": [{"hosts": [f"{n}.example.com"], "default": True, "root": "/srv/x"} for n in "ab"]},
     "nginx.sites[1].default", "for one site only"),
    ("unknown certificate", site(certificate="mine"), "nginx.sites[0].certificate",
     "credentials.certificates (got mine)"),
    ("HSTS without trust", site(hstsMaxAgeS=300), "nginx.sites[0].hstsMaxAgeS",
     "without a certificate that clients trust"),
    ("HSTS of all sites without trust", {"hstsMaxAgeS": 300}, "nginx.hstsMaxAgeS", "(got 300)"),
    ("no files", {"sites": [{"hosts": [HOST]}]}, "nginx.sites[0]", "must have locations"),
    ("files of error pages", site(errorPages={404: {"file": "404.html"}}), "nginx.sites[0].errorPages",
     "without content or root"),
    ("different shared limits", site(locations=[
        {"path": f"/{n}", "proxy": "web", "rateLimit": {"name": "one", "perS": n}} for n in (1, 2)]), "nginx.sites[0]",
     "must have one perS"),
    ("compressed types", {"gzip": {"types": ["image/png"]}}, "nginx.gzip.types", "compressed already"),
    ("compressed types with a charset", {"gzip": {"types": ["text/css; charset=utf-8"]}}, "nginx.gzip.types[0]",
     "invalid format"),
    ("all proxies trusted", {"trustedProxies": {"cidrs": ["0.0.0.0/0"]}}, "nginx.trustedProxies.cidrs", "every client"),
    ("stream without target", {"streams": [{"port": 7001}]}, "nginx.streams[0]", "the target is missing"),
    ("TLS over UDP", stream(protocol="udp", tls={"host": HOST}), "nginx.streams[0]", "nginx has no DTLS"),
    ("termination and pass-through", stream(tls={"host": HOST}, serverNames={HOST: "web"}), "nginx.streams[0]",
     "with pass-through the upstream terminates TLS"),
    ("a used port", stream(port=443), "nginx.streams[0].port", "cannot be 443, which nginx uses"),
    *((f"the port of its own server on {node}", {**stream(), **server(address=node, port=7001)},
       "nginx.streams[0].port", "must differ from the port of the servers of web (got 7001)")
      for node in ("iam-a", "10.0.4.21")),
    ("a port twice", {"upstreams": WEB, "streams": [{"port": 7001, "upstream": "web"}] * 2}, "nginx.streams[1].port",
     "must be unique"),
    ("a network twice", stream(allow=["10.0.0.0/8", "10.0.0.0/8"]), "nginx.streams[0]", "(got 10.0.0.0/8 twice)"),
    ("more networks than rules of a security group", stream(allow=[f"10.{n}.0.0/16" for n in range(96)]),
     "nginx.streams", "must need at most 95 rules, one for each stream and network"),
    ("UDP to a TCP service", stream(protocol="udp", upstream="iam-apiserver"), "nginx.streams[0].upstream",
     "cannot be iam-apiserver with protocol udp: services listen on TCP ports"),
    ("a cookie of TCP", {**stream(), **upstream(method="hash", hashKey="$remote_addr$cookie_id")},
     "nginx.streams[0].upstream", "cannot be web, whose hashKey contains $cookie_id: streams do not have"),
    ("a network of both lists of a stream", stream(allow=["10.0.0.0/8"], deny=["10.0.0.0/8"]), "nginx.streams[0]",
     "allow and deny must differ"),
    ("url-hash for TCP", {**stream(), **upstream(method="url-hash")}, "nginx.streams[0].upstream", "TCP has no URL"),
]  # fmt: skip


@pytest.mark.parametrize(("nginx", "key", "text"), [pytest.param(*rest, id=name) for name, *rest in PROBLEMS])
def test_a_wrong_setting_is_refused_with_the_reason(nginx: dict[str, Any], key: str, text: str) -> None:
    problems = {problem.key: problem.text for problem in problems_of(with_value(sections(), "nginx", nginx))}
    wanted = f"tandem:{key}" if key.startswith("nginx") else f"tandem:nginx.{key}"
    assert wanted in problems, problems
    assert text in problems[wanted]


def test_a_body_can_contain_the_groups_of_its_path() -> None:
    path = {"path": "^/(x)/(y)$", "match": "~", "respond": {"body": "$2 of $1 on ${host}"}}
    assert problems_of(with_value(sections(), "nginx", site(locations=[path]))) == ()


@pytest.mark.parametrize("change", [
    pytest.param({1: {"match": "^~"}}, id="a prefix that no expression overrides"),
    pytest.param({2: {"access": {"allow": ["10.0.0.0/8"]}}}, id="an expression that is closed, too"),
    pytest.param({2: {"path": r"^/pictures/.*\.png$"}}, id="an expression for other paths"),
    pytest.param({1: {"path": "/"}, 0: {"path": "/other/"}}, id="exceptions from a closed site"),
])  # fmt: skip
def test_a_closed_location_beside_an_expression(change: dict[int, dict[str, Any]]) -> None:
    given: list[dict[str, Any]] = [
        {"path": "/", "proxy": "web"}, {"path": "/admin/", "proxy": "web", "access": {"allow": ["10.0.0.0/8"]}},
        {"path": r"\.png$", "match": "~", "root": "/srv/x"},
    ]  # fmt: skip
    locations = [{**each, **change.get(number, {})} for number, each in enumerate(given)]
    assert problems_of(with_value(sections(), "nginx", site(locations=locations))) == ()


def test_the_advice_of_the_messages_is_accepted() -> None:
    chinese = {"path": "^/\u4e2d/", "match": "~", "proxy": "web"}
    for nginx in ({"clientMaxBodySize": "10M"}, site(locations=[chinese])):
        assert problems_of(with_value(sections(), "nginx", nginx)) == ()


def test_a_service_can_receive_the_user_that_nginx_has_checked() -> None:
    values = with_value(sections(), "credentials", {"basicAuth": {"staff": {"alice": "$5$salt$" + "x" * 43}}})
    nginx = location(proxy="web", basicAuth={"users": "staff"}, requestHeaders={"X-User": "$remote_user"})
    assert problems_of(with_value(values, "nginx", nginx), encrypted_sections=frozenset({"credentials"})) == ()


def test_a_stream_can_have_the_port_of_servers_on_which_nginx_does_not_run() -> None:
    """The port of an API or a database outside the group, or on an application node, is the usual one."""
    third = {"name": "iam-c", "address": "10.0.4.22"}
    values = with_value(sections(), "nodes.members", [*sections()["nodes"]["members"], third])
    for address in ("10.0.9.1", "db.example.com", "iam-c"):
        nginx = {**stream(port=6443), **server(address=address, port=6443)}
        assert problems_of(with_value(values, "nginx", nginx)) == ()


def test_the_security_group_of_the_application_nodes_has_room_for_the_ports_of_udp_servers() -> None:
    members = [*sections()["nodes"]["members"], {"name": "iam-c", "address": "10.0.4.22"}]
    names = {f"dns{number}": 5000 + number for number in range(50)}
    nginx = {
        "upstreams": {name: {"servers": [{"address": "iam-c", "port": port}]} for name, port in names.items()},
        "streams": [{"port": port, "protocol": "udp", "upstream": name} for name, port in names.items()],
    }
    (problem,) = problems_of(with_values(sections(), {"nodes.members": members, "nginx": nginx}))
    assert problem.key == "tandem:nginx.upstreams"
    assert "the security group of the application nodes can have 100 rules" in problem.text


_NO_IAM = {"iam": {"enabled": False}}
_EXTERNAL = {"data": EXTERNAL, "credentials": {"given": GIVEN}}


@pytest.mark.parametrize(
    ("others", "port", "owner"),
    [
        pytest.param({}, 3306, "MariaDB", id="databases on the first node"),
        pytest.param({}, 7070, "iam-pump", id="IAM"),
        pytest.param(_EXTERNAL, 7070, "iam-pump", id="IAM with external databases"),
        pytest.param(_EXTERNAL, 3306, None, id="external MariaDB"),
        pytest.param(_EXTERNAL, 6379, None, id="external Redis"),
        pytest.param(_NO_IAM, 3306, None, id="no MariaDB"),
        pytest.param(_NO_IAM, 8080, None, id="no IAM"),
        pytest.param(_NO_IAM, 22, "SSH", id="SSH is on every node"),
    ],
)
def test_a_stream_can_have_any_port_that_the_program_does_not_use(
    others: dict[str, Any], port: int, owner: str | None
) -> None:
    values = with_values(sections(), {**others, "nginx": stream(port=port)})
    found = problems_of(values, encrypted_sections=frozenset({"credentials"}))
    texts = [problem.text for problem in found if problem.key.startswith("tandem:nginx")]
    assert texts == ([f"cannot be {port}, which {owner} uses on the nodes"] if owner else [])


def test_a_site_with_a_separate_certificate_gets_hsts() -> None:
    ca = issue("Test CA")
    leaf = issue(HOST, HOST, by=ca)
    given = {"certificate": leaf.pem, "privateKey": leaf.private_key, "ca": ca.pem}
    values = with_values(sections(), {"nginx": site(certificate="mine"), "credentials.certificates": {"mine": given}})
    encrypted = frozenset({"credentials"})
    assert parse(values, encrypted_sections=encrypted).credentials.trusted_names() == frozenset()
    wrong = with_value(values, "nginx", site(certificate="mine", hosts=["other.example.com"]))
    problems = problems_of(wrong, encrypted_sections=encrypted)
    assert [problem.key for problem in problems] == ["tandem:credentials.certificates.mine.certificate"]
    assert "must be valid for other.example.com" in problems[0].text


def test_secrets_of_sites_must_be_encrypted_and_passwords_hashed() -> None:
    given = {"basicAuth": {"staff": {"alice": "$5$salt$kpa26zwgX83BPSR8d7w93OIXbFt"}}}
    (problem,) = problems_of(with_value(sections(), "credentials", given))
    assert problem.key == "tandem:credentials.basicAuth.staff.alice"
    assert "must be encrypted" in problem.text
    plain = with_value(sections(), "credentials", {"basicAuth": {"staff": {"alice": "secret-password"}}})
    (problem,) = problems_of(plain, encrypted_sections=frozenset({"credentials"}))
    assert "must be the hash of a password" in problem.text
    assert "secret-password" not in problem.text


@pytest.mark.parametrize(
    ("path", "match", "named"),
    [
        ("/.config/", "prefix", True),
        ("/x/.version", "=", True),
        ("/.well-known/.x/", "^~", True),
        (r"^/\.(a|b)/", "~*", True),
        ("/a.b/", "prefix", False),
        ("/.well-known/x", "^~", False),
        (r"^/\.well-known/", "~", False),
        (r"^/.*\.png$", "~", False),
        (r"^(?!/\.).*\.png$", "~", False),
        (r"^/x/\.?y", "~", False),
    ],
)
def test_only_a_path_that_names_hidden_files_makes_them_public(path: str, match: Any, *, named: bool) -> None:
    assert LocationSettings(path=path, match=match, root="/srv/x").names_hidden_files == named
