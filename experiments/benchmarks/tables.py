"""Tables of the training benchmark, from the answers of its processes."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flops import epoch_flops, multiply_adds, network_shape
from messages import Job, Results, Size

from yieldcast import Settings

Lines = list[list[str]]
Titled = tuple[str, Sequence[str], Lines]
NAMES = {
    "keras": "(a) Keras model.fit",
    "keras-tuned": "(a2) an epoch per call",
    "keras-cores": "(a3) a process per core",
    "torch": "(b) PyTorch loop",
    "torch-cores": "(b2) a process per core",
    "ours": "(c) yieldcast",
}


@dataclass(frozen=True)
class Findings:
    """All measurements of one benchmark.

    Args:
        command: the command that was typed.
        machine: answer of the job "machine".
        torch: version of torch, "" without it.
        data: description of the rows.
        size: of the rows.
        epochs, repeats: epochs of every seed, and processes of every contestant.
        lines, by_rows, by_members, by_block: jobs of each table.
        results: answers of each job.
        failed: reason of each job that failed.
    """

    command: str
    machine: Mapping[str, Any]
    torch: str
    data: str
    size: Size
    epochs: int
    repeats: int
    lines: Sequence[Job]
    by_rows: Sequence[Job]
    by_members: Sequence[Job]
    by_block: Sequence[Job]
    results: Results
    failed: Mapping[Job, str]

    def middle(self, job: Job | None, key: str) -> float | None:
        """Median over the repeats of a job; None without an answer."""
        values = [result[key] for result in self.results.get(job, []) if result.get(key)] if job else []
        return statistics.median(values) if values else None

    def units(self) -> list[int]:
        """Widths of the network."""
        return sorted({job.units for job in self.lines})

    def contestants(self, units: int) -> list[Job]:
        """Jobs of a width, without the one that measures its floor."""
        return [job for job in self.lines if job.units == units and job.contestant != "gemm"]

    def most(self, units: int) -> Job:
        """The training of yieldcast with the most members, with which the others are compared."""
        return max(self.contestants(units), key=lambda job: (job.contestant == "ours", job.members))

    def flops(self, units: int) -> int:
        """Operations of one epoch of one member."""
        return flops_of(units, self.size)

    def floors(self, units: int) -> tuple[float | None, float | None]:
        """Seconds of these operations at the rate of (the network's products, a large one)."""
        rates = (self.middle(Job("gemm", units), f"{size}_rate") for size in ("small", "large"))
        small, large = (self.flops(units) / rate if rate else None for rate in rates)
        return small, large


def flops_of(units: int, size: Size) -> int:
    """Operations of one epoch of one member of the default shape and settings."""
    row = multiply_adds([units] * 2, [units] * 2, [units], size.steps, size.variables, size.features)
    held = round(Settings().training.validation_share * size.rows)
    return epoch_flops(row, size.rows - held, held)


def digits(value: float | None, form: str = "#.4g") -> str:
    """A number, or a dash."""
    return "-" if value is None else format(value, form)


def ratio(value: float | None, other: float | None) -> str:
    """A quotient, or a dash."""
    return digits(value / other if value and other else None, ".2f")


def name_of(job: Job) -> str:
    """Name of a contestant in the tables."""
    if job.contestant != "ours":
        return NAMES[job.contestant]
    return f"{NAMES['ours']}, {job.members} member{'s' if job.members > 1 else ''}"


CONTEST = ("units", "contestant", "seconds", "spread %", "start-up", "peak MiB", "device MiB", "/(c)")


def contest_lines(found: Findings) -> Lines:
    """One row per contestant and width, and the two floors."""
    lines = []
    for units in found.units():
        best = found.middle(found.most(units), "seconds")
        for job in found.contestants(units):
            seconds = found.middle(job, "seconds")
            each = [result["seconds"] for result in found.results.get(job, [])]
            line = [str(units), name_of(job), digits(seconds)]
            line.append(digits(100 * (max(each) - min(each)) / seconds if seconds else None, ".0f"))
            line.append(digits(found.middle(job, "startup"), ".1f"))
            line += [digits(found.middle(job, key), ",.0f") for key in ("peak_mib", "device_mib")]
            lines.append([*line, ratio(seconds, best)])
        for name, floor in zip(("network's products", "large product"), found.floors(units), strict=True):
            lines.append([str(units), f"floor, {name}", digits(floor), *["-"] * 4, ratio(floor, best)])
    return lines


def ratio_head() -> list[str]:
    """Headings: (a)/(c) and so on, then (c) divided by both floors."""
    letters = [name.split()[0] for kind, name in NAMES.items() if kind != "ours"]
    return ["units", *(f"{letter}/(c)" for letter in letters), "(c)/floor, network's", "(c)/floor, large"]


def ratio_lines(found: Findings) -> Lines:
    """Seconds of the others divided by those of yieldcast with the most members."""
    lines = []
    for units in found.units():
        jobs = {job.contestant: job for job in found.contestants(units)}
        best = found.middle(found.most(units), "seconds")
        others = [found.middle(jobs.get(kind), "seconds") for kind in NAMES if kind != "ours"]
        floors = [ratio(best, floor) for floor in found.floors(units)]
        lines.append([str(units), *(ratio(seconds, best) for seconds in others), *floors])
    return lines


FLOOR = ("units", "MFLOP per epoch", "network's products", "GFLOP/s", "large product", "GFLOP/s")


def floor_lines(found: Findings) -> Lines:
    """Operations of one epoch of a member, and rates of matrix products (rows x inner x columns)."""
    lines = []
    for units in found.units():
        job = Job("gemm", units)
        line = [str(units), f"{found.flops(units) / 1e6:,.0f}"]
        shapes = (network_shape(units), [round(found.middle(job, "large_edge") or 0)] * 3)
        for shape, key in zip(shapes, ("small_rate", "large_rate"), strict=True):
            rate = found.middle(job, key)
            line += [" x ".join(map(str, shape)), digits(rate / 1e9 if rate else None, ".1f")]
        lines.append(line)
    return lines


PLAN = "threads x devices x block"
OURS = ("units", "rows", "members", PLAN, "seconds", "peak MiB", "device MiB")


def own_lines(found: Findings, jobs: Sequence[Job]) -> Lines:
    """The training of yieldcast at several sizes."""
    lines = []
    for job in jobs:
        plan = found.results[job][0]["plan"] if found.results.get(job) else "-"
        lines.append(
            [
                str(job.units), f"{found.size.rows * job.times:,}", str(job.members), plan,
                digits(found.middle(job, "seconds")), digits(found.middle(job, "peak_mib"), ",.0f"),
                digits(found.middle(job, "device_mib"), ",.0f"),
            ]
        )  # fmt: skip
    return lines


def tables(found: Findings) -> list[Titled]:
    """(title, headings, rows) of all tables."""
    own = {
        "Growth with rows, one process per row": found.by_rows,
        "Growth with members": found.by_members,
        "Block size, all threads busy, one process per row": found.by_block,
    }
    whole: list[Titled] = [
        ("Seconds per seed and epoch", CONTEST, contest_lines(found)),
        ("Ratios, (c) with the most members", ratio_head(), ratio_lines(found)),
        ("Arithmetic floor", FLOOR, floor_lines(found)),
        *((title, OURS, own_lines(found, jobs)) for title, jobs in own.items() if jobs),
    ]
    return [without_device(*table) for table in whole] if found.machine["kind"] == "CPU" else whole


def without_device(title: str, head: Sequence[str], lines: Lines) -> Titled:
    """The table without the column of device memory, which a CPU does not have."""
    kept = [k for k, name in enumerate(head) if name != "device MiB"]
    return title, [head[k] for k in kept], [[line[k] for k in kept] for line in lines]
