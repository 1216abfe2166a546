"""Properties that hold in all stacks and with all options."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from ipaddress import ip_network

import pytest
from fake_cloud import Declared, Run, stack_config
from program_runs import ALL_RUNS, OPTIONS, config_of, run, run_any

from settings.access import AccessSettings
from settings.nginx import NginxSettings
from settings.nodes import NodesSettings
from settings.rules.addresses import count_rules

# One worker: results of program runs are cached per process.

every_run = pytest.mark.parametrize(
    ("stack", "option"), ALL_RUNS, ids=[f"{stack}, {option}" for stack, option in ALL_RUNS]
)

_WITH_TAGS = {
    "Vpc/instance", "Subnet/instance", "Security/group", "Key/pair", "Placement/group", "Instance/instance",
    "Eip/instance", "Route/table", "Nat/gateway", "Cbs/storage",
}  # fmt: skip
_WITHOUT_TAGS = {
    "Security/groupRuleSet", "Ha/vip", "Ha/vipInstanceAttachment", "Ha/vipEipAttachment", "Eip/association",
    "Route/tableEntry", "Route/tableAssociation", "Cbs/storageAttachment", "Dnspod/record", "Monitor/alarmNotice",
    "Monitor/alarmPolicy", "Monitor/policyBindingObject", "Cbs/snapshotPolicy", "Cbs/snapshotPolicyAttachment",
}  # fmt: skip
_NAMES = ("name", "instanceName", "storageName", "policyName", "snapshotPolicyName")
# Resources that cannot exist twice: the old one must be deleted before its replacement is created.
_DELETED_FIRST = {
    "Instance/instance", "Ha/vipInstanceAttachment", "Ha/vipEipAttachment", "Eip/association", "Cbs/storageAttachment",
    "Monitor/policyBindingObject",
}  # fmt: skip


def _cloud(declared: Run) -> list[Declared]:
    return [each for each in declared.resources if each.type.startswith("tencentcloud:")]


def _streams(option: str) -> set[tuple[str, str]]:
    """The public ports of layer 4 load balancing."""
    return {("UDP", "5300"), ("TCP", "7001")} if option == "sites and streams" else set()


@every_run
def test_only_web_ports_of_the_eligible_nodes_are_public(stack: str, option: str) -> None:
    declared = run_any(stack, option)
    for rules in declared.of_kind("Security/groupRuleSet"):
        for rule in rules.inputs["ingresses"]:
            if ip_network(rule["cidrBlock"]).prefixlen < 8:
                assert (rule["protocol"], rule["port"]) in {("TCP", "443"), ("TCP", "80"), *_streams(option)}
                assert rules.name == "firewall-eligible-rules"


@every_run
def test_the_settings_count_the_rules_of_each_security_group(stack: str, option: str) -> None:
    config = config_of(stack, OPTIONS[option])
    nodes = NodesSettings.model_validate(config["tandem:nodes"])
    access = AccessSettings.model_validate(config["tandem:access"])
    nginx = NginxSettings.model_validate(config.get("tandem:nginx", {}))
    declared = {
        rules.name.removeprefix("firewall-").removesuffix("-rules"): len(rules.inputs["ingresses"])
        for rules in run_any(stack, option).of_kind("Security/groupRuleSet")
    }
    assert count_rules(nodes, access, nginx) == declared


@every_run
def test_ssh_is_only_accepted_from_the_bastion_or_the_administrators(stack: str, option: str) -> None:
    declared = run_any(stack, option)
    bastions = [m.inputs["privateIp"] for m in declared.of_kind("Instance/instance") if m.name == "nodes.bastion"]
    admins = {"172.31.255.2/32", "198.51.100.0/24"}
    for rules in declared.of_kind("Security/groupRuleSet"):
        expected = {f"{bastion}/32" for bastion in bastions} if bastions else admins
        if rules.name == "firewall-bastion-rules":
            expected = admins
        sources = {rule["cidrBlock"] for rule in rules.inputs["ingresses"] if rule["port"] == "22"}
        assert sources
        assert sources <= expected


@every_run
def test_all_protocols_are_only_accepted_between_eligible_nodes(stack: str, option: str) -> None:
    declared = run_any(stack, option)
    nodes = {f"{each['private_address']}/32": each["eligible"] for each in declared.exports["nodes"]}
    eligible_nodes = {address for address, eligible in nodes.items() if eligible}
    for rules in declared.of_kind("Security/groupRuleSet"):
        assert {rule["action"] for rule in rules.inputs["ingresses"]} == {"ACCEPT"}
        of_streams = _streams(option) | ({("UDP", "5353")} if option == "sites and streams" else set())
        ingresses = [rule for rule in rules.inputs["ingresses"] if (rule["protocol"], rule["port"]) not in of_streams]
        all_protocols = {rule["cidrBlock"] for rule in ingresses if rule["protocol"] == "ALL"}
        assert all_protocols == (eligible_nodes if rules.name == "firewall-eligible-rules" else set())
        # All other rules are TCP in upper case, and accept either all ports of a node or none.
        assert {rule["protocol"] for rule in ingresses} <= {"TCP", "ALL"}
        from_group = {rule["cidrBlock"]: rule["port"] for rule in ingresses if rule["cidrBlock"] in nodes}
        assert from_group == ({} if rules.name == "firewall-bastion-rules" else dict.fromkeys(nodes, "ALL"))
        assert {rule["port"] for rule in ingresses if rule["cidrBlock"] not in nodes} <= {"22", "80", "443"}


@every_run
def test_all_outgoing_traffic_is_accepted(stack: str, option: str) -> None:
    for rules in run_any(stack, option).of_kind("Security/groupRuleSet"):
        (rule,) = rules.inputs["egresses"]
        assert (rule["action"], rule["cidrBlock"], rule["protocol"], rule["port"]) == (
            "ACCEPT", "0.0.0.0/0", "ALL", "ALL",
        )  # fmt: skip


@every_run
def test_eligible_nodes_accept_clients(stack: str, option: str) -> None:
    web = {
        rule["port"]
        for rule in run_any(stack, option).get("firewall-eligible-rules").inputs["ingresses"]
        if rule["cidrBlock"] == "0.0.0.0/0"
    }
    assert web == {"80", "443"} | {port for protocol, port in _streams(option) if protocol == "UDP"}


@every_run
def test_nodes_have_a_key_but_no_password_and_no_allocated_public_address(stack: str, option: str) -> None:
    for node in run_any(stack, option).of_kind("Instance/instance"):
        assert node.inputs["keyIds"]
        assert "password" not in node.inputs
        assert node.inputs["allocatePublicIp"] is False
        assert len(node.inputs["orderlySecurityGroups"]) == 1
        assert re.fullmatch(r"img-[0-9a-z]+", node.inputs["imageId"])


@every_run
def test_user_data_is_secret_and_fits_in_16_kib(stack: str, option: str) -> None:
    for node in run_any(stack, option).of_kind("Instance/instance"):
        assert "userDataRaw" in node.secret_inputs
        # The provider reads it back under this name, as plain text.
        assert "userData" in node.request.additionalSecretOutputs
        assert len(node.inputs["userDataRaw"].encode()) * 4 / 3 <= 16 * 1024


@every_run
def test_changes_of_creation_settings_do_not_affect_existing_nodes(stack: str, option: str) -> None:
    for node in run_any(stack, option).of_kind("Instance/instance"):
        creation = {"imageId", "userDataRaw", "keyIds", "availabilityZone", "systemDiskType"}
        agents = {"disableSecurityService", "disableMonitorService", "disableAutomationService"}
        assert node.ignores == creation | agents


@every_run
def test_resources_that_cannot_exist_twice_are_deleted_before_they_are_replaced(stack: str, option: str) -> None:
    for each in _cloud(run_any(stack, option)):
        if each.kind in _DELETED_FIRST:
            assert each.request.deleteBeforeReplace, each.name


@every_run
def test_only_attached_nodes_may_announce_a_virtual_ip(stack: str, option: str) -> None:
    declared = run_any(stack, option)
    for havip in declared.of_kind("Ha/vip"):
        assert havip.inputs["checkAssociate"] is True
    attachments = declared.of_kind("Ha/vipInstanceAttachment")
    assert len(attachments) == 2 * len(declared.of_kind("Ha/vip"))


@every_run
def test_names_contain_project_and_stack_and_are_short_enough(stack: str, option: str) -> None:
    seen: set[tuple[str, str]] = set()
    for each in _cloud(run_any(stack, option)):
        for key in _NAMES:
            if key in each.inputs:
                name = each.inputs[key]
                assert name.startswith(f"tandem-{stack}-")
                assert len(name) <= 60
                assert (each.kind, name) not in seen
                seen.add((each.kind, name))
        if each.kind == "Key/pair":
            assert re.fullmatch(r"[A-Za-z0-9_]{1,25}", each.inputs["keyName"])


@every_run
def test_tags_contain_project_and_stack(stack: str, option: str) -> None:
    configured = stack_config(stack).get("tandem:tags", {})
    own = {"pulumi-project": "tandem", "pulumi-stack": stack, "managed-by": "pulumi"}
    for each in _cloud(run_any(stack, option)):
        assert (each.kind in _WITH_TAGS) != (each.kind in _WITHOUT_TAGS), f"new type: {each.kind}"
        if each.kind in _WITH_TAGS:
            node = each.inputs["tags"].get("node")
            assert each.inputs["tags"] == configured | own | ({"node": node} if node else {})


def test_the_provider_supports_tags_for_the_same_types() -> None:
    def supports_tags(kind: str) -> bool:
        module, name = kind.split("/")
        resource = getattr(
            importlib.import_module(f"tencentcloud_iac_pulumi.{module.lower()}"), name[0].upper() + name[1:]
        )
        return "tags" in inspect.signature(resource._internal_init).parameters

    assert {kind for kind in _WITH_TAGS | _WITHOUT_TAGS if supports_tags(kind)} == _WITH_TAGS


@every_run
def test_no_secret_is_plain_text(stack: str, option: str) -> None:
    declared = run_any(stack, option)
    private = re.compile(
        r"\.privateKeyPem|\.privateKeyOpenssh|credentials-[a-z-]+\.(result|bcryptHash)"
        r"|BEGIN [A-Z ]*PRIVATE|given-[a-z]+-password"
    )
    for each in declared.resources:
        plain_text = {key: value for key, value in each.inputs.items() if key not in each.secret_inputs}
        assert not private.search(json.dumps(plain_text, default=str)), each.name
    plain_text = {key: value for key, value in declared.exports.items() if key not in declared.secret_exports}
    assert not private.search(json.dumps(plain_text, default=str))
    assert declared.secret_exports == {"ssh", "admin_password"}


@every_run
def test_files_contain_only_placeholders_of_known_secrets(stack: str, option: str) -> None:
    rollout = run_any(stack, option).get("rollout")
    host_keys = {f"host_key.{node['name']}" for node in rollout.inputs["nodes"]}
    given = set(rollout.inputs["secrets"]) | set(rollout.inputs["values"]) | host_keys
    placeholders = set(
        re.findall(
            r"@@secret:([A-Za-z0-9_.-]+)(?: as \w+)?@@",
            json.dumps([rollout.inputs["files"], rollout.inputs["manifests"]]),
        )
    )
    assert placeholders
    assert placeholders <= given


@every_run
def test_all_alarm_policies_are_bound_to_resources(stack: str, option: str) -> None:
    declared = run_any(stack, option)
    bound = {
        each.inputs["policyId"] for each in declared.of_kind("Monitor/policyBindingObject") if each.inputs["dimensions"]
    }
    assert bound == {f"{policy.name}.id" for policy in declared.of_kind("Monitor/alarmPolicy")}


@pytest.mark.parametrize(("stack", "option"), [("prod", "defaults"), ("local", "protected")])
def test_resources_with_data_or_addresses_are_protected_in_prod(stack: str, option: str) -> None:
    for each in _cloud(run_any(stack, option)):
        protected = each.kind in {"Cbs/storage", "Ha/vip"} or each.name in {"vip-address", "network-nat-address"}
        assert each.request.protect == protected, each.name
    assert run_any(stack, option).get("health").request.protect


def test_nothing_is_protected_by_default() -> None:
    assert not [each.name for each in run("local").resources if each.request.protect]


def test_nodes_have_termination_protection_in_prod() -> None:
    assert all(each.inputs["disableApiTermination"] for each in run("prod").of_kind("Instance/instance"))
