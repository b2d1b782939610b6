"""A private PostgreSQL server for the tests: a cluster of its own in a temporary folder, reached by a socket there and a loopback port."""

import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

READER, PASSWORD = "reader", "it's s3cret"
"""A user who may read tables and make temporary ones, and nothing else; over the loopback port with this password."""


@dataclass(frozen=True)
class PostgresServer:
    folder: Path
    port: int

    def environment(self):
        """What libpq needs to be the server's owner."""
        return {"PGHOST": str(self.folder), "PGPORT": str(self.port), "PGUSER": "owner", "PGDATABASE": "postgres"}

    @classmethod
    @contextmanager
    def started(cls):
        """The server refuses to run as root, so there it runs as the user that Debian's package makes."""
        folder = Path(tempfile.mkdtemp(prefix="dpsynth-postgres-"))
        server = cls(folder, _free_port())
        try:
            if os.geteuid() == 0:
                shutil.chown(folder, "postgres", "postgres")
            _run("initdb", "-D", folder / "data", "-U", "owner", "--auth=trust", "-E", "UTF8", "--no-locale", "-N")
            (folder / "data" / "pg_hba.conf").write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
            settings = f"-c listen_addresses=127.0.0.1 -p {server.port} -k {folder} -c fsync=off -c max_connections=50"
            _run("pg_ctl", "-D", folder / "data", "-o", settings, "-l", folder / "log", "-w", "start")
            try:
                yield server
            finally:
                _run("pg_ctl", "-D", folder / "data", "-m", "immediate", "-w", "stop")
        finally:
            shutil.rmtree(folder)


def _run(program, *words):
    as_other = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    command = [*as_other, _program(program), *map(str, words)]
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd="/", check=True)


def _program(name):
    found = shutil.which(name) or max(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), default="")
    assert found, f"{name} is not installed: make test-engines installs it, or see the distribution's postgresql package"
    return found


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
