"""Kills commands at random moments and checks that nothing is lost: fetch, import, train, forecast.

Each command is killed again and again, at a moment drawn uniformly between its start and the time that it
needs undisturbed, until it ends by itself. After every kill what is on disk must open. At the end tables,
weights, netCDF and CSV files must equal those of an undisturbed command. The services are the local servers
of the tests. Run it from a clone with the development tools, on a machine that is otherwise idle:

    PYTHONPATH=. python experiments/studies/kills.py --out experiments/results
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
FOLDERS = ("", "experiments", "tests/data_fetchers/helpers", "tests")
sys.path += [str(ROOT / folder) for folder in FOLDERS]

from forked_commands import Commands  # type: ignore[import-not-found]  # noqa: E402
from served import SERVERS, Served  # type: ignore[import-not-found]  # noqa: E402

import results_file  # noqa: E402
from yieldcast.data import synthetic  # noqa: E402
from yieldcast.data.files import atomic_text, fingerprint  # noqa: E402
from yieldcast.data.store import Store  # noqa: E402
from yieldcast.data.store_tables import TABLES  # noqa: E402
from yieldcast.training.run_directory import Run  # noqa: E402

COUNTS = {"import": 16, "fetch": 30, "train": 12, "forecast": 12}
TERM_EVERY = 7  # one kill in seven is by SIGTERM, the others by SIGKILL: 10 and 60 of 70
State = dict[str, str]


class Task(NamedTuple):
    """A command to kill.

    Args:
        name: of the command.
        arguments: what follows ``yieldcast``, for an output folder.
        begin: prepares the output folder before the first start.
        state: results in the folder, by name; raises if what is there does not open.
        fork: whether it runs in a fork; commands with TensorFlow need a new interpreter.
    """

    name: str
    arguments: Callable[[Path], list[str]]
    begin: Callable[[Path], None]
    state: Callable[[Path], State]
    fork: bool


def tables(folder: Path) -> State:
    """Fingerprints of a store's tables; {} without a store."""
    if not (folder / "store.json").exists():
        return {}
    store = Store.open(folder)
    return {table: fingerprint(getattr(store, table)) for table in TABLES if table in store}


def weights(folder: Path) -> State:
    """Hashes of the weights of the finished members of a run."""
    if not (folder / "run.json").exists():
        return {}
    run = Run.open(folder)
    return {
        f"seed {seed} {i}": hashlib.sha256(array.tobytes()).hexdigest()
        for seed in run.seeds()
        for i, array in enumerate(run.load_member(seed).get_weights())
    }


def files(folder: Path) -> State:
    """Hashes of the netCDF and CSV files of bulletins."""
    found = [p for pattern in ("**/*.nc", "**/*.csv") for p in folder.glob(pattern)]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(found)}


def trial(
    task: Task, folder: Path, start: Callable[[Task, Path, float, int], int], wanted: State, whole_s: float,
    dice: random.Random, signs: Iterator[int],
) -> tuple[int, int, int]:  # fmt: skip
    """Kill a task until it ends by itself; return kills by SIGKILL, by SIGTERM, and losses found.

    Args:
        task: the command.
        folder: for its output; removed at the end.
        start: runs it for at most some seconds, then sends a signal; returns the exit code.
        wanted: results of an undisturbed run.
        whole_s: time that it needs undisturbed (s).
        dice: draws the moments.
        signs: the signals, one after another.
    """
    kills, lost = {signal.SIGKILL: 0, signal.SIGTERM: 0}, 0
    task.begin(folder)
    before = task.state(folder)
    while True:
        sign = signal.Signals(next(signs))
        code = start(task, folder, dice.uniform(0.1, whole_s), sign)
        if code == 0:
            break
        kills[sign] += 1
        try:
            now = task.state(folder)
            # what was there before, or was finished since, is whole: each result is the old or the wanted one
            lost += any(now.get(name) not in (value, wanted.get(name)) for name, value in before.items())
        except Exception as error:  # any failure to open is a loss
            print(f"{task.name}: {type(error).__name__}: {error}")
            lost += 1
    if task.state(folder) != wanted:
        print(f"{task.name}: other results than undisturbed")
        lost += 1
    shutil.rmtree(folder)
    return kills[signal.SIGKILL], kills[signal.SIGTERM], lost


def tasks(work: Path) -> list[Task]:
    """The four commands, and what they work on."""
    made = work / "tables"
    country = synthetic.country(first_harvest_year=2007, harvest_years=12, municipalities=24, crop="soybean")
    synthetic.write_files(made, country)
    store, run, config = work / "store", work / "run", work / "quick.toml"
    Store.write(store, country, {})
    config.write_text("[training]\nmax_epochs = 12\n", encoding="utf-8")
    nothing = lambda folder: folder.mkdir(parents=True)  # noqa: E731
    given = {"places": "places.csv", "yields": "yields.csv", "weather": "weather.nc", "soil": "soil.csv"}
    paths = [word for name, file in given.items() for word in (f"--{name}", str(made / file))]

    def older_store(folder: Path) -> None:
        Store.write(folder, synthetic.country(seed=2, municipalities=8, harvest_years=3), {})

    fetched = [
        "--years", "2014", "--crops", "soybean", "--starts", "2018-01", "--states", "MT,GO",
        "--retry-wait", "0.05", "--soil-resolution", "5km",
    ]  # fmt: skip
    train = ["--crop", "soybean", "--train-years", "2010:2014", "--seeds", "2", "--config", str(config)]
    dates = ["--harvest-year", "2018", "--as-of", "2018-02-15"]
    return [
        Task("import", lambda out: ["import", "--store", str(out), *paths], older_store, tables, True),
        Task("fetch", lambda out: ["fetch", "all", "--store", str(out), *fetched], nothing, tables, True),
        Task("train", lambda out: ["train", "--store", str(store), "--out", str(out), *train],
             nothing, weights, False),
        Task("forecast", lambda out: ["forecast", str(run), "--store", str(store), "--out", str(out), *dates],
             nothing, files, False),
    ]  # fmt: skip


@contextmanager
def services() -> Iterator[None]:
    """The local servers of the tests, found through the environment."""
    names = {"ibge": "YIELDCAST_IBGE_URL", "soil": "YIELDCAST_SOILGRIDS_URL", "conab": "YIELDCAST_CONAB_URL"}
    servers = {name: Served(name) for name in (*names, "cds")}
    os.environ.update({variable: servers[name].url for name, variable in names.items()})
    os.environ.update(CDSAPI_URL=f"{servers['cds'].url}/api", CDSAPI_KEY="secret-token-123")
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as programs:  # those that XLA compiled
            os.environ.setdefault("TF_XLA_FLAGS", f"--tf_xla_persistent_cache_directory={programs}")
            yield
    finally:
        for server in servers.values():
            server.stop()


def measured(counts: dict[str, int], seed: int) -> Iterator[list[dict[str, object]]]:
    """After every finished run one row per command: seconds undisturbed, kills by signal, runs, losses."""
    rows: list[dict[str, object]] = []
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory() as name, services(), Commands() as forks, Commands(True) as new:
        work = Path(name)

        def start(task: Task, folder: Path, seconds: float = 600.0, sign: int = signal.SIGKILL) -> int:
            return int((forks if task.fork else new).run(task.arguments(folder), seconds, sign))

        signs = (signal.SIGTERM if i % TERM_EVERY == 0 else signal.SIGKILL for i in range(1, 10**6))
        for task in tasks(work):
            calm = work / ("run" if task.name == "train" else f"calm-{task.name}")
            # timed the second time: the servers keep the files that they made the first time
            for folder in [work / "first", calm] if task.fork else [calm]:
                task.begin(folder)
                began = time.monotonic()
                if (code := start(task, folder)) != 0:
                    raise SystemExit(f"{task.name} ends with {code} undisturbed")
            shutil.rmtree(work / "first", ignore_errors=True)
            whole_s, wanted = time.monotonic() - began, task.state(calm)
            row = {"killed": 0, "terminated": 0, "lost": 0, "rounds": 0}
            while row["killed"] + row["terminated"] < counts[task.name]:
                found = trial(task, work / "rough", start, wanted, whole_s, dice, signs)
                for key, number in zip(("killed", "terminated", "lost"), found, strict=True):
                    row[key] += number
                row["rounds"] += 1
                print(task.name, row, flush=True)
                yield [*rows, {"command": task.name, "seconds": round(whole_s, 1), **row}]
            rows.append({"command": task.name, "seconds": round(whole_s, 1), **row})


def main() -> None:
    """Measure and write kills.md and kills.json."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=20261130)
    for name, count in COUNTS.items():
        parser.add_argument(f"--{name}", type=int, default=count, help="least number of kills")
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for rows in measured({name: getattr(given, name) for name in COUNTS}, given.seed):
        write(rows, given.out)  # a stopped study keeps what it has counted


def write(rows: list[dict[str, object]], out: Path) -> None:
    """Write kills.md and kills.json."""
    heads = ["command", "undisturbed (s)", "SIGKILL", "SIGTERM", "finished runs", "losses"]
    keys = ("command", "seconds", "killed", "terminated", "rounds", "lost")
    text = [
        *results_file.heading("Commands killed at random moments"),
        f"Servers: `{SERVERS.relative_to(ROOT)}`. A loss is a store, run or file that does not open after a "
        "kill, or that differs at the end from that of an undisturbed command.",
        results_file.markdown_table(heads, [[str(row[key]) for key in keys] for row in rows]),
    ]
    atomic_text(out / "kills.md", "\n\n".join(text) + "\n")
    atomic_text(out / "kills.json", json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
