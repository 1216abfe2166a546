"""Any settings are either accepted or rejected with a report; no other exception is raised."""

from __future__ import annotations

import contextlib
import re
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from settings_samples import RELEASE, parse, problems_of, sections, with_value

from components.labels import Labels
from provisioning.deployment import make_deployment
from provisioning.manifest_rendering import render
from settings import load
from settings.load import Stack
from settings.problems import SettingsError

_quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
_PATHS = [
    "network", "network.zone", "network.vpcCidr", "network.existing", "nodes.members", "nodes.members.0",
    "nodes.members.0.address", "nodes.systemDisk", "access.adminCidrs", "access.mode", "virtualIp", "domains.api",
    "keepalived", "nginx", "iam", "data", "alarms", "credentials", "dns", "tags", "protect",
]  # fmt: skip
_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=6,
)


@_quick
@given(path=st.sampled_from(_PATHS), value=_anything)
def test_any_value_is_accepted_or_reported_with_its_key(path: str, value: Any) -> None:
    for problem in problems_of(with_value(sections(), path, value)):
        assert problem.key.startswith("tandem:")
        assert problem.text
        assert "\n" not in problem.key


@_quick
@given(values=st.dictionaries(st.sampled_from([path for path in _PATHS if "." not in path]), _anything, max_size=5))
def test_any_sections_are_accepted_or_rejected(values: dict[str, Any]) -> None:
    with contextlib.suppress(SettingsError):
        load.parse(Stack("tandem", "local", "ap-guangzhou"), values, find_release=lambda _: RELEASE)


@st.composite
def _groups(draw: st.DrawFn) -> tuple[IPv4Network, list[IPv4Address]]:
    """A subnet and distinct addresses in it for a group, the virtual IP last."""
    subnet = IPv4Network((draw(st.integers(10 << 24, (11 << 24) - 1)) & ~0xFF, 24))
    count = draw(st.integers(2, 16))
    hosts = draw(st.lists(st.integers(2, 254), min_size=count + 1, max_size=count + 1, unique=True))
    return subnet, [subnet[host] for host in hosts]


@_quick
@given(group=_groups())
def test_any_group_of_free_addresses_is_accepted_and_rendered(group: tuple[IPv4Network, list[IPv4Address]]) -> None:
    subnet, (*addresses, virtual) = group
    values = sections()
    values["network"] |= {"vpcCidr": str(subnet.supernet(new_prefix=16)), "subnetCidr": str(subnet)}
    values["nodes"]["members"] = [
        {"name": f"n{number}", "address": str(address)} for number, address in enumerate(addresses)
    ]
    values["virtualIp"] = {"address": str(virtual)}
    parsed = parse(values)
    manifests = render(make_deployment(parsed, "tandem-local"))
    assert list(manifests) == [node.name for node in parsed.nodes.members]


@_quick
@example(project="tandem", stacks=["a.b", "a-b"])
@given(
    project=st.from_regex(r"[a-z][a-z0-9-]{0,60}", fullmatch=True),
    stacks=st.lists(st.from_regex(r"[a-zA-Z0-9_.-]{1,100}", fullmatch=True), min_size=2, max_size=2, unique=True),
)
def test_names_of_two_stacks_differ_and_fit_their_limits(project: str, stacks: list[str]) -> None:
    first, second = (Labels(project, stack, {}) for stack in stacks)
    for labels in (first, second):
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,60}", labels.name("vpc"))
        assert len(labels.subject(f"{labels.group} CA")) <= 64
        assert len(labels.key_name("deploy")) <= 25
        assert labels.key_name("deploy").replace("_", "").isalnum()
    assert first.name("vpc") != second.name("vpc")
    assert first.key_name("deploy") != second.key_name("deploy")
