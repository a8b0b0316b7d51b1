"""What hostile code would try, tried from inside the walls: `Confinement.probe` and the tests run these.

Each attempt raises OSError or MemoryError where a wall holds; what returns got through.
"""

from __future__ import annotations

import mmap
import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

_CHUNK = 2**20


def connect(target: str | int) -> None:
    """Open a connection to a server of the parent: a TCP port of this machine, or an abstract Unix socket."""
    kind = socket.AF_INET if isinstance(target, int) else socket.AF_UNIX
    address = ("127.0.0.1", target) if isinstance(target, int) else f"\0{target}"
    with socket.socket(kind, socket.SOCK_STREAM) as opened:
        opened.settimeout(2.0)
        opened.connect(address)


def read(path: str) -> None:
    """Read a file outside."""
    Path(path).read_bytes()


def write(path: str) -> None:
    """Write a file outside."""
    Path(path).write_bytes(b"x")


def fork(count: int) -> None:
    """Start processes that stay."""
    for _ in range(count):
        if os.fork() == 0:
            signal.pause()


def start_threads(count: int) -> None:
    """Start threads that stay."""
    stop = threading.Event()
    try:
        for _ in range(count):
            threading.Thread(target=stop.wait, daemon=True).start()
    except RuntimeError as error:  # "can't start new thread"
        raise OSError(str(error)) from error
    finally:
        stop.set()


def run_program(path: str) -> None:
    """Become another program."""
    os.execv(path, [path])


def take_memory(count: int) -> None:
    """Take bytes of memory in parts of 1 GB."""
    parts = []
    for _ in range(max(1, count // 10**9)):
        parts.append(mmap.mmap(-1, min(count, 10**9)))
    for part in parts:
        part.close()


def fill_disk(count: int) -> None:
    """Write bytes into files of the scratch folder."""
    names: list[Path] = []
    try:
        while count > 0:
            names.append(Path(f"fill-{len(names)}"))
            with names[-1].open("wb", buffering=0) as file:
                for _ in range(256):
                    count -= file.write(bytes(_CHUNK))
    finally:
        for name in names:
            name.unlink(missing_ok=True)


def signal_process(pid: int) -> None:
    """Reach a process outside."""
    if pid == os.getpid():
        raise OSError("the number is that of this process, in its own namespace")
    os.kill(pid, 0)


def see_processes(known: str) -> None:
    """Find the command line of a process outside in /proc."""
    for name in os.listdir("/proc"):
        with suppress(OSError):
            if name.isdigit() and Path("/proc", name, "cmdline").read_text(errors="replace") == known:
                return
    raise OSError("no process of outside in /proc")


def read_environment(allowed: str) -> None:
    """Find a variable of the environment besides the allowed one, where this process began."""
    found = [part for part in Path("/proc/self/environ").read_bytes().split(b"\0") if part]
    if all(part.split(b"=")[0] == allowed.encode() for part in found):
        raise OSError("the environment is empty")


def loop(_: object) -> None:
    """Compute without end."""
    while True:
        pass


ATTEMPTS: dict[str, Callable[[Any], None]] = {
    function.__name__: function
    for function in (
        connect, read, write, fork, start_threads, run_program, take_memory, fill_disk, signal_process,
        see_processes, read_environment, loop,
    )
}  # fmt: skip


def try_all(wanted: list[tuple[str, Any]], report: Callable[[dict[str, Any]], None]) -> None:
    """Make attempts and report each.

    Args:
        wanted: (name in `ATTEMPTS`, its argument).
        report: gets ``{"attempt": name, "held": bool, "by": text}``.
    """
    for name, argument in wanted:
        try:
            ATTEMPTS[name](argument)
        except (OSError, MemoryError) as error:
            report({"attempt": name, "held": True, "by": str(error) or type(error).__name__})
        else:
            report({"attempt": name, "held": False, "by": ""})
