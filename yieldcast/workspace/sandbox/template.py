"""Inside: the process that has imported TensorFlow and forks a child for each job.

It is started with an empty environment, reads nothing of a submission, and computes nothing: TensorFlow's
threads would not survive the fork.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from typing import Any, NoReturn

from yieldcast.workspace.sandbox import channel, kernel
from yieldcast.workspace.sandbox.attempts import try_all
from yieldcast.workspace.sandbox.walls import SCRATCH, Limits, Walls, raise_walls

SETTINGS = {
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",  # the same sums in the same order
    "CUDA_VISIBLE_DEVICES": "-1",
    "OPENBLAS_NUM_THREADS": "1",
    "HOME": "/nonexistent",
    "TMPDIR": str(SCRATCH),
    "KERAS_HOME": "/nonexistent",
}
FAILED = 3  # exit code of a child whose error has been reported


def serve(number: int, networks: bool) -> None:
    """Fork a child for each order until the other side ends.

    Args:
        number: of the open socket.
        networks: import TensorFlow first.
    """
    kernel.die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker
    os.environ.update(SETTINGS)
    control = socket.socket(fileno=number)
    if networks:
        from yieldcast.workspace.sandbox import program  # noqa: F401
    channel.send(control, {"ready": True})
    while (received := channel.receive(control)) is not None:
        order, files = received
        if "job" not in order:  # a late order to stop
            continue
        child = os.fork()
        if child == 0:
            _child(control, order, files)
        for one in files.values():
            os.close(one)
        channel.send(control, {"ended": _wait(child, control)})


def _wait(child: int, control: socket.socket) -> int:
    """Exit code of a child; any order, or the end of the other side, kills it."""
    process = os.pidfd_open(child)
    try:
        ready = select.select([process, control.fileno()], [], [])[0]
        if process not in ready:
            os.kill(child, signal.SIGKILL)
            if channel.receive(control) is None:
                os.waitpid(child, 0)
                sys.exit(0)
    finally:
        os.close(process)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _child(control: socket.socket, order: dict[str, Any], files: dict[str, int]) -> NoReturn:
    """Raise the walls and do the job; everything that is said goes through the pipe ``progress``."""
    code = FAILED
    try:
        control.close()
        os.dup2(files["errors"], 2)
        report = _report(files["progress"])
        raise_walls(Walls(**order["walls"]), Limits(**order["limits"]), order.get("mapped", 0))
        report({"walls": True})
        _do(order["job"], files, report)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _do(job: dict[str, Any], files: dict[str, int], report: Callable[[dict[str, Any]], None]) -> None:
    if "attempts" in job:
        try_all(job["attempts"], report)
        return
    from yieldcast.workspace.sandbox import program

    program.run(job, files, report)


def _report(pipe: int) -> Callable[[dict[str, Any]], None]:
    def report(line: dict[str, Any]) -> None:
        os.write(pipe, json.dumps(line).encode() + b"\n")

    return report
