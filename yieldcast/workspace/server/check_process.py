"""A program that checks model files, each in a fork with limits: a path a line in, an answer a line out.

It holds the checker and nothing else of the server: no connection of the database, no token, no data.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from yieldcast.model_files import RefusedModel, check

_MEMORY_BYTES = 4 << 30  # address space; the libraries alone map over one GB
_OPEN_FILES = 64
_NO_END = ("the checker of model files came to no end with it", "Submit a smaller model.", "size")


def answer_lines(seconds: int) -> None:
    """Answer each line of stdin, a path as JSON, by one line of JSON, until stdin is closed.

    Args:
        seconds: of processor time for each file.
    """
    for line in sys.stdin:
        sys.stdout.write(json.dumps(checked_in_fork(Path(json.loads(line)), seconds)) + "\n")
        sys.stdout.flush()


def checked_in_fork(path: Path, seconds: int) -> dict[str, Any]:
    """Check a file in a fork with limits.

    Args:
        path: of the file.
        seconds: of processor time.

    Returns:
        sha256, parameters and inputs of an accepted file; or refused: message, hint and rule.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        code = 1
        try:
            _limit(seconds)
            with os.fdopen(write, "w") as out:
                json.dump(verdict(path), out)
            code = 0
        finally:
            os._exit(code)
    os.close(write)
    with os.fdopen(read) as said:
        text = said.read()
    _, status = os.waitpid(child, 0)
    answer: dict[str, Any] = json.loads(text) if status == 0 else {"refused": _NO_END}
    return answer


def verdict(path: Path) -> dict[str, Any]:
    """What the checker says of a file, see `checked_in_fork`."""
    try:
        found = check(path)
    except RefusedModel as refused:
        return {"refused": (str(refused), refused.hint, refused.rule)}
    except MemoryError:
        return {"refused": _NO_END}
    inputs = {name: list(shape) for name, shape in found.inputs.items()}
    return {"sha256": found.sha256, "parameters": found.parameters, "inputs": inputs}


def _limit(seconds: int) -> None:
    for kind, bound in (
        (resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, _MEMORY_BYTES), (resource.RLIMIT_NOFILE, _OPEN_FILES),
    ):  # fmt: skip
        resource.setrlimit(kind, (bound, bound))


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which then closes stdin
    answer_lines(int(sys.argv[1]))
