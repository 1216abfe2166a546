# ruff: noqa: E501 - a table, one case to a line
from __future__ import annotations

import bisect
from dataclasses import replace
from typing import Any

import pytest
from settings_samples import ABSENT, ED25519, EXTERNAL, RELEASE, parse, problems_of, sections, with_value, with_values

from provisioning.first_boot import user_data
from settings import load
from settings.load import Stack
from settings.problems import SettingsError
from settings.releases import Release, ReleaseError

_NODES = [{"name": f"n{number}", "address": f"10.0.4.{20 + number}"} for number in range(17)]
_TWICE = [{"name": "iam-a", "address": "10.0.4.20"}, {"name": "iam-a", "address": "10.0.4.21"}]


# What is changed in the local stack, the key that is complained about, and words of the complaint.
BAD: list[tuple[str, dict[str, Any], str, str]] = [
    # network
    ("a zone of another region", {"network.zone": "ap-shanghai-2"}, "network.zone", "is a zone of ap-shanghai"),
    ("a zone that is none", {"network.zone": "here"}, "network.zone", "does not look right"),
    ("no zone", {"network.zone": ABSENT}, "network.zone", "is missing"),
    ("a public VPC", {"network.vpcCidr": "8.0.0.0/16"}, "network.vpcCidr", "lies outside 10.0.0.0/8"),
    ("a VPC too wide", {"network.vpcCidr": "10.0.0.0/8"}, "network.vpcCidr", "is not between /12 and /28"),
    ("a VPC too narrow", {"network.vpcCidr": "10.0.4.0/29"}, "network.vpcCidr", "is not between /12 and /28"),
    ("a VPC with host bits", {"network.vpcCidr": "10.0.0.1/16"}, "network.vpcCidr", "not a valid IPv4 network"),
    ("a VPC of IPv6", {"network.vpcCidr": "fd00::/64"}, "network.vpcCidr", "not a valid IPv4 network"),
    ("a subnet outside", {"network.subnetCidr": "10.1.4.0/24"}, "network.subnetCidr", "outside the VPC's 10.0.0.0/16"),
    ("a subnet too narrow", {"network.subnetCidr": "10.0.4.0/30"}, "network.subnetCidr", "/16 and /28"),
    ("a subnet of 8 addresses", {"network.subnetCidr": "10.0.4.16/29"}, "network.subnetCidr", "/16 and /28"),
    ("a misspelt key", {"network.subnetCider": "10.0.4.0/24"}, "network.subnetCider", "did you mean subnetCidr?"),
    ("a key in snake case", {"network.vpc_cidr": "10.0.0.0/16"}, "network.vpc_cidr", "did you mean vpcCidr?"),
    ("a key from nowhere", {"network.colour": "red"}, "network.colour", "known are: zone, vpcCidr"),
    ("another way out", {"network.egress": "proxy"}, "network.egress", "'none' or 'nat'"),
    ("a NAT size that is none", {"network.natBandwidthMbps": 70}, "network.natBandwidthMbps", "70 is refused"),
    ("more NAT than its address has", {"network.natBandwidthMbps": 200}, "network.natBandwidthMbps", "200 is refused"),
    (
        "NAT in somebody's network",
        {"network.existing": {"vpcId": "vpc-1234abcd", "subnetId": "subnet-1234abcd"}, "network.egress": "nat"},
        "network.egress",
        "in a network that is not this stack's",
    ),
    (
        "an existing network of unknown addresses",
        {"network.existing": {"vpcId": "vpc-1234abcd", "subnetId": "subnet-1234abcd"}, "network.vpcCidr": ABSENT},
        "network.vpcCidr",
        "has addresses of its own",
    ),
    ("an existing VPC by name", {"network.existing": {"vpcId": "mine", "subnetId": "subnet-1234abcd"}},
     "network.existing.vpcId", "mine does not look right"),
    ("half an existing network", {"network.existing": {"vpcId": "vpc-1234abcd"}}, "network.existing.subnetId", "missing"),
    # nodes
    ("one node", {"nodes.members": _NODES[:1]}, "nodes.members", "at least 2"),
    ("17 nodes", {"nodes.members": _NODES}, "nodes.members", "at most 16"),
    ("no image", {"nodes.image": ABSENT}, "nodes.image", "is missing"),
    ("the newest image", {"nodes.image": "latest"}, "nodes.image", "latest does not look right"),
    ("a node outside", {"nodes.members.1.address": "10.0.5.21"}, "nodes.members[1].address", "not in the subnet"),
    ("the gateway", {"nodes.members.1.address": "10.0.4.1"}, "nodes.members[1].address", "reserved by the cloud"),
    ("the network's address", {"nodes.members.1.address": "10.0.4.0"}, "nodes.members[1].address", "reserved"),
    ("the broadcast address", {"nodes.members.1.address": "10.0.4.255"}, "nodes.members[1].address", "reserved"),
    ("an address twice", {"nodes.members.1.address": "10.0.4.20"}, "nodes.members[1].address", "used twice: also by"),
    ("no address at all", {"nodes.members.1.address": ABSENT}, "nodes.members[1].address", "is missing"),
    ("an address that is none", {"nodes.members.1.address": "10.0.4"}, "nodes.members[1].address", "valid IPv4"),
    ("a name twice", {"nodes.members": _TWICE}, "nodes.members[1].name", "is used by 2 nodes"),
    ("a name in capitals", {"nodes.members.0.name": "IAM-A"}, "nodes.members[0].name", "IAM-A does not look right"),
    ("a name with two hyphens", {"nodes.members.0.name": "iam--a"}, "nodes.members[0].name", "does not look right"),
    ("a name that ends in a hyphen", {"nodes.members.0.name": "iam-"}, "nodes.members[0].name", "does not look right"),
    ("a name of one letter", {"nodes.members.0.name": "a"}, "nodes.members[0].name", "at least 2 characters"),
    ("a name too long", {"nodes.members.0.name": "a" * 31}, "nodes.members[0].name", "at most 30 characters"),
    ("a name with a dot", {"nodes.members.0.name": "iam.a"}, "nodes.members[0].name", "does not look right"),
    ("login as root", {"nodes.user": "root"}, "nodes.user", "root's login stays closed"),
    ("a type that is none", {"nodes.type": "large"}, "nodes.type", "large does not look right"),
    ("a placement that is none", {"nodes.placement": "continent"}, "nodes.placement", "'host', 'rack' or 'switch'"),
    ("a tiny system disk", {"nodes.systemDisk": {"sizeGib": 5}}, "nodes.systemDisk.sizeGib", "5 is refused"),
    ("an odd data disk", {"nodes.dataDisk": {"sizeGib": 25}}, "nodes.dataDisk.sizeGib", "multiple of 10"),
    ("a disk of another kind", {"nodes.dataDisk": {"type": "FLOPPY"}}, "nodes.dataDisk.type", "FLOPPY is refused"),
    ("a number for a switch", {"nodes.securityAgent": 7}, "nodes.securityAgent", "7 is refused"),
    ("nodes as a word", {"nodes": "two"}, "nodes", "two is refused"),
    # access
    ("SSH for everyone", {"access.adminCidrs": ["0.0.0.0/0"]}, "access.adminCidrs[0]", "lets (nearly) everyone try"),
    ("SSH for half of everyone", {"access.adminCidrs": ["128.0.0.0/1"]}, "access.adminCidrs[0]", "everyone"),
    ("SSH for nobody", {"access.adminCidrs": []}, "access.adminCidrs", "at least 1"),
    ("no administrators", {"access.adminCidrs": ABSENT}, "access.adminCidrs", "is missing"),
    ("administrators twice", {"access.adminCidrs": ["1.2.3.0/24", "1.2.3.0/24"]}, "access.adminCidrs[1]", "listed twice"),
    ("an administrator's host bits", {"access.adminCidrs": ["1.2.3.4/24"]}, "access.adminCidrs[0]", "not a valid IPv4"),
    ("another way in", {"access.mode": "telnet"}, "access.mode", "'bastion', 'direct' or 'public'"),
    ("a private key", {"access.publicKeys": ["-----BEGIN OPENSSH PRIVATE KEY-----"]}, "access.publicKeys[0]", "look right"),
    ("a bastion on a node's address", {"access.mode": "bastion", "access.bastion": {"address": "10.0.4.20"}},
     "access.bastion.address", "used twice"),
    ("a node called bastion", {"access.mode": "bastion", "nodes.members.1.name": "bastion"},
     "nodes.members[1].name", "the name of the bastion"),
    # addresses and names
    ("a virtual IP outside", {"virtualIp.address": "10.0.5.99"}, "virtualIp.address", "is not in the subnet 10.0.4.0/24"),
    ("a virtual IP of a node", {"virtualIp.address": "10.0.4.20"}, "virtualIp.address", "used twice"),
    ("a second address without masters", {"virtualIp.secondAddress": "10.0.4.98"}, "virtualIp.secondAddress", "no master"),
    ("two masters, one address", {"keepalived": {"mode": "dual-master"}}, "virtualIp.secondAddress", "needs two addresses"),
    ("too much bandwidth", {"virtualIp.bandwidthMbps": 9000}, "virtualIp.bandwidthMbps", "9000 is refused"),
    ("more than an address is sold with", {"virtualIp.bandwidthMbps": 101}, "virtualIp.bandwidthMbps", "more than 100"),
    ("more bandwidth than an address pays for",
     {"virtualIp": {"address": "10.0.4.99", "bandwidthMbps": 200, "chargeType": "BANDWIDTH_POSTPAID_BY_HOUR"}},
     "virtualIp.bandwidthMbps", "more takes a bandwidth package"),
    ("paid for by the month", {"virtualIp.chargeType": "BANDWIDTH_PREPAID_BY_MONTH"}, "virtualIp.chargeType", "refused"),
    ("a package without an id", {"virtualIp.chargeType": "BANDWIDTH_PACKAGE"}, "virtualIp.bandwidthPackageId", "missing"),
    ("a package that is not paid by", {"virtualIp.bandwidthPackageId": "bwp-1234abcd"},
     "virtualIp.bandwidthPackageId", "would not be used: chargeType is TRAFFIC_POSTPAID_BY_HOUR"),
    ("a package by name", {"virtualIp.bandwidthPackageId": "ours"}, "virtualIp.bandwidthPackageId", "ours does not look"),
    ("no domains", {"domains": ABSENT}, "domains.api", "is missing"),
    ("a domain with a scheme", {"domains.api": "https://a.example.com"}, "domains.api", "does not look right"),
    ("one domain for both", {"domains.authz": "iam.api.example.com"}, "domains.authz", "of the other service too"),
    ("domains of another zone", {"dns": {"zone": "example.org"}}, "domains.api", "is not in the DNS zone example.org"),
    ("a TTL of nothing", {"dns": {"zone": "example.com", "ttlS": 0}}, "dns.ttlS", "0 is refused"),
    # alarms
    ("alarms for nobody", {"alarms": {"enabled": True}}, "alarms.receivers", "wakes nobody"),
    ("four call-backs", {"alarms": {"receivers": {"urls": [f"https://x.example.com/{i}" for i in range(4)]}}},
     "alarms.receivers.urls", "at most 3"),
    ("a call-back that is none", {"alarms": {"receivers": {"urls": ["mailto:a"]}}}, "alarms.receivers.urls[0]", "right"),
    ("a receiver by name", {"alarms": {"receivers": {"userIds": ["joe"]}}}, "alarms.receivers.userIds[0]", "joe is refused"),
    ("alarms without an agent", {"alarms": {"enabled": True, "receivers": {"userIds": [1]}}, "nodes.monitoringAgent": False},
     "nodes.monitoringAgent", "only this agent sees"),
    ("a percentage of 200", {"alarms": {"cpuPercent": 200}}, "alarms.cpuPercent", "200 is refused"),
    # credentials
    ("a password in clear", {"credentials": {"given": {"redisPassword": "hunter2hunter2"}}},
     "credentials.given.redisPassword", "stands in the file in clear"),
    ("a short JWT key", {"credentials": {"given": {"jwtKey": "abc"}}}, "credentials.given.jwtKey", "a secret, not shown"),
    ("a generation of nothing", {"credentials": {"generation": {"nonesuch": 2}}}, "credentials.generation.nonesuch", "refused"),
    ("another deployment key", {"credentials": {"generation": {"deploymentKey": 2}}},
     "credentials.generation.deploymentKey", "refused"),
    ("a generation of 0", {"credentials": {"generation": {"jwtKey": 0}}}, "credentials.generation.jwtKey", "0 is refused"),
    ("renewal before issue", {"credentials": {"validityHours": 100, "earlyRenewalHours": 100}},
     "credentials.earlyRenewalHours", "every `up` would make new certificates"),
    ("a CA that dies young", {"credentials": {"caValidityHours": 9000, "validityHours": 9001}},
     "credentials.caValidityHours", "outlive the CA"),
    ("a certificate that is none", {"credentials": {"server": {"certificate": "x", "privateKey": "y"}}},
     "credentials.server.certificate", "does not look right"),
    # services
    ("nginx as root", {"nginx": {"user": "root"}}, "nginx.user", "www-data"),
    ("any origin with cookies", {"nginx": {"cors": {"allowOrigins": ["*"], "allowCredentials": True}}},
     "nginx.cors", "name the origins instead"),
    ("no connections", {"nginx": {"workerConnections": 1}}, "nginx.workerConnections", "1 is refused"),
    ("workers by word", {"nginx": {"workerProcesses": "many"}}, "nginx.workerProcesses", "many is refused"),
    ("VRID 0", {"keepalived": {"virtualRouterId": 0}}, "keepalived.virtualRouterId", "0 is refused"),
    ("VRID 256", {"keepalived": {"virtualRouterId": 256}}, "keepalived.virtualRouterId", "256 is refused"),
    ("no VRID for the second address", {"keepalived": {"mode": "dual-master", "virtualRouterId": 255},
     "virtualIp.secondAddress": "10.0.4.98"}, "keepalived", "leaves no next one"),
    ("a profile that is none", {"keepalived": {"profile": "ludicrous"}}, "keepalived.profile", "'balanced' or 'seed'"),
    ("a weight that reverses nothing", {"keepalived": {"mode": "preempt", "priorityStep": 30, "drainWeight": -20}},
     "keepalived", "drainWeight"),
    ("told in vain", {"keepalived": {"notifyUrls": ["https://hooks.example.com/x"]}},
     "keepalived.notifyUrls[0]", "network.egress none leads nowhere"),
    ("told in vain at an address", {"keepalived": {"notifyUrls": ["http://8.8.8.8/x"]}},
     "keepalived.notifyUrls[0]", "outside the VPC"),
    ("120 people", {"access.publicKeys": [ED25519] * 120}, "access.publicKeys", "fit into user data"),
    ("a long name in Chinese", {"access.publicKeys": [f"{ED25519} {'名' * 2000}"]}, "access.publicKeys", "fit into"),
    ("databases nowhere", {"data": {"location": "external"}}, "data", "needs mariadbAddress"),
    ("external without passwords", {"data": EXTERNAL}, "credentials.given.mariadbPassword", "only you know it"),
    ("audit records nowhere", {"data": {**EXTERNAL, "mongodb": {"address": "10.0.9.3"}}}, "data.mongodb.address",
     "10.0.9.3"),
    ("MongoDB without a password", {"data": {**EXTERNAL, "mongodb": {"address": "10.0.9.3:27017"}}},
     "credentials.given.mongodbPassword", "only you know it"),
    ("a token for ever", {"iam": {"tokenLifetimeS": 99_999_999}}, "iam.tokenLifetimeS", "99999999 is refused"),
    # the rest
    ("a section that is none", {"node": {}}, "node", "did you mean nodes?"),
    ("a reserved tag", {"tags": {"project": "x"}}, "tags.project", "is reserved"),
    ("a tag of the cloud's", {"tags": {"qcs:owner": "x"}}, "tags.qcs:owner", "is reserved"),
    ("a tag of ours", {"tags": {"pulumi-stack": "x"}}, "tags.pulumi-stack", "is reserved"),
    ("an empty tag", {"tags": {"owner": ""}}, "tags.owner", "'' cannot be in a tag, which takes 1 to 255"),
    ("a space at a tag's end", {"tags": {"owner": "Ann "}}, "tags.owner", "but at an end, spaces"),
    ("a tag's value of 256 letters", {"tags": {"owner": "x" * 256}}, "tags.owner", "1 to 255"),
    ("a tag's key of 128 letters", {"tags": {"k" * 128: "x"}}, f"tags.{'k' * 128}", "1 to 127"),
    ("a tag with an exclamation mark", {"tags": {"owner": "Ann!"}}, "tags.owner", "'Ann!' cannot be in a tag"),
    ("a tag that YAML read", {"tags": {"release": 1.1}}, "tags.release", "1.1 is no text; put it in quotes"),
    ("7 tags", {"tags": {f"t{i}": "x" for i in range(7)}}, "tags", "has 7; one request takes 10"),
    ("protection by word", {"protect": "perhaps"}, "protect", "perhaps is refused"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "key", "words"), [pytest.param(*row[1:], id=row[0]) for row in BAD])
def test_a_wrong_value_is_named_with_what_would_be_right(changes: dict[str, Any], key: str, words: str) -> None:
    found = problems_of(with_values(sections(), changes))
    texts = [problem.text for problem in found if problem.key == f"tandem:{key}"]
    assert texts, f"nothing about {key}, but: {found}"
    assert any(words in text for text in texts), texts


def test_the_table_is_as_long_as_promised() -> None:
    assert len({row[0] for row in BAD}) >= 60


def test_all_problems_are_reported_at_once_with_their_keys() -> None:
    values = with_values(
        sections(), {"network.subnetCidr": "10.1.4.0/24", "nodes.type": "large", "nginx": {"workerConnection": 5}}
    )
    with pytest.raises(SettingsError) as caught:
        parse(values)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("Pulumi.local.yaml has ")
    keys = [line.split()[0] for line in lines[1:]]
    assert {"tandem:network.subnetCidr", "tandem:nodes.type", "tandem:nginx.workerConnection"} <= set(keys)
    assert all(line.startswith("  tandem:") for line in lines[1:])


def test_the_report_names_the_file_that_was_given_instead() -> None:
    stack = Stack("tandem", "local", "ap-guangzhou", given_file="other.yaml")
    with pytest.raises(SettingsError, match=r"^other\.yaml has 1 problem:"):
        load.parse(stack, with_value(sections(), "nodes.type", "large"), find_release=lambda _: RELEASE)


def test_a_secret_is_never_repeated_in_the_report() -> None:
    given = {
        "given": {"jwtKey": "abc", "redisPassword": 12345},
        "server": {"certificate": "x", "privateKey": ["abcdef"]},
    }
    text = "\n".join(problem.text for problem in problems_of(with_value(sections(), "credentials", given)))
    assert "abc" not in text
    assert "12345" not in text


def test_a_stand_in_that_cannot_write_to_mongodb_is_not_asked_to() -> None:
    values = with_values(
        sections(),
        {
            "credentials": {
                "given": dict.fromkeys(("mariadbPassword", "redisPassword", "mongodbPassword"), "a-password")
            },
            "data": {**EXTERNAL, "mongodb": {"address": "10.0.9.3:27017"}},
        },
    )
    secret = frozenset({"credentials"})
    assert problems_of(values, secret=secret) == ()
    stand_in = replace(RELEASE, stand_in=True)
    with pytest.raises(SettingsError) as caught:
        load.parse(Stack("tandem", "local", "ap-guangzhou"), values, secret, find_release=lambda _: stand_in)
    assert [problem.key for problem in caught.value.problems] == ["tandem:data.mongodb"]
    assert "tandem:iam.release" in str(caught.value)


def test_secrets_that_pulumi_keeps_encrypted_are_taken() -> None:
    values = with_values(
        sections(),
        {
            "credentials": {"given": {"mariadbPassword": "a-password", "redisPassword": "a-password"}},
            "data": EXTERNAL,
        },
    )
    assert problems_of(values, secret=frozenset({"credentials"})) == ()


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"keepalived": {"notifyUrls": ["http://10.0.9.9/x"]}}, id="an address in the VPC"),
        pytest.param(
            {"keepalived": {"notifyUrls": ["https://hooks.example.com/x"]}, "network.egress": "nat"}, id="a way out"
        ),
    ],
)
def test_receivers_that_nodes_can_reach_are_taken(changes: dict[str, Any]) -> None:
    assert problems_of(with_values(sections(), changes)) == ()


def test_tags_are_what_the_cloud_takes() -> None:
    # Document 651/13354; a number is what YAML makes of it.
    tags = {"部门": "基础架构", "cost center": "A 7", "ticket": 4711, "k" * 127: "（x）;>"}
    settings = parse(with_value(sections(), "tags", tags))
    assert settings.tags == {**tags, "ticket": "4711"}


@pytest.mark.parametrize(
    ("disk", "refused"),
    [
        ({"type": "CLOUD_SSD", "sizeGib": 90}, True),
        ({"type": "CLOUD_SSD", "sizeGib": 100}, False),
        ({"type": "CLOUD_HSSD", "sizeGib": 10}, True),
        ({"type": "CLOUD_BSSD", "sizeGib": 20}, False),
        ({"type": "CLOUD_PREMIUM", "sizeGib": 10}, False),
    ],
)
def test_a_data_disk_is_as_large_as_its_kind_begins(disk: dict[str, Any], *, refused: bool) -> None:
    texts = [problem.text for problem in problems_of(with_value(sections(), "nodes.dataDisk", disk))]
    assert bool(texts) == refused
    assert all(f"sizeGib {disk['sizeGib']} is too small: {disk['type']} begins at" in text for text in texts)


@pytest.mark.parametrize("key", [ED25519, "ssh-rsa A", f"{ED25519} {'名' * 10}"])
def test_as_many_keys_as_are_taken_fit_into_user_data(key: str) -> None:
    def wrong(count: int) -> bool:
        return bool(problems_of(with_value(sections(), "access.publicKeys", [key] * count)))

    most = bisect.bisect_left(range(1, 1000), True, key=wrong)
    assert wrong(most + 1)
    text = user_data(
        hostname="n" * 30,
        host_key_private="k" * 700,
        host_key_public="k" * 200,
        user="u" * 31,
        public_keys=(f"ssh-rsa {'A' * 716}", *[key] * most),  # the deployment key has 4096 bits
    )
    assert len(text) > 8000


def test_a_missing_region_is_named() -> None:
    assert "tencentcloud:region" in {problem.key for problem in problems_of(sections(), region=None)}


def test_a_release_that_cannot_be_read_is_a_problem_of_the_settings() -> None:
    def fail(path: str) -> Release:
        raise ReleaseError(f"the IAM release {path} cannot be read", seen="")

    with pytest.raises(SettingsError, match=r"tandem:iam\.release +the IAM release /nowhere cannot be read"):
        load.parse(
            Stack("tandem", "local", "ap-guangzhou"),
            with_value(sections(), "iam", {"release": "/nowhere"}),
            find_release=fail,
        )


@pytest.mark.parametrize("stack", ["local", "staging", "prod"])
def test_the_ready_stacks_are_right(stack: str) -> None:
    assert problems_of(sections(stack)) == ()


def test_a_newcomer_chooses_five_things() -> None:
    values = {
        "network": {"zone": "ap-guangzhou-6"},
        "nodes": {"image": "img-jzvbbed6"},
        "access": {"adminCidrs": ["198.51.100.0/24"]},
        "domains": {"api": "iam.api.example.com", "authz": "iam.authz.example.com"},
    }
    settings = parse(values)
    assert [node.name for node in settings.nodes.members] == ["iam-a", "iam-b"]
    assert settings.access.mode == "bastion"


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        parse(sections()).nodes.image = "img-other"  # pyright: ignore[reportAttributeAccessIssue] - what is tried
