"""The resources that each option declares, and their dependencies."""

from __future__ import annotations

import json

import pytest
import yaml
from fake_cloud import Run
from program_runs import ALL_RUNS, OPTIONS, run, run_any, run_option
from settings_samples import ED25519

from components.dns import sub_domain

# One worker: results of program runs are cached per process.

_OTHER_NODES = {
    "nodes.placement": "rack",
    "nodes.securityAgent": False,
    "nodes.monitoringAgent": False,
    "access.publicKeys": [ED25519],
}


@pytest.mark.parametrize(("option", "count"), [("defaults", 2), ("three nodes", 3), ("sixteen nodes", 16)])
def test_two_of_the_configured_nodes_are_eligible(option: str, count: int) -> None:
    declared = run_option(option)
    assert len(declared.of_kind("Instance/instance")) == count
    attached = {each.name for each in declared.of_kind("Ha/vipInstanceAttachment")}
    assert attached == {"vip.iam-a", "vip.iam-b"}
    assert [node["eligible"] for node in declared.exports["nodes"]] == [True, True] + [False] * (count - 2)
    groups = {each.name: each.inputs["orderlySecurityGroups"] for each in declared.of_kind("Instance/instance")}
    others = [group for name, group in groups.items() if name not in {"nodes.iam-a", "nodes.iam-b"}]
    assert all(group != groups["nodes.iam-a"] for group in others)


def test_an_additional_node_only_changes_the_upstreams_of_the_others() -> None:
    two, three = run_option("defaults"), run_option("three nodes")
    for each in two.resources:
        if each.name in {"rollout", "firewall-eligible-rules"}:
            continue
        assert three.get(each.name).inputs == each.inputs, each.name
    before, after = two.get("rollout").inputs["files"]["iam-a"], three.get("rollout").inputs["files"]["iam-a"]
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    # The files that list peers: upstreams and packet filter.
    assert {path for path in changed if "nginx" in path} == {"/etc/nginx/conf.d/upstreams.conf"}
    assert not [path for path in changed if "keepalived" in path or "iam/" in path]


def test_ssh_passes_through_the_bastion() -> None:
    declared = run_option("bastion")
    bastion = declared.get("nodes.bastion")
    assert bastion.inputs["privateIp"] == "10.0.4.5"
    assert "placementGroupId" not in bastion.inputs
    assert declared.get("nodes-binding.bastion").inputs["instanceId"] == "nodes.bastion.id"
    assert declared.exports["ssh"]["bastion"]["ssh_address"] == "nodes-address.bastion.publicIp"
    assert set(declared.exports["ssh"]["addresses"].values()) == {"10.0.4.20", "10.0.4.21"}
    assert declared.get("rollout").inputs["bastion"]["name"] == "bastion"
    assert "bastion" in declared.exports["known_hosts"]


def test_direct_access_needs_no_bastion_and_no_additional_address() -> None:
    declared = run_option("defaults")
    assert len(declared.of_kind("Eip/instance")) == 1
    assert "bastion" not in declared.exports["ssh"]


def test_public_nodes_have_an_associated_eip() -> None:
    declared = run_option("public nodes")
    assert {each.inputs["eipId"] for each in declared.of_kind("Eip/association")} == {
        "nodes-address.iam-a.id",
        "nodes-address.iam-b.id",
    }
    assert declared.exports["ssh"]["addresses"]["iam-b"] == "nodes-address.iam-b.publicIp"


def test_a_bandwidth_package_allows_more_bandwidth_and_a_change_of_it_replaces_the_address() -> None:
    package = {"chargeType": "BANDWIDTH_PACKAGE", "bandwidthPackageId": "bwp-1234abcd", "bandwidthMbps": 2000}
    address = run("local", {f"virtualIp.{key}": value for key, value in package.items()}).get("vip-address")
    assert address.inputs["internetChargeType"] == "BANDWIDTH_PACKAGE"
    assert address.inputs["bandwidthPackageId"] == "bwp-1234abcd"
    assert address.inputs["internetMaxBandwidthOut"] == 2000
    assert "bandwidthPackageId" not in run("local").get("vip-address").inputs
    assert set(address.request.replaceOnChanges) == {"internetChargeType", "bandwidthPackageId"}


def test_dual_master_declares_two_virtual_ips_with_addresses_and_records() -> None:
    declared = run_option("DNS records with dual-master")
    # By name, because the order of declaration is not defined.
    havips = {each.name: each.inputs["vip"] for each in declared.of_kind("Ha/vip")}
    assert havips == {"vip-havip": "10.0.4.99", "vip2-havip": "10.0.4.98"}
    assert len(declared.of_kind("Ha/vipEipAttachment")) == 2
    assert len(declared.of_kind("Ha/vipInstanceAttachment")) == 4
    assert declared.exports["public_ips"] == ["vip-address.publicIp", "vip2-address.publicIp"]
    # Each name has a record for both addresses.
    records = {(each.inputs["subDomain"], each.inputs["value"]) for each in declared.of_kind("Dnspod/record")}
    assert records == {
        (name, address)
        for name in ("iam.api", "iam.authz")
        for address in ("vip-address.publicIp", "vip2-address.publicIp")
    }


def test_each_additional_virtual_ip_has_its_own_public_address() -> None:
    declared = run_option("five virtual IPs")
    havips = {each.name: each.inputs["vip"] for each in declared.of_kind("Ha/vip")}
    assert havips == {"vip-havip": "10.0.4.99"} | {f"vip{n}-havip": f"10.0.4.{n + 92}" for n in range(2, 6)}
    assert len(declared.of_kind("Ha/vipInstanceAttachment")) == 10
    assert declared.exports["public_ips"][-1] == "vip5-address.publicIp"


def test_an_existing_network_is_used_and_not_changed() -> None:
    declared = run_option("existing network")
    assert not declared.of_kind("Vpc/instance")
    assert not declared.of_kind("Subnet/instance")
    for node in declared.of_kind("Instance/instance"):
        assert (node.inputs["vpcId"], node.inputs["subnetId"]) == ("vpc-1234abcd", "subnet-1234abcd")


def test_the_name_of_the_zone_is_a_record_for_the_zone_itself() -> None:
    assert sub_domain("iam.api.example.com", "example.com") == "iam.api"
    assert sub_domain("example.com", "example.com") == "@"


def test_no_records_are_created_without_a_zone() -> None:
    assert not run_option("defaults").of_kind("Dnspod/record")


def test_nodes_are_in_a_placement_group_of_the_configured_type() -> None:
    declared = {"host": run("local"), "switch": run("prod"), "rack": run("local", _OTHER_NODES)}
    kinds = {kind: each.get("nodes-placement").inputs["type"] for kind, each in declared.items()}
    assert kinds == {"host": "HOST", "switch": "SW", "rack": "RACK"}
    for each in declared.values():
        for node in each.of_kind("Instance/instance"):
            in_group = node.name != "nodes.bastion"
            assert node.inputs.get("placementGroupId") == ("nodes-placement.id" if in_group else None)


def test_public_keys_of_the_settings_may_log_in_in_addition_to_the_deployment_key() -> None:
    declared = run("local", _OTHER_NODES)
    config = yaml.safe_load(declared.get("nodes.iam-b").inputs["userDataRaw"])
    deployment_key = "credentials-deployment-key.publicKeyOpenssh"
    assert [user["ssh_authorized_keys"] for user in config["users"][1:]] == [[deployment_key, ED25519]]
    assert all(ED25519 in text for text in declared.get("rollout").inputs["manifests"].values())
    assert config["ssh_keys"]["ecdsa_private"] == "credentials-iam-b-host-key.privateKeyOpenssh\n"


def test_agents_are_installed_unless_disabled() -> None:
    names = ("disableSecurityService", "disableMonitorService")
    with_agents, without = run("local").get("nodes.iam-a"), run("local", _OTHER_NODES).get("nodes.iam-a")
    assert [with_agents.inputs[name] for name in names] == [False, False]
    assert [without.inputs[name] for name in names] == [True, True]


def test_external_databases_need_no_disk_and_no_database_server() -> None:
    declared = run_option("external databases")
    assert not declared.of_kind("Cbs/storage")
    assert not [each.name for each in declared.resources if each.name == "credentials-mariadb-password"]
    rollout = declared.get("rollout").inputs
    assert rollout["secrets"]["mariadb_iam_password"] == "given-mariadb-password"
    assert "data_disk_id" not in rollout["values"]
    assert not [path for path in rollout["files"]["iam-a"] if "mysql" in path]


def test_snapshots_of_the_data_disk_follow_their_settings() -> None:
    declared = run_option("protected")
    (policy,) = declared.of_kind("Cbs/snapshotPolicy")
    assert policy.inputs == {
        "snapshotPolicyName": "tandem-local-data", "repeatWeekdays": [0, 1], "repeatHours": [2, 14],
        "retentionDays": 30,
    }  # fmt: skip
    (bound,) = declared.of_kind("Cbs/snapshotPolicyAttachment")
    assert bound.inputs == {"storageId": "nodes-data.id", "snapshotPolicyId": "nodes-data-snapshots.id"}
    assert not run_option("defaults").of_kind("Cbs/snapshotPolicy")


def test_the_disk_of_moved_databases_is_kept_and_detached() -> None:
    before, after = run_option("defaults"), run_option("moved databases")
    assert after.get("nodes-data").inputs == before.get("nodes-data").inputs
    assert not after.of_kind("Cbs/storageAttachment")
    assert "data_disk_id" not in after.get("rollout").inputs["values"]
    # The first node stops the databases in this order. Without a kept disk, nothing is stopped.
    assert _units_to_stop(after, "iam-a") == [
        "mariadb", "redis-server", "var-lib-mysql.mount", "var-lib-redis.mount", "srv-tandem.mount",
    ]  # fmt: skip
    assert _units_to_stop(after, "iam-b") == []
    assert _units_to_stop(run_option("external databases"), "iam-a") == []


def _units_to_stop(declared: Run, node: str) -> list[str]:
    entries = map(json.loads, declared.get("rollout").inputs["manifests"][node].splitlines()[1:])
    return [entry["name"] for entry in entries if entry["kind"] == "Unit" and not entry.get("running", True)]


def test_the_mongodb_password_is_escaped_for_a_url() -> None:
    rollout = run_option("audit records in MongoDB").get("rollout").inputs
    assert rollout["secrets"]["mongodb_password"] == "gi%2Fven%40mongodb%25password"
    assert (
        "mongodb://iam:@@secret:mongodb_password@@@10.0.9.3:27017/"
        in rollout["files"]["iam-b"]["/etc/iam/iam-pump.yaml"]
    )


def test_databases_are_on_a_disk_that_is_independent_of_the_node() -> None:
    declared = run_option("defaults")
    disk, attachment = declared.get("nodes-data"), declared.get("nodes-data.iam-a")
    assert attachment.inputs == {"instanceId": "nodes.iam-a.id", "storageId": "nodes-data.id"}
    assert "nodes.iam-a" not in disk.depends_on
    assert declared.get("rollout").inputs["values"]["data_disk_id"] == "nodes-data.id"


def test_only_the_first_node_has_the_role_for_the_bucket() -> None:
    declared = run_option("bucket with a role")
    assert declared.get("nodes.iam-a").inputs["camRoleName"] == "uploads"
    assert "camRoleName" not in declared.get("nodes.iam-b").inputs


def test_egress_nat_is_a_default_route_to_a_nat_gateway() -> None:
    declared = run_option("NAT gateway")
    entry = declared.get("network-default-route").inputs
    assert (entry["destinationCidrBlock"], entry["nextType"], entry["nextHub"]) == (
        "0.0.0.0/0",
        "NAT",
        "network-nat.id",
    )
    assert declared.get("network-routes-of-subnet").inputs["subnetId"] == "network-subnet.id"
    # Otherwise the subnet would have no route for a moment.
    assert "network-default-route" in declared.get("network-routes-of-subnet").depends_on
    # Only the association sets it; two resources would overwrite each other.
    assert "routeTableId" not in declared.get("network-subnet").inputs


def test_a_given_certificate_is_presented_to_clients() -> None:
    declared = run_option("given certificate")
    given = OPTIONS["given certificate"]["credentials"]["server"]
    for name in ("api", "authz"):
        assert declared.get("rollout").inputs["values"][f"server_certificate.{name}"] == given["certificate"]
        assert declared.get("rollout").inputs["secrets"][f"server_private_key.{name}"] == given["privateKey"]
    # The nodes' certificates are still signed by the stack's CA.
    assert declared.get("credentials-iam-a-certificate")


def _before(declared: Run, name: str) -> set[str]:
    """Return the direct and indirect dependencies of a resource."""
    found: set[str] = set()
    pending = [name]
    while pending:
        for each in declared.get(pending.pop()).depends_on - found:
            found.add(each)
            pending.append(each)
    return found


def _leaves(declared: Run) -> set[str]:
    """Return the resources on which no other resource depends, without components."""
    dependencies = set[str]().union(*(each.depends_on for each in declared.resources))
    resources = {each.name for each in declared.resources if not each.type.startswith("tandem:cloud:")}
    return resources - dependencies


@pytest.mark.parametrize(("stack", "option"), ALL_RUNS, ids=[f"{stack}, {option}" for stack, option in ALL_RUNS])
def test_resources_are_created_before_their_dependents(stack: str, option: str) -> None:
    declared = run_any(stack, option)
    nodes = {each.name for each in declared.of_kind("Instance/instance")}
    before_rollout, before_health = _before(declared, "rollout"), _before(declared, "health")
    # A node without rules would be unreachable.
    for node in nodes:
        assert {"firewall-eligible-rules", "firewall-application-rules", "firewall-bastion-rules"} & _before(
            declared, node
        )
    keys = {each.name for each in declared.resources if each.type.endswith("/tandem:HostKeys")}
    attachments = {each.name for each in declared.of_kind("Ha/vipInstanceAttachment")}
    assert before_rollout >= nodes | keys | attachments
    assert before_health >= {"rollout", "vip-binding"}
    # When a virtual IP is replaced, the hooks of its attachments must already know the declared nodes.
    assert _before(declared, "vip-havip") >= nodes
    if declared.of_kind("Nat/gateway"):
        assert "network-routes-of-subnet" in before_rollout
    # Deleted first: if it is protected, `destroy` is refused before any other resource is deleted.
    assert _leaves(declared) == {"health"}


def test_all_files_are_known_in_the_preview_of_new_nodes() -> None:
    declared = run("local", preview=True)
    planned, deployed = declared.get("rollout").inputs, run("local").get("rollout").inputs
    assert planned["files"] == deployed["files"]
    assert planned["manifests"] == deployed["manifests"]


def test_one_changed_setting_is_one_changed_line_on_each_node() -> None:
    before = run("local").get("rollout").inputs
    after = run("local", {"nginx": {"keepaliveTimeoutS": 30}}).get("rollout").inputs
    assert before["manifests"] == after["manifests"]
    for node in ("iam-a", "iam-b"):
        old, new = before["files"][node], after["files"][node]
        lines = [(path, line) for path in new for line in set(new[path].splitlines()) ^ set(old[path].splitlines())]
        assert len(lines) == 2, lines  # the old and the new line
        assert all(path == "/etc/nginx/nginx.conf" and "keepalive_timeout" in line for path, line in lines)


def test_the_stack_exports_all_documented_outputs() -> None:
    exports = run("local").exports
    assert set(exports) == {
        "group", "public_ip", "public_ips", "virtual_ip", "virtual_ips", "urls", "sites", "nodes", "ssh", "known_hosts",
        "profile", "ca_certificate", "certificate_authorities", "admin_password", "data_node", "termination_protection",
        "network", "disks", "incomplete",
        "generations", "key_generations", "vrrp",
    }  # fmt: skip
    assert exports["urls"] == {"api": "https://iam.api.example.com", "authz": "https://iam.authz.example.com"}
    assert exports["known_hosts"].splitlines()[0] == "iam-a,10.0.4.20 ssh-ed25519 host-keys.iam-a"
    assert exports["profile"] == "fast"
    assert json.dumps(exports)  # plain data
