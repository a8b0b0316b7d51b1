"""Commands in forks of one process that has imported everything: quick to start, to be killed at any moment.

Importing takes longer than most fetches from the stand-in servers, and as long as a forecast, so a new
interpreter for every command would mostly test the interpreter.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple


class Ended(NamedTuple):
    """What a command left behind; the code of a killed one is minus the number of the signal."""

    code: int
    out: str
    err: str


class Commands:
    """Runs commands of yieldcast at the time of the test, with short pauses between polls of the CDS.

    Args:
        networks: import TensorFlow too. Nothing is computed before the fork, which TensorFlow's threads
            would not survive; each child trains in one thread, so that all compile the same program.
    """

    def __init__(self, networks: bool = False) -> None:
        self.networks = networks

    def __enter__(self) -> Commands:
        from yieldcast import clock

        environment = {**os.environ, "TEST_NOW": clock.now().isoformat()}
        if self.networks:
            environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "OPENBLAS_NUM_THREADS": "1"}
        # -P: the folder of this file holds tests/yieldcast, which must not stand for the package itself.
        self.process = subprocess.Popen(
            [sys.executable, "-P", __file__, *(["--networks"] if self.networks else [])],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()

    def run(self, arguments: list[Any], seconds: float = 300.0, sign: int = signal.SIGKILL) -> int:
        """Exit code of a command; if it still runs after some seconds, it gets the signal.

        Args:
            arguments: what follows ``yieldcast``.
            seconds: until the signal.
            sign: number of the signal; the code of a killed process is minus this number.
        """
        return self.call(arguments, seconds=seconds, sign=sign).code

    def call(
        self,
        arguments: list[Any],
        environment: dict[str, str] | None = None,
        first: Path | None = None,
        seconds: float = 300.0,
        sign: int = signal.SIGKILL,
    ) -> Ended:
        """A finished command.

        Args:
            arguments, seconds, sign: as in `run`.
            environment: variables that the command has besides those of this process at its start.
            first: a Python file that the child runs before the command.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with tempfile.TemporaryDirectory() as folder:
            shown = [f"{folder}/{name}" for name in ("out", "err")]
            for file in shown:
                Path(file).touch()
            task = {
                "arguments": list(map(str, arguments)), "environment": environment or {},
                "first": str(first or ""), "seconds": seconds, "sign": int(sign), "shown": shown,
            }  # fmt: skip
            self.process.stdin.write(json.dumps(task) + "\n")
            self.process.stdin.flush()
            code = int(self.process.stdout.readline())
            return Ended(code, *(Path(file).read_text(encoding="utf-8", errors="replace") for file in shown))


def _killed(task: dict[str, Any]) -> int:
    child = os.fork()
    if child == 0:
        _command(task)
    until = time.monotonic() + task["seconds"]
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, task["sign"])
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _command(task: dict[str, Any]) -> None:
    from yieldcast.cli.app import main

    for number, file in enumerate(task["shown"], start=1):
        os.dup2(os.open(file, os.O_WRONLY), number)
    os.environ.update(task["environment"])
    code = 0
    try:
        if task["first"]:
            runpy.run_path(task["first"])
        main(task["arguments"])
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


if __name__ == "__main__":
    import yieldcast.cli.app  # noqa: F401
    from data_fetchers.cds.client import Cds
    from data_fetchers.fetching import fetch, plans  # noqa: F401
    from yieldcast import clock
    from yieldcast.cli import progress  # noqa: F401
    from yieldcast.cli.views import fetch as shown_fetch  # noqa: F401

    for module in ("dask.array", "ecmwf.datastores", "h5netcdf", "pint"):  # imported at first use
        with suppress(ImportError):
            importlib.import_module(module)
    now = datetime.fromisoformat(os.environ["TEST_NOW"])
    clock.now = lambda: now
    Cds.__init__.__defaults__ = ("", 6 * 3600.0, 0.2, 0.02, 3 * 10**9)
    if "--networks" in sys.argv:
        from yieldcast.evaluation import scores  # noqa: F401
        from yieldcast.forecasting import forecast  # noqa: F401
        from yieldcast.models import stacked  # noqa: F401
        from yieldcast.operations import job  # noqa: F401
        from yieldcast.training import member, scheduler  # noqa: F401

        scheduler.cores = lambda: 1
    for line in sys.stdin:
        print(_killed(json.loads(line)), flush=True)
