"""A PostgreSQL cluster of its own on loopback, from the programs of the machine's package, whatever their version."""

import os
import secrets
import shutil
import subprocess
import tempfile
from pathlib import Path

from mlflow_server import free_port

USER = "medu1"
SECONDS = 120  # a machine may be busy
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")  # its data are thrown away


def programs() -> Path | None:
    """The folder of initdb and pg_ctl, of the newest version that is installed; None where there is none."""
    folders = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    newest = max(folders, key=lambda folder: int(folder.parent.name.partition(".")[0]), default=None)
    if newest:
        return newest
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


class Cluster:
    """One server, one superuser who signs in with a password; no one is trusted."""

    def __init__(self, bin: Path) -> None:
        self.password, self.port, self._bin = secrets.token_hex(16), free_port(), bin
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path has at most 107 bytes
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            shutil.chown(self.folder, "postgres")

    def start(self) -> None:
        """Make the cluster, start it and wait until it takes connections."""
        word = self.folder / "password"
        self._run("sh", "-c", 'umask 077; cat > "$0"', str(word), said=self.password)
        made = ["--auth=scram-sha-256", f"--username={USER}", f"--pwfile={word}", "--encoding=UTF8", "--no-locale"]
        self._run(str(self._bin / "initdb"), f"--pgdata={self._data}", *made, "--no-sync")
        word.unlink()
        settings = " ".join(f"-c {setting}" for setting in FAST)
        options = f"-h 127.0.0.1 -p {self.port} -k {self.folder} {settings}"
        self._control("start", "-o", options, "-l", str(self.folder / "log"))

    def stop(self) -> None:
        """End it and remove what it wrote, started or not."""
        try:
            if (self._data / "postmaster.pid").exists():
                self._control("stop", "-m", "immediate")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def database(self, name: str) -> str:
        """Make an empty database; its address, password included."""
        import psycopg

        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"')
        return self._address(name).replace("postgresql://", "postgresql+psycopg://")

    def dump(self, name: str) -> bytes:
        """Everything a database holds, as SQL."""
        words = [str(self._bin / "pg_dump"), "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, name]
        environment = {**os.environ, "PGPASSWORD": self.password}
        return subprocess.run(words, env=environment, capture_output=True, check=True, timeout=SECONDS).stdout

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _address(self, database: str) -> str:
        return f"postgresql://{USER}:{self.password}@127.0.0.1:{self.port}/{database}"

    def _control(self, *words: str) -> None:
        self._run(str(self._bin / "pg_ctl"), "-D", str(self._data), "-w", "-t", str(SECONDS), *words)

    def _run(self, *command: str, said: str = "") -> None:
        """As the user postgres where this one is root. Output goes to a file: a pipe would stay open in the server."""
        as_postgres = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        with tempfile.TemporaryFile("w+") as output:
            done = subprocess.run(
                [*as_postgres, *command],
                cwd="/",
                input=said,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=SECONDS + 10,
            )
            output.seek(0)
            log = self.folder / "log"
            assert done.returncode == 0, output.read() + (log.read_text("utf-8") if log.exists() else "")
