"""Security groups. Their policies are in security_group_policy.py."""

from __future__ import annotations

from localcloud.rules import interface, security_group
from localcloud.rules.records import beijing_time, changed
from localcloud.rules.security_group import SecurityGroup
from localcloud.services import tagging
from localcloud.services.actions import Answer, Call, action
from localcloud.services.listing import Filters, UnknownFilter, listed
from localcloud.services.parameters import Parameters


def show(call: Call, found: SecurityGroup) -> Answer:
    return {
        "SecurityGroupId": found.id,
        "SecurityGroupName": found.name,
        "SecurityGroupDesc": found.description,
        "ProjectId": found.project_id,
        "IsDefault": found.is_default,
        "CreatedTime": beijing_time(found.created),
        "UpdateTime": beijing_time(found.updated),
        "TagSet": tagging.shown(call, found.id),
    }


@action("vpc", "CreateSecurityGroup", security_group.SecurityGroupQuota)
def create_security_group(call: Call, given: Parameters) -> Answer:
    """Create a security group without policies."""
    requested = SecurityGroup(
        name=given.text("GroupName"),
        description=given.text("GroupDescription"),
        project_id=given.find_text("ProjectId") or "0",
    )
    return {"SecurityGroup": show(call, security_group.create(call.tx, requested, tagging.given(given)))}


@action("vpc", "DescribeSecurityGroups", security_group.SecurityGroupNotFound, UnknownFilter)
def describe_security_groups(call: Call, _given: Parameters) -> Answer:
    """List security groups."""
    filters: Filters[SecurityGroup] = {
        "security-group-id": lambda one: [one.id],
        "project-id": lambda one: [one.project_id],
        "security-group-name": lambda one: [one.name],
    }
    return listed(
        call,
        "SecurityGroupSet",
        SecurityGroup,
        show,
        filters,
        ids="SecurityGroupIds",
        missing=security_group.SecurityGroupNotFound,
    )


@action("vpc", "ModifySecurityGroupAttribute", security_group.SecurityGroupNotFound)
def modify_security_group_attribute(call: Call, given: Parameters) -> None:
    """Change the name or description of a security group."""
    present = security_group.get(call.tx, given.resource_id("SecurityGroupId", "sg"))
    name, description = given.find_text("GroupName"), given.find_text("GroupDescription")
    security_group.change(call.tx, changed(present, {"name": name, "description": description}))


@action("vpc", "DeleteSecurityGroup", security_group.SecurityGroupNotFound, security_group.SecurityGroupInUse)
def delete_security_group(call: Call, given: Parameters) -> None:
    """Delete an unused security group."""
    security_group.delete(call.tx, given.resource_id("SecurityGroupId", "sg"))


@action("vpc", "DescribeSecurityGroupAssociationStatistics", security_group.SecurityGroupNotFound)
def describe_security_group_association_statistics(call: Call, given: Parameters) -> Answer:
    """Count the resources that use each security group."""
    return {
        "SecurityGroupAssociationStatisticsSet": [
            _statistics(call, security_group.get(call.tx, group_id))
            for group_id in given.required_texts("SecurityGroupIds")
        ]
    }


def _statistics(call: Call, group: SecurityGroup) -> Answer:
    machines = [eni.instance_id for eni in call.tx.all(interface.Interface) if group.id in eni.group_ids]
    nested = [
        one
        for one in call.tx.all(SecurityGroup)
        if one.id != group.id and any(policy.group_id == group.id for policy in (*one.ingress, *one.egress))
    ]
    return {
        "SecurityGroupId": group.id,
        "CVM": len(machines),
        "ENI": 0,
        "SG": len(nested),
        "TotalCount": len(machines),
        "InstanceStatistics": [{"InstanceType": "CVM", "InstanceCount": len(machines)}] if machines else [],
    }
