"""A mail server on loopback that keeps what it takes: enough of SMTP for one client, with STARTTLS and a password."""

import base64
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import NamedTuple


class Authority(NamedTuple):
    """A certificate for 127.0.0.1 that signs itself."""

    certificate: Path
    key: Path

    @classmethod
    def make(cls, folder: Path) -> "Authority":
        """Valid for an hour."""
        import ipaddress

        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec

        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail of a test")])
        host = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        built = (
            x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(host, critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        made = cls(folder / "certificate.pem", folder / "key.pem")
        made.certificate.write_bytes(built.public_bytes(serialization.Encoding.PEM))
        made.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return made


class MailServer:
    """What it took, from whom and for whom; `refuse` names recipients it does not take."""

    def __init__(self, authority: Authority | None) -> None:
        self.authority, self.refuse = authority, set[str]()
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.logins: list[tuple[str, str]] = []
        self.encrypted: list[bool] = []  # whether each login was
        outer = self

        class Session(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                _Dialogue(outer, self).hold()

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Dialogue:
    """One connection."""

    def __init__(self, server: MailServer, session: socketserver.StreamRequestHandler) -> None:
        self.server, self.connection = server, session.connection
        self.reading, self.secure = session.rfile, False

    def hold(self) -> None:
        try:
            self._say("220 test")
            while line := self.reading.readline():
                if not self._answer(line.decode().strip()):
                    return
        except (OSError, ssl.SSLError):
            return
        finally:
            self.reading.close()
            self.connection.close()

    def _answer(self, line: str) -> bool:
        verb, _, rest = line.partition(" ")
        match verb.upper():
            case "EHLO":
                self._say("250-test", *self._offers(), "250 8BITMIME")
            case "STARTTLS":
                self._say("220 go")
                self._encrypt()
            case "AUTH":
                self._log_in(rest)
            case "RCPT" if any(name in rest for name in self.server.refuse):
                self._say("550 no such user")
            case "RCPT":
                self.server.recipients.append(rest.partition("<")[2].partition(">")[0])
                self._say("250 ok")
            case "DATA":
                self._take()
            case "QUIT":
                self._say("221 bye")
                return False
            case _:
                self._say("250 ok")
        return True

    def _offers(self) -> list[str]:
        return (["250-STARTTLS"] if self.server.authority and not self.secure else []) + ["250-AUTH PLAIN"]

    def _encrypt(self) -> None:
        assert self.server.authority
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.server.authority.certificate, self.server.authority.key)
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.reading, self.secure = self.connection.makefile("rb"), True

    def _log_in(self, words: str) -> None:
        _, user, password = base64.b64decode(words.removeprefix("PLAIN ")).decode().split("\0")
        self.server.logins.append((user, password))
        self.server.encrypted.append(self.secure)
        self._say("235 ok" if password == "right" else f"535 not {password}")

    def _take(self) -> None:
        self._say("354 go")
        lines = []
        while (line := self.reading.readline()) != b".\r\n":
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        self.server.mails.append(message_from_bytes(b"".join(lines), policy=policy.default))  # type: ignore[arg-type]
        self._say("250 taken")

    def _say(self, *lines: str) -> None:
        self.connection.sendall("".join(f"{line}\r\n" for line in lines).encode())


@contextmanager
def mail_server(authority: Authority | None = None) -> Iterator[MailServer]:
    """A server for as long as it lasts."""
    server = MailServer(authority)
    try:
        yield server
    finally:
        server.close()
