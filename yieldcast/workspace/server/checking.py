"""The checker of model files in a process of its own: what breaks it breaks nothing of the server."""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from yieldcast.workspace.server.problems import RequestError

_PROGRAM = "yieldcast.workspace.server.check_process"
_NO_END = ("the checker of model files came to no end with it", "Submit a smaller model.", "size")
_SECONDS = 120  # a file of 500 MB takes some 5 s on a quiet core


@dataclass(frozen=True)
class CheckedFile:
    """What the checker understood of a model file.

    Args:
        sha256: of the file, 64 hex digits.
        parameters: number of weights.
        inputs: name -> shape, the sample axis first, None for any length.
    """

    sha256: str
    parameters: int
    inputs: dict[str, tuple[int | None, ...]]


def check_apart(path: Path) -> CheckedFile:
    """Check a model file in a process of its own; nothing is built from it. One file at a time.

    Args:
        path: of the file.

    Raises:
        RequestError: 422 with the rule that refuses the file, or because the checker came to no end.
    """
    said = _checker().ask(path)
    if refused := said.get("refused"):
        message, hint, rule = refused
        raise RequestError(422, message, hint, rule)
    inputs = {name: tuple(shape) for name, shape in said["inputs"].items()}
    return CheckedFile(said["sha256"], said["parameters"], inputs)


@cache
def _checker() -> Checker:
    made = Checker(_SECONDS)
    atexit.register(made.stop)
    return made


class Checker:
    """A running `check_process`, started when it is first asked and again after it broke.

    Args:
        seconds: for each file.
    """

    def __init__(self, seconds: int) -> None:
        self._seconds, self._process = seconds, None
        self._lock = threading.Lock()

    _process: subprocess.Popen[bytes] | None

    def ask(self, path: Path) -> dict[str, Any]:
        """What the process says of a file, see `check_process.checked_in_fork`."""
        with self._lock:
            process = self._running()
            if process.stdin is None or process.stdout is None:
                raise RuntimeError("the checker has no pipes")
            try:
                process.stdin.write(json.dumps(str(path)).encode() + b"\n")
                process.stdin.flush()
                line = _line(process.stdout.fileno(), self._seconds)
            except (BrokenPipeError, TimeoutError):
                self.stop()
                return {"refused": _NO_END}
            except BaseException:
                self.stop()  # its answer would be taken for that of the next file
                raise
            answer: dict[str, Any] = json.loads(line)
            return answer

    def stop(self) -> None:
        """End the process and what it forked."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            with suppress(BrokenPipeError):
                process.communicate()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            # -P: no module of the working directory. Nothing of the environment but where modules are.
            command = [sys.executable, "-P", "-m", _PROGRAM, str(self._seconds)]
            kept = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=kept, start_new_session=True
            )
        return self._process


def _line(descriptor: int, seconds: float) -> bytes:
    """The next line of a pipe.

    Raises:
        TimeoutError: it did not come.
        BrokenPipeError: the pipe was closed.
    """
    found, end = bytearray(), time.monotonic() + seconds
    while not found.endswith(b"\n"):
        ready, _, _ = select.select([descriptor], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            raise TimeoutError
        piece = os.read(descriptor, 1 << 16)
        if not piece:
            raise BrokenPipeError
        found += piece
    return bytes(found)
