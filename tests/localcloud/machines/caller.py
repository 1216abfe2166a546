"""A long-running client: reads requests as lines of JSON, sends them with the official SDK, prints the responses.

Run by `localcloud exec -- python caller.py`: a program of the operator, not a module of the tests.
"""

from __future__ import annotations

import json
import os
import sys

from tencentcloud.common import credential
from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException


def main() -> None:
    identity = credential.Credential(os.environ["TENCENTCLOUD_SECRET_ID"], os.environ["TENCENTCLOUD_SECRET_KEY"])
    for line in sys.stdin:
        service, version, action, parameters = json.loads(line)
        try:
            # A new client for each request: a connection to a killed daemon would otherwise be reused.
            client = CommonClient(service, version, identity, os.environ["TENCENTCLOUD_REGION"])
            answer = client.call_json(action, parameters)["Response"]
        except TencentCloudSDKException as problem:
            answer = {"Error": {"Code": problem.get_code(), "Message": problem.get_message()}}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
