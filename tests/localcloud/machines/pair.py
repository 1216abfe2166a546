"""Create two instances, a HAVIP and an EIP through the API, as an operator would. Prints the result as JSON.

Run by `localcloud exec -- python pair.py [IMAGE] [COUNT]`: a program of the operator, not a module of the tests.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from tencentcloud.common import credential
from tencentcloud.common.common_client import CommonClient


def main(image: str, count: int) -> None:
    identity = credential.Credential(os.environ["TENCENTCLOUD_SECRET_ID"], os.environ["TENCENTCLOUD_SECRET_KEY"])
    region = os.environ["TENCENTCLOUD_REGION"]
    clients = {
        "vpc": CommonClient("vpc", "2017-03-12", identity, region),
        "cvm": CommonClient("cvm", "2017-03-12", identity, region),
    }

    def call(service: str, action: str, **parameters: Any) -> dict[str, Any]:
        return clients[service].call_json(action, parameters)["Response"]

    vpc = call("vpc", "CreateVpc", VpcName="pair", CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    zone = "ap-guangzhou-6"
    subnet = call("vpc", "CreateSubnet", VpcId=vpc, SubnetName="pair", CidrBlock="10.0.4.0/24", Zone=zone)["Subnet"]
    group = call("vpc", "CreateSecurityGroup", GroupName="pair", GroupDescription="pair")["SecurityGroup"]
    group_id = group["SecurityGroupId"]
    everything = [{"Protocol": "ALL", "Port": "ALL", "CidrBlock": "0.0.0.0/0", "Action": "ACCEPT"}]
    policies = {"Ingress": everything, "Egress": everything}
    call("vpc", "ModifySecurityGroupPolicies", SecurityGroupId=group_id, SecurityGroupPolicySet=policies)
    key = call("cvm", "CreateKeyPair", KeyName="pair", ProjectId=0)["KeyPair"]["KeyId"]
    instances: list[str] = []
    for number in range(count):
        instances += call(
            "cvm",
            "RunInstances",
            InstanceChargeType="POSTPAID_BY_HOUR",
            Placement={"Zone": zone},
            ImageId=image,
            InstanceType="S5.MEDIUM2",
            InstanceName=f"node-{number}",
            HostName=f"node-{number}",
            SystemDisk={"DiskType": "CLOUD_PREMIUM", "DiskSize": 20},
            VirtualPrivateCloud={
                "VpcId": vpc,
                "SubnetId": subnet["SubnetId"],
                "PrivateIpAddresses": [f"10.0.4.{20 + number}"],
            },
            SecurityGroupIds=[group_id],
            LoginSettings={"KeyIds": [key]},
        )["InstanceIdSet"]
    wait_for(
        lambda: (
            {one["InstanceState"] for one in call("cvm", "DescribeInstances", InstanceIds=instances)["InstanceSet"]}
            == {"RUNNING"}
        )
    )
    havip = call("vpc", "CreateHaVip", VpcId=vpc, SubnetId=subnet["SubnetId"], HaVipName="pair", Vip="10.0.4.99")
    havip_id = havip["HaVip"]["HaVipId"]
    attachments = [{"HaVipId": havip_id, "InstanceId": instance} for instance in instances]
    call("vpc", "AssociateHaVipInstance", HaVipAssociationSet=attachments)
    eip = call("vpc", "AllocateAddresses", AddressCount=1, InternetMaxBandwidthOut=100)["AddressSet"][0]

    def address() -> dict[str, Any]:
        return call("vpc", "DescribeAddresses", AddressIds=[eip])["AddressSet"][0]

    wait_for(lambda: address()["AddressStatus"] == "UNBIND")
    public = address()["AddressIp"]
    call("vpc", "HaVipAssociateAddressIp", HaVipId=havip_id, AddressIp=public)
    wait_for(lambda: address()["AddressStatus"] == "BIND")
    print(json.dumps({"instances": instances, "havip": havip_id, "public": public, "vpc": vpc}))


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        if time.monotonic() > deadline:
            sys.exit("not within 60 s")
        time.sleep(0.1)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "img-debian12", int(sys.argv[2]) if len(sys.argv) > 2 else 2)
