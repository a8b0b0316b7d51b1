"""`Sandbox`: the process behind walls, seen from outside: start, jobs with limits of time, end."""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from yieldcast.errors import RunError
from yieldcast.workspace.sandbox import channel, kernel
from yieldcast.workspace.sandbox.walls import SCRATCH, Limits, Walls, visible

_READY_SECONDS = 180.0
_GRACE_SECONDS = 5.0  # for the sandbox to end a job that it was told to stop
_LONGEST_LINE = 2**20
_LAST_WORDS = 4000  # bytes of the error stream that are kept
Cut = Literal["time", "stopped"]


@dataclass
class Ended:
    """How a job ended.

    Args:
        code: exit code of the child; minus the number of a signal, or 128 + that number.
        cut: "time" if it ran out of time, "stopped" if the caller stopped it.
        errors: the end of its error stream, for the log of the owner.
        seconds: from start to end.
    """

    code: int
    cut: Cut | None
    errors: str
    seconds: float


@dataclass
class Sandbox:
    """A started sandbox; it begins anew by itself where its process died. Use it in a ``with`` statement.

    Args:
        walls: around each job.
        bubblewrap: path of ``bwrap`` to put the whole process into, or None.
        networks: import TensorFlow, for jobs of models.
    """

    walls: Walls = field(default_factory=Walls)
    bubblewrap: str | None = None
    networks: bool = True
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _control: socket.socket | None = field(default=None, init=False)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the process if it does not run; returns when it is ready.

        Raises:
            RunError: it ended, or was not ready in time.
        """
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, tempfile.TemporaryFile() as errors:
            self._control = ours
            self._process = subprocess.Popen(
                self._command(theirs.fileno()),
                env={}, cwd="/", pass_fds=(theirs.fileno(),), start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
            )  # fmt: skip
            theirs.close()
            if self._hear(_READY_SECONDS) is None:
                self.close()
                raise RunError(
                    f"the sandbox did not start: {_tail(errors.fileno()) or 'it was not ready in time'}",
                    "yieldcast workspace worker --help says what it needs.",
                )

    def close(self) -> None:
        """End the process, and with it whatever runs inside."""
        if self._control is not None:
            self._control.close()
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            self._process.wait()
        self._process = self._control = None

    def run(
        self,
        job: Mapping[str, Any],
        files: Mapping[str, int],
        limits: Limits,
        on_line: Callable[[dict[str, Any]], bool | None],
        seconds: float,
        mapped: int = 0,
    ) -> Ended:
        """Run a job and wait for its end.

        Args:
            job: message for `program.run`, or ``{"attempts": ...}``.
            files: open files by name, that the job gets.
            limits: of the job.
            on_line: gets each line of progress, or an empty one each half second; True stops the job.
            seconds: of wall time, from now on.
            mapped: bytes of files that the job maps into memory.

        Raises:
            RunError: the sandbox does not start.
        """
        self.start()
        started = time.monotonic()
        message = {"job": dict(job), "walls": asdict(self.walls), "limits": asdict(limits), "mapped": mapped}
        from_job, to_us = (os.fdopen(end, mode, 0) for end, mode in zip(os.pipe(), ("rb", "wb"), strict=True))
        with tempfile.TemporaryFile() as errors, from_job, to_us:
            try:
                given = {**files, "errors": errors.fileno(), "progress": to_us.fileno()}
                channel.send(self._told(), message, given)
                to_us.close()
                cut = self._follow(from_job.fileno(), on_line, started + seconds)
                code = self._end(cut)
            except OSError:  # the sandbox died
                cut, code = None, -9
                self.close()
            except BaseException:  # Ctrl-C, SIGTERM: nothing goes on inside
                self.close()
                raise
            return Ended(code, cut, _tail(errors.fileno()), time.monotonic() - started)

    def _told(self) -> socket.socket:
        if self._control is None:
            raise OSError("the sandbox has ended")
        return self._control

    def _command(self, number: int) -> list[str]:
        # -I: neither variables nor the current folder say where modules are found
        root = Path(__file__).resolve().parents[3]
        code = (
            f"import sys; sys.path.insert(0, {str(root)!r}); "
            f"from yieldcast.workspace.sandbox.template import serve; serve({number}, {self.networks})"
        )
        python = [sys.executable, "-I", "-c", code]
        return [*_bubblewrap(self.bubblewrap), *python] if self.bubblewrap else python

    def _hear(self, seconds: float) -> dict[str, Any] | None:
        """The next message of the sandbox, None if it ended or says nothing for that long."""
        told = self._told()
        if not select.select([told], [], [], seconds)[0]:
            return None
        received = channel.receive(told)
        return None if received is None else received[0]

    def _follow(
        self, reader: int, on_line: Callable[[dict[str, Any]], bool | None], until: float
    ) -> Cut | None:
        """Pass on lines until the job has closed its pipe, its time is over, or the caller stops it."""
        rest = b""
        while True:
            if time.monotonic() >= until:
                return "time"
            if not select.select([reader], [], [], 0.5)[0]:
                if on_line({}):
                    return "stopped"
                continue
            read = os.read(reader, 65536)
            if not read:
                return None
            *lines, rest = (rest + read).split(b"\n")
            if len(rest) > _LONGEST_LINE:
                return "stopped"
            if any(on_line(line) for line in map(_parsed, lines)):
                return "stopped"

    def _end(self, cut: Cut | None) -> int:
        """Exit code of the job, which is stopped if it was cut; a sandbox that does not answer is killed."""
        if cut:
            channel.send(self._told(), {"stop": True})
        answer = self._hear(_GRACE_SECONDS)
        if answer is None:
            self.close()
            return -9
        return int(answer["ended"])


def find_bubblewrap() -> str | None:
    """Path of ``bwrap``, or None."""
    return shutil.which("bwrap")


def _bubblewrap(path: str) -> list[str]:
    """The command that puts a process behind bubblewrap's walls."""
    options = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
    if kernel.is_administrator():  # keeps what it needs to leave root, and to end those who did
        options += ["--cap-drop", "ALL"]
        options += [part for name in ("SETUID", "SETGID", "KILL") for part in ("--cap-add", f"CAP_{name}")]
    else:
        options += ["--unshare-user"]
    options += ["--tmpfs", "/tmp"]  # a mount point for the walls of each job
    seen = visible()
    for parent in sorted({parent for one in seen for parent in one.parents} - {Path("/"), Path("/tmp")}):
        options += ["--perms", "0755", "--dir", str(parent)]
    for one in seen:
        if one.is_symlink():
            options += ["--symlink", os.readlink(one), str(one)]
        else:
            options += ["--ro-bind", str(one), str(one)]
    options += ["--proc", "/proc", "--dev", "/dev"]
    options += ["--perms", "1777", "--tmpfs", str(SCRATCH), "--chdir", "/"]
    return [path, *options, "--die-with-parent", "--new-session", "--"]


def _parsed(line: bytes) -> dict[str, Any]:
    """A line of progress; what is no object of JSON is dropped, for it comes from inside."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _tail(file: int) -> str:
    size = os.fstat(file).st_size
    read = os.pread(file, _LAST_WORDS, max(0, size - _LAST_WORDS))
    return read.decode("utf-8", "replace").strip()
