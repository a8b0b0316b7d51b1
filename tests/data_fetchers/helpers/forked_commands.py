"""Commands in forks of one process that has imported everything: quick to start, to be killed at any moment.

Importing takes longer than most fetches from the stand-in servers, so a new interpreter for every command
would mostly test the interpreter.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from datetime import datetime
from typing import Any


class Commands:
    """Runs commands of yieldcast at the time of the test, with short pauses between polls of the CDS.

    Args:
        interpreters: start a new interpreter for each command, because TensorFlow does not survive a fork.
    """

    def __init__(self, interpreters: bool = False) -> None:
        self.interpreters = interpreters

    def __enter__(self) -> Commands:
        from yieldcast import clock

        mode = ["--interpreters"] if self.interpreters else []
        self.process = subprocess.Popen(
            [sys.executable, __file__, *mode], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "TEST_NOW": clock.now().isoformat()},
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
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([list(map(str, arguments)), seconds, int(sign)]) + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


def _killed(arguments: list[str], seconds: float, sign: int) -> int:
    child = os.fork()
    if child == 0 and "--interpreters" in sys.argv:
        with open(os.devnull, "w", encoding="utf-8") as nowhere:
            os.dup2(nowhere.fileno(), 1)
        os.execv(sys.executable, [sys.executable, "-m", "yieldcast", *arguments])
    if child == 0:
        _command(arguments)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(child, sign)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _command(arguments: list[str]) -> None:
    from yieldcast.cli.app import main

    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    code = 0
    try:
        main(arguments)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 0
    except BaseException:
        traceback.print_exc()
        code = 1
    finally:
        os._exit(code)


if __name__ == "__main__":
    import yieldcast.cli.app  # noqa: F401
    from data_fetchers.cds.client import Cds
    from data_fetchers.fetching import fetch, plans  # noqa: F401
    from yieldcast import clock

    now = datetime.fromisoformat(os.environ["TEST_NOW"])
    clock.now = lambda: now
    Cds.__init__.__defaults__ = ("", 6 * 3600.0, 0.2, 0.02, 3 * 10**9)
    for line in sys.stdin:
        print(_killed(*json.loads(line)), flush=True)
