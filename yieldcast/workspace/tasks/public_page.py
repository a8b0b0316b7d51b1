"""What the page of the data says of the training set: counts, statistics of inputs, yields in wide bins.

Nothing in it is a value of a single row: counts below the smallest cell are hidden together with what would
give them back, quantiles rest on several rows on either side, and numbers have three digits.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from yieldcast.workspace.tasks.made import Made
from yieldcast.workspace.tasks.small_cells import published_counts
from yieldcast.workspace.tasks.task import Task, read_inputs

Floats = NDArray[np.float64]
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
LEAST_GROUPS = 3  # fields or farms behind a statistic: with two, each knows the other's (our choice)
_PLACES = ("latitude_deg", "longitude_deg")  # inputs of yield and risk that say where the owner's fields lie
_SAMPLE_BYTES = 2**24  # of the rows of a class that statistics are made from
_MOST_ROWS = 2000
_WIDTHS_kg_ha = (100, 200, 250, 500, 1000, 2000, 2500, 5000, 10_000, 20_000)
_BINS = 8  # at most, in the middle 90 % of the yields


def public_page(folder: Path, task: Task, made: Made, smallest_cell: int) -> dict[str, Any]:
    """Contents of ``public.json``.

    Args:
        folder: with the arrays.
        task: of them.
        made: targets and yields.
        smallest_cell: counts below it are hidden.

    Returns:
        training and holdout (rows), smallest_cell, inputs (name -> shape, names), classes (name, rows, share,
        rare), statistics (class or None, input, name, mean, sd, quantiles, and by step the mean), yields
        (rows from and below a yield in kg/ha), years (part -> year, rows) and examples (class, file).
    """
    page: dict[str, Any] = {
        "format": 1, "task": task.task, "synthetic": task.synthetic, "training": task.training,
        "holdout": task.holdout, "smallest_cell": smallest_cell, "crop": task.crop,
        "inputs": {name: {"shape": list(shape), "names": list(task.input_names.get(name, ()))}
                   for name, shape in task.inputs.items()},
        "classes": _classes(task, made, smallest_cell), "yields": [], "years": {}, "examples": [],
    }  # fmt: skip
    if made.yield_kg_ha is not None:
        page["yields"] = yield_bins(made.yield_kg_ha, smallest_cell, made.group["training"])
    for part, years in task.harvest_years.items():
        counts = [int((made.harvest_year[part] == year).sum()) for year in years]
        shown = published_counts(counts, smallest_cell)
        page["years"][part] = [{"year": year, "rows": n} for year, n in zip(years, shown, strict=True)]
    page["statistics"] = list(_statistics(folder, task, made, smallest_cell))
    return page


def _classes(task: Task, made: Made, smallest_cell: int) -> list[dict[str, Any]]:
    if task.kind != "classes":
        return []
    counts = np.bincount(made.target["training"], minlength=len(task.outputs)).tolist()
    shown = published_counts(counts, smallest_cell)
    return [
        {"name": name, "rows": n, "share": None if n is None else round(n / task.training, 3),
         "rare": name in task.rare}
        for name, n in zip(task.outputs, shown, strict=True)
    ]  # fmt: skip


def _statistics(folder: Path, task: Task, made: Made, smallest_cell: int) -> Iterator[dict[str, Any]]:
    """Of each class that may be described, input and name; of all rows for yield and risk."""
    inputs = read_inputs(folder, task, "training")
    target, group = np.asarray(made.target["training"]), made.group["training"]
    chosen: list[tuple[str | None, NDArray[np.intp]]] = [(None, np.arange(len(target)))]
    if task.task in ("crop-tiles", "crop-series"):
        chosen = [(name, np.flatnonzero(target == k)) for k, name in enumerate(task.outputs)]
    for name, rows in chosen:
        units = _units(group, rows)
        if len(rows) < smallest_cell or units < LEAST_GROUPS:
            continue
        for key, values in inputs.items():
            sample = class_sample(values, rows)
            for k, label in enumerate(task.input_names[key]):
                if label in _PLACES:
                    continue
                one = sample[..., k].astype(np.float64)
                found: dict[str, Any] = {"class": name, "input": key, "name": label}
                found |= _described(one, min(units, len(one)), smallest_cell)
                if one.ndim == 2:  # (row, step)
                    found["steps"] = [_three(value) for value in one.mean(axis=0)]
                yield found


def _units(group: NDArray[np.str_] | None, rows: NDArray[np.intp]) -> int:
    """Different fields, farms or places of rows; each row without a group is one."""
    if group is None:
        return len(rows)
    names = group[rows]
    return len(set(names.tolist()) - {""}) + int((names == "").sum())


def class_sample(values: NDArray[np.float32], rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """Rows of a class, evenly chosen where they are too many for memory.

    Args:
        values: (row, ...), may be mapped from the disk.
        rows: positions, ascending.
    """
    of_one = int(np.prod(values.shape[1:])) * 4
    most = int(np.clip(_SAMPLE_BYTES // of_one, 1, _MOST_ROWS))
    step = np.linspace(0, len(rows) - 1, min(most, len(rows))).round().astype(np.intp)
    return np.asarray(values[rows[step]])


def _described(values: Floats, units: int, smallest_cell: int) -> dict[str, Any]:
    """Mean, standard deviation, and quantiles with at least `smallest_cell` / 2 units beyond each."""
    levels = [level for level in QUANTILES if min(level, 1 - level) * units >= smallest_cell / 2]
    return {
        "mean": _three(values.mean()), "sd": _three(values.std()),
        "quantiles": {str(level): _three(np.quantile(values, level)) for level in levels},
    }  # fmt: skip


def _three(value: float | np.floating[Any]) -> float:
    """Three significant digits."""
    return float(f"{float(value):.3g}")


def yield_bins(
    yields: Floats, smallest_cell: int, group: NDArray[np.str_] | None = None
) -> list[dict[str, Any]]:
    """Numbers of rows in wide bins; the outer ones are open.

    Args:
        yields: (row,) kg/ha.
        smallest_cell: bins with fewer rows, or with fewer than `LEAST_GROUPS` groups, are joined with their
            neighbours.
        group: (row,) place, field or farm.

    Returns:
        from_kg_ha (None in the first), below_kg_ha (None in the last) and rows of each.
    """
    low, high = np.quantile(yields, [0.05, 0.95])
    width = next((one for one in _WIDTHS_kg_ha if (high - low) / one <= _BINS), _WIDTHS_kg_ha[-1])
    borders = np.arange(np.ceil(low / width), np.floor(high / width) + 1) * width

    def enough(rows: NDArray[np.bool_]) -> bool:
        at = np.flatnonzero(rows)
        return len(at) >= smallest_cell and _units(group, at) >= min(LEAST_GROUPS, len(at))

    kept: list[float] = []
    below = np.zeros(len(yields), bool)  # rows of the bins so far
    for border in borders.tolist():
        if enough((yields < border) & ~below):
            kept.append(border)
            below = yields < border
    while kept and not enough(yields >= kept[-1]):
        kept.pop()
    counts = np.bincount(np.searchsorted(kept, yields, side="right"), minlength=len(kept) + 1).tolist()
    return [
        {"from_kg_ha": start, "below_kg_ha": end, "rows": count}
        for start, end, count in zip([None, *kept], [*kept, None], counts, strict=True)
    ]
