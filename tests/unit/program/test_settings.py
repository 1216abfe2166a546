# ruff: noqa: E501 - a table with one case per line
from __future__ import annotations

import bisect
import json
from dataclasses import replace
from typing import Any

import pytest
from settings_samples import (
    ABSENT,
    ED25519,
    EXTERNAL,
    GIVEN,
    RELEASE,
    parse,
    problems_of,
    sections,
    with_value,
    with_values,
)

from provisioning.first_boot import user_data
from settings import load
from settings.iam import IamSettings
from settings.load import Stack
from settings.problems import SettingsError
from settings.releases import Release, ReleaseError, parse_schema

MAIL = {"server": "smtp.example.com", "sender": "tandem@example.com", "receivers": ["ops@example.com"]}
_NODES = [{"name": f"n{number}", "address": f"10.0.4.{20 + number}"} for number in range(17)]
_TWICE = [{"name": "iam-a", "address": "10.0.4.20"}, {"name": "iam-a", "address": "10.0.4.21"}]


# Changes of the local stack's settings, the key of the expected problem, and a part of its text.
INVALID: list[tuple[str, dict[str, Any], str, str]] = [
    # network
    ("zone of another region", {"network.zone": "ap-shanghai-2"}, "network.zone", "must be a zone of tencentcloud:region ap-guangzhou (got ap-shanghai-2)"),
    ("invalid zone", {"network.zone": "here"}, "network.zone", "has an invalid format (got here)"),
    ("no zone", {"network.zone": ABSENT}, "network.zone", "is required: availability zone"),
    ("public VPC", {"network.vpcCidr": "8.0.0.0/16"}, "network.vpcCidr", "must be inside 10.0.0.0/8"),
    ("too large VPC", {"network.vpcCidr": "10.0.0.0/8"}, "network.vpcCidr", "must have a prefix length from /12 to /28"),
    ("too small VPC", {"network.vpcCidr": "10.0.4.0/29"}, "network.vpcCidr", "must have a prefix length from /12 to /28"),
    ("VPC with host bits", {"network.vpcCidr": "10.0.0.1/16"}, "network.vpcCidr", "not a valid IPv4 network"),
    ("IPv6 VPC", {"network.vpcCidr": "fd00::/64"}, "network.vpcCidr", "not a valid IPv4 network"),
    ("subnet outside the VPC", {"network.subnetCidr": "10.1.4.0/24"}, "network.subnetCidr", "inside the VPC's 10.0.0.0/16"),
    ("too small subnet", {"network.subnetCidr": "10.0.4.0/30"}, "network.subnetCidr", "/16 to /28"),
    ("subnet of 8 addresses", {"network.subnetCidr": "10.0.4.16/29"}, "network.subnetCidr", "/16 to /28"),
    ("misspelled key", {"network.subnetCider": "10.0.4.0/24"}, "network.subnetCider", "did you mean subnetCidr?"),
    ("key in snake case", {"network.vpc_cidr": "10.0.0.0/16"}, "network.vpc_cidr", "did you mean vpcCidr?"),
    ("unknown key", {"network.colour": "red"}, "network.colour", "known keys: zone, vpcCidr"),
    ("unknown egress", {"network.egress": "proxy"}, "network.egress", "must be 'none' or 'nat' (got proxy)"),
    ("unknown NAT bandwidth", {"network.natBandwidthMbps": 70}, "network.natBandwidthMbps", "(got 70)"),
    ("NAT bandwidth above the limit of its address", {"network.natBandwidthMbps": 200}, "network.natBandwidthMbps", "(got 200)"),
    (
        "NAT in an existing network",
        {"network.existing": {"vpcId": "vpc-1234abcd", "subnetId": "subnet-1234abcd"}, "network.egress": "nat"},
        "network.egress",
        "this stack cannot add routes to an existing network (got nat)",
    ),
    (
        "existing network without its CIDR block",
        {"network.existing": {"vpcId": "vpc-1234abcd", "subnetId": "subnet-1234abcd"}, "network.vpcCidr": ABSENT},
        "network.vpcCidr",
        "is required with network.existing",
    ),
    ("existing VPC by name", {"network.existing": {"vpcId": "mine", "subnetId": "subnet-1234abcd"}},
     "network.existing.vpcId", "has an invalid format (got mine)"),
    ("existing VPC without subnet", {"network.existing": {"vpcId": "vpc-1234abcd"}}, "network.existing.subnetId", "is required"),
    # system
    *((f"time server {host}", {"system": {"timeServers": [host]}}, "system.timeServers[0]", text) for host, text in (
        ("10.0.0.300", "must be a host name or an IPv4 address"), ("a..b", "invalid format"))),
    ("a kernel parameter of two lines", {"system": {"sysctls": {"kernel.x": "1\nkernel.y=2"}}}, "system.sysctls.kernel.x", "invalid format"),
    ("a kernel parameter that is true", {"system": {"sysctls": {"kernel.x": True}}}, "system.sysctls.kernel.x", "must be a valid string"),
    # data
    ("bucket without a key", {"data.backup": {"bucket": {"endpoint": "https://cos.ap-guangzhou.myqcloud.com", "name": "backups-1"}}},
     "credentials.given.bucketKeyId", "is required with data.backup.bucket"),
    ("bucket endpoint without https", {"data.backup": {"bucket": {"endpoint": "cos.ap-guangzhou.myqcloud.com", "name": "backups-1"}}},
     "data.backup.bucket.endpoint", "has an invalid format"),
    *((f"bucket at {host} over http", {"data.backup": {"bucket": {"endpoint": f"http://{host}", "name": "backups-1"}}},
       "data.backup.bucket.endpoint", "must be an https URL") for host in (
           "cos.ap-beijing.myqcloud.com", "s3.example.com:9000", "203.0.113.7", "cos.ap-guangzhou.myqcloud.com.example.com")),
    ("bucket with a role and a key",
     {"data.backup": {"bucket": {"endpoint": "https://cos.ap-guangzhou.myqcloud.com", "name": "backups-1", "role": "r"}},
      "credentials": {"given": {"bucketKeyId": "AKID"}}},
     "credentials.given.bucketKeyId", "cannot be set with data.backup.bucket.role r"),
    ("backup at hour 24", {"data.backup": {"hour": 24}}, "data.backup.hour", "(got 24)"),
    # nodes
    ("one node", {"nodes.members": _NODES[:1]}, "nodes.members", "must have at least 2 items (got"),
    ("17 nodes", {"nodes.members": _NODES}, "nodes.members", "must have at most 16 items (got"),
    ("no image", {"nodes.image": ABSENT}, "nodes.image", "is required"),
    ("image latest", {"nodes.image": "latest"}, "nodes.image", "has an invalid format (got latest)"),
    ("node outside the subnet", {"nodes.members.1.address": "10.0.5.21"}, "nodes.members[1].address", "must be inside the subnet"),
    ("gateway address", {"nodes.members.1.address": "10.0.4.1"}, "nodes.members[1].address", "the cloud reserves"),
    ("network address", {"nodes.members.1.address": "10.0.4.0"}, "nodes.members[1].address", "reserves"),
    ("broadcast address", {"nodes.members.1.address": "10.0.4.255"}, "nodes.members[1].address", "reserves"),
    ("address of two nodes", {"nodes.members.1.address": "10.0.4.20"}, "nodes.members[1].address", "must be unique (got 10.0.4.20, also used by"),
    ("no address", {"nodes.members.1.address": ABSENT}, "nodes.members[1].address", "is required"),
    ("invalid address", {"nodes.members.1.address": "10.0.4"}, "nodes.members[1].address", "valid IPv4"),
    ("name of two nodes", {"nodes.members": _TWICE}, "nodes.members[1].name", "the name of 2 nodes"),
    ("uppercase name", {"nodes.members.0.name": "IAM-A"}, "nodes.members[0].name", "has an invalid format (got IAM-A)"),
    ("name with two hyphens", {"nodes.members.0.name": "iam--a"}, "nodes.members[0].name", "has an invalid format"),
    ("name with a trailing hyphen", {"nodes.members.0.name": "iam-"}, "nodes.members[0].name", "has an invalid format"),
    ("name of one letter", {"nodes.members.0.name": "a"}, "nodes.members[0].name", "must have at least 2 characters (got a)"),
    ("too long name", {"nodes.members.0.name": "a" * 31}, "nodes.members[0].name", "at most 30 characters"),
    ("name with a dot", {"nodes.members.0.name": "iam.a"}, "nodes.members[0].name", "has an invalid format"),
    ("login user root", {"nodes.user": "root"}, "nodes.user", "root cannot log in"),
    ("invalid instance type", {"nodes.type": "large"}, "nodes.type", "has an invalid format (got large)"),
    ("unknown placement", {"nodes.placement": "continent"}, "nodes.placement", "'host', 'rack' or 'switch'"),
    ("too small system disk", {"nodes.systemDisk": {"sizeGib": 5}}, "nodes.systemDisk.sizeGib", "(got 5)"),
    ("odd data disk size", {"nodes.dataDisk": {"sizeGib": 25}}, "nodes.dataDisk.sizeGib", "multiple of 10"),
    ("no such day", {"nodes.dataDisk": {"snapshots": {"weekdays": ["someday"]}}}, "nodes.dataDisk.snapshots.weekdays[0]",
     "got someday"),
    ("no such hour", {"nodes.dataDisk": {"snapshots": {"hours": [24]}}}, "nodes.dataDisk.snapshots.hours[0]", "(got 24)"),
    ("no hours", {"nodes.dataDisk": {"snapshots": {"hours": []}}}, "nodes.dataDisk.snapshots.hours", "must have at least 1 item (got [])"),
    ("unknown disk type", {"nodes.dataDisk": {"type": "FLOPPY"}}, "nodes.dataDisk.type", "(got FLOPPY)"),
    ("number for a boolean", {"nodes.securityAgent": 7}, "nodes.securityAgent", "(got 7)"),
    ("text for the nodes section", {"nodes": "two"}, "nodes", "(got two)"),
    # access
    ("SSH from all addresses", {"access.adminCidrs": ["0.0.0.0/0"]}, "access.adminCidrs[0]", "must not be wider than /8 (got 0.0.0.0/0)"),
    ("SSH from half of all addresses", {"access.adminCidrs": ["128.0.0.0/1"]}, "access.adminCidrs[0]", "wider than /8"),
    ("empty list of administrators", {"access.adminCidrs": []}, "access.adminCidrs", "at least 1"),
    ("no administrators", {"access.adminCidrs": ABSENT}, "access.adminCidrs", "is required"),
    ("administrators twice", {"access.adminCidrs": ["1.2.3.0/24", "1.2.3.0/24"]}, "access.adminCidrs[1]", "(got 1.2.3.0/24 twice)"),
    ("administrators with host bits", {"access.adminCidrs": ["1.2.3.4/24"]}, "access.adminCidrs[0]", "not a valid IPv4"),
    ("unknown access mode", {"access.mode": "telnet"}, "access.mode", "'bastion', 'direct' or 'public'"),
    ("private key", {"access.publicKeys": ["-----BEGIN OPENSSH PRIVATE KEY-----"]}, "access.publicKeys[0]", "invalid format"),
    ("bastion at the address of a node", {"access.mode": "bastion", "access.bastion": {"address": "10.0.4.20"}},
     "access.bastion.address", "must be unique"),
    ("node named bastion", {"access.mode": "bastion", "nodes.members.1.name": "bastion"},
     "nodes.members[1].name", "cannot be bastion"),
    # addresses and names
    ("virtual IP outside the subnet", {"virtualIp.address": "10.0.5.99"}, "virtualIp.address", "must be inside the subnet 10.0.4.0/24"),
    ("virtual IP at the address of a node", {"virtualIp.address": "10.0.4.20"}, "virtualIp.address", "must be unique"),
    ("second address without dual-master", {"virtualIp.secondAddress": "10.0.4.98"}, "virtualIp.secondAddress", "cannot be set with keepalived.mode nopreempt"),
    ("dual-master with one address", {"keepalived": {"mode": "dual-master"}}, "virtualIp.secondAddress", "is required with keepalived.mode dual-master"),
    ("six HAVIPs", {"virtualIp.additional": [{"address": f"10.0.4.9{n}"} for n in range(5)]}, "virtualIp.additional", "at most 4 items"),
    ("an additional virtual IP outside the subnet", {"virtualIp.additional": [{"address": "10.0.5.97"}]},
     "virtualIp.additional[0].address", "must be inside the subnet"),
    ("an additional virtual IP at the address of another", {"virtualIp.additional": [{"address": "10.0.4.99"}]},
     "virtualIp.additional[0].address", "must be unique"),
    ("second virtual router without dual-master", {"virtualIp.additional": [{"address": "10.0.4.97", "router": 2}]},
     "virtualIp.additional[0].router", "must be 1 with keepalived.mode nopreempt (got 2)"),
    ("two virtual IPs in the profile seed", {"virtualIp.additional": [{"address": "10.0.4.97"}], "keepalived": {"profile": "seed"}},
     "virtualIp.additional", "must be empty with keepalived.profile seed"),
    ("six HAVIPs in dual-master mode",
     {"keepalived": {"mode": "dual-master"}, "virtualIp": {"secondAddress": "10.0.4.98", "additional": [{"address": f"10.0.4.9{n}"} for n in range(4)]}},
     "virtualIp.additional", "must not exceed 5 HAVIPs in all (got 6)"),
    ("a sync group of one virtual IP", {"keepalived": {"syncGroup": True}}, "keepalived.syncGroup", "must be false with one virtual IP"),
    ("no virtual router ids for a sync group", {"keepalived": {"syncGroup": True, "virtualRouterId": 255}, "virtualIp.additional": [{"address": "10.0.4.97"}]},
     "keepalived.virtualRouterId", "must be at most 254 with syncGroup and 2 virtual IPs (got 255)"),
    ("multicast", {"keepalived": {"vrrpMcastGroup4": "224.0.0.18"}}, "keepalived", "a VPC drops multicast"),
    ("vrrp_strict", {"keepalived": {"vrrpStrict": True}}, "keepalived", "vrrp_strict forbids unicast"),
    ("a virtual server in a VPC", {"keepalived": {"virtualServers": [{"address": "10.0.4.99", "port": 80, "realServers": [{"address": "10.0.4.30", "port": 80}]}]}},
     "keepalived", "a VPC drops packets with a source address that is not the sender's"),
    ("a virtual server at another address",
     {"keepalived": {"lvsNetwork": "switched", "virtualServers": [{"address": "10.0.4.90", "port": 80, "realServers": [{"address": "10.0.4.30", "port": 80}]}]}},
     "keepalived.virtualServers[0].address", "must be a virtual IP: 10.0.4.99 (got 10.0.4.90)"),
    ("a director as a real server",
     {"keepalived": {"lvsNetwork": "switched", "virtualServers": [{"address": "10.0.4.99", "port": 80, "realServers": [{"address": "10.0.4.21", "port": 80}]}]}},
     "keepalived.virtualServers[0].realServers[0].address", "cannot be an eligible node (got 10.0.4.21, iam-b)"),
    ("a virtual IP as a real server",
     {"keepalived": {"lvsNetwork": "switched", "virtualServers": [{"address": "10.0.4.99", "port": 80, "realServers": [{"address": "10.0.4.99", "port": 80}]}]}},
     "keepalived.virtualServers[0].realServers[0].address", "cannot be a virtual IP (got 10.0.4.99)"),
    *((f"track {names}", {"keepalived": {"track": {"interfaces": [{"interface": name, "weight": -20} for name in names]}}}, "keepalived",
       f"track.interfaces[{number}].interface must be unique and cannot be eth0") for number, names in enumerate((["eth0"], ["eth1", "eth1"]))),
    *((f"the command {command}", {"keepalived": {"notifyCommand": command}}, "keepalived.notifyCommand", text) for command, text in (
        ("/usr/bin/echo 'x", "must have an even number of single quotes"), ("/usr/bin/pgrep nginx || exit 1", "cannot contain |"),
        ("/usr/bin/test $(id -u) = 0", "cannot contain $ outside of single quotes"), ("/usr/bin/echo > /run/x", "use /usr/bin/dash -c"))),
    ("too much bandwidth", {"virtualIp.bandwidthMbps": 9000}, "virtualIp.bandwidthMbps", "(got 9000)"),
    ("bandwidth above the limit of an address", {"virtualIp.bandwidthMbps": 101}, "virtualIp.bandwidthMbps", "must be at most 100"),
    ("bandwidth above the limit outside a package",
     {"virtualIp": {"address": "10.0.4.99", "bandwidthMbps": 200, "chargeType": "BANDWIDTH_POSTPAID_BY_HOUR"}},
     "virtualIp.bandwidthMbps", "a higher limit requires a bandwidth package"),
    ("unknown charge type", {"virtualIp.chargeType": "BANDWIDTH_PREPAID_BY_MONTH"}, "virtualIp.chargeType", "(got BANDWIDTH_PREPAID_BY_MONTH)"),
    ("bandwidth package without an id", {"virtualIp.chargeType": "BANDWIDTH_PACKAGE"}, "virtualIp.bandwidthPackageId", "is required"),
    ("bandwidth package that is not used", {"virtualIp.bandwidthPackageId": "bwp-1234abcd"},
     "virtualIp.bandwidthPackageId", "cannot be set with chargeType TRAFFIC_POSTPAID_BY_HOUR"),
    ("bandwidth package by name", {"virtualIp.bandwidthPackageId": "ours"}, "virtualIp.bandwidthPackageId", "has an invalid format (got ours)"),
    ("no domains", {"domains": ABSENT}, "domains.api", "is required: public host name of iam-apiserver"),
    ("domain with a scheme", {"domains.api": "https://a.example.com"}, "domains.api", "has an invalid format"),
    ("one domain for both services", {"domains.authz": "iam.api.example.com"}, "domains.authz", "must differ from domains.api"),
    ("domains of another zone", {"dns": {"zone": "example.org"}}, "domains.api", "must be in the DNS zone example.org"),
    ("TTL 0", {"dns": {"zone": "example.com", "ttlS": 0}}, "dns.ttlS", "(got 0)"),
    ("more networks than rules of a security group", {"access.adminCidrs": [f"10.{n}.0.0/16" for n in range(97)]}, "access.adminCidrs",
     "the security group of the eligible nodes can have 100 rules and would have 101"),
    ("more networks than rules of the bastion's", {"access": {"mode": "bastion", "adminCidrs": [f"10.{n}.0.0/16" for n in range(101)]}},
     "access.adminCidrs", "the security group of the bastion can have 100 rules and would have 101"),
    # alarms
    ("alarms without receivers", {"alarms": {"enabled": True}}, "alarms.receivers", "must contain userIds, groupIds or urls"),
    ("four callback URLs", {"alarms": {"receivers": {"urls": [f"https://x.example.com/{i}" for i in range(4)]}}},
     "alarms.receivers.urls", "at most 3"),
    ("invalid callback URL", {"alarms": {"receivers": {"urls": ["mailto:a"]}}}, "alarms.receivers.urls[0]", "invalid format"),
    ("callback URL without TLS", {"alarms": {"receivers": {"urls": ["http://x.example.com/a"]}}}, "alarms.receivers.urls[0]",
     "has an invalid format (got http://x.example.com/a): callback URLs, at most 3. Must be https"),
    ("receiver by name", {"alarms": {"receivers": {"userIds": ["joe"]}}}, "alarms.receivers.userIds[0]", "(got joe)"),
    ("alarms without the monitoring agent", {"alarms": {"enabled": True, "receivers": {"userIds": [1]}}, "nodes.monitoringAgent": False},
     "nodes.monitoringAgent", "memory and disk alarms require the agent"),
    ("200 percent", {"alarms": {"cpuPercent": 200}}, "alarms.cpuPercent", "(got 200)"),
    # credentials
    ("plain text password", {"credentials": {"given": {"redisPassword": "hunter2hunter2"}}},
     "credentials.given.redisPassword", "must be encrypted (got plain text)"),
    ("short JWT key", {"credentials": {"given": {"jwtKey": "abc"}}}, "credentials.given.jwtKey", "a secret, not shown"),
    ("generation of an unknown secret", {"credentials": {"generation": {"nonesuch": 2}}}, "credentials.generation.nonesuch", "(got nonesuch)"),
    ("generation of a given secret", {"credentials": {"generation": {"jwtKey": 2}, "given": {"jwtKey": "x" * 20}}},
     "credentials.generation.jwtKey", "change the given secret instead"),
    ("generation of the password of an external database",
     {"data": EXTERNAL, "credentials": {"generation": {"mariadbPassword": 2}, "given": GIVEN}},
     "credentials.generation.mariadbPassword", "first create a second account or password in your database"),
    ("administrator of databases on the first node", {"data": {"administrator": "dba"}},
     "data", "administrator cannot be set with location first-node"),
    ("administrator without a password", {"data": {**EXTERNAL, "administrator": "dba"}},
     "credentials.given.mariadbAdministratorPassword", "is required with data.location external"),
    ("rotation on an external database without an administrator",
     {"data": EXTERNAL, "credentials": {"generation": {"mariadbPassword": 2}, "given": GIVEN}},
     "credentials.generation.mariadbPassword", "or set tandem:data.administrator, which creates the accounts"),
    ("generation 0", {"credentials": {"generation": {"jwtKey": 0}}}, "credentials.generation.jwtKey", "(got 0)"),
    ("renewal as early as issue", {"credentials": {"validityHours": 100, "earlyRenewalHours": 100}},
     "credentials.earlyRenewalHours", "otherwise every `up` renews the certificates"),
    ("CA that expires before its certificates", {"credentials": {"caValidityHours": 9000, "validityHours": 9001}},
     "credentials.caValidityHours", "otherwise certificates expire after their CA"),
    ("invalid certificate", {"credentials": {"server": {"certificate": "x", "privateKey": "y"}}},
     "credentials.server.certificate", "has an invalid format"),
    ("a node that is called localhost", {"nodes.members.0.name": "localhost"},
     "nodes.members[0].name", "cannot be localhost"),
    # services
    *((f"the port {port} of Redis", {"data": {**EXTERNAL, "redisAddress": f"10.0.9.2:{port}"}},
       "data.redisAddress", f"must be HOST:PORT with a port from 1 to 65535 (got 10.0.9.2:{port})") for port in (0, 65536)),
    ("nginx as root", {"nginx": {"user": "root"}}, "nginx.user", "www-data"),
    ("credentials from any origin", {"nginx": {"cors": {"allowOrigins": ["*"], "allowCredentials": True}}},
     "nginx.cors", "list the origins instead"),
    ("too few connections", {"nginx": {"workerConnections": 1}}, "nginx.workerConnections", "(got 1)"),
    ("text for the number of workers", {"nginx": {"workerProcesses": "many"}}, "nginx.workerProcesses", "(got many)"),
    ("VRID 0", {"keepalived": {"virtualRouterId": 0}}, "keepalived.virtualRouterId", "(got 0)"),
    ("VRID 256", {"keepalived": {"virtualRouterId": 256}}, "keepalived.virtualRouterId", "(got 256)"),
    ("no VRID for the second address", {"keepalived": {"mode": "dual-master", "virtualRouterId": 255},
     "virtualIp.secondAddress": "10.0.4.98"}, "keepalived", "virtualRouterId must be at most 254"),
    ("unknown profile", {"keepalived": {"profile": "ludicrous"}}, "keepalived.profile", "'balanced' or 'seed'"),
    ("drain weight smaller than the priority step", {"keepalived": {"mode": "preempt", "priorityStep": 30, "drainWeight": -20}},
     "keepalived", "drainWeight must be -31 or less"),
    ("robot outside the VPC without egress", {"notifications": {"wecom": {"url": "https://robot.example.com/k3y"}}},
     "notifications.wecom.url", "with network.egress none (got robot.example.com)"),
    ("mail server outside the VPC without egress", {"notifications.mail": MAIL},
     "notifications.mail.server", "must be an address inside the VPC's 10.0.0.0/16"),
    ("URL of a receiver in plain text", {"notifications": {"webhooks": [{"url": "http://10.0.9.9/k3y"}]}},
     "notifications.webhooks[0].url", "must be encrypted (got plain text)"),
    ("receiver that is not an HTTP URL", {"notifications": {"webhooks": [{"url": "ftp://10.0.9.9/k3y"}]}},
     "notifications.webhooks[0].url", "must be an http or https URL"),
    *((f"{host} over plain http", {"notifications": {"wecom": {"url": f"http://{host}/k3y"}}}, "notifications.wecom.url",
       "must be an https URL") for host in ("robot.example.com", "203.0.113.9")),
    ("four webhooks", {"notifications": {"webhooks": [{"url": "http://10.0.9.9/k3y"}] * 4}},
     "notifications.webhooks", "at most 3"),
    ("header with a line break", {"notifications": {"webhooks": [{"url": "http://10.0.9.9", "authorization": "a\nb"}]}},
     "notifications.webhooks[0].authorization", "must consist of printable ASCII characters"),
    ("mail login without a password", {"notifications.mail": {**MAIL, "username": "ann"}},
     "notifications.mail", "username and password must be set together (password is missing)"),
    ("mail password in plain text", {"notifications.mail": {**MAIL, "username": "a", "password": "b", "security": "none"}},
     "notifications.mail", "security must be tls or starttls with a password"),
    ("120 public keys", {"access.publicKeys": [ED25519] * 120}, "access.publicKeys", "to fit into user data"),
    ("long comment in Chinese", {"access.publicKeys": [f"{ED25519} {'名' * 2000}"]}, "access.publicKeys", "to fit into"),
    ("external databases without addresses", {"data": {"location": "external"}}, "data", "mariadbAddress and redisAddress (HOST:PORT) must be set"),
    ("external databases without passwords", {"data": EXTERNAL}, "credentials.given.mariadbPassword", "is required with data.location external"),
    ("MongoDB without a port", {"data": {**EXTERNAL, "mongodb": {"address": "10.0.9.3"}}}, "data.mongodb.address",
     "10.0.9.3"),
    ("MongoDB without a password", {"data": {**EXTERNAL, "mongodb": {"address": "10.0.9.3:27017"}}},
     "credentials.given.mongodbPassword", "is required with data.mongodb"),
    ("too long token lifetime", {"iam": {"tokenLifetimeS": 99_999_999}}, "iam.tokenLifetimeS", "(got 99999999)"),
    # other keys
    ("unknown section", {"node": {}}, "node", "did you mean nodes?"),
    ("reserved tag", {"tags": {"project": "x"}}, "tags.project", "is reserved"),
    ("tag of the cloud", {"tags": {"qcs:owner": "x"}}, "tags.qcs:owner", "is reserved"),
    ("tag of this program", {"tags": {"pulumi-stack": "x"}}, "tags.pulumi-stack", "is reserved"),
    ("empty tag", {"tags": {"owner": ""}}, "tags.owner", "must consist of 1 to 255"),
    ("tag with a trailing space", {"tags": {"owner": "Ann "}}, "tags.owner", "and inner spaces (got 'Ann ')"),
    ("tag value of 256 letters", {"tags": {"owner": "x" * 256}}, "tags.owner", "1 to 255"),
    ("tag key of 128 letters", {"tags": {"k" * 128: "x"}}, f"tags.{'k' * 128}", "1 to 127"),
    ("tag with an exclamation mark", {"tags": {"owner": "Ann!"}}, "tags.owner", "(got 'Ann!')"),
    ("tag that YAML parses as a number", {"tags": {"release": 1.1}}, "tags.release", "must be text, in quotes (got 1.1)"),
    ("7 tags", {"tags": {f"t{i}": "x" for i in range(7)}}, "tags", "must contain at most 6 tags (got 7)"),
    ("a system database", {"data": {"database": "mysql"}}, "data", "database cannot be mysql"),
    ("the administrator as account", {"data": {"username": "root"}}, "data", "username cannot be root"),
    ("misspelled time zone", {"system": {"timeZone": "Asia/Shanghia"}}, "system.timeZone", "did you mean Asia/Shanghai?"),
    ("abbreviation as time zone", {"system": {"timeZone": "CST"}}, "system.timeZone", "must be a name of the time zone database"),
    ("text for protect", {"protect": "perhaps"}, "protect", "(got perhaps)"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "key", "text"), [pytest.param(*row[1:], id=row[0]) for row in INVALID])
def test_an_invalid_value_is_reported_with_its_key_and_the_requirement(
    changes: dict[str, Any], key: str, text: str
) -> None:
    found = problems_of(with_values(sections(), changes))
    texts = [problem.text for problem in found if problem.key == f"tandem:{key}"]
    assert texts, f"no problem for {key}: {found}"
    assert any(text in each for each in texts), texts


def test_the_table_has_at_least_60_cases() -> None:
    assert len({row[0] for row in INVALID}) >= 60


def test_all_problems_are_reported_together_with_their_keys() -> None:
    values = with_values(
        sections(), {"network.subnetCidr": "10.1.4.0/24", "nodes.type": "large", "nginx": {"workerConnection": 5}}
    )
    with pytest.raises(SettingsError) as caught:
        parse(values)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("stacks/Pulumi.local.yaml has ")
    keys = [line.split()[0] for line in lines[1:]]
    assert {"tandem:network.subnetCidr", "tandem:nodes.type", "tandem:nginx.workerConnection"} <= set(keys)
    assert all(line.startswith("  tandem:") for line in lines[1:])


def test_a_list_with_an_invalid_entry_is_not_also_reported_as_too_short() -> None:
    found = problems_of(with_value(sections(), "nodes.dataDisk", {"snapshots": {"hours": [24]}}))
    assert [problem.key for problem in found] == ["tandem:nodes.dataDisk.snapshots.hours[0]"]


def test_the_report_names_the_file_given_with_config_file() -> None:
    stack = Stack("tandem", "local", "ap-guangzhou", given_file="other.yaml")
    with pytest.raises(SettingsError, match=r"^other\.yaml has 1 problem:"):
        load.parse(stack, with_value(sections(), "nodes.type", "large"), find_release=lambda _: RELEASE)


def test_the_report_never_contains_a_secret() -> None:
    given = {
        "given": {"jwtKey": "abc", "redisPassword": 12345},
        "server": {"certificate": "x", "privateKey": ["abcdef"]},
    }
    text = "\n".join(problem.text for problem in problems_of(with_value(sections(), "credentials", given)))
    assert "abc" not in text
    assert "12345" not in text


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        pytest.param("nginx.extraConfig", "# {}", "nginx.extraConfig", id="directives"),
        pytest.param(
            "nginx.sites",
            [{"hosts": ["a.example.com"], "locations": [{"path": "/", "respond": {"body": "{}"}}]}],
            "nginx.sites[0].locations[0].respond.body",
            id="a public response",
        ),
        pytest.param("access.publicKeys", [f"{ED25519} {{}}"], "access.publicKeys[0]", id="a comment"),
    ],
)
def test_a_setting_cannot_refer_to_a_secret_of_the_stack(path: str, value: Any, key: str) -> None:
    given = json.loads(json.dumps(value).replace("{}", "@@secret:iam_admin_password@@"))
    problems = {problem.key: problem.text for problem in problems_of(with_value(sections(), path, given))}
    assert problems[f"tandem:{key}"].startswith("cannot contain @@secret:")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("notifications.wecom", "hunter2", id="the URL of a robot without its key"),
        pytest.param("notifications.webhooks", ["hunter2"], id="a list of URLs"),
        pytest.param("credentials.given", "hunter2", id="a password without its name"),
        pytest.param("credentials.server.api", "hunter2", id="a private key without its name"),
        pytest.param("services.web", "hunter2", id="a secret of a service without its name"),
    ],
)
def test_a_secret_at_the_place_of_its_mapping_is_not_shown(path: str, value: Any) -> None:
    problems = problems_of(with_value(sections(), path, value))
    assert problems
    assert "hunter2" not in str(problems)


@pytest.mark.parametrize("name", ["mariadbPassword", "redisPassword", "mongodbPassword", "jwtKey", "bucketKeyId"])
@pytest.mark.parametrize("character", ["\n", "\0", "\x7f", "\t", "é", "密", "\u2028", "\ud800"])
def test_characters_that_a_format_cannot_carry_are_reported_without_the_secret(name: str, character: str) -> None:
    given = {"given": {name: f"hunter{character}2secret"}}
    texts = [
        problem.text
        for problem in problems_of(with_value(sections(), "credentials", given))
        if problem.key == f"tandem:credentials.given.{name}" and "encrypted" not in problem.text
    ]
    assert len(texts) == 1
    assert "not shown" in texts[0]
    assert "hunter" not in texts[0]


def test_mongodb_is_rejected_with_the_stand_in() -> None:
    values = with_values(
        sections(),
        {
            "credentials": {
                "given": dict.fromkeys(("mariadbPassword", "redisPassword", "mongodbPassword"), "a-password")
            },
            "data": {**EXTERNAL, "mongodb": {"address": "10.0.9.3:27017"}},
        },
    )
    encrypted_sections = frozenset({"credentials"})
    assert problems_of(values, encrypted_sections=encrypted_sections) == ()
    stand_in = replace(RELEASE, stand_in=True)
    with pytest.raises(SettingsError) as caught:
        load.parse(
            Stack("tandem", "local", "ap-guangzhou"), values, encrypted_sections, find_release=lambda _: stand_in
        )
    assert [problem.key for problem in caught.value.problems] == ["tandem:data.mongodb"]
    assert "tandem:iam.release" in str(caught.value)


def test_encrypted_secrets_are_accepted() -> None:
    values = with_values(
        sections(),
        {
            "credentials": {"given": {"mariadbPassword": "a-password", "redisPassword": "a-password"}},
            "data": EXTERNAL,
        },
    )
    assert problems_of(values, encrypted_sections=frozenset({"credentials"})) == ()


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"notifications": {"webhooks": [{"url": "http://10.0.9.9/x"}]}}, id="address inside the VPC"),
        pytest.param({"notifications.mail": MAIL, "network.egress": "nat"}, id="NAT gateway"),
    ],
)
def test_receivers_of_notifications_that_nodes_can_reach_are_accepted(changes: dict[str, Any]) -> None:
    encrypted = frozenset({"notifications"})
    assert problems_of(with_values(sections(), changes), encrypted_sections=encrypted) == ()


@pytest.mark.parametrize("host", ["cos.ap-guangzhou.myqcloud.com", "10.0.9.9:9000", "minio:9000", "s3.internal"])
def test_backups_may_be_sent_over_http_inside_the_vpc(host: str) -> None:
    bucket = {"endpoint": f"http://{host}", "name": "backups-1"}
    given = {"bucketKeyId": "AKID", "bucketKeySecret": "a-secret-key"}
    values = with_values(sections(), {"data.backup": {"bucket": bucket}, "credentials": {"given": given}})
    assert problems_of(values, encrypted_sections=frozenset({"credentials"})) == ()


def test_the_key_of_a_receiver_is_never_shown() -> None:
    for url in ("ftp://robot.example.com/k3y", "http://robot.example.com/k3y", "http://[k3y", "http://a:k3y/"):
        found = problems_of(with_value(sections(), "notifications", {"wecom": {"url": url}}))
        assert found
        assert not [problem for problem in found if "k3y" in problem.text]


def test_all_tags_that_the_cloud_accepts_are_accepted() -> None:
    # Document 651/13354. YAML parses 4711 as a number.
    tags = {"部门": "基础架构", "cost center": "A 7", "ticket": 4711, "k" * 127: "（x）;>"}
    settings = parse(with_value(sections(), "tags", tags))
    assert settings.tags == {**tags, "ticket": "4711"}


@pytest.mark.parametrize(
    ("disk", "rejected"),
    [
        ({"type": "CLOUD_SSD", "sizeGib": 90}, True),
        ({"type": "CLOUD_SSD", "sizeGib": 100}, False),
        ({"type": "CLOUD_HSSD", "sizeGib": 10}, True),
        ({"type": "CLOUD_BSSD", "sizeGib": 20}, False),
        ({"type": "CLOUD_PREMIUM", "sizeGib": 10}, False),
    ],
)
def test_a_data_disk_has_at_least_the_minimum_size_of_its_type(disk: dict[str, Any], *, rejected: bool) -> None:
    texts = [problem.text for problem in problems_of(with_value(sections(), "nodes.dataDisk", disk))]
    assert bool(texts) == rejected
    assert all("sizeGib must be at least" in text for text in texts)
    assert all(f"with type {disk['type']} (got {disk['sizeGib']})" in text for text in texts)


@pytest.mark.parametrize("key", [ED25519, "ssh-rsa A", f"{ED25519} {'名' * 10}"])
def test_the_maximum_number_of_accepted_keys_fits_into_user_data(key: str) -> None:
    def is_rejected(count: int) -> bool:
        return bool(problems_of(with_value(sections(), "access.publicKeys", [key] * count)))

    maximum = bisect.bisect_left(range(1, 1000), True, key=is_rejected)
    assert is_rejected(maximum + 1)
    text = user_data(
        hostname="n" * 30,
        host_key_private="k" * 700,
        host_key_public="k" * 200,
        user="u" * 31,
        public_keys=(f"ssh-rsa {'A' * 716}", *[key] * maximum),  # the deployment key has 4096 bits
    )
    assert len(text) > 8000


def test_a_missing_region_is_reported() -> None:
    assert "tencentcloud:region" in {problem.key for problem in problems_of(sections(), region=None)}


def test_an_unreadable_release_is_reported_as_a_problem() -> None:
    def fail(settings: IamSettings) -> Release:
        raise ReleaseError(f"the IAM release {settings.release} cannot be read", seen="")

    with pytest.raises(SettingsError, match=r"tandem:iam\.release +the IAM release /nowhere cannot be read"):
        load.parse(
            Stack("tandem", "local", "ap-guangzhou"),
            with_value(sections(), "iam", {"release": "/nowhere"}),
            find_release=fail,
        )


@pytest.mark.parametrize("stack", ["local", "staging", "prod"])
def test_the_provided_stacks_are_valid(stack: str) -> None:
    assert problems_of(sections(stack)) == ()


@pytest.mark.parametrize(
    ("name", "changes", "refused"),
    [
        ("prod", {}, True),
        ("prod", {"iam": {"release": "stand-in"}}, False),
        ("staging", {}, False),
        ("staging", {"protect": True}, True),
        ("local", {"protect": True, "iam": {"release": "stand-in"}}, False),
    ],
)
def test_a_production_stack_gets_the_stand_in_only_on_request(
    name: str, changes: dict[str, Any], refused: bool  # noqa: FBT001 - a parameter of the table
) -> None:  # fmt: skip
    stack, values = Stack("tandem", name, "ap-guangzhou"), with_values(sections(name), changes)
    if not refused:
        assert load.parse(stack, values).release == load.find_release(IamSettings())
        return
    with pytest.raises(SettingsError, match=r"tandem:iam\.release +is required in a production stack"):
        load.parse(stack, values)


def test_five_keys_are_enough_for_a_new_stack() -> None:
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
        parse(sections()).nodes.image = "img-other"  # pyright: ignore[reportAttributeAccessIssue] - the frozen attribute under test


_SELECTS_IAM = parse_schema(
    "-- a comment: USE other;\nCREATE DATABASE  IF NOT EXISTS `iam` /*!40100 DEFAULT */;\nUSE `iam`;\n"
)


@pytest.mark.parametrize(
    ("data", "refused"),
    [({}, False), ({"database": "iam_prod"}, True), ({**EXTERNAL, "database": "iam_prod"}, False)],
    ids=["its own database", "another database", "a database that the operator has created"],
)
def test_a_release_whose_schema_names_another_database_is_refused(data: dict[str, Any], refused: bool) -> None:  # noqa: FBT001 - a column of the table
    assert _SELECTS_IAM.databases == ("iam",)
    release = replace(RELEASE, schema=_SELECTS_IAM)
    given = with_values(sections(), {"data": data, "credentials.given": GIVEN if "location" in data else {}})
    stack = Stack("tandem", "local", "ap-guangzhou")
    try:
        load.parse(stack, given, frozenset({"credentials"}), find_release=lambda _: release)
        problems: list[str] = []
    except SettingsError as error:
        problems = [f"{problem.key} {problem.text}" for problem in error.problems]
    expected = (
        "tandem:data.database must be iam: sql/iam.sql of the release selects the database iam by name (got iam_prod)"
    )
    assert problems == ([expected] if refused else [])


def test_the_version_of_a_schema_ignores_comments_and_blank_lines() -> None:
    schema = parse_schema("CREATE TABLE t (i INT);\n")
    assert parse_schema("-- Dump completed on 2026-11-27\n\n# x\nCREATE TABLE t (i INT);  \n") == schema
    assert parse_schema("CREATE TABLE t (i BIGINT);\n") != schema
