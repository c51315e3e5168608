"""A real MLflow server on loopback that can be killed and started again."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

START_SECONDS = 60.0


class Server:
    """An MLflow server over a database and an artifact folder, on one port across its lives."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        words = ["server", "--host", "127.0.0.1", "--port", str(self.port), *self._words()]
        environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PYTHONWARNINGS": "ignore"}
        environment.pop("MLFLOW_TRACKING_URI", None)
        with (self.home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mlflow", *words],
                stdout=log,
                stderr=log,
                env=environment | self._environment(),
                cwd=self.home,
                start_new_session=True,
            )
        until = time.monotonic() + START_SECONDS
        while not self._answers():
            assert self._process.poll() is None, (self.home / "log").read_text("utf-8")
            assert time.monotonic() < until, (self.home / "log").read_text("utf-8")
            time.sleep(0.1)

    def signal(self, number: signal.Signals) -> None:
        """To the server and its worker."""
        assert self._process
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """SIGKILL: no answer is finished."""
        self.signal(signal.SIGKILL)
        assert self._process
        self._process.wait()

    def stop(self) -> None:
        """End it, started or not."""
        if self._process and self._process.poll() is None:
            self.kill()

    def _words(self) -> list[str]:
        words = ["--workers", "1", "--backend-store-uri", f"sqlite:///{self.home / 'mlflow.db'}"]
        return [*words, "--artifacts-destination", str(self.home / "artifacts")]

    def _environment(self) -> dict[str, str]:
        return {}

    def _answers(self) -> bool:
        try:
            with build_opener(ProxyHandler({})).open(f"{self.uri}/health", timeout=1):
                return True
        except (URLError, OSError):
            return False


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
