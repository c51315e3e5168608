"""One mail by a server that the parameters name; user and password are in the environment."""

import os
import smtplib
import ssl
from email.message import EmailMessage
from typing import Final

from medu1.notification import Email
from medu1.webhook import Failed
from medu1.words import line

USER: Final = "MEDU1_SMTP_USER"
PASSWORD: Final = "MEDU1_SMTP_PASSWORD"
SECONDS: Final = 15.0  # without a byte


def send(params: Email, subject: str, text: str, key: str) -> None:
    """Raises Failed where the server does not take it, for all recipients or for one."""
    user, password = os.environ.get(USER, "").strip(), os.environ.get(PASSWORD, "")
    if user and params.security == "none":
        raise Failed(f"{USER} is set and notify.email.security is none, which would show the password")
    try:
        with _connected(params) as server:
            if user:
                server.login(user, password)
            refused = server.send_message(_message(params, subject, text, key))
    except (smtplib.SMTPException, OSError, ValueError) as error:  # a server's words may repeat what it was sent
        said = f"{type(error).__name__} {getattr(error, 'smtp_code', '')}".strip()
        raise Failed(f"{params.host}:{params.port} does not take it ({said})") from None
    if refused:
        raise Failed(f"{params.host}:{params.port} does not take it for {len(refused)} recipients")


def _connected(params: Email) -> smtplib.SMTP:
    trusted = ssl.create_default_context()
    if params.security == "tls":
        return smtplib.SMTP_SSL(params.host, params.port, timeout=SECONDS, context=trusted)
    server = smtplib.SMTP(params.host, params.port, timeout=SECONDS)
    try:
        if params.security == "starttls":
            server.starttls(context=trusted)
    except BaseException:
        server.close()
        raise
    return server


def _message(params: Email, subject: str, text: str, key: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = params.sender, ", ".join(params.recipients)
    message["Subject"] = line(subject, 200)
    message["Message-ID"] = f"<{key}@{params.sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(text)
    return message
