"""`Confinement`: which walls this machine can raise, found by trying to break them from inside."""

from __future__ import annotations

import os
import secrets
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from yieldcast.errors import ConfigError, RunError, SchemaError
from yieldcast.language import Language, message
from yieldcast.workspace.sandbox import landlock, system_calls
from yieldcast.workspace.sandbox.process import Sandbox, find_bubblewrap
from yieldcast.workspace.sandbox.walls import Limits, Walls

_SECONDS = 20.0
# attempt -> what its failure means
RULES = {
    "connect": message("no connection to a network or a service of this machine"),
    "read": message("no file outside is read"),
    "write": message("no file outside is written"),
    "fork": message("no more processes than allowed"),
    "start_threads": message("no more threads than allowed"),
    "run_program": message("no other program is run"),
    "take_memory": message("no more memory than allowed"),
    "fill_disk": message("no more disk space than allowed"),
    "signal_process": message("no process outside is reached"),
    "see_processes": message("no process outside is seen"),
    "read_environment": message("no variable of the environment is seen"),
    "loop": message("no computing beyond the time allowed"),
}
_TRIAL = Limits(seconds=20, memory=512 * 2**20, processes=64, disk=4 * 2**20, file=2 * 2**20, open_files=64)


@dataclass(frozen=True)
class Confinement:
    """How jobs are confined on this machine; get it with `probe`.

    Args:
        walls: around each job.
        bubblewrap: path of ``bwrap``, around the process that they are forked from; None without.
        held: attempt -> whether the walls held when it was made from inside.
        landlock: version of the kernel's interface, 0 without.
        trusted: whether attempts that got through are accepted.
    """

    walls: Walls
    bubblewrap: str | None
    held: dict[str, bool] = field(default_factory=dict)
    landlock: int = 0
    trusted: bool = False

    @classmethod
    def probe(
        cls, secrets_of_owner: Sequence[Path] = (), trust: bool = False, bubblewrap: bool = True
    ) -> Confinement:
        """Raise the strongest walls that this machine allows, and try from inside to get through.

        Args:
            secrets_of_owner: files that must not be read: the database, the targets of the holdout.
            trust: accept walls that do not hold.
            bubblewrap: use ``bwrap`` if it is installed.

        Raises:
            ConfigError: something got through and `trust` is not given.
        """
        best = cls(Walls(False, False, False), None, dict.fromkeys(RULES, False), trusted=trust)
        for walls, path in _candidates(bubblewrap):
            try:
                held = _tried(walls, path, secrets_of_owner)
            except (RunError, SchemaError):
                continue
            if sum(held.values()) > sum(best.held.values()):
                best = cls(walls, path, held, landlock.version(), trust)
            if best.holds:
                return best
        if not trust:
            open_ones = [rule for name, rule in RULES.items() if not best.held[name]]
            raise ConfigError(
                f"this machine would not confine models of others; not enforced: {'; '.join(open_ones)}",
                "Run it where the kernel allows namespaces, Landlock and seccomp, or install bubblewrap. "
                "With --trust it runs all the same: then the models can do what you can.",
            )
        return best

    @property
    def holds(self) -> bool:
        """Whether nothing got through."""
        return all(self.held.values())

    def means(self) -> list[str]:
        """What the walls are made of."""
        names = ["bubblewrap"] if self.bubblewrap else []
        names += ["namespaces"] if self.walls.namespaces else []
        names += [f"Landlock {self.landlock}"] if self.walls.landlock else []
        return names + (["seccomp"] if self.walls.filter else []) + ["rlimits"]

    def lines(self, words: Language) -> list[str]:
        """One line for the means and one for each attempt."""
        first = words.gettext("Walls around each job: {means}", means=", ".join(self.means()))
        yes, no = words.gettext("enforced"), words.gettext("NOT ENFORCED")
        return [first, *(f"{yes if self.held[name] else no}: {words.gettext(RULES[name])}" for name in RULES)]

    def sandbox(self) -> Sandbox:
        """A sandbox with these walls, for jobs of models."""
        return Sandbox(self.walls, self.bubblewrap)


def _candidates(bubblewrap: bool) -> Iterator[tuple[Walls, str | None]]:
    """Walls and the path of bubblewrap, strongest first."""
    path = find_bubblewrap() if bubblewrap else None
    files, calls = landlock.version() > 0, system_calls.is_known()
    for namespaces in (True, False):
        if path:
            yield Walls(namespaces, files, calls), path
        yield Walls(namespaces, files, calls), None


def _tried(walls: Walls, path: str | None, owned: Sequence[Path]) -> dict[str, bool]:
    """attempt -> whether the walls held.

    Raises:
        RunError, SchemaError: the walls could not be raised.
    """
    with _outside(owned) as attempts, Sandbox(walls, path, networks=False) as sandbox:
        found = attempt(sandbox, attempts, _TRIAL)
        last = attempt(sandbox, [("loop", None)], _TRIAL, seconds=0.3)
    return {name: all(held for one, held in [*found, *last] if one == name) for name in RULES}


def attempt(
    sandbox: Sandbox, attempts: Sequence[tuple[str, Any]], limits: Limits, seconds: float = _SECONDS
) -> list[tuple[str, bool]]:
    """Make attempts from inside.

    Args:
        sandbox: started or not.
        attempts: (name in `attempts.ATTEMPTS`, its argument).
        limits: of the job.
        seconds: from when the walls stand; an attempt that goes on longer is cut off: they have held.

    Returns:
        (name, whether the walls held) of each.

    Raises:
        SchemaError: the walls could not be raised, or the attempts ended the job.
    """
    found: list[tuple[str, bool]] = []
    raised: list[float] = []

    def note(line: dict[str, Any]) -> bool:
        if "walls" in line:
            raised.append(time.monotonic())
        elif "attempt" in line:
            found.append((line["attempt"], line["held"]))
        return bool(raised) and time.monotonic() - raised[0] > seconds

    ended = sandbox.run({"attempts": list(attempts)}, {}, limits, note, _SECONDS + seconds)
    if ended.cut and raised and len(found) < len(attempts):
        found.append((attempts[len(found)][0], True))
    if not raised or len(found) < len(attempts):
        raise SchemaError(f"the walls could not be tried: {ended.errors or f'exit code {ended.code}'}")
    return found


@contextmanager
def _outside(owned: Sequence[Path]) -> Iterator[list[tuple[str, Any]]]:
    """Things outside that code inside must not reach, and the attempts to reach them."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.chmod(0o777)  # the modes of files are not the wall that is tried
        (folder / "known").write_text("known")
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        name = f"yieldcast-{secrets.token_hex(8)}"
        local = stack.enter_context(socket.socket(socket.AF_UNIX))
        local.bind(f"\0{name}")
        local.listen()
        yield [
            ("connect", server.getsockname()[1]), ("connect", name), ("read", str(folder / "known")),
            *(("read", str(path.absolute())) for path in owned if path.exists()),
            ("write", str(folder / "new")), ("signal_process", os.getpid()),
            ("see_processes", Path("/proc/self/cmdline").read_text(encoding="utf-8", errors="replace")),
            ("read_environment", "PWD"), ("fill_disk", 4 * _TRIAL.disk), ("take_memory", 2 * _TRIAL.memory),
            ("start_threads", 2 * _TRIAL.processes), ("fork", 2 * _TRIAL.processes),
            ("run_program", "/usr/bin/true"),
        ]  # fmt: skip
