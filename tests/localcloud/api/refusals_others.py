"""Requests that violate the rules of lists, and of all actions."""

from __future__ import annotations

from localcloud.api import request_rules
from localcloud.rules import refusal
from localcloud.services import parameters
from tests.localcloud.api.lab import PUBLIC_KEY
from tests.localcloud.api.refused import row

ROWS = [
    row(parameters.AddressMalformed, "vpc:HaVipAssociateAddressIp", HaVipId="havip-00000000", AddressIp="x"),
    row(parameters.CidrMalformed, "vpc:CreateVpc", VpcName="v", CidrBlock="10.0.0.1/16"),
    row(parameters.FlagMalformed, "vpc:CreateVpc", VpcName="v", CidrBlock="10.0.0.0/16", EnableMulticast="perhaps"),
    row(refusal.MissingParameter, "vpc:CreateVpc", VpcName="v"),
    row(refusal.UnknownParameter, "vpc:CreateVpc", VpcName="v", CidrBlock="10.0.0.0/16", Colour="blue"),
    row(refusal.WrongType, "vpc:CreateVpc", VpcName=7, CidrBlock="10.0.0.0/16"),
    row(refusal.InvalidParameterValue, "vpc:AllocateAddresses", InternetChargeType="FREE"),
    row(refusal.IdMalformed, "vpc:DeleteVpc", VpcId="vpc-1"),
    row(refusal.IdMalformed, "vpc:DeleteVpc", VpcId="VPC-00000000"),
    row(refusal.TooManyValues, "vpc:DescribeVpcs", VpcIds=[f"vpc-{number:08}" for number in range(101)]),
    row(
        refusal.TooManyValues,
        "vpc:DescribeHaVips",
        Filters=[{"Name": "vip", "Values": [f"10.0.4.{number}" for number in range(6)]}],
    ),
    row(refusal.TooManyValues, "vpc:DescribeVpcs", Filters=[{"Name": "vpc-id", "Values": ["x"]}] * 11),
    row(parameters.AddressMalformed, "vpc:CreateVpc", VpcName="v", CidrBlock="10.0.0.0/16", DnsServers=["x"]),
    row(refusal.ParameterOutOfRange, "cvm:DescribeInstances", Limit=101),
    row(request_rules.ActionNotEmulated, "vpc:CreateCcn", CcnName="x"),
    row(request_rules.InvalidAction, "vpc:MakeCoffee"),
    row(refusal.WrongType, "cvm:ImportKeyPair", KeyName="k", ProjectId="0", PublicKey=PUBLIC_KEY),
]
