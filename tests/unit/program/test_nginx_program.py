"""The resources of sites and streams."""

from __future__ import annotations

import json

from program_runs import run_option


def test_the_security_group_opens_the_ports_of_streams_to_their_clients() -> None:
    declared = run_option("sites and streams")
    rules = declared.get("firewall-eligible-rules").inputs["ingresses"]
    opened = [(each["cidrBlock"], each["protocol"], each["port"]) for each in rules]
    assert ("198.51.100.0/24", "TCP", "7001") in opened
    assert ("0.0.0.0/0", "UDP", "5300") in opened
    application = declared.get("firewall-application-rules").inputs["ingresses"]
    datagrams = [(each["cidrBlock"], each["port"]) for each in application if each["protocol"] == "UDP"]
    assert datagrams == [("10.0.4.20/32", "5353"), ("10.0.4.21/32", "5353")]


def test_the_packet_filter_of_a_node_opens_the_ports_of_upstream_servers_to_nginx() -> None:
    files = run_option("sites and streams").get("rollout").inputs["files"]
    application, eligible = (files[name]["/etc/tandem/firewall/rules.nft"] for name in ("iam-c", "iam-a"))
    assert 'ip saddr @eligible tcp dport 7000 accept comment "web, behind nginx"' in application
    assert 'ip saddr @eligible udp dport 5353 accept comment "dns, behind nginx"' in application
    assert "ip saddr @nodes udp sport 5353 accept" in eligible
    assert "ip saddr @nodes udp dport 5300 accept" in eligible
    assert "7000" not in eligible


def test_the_stacks_ca_signs_a_certificate_for_each_site_and_stream_without_one() -> None:
    declared = run_option("sites and streams")
    requests = [each.inputs for each in declared.resources if each.name.endswith("-request")]
    names = {tuple(inputs["dnsNames"]) for inputs in requests}
    assert {("www.example.com",), ("tcp.example.com",)} <= names
    files = declared.get("rollout").inputs["files"]["iam-a"]
    for name in ("site.www.example.com", "given.shop", "stream.tcp.example.com"):
        assert files[f"/etc/nginx/tls/{name}.pem"].endswith(f"@@secret:server_certificate.{name}@@\n")
        assert files[f"/etc/nginx/tls/{name}.key"].endswith(f"@@secret:server_private_key.{name}@@\n")


def test_hashes_of_passwords_are_secrets() -> None:
    declared = run_option("sites and streams")
    inputs = declared.get("rollout").inputs
    assert inputs["files"]["iam-a"]["/etc/nginx/staff.htpasswd"].endswith("@@secret:basic_auth.staff@@\n")
    assert "given-hash" not in json.dumps(inputs["files"])
