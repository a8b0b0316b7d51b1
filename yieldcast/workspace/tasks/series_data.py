"""Data of the task crop-series: tables of pixel series to arrays without gaps."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.errors import SchemaError
from yieldcast.language import sentence
from yieldcast.pixels.series_bands import BAND_OF
from yieldcast.pixels.series_tables import TableSettings, read_series
from yieldcast.workspace.tasks.made import (
    PARTS,
    Made,
    Notice,
    check_groups,
    class_names,
    positions,
    refuse_rows_of_both,
    write_arrays,
)
from yieldcast.workspace.tasks.options import DataOptions
from yieldcast.workspace.tasks.task import Part

Floats = NDArray[np.float32]
SERIES, STATIC = "series", "static"
LABELS = ("label", "class", "crop", "crop_type")


def prepare_series(data: Path, holdout: Path, folder: Path, options: DataOptions, notice: Notice) -> Made:
    """Write the series of both parts into a folder.

    Gaps in time are filled on the line between the values before and after, gaps at an end with the nearest
    value; a band without any value in a series, and unknown elevation or slope, with the median of the
    training set. Elevation and slope are inputs where the training set has them.

    Args:
        data, holdout: tables, see `series_tables`.
        folder: where ``training`` and ``holdout`` are made.
        options: of the task.
        notice: called with what the owner must know.

    Raises:
        MissingDataError, ConfigError: as `series_tables.read_series`.
        SchemaError: as there; other bands, steps or months in the holdout; series without a label.
        LeakageError: a series, a place, or a group is in both parts.
    """
    sets: dict[Part, xr.Dataset] = {
        "training": _read(data, options, notice), "holdout": _read(holdout, options, notice)
    }  # fmt: skip
    _check_alike(sets, str(holdout))
    labels = {part: sets[part]["label"].values.astype(str) for part in PARTS}
    names = class_names(labels["training"], labels["holdout"])
    _refuse_equal(sets)
    check_groups({part: _places(sets[part]) for part in PARTS}, options, notice)
    column = "location" if options.group is None else "group"
    groups = {part: np.asarray(sets[part][column].values.astype(str)) for part in PARTS}
    check_groups(groups, options, notice)
    shared = _Inputs(sets["training"])
    filled: dict[str, set[str]] = {SERIES: set(), STATIC: set()}
    for part in PARTS:
        write_arrays(folder, part, shared.arrays(sets[part], filled))
    target = {part: positions(labels[part], names) for part in PARTS}
    return Made(
        {name: shape for name, shape in shared.shapes.items() if shape[-1]}, names, target, groups,
        input_names={name: tuple(map(_with_unit, of)) for name, of in shared.names.items() if of},
        filled={name: tuple(sorted(of)) for name, of in filled.items() if of},
        synthetic=options.synthetic,
    )  # fmt: skip


class _Inputs:
    """What both parts have, as the training set has it.

    Args:
        training: series.
    """

    def __init__(self, training: xr.Dataset) -> None:
        values, static = training["values"].values, training["static"].values
        self._static = ~np.isnan(static).all(axis=0)
        self.names = {
            SERIES: [str(name) for name in training["band"].values],
            STATIC: [str(name) for name in training["static_band"].values[self._static]],
        }
        self.shapes = {SERIES: values.shape[1:], STATIC: (int(self._static.sum()),)}
        self._medians = {SERIES: _medians(values), STATIC: _medians(static[:, self._static])}

    def arrays(self, series: xr.Dataset, filled: dict[str, set[str]]) -> dict[str, Floats]:
        """Inputs without gaps; the names of those that had some are added to `filled`."""
        found = {SERIES: series["values"].values, STATIC: series["static"].values[:, self._static]}
        for name, values in found.items():
            gaps = np.isnan(values).any(axis=tuple(range(values.ndim - 1)))
            filled[name] |= {self.names[name][k] for k in np.flatnonzero(gaps)}
        static = np.where(np.isnan(found[STATIC]), self._medians[STATIC], found[STATIC])
        made = {SERIES: _filled(found[SERIES], self._medians[SERIES]), STATIC: static}
        return {name: values for name, values in made.items() if values.shape[-1]}


def _with_unit(name: str) -> str:
    return f"{name} ({BAND_OF[name].unit})"


def _read(path: Path, options: DataOptions, notice: Notice) -> xr.Dataset:
    settings = TableSettings(
        options.label, options.group, options.season, options.step, options.start, options.units,
        options.months,
    )  # fmt: skip
    if options.label is None:
        settings = TableSettings(**{**vars(settings), "label": _label_column(path)})
    table = read_series(path, settings)
    if unlabelled := int((table.series["label"].values == "").sum()):
        raise SchemaError(
            f"{path}: expected a label for every series, received {unlabelled} without one",
            "Leave these rows out, or label them.",
        )
    for name, count in table.faults:
        notice(sentence("{n} impossible values of {band} became gaps", n=count, band=name))
    return table.series


def _label_column(path: Path) -> str:
    from yieldcast.pixels.series_tables import read_table

    columns = {str(name).lower(): str(name) for name in read_table(path).columns}
    found = next((columns[name] for name in LABELS if name in columns), None)
    if found is None:
        raise SchemaError(
            f"{path}: expected a column of labels ({', '.join(LABELS)}), received none of them",
            "Say which column it is: --label COLUMN.",
        )
    return found


def _check_alike(sets: dict[Part, xr.Dataset], where: str) -> None:
    training, holdout = sets["training"], sets["holdout"]
    for name, values in (
        ("bands", [one["band"].values.tolist() for one in (training, holdout)]),
        ("steps", [[one.attrs["step"], one.sizes["step"]] for one in (training, holdout)]),
        ("months", [one["month"].values[0].tolist() for one in (training, holdout)]),
    ):
        if values[0] != values[1]:
            raise SchemaError(
                f"{where}: expected the {name} of the training set, {values[0]}, received {values[1]}",
                "Training set and holdout must be made alike.",
            )


def _refuse_equal(sets: dict[Part, xr.Dataset]) -> None:
    """No series in both parts, whatever its id."""
    seen = {row.tobytes() for row in sets["training"]["values"].values}
    refuse_rows_of_both(sum(row.tobytes() in seen for row in sets["holdout"]["values"].values), "series")


def _places(series: xr.Dataset) -> NDArray[np.str_]:
    """Coordinates as texts: the same place in another season, or under another id, is alike."""
    pairs = zip(series["latitude_deg"].values, series["longitude_deg"].values, strict=True)
    return np.array([f"{latitude:.5f} {longitude:.5f}" for latitude, longitude in pairs])


def _medians(values: Floats) -> Floats:
    """Of the last axis; 0 where nothing is known."""
    flat = values.reshape(math.prod(values.shape[:-1]), values.shape[-1])
    known = ~np.isnan(flat).all(axis=0)
    found = np.zeros(values.shape[-1], np.float32)
    found[known] = np.nanmedian(flat[:, known], axis=0)
    return found


def _filled(values: Floats, medians: Floats) -> Floats:
    """(sample, step, band) without gaps."""
    made, steps = values.copy(), np.arange(values.shape[1])
    gaps = np.isnan(values)
    for row, band in np.argwhere(gaps.any(axis=1)):
        known = ~gaps[row, :, band]
        made[row, :, band] = (
            np.interp(steps, steps[known], values[row, known, band]) if known.any() else medians[band]
        )
    return made
