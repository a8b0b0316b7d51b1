"""Benchmark of training: seconds per seed and epoch of three contestants, measured in turns.

    (a)  Keras model.fit in a loop over seeds; (a2) a whole epoch per call; (a3) in one process per core
    (b)  a PyTorch loop over seeds, if torch can be imported; (b2) in one process per core
    (c)  yieldcast: all seeds as one program

It also measures a lower bound from arithmetic (floor), the growth of (c) with rows and members, and the best
block size on a CPU. Every measurement runs in a separate process, and the contestants take turns, so that
other work of the machine slows all of them equally. Run nothing else during it: about 20 minutes on two
cores.

    python experiments/benchmarks/training.py [--store STORE] [--torch-python PYTHON]
    python experiments/benchmarks/training.py --large       # instead: 30 members, a million rows, one epoch

On a bare GPU host, with Python 3.11 or newer, from the root of a checkout:

    pip install '.[gpu,report]'
    python experiments/benchmarks/training.py

or on JAX, where (a) runs on JAX as well:

    pip install '.[report]' 'jax[cuda12]'
    KERAS_BACKEND=jax python experiments/benchmarks/training.py

For (b), install torch into a separate environment, because both frameworks bring CUDA libraries; it needs
numpy and torch only: python -m venv TORCH, TORCH/bin/pip install numpy torch, then --torch-python
TORCH/bin/python. Results: benchmark-training.md and .png in experiments/results, or in the folder --write.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shlex
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from messages import SOYBEAN, STATIC, TARGET, WEATHER, Job, Size, cores
from output import show, write, write_large
from processes import PER_CORE, Processes, torch_version
from rich.console import Console
from tables import Findings

import calendars
from yieldcast import Store, build_samples
from yieldcast.cli.terminal import short_errors
from yieldcast.config import DataSettings
from yieldcast.data.files import make_folder
from yieldcast.data.store import is_synthetic
from yieldcast.errors import ConfigError, YieldcastError

PARTS = ("growth", "blocks", "torch", "cores")
LOOPED = 2  # seeds in a loop of (a) and (b)
GROWTH_ROWS, GROWTH_MEMBERS, BLOCKS = (1, 4, 16), (1, 2, 4, 10, 30), (1, 2, 4, 8)
LARGE = Size(1_000_000, 12)
YEARS = range(2011, 2018)
Schedule = tuple[list[Job], list[Job], list[Job], list[Job]]


def contest(
    units: int, members: Sequence[int], epochs: int, *, with_torch: bool, per_core: bool
) -> list[Job]:
    """Jobs of the contestants of one width, and of its floor."""
    looped = ["keras", "keras-tuned", *(["keras-cores"] if per_core else [])]
    if with_torch:
        looped += ["torch", *(["torch-cores"] if per_core else [])]
    return [
        *(Job(name, units, 1 if name in PER_CORE else LOOPED, epochs) for name in looped),
        *(Job("ours", units, count, epochs) for count in members),
        Job("gemm", units),
    ]


def growth(units: int, members: Sequence[int], epochs: int, workers: int) -> tuple[list[Job], list[Job]]:
    """Jobs of the training of yieldcast with more rows, and with more members.

    Args:
        units: width.
        members: numbers of members of the contest; growth ends at the largest.
        epochs: of each member.
        workers: number of members while the rows grow.
    """
    counts = sorted({*members, *(m for m in GROWTH_MEMBERS if m <= max(members))})
    by_rows = [Job("ours", units, workers, epochs, times=times) for times in GROWTH_ROWS]
    return by_rows, [Job("ours", units, count, epochs) for count in counts]


def blocks(units: Sequence[int], epochs: int) -> list[Job]:
    """Jobs of the training of yieldcast with every block size, all cores busy."""
    return [Job("ours", width, len(cores()) * size, epochs, block=size) for width in units for size in BLOCKS]


def jobs(given: argparse.Namespace, with_torch: bool, on_cpu: bool) -> Schedule:
    """Jobs of the contest, of growth with rows, of growth with members, and of the block sizes."""
    units, members = numbers("--units", given.units), numbers("--members", given.members)
    skipped = parts("--skip", given.skip)
    per_core = "cores" not in skipped and on_cpu and len(cores()) > 1 and hasattr(os, "sched_setaffinity")
    lines = []
    for width in units:
        lines += contest(width, members, given.epochs, with_torch=with_torch, per_core=per_core)
    width = 32 if 32 in units else units[0]
    by_rows, by_members = growth(width, members, given.epochs, len(cores()) if on_cpu else max(members))
    grows, blocked = "growth" not in skipped, "blocks" not in skipped and on_cpu
    by_block = blocks(units, given.epochs) if blocked else []
    return lines, by_rows if grows else [], by_members if grows else [], by_block


def compare(given: argparse.Namespace, screen: Console) -> list[Path]:
    """Run the benchmark; returns the files written."""
    check_least("--epochs", given.epochs, 3)  # the first and the last epoch do not count
    check_least("--repeats", given.repeats, 1)
    torch = None if "torch" in parts("--skip", given.skip) else torch_version(given.torch_python)
    jobs(given, with_torch=False, on_cpu=True)  # refuses bad options before anything is run
    make_folder(given.write)
    with tempfile.TemporaryDirectory() as folder:
        size, data, said = training_rows(given, Path(folder))
        processes = Processes(size, data, given.torch_python, screen)
        machine = processes.machine()
        schedule = jobs(given, torch is not None, machine["kind"] == "CPU")
        once = [job for job in dict.fromkeys(itertools.chain(*schedule[1:])) if job not in schedule[0]]
        processes.run([*schedule[0] * given.repeats, *once])
    found = Findings(
        command(), machine, torch or "", said, size, given.epochs, given.repeats,
        *schedule, processes.results, processes.failed,
    )  # fmt: skip
    show(found, screen)
    return write(found, given.write)


def large(given: argparse.Namespace, screen: Console) -> list[Path]:
    """Train all members in one block on many rows for one epoch; returns the file written."""
    if given.store is not None or given.rows is not None:
        raise ConfigError("--large uses synthetic rows", "Leave --store and --rows out: --large ROWS.")
    check_least("--large", given.large, 100)
    units, members = numbers("--units", given.units), max(numbers("--members", given.members))
    make_folder(given.write)
    size = LARGE._replace(rows=given.large)
    processes = Processes(size, "", given.torch_python, screen)
    machine = processes.machine()
    job = Job("ours", 32 if 32 in units else units[0], members, 1, block=members)
    processes.run([job])
    if job in processes.failed:
        raise YieldcastError(f"{job}: {processes.failed[job]}", "Ask for fewer rows or members.")
    result = processes.results[job][0]
    return [write_large(job, result, size, command(), machine, given.write, screen)]


def training_rows(given: argparse.Namespace, folder: Path) -> tuple[Size, str, str]:
    """(size, file or "", description) of the rows: soybean of the store, or synthetic ones."""
    if given.store is None:
        size = SOYBEAN if given.rows is None else SOYBEAN._replace(rows=given.rows)
        check_least("--rows", size.rows, 20)
        return size, "", "synthetic (random numbers of the size of real soybean rows)"
    if given.rows is not None:
        raise ConfigError("--rows is for synthetic rows", "Leave --store or --rows out.")
    store, settings = Store.open(given.store), DataSettings()
    samples, _ = build_samples(store.tables, calendars.brazil(), "soybean", list(YEARS), settings)
    file = folder / "rows.npz"
    arrays = {WEATHER: samples.dynamic, STATIC: samples.static, TARGET: samples.target_kg_ha}
    np.savez(file, **arrays)
    made = "synthetic" if is_synthetic(store.tables) else "real"
    said = f"{made} soybean rows of {YEARS[0]} to {YEARS[-1]} (`{samples.fingerprint()[:12]}`)"
    steps, variables = samples.dynamic.shape[1:]
    return Size(len(samples), steps, variables, samples.static.shape[1]), str(file), said


def numbers(option: str, text: str) -> list[int]:
    """Numbers from text such as "16,32,64", ascending, each once."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and 1 <= int(part) <= 4096 for part in parts):
        raise ConfigError(
            f"{option}: expected numbers from 1 to 4096, received {text!r}", "For example 16,32,64."
        )
    return sorted({int(part) for part in parts})


def parts(option: str, text: str) -> set[str]:
    """Names of parts from text such as "growth,torch"."""
    named = {part.strip() for part in text.split(",") if part.strip()}
    if named - set(PARTS):
        raise ConfigError(
            f"{option}: unknown {', '.join(sorted(named - set(PARTS)))}", f"Known: {', '.join(PARTS)}."
        )
    return named


def check_least(option: str, value: int, least: int) -> None:
    """Refuse a number that is too small."""
    if value < least:
        raise ConfigError(f"{option}: expected {least} or more, received {value}", "See --help.")


def command() -> str:
    """The command that was typed, with absolute paths shortened to their last part."""
    typed = []
    for word in sys.argv[1:]:
        name, sign, value = word.partition("=") if word.startswith("--") else ("", "", word)
        typed.append(name + sign + (Path(value).name if Path(value).is_absolute() else value))
    backend = os.environ.get("KERAS_BACKEND")
    prefix = f"KERAS_BACKEND={backend} " if backend else ""
    return prefix + shlex.join(["python", "experiments/benchmarks/training.py", *typed])


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--store", type=Path, help="train its soybean rows; default: synthetic rows")
    parser.add_argument("--rows", type=int, help=f"number of synthetic rows; default: {SOYBEAN.rows:,}")
    parser.add_argument("--units", default="16,32,64", help="widths of all layers")
    parser.add_argument("--members", default="1,10,30", help="numbers of members of (c)")
    parser.add_argument("--epochs", type=int, default=4, help="epochs of every seed, 3 or more")
    parser.add_argument("--repeats", type=int, default=3, help="processes per contestant and width")
    parser.add_argument("--torch-python", default=sys.executable, help="interpreter that has torch")
    parser.add_argument("--skip", default="", help=f"parts to leave out: {','.join(PARTS)}")
    parser.add_argument(
        "--write", type=Path, default=Path("experiments/results"), help="folder of the results"
    )
    parser.add_argument(
        "--large", type=int, nargs="?", const=LARGE.rows, metavar="ROWS",
        help=f"instead: the most members in one block on that many rows (default: {LARGE.rows:,})",
    )  # fmt: skip
    given = parser.parse_args()
    screen = Console(markup=False, highlight=False)
    with short_errors():
        written = (compare if given.large is None else large)(given, screen)
        print(f"written: {', '.join(map(str, written))}")


if __name__ == "__main__":
    main()
