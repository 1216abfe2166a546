"""The notifier with real receivers on this host: away, slow, refusing, back."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import os
import signal
import socketserver
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from provisioning_deployments import deployment

from provisioning import placeholders
from provisioning.agent import undelivered
from provisioning.agent.node import Node
from provisioning.kinds.file import File
from provisioning.manifest_rendering import render
from provisioning.placeholders import substitute
from provisioning.programs.notifier.daemon import LAST_TIMEOUT_S, Notifier, make_channels
from provisioning.programs.notifier.queues import LONGEST_QUEUE, Channel, distribute, drop_earlier
from provisioning.programs.notifier.receivers import DeliveryError, Http, Mail
from settings.notifications import NotificationsSettings

DEADLINE_S = 20.0


def event(number: int, **changed: Any) -> dict[str, Any]:
    return {
        "sequence": number, "at": "2026-11-27T15:04:05.123456+00:00", "group": "iam", "node": "iam-a", "kind": "vrrp",
        "subject": "VI_1", "address": "10.0.4.99", "state": "MASTER", "previous": "BACKUP", "seen": "", **changed,
    }  # fmt: skip


def write_event(events: Path, number: int, **changed: Any) -> None:
    events.mkdir(parents=True, exist_ok=True)
    (events / f"{number:012d}.json").write_text(json.dumps(event(number, **changed)))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition is not true within the deadline"
        time.sleep(0.02)


class HttpReceiver:
    """Records each request. `answer` decides about the response; it may raise ConnectionAbortedError to give none."""

    def __init__(self, port: int = 0) -> None:
        self.requests: list[tuple[str, Mapping[str, str], Any]] = []
        self.answer: Callable[[], tuple[int, str]] = lambda: (200, '{"errcode": 0}')
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                try:
                    status, text = receiver.answer()
                except ConnectionAbortedError:
                    return
                if status < 300:
                    receiver.requests.append((self.path, dict(self.headers), body))
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()
                with contextlib.suppress(BrokenPipeError):
                    self.wfile.write(text.encode())

            do_GET = do_POST  # noqa: N815 - the name in the base class

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parameter name of the base class
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/robot?key=k3y"

    @property
    def sequences(self) -> list[int]:
        return [body["sequence"] for _, _, body in self.requests]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    receiver = HttpReceiver()
    yield receiver
    receiver.close()


class Lab:
    def __init__(self, root: Path, receivers: list[dict[str, Any]]) -> None:
        self.events, self.queues = root / "events", root / "queues"
        self.events.mkdir()
        self.queues.mkdir()
        self.reported: list[str] = []
        self.channels = make_channels({"receivers": receivers}, self.queues, self.reported.append)
        self.notifier = Notifier(self.channels, self.events)
        self._thread = threading.Thread(target=self.notifier.run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> float:
        """Stop as systemd does. Returns the seconds that it took."""
        began = time.monotonic()
        self.notifier.stop()
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()
        return time.monotonic() - began

    def queued(self) -> dict[str, int]:
        return {channel.name: len(channel.queue()) for channel in self.channels}


def webhook(url: str, name: str = "webhook-0", **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": "webhook", "url": url, **more}


# ---- queues ---------------------------------------------------------------------------------------------------------


def test_each_event_is_sent_once_and_in_order(tmp_path: Path, receiver: HttpReceiver) -> None:
    lab = Lab(tmp_path, [webhook(receiver.url, authorization="Bearer k3y")])
    for number in (9, 10, 11):
        write_event(lab.events, number)
    lab.start()
    wait_until(lambda: len(receiver.requests) == 3)
    write_event(lab.events, 12)
    wait_until(lambda: len(receiver.requests) == 4)
    lab.stop()
    assert receiver.sequences == [9, 10, 11, 12]
    path, headers, body = receiver.requests[0]
    assert (path, headers["Authorization"]) == ("/robot?key=k3y", "Bearer k3y")
    assert body == {
        **event(9),
        "text": "[iam] iam-a is master of 10.0.4.99 (before: BACKUP)\n2026-11-27T15:04:05.123456+00:00",
    }
    assert lab.queued() == {"webhook-0": 0}
    assert list(lab.events.iterdir()) == []


def test_events_wait_on_disk_while_the_receiver_is_away(tmp_path: Path) -> None:
    away = HttpReceiver()
    away.close()
    lab = Lab(tmp_path, [webhook(away.url)])
    for number in (1, 2, 3):
        write_event(lab.events, number)
    lab.start()
    wait_until(lambda: lab.queued() == {"webhook-0": 3} and bool(lab.reported))
    lab.stop()
    assert "Connection refused" in lab.reported[0]
    assert "k3y" not in "".join(lab.reported), "the URL is a secret"

    back = HttpReceiver(away.port)
    again = Lab.__new__(Lab)
    again.reported, again.events = [], lab.events
    again.channels = make_channels({"receivers": [webhook(back.url)]}, lab.queues, again.reported.append)
    assert again.channels[0].send_all(5, lambda: False)
    back.close()
    assert back.sequences == [1, 2, 3]


@pytest.mark.parametrize(
    "status",
    [pytest.param(500, id="server error"), pytest.param(403, id="refused"), pytest.param(302, id="redirected")],
)
def test_an_error_is_no_confirmation(tmp_path: Path, receiver: HttpReceiver, status: int) -> None:
    lab = Lab(tmp_path, [webhook(receiver.url)])
    write_event(lab.events, 1)
    distribute(lab.events, lab.channels)
    receiver.answer = lambda: (status, "")
    assert not lab.channels[0].send_all(5, lambda: False)
    answered = f"it answered {status} {http.HTTPStatus(status).phrase}"
    assert lab.reported == [f"webhook-0: {answered}; the event is sent again until it is confirmed"]
    assert not lab.channels[0].send_all(5, lambda: False)
    assert len(lab.reported) == 1, "a lasting error is reported once"
    receiver.answer = lambda: (204, "")
    assert lab.channels[0].send_all(5, lambda: False)
    assert (receiver.sequences, lab.reported[1:]) == ([1], ["webhook-0: confirmed again"])


def test_a_receiver_that_ends_the_connection_gets_the_event_again(tmp_path: Path, receiver: HttpReceiver) -> None:
    def abort() -> tuple[int, str]:
        raise ConnectionAbortedError

    lab = Lab(tmp_path, [webhook(receiver.url)])
    write_event(lab.events, 1)
    distribute(lab.events, lab.channels)
    receiver.answer = abort
    assert not lab.channels[0].send_all(5, lambda: False)
    receiver.answer = lambda: (200, "")
    assert lab.channels[0].send_all(5, lambda: False)
    assert receiver.sequences == [1]


def test_a_hanging_receiver_delays_no_other(tmp_path: Path, receiver: HttpReceiver) -> None:
    release = threading.Event()
    slow = HttpReceiver()

    def hang() -> tuple[int, str]:
        release.wait(DEADLINE_S)
        return 200, ""

    slow.answer = hang
    lab = Lab(tmp_path, [webhook(slow.url, "slow"), webhook(receiver.url, "quick")])
    lab.start()
    began = time.monotonic()
    for number in range(1, 6):
        write_event(lab.events, number)
    wait_until(lambda: lab.queued() == {"slow": 5, "quick": 0})
    assert time.monotonic() - began < 5
    assert len(receiver.requests) == 5
    release.set()
    wait_until(lambda: len(slow.requests) == 5)
    lab.stop()
    slow.close()
    assert slow.sequences == receiver.sequences == [1, 2, 3, 4, 5]


def test_what_is_reported_at_a_stop_is_sent_before_the_end(tmp_path: Path, receiver: HttpReceiver) -> None:
    lab = Lab(tmp_path, [webhook(receiver.url)])
    lab.start()
    write_event(lab.events, 1)
    wait_until(lambda: len(receiver.requests) == 1)
    write_event(lab.events, 2, state="STOP", previous="MASTER")
    assert lab.stop() < 5
    assert receiver.sequences == [1, 2]
    assert list(lab.events.iterdir()) == []


def test_a_stop_does_not_wait_for_a_receiver_that_is_away(tmp_path: Path) -> None:
    away = HttpReceiver()
    away.close()
    lab = Lab(tmp_path, [webhook(away.url)])
    lab.start()
    for number in range(1, 50):
        write_event(lab.events, number)
    assert lab.stop() < LAST_TIMEOUT_S + 3
    assert lab.queued() == {"webhook-0": 49}


def test_the_oldest_events_are_dropped_from_a_full_queue(tmp_path: Path) -> None:
    lab = Lab(tmp_path, [webhook("http://127.0.0.1:9/")])
    for number in range(LONGEST_QUEUE + 2):
        write_event(lab.events, number)
    distribute(lab.events, lab.channels)
    queue = lab.channels[0].queue()
    assert (len(queue), queue[0].name) == (LONGEST_QUEUE, f"{2:012d}.json")
    assert len(lab.reported) == 2


class Receiver:
    """Calls `action` for each event."""

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action
        self.sent: list[int] = []

    def send(self, event: Mapping[str, Any], timeout_s: float) -> None:
        del timeout_s
        self._action()
        self.sent.append(event["sequence"])


def test_an_event_that_is_dropped_from_the_full_queue_while_it_is_sent_does_not_stop_the_others(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        write_event(tmp_path, number)

    def drop() -> None:
        for number in (1, 2):  # the one that is being sent, and the next one
            (tmp_path / f"{number:012d}.json").unlink(missing_ok=True)

    receiver = Receiver(drop)
    assert Channel("mail", receiver, tmp_path, print).send_all(5, lambda: False)
    assert receiver.sent == [1, 3]


def test_an_error_of_any_kind_is_reported_once_and_the_event_is_sent_again(tmp_path: Path) -> None:
    write_event(tmp_path, 1)
    errors: list[Exception] = [ValueError("https://example.com/?key=secret"), UnicodeError("x")]
    reported: list[str] = []

    def fail() -> None:
        if errors:
            raise errors.pop()

    receiver = Receiver(fail)
    channel = Channel("mail", receiver, tmp_path, reported.append)
    assert [channel.send_all(5, lambda: False) for _ in range(3)] == [False, False, True]
    assert receiver.sent == [1]
    assert reported == [
        "mail: UnicodeError while the event was sent; the event is sent again until it is confirmed",
        "mail: confirmed again",
    ]


def test_a_power_failure_between_queue_and_removal_repeats_no_event(tmp_path: Path, receiver: HttpReceiver) -> None:
    lab = Lab(tmp_path, [webhook(receiver.url)])
    write_event(lab.events, 1)
    os.link(lab.events / f"{1:012d}.json", lab.queues / "webhook-0" / f"{1:012d}.json")
    distribute(lab.events, lab.channels)
    assert lab.channels[0].send_all(5, lambda: False)
    assert receiver.sequences == [1]


def test_an_unreadable_event_does_not_stop_the_others(tmp_path: Path, receiver: HttpReceiver) -> None:
    lab = Lab(tmp_path, [webhook(receiver.url)])
    (lab.events / "000000000001.json").write_text('{"sequence": 1')
    (lab.events / "000000000002.json").write_text("[]")
    write_event(lab.events, 3)
    distribute(lab.events, lab.channels)
    assert lab.channels[0].send_all(5, lambda: False)
    assert [body["state"] for _, _, body in receiver.requests] == ["unreadable", "unreadable", "MASTER"]
    assert receiver.requests[0][2]["seen"] == '{"sequence": 1'


def test_the_queue_of_a_removed_receiver_is_deleted(tmp_path: Path) -> None:
    lab = Lab(tmp_path, [webhook("http://127.0.0.1:9/", "old")])
    write_event(lab.events, 1)
    distribute(lab.events, lab.channels)
    make_channels({"receivers": [webhook("http://127.0.0.1:9/other", "new")]}, lab.queues, lab.reported.append)
    assert [folder.name for folder in lab.queues.iterdir()] == ["new"]


def waiting(lab: Lab) -> dict[str, list[str]]:
    return {folder.name: sorted(path.stem for path in folder.glob("*.json")) for folder in sorted(lab.queues.iterdir())}


def test_the_queue_of_a_receiver_follows_it_to_another_name(tmp_path: Path) -> None:
    """Without webhooks[0], webhooks[1] gets its name; events that wait for one must not be sent to the other."""
    urls = [f"http://127.0.0.1:9/{name}" for name in "abc"]
    lab = Lab(tmp_path, [webhook(url, f"webhooks-{number}") for number, url in enumerate(urls)])
    for number in range(3):
        write_event(lab.queues / f"webhooks-{number}", number)

    def restart(*names: str) -> dict[str, list[str]]:
        given = [webhook(f"http://127.0.0.1:9/{name}", f"webhooks-{number}") for number, name in enumerate(names)]
        make_channels({"receivers": given}, lab.queues, lab.reported.append)
        return {name: [each[-1] for each in found] for name, found in waiting(lab).items()}

    assert restart("a", "b", "c") == {"webhooks-0": ["0"], "webhooks-1": ["1"], "webhooks-2": ["2"]}
    assert restart("c", "b", "a") == {"webhooks-0": ["2"], "webhooks-1": ["1"], "webhooks-2": ["0"]}
    assert restart("b", "a") == {"webhooks-0": ["1"], "webhooks-1": ["0"]}
    assert restart("b", "corrected") == {"webhooks-0": ["1"], "webhooks-1": ["0"]}
    assert restart("corrected") == {"webhooks-0": ["0"]}
    assert "127.0.0.1" not in (lab.queues / "webhooks-0/.receiver").read_text(), "its URL is a secret"


def test_an_event_that_cannot_be_put_into_all_queues_is_sent_once(tmp_path: Path, receiver: HttpReceiver) -> None:
    """As with a full disk, on which the folder of a long queue cannot grow."""
    lab = Lab(tmp_path, [webhook(receiver.url), webhook("http://127.0.0.1:9/", "webhook-1")])
    (lab.queues / "webhook-1/.receiver").unlink()
    (lab.queues / "webhook-1").rmdir()
    (lab.queues / "webhook-1").write_text("not a folder")
    lab.start()
    for number in (1, 2):
        write_event(lab.events, number)
    time.sleep(1.2)
    assert receiver.sequences == []
    (lab.queues / "webhook-1").unlink()
    wait_until(lambda: receiver.sequences == [1, 2])
    lab.stop()
    assert waiting(lab) == {"webhook-0": [], "webhook-1": [f"{number:012d}" for number in (1, 2)]}
    assert receiver.sequences == [1, 2]
    assert not list(lab.queues.glob("*/*.new"))


def test_a_long_text_is_cut_because_a_refused_message_would_stop_all_later_ones(receiver: HttpReceiver) -> None:
    """WeCom accepts 2048 bytes, DingTalk and Feishu more."""
    given = {"name": "wecom", "kind": "wecom", "url": receiver.url}
    send(given, seen="证书" * 3000)
    send(given, state="unreadable", seen="\ufffd" * 2000)
    texts = [body["text"]["content"] for _, _, body in receiver.requests]
    assert [len(text.encode()) <= 2048 for text in texts] == [True, True]
    assert texts[0].startswith("[iam] iam-a is master of 10.0.4.99 (before: BACKUP)\n2026-11-27T15:04:05")


def test_a_first_receiver_gets_no_events_from_before_it_was_set(tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"
    settings.touch()
    for number, age_s in ((1, 3600), (2, 5)):
        write_event(tmp_path / "events", number)
        at = settings.stat().st_mtime - age_s
        os.utime(tmp_path / "events" / f"{number:012d}.json", (at, at))
    drop_earlier(tmp_path / "events", settings)
    assert [path.name for path in (tmp_path / "events").iterdir()] == [f"{2:012d}.json"]


# ---- receivers ------------------------------------------------------------------------------------------------------


def send(given: dict[str, Any], **changed: Any) -> None:
    (Mail if given["kind"] == "mail" else Http)(given).send(event(17, **changed), 5)


def test_wecom_gets_a_text_message(receiver: HttpReceiver) -> None:
    send({"kind": "wecom", "url": receiver.url}, state="FAULT", previous="MASTER", seen="no answer from 127.0.0.1")
    ((path, _, body),) = receiver.requests
    assert (path, body["msgtype"]) == ("/robot?key=k3y", "text")
    assert body["text"]["content"] == (
        "[iam] iam-a is in FAULT and cannot hold 10.0.4.99 (before: MASTER)\n"
        "2026-11-27T15:04:05.123456+00:00\nno answer from 127.0.0.1"
    )


def test_dingtalk_gets_a_signed_message(receiver: HttpReceiver) -> None:
    send({"kind": "dingtalk", "url": receiver.url, "secret": "SECabc"})
    ((path, _, body),) = receiver.requests
    query = {key: value[0] for key, value in parse_qs(urlsplit(path).query).items()}
    expected = hmac.new(b"SECabc", f"{query['timestamp']}\nSECabc".encode(), hashlib.sha256).digest()
    assert (query["key"], query["sign"]) == ("k3y", base64.b64encode(expected).decode())
    assert abs(int(query["timestamp"]) / 1000 - time.time()) < 60
    assert body["text"]["content"].startswith("[iam] iam-a is master of 10.0.4.99")


def test_feishu_gets_a_signed_message(receiver: HttpReceiver) -> None:
    receiver.answer = lambda: (200, '{"code": 0, "msg": "success"}')
    send({"kind": "feishu", "url": receiver.url, "secret": "abc"})
    ((_, _, body),) = receiver.requests
    expected = hmac.new(f"{body['timestamp']}\nabc".encode(), b"", hashlib.sha256).digest()
    assert body["sign"] == base64.b64encode(expected).decode()
    assert (body["msg_type"], set(body["content"])) == ("text", {"text"})


@pytest.mark.parametrize("text", ['{"errcode": 93000, "errmsg": "invalid webhook url"}', "<html>", "{}", "[]"])
def test_a_robot_that_answers_200_without_success_has_not_confirmed(receiver: HttpReceiver, text: str) -> None:
    receiver.answer = lambda: (200, text)
    with pytest.raises(DeliveryError):
        send({"kind": "wecom", "url": receiver.url})


class MailServer:
    """An SMTP server that accepts mails with or without a login."""

    def __init__(self, *, password: str = "", refuse: str = "") -> None:
        self.mails: list[str] = []
        server = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"220 test\r\n")
                for line in self.rfile:
                    verb = line.split()[0].upper().decode() if line.split() else ""
                    self.wfile.write(self._answer(verb, line) + b"\r\n")

            def _answer(self, verb: str, line: bytes) -> bytes:
                if verb == "EHLO":
                    return b"250-test\r\n250 AUTH PLAIN" if password else b"250 test"
                if verb == "AUTH":
                    given = base64.b64decode(line.split()[2]).split(b"\0")[2].decode()
                    return b"235 ok" if given == password else b"535 wrong password " + given.encode()
                if verb == "DATA":
                    self.wfile.write(b"354 go\r\n")
                    mail = b""
                    while not mail.endswith(b"\r\n.\r\n"):
                        mail += self.rfile.readline()
                    server.mails.append(mail.decode())
                return b"450 " + refuse.encode() if refuse and verb == "RCPT" else b"250 ok"

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def settings(self, **more: Any) -> dict[str, Any]:
        return {
            "kind": "mail", "server": "127.0.0.1", "port": self.port, "security": "none",
            "sender": "tandem@example.com", "receivers": ["ops@example.com", "dev@example.com"], **more,
        }  # fmt: skip

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def test_a_mail_says_what_happened_and_has_an_id_of_its_event() -> None:
    server = MailServer(password="p@ss")
    send(server.settings(username="ann", password="p@ss"), seen="3 probes failed")
    server.close()
    (mail,) = server.mails
    head, _, body = mail.partition("\r\n\r\n")
    assert "Subject: [iam] iam-a is master of 10.0.4.99 (before: BACKUP)" in head
    assert "To: ops@example.com, dev@example.com" in head
    assert "Message-ID: <17.202611271504051234560000.iam-a.iam@tandem.invalid>" in head, "with the time"
    assert "3 probes failed" in body


@pytest.mark.parametrize(
    ("server", "login"),
    [
        pytest.param({"password": "right"}, {"username": "ann", "password": "wr0ng"}, id="wrong password"),
        pytest.param({"refuse": "try later"}, {}, id="greylisted"),
    ],
)
def test_a_refused_mail_is_not_confirmed(server: dict[str, str], login: dict[str, str]) -> None:
    running = MailServer(**server)
    with pytest.raises(DeliveryError) as error:
        send(running.settings(**login))
    running.close()
    assert running.mails == []
    assert "wr0ng" not in str(error.value)


def test_a_mail_server_without_tls_gets_nothing_that_needs_it() -> None:
    running = MailServer()
    for security in ("tls", "starttls"):
        with pytest.raises(DeliveryError):
            send(running.settings(security=security))
    running.close()
    assert running.mails == []


# ---- on a node ------------------------------------------------------------------------------------------------------

SETTINGS: dict[str, Any] = {
    "mail": {"server": "10.0.9.9", "username": "ann", "password": 'p"a\\ss', "sender": "t@example.com",
             "receivers": ["ops@example.com"]},
    "wecom": {"url": "https://robot.example.com/?key=k3y"},
    "webhooks": [{"url": "http://10.0.9.9/k3y"}],
}  # fmt: skip


def files(settings: dict[str, Any]) -> dict[str, File]:
    return {
        item.path: item for item in render(deployment(notifications=settings))["iam-a"].items if isinstance(item, File)
    }


def test_secrets_are_only_in_a_file_that_root_may_read() -> None:
    found = files(SETTINGS)
    settings = found["/etc/tandem/notifications.json"]
    assert settings.mode == 0o600
    assert not [path for path, item in found.items() if "k3y" in item.text or "robot.example.com" in item.text]
    given = NotificationsSettings.model_validate(SETTINGS).secrets()
    secrets = {placeholders.notification(key): value.get_secret_value() for key, value in given.items()}
    receivers = json.loads(substitute(settings.text, secrets, "test"))["receivers"]
    assert [(each["name"], each["kind"]) for each in receivers] == [
        ("mail", "mail"), ("wecom", "wecom"), ("webhooks-0", "webhook"),
    ]  # fmt: skip
    assert receivers[0]["password"] == 'p"a\\ss'
    assert receivers[1]["url"] == "https://robot.example.com/?key=k3y"


def test_a_node_without_receivers_has_no_notifier() -> None:
    assert not [path for path in files({}) if "notif" in path.rpartition("/")[2] and "keepalived" not in path]
    with_applications = render(deployment(notifications=SETTINGS, application_nodes=1))
    assert "/etc/tandem/notifications.json" not in with_applications["iam-c"].files()


def test_the_notifier_is_stopped_after_what_it_reports_about() -> None:
    unit = files(SETTINGS)["/etc/systemd/system/tandem-notify.service"].text
    (before,) = [line for line in unit.splitlines() if line.startswith("Before=")]
    assert {"keepalived.service", "nginx.service", "tandem-health.service"} <= set(before[7:].split())


def test_the_program_runs_with_the_standard_library_only_and_ends_at_sigterm(
    tmp_path: Path, receiver: HttpReceiver
) -> None:
    settings, program = tmp_path / "settings.json", "from notifier.daemon import main; main()"
    (tmp_path / "notifier").mkdir()
    for path, file in files(SETTINGS).items():
        if path.startswith("/usr/local/lib/tandem/notifier/"):
            text = file.text.replace("/var/lib/tandem", str(tmp_path))
            (tmp_path / "notifier" / Path(path).name).write_text(text)
    settings.write_text(json.dumps({"receivers": [webhook(receiver.url)]}))
    with subprocess.Popen([sys.executable, "-BSEc", program, str(settings)], cwd=tmp_path) as process:
        wait_until((tmp_path / "notifications/webhook-0").exists)
        write_event(tmp_path / "events", 1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0
    assert receiver.sequences == [1]
    assert stat.S_ISDIR((tmp_path / "events").stat().st_mode)


@pytest.mark.parametrize(
    ("age_s", "level", "seen"),
    [
        pytest.param(10, "ok", "mail: confirmed", id="just queued"),
        pytest.param(1200, "warning", "mail: 1 events are not confirmed, the oldest since 20 minutes", id="late"),
    ],
)
def test_health_warns_of_events_that_no_receiver_confirms(tmp_path: Path, age_s: int, level: str, seen: str) -> None:
    write_event(tmp_path / "var/lib/tandem/notifications/mail", 1)
    os.utime(tmp_path / "var/lib/tandem/notifications/mail/000000000001.json", (1000, 1000))
    (result,) = undelivered.check(Node(root=str(tmp_path), wall_clock=lambda: 1000.0 + age_s))
    assert (result["level"], result["seen"]) == (level, seen)


def test_an_event_that_is_confirmed_during_the_health_check_is_left_out(tmp_path: Path) -> None:
    queue = tmp_path / "var/lib/tandem/notifications/mail"
    queue.mkdir(parents=True)
    (queue / "000000000001.json").symlink_to("gone")  # listed, but without a file
    (result,) = undelivered.check(Node(root=str(tmp_path), wall_clock=lambda: 1e10))
    assert (result["level"], result["seen"]) == ("ok", "mail: confirmed")
