"""Rules about nginx's sites, upstreams and streams."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from settings.credentials import SERVED_NAMES, CredentialsSettings
from settings.data import DataSettings
from settings.domains import DomainsSettings
from settings.headers import HSTS, find_header
from settings.iam import APISERVER, AUTHZ_SERVER, IamSettings
from settings.nginx import NginxSettings
from settings.nodes import ELIGIBLE_NODES, NodesSettings
from settings.problems import Problem
from settings.rules.certificates import find_problems
from settings.rules.ports import NGINX_AND_SSH, NGINX_PORTS, iam_ports
from settings.services import ServiceSettings
from settings.sites import name_of
from settings.upstreams import find_http_variable
from settings.virtual_ip import VirtualIpSettings

Services = Mapping[str, ServiceSettings]

HEALTH = "health"  # a server_name in default.conf.j2
_SITES = "tandem:nginx.sites"
_STREAMS = "tandem:nginx.streams"


def _known(nginx: NginxSettings, iam: IamSettings, services: Services) -> set[str]:
    own = {name for name, service in services.items() if service.port is not None}
    return {*((APISERVER, AUTHZ_SERVER) if iam.enabled else ()), *own, *nginx.upstreams}


def _unknown_target(key: str, name: str, known: set[str]) -> Problem:
    names = ", ".join(sorted(known))
    return Problem(
        key, f"must be the name of an upstream or of a service with a port (got {name}); known: {names or 'none'}"
    )


def check_upstream_names(nginx: NginxSettings, services: Services) -> Iterator[Problem]:
    for name in nginx.upstreams:
        if name in services:
            yield Problem(f"tandem:nginx.upstreams.{name}", f"cannot be named {name}, the name of a service")
        if name in {APISERVER, AUTHZ_SERVER}:
            yield Problem(f"tandem:nginx.upstreams.{name}", f"cannot be named {name}, the upstream of an IAM service")


def check_targets(nginx: NginxSettings, iam: IamSettings, services: Services) -> Iterator[Problem]:
    known = _known(nginx, iam, services)
    for number, site in enumerate(nginx.sites):
        for index, location in enumerate(site.locations):
            if location.proxy is not None and location.proxy not in known:
                yield _unknown_target(f"{_SITES}[{number}].locations[{index}].proxy", location.proxy, known)
    for number, stream in enumerate(nginx.streams):
        named = {"upstream": stream.upstream, **{f"serverNames.{k}": v for k, v in stream.server_names.items()}}
        for key, name in named.items():
            if name is not None and name not in known:
                yield _unknown_target(f"{_STREAMS}[{number}].{key}", name, known)
            elif name in nginx.upstreams and nginx.upstreams[name].method == "url-hash":
                yield Problem(f"{_STREAMS}[{number}].{key}", f"cannot be {name} with method url-hash: TCP has no URL")
            elif name in nginx.upstreams and (unknown := find_http_variable(nginx.upstreams[name].hash_key or "")):
                yield Problem(
                    f"{_STREAMS}[{number}].{key}",
                    f"cannot be {name}, whose hashKey contains {unknown}: streams do not have this variable; use "
                    "$remote_addr or $ssl_preread_server_name",
                )
            elif name is not None and name not in nginx.upstreams and stream.protocol == "udp":
                yield Problem(
                    f"{_STREAMS}[{number}].{key}",
                    f"cannot be {name} with protocol udp: services listen on TCP ports; name their UDP servers in "
                    "nginx.upstreams",
                )


def check_sites_have_files(nginx: NginxSettings) -> Iterator[Problem]:
    for number, site in enumerate(nginx.sites):
        if site.has_files:
            continue
        if not site.locations:
            yield Problem(f"{_SITES}[{number}]", "must have locations, or content or root for the files of the site")
        for index, location in enumerate(site.locations):
            if not location.has_target:
                yield Problem(
                    f"{_SITES}[{number}].locations[{index}]",
                    f"must have one of proxy, root, alias, redirect and respond (got {location.path} without a target)",
                )
        pages = [*site.error_pages.values(), *(page for each in site.locations for page in each.error_pages.values())]
        if any(page.file for page in pages):
            yield Problem(
                f"{_SITES}[{number}].errorPages", "file cannot be set without content or root, the files of the site"
            )


def check_hosts_differ_from_domains(nginx: NginxSettings, domains: DomainsSettings) -> Iterator[Problem]:
    owners = {name: (name, f"tandem:domains.{key}") for key, name in domains.model_dump().items()}
    for key, host in _hosts(nginx):
        if name_of(host) in owners:
            yield _repeated_host(key, host, *owners[name_of(host)])


def _hosts(nginx: NginxSettings) -> Iterator[tuple[str, str]]:
    """All host names of sites with their keys."""
    for number, site in enumerate(nginx.sites):
        for index, host in enumerate(site.hosts):
            yield f"{_SITES}[{number}].hosts[{index}]", host


def _repeated_host(key: str, host: str, other: str, owner: str) -> Problem:
    if host == other:
        return Problem(key, f"must be unique (got {host}, also in {owner})")
    return Problem(
        key,
        f"cannot be {host} with {other} in {owner}: {name_of(host)} stands for the wildcard in DNS records, "
        "certificates and checks; choose another name",
    )


def check_hosts_are_not_reserved(nginx: NginxSettings) -> Iterator[Problem]:
    for number, site in enumerate(nginx.sites):
        if site.name in SERVED_NAMES:
            yield Problem(
                f"{_SITES}[{number}].hosts[0]",
                f"cannot be {site.name}, which stands for an IAM service in the stack's outputs and checks; put "
                "another host name first, such as one with a domain",
            )
    for key, host in _hosts(nginx):
        if host == HEALTH:
            yield Problem(key, f"cannot be {host}, the host name of the health daemons' probes; choose another name")
        if name_of(host).rpartition(".")[2] == "localhost":
            yield Problem(key, f"cannot be {host}: it is the name of each host for itself (RFC 6761)")


def check_sites_do_not_proxy_to_nginx(
    nginx: NginxSettings, nodes: NodesSettings, virtual_ip: VirtualIpSettings
) -> Iterator[Problem]:
    """A request that returns to its site loops until no connection is free."""
    own = {text for node in nodes.members[:ELIGIBLE_NODES] for text in (node.name, str(node.address))}
    own |= set(map(str, virtual_ip.addresses))
    targets = {location.proxy for site in nginx.sites for location in site.locations}
    for name, upstream in nginx.upstreams.items():
        for number, server in enumerate(upstream.servers if name in targets else ()):
            if server.address in own and server.port in NGINX_PORTS:
                yield Problem(
                    f"tandem:nginx.upstreams.{name}.servers[{number}]",
                    f"cannot be {server.address}:{server.port}, where nginx listens: requests would return to their "
                    "site; let the service listen on another port",
                )


def check_content_of_nodes(nginx: NginxSettings, nodes: NodesSettings) -> Iterator[Problem]:
    eligible = [node.name for node in nodes.members[:ELIGIBLE_NODES]]
    for number, site in enumerate(nginx.sites):
        if isinstance(site.content, dict) and sorted(site.content) != sorted(eligible):
            yield Problem(
                f"{_SITES}[{number}].content",
                f"must name the eligible nodes {' and '.join(eligible)} (got {', '.join(site.content)})",
            )


def check_hosts_are_unique(nginx: NginxSettings) -> Iterator[Problem]:
    owners: dict[str, tuple[str, str]] = {}
    for key, host in _hosts(nginx):
        other, owner = owners.setdefault(name_of(host), (host, key))
        if owner != key:
            yield _repeated_host(key, host, other, owner)


def check_certificates_of_streams_differ(nginx: NginxSettings) -> Iterator[Problem]:
    owners: dict[str, tuple[str, str]] = {}
    for number, stream in enumerate(nginx.streams):
        host = stream.tls.host if stream.tls else None
        key = f"{_STREAMS}[{number}].tls.host"
        # Streams with the same host share its certificate.
        if host and (first := owners.setdefault(name_of(host), (host, key)))[0] != host:
            yield _repeated_host(key, host, *first)


def check_one_default_site(nginx: NginxSettings) -> Iterator[Problem]:
    defaults = [number for number, site in enumerate(nginx.sites) if site.default]
    for number in defaults[1:]:
        yield Problem(f"{_SITES}[{number}].default", f"can be true for one site only (also for sites[{defaults[0]}])")


def check_certificates(nginx: NginxSettings, credentials: CredentialsSettings) -> Iterator[Problem]:
    used = {
        f"{_SITES}[{number}].certificate": (site.certificate, site.hosts)
        for number, site in enumerate(nginx.sites)
    } | {
        f"{_STREAMS}[{number}].tls.certificate": (stream.tls.certificate, ())
        for number, stream in enumerate(nginx.streams)
        if stream.tls
    }  # fmt: skip
    hosts: dict[str, list[str]] = {}
    for key, (name, names) in used.items():
        if name is None:
            continue
        if name not in credentials.certificates:
            yield Problem(key, f"must be the name of a certificate in tandem:credentials.certificates (got {name})")
        hosts.setdefault(name, []).extend(names)
    for name, given in credentials.certificates.items():
        for key, text in find_problems(given, tuple(dict.fromkeys(hosts.get(name, [])))):
            yield Problem(f"tandem:credentials.certificates.{name}.{key}", text)


def check_hsts(nginx: NginxSettings, credentials: CredentialsSettings) -> Iterator[Problem]:
    """A browser that has seen the header offers no way past an untrusted certificate, also after a mistake."""
    trusted = credentials.trusted_names()
    reason = (
        "cannot be set without a certificate that clients trust: browsers would refuse the site, without a way to "
        "continue, until this time has passed; give one in tandem:credentials first"
    )
    if nginx.hsts_max_age_s and not trusted & {"api", "authz"} and not any(s.certificate for s in nginx.sites):
        yield Problem("tandem:nginx.hstsMaxAgeS", f"{reason} (got {nginx.hsts_max_age_s})")
    for number, site in enumerate(nginx.sites):
        if site.certificate_name in trusted:
            continue
        if site.hsts_max_age_s:
            yield Problem(f"{_SITES}[{number}].hstsMaxAgeS", f"{reason} (got {site.hsts_max_age_s})")
        given = {f"locations[{index}].headers": each.headers for index, each in enumerate(site.locations)}
        for key, headers in {"headers": site.headers, **given}.items():
            if (name := find_header(headers, HSTS)) is not None:
                yield Problem(f"{_SITES}[{number}].{key}.{name}", f"{reason} (got {headers[name]})")


def check_user_lists(nginx: NginxSettings, credentials: CredentialsSettings) -> Iterator[Problem]:
    for number, site in enumerate(nginx.sites):
        for index, location in enumerate(site.locations):
            if location.basic_auth is not None and location.basic_auth.users not in credentials.basic_auth:
                yield Problem(
                    f"{_SITES}[{number}].locations[{index}].basicAuth.users",
                    f"must be the name of a list in tandem:credentials.basicAuth (got {location.basic_auth.users})",
                )


def check_stream_ports(
    nginx: NginxSettings, iam: IamSettings, data: DataSettings, nodes: NodesSettings, virtual_ip: VirtualIpSettings
) -> Iterator[Problem]:
    virtual = set(map(str, virtual_ip.addresses))
    eligible = {text for node in nodes.members[:ELIGIBLE_NODES] for text in (node.name, str(node.address))}
    used = {**NGINX_AND_SSH, **iam_ports(iam, data)}
    seen: set[tuple[int, str]] = set()
    for number, stream in enumerate(nginx.streams):
        key = f"{_STREAMS}[{number}].port"
        if stream.protocol == "tcp" and stream.port in used:
            yield Problem(key, f"cannot be {stream.port}, which {used[stream.port]} uses on the nodes")
        if (stream.port, stream.protocol) in seen:
            yield Problem(key, f"must be unique for {stream.protocol} (got {stream.port} twice)")
        seen.add((stream.port, stream.protocol))
        for name in {stream.upstream, *stream.server_names.values()} & set(nginx.upstreams):
            servers = nginx.upstreams[name or ""].servers
            if any(server.address in virtual and server.port == stream.port for server in servers):
                yield Problem(
                    key,
                    f"must differ from the port of the servers of {name} (got {stream.port}): at a virtual IP "
                    "nginx itself listens on it, so connections would loop",
                )
            beside_nginx = {server.port for server in servers if server.address in eligible}
            if stream.protocol == "tcp" and stream.port in beside_nginx:
                yield Problem(
                    key,
                    f"must differ from the port of the servers of {name} (got {stream.port}): on one node "
                    "they cannot share a port",
                )


RULES = (
    check_upstream_names,
    check_targets,
    check_sites_have_files,
    check_hosts_are_not_reserved,
    check_hosts_are_unique,
    check_certificates_of_streams_differ,
    check_hosts_differ_from_domains,
    check_sites_do_not_proxy_to_nginx,
    check_content_of_nodes,
    check_one_default_site,
    check_certificates,
    check_hsts,
    check_user_lists,
    check_stream_ports,
)
