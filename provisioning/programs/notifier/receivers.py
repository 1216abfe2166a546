"""Delivers an event to a webhook, a robot of a chat group, or a mail server.

Modules of HTTP, TLS and mail are imported when the first event is sent: until then 9 MB are enough.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import sys
import time
from collections.abc import Mapping
from typing import Any

from .messages import describe, subject


class DeliveryError(Exception):
    """The receiver did not confirm the event. The text contains no URL: its key is a secret."""


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
            from urllib.parse import quote  # noqa: PLC0415 - see above

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
        from http.client import HTTPException  # noqa: PLC0415 - see above
        from urllib.error import HTTPError, URLError  # noqa: PLC0415 - see above
        from urllib.request import HTTPRedirectHandler, Request, build_opener  # noqa: PLC0415 - see above

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
        import smtplib  # noqa: PLC0415 - see above
        import ssl  # noqa: PLC0415 - see above

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
        from email.message import EmailMessage  # noqa: PLC0415 - see above
        from email.utils import formatdate  # noqa: PLC0415 - see above

        message = EmailMessage()
        message["From"], message["To"] = self._settings["sender"], ", ".join(self._settings["receivers"])
        message["Subject"] = " ".join(subject(event).split())
        message["Date"] = formatdate()
        if "sequence" in event:
            # A repeated mail has the same id, so that mail programs show it once. A replaced node counts from 1 again.
            at = "".join(each for each in str(event.get("at")) if each.isdigit())
            message["Message-ID"] = f"<{event['sequence']}.{at}.{event['node']}.{event['group']}@tandem.invalid>"
        message.set_content(describe(event))
        return message
