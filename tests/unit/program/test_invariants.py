"""What must hold in every stack and with every option."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from ipaddress import ip_network

import pytest
from fake_cloud import Declared, Run, stack_config
from program_runs import ALL_RUNS, run, run_any

# On one worker: each run of the program is made once in a process.
pytestmark = pytest.mark.xdist_group("runs of the program")

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
    "Monitor/alarmPolicy", "Monitor/policyBindingObject",
}  # fmt: skip
_NAMES = ("name", "instanceName", "storageName", "policyName")
# What only one thing at a time can have: the old one must be gone first.
_GONE_FIRST = {
    "Instance/instance", "Ha/vipInstanceAttachment", "Ha/vipEipAttachment", "Eip/association", "Cbs/storageAttachment",
    "Monitor/policyBindingObject",
}  # fmt: skip


def _cloud(declared: Run) -> list[Declared]:
    return [each for each in declared.resources if each.type.startswith("tencentcloud:")]


@every_run
def test_the_internet_reaches_web_ports_of_the_eligible_nodes_only(stack: str, option: str) -> None:
    declared = run_any(stack, option)
    for rules in declared.of_kind("Security/groupRuleSet"):
        for rule in rules.inputs["ingresses"]:
            if ip_network(rule["cidrBlock"]).prefixlen < 8:
                assert (rule["protocol"], rule["port"]) in {("TCP", "443"), ("TCP", "80")}
                assert rules.name == "firewall-eligible-rules"


@every_run
def test_ssh_comes_from_the_bastion_or_the_administrators_only(stack: str, option: str) -> None:
    declared = run_any(stack, option)
    bastions = [m.inputs["privateIp"] for m in declared.of_kind("Instance/instance") if m.name == "nodes.bastion"]
    admins = {"172.31.255.2/32", "198.51.100.0/24"}
    for rules in declared.of_kind("Security/groupRuleSet"):
        wanted = {f"{bastion}/32" for bastion in bastions} if bastions else admins
        if rules.name == "firewall-bastion-rules":
            wanted = admins
        sources = {rule["cidrBlock"] for rule in rules.inputs["ingresses"] if rule["port"] == "22"}
        assert sources
        assert sources <= wanted


@every_run
def test_all_protocols_pass_between_eligible_nodes_only(stack: str, option: str) -> None:
    declared = run_any(stack, option)
    nodes = {f"{each['private_address']}/32": each["eligible"] for each in declared.exports["nodes"]}
    eligible_nodes = {address for address, eligible in nodes.items() if eligible}
    for rules in declared.of_kind("Security/groupRuleSet"):
        ingresses = rules.inputs["ingresses"]
        assert {rule["action"] for rule in ingresses} == {"ACCEPT"}
        everything = {rule["cidrBlock"] for rule in ingresses if rule["protocol"] == "ALL"}
        assert everything == (eligible_nodes if rules.name == "firewall-eligible-rules" else set())
        # All else is TCP in capitals, and a node of the group is let in by all of its ports or by none.
        assert {rule["protocol"] for rule in ingresses} <= {"TCP", "ALL"}
        from_group = {rule["cidrBlock"]: rule["port"] for rule in ingresses if rule["cidrBlock"] in nodes}
        assert from_group == ({} if rules.name == "firewall-bastion-rules" else dict.fromkeys(nodes, "ALL"))
        assert {rule["port"] for rule in ingresses if rule["cidrBlock"] not in nodes} <= {"22", "80", "443"}


@every_run
def test_everything_may_go_out(stack: str, option: str) -> None:
    for rules in run_any(stack, option).of_kind("Security/groupRuleSet"):
        (rule,) = rules.inputs["egresses"]
        assert (rule["action"], rule["cidrBlock"], rule["protocol"], rule["port"]) == (
            "ACCEPT", "0.0.0.0/0", "ALL", "ALL",
        )  # fmt: skip


@every_run
def test_clients_are_let_in_to_the_eligible_nodes(stack: str, option: str) -> None:
    web = {
        rule["port"]
        for rule in run_any(stack, option).get("firewall-eligible-rules").inputs["ingresses"]
        if rule["cidrBlock"] == "0.0.0.0/0"
    }
    assert web == {"80", "443"}


@every_run
def test_nodes_take_keys_only_and_no_public_address_of_their_own(stack: str, option: str) -> None:
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
        # The provider reads it back under this name, in clear.
        assert "userData" in node.request.additionalSecretOutputs
        assert len(node.inputs["userDataRaw"].encode()) * 4 / 3 <= 16 * 1024


@every_run
def test_what_a_node_was_born_with_never_changes_it(stack: str, option: str) -> None:
    for node in run_any(stack, option).of_kind("Instance/instance"):
        wanted = {"imageId", "userDataRaw", "keyIds", "availabilityZone", "systemDiskType"}
        agents = {"disableSecurityService", "disableMonitorService", "disableAutomationService"}
        assert node.ignores == wanted | agents


@every_run
def test_what_can_be_there_once_is_gone_before_its_successor_comes(stack: str, option: str) -> None:
    for each in _cloud(run_any(stack, option)):
        if each.kind in _GONE_FIRST:
            assert each.request.deleteBeforeReplace, each.name


@every_run
def test_only_attached_nodes_may_announce_a_virtual_ip(stack: str, option: str) -> None:
    declared = run_any(stack, option)
    for havip in declared.of_kind("Ha/vip"):
        assert havip.inputs["checkAssociate"] is True
    attachments = declared.of_kind("Ha/vipInstanceAttachment")
    assert len(attachments) == 2 * len(declared.of_kind("Ha/vip"))


@every_run
def test_every_name_says_project_and_stack_and_is_short_enough(stack: str, option: str) -> None:
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
def test_everything_that_has_tags_says_whose_it_is(stack: str, option: str) -> None:
    asked_for = stack_config(stack).get("tandem:tags", {})
    ours = {"pulumi-project": "tandem", "pulumi-stack": stack, "managed-by": "pulumi"}
    for each in _cloud(run_any(stack, option)):
        assert (each.kind in _WITH_TAGS) != (each.kind in _WITHOUT_TAGS), f"new type: {each.kind}"
        if each.kind in _WITH_TAGS:
            node = each.inputs["tags"].get("node")
            assert each.inputs["tags"] == asked_for | ours | ({"node": node} if node else {})


def test_the_provider_agrees_on_what_has_tags() -> None:
    def takes_tags(kind: str) -> bool:
        module, name = kind.split("/")
        resource = getattr(
            importlib.import_module(f"tencentcloud_iac_pulumi.{module.lower()}"), name[0].upper() + name[1:]
        )
        return "tags" in inspect.signature(resource._internal_init).parameters

    assert {kind for kind in _WITH_TAGS | _WITHOUT_TAGS if takes_tags(kind)} == _WITH_TAGS


@every_run
def test_no_secret_stands_where_it_can_be_read(stack: str, option: str) -> None:
    declared = run_any(stack, option)
    private = re.compile(
        r"\.privateKeyPem|\.privateKeyOpenssh|credentials-[a-z-]+\.(result|bcryptHash)"
        r"|BEGIN [A-Z ]*PRIVATE|given-[a-z]+-password"
    )
    for each in declared.resources:
        in_clear = {key: value for key, value in each.inputs.items() if key not in each.secret_inputs}
        assert not private.search(json.dumps(in_clear, default=str)), each.name
    in_clear = {key: value for key, value in declared.exports.items() if key not in declared.secret_exports}
    assert not private.search(json.dumps(in_clear, default=str))
    assert declared.secret_exports == {"ssh"}


@every_run
def test_files_name_their_secrets_and_hold_none(stack: str, option: str) -> None:
    rollout = run_any(stack, option).get("rollout")
    given = set(rollout.inputs["secrets"]) | set(rollout.inputs["values"])
    wanted = set(
        re.findall(r"@@secret:([A-Za-z0-9_.-]+)@@", json.dumps([rollout.inputs["files"], rollout.inputs["manifests"]]))
    )
    assert wanted
    assert wanted <= given


@every_run
def test_a_policy_is_bound_to_what_it_watches(stack: str, option: str) -> None:
    declared = run_any(stack, option)
    bound = {
        each.inputs["policyId"] for each in declared.of_kind("Monitor/policyBindingObject") if each.inputs["dimensions"]
    }
    assert bound == {f"{policy.name}.id" for policy in declared.of_kind("Monitor/alarmPolicy")}


@pytest.mark.parametrize(("stack", "option"), [("prod", "as it is"), ("local", "protected")])
def test_what_holds_data_or_addresses_is_protected_in_prod(stack: str, option: str) -> None:
    for each in _cloud(run_any(stack, option)):
        holds = each.kind in {"Cbs/storage", "Ha/vip"} or each.name in {"vip-address", "network-nat-address"}
        assert each.request.protect == holds, each.name
    assert run_any(stack, option).get("health").request.protect


def test_nothing_is_protected_where_nobody_asked_for_it() -> None:
    assert not [each.name for each in run("local").resources if each.request.protect]


def test_prod_refuses_to_terminate_nodes() -> None:
    assert all(each.inputs["disableApiTermination"] for each in run("prod").of_kind("Instance/instance"))
