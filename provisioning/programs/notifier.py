"""Sends the events of this node to the receivers in /etc/tandem/notifications.json. Standard library only.

Events are files below EVENTS, in the order of their names. Each receiver has a queue on disk with hard links to the
events that it has not confirmed, and a separate thread, so that one that is away delays no other. An event leaves the
queue when the receiver has confirmed it: none is lost, and only a power failure between the two can repeat one. At
SIGTERM every queue is sent once more; keepalived and nginx have stopped before (tandem-notify.service).
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Optional

EVENTS = Path("/var/lib/tandem/events")
QUEUES = Path("/var/lib/tandem/notifications")
TIMEOUT_S = 10.0
LAST_TIMEOUT_S = 3.0  # of each attempt after SIGTERM
POLL_S = 0.5
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
EARLIER_S = 600.0  # before the settings were written
LONGEST_QUEUE = 500  # of one receiver; the oldest events are dropped first


class DeliveryError(Exception):
    """The receiver did not confirm the event. The text contains no URL: its key is a secret."""


# ---- what is sent ----------------------------------------------------------------------------------------------------


_STATES = {
    "MASTER": "{node} is master of {where}",
    "BACKUP": "{node} is backup for {where}",
    "FAULT": "{node} is in FAULT and cannot hold {where}",
    "STOP": "keepalived on {node} stopped ({where})",
    "SECOND_MASTER": "another node is master of {where}, as {node} is",
    "failed": "{where} failed, as {node} has seen",
    "healthy": "{where} is healthy again, as {node} has seen",
}


def read_event(path: Path) -> dict[str, Any]:
    """Read an event (event_recorder.py). One that cannot be read is sent as it is, and must not stop the others."""
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        event = json.loads(text)
    except ValueError:
        event = None
    if isinstance(event, dict) and {"group", "node", "subject", "state"} <= event.keys():
        return event
    return _unreadable(path.name, text)


def _unreadable(name: str, text: str) -> dict[str, Any]:
    return {"group": "", "node": "", "subject": name, "state": "unreadable", "seen": text[:2000]}


def subject(event: Mapping[str, Any]) -> str:
    where = event.get("address") or event["subject"]
    text = _STATES.get(event["state"], "{where} on {node}: {state}")
    before = f" (before: {event['previous']})" if event.get("previous") else ""
    return f"[{event['group']}] " + text.format(node=event["node"], where=where, state=event["state"]) + before


def describe(event: Mapping[str, Any]) -> str:
    """The text of a message: what happened, when, and what was seen."""
    return "\n".join(line for line in (subject(event), event.get("at"), event.get("seen")) if line)


# ---- receivers -------------------------------------------------------------------------------------------------------


class Http:
    """A robot of a chat group, or a webhook."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings

    def send(self, event: Mapping[str, Any], timeout_s: float) -> None:
        """Raises DeliveryError."""
        url, body = getattr(self, "_" + self._settings["kind"])(event, describe(event))
        answer = self._post(url, body, timeout_s)
        if self._settings["kind"] != "webhook":
            _check_robot(answer)

    def _wecom(self, _event: Mapping[str, Any], text: str) -> tuple[str, dict[str, Any]]:
        # https://developer.work.weixin.qq.com/document/path/91770
        return self._settings["url"], {"msgtype": "text", "text": {"content": text}}

    def _dingtalk(self, _event: Mapping[str, Any], text: str) -> tuple[str, dict[str, Any]]:
        # https://open.dingtalk.com/document/robots/customize-robot-security-settings
        url, secret = self._settings["url"], self._settings.get("secret")
        if secret:
            from urllib.parse import quote  # noqa: PLC0415 - see `main`

            at = str(round(time.time() * 1000))
            url += f"&timestamp={at}&sign={quote(_sign(secret, f'{at}{chr(10)}{secret}'), safe='')}"
        return url, {"msgtype": "text", "text": {"content": text}}

    def _feishu(self, _event: Mapping[str, Any], text: str) -> tuple[str, dict[str, Any]]:
        # https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot
        body: dict[str, Any] = {"msg_type": "text", "content": {"text": text}}
        secret = self._settings.get("secret")
        if secret:
            at = str(round(time.time()))
            body.update(timestamp=at, sign=_sign(f"{at}\n{secret}", ""))
        return self._settings["url"], body

    def _webhook(self, event: Mapping[str, Any], text: str) -> tuple[str, dict[str, Any]]:
        return self._settings["url"], {**event, "text": text}

    def _post(self, url: str, body: Mapping[str, Any], timeout_s: float) -> bytes:
        from http.client import HTTPException  # noqa: PLC0415 - see `main`
        from urllib.error import HTTPError, URLError  # noqa: PLC0415 - see `main`
        from urllib.request import HTTPRedirectHandler, Request, build_opener  # noqa: PLC0415 - see `main`

        class NoRedirects(HTTPRedirectHandler):
            """A redirected POST would become a GET without the event."""

            def redirect_request(self, *_arguments: Any) -> None:  # type: ignore[override] - refuses every redirect, whatever its arguments
                return None

        headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "tandem"}
        if self._settings.get("authorization"):
            headers["Authorization"] = self._settings["authorization"]
        request = Request(url, json.dumps(body, ensure_ascii=False).encode(), headers)
        try:
            with build_opener(NoRedirects).open(request, timeout=timeout_s) as response:
                return response.read(65536)
        except HTTPError as error:
            raise DeliveryError(f"it answered {error.code} {error.reason}") from None
        except URLError as error:
            raise DeliveryError(str(error.reason)) from None
        except (OSError, HTTPException, ValueError) as error:
            raise DeliveryError(f"{type(error).__name__}: {error}") from None


def _sign(key: str, text: str) -> str:
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()).decode()


def _check_robot(answer: bytes) -> None:
    """A robot answers 200 to a refused message too; the code in the body decides. Raises DeliveryError."""
    try:
        found = json.loads(answer)
        code = next(found[key] for key in ("errcode", "code", "StatusCode") if key in found)
    except (ValueError, TypeError, StopIteration):
        raise DeliveryError(f"it gave no code of success: {answer[:200]!r}") from None
    if code != 0:
        raise DeliveryError(f"it refused the message: {answer[:200].decode(errors='replace')}")


class Mail:
    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings

    def send(self, event: Mapping[str, Any], timeout_s: float) -> None:
        """Raises DeliveryError."""
        import smtplib  # noqa: PLC0415 - see `main`
        import ssl  # noqa: PLC0415 - see `main`

        given, context = self._settings, ssl.create_default_context()
        try:
            if given["security"] == "tls":
                server: smtplib.SMTP = smtplib.SMTP_SSL(
                    given["server"], given["port"], timeout=timeout_s, context=context
                )
            else:
                server = smtplib.SMTP(given["server"], given["port"], timeout=timeout_s)
            try:
                if given["security"] == "starttls":
                    server.starttls(context=context)
                if given.get("username"):
                    server.login(given["username"], given["password"])
                for refused in server.send_message(self._message(event)):
                    print(f"mail: the server refused the receiver {refused}", file=sys.stderr, flush=True)
            finally:
                with contextlib.suppress(OSError, smtplib.SMTPException):  # an accepted mail must not be repeated
                    server.quit()
        except smtplib.SMTPAuthenticationError as error:  # its text may repeat what was sent
            raise DeliveryError(f"it refused the login ({error.smtp_code})") from None
        except (OSError, smtplib.SMTPException) as error:
            raise DeliveryError(f"{type(error).__name__}: {error}") from None

    def _message(self, event: Mapping[str, Any]) -> Any:
        from email.message import EmailMessage  # noqa: PLC0415 - see `main`
        from email.utils import formatdate  # noqa: PLC0415 - see `main`

        message = EmailMessage()
        message["From"], message["To"] = self._settings["sender"], ", ".join(self._settings["receivers"])
        message["Subject"] = " ".join(subject(event).split())
        message["Date"] = formatdate()
        if "sequence" in event:  # a repeated mail has the same id, so that mail programs show it once
            message["Message-ID"] = f"<{event['sequence']}.{event['node']}.{event['group']}@tandem.invalid>"
        message.set_content(describe(event))
        return message


# ---- queues ----------------------------------------------------------------------------------------------------------


class Channel:
    """One receiver and its queue."""

    def __init__(self, name: str, receiver: Any, folder: Path, report: Callable[[str], None]) -> None:
        self.name, self.folder = name, folder
        self._receiver, self._report = receiver, report
        self._failed = False

    def queue(self) -> list[Path]:
        return sorted(self.folder.glob("*.json"))

    def send_all(self, timeout_s: float, stop: Callable[[], bool]) -> bool:
        """Send the queue in order until it is empty or an event is not confirmed. Returns whether it is empty."""
        for path in self.queue():
            if stop():
                return False
            try:
                event = read_event(path)
            except FileNotFoundError:  # just dropped from the full queue
                continue
            try:
                self._receiver.send(event, timeout_s)
            except DeliveryError as error:
                return self._fail(str(error))
            except Exception as error:  # noqa: BLE001 - of `email` or `smtplib`; the thread must not end
                return self._fail(f"{type(error).__name__} while the event was sent")  # its text may contain a secret
            with contextlib.suppress(FileNotFoundError):  # dropped meanwhile
                path.unlink()
            if self._failed:
                self._report(f"{self.name}: confirmed again")
            self._failed = False
        return True

    def _fail(self, reason: str) -> bool:
        if not self._failed:
            self._report(f"{self.name}: {reason}; the event is sent again until it is confirmed")
        self._failed = True
        return False

    def drop_oldest(self) -> None:
        for path in self.queue()[:-LONGEST_QUEUE]:
            self._report(f"{self.name}: the queue is full; {path.name} is dropped")
            with contextlib.suppress(FileNotFoundError):  # just confirmed
                path.unlink()


def distribute(events: Path, channels: list[Channel]) -> int:
    """Put each event into all queues, then remove it from the events. Returns the number of events."""
    found = sorted(events.glob("*.json"))
    for path in found:
        with contextlib.suppress(FileNotFoundError):  # event_recorder.py deletes the oldest of very many
            for channel in channels:
                with contextlib.suppress(FileExistsError):  # the power failed between the two
                    os.link(path, channel.folder / path.name)
            path.unlink()
    if found:
        for channel in channels:
            channel.drop_oldest()
    return len(found)


def drop_earlier(events: Path, settings: Path) -> None:
    """Drop events from before the settings were written: a first receiver must not get days of old events."""
    since = settings.stat().st_mtime - EARLIER_S
    for path in events.glob("*.json"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < since:
                path.unlink()


class Notifier:
    """The threads of all channels."""

    def __init__(self, channels: list[Channel], events: Path = EVENTS) -> None:
        self._channels, self._events = channels, events
        self._stopping = threading.Event()
        self._distributed = threading.Event()  # what was written until the stop
        self._new = [threading.Event() for _ in channels]

    def run(self) -> None:
        """Send until `stop`, then send every queue once more."""
        threads = [
            threading.Thread(target=self._run_channel, args=(channel, new), daemon=True)
            for channel, new in zip(self._channels, self._new)  # noqa: B905 - Python 3.9 has no `strict`
        ]
        for thread in threads:
            thread.start()
        while not self._stopping.wait(POLL_S):
            self._distribute()
        self._distribute()
        self._distributed.set()
        for thread in threads:
            thread.join()

    def stop(self) -> None:
        self._stopping.set()
        for new in self._new:
            new.set()

    def _distribute(self) -> None:
        if distribute(self._events, self._channels):
            for new in self._new:
                new.set()

    def _run_channel(self, channel: Channel, new: threading.Event) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._stopping.is_set():
            new.clear()
            if channel.send_all(TIMEOUT_S, self._stopping.is_set):
                pause_s = FIRST_PAUSE_S
                new.wait()
            else:
                self._stopping.wait(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        self._distributed.wait()
        channel.send_all(LAST_TIMEOUT_S, lambda: False)


def make_channels(settings: Mapping[str, Any], queues: Path, report: Callable[[str], None]) -> list[Channel]:
    """Create the queues; delete those of receivers that were removed from the settings."""
    channels: list[Channel] = []
    for given in settings["receivers"]:
        receiver = (Mail if given["kind"] == "mail" else Http)(given)
        channels.append(Channel(given["name"], receiver, queues / given["name"], report))
    kept = {channel.folder for channel in channels}
    for folder in kept:
        folder.mkdir(parents=True, exist_ok=True)
    for folder in queues.iterdir():
        if folder not in kept:
            for path in folder.iterdir():
                path.unlink()
            folder.rmdir()
    return channels


def main() -> None:
    # Modules of HTTP, TLS and mail are imported when the first event is sent: until then 9 MB are enough.
    settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    for folder in (EVENTS, QUEUES):
        folder.mkdir(parents=True, exist_ok=True)
    drop_earlier(EVENTS, Path(sys.argv[1]))
    notifier = Notifier(make_channels(settings, QUEUES, lambda line: print(line, file=sys.stderr, flush=True)))

    def stop(_number: int, _frame: Optional[FrameType]) -> None:  # noqa: UP045 - Python 3.9
        notifier.stop()

    signal.signal(signal.SIGTERM, stop)
    notifier.run()


if __name__ == "__main__":
    main()
