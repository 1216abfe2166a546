"""Notifications of the shared group, with a receiver on the second node that is away for a while."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.end_to_end.group import Group
from tests.end_to_end.lab import Lab, wait_until
from tests.end_to_end.settings import encrypt, write_settings

pytestmark = [pytest.mark.root, pytest.mark.long]

PORT = 8099
KEY = "k3y-of-the-receiver"
RECEIVED = "/root/received"
RECEIVER = f"""
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        open("{RECEIVED}", "ab").write(body + b"\\n")
        self.send_response(204)
        self.end_headers()
http.server.HTTPServer(("0.0.0.0", {PORT}), Handler).serve_forever()
"""


def start_receiver(lab: Lab) -> None:
    lab.on("iam-b", f"cat > /root/receiver.py <<'END'\n{RECEIVER}\nEND")
    lab.on("iam-b", "systemd-run --quiet --collect --unit=receiver python3 /root/receiver.py")


def received(lab: Lab, node: str = "iam-a") -> list[dict[str, Any]]:
    lines = lab.on("iam-b", f"cat {RECEIVED} 2>/dev/null; true").splitlines()
    return [event for event in map(json.loads, lines) if event["node"] == node]


def wait_for(lab: Lab, subject: str, state: str, *, after: int) -> None:
    wait_until(
        lambda: [(event["subject"], event["state"]) for event in received(lab)[after:]],
        lambda seen: (subject, state) in seen,
        deadline_s=30,
        what=f"notification of {subject} {state}",
    )


@pytest.fixture(scope="module")
def notified(group: Group, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("notifications")
    secret, salt = encrypt(group.lab, f"http://10.0.4.21:{PORT}/{KEY}", folder)
    settings = write_settings(
        folder / "settings.yaml",
        nodes={"peerPorts": [PORT]},
        notifications={"webhooks": [{"url": {"secure": secret}}]},
    )
    settings.write_text(f"encryptionsalt: '{salt}'\n{settings.read_text()}")
    start_receiver(group.lab)
    with group.changed_to(settings) as lab:
        yield lab
    group.lab.on("iam-b", f"systemctl stop receiver; rm -f {RECEIVED} /root/receiver.py")


def test_a_stopped_keepalived_is_notified_and_the_key_is_hidden(notified: Lab) -> None:
    before = len(received(notified))
    notified.on("iam-a", "systemctl stop keepalived")
    wait_for(notified, "VI_1", "STOP", after=before)
    notified.on("iam-a", "systemctl start keepalived")
    wait_for(notified, "VI_1", "BACKUP", after=before)
    for node in ("iam-a", "iam-b"):
        assert KEY not in notified.on(node, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
        readable = notified.on(
            node, f"grep -rsl {KEY} /etc /usr/local/lib /run /var/lib/tandem | xargs stat -c '%a %n'"
        )
        assert readable.split() == ["600", "/etc/tandem/notifications.json"]


def test_events_of_the_time_in_which_the_receiver_was_away_arrive_in_order(notified: Lab) -> None:
    before = len(received(notified))
    notified.on("iam-b", "systemctl stop receiver")
    for _ in range(2):
        notified.on("iam-a", "systemctl stop keepalived; sleep 1; systemctl start keepalived; sleep 2")
    start_receiver(notified)
    wait_until(
        lambda: [event["state"] for event in received(notified)[before:]],
        lambda states: states.count("STOP") == 2 and states[-1] != "STOP",
        deadline_s=90,
        what="all events after the receiver is back",
    )
    sequences = [event["sequence"] for event in received(notified)]
    assert sequences == sorted(set(sequences)), "each event once, and in order"
    wait_until(
        lambda: notified.on("iam-a", "ls /var/lib/tandem/notifications/webhooks-0 /var/lib/tandem/events").split(),
        lambda listed: not [name for name in listed if name.endswith(".json")],
        deadline_s=10,
        what="empty queues",
    )


def test_a_node_that_is_shut_down_still_sends_its_last_event(notified: Lab) -> None:
    before = len(received(notified))
    notified.on("iam-a", "systemctl poweroff", check=False)
    try:
        wait_for(notified, "VI_1", "STOP", after=before)
    finally:
        wait_until(
            lambda: notified.run("localcloud", "ssh", "iam-a", "--", "true", check=False).returncode,
            lambda code: code != 0,
            deadline_s=60,
            what="iam-a is off",
        )
        notified.localcloud("fault", "iam-a", "power-on")
