"""Output of the training benchmark: tables on the screen, a Markdown file and a figure."""

from __future__ import annotations

import datetime as dt
import platform
import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from messages import Job, Size, cores
from rich import box
from rich.console import Console
from rich.table import Table
from tables import NAMES, PLAN, Findings, Lines, digits, name_of, ratio, tables

from yieldcast.data.files import atomic_text, atomic_write

READING = "## Reading\n"  # text below it was written by a person and is kept
BUSY = 0.5  # load average above which other work disturbs the times
HOW = """\
- Every number comes from a separate process, and the contestants took turns: medians of {repeats} rounds.
  Every seed ran {epochs} epochs.
- Seconds per seed and epoch are the median of steady epochs, validation included: without the first epoch,
  which compiles, and for (c) without the last epoch of a member, which saves it. For (c) the time between two
  epochs of a member is divided by the number of busy threads times the members of its block.
- (a2) runs a whole epoch per call of the framework. (a3) and (b2) are (a) and (b) in one process per core,
  each with its own core and seeds; their memory is the sum.
- Spread is the difference between the slowest and the fastest round, in percent of the median.
- Start-up, in seconds, is the first epoch minus a steady one: building and compiling. A loop needs it for
  every seed, (c) once for all seeds (and once more for each smaller block at the end of a run).
- The last column divides by the seconds of (c) with the most members.
- Peak MiB is the largest resident memory of the process, libraries included.
- The floor is a lower bound from arithmetic alone: two operations per multiply-add of the matrix products,
  a backward pass as two forward passes, at the rate of float32 products measured in the same run ({where}).
  Elementwise operations, memory traffic and random numbers are not counted."""


def show(found: Findings, screen: Console) -> None:
    """Print all tables and notes."""
    for title, head, lines in tables(found):
        screen.print(_table(title, head, lines))
    for note in notes(found):
        screen.print(note)


def _table(title: str, head: Sequence[str], lines: Lines) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for name, first in zip(head, lines[0], strict=True):
        table.add_column(name, justify="right" if first[:1].isdecimal() or first == "-" else "left")
    for line in lines:
        table.add_row(*line)
    return table


def markdown_table(head: Sequence[str], lines: Lines) -> str:
    """A Markdown table; columns of numbers are aligned to the right."""
    marks = ["--:" if first[:1].isdecimal() or first == "-" else "---" for first in lines[0]]
    rows = [list(head), *lines]
    text = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([text[0], f"|{'|'.join(marks)}|", *text[1:]])


def notes(found: Findings) -> list[str]:
    """Sentences that a reader of the tables must know."""
    lines = []
    if not any(job.contestant == "torch" for job in found.lines):
        lines.append(
            "(b) was left out: torch is not in the interpreter of --torch-python, or it was skipped."
        )
    if found.machine["load"] > BUSY:
        lines.append(
            f"Other work was running at the start (load average {found.machine['load']:.1f}): the numbers "
            "are not reliable, above all those of (b), whose threads wait for each other."
        )
    lines += [f"Failed and left out: {job}: {reason}" for job, reason in found.failed.items()]
    if found.machine["kind"] == "CPU":
        return lines
    lines.append("The table of block sizes is for CPUs and was left out.")
    for units in found.units():
        ours = {job.members: job for job in found.contestants(units) if job.contestant == "ours"}
        one, many = (found.middle(ours.get(count), "seconds") for count in (1, max(ours)))
        times = ratio(many and many * max(ours), one)
        lines.append(f"{max(ours)} members cost {times} times one member ({units} units).")
    return lines


def write(found: Findings, folder: Path) -> list[Path]:
    """Write the Markdown file, and the figure if matplotlib is installed; returns the files written."""
    path, figure = folder / "benchmark-training.md", folder / "benchmark-training.png"
    drawn = find_spec("matplotlib") is not None
    if drawn:
        _draw(found, figure)
    where, many = "every core with its own product", found.size
    if found.machine["kind"] != "CPU":
        where = "on the GPU, at the framework's default precision"
    parts = [
        "# Benchmark of training",
        *_head(found.command, found.machine, found.torch),
        f"Data: {many.rows:,} {found.data}, {many.steps} months, {many.variables} variables, "
        f"{many.features} static features. Network: two LSTM, two static and one head layer of the same "
        "width, noise 0.3; batch 280 and otherwise the defaults.",
        HOW.format(repeats=found.repeats, epochs=found.epochs, where=where),
        *(f"## {title}\n\n{markdown_table(head, lines)}" for title, head, lines in tables(found)),
        *notes(found),
        f"![seconds per seed and epoch]({figure.name})" if drawn else "No figure without matplotlib.",
    ]  # fmt: skip
    return [_write_text(path, parts), *([figure] if drawn else [])]


def write_large(
    job: Job, result: Mapping[str, Any], size: Size, command: str, machine: Mapping[str, Any],
    folder: Path, screen: Console,
) -> Path:  # fmt: skip
    """Print and write the time and memory of many rows."""
    title = "One epoch of many rows"
    head = ("rows", "members", "units", PLAN, "seconds", "seconds/member", "peak MiB", "device MiB")
    line = [
        f"{size.rows:,}", str(job.members), str(job.units), result["plan"], f"{result['whole']:.1f}",
        digits(result["whole"] / job.members),
        *(digits(result[key], ",.0f") for key in ("peak_mib", "device_mib")),
    ]  # fmt: skip
    screen.print(_table(title, head, [line]))
    parts = [
        "# Benchmark of training: many rows",
        *_head(command, machine, ""),
        f"Data: synthetic, {size.steps} months, {size.variables} variables, {size.features} static features. "
        "One epoch of (c), building, compiling and saving included; on a CPU the members are spread over one "
        "thread per core.",
        markdown_table(head, [line]),
    ]
    return _write_text(folder / "benchmark-training-large.md", parts)


def _head(command: str, machine: Mapping[str, Any], torch: str) -> list[str]:
    versions = {**machine["versions"], **({"torch": torch} if torch else {})}
    gpu = f" {machine['device']}." if machine["device"] else ""
    return [
        f"Date: {dt.date.today()}. Command:",
        f"```\n{command}\n```",
        f"Machine: {cpu_model()}, {len(cores())} cores, load average before the start {machine['load']:.1f}."
        f"{gpu} Keras runs on {machine['backend']}. "
        f"Versions: {', '.join(f'{name} {text}' for name, text in versions.items())}.",
    ]


def _write_text(path: Path, parts: Sequence[str]) -> Path:
    written = path.read_text(encoding="utf-8") if path.is_file() else ""
    atomic_text(path, "\n\n".join(parts) + "\n\n" + READING + written.partition(READING)[2])
    return path


def cpu_model() -> str:
    """Name of the processor."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", info.read_text()) if info.is_file() else None
    return found[1].strip() if found else platform.processor() or platform.machine()


def _draw(found: Findings, path: Path) -> None:
    """Bars per width, with the floors as lines."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.4, 4.8), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes, widths = figure.add_subplot(), found.units()
    names = [name_of(job) for job in found.contestants(widths[0])]
    colours = _colours([job.contestant for job in found.contestants(widths[0])])
    bar = 0.8 / len(names)
    for k, (name, colour) in enumerate(zip(names, colours, strict=True)):
        places = [position - 0.4 + (k + 0.5) * bar for position in range(len(widths))]
        heights = [found.middle(found.contestants(units)[k], "seconds") or 0.0 for units in widths]
        bars = axes.bar(places, heights, 0.92 * bar, color=colour, label=name)
        axes.bar_label(bars, [f"{height:.2g}" for height in heights], fontsize=7, padding=1)
    for k, (name, style) in enumerate((("network's products", "-"), ("large product", ":"))):
        for position, units in enumerate(widths):
            floor = found.floors(units)[k]
            if floor:
                label = f"floor, {name}" if position == 0 else None
                ends = (position - 0.45, position + 0.45)
                axes.plot(ends, (floor, floor), style, color="black", linewidth=1.2, label=label)
    axes.set_yscale("log")
    axes.set_xticks(range(len(widths)), [f"{units} units" for units in widths])
    axes.set_ylabel("Seconds per seed and epoch (log scale)")
    axes.set_title("Training of the dual-path network", parse_math=False)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8, frameon=False)
    atomic_write(path, lambda temporary: figure.savefig(temporary, metadata={"Software": None}))


def _colours(contestants: Sequence[str]) -> list[str]:
    """One colour per contestant; yieldcast in blue, darker with more members."""
    hues = dict(zip(NAMES, ("0.45", "0.62", "0.78", "#cc7a29", "#e6b07f", ""), strict=True))
    ours, blues = contestants.count("ours"), []
    for k in range(ours):
        share = (k + 1) / ours
        blues.append("#{:02x}{:02x}{:02x}".format(*(round(255 - share * (255 - c)) for c in (20, 80, 140))))
    return [hues[name] or blues.pop(0) for name in contestants]
