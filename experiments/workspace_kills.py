"""Kills the server and the workers of a workspace at random moments; each submission must have one result.

A contributor sends models while a server and two workers run. While a job runs, at moments drawn at random,
one of them is killed with SIGKILL, or the process inside the sandbox, or everything at once; what died is
started again, as systemd would do. At the end every submission must be done, with one result for each phase,
and the audit log whole:

    python experiments/workspace_kills.py --out experiments/results
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path += [str(ROOT / folder) for folder in ("", "experiments", "tests")]

from sandbox_jobs import save_smallest_model, tile_task  # type: ignore[import-not-found]  # noqa: E402
from sqlalchemy import select  # noqa: E402

import results_file  # noqa: E402
from yieldcast import clock  # noqa: E402
from yieldcast.data.files import atomic_text  # noqa: E402
from yieldcast.errors import YieldcastError  # noqa: E402
from yieldcast.workspace import directory  # noqa: E402
from yieldcast.workspace.database import accounts, audit, submissions  # noqa: E402
from yieldcast.workspace.database.models import Account, AuditEntry, Job, Result, Submission  # noqa: E402
from yieldcast.workspace.settings import TrainingOptions, WorkspaceSettings  # noqa: E402

KINDS = ("everything", "a worker", "inside the sandbox", "the parent of the workers", "the server")
LEASE_SECONDS = 10
_START_SECONDS = 90.0  # for a worker to take its first job
_END_SECONDS = 600.0  # after the last kill
_FRESH = dt.timedelta(seconds=LEASE_SECONDS - 3)  # left of a lease that was renewed a moment ago


@dataclass
class Found:
    """What was counted.

    Args:
        sent: submissions.
        known: submissions in the database.
        done: of them with the state done.
        results: rows of results.
        files: rows of results that have their file.
        doubled: submissions whose end was written more than once.
        kills: signals sent.
        by_kind: kind of kill -> number.
        cut: attempts at jobs that were cut off.
        audit_whole: whether the chain of the audit log holds.
        seconds: from the first start to the last result.
    """

    sent: int
    known: int
    done: int
    results: int
    files: int
    doubled: int
    kills: int
    by_kind: dict[str, int]
    cut: int
    audit_whole: bool
    seconds: float


@dataclass
class Kills:
    """One run.

    Args:
        folder: empty.
        submissions: number of models that are sent.
        kills: number of signals.
        seed: of kinds and moments.
        server: start the server and send models through it; without, they are in the queue from the start.
        workers: number of workers.
        span: kills come up to so many seconds after a worker was seen at work.
    """

    folder: Path
    submissions: int = 100
    kills: int = 20
    seed: int = 0
    server: bool = False
    workers: int = 2
    span: float = 6.0
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def run(self) -> Found:
        """Send, kill, wait for the last result, count."""
        self.space, self.token = self._created()
        self.model = save_smallest_model(self.folder / "model.keras")
        self.port = _free_port()
        by_kind: Counter[str] = Counter()
        sender = threading.Thread(target=self._send_all, daemon=True)
        started, chance = time.monotonic(), random.Random(self.seed)
        try:
            self._keep_alive()
            sender.start()
            kinds = [kind for kind in KINDS if self.server or kind != "the server"]
            for number in range(self.kills):
                self._wait_for_a_job()
                self._wait(chance.uniform(0.0, self.span))
                kind = kinds[number % len(kinds)]
                by_kind[kind] += self._kill(kind, chance)
                with self.space.read() as session:  # opens at any moment
                    session.scalars(select(Job)).all()
            self._wait_for_the_last()
            return self._count(by_kind, time.monotonic() - started)
        finally:
            self._end()

    def _created(self) -> tuple[directory.Workspace, str]:
        settings = {"rules": {"submissions_per_contributor": self.submissions}}
        path = self.folder / "workspace"
        directory.create(path, WorkspaceSettings.model_validate(settings), tile_task)
        space = directory.Workspace.open(path)
        with space.write() as session:
            return space, accounts.invite(session, "contributor")

    def _options(self, number: int) -> TrainingOptions:
        """Options that differ, for the same model with the same options is the same submission."""
        return TrainingOptions(epochs=1, batch_size=32, learning_rate=0.001 + number / 1e5)

    def _send_all(self) -> None:
        for number in range(self.submissions):
            while True:
                try:
                    self._send(number)
                    break
                except (YieldcastError, OSError):  # the server is dead: send the same again
                    time.sleep(0.3)

    def _send(self, number: int) -> None:
        name, options = f"model {number}", self._options(number)
        if self.server:
            from yieldcast.workspace import client

            client.submit(
                f"http://127.0.0.1:{self.port}", self.model, name=name, options=options, token=self.token
            )
            return
        about = submissions.About(name=name, options=options)
        with self.space.write() as session:
            account = session.scalars(select(Account).where(Account.name == "contributor")).one()
            sent = submissions.submit(session, self.space, account, self.model, about)
        with self.space.write() as session:
            submissions.accept(session, sent, 1)

    def _keep_alive(self) -> None:
        """Start what does not run."""
        base = [sys.executable, "-m", "yieldcast", "workspace"]
        path = str(self.space.path)
        wanted = {
            "workers": [
                "worker",
                path,
                "--workers",
                str(self.workers),
                "--lease",
                str(LEASE_SECONDS),
                "--trust",
            ]
        }
        if self.server:
            wanted["server"] = ["serve", path, "--port", str(self.port), "--no-workers"]
        for name, command in wanted.items():
            if name not in self._processes or self._processes[name].poll() is not None:
                environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
                with (self.folder / f"{name}.log").open("ab") as log:
                    self._processes[name] = subprocess.Popen(
                        [*base, *command], env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
                    )

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._keep_alive()
            time.sleep(0.1)

    def _wait_for_a_job(self) -> None:
        """Wait until a worker that lives has a job, at most `_START_SECONDS`."""
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until:
            with self.space.read() as session:
                leases = session.scalars(select(Job.lease_until).where(Job.state == "running"))
                if any(lease and lease > clock.now() + _FRESH for lease in leases):
                    return
            self._wait(0.3)

    def _kill(self, kind: str, chance: random.Random) -> int:
        """Send SIGKILL; returns how many got it, at least one."""
        self._keep_alive()
        parent = self._processes["workers"].pid
        below = list(_descendants(parent))
        workers = [one for one in below if _parent(one) == parent]
        inside = [one for one in below if one not in workers]
        chosen = {
            "everything": [one.pid for one in self._processes.values()] + below,
            "a worker": workers and [chance.choice(workers)],
            "inside the sandbox": inside and [chance.choice(inside)],
            "the parent of the workers": [parent],
            "the server": [self._processes["server"].pid] if self.server else [],
        }[kind]
        for one in chosen or [parent]:  # nothing of the kind runs yet
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        return 1

    def _wait_for_the_last(self) -> None:
        until = time.monotonic() + _END_SECONDS
        while time.monotonic() < until:
            self._wait(1.0)
            with self.space.read() as session:
                states = Counter(session.scalars(select(Submission.state)))
            if sum(states.values()) == self.submissions and not states.keys() & {
                "received",
                "queued",
                "running",
            }:
                return

    def _count(self, by_kind: Counter[str], seconds: float) -> Found:
        with self.space.read() as session:
            states = Counter(session.scalars(select(Submission.state)))
            results = list(session.scalars(select(Result)))
            ends = Counter(session.scalars(select(AuditEntry.subject).where(AuditEntry.act == "finish")))
            attempts = sum(session.scalars(select(Job.attempts)))
            whole = audit.verify(session).broken is None
        files = [self.space.predictions_file(one.submission_id, one.phase).is_file() for one in results]
        known = sum(states.values())
        return Found(
            self.submissions, known, states["done"], len(results), sum(files),
            sum(count > 1 for count in ends.values()), sum(by_kind.values()), dict(by_kind),
            attempts - known, whole, round(seconds, 1),
        )  # fmt: skip

    def _end(self) -> None:
        for process in self._processes.values():
            below = list(_descendants(process.pid))
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(30.0)
            for one in [process.pid, *below]:
                with suppress(ProcessLookupError):
                    os.kill(one, signal.SIGKILL)
            process.wait()
        self.space.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def _parent(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def _descendants(process: int) -> Iterator[int]:
    for name in os.listdir("/proc"):
        one = int(name) if name.isdigit() else 0
        before = one
        while before > 1 and before != process:
            before = _parent(before)
        if one != process and before == process:
            yield one


def _written(found: Found, workers: int) -> list[str]:
    rows = [[str(name).replace("_", " "), str(value)] for name, value in _shown(found).items()]
    kinds = [[kind, str(count)] for kind, count in found.by_kind.items()]
    return [
        *results_file.heading("Server and workers of a workspace killed at random moments"),
        f"A contributor sends {found.sent} small models while a server and {workers} workers run. One of "
        "them, the process inside the sandbox, or everything at once is killed with SIGKILL at moments drawn "
        "at random; what died is started again.",
        results_file.markdown_table(["counted", "number"], rows),
        results_file.markdown_table(["killed", "times"], kinds),
        "A submission is lost if it is not done at the end, and doubled if its end was written twice.",
    ]


def _shown(found: Found) -> dict[str, Any]:
    return {
        "submissions sent": found.sent, "submissions in the database": found.known, "done": found.done,
        "results (two phases each)": found.results, "files of results": found.files,
        "lost": found.sent - found.done, "doubled": found.doubled, "kills": found.kills,
        "attempts cut off": found.cut, "audit log whole": "yes" if found.audit_whole else "no",
        "minutes": round(found.seconds / 60, 1),
    }  # fmt: skip


def main() -> None:
    """Run and write ``workspace-kills.md`` and ``workspace-kills.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True, help="folder of the results")
    parser.add_argument("--submissions", type=int, default=100)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = Kills(
            Path(folder), chosen.submissions, chosen.kills, chosen.seed, server=True, workers=chosen.workers
        ).run()
    results_file.write(chosen.out / "workspace-kills.md", _written(found, chosen.workers))
    atomic_text(chosen.out / "workspace-kills.json", json.dumps(asdict(found), indent=2) + "\n")


if __name__ == "__main__":
    main()
