"""Health check of the group from outside: HTTPS requests to each domain through each public IP."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import httpx

from provisioning.errors import HealthError

REQUEST_TIMEOUT_S = 3.0
# Traffic follows a HAVIP after about 10 s, in some regions after 1 to 2 minutes (document intl:215/31817).
DEADLINE_S = 180.0


@dataclass(frozen=True, slots=True)
class Probe:
    """One request to a service and its result."""

    name: str  # "api through 203.0.113.10"
    url: str
    ok: bool
    seen: str  # "200 {"status":"ok"}", or the error
    took_ms: float


@dataclass(frozen=True, slots=True)
class HealthReport:
    probes: tuple[Probe, ...]

    @property
    def healthy(self) -> bool:
        return all(probe.ok for probe in self.probes)

    def __str__(self) -> str:
        width = max((len(probe.name) for probe in self.probes), default=0)
        return "\n".join(
            f"{'ok  ' if probe.ok else 'FAIL'} {probe.name:<{width}}  {probe.took_ms:6.1f} ms  {probe.seen}"
            for probe in self.probes
        )


def check(
    public_ips: Sequence[str],
    domains: Mapping[str, str],
    ca_certificate: str,
    *,
    deadline_s: float = DEADLINE_S,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> HealthReport:
    """Repeat the health check until it passes.

    `domains` maps a short name such as "api" to a domain. Domains need no DNS records: requests go to the IP address
    with the domain as TLS server name. `ca_certificate` is PEM; "" means the system's certificate authorities.

    Raises:
        HealthError: the check still fails after `deadline_s`; with the last responses.
    """
    deadline = clock() + deadline_s
    while True:
        report = probe_once(public_ips, domains, ca_certificate)
        if report.healthy:
            return report
        if clock() > deadline:
            raise HealthError(
                f"the group failed its health check for {deadline_s:.0f} s",
                seen=str(report),
                look_at="tandem health; journalctl -u nginx -u keepalived -u iam-apiserver on the nodes",
            )
        sleep(0.3)


def probe_once(public_ips: Sequence[str], domains: Mapping[str, str], ca_certificate: str) -> HealthReport:
    """Send one request for each address and domain."""
    context = ssl.create_default_context(cadata=ca_certificate or None)
    probes: list[Probe] = []
    for address in public_ips:
        for name, domain in domains.items():
            probes.append(_probe(f"{name} through {address}", address, domain, context))
    return HealthReport(tuple(probes))


def _probe(name: str, address: str, domain: str, context: ssl.SSLContext) -> Probe:
    url = f"https://{domain}/healthz"
    began = time.monotonic()
    # A new connection for each request: a kept-alive one would not follow the virtual IP.
    try:
        with httpx.Client(verify=context, timeout=REQUEST_TIMEOUT_S, trust_env=False) as client:
            answer = client.get(
                f"https://{address}/healthz", headers={"Host": domain}, extensions={"sni_hostname": domain}
            )
        ok, seen = answer.is_success, f"{answer.status_code} {answer.text.strip()[:120]}"
    except httpx.HTTPError as error:
        ok, seen = False, f"{type(error).__name__}: {error}"
    return Probe(name, url, ok, seen, (time.monotonic() - began) * 1000)
