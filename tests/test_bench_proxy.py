"""What the proxy benchmark reads and prints. Nothing is measured."""

from __future__ import annotations

import time

import pytest

from tests.benchmarks.proxy import KINDS, Measured, busy_s, parse_wrk, report

WRK = """Running 5s test @ http://203.0.113.1:8101/healthz
  Thread Stats   Avg      Stdev     Max   +/- Stdev
     99%    4.50ms
Requests/sec:  16500.00
"""


def measured(rate: float, p99_ms: float, nginx_us: float, host_us: float) -> dict[str, object]:
    return {"rate": rate, "p99_ms": p99_ms, "cores": 0.5, "nginx_us": nginx_us, "host_us": host_us, "errors": ""}


def test_rate_latency_and_processor_time_are_read() -> None:
    assert parse_wrk(WRK, 2.0, 9.5) == Measured(16500, 4.5, "", 2.0, 9.5)
    with pytest.raises(RuntimeError, match="wrk must report a rate"):
        parse_wrk("unable to connect", 0, 0)


@pytest.mark.parametrize(("times", "code"), [(3.2, 0), (2.3, 1)])
def test_a_missed_goal_is_shown_with_the_most_that_shared_cores_allow(
    capsys: pytest.CaptureFixture[str], times: float, code: int
) -> None:
    found = {
        kind: {"lecture": measured(10_000, 6, 65, 100), "tandem": measured(10_000 * times, 2, 25, 44)} for kind in KINDS
    }
    assert report(found, {}) == code
    shown = capsys.readouterr().out
    assert ("MISSED" in shown) == bool(code)
    assert "65 of  100 us" in shown
    assert "at most 2.27x" in shown


@pytest.mark.parametrize("name", ["lecture", "tandem"])
def test_a_rate_of_error_responses_misses_the_goal(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Nginx sends an error without a request to a server, which is much faster."""
    errors = parse_wrk(f"{WRK}  Non-2xx or 3xx responses: 82500\n", 2.0, 9.5).errors
    found = {kind: {"lecture": measured(10_000, 6, 65, 100), "tandem": measured(32_000, 2, 25, 44)} for kind in KINDS}
    found["TLS, 1 connection"][name]["errors"] = errors
    assert report(found, {}) == 1
    assert capsys.readouterr().out.count("MISSED") == 1


def test_the_processor_time_of_the_host_grows_with_work() -> None:
    before, until = busy_s(), time.process_time() + 0.1
    while time.process_time() < until:
        pass
    assert busy_s() - before >= 0.08
