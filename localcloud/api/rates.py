"""Maximum calls of one action by one account per second: the default rate on the action's page."""

from __future__ import annotations

# For actions whose page could not be read: the lowest rate that was read, except for those at the end.
DEFAULT = 20

# (service, action): calls per second, page.
RATES: dict[tuple[str, str], tuple[int, str]] = {
    ("cvm", "CreateDisasterRecoverGroup"): (10, "213/17813"),
    ("cvm", "CreateKeyPair"): (10, "213/15702"),
    ("cvm", "DeleteDisasterRecoverGroups"): (10, "213/17812"),
    ("cvm", "DeleteKeyPairs"): (10, "213/15700"),
    ("cvm", "DescribeDisasterRecoverGroups"): (10, "213/17810"),
    ("cvm", "DescribeInstances"): (40, "213/15728"),
    ("cvm", "DescribeKeyPairs"): (10, "213/15699"),
    ("cvm", "AssociateInstancesKeyPairs"): (10, "213/15698"),
    ("cvm", "DisassociateInstancesKeyPairs"): (10, "213/15697"),
    ("cvm", "ImportKeyPair"): (10, "213/15703"),
    ("cvm", "ModifyInstancesAttribute"): (10, "213/15739"),
    ("cvm", "ModifyInstancesProject"): (10, "213/15746"),
    ("cvm", "ModifyInstancesVpcAttribute"): (10, "213/15750"),
    ("cvm", "ModifyKeyPairAttribute"): (10, "213/15701"),
    ("cvm", "ResetInstance"): (10, "213/15724"),
    ("cvm", "ResetInstancesInternetMaxBandwidth"): (10, "213/15721"),
    ("cvm", "ResetInstancesType"): (10, "213/15744"),
    ("cvm", "ResizeInstanceDisks"): (10, "213/15731"),
    ("cvm", "RunInstances"): (10, "213/15730"),
    ("cvm", "StartInstances"): (10, "213/15735"),
    ("cvm", "StopInstances"): (10, "213/15743"),
    ("cvm", "TerminateInstances"): (10, "213/15723"),
    ("vpc", "AllocateAddresses"): (10, "215/16699"),
    ("vpc", "CreateAssistantCidr"): (50, "215/43276"),
    ("vpc", "CreateRoutes"): (100, "215/16724"),
    ("vpc", "CreateSubnet"): (100, "215/15782"),
    ("vpc", "CreateVpc"): (100, "215/15774"),
    ("vpc", "DeleteRoutes"): (50, "215/16725"),
    ("vpc", "DescribeSubnets"): (100, "215/15784"),
    ("vpc", "ModifyAddressInternetChargeType"): (10, "215/43849"),
    ("vpc", "ModifyAssistantCidr"): (50, "215/43272"),
    ("vpc", "ModifySecurityGroupPolicies"): (50, "215/15810"),
    ("vpc", "ModifySubnetAttribute"): (100, "215/15781"),
    ("vpc", "ReleaseAddresses"): (10, "215/16705"),
    # All pages of CVM actions that change something say 10; these could not be read.
    ("cvm", "ModifyDisasterRecoverGroupAttribute"): (10, ""),
    ("cvm", "ModifyInstancesDisasterRecoverGroup"): (10, ""),
    # All pages of EIP actions that could be read say 10; these could not be read.
    ("vpc", "AssociateAddress"): (10, ""),
    ("vpc", "DescribeAddresses"): (10, ""),
    ("vpc", "DescribeTaskResult"): (10, ""),
    ("vpc", "DisassociateAddress"): (10, ""),
    ("vpc", "ModifyAddressAttribute"): (10, ""),
    ("vpc", "ModifyAddressesBandwidth"): (10, ""),
}


def rate(service: str, action: str) -> int:
    """Return the calls per second."""
    return RATES.get((service, action), (DEFAULT, ""))[0]
