"""A PostgreSQL server of the tests' own: in a temporary folder, on a Unix socket, without fsync."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from itertools import count
from pathlib import Path

_SETTINGS = {
    "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "16MB",
    "max_wal_size": "64MB", "listen_addresses": "''", "dynamic_shared_memory_type": "mmap",
}  # fmt: skip


def program(name):
    """Path of a program of the server, or None: Debian keeps them outside PATH."""
    newest = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda p: int(p.parts[-3]))
    return shutil.which(name) or (str(newest[-1]) if newest else None)


def missing():
    """Why no server can be started here, or nothing."""
    if not program("initdb") or not program("pg_ctl"):
        return "PostgreSQL's initdb and pg_ctl are not installed"
    return "" if os.getuid() or shutil.which("runuser") else "PostgreSQL does not run as root, and no runuser"


def _as_server(*command):
    """Run a program as a user without rights, as the server wants it."""
    as_user = [] if os.getuid() else ["runuser", "-u", "nobody", "--"]
    subprocess.run([*as_user, *command], check=True, capture_output=True, timeout=60, cwd="/")


def _stop(file):
    """Ask the server to end at once, without a last checkpoint, and wait until it has."""
    number = int(file.read_text().split()[0])
    os.kill(number, signal.SIGQUIT)
    end = time.monotonic() + 10
    while file.exists() and time.monotonic() < end:
        time.sleep(0.02)


class Server:
    """A running server; `new_database` gives the URL of an empty database."""

    def __init__(self, folder):
        self.folder, self._numbers = folder, count(1)

    def new_database(self, like=None):
        """URL of an empty database, or of a copy of the one `like`, to which nobody is connected."""
        import psycopg

        name = f"workspace_{next(self._numbers)}"
        template = like.split("/")[3].split("?")[0] if like else "template0"
        with psycopg.connect(f"host={self.folder} user=tests dbname=postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return f"postgresql://tests@/{name}?host={self.folder}"


@contextmanager
def running():
    """A server, stopped and removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="yieldcast-pg-"))
    try:
        if not os.getuid():
            shutil.chown(folder, "nobody")
        data = str(folder / "data")
        _as_server(
            program("initdb"),
            "-D",
            data,
            "-U",
            "tests",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
            "--no-sync",
        )
        options = " ".join(f"-c {key}={value}" for key, value in _SETTINGS.items()) + f" -k {folder}"
        log = str(folder / "log")
        _as_server(program("pg_ctl"), "-D", data, "-l", log, "-o", options, "-w", "-t", "50", "start")
        try:
            yield Server(folder)
        finally:
            _stop(folder / "data" / "postmaster.pid")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
