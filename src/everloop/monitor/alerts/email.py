"""Alerts as messages, by SMTP."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

from everloop.core.clock import Clock
from everloop.core.errors import OutsideFault, UsageFault
from everloop.monitor.alerts.receiver import Alert
from everloop.monitor.alerts.wording import text, title

_PORTS = {"smtp": 587, "smtps": 465}
_LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class EmailReceiver:
    """Sends a group of alerts as one message.

    ``smtps`` speaks TLS from the first byte; ``smtp`` begins TLS where the server offers it, and never
    sends a password without it but to this machine.

    Attributes:
        server: The mail server's address, such as ``smtp://user:password@host:587``; no message shows it.
        to: The receivers.
        sender: Whom it is from; left out: everloop at the server's host.
        clock: Dates the message.
        timeout: Seconds for each answer of the server.
    """

    server: str = field(repr=False)
    to: tuple[str, ...]
    clock: Clock
    sender: str = ""
    timeout: float = 10.0
    grouped: bool = True

    def __post_init__(self) -> None:
        if not _is_mail_server(self.server):
            raise UsageFault(
                "The mail server's address is none.", hint="smtp://user:password@host:587, or smtps://..."
            )
        if not self.to or not all("@" in one for one in self.to):
            raise UsageFault(f"An alert goes to {', '.join(self.to)!r}, which is no address.")

    @property
    def host(self) -> str:
        """The server's host."""
        return str(urlsplit(self.server).hostname)

    def send(self, alerts: Sequence[Alert]) -> None:
        """Sends a message.

        Raises:
            OutsideFault: When the server does not take it.
        """
        try:
            with self._connected() as server:
                self._introduce(server)
                server.send_message(self._message(alerts))
        except smtplib.SMTPResponseException as error:
            told = (
                error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else error
            )
            raise OutsideFault(
                f"The mail server {self.host} refuses the alert: {error.smtp_code} {told}."
            ) from None
        except (OSError, smtplib.SMTPException) as error:
            raise OutsideFault(f"The mail server {self.host} did not take the alert: {error}.") from None

    def _connected(self) -> smtplib.SMTP:
        parts = urlsplit(self.server)
        port = parts.port or _PORTS[parts.scheme]
        if parts.scheme == "smtps":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(self.host, port, timeout=self.timeout, context=context)
        return smtplib.SMTP(self.host, port, timeout=self.timeout)

    def _introduce(self, server: smtplib.SMTP) -> None:
        parts = urlsplit(self.server)
        secure = parts.scheme == "smtps"
        server.ehlo()
        if not secure and server.has_extn("starttls"):
            server.starttls(context=ssl.create_default_context())
            server.ehlo()
            secure = True
        if parts.username and parts.password:
            if not secure and self.host not in _LOCAL:
                raise OutsideFault(
                    f"The mail server {self.host} offers no TLS, so the password is not sent.",
                    hint="smtps://user:password@host:465",
                )
            server.login(unquote(parts.username), unquote(parts.password))

    def _message(self, alerts: Sequence[Alert]) -> EmailMessage:
        message = EmailMessage()
        message["Subject"] = " ".join(title(alerts).split())
        message["From"] = self.sender or f"everloop@{self.host}"
        message["To"] = ", ".join(self.to)
        message["Date"] = format_datetime(self.clock.now())
        # The same alerts are the same message, so that a server can tell one that came twice.
        message["Message-ID"] = f"<{alerts[-1].get('id')}.{len(alerts)}@everloop>"
        message.set_content(text(alerts))
        return message


def _is_mail_server(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, such as half a password with a slash in it
        return False
