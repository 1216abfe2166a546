"""Measures the response times of localcloud's API.

    python tests/benchmarks/api_latency.py [--count N] [--clients N] [--resources N]

Prints median, 99th percentile and worst case of a start, a describe of one resource, a describe of a page, and a
write. Requests are signed by the official SDK and sent over kept-alive HTTP connections on the loopback interface.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.credential import Credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from localcloud.services.actions import VERSIONS
from tests.localcloud.api.process import ApiProcess


def _client(api: ApiProcess, service: str) -> CommonClient:
    http = HttpProfile(protocol="http", endpoint=api.addresses[0], keepAlive=True)
    secret = Credential("tester", "secret-of-tester")
    return CommonClient(service, VERSIONS[service], secret, "ap-guangzhou", ClientProfile(httpProfile=http))


def _figures(times_s: list[float]) -> dict[str, float]:
    ordered = sorted(times_s)
    at_99 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
    figures = {"median_ms": statistics.median(ordered), "p99_ms": at_99, "worst_ms": ordered[-1]}
    return {name: round(value * 1000, 2) for name, value in figures.items()} | {"count": len(ordered)}


def _measure(count: int, work: Callable[[], Any]) -> list[float]:
    times: list[float] = []
    for _ in range(count):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return times


def _start(home: Path) -> dict[str, float]:
    times: list[float] = []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for number in range(5):
        directory = home / f"start-{number}"
        directory.mkdir()
        api = ApiProcess(directory, ("--http", "127.0.0.1:0"))
        began = time.perf_counter()
        api.start()
        api.call("vpc:DescribeVpcs")
        times.append(time.perf_counter() - began)
        api.stop()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return _figures(times) | {"processor_ms_each": round(spent_s * 1000 / len(times), 1)}


def _populate(vpc: CommonClient, resources: int) -> str:
    made = vpc.call_json("CreateVpc", {"VpcName": "v", "CidrBlock": "10.0.0.0/16"})["Response"]["Vpc"]
    for number in range(resources):
        zone = {"VpcId": made["VpcId"], "SubnetName": "s", "Zone": "ap-guangzhou-6"}
        vpc.call_json("CreateSubnet", zone | {"CidrBlock": f"10.0.{number}.0/24"})
        vpc.call_json("CreateSecurityGroup", {"GroupName": f"g{number}", "GroupDescription": ""})
    return made["VpcId"]


def _in_parallel(api: ApiProcess, clients: int, each: int) -> list[float]:
    times: list[float] = []

    def work() -> None:
        client = _client(api, "vpc")
        times.extend(_measure(each, lambda: client.call_json("DescribeVpcs", {})))

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--resources", type=int, default=40)
    parser.add_argument("--clients", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        figures = {"start_to_first_response": _start(home)}
        api = ApiProcess(home, ("--http", "127.0.0.1:0"))
        api.start()
        vpc = _client(api, "vpc")
        vpc_id = _populate(vpc, options.resources)
        one = {"Filters": [{"Name": "vpc-id", "Values": [vpc_id]}]}
        figures["describe_one"] = _figures(_measure(options.count, lambda: vpc.call_json("DescribeVpcs", one)))
        page = {"Limit": "100"}
        figures["describe_page"] = _figures(
            _measure(options.count // 4, lambda: vpc.call_json("DescribeSubnets", page))
        )
        tag = {"Resource": f"qcs::vpc:ap-guangzhou:uin/:vpc/{vpc_id}"}
        change = tag | {"RedirectoryTags": [{"TagKey": "k", "TagValue": "v"}]}
        tags = _client(api, "tag")
        figures["write"] = _figures(_measure(options.count // 4, lambda: tags.call_json("ModifyResourceTags", change)))
        each = options.count // options.clients
        figures[f"describe_one_{options.clients}_clients"] = _figures(_in_parallel(api, options.clients, each))
        api.stop()
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
