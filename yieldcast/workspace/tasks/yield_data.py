"""Data of the tasks yield and risk: seasons of a store or of arrays, and the classes of yields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from yieldcast.errors import ConfigError, MissingDataError, SchemaError
from yieldcast.evaluation.metrics import crps
from yieldcast.features.samples import SampleSet
from yieldcast.features.splits import check_order
from yieldcast.forecasting.table import QUANTILES
from yieldcast.language import sentence
from yieldcast.risk.classes import UNKNOWN, class_rule
from yieldcast.tiles.tile_arrays import ArrayFile
from yieldcast.workspace.scoring.scores import Reference
from yieldcast.workspace.tasks.made import PARTS, Made, Notice, write_arrays
from yieldcast.workspace.tasks.options import DataOptions
from yieldcast.workspace.tasks.task import VALUE, Part
from yieldcast.workspace.tasks.yield_rows import (
    STATIC,
    WEATHER,
    YieldRows,
    references_of_rows,
    rows_of_store,
)

_NEEDED = ("weather", "target", "harvest_year")
# Medians of yields of any crop, kg/ha: 50 is a failed harvest of cotton, 200,000 is above sugar cane.
_USUAL_kg_ha = (50.0, 200_000.0)


def prepare_yields(
    task: Literal["yield", "risk"],
    data: Path,
    holdout: Path | Sequence[int],
    folder: Path,
    options: DataOptions,
    notice: Notice,
) -> Made:
    """Write the seasons of both parts into a folder.

    Unknown static features have the median of the training set.

    Args:
        task: "risk" has the classes of yields as targets, with borders taught by the training set alone.
        data: a store, or NPZ with weather (row, step, variable), target (row,) kg/ha, harvest_year (row,)
            and, if there are any, static (row, feature), group (row,), weather_names, static_names.
        holdout: harvest years, all later than those of the training set, or another NPZ.
        folder: where ``training`` and ``holdout`` are made.
        options: of the task.
        notice: called with what the owner must know.

    Raises:
        ConfigError: a holdout that is not of years, where the data are a store; options that exclude each
            other.
        MissingDataError: no such file, store, year or weather.
        SchemaError: arrays of other shapes, or values that cannot be.
        LeakageError: training years that are not before the holdout, or were not public on its first day.
    """
    if (data / "store.json").is_file() or data.is_dir():
        if isinstance(holdout, Path):
            raise ConfigError(
                f"expected harvest years of the holdout, received {holdout}",
                "For example --holdout 2016-2018.",
            )
        rows = rows_of_store(data, holdout, options, notice)
    else:
        rows = rows_of_arrays(data, holdout, options, notice)
    outputs: tuple[str, ...] = (VALUE,)
    target: Mapping[Part, NDArray[np.generic]]
    if task == "risk":
        rows, target, outputs = _classified(rows, options, notice)
    else:
        target = {part: rows.samples[part].target_kg_ha.astype(np.float32) for part in PARTS}
    filled = _write(folder, rows)
    training = rows.samples["training"]
    inputs: dict[str, tuple[int, ...]] = {WEATHER: training.dynamic.shape[1:]}
    names = {WEATHER: training.dynamic_names}
    if training.static_names:
        inputs[STATIC], names[STATIC] = training.static.shape[1:], training.static_names
    return Made(
        inputs, outputs, target, rows.group, input_names=names, filled={STATIC: filled} if filled else {},
        harvest_year={part: rows.samples[part].harvest_year for part in PARTS}, crop=rows.crop,
        lead_months=options.lead_months, yield_kg_ha=training.target_kg_ha.astype(np.float64),
        synthetic=rows.synthetic or options.synthetic,
        references=rows.references if task == "yield" else {},
    )  # fmt: skip


def _years(samples: SampleSet) -> tuple[int, ...]:
    return tuple(np.unique(samples.harvest_year).astype(int).tolist())


def _write(folder: Path, rows: YieldRows) -> tuple[str, ...]:
    """Write the inputs; names of static features that had gaps."""
    static = {part: rows.samples[part].static for part in PARTS}
    known = np.isfinite(static["training"]).any(axis=0)
    medians = np.zeros(known.shape, np.float32)
    if known.any():
        medians[known] = np.nanmedian(static["training"][:, known], axis=0)
    gaps = np.zeros(known.shape, bool)
    for part in PARTS:
        lost = np.isnan(static[part])
        gaps |= lost.any(axis=0)
        arrays = {WEATHER: rows.samples[part].dynamic}
        if known.size:
            arrays[STATIC] = np.where(lost, medians, static[part])
        write_arrays(folder, part, arrays)
    names = rows.samples["training"].static_names
    return tuple(name for name, gap in zip(names, gaps, strict=True) if gap)


def _classified(
    rows: YieldRows, options: DataOptions, notice: Notice
) -> tuple[YieldRows, dict[Part, NDArray[np.generic]], tuple[str, ...]]:
    """Rows whose class is known, their classes, and the names."""
    training = rows.samples["training"]
    rule = class_rule(
        training.target_kg_ha.astype(np.float64), training.municipality, training.harvest_year, options.rule,
        threshold_kg_ha=options.threshold_kg_ha,
    )  # fmt: skip
    samples, groups, target = dict(rows.samples), dict(rows.group), dict[Part, NDArray[np.generic]]()
    for part in PARTS:
        one, group = samples[part], groups[part]
        classes = rule.classes(one.target_kg_ha.astype(np.float64), one.municipality)
        known = classes != UNKNOWN
        if lost := int((~known).sum()):
            text = sentence(
                "{n} rows left out: their place has too few yields for borders of its own", n=lost
            )
            notice(text)
        if not known.any():
            raise MissingDataError(
                f"{part}: no row has a class", "Use the terciles of all training yields (--classes terciles)."
            )
        samples[part], target[part] = one.take(known), classes[known].astype(np.int32)
        groups[part] = None if group is None else group[known]
    return replace(rows, samples=samples, group=groups), target, rule.names


def rows_of_arrays(
    data: Path, holdout: Path | Sequence[int], options: DataOptions, notice: Notice
) -> YieldRows:
    """Seasons of NPZ files; see `prepare_yields`.

    The owner's arrays say what was known of each season: nothing in them tells when a value became public.
    """
    whole, groups = _read(data)
    if isinstance(holdout, Path):
        held, of_held = _read(holdout)
        if (held.dynamic_names, held.static_names) != (whole.dynamic_names, whole.static_names) or (
            held.dynamic.shape[1:] != whole.dynamic.shape[1:]
        ):
            raise SchemaError(f"{holdout}: expected the inputs of {data.name}, received others")
        training, of_training = whole, groups
        if options.train_years is not None:
            chosen = np.isin(whole.harvest_year, options.train_years)
            training, of_training = whole.take(chosen), None if groups is None else groups[chosen]
    else:
        years = options.train_years or [year for year in _years(whole) if year < min(holdout)]
        if lost := sorted({*holdout, *years} - set(_years(whole))):
            raise MissingDataError(
                f"{data}: no rows of harvest year {', '.join(map(str, lost))}; it has "
                f"{', '.join(map(str, _years(whole)))}"
            )
        chosen, tested = np.isin(whole.harvest_year, years), np.isin(whole.harvest_year, holdout)
        if unused := int((~chosen & ~tested).sum()):
            notice(sentence("{n} rows of other harvest years left out", n=unused))
        training, held = whole.take(chosen), whole.take(tested)
        of_training, of_held = (None if groups is None else groups[rows] for rows in (chosen, tested))
    check_order(training.harvest_year, held.harvest_year)
    parts, of_parts = _with_places(training, held, of_training, of_held)
    return YieldRows(parts, of_parts, _references(parts, of_parts), options.crop, options.synthetic)


def _with_places(
    training: SampleSet,
    held: SampleSet,
    of_training: NDArray[np.str_] | None,
    of_held: NDArray[np.str_] | None,
) -> tuple[dict[Part, SampleSet], dict[Part, NDArray[np.str_] | None]]:
    """Groups as codes of places, from 1 on; without groups all rows are of one place."""
    if of_training is None or of_held is None:
        return {"training": training, "holdout": held}, {"training": None, "holdout": None}
    codes = np.unique(np.concatenate([of_training, of_held]), return_inverse=True)[1].astype(np.int32) + 1
    first = len(training)
    parts: dict[Part, SampleSet] = {
        "training": replace(training, municipality=codes[:first]),
        "holdout": replace(held, municipality=codes[first:]),
    }
    return parts, {"training": of_training, "holdout": of_held}


def _references(
    parts: Mapping[Part, SampleSet], groups: Mapping[Part, NDArray[np.str_] | None]
) -> dict[str, Reference]:
    """Baselines from the training rows; without places climatology is the spread of all their yields."""
    found = references_of_rows(parts["training"], parts["holdout"])
    if groups["training"] is None:
        target = parts["holdout"].target_kg_ha.astype(np.float64)
        quantiles = np.quantile(parts["training"].target_kg_ha.astype(np.float64), QUANTILES)
        spread = np.tile(quantiles, (len(target), 1))
        found["climatology"] = Reference(spread.mean(axis=1), crps(spread, target))
    return found


def _read(path: Path) -> tuple[SampleSet, NDArray[np.str_] | None]:
    """Rows of one file and their groups."""
    if not path.is_file():
        raise MissingDataError(f"no store or file {path}", "Give the folder of a store, or an NPZ file.")
    if path.suffix.lower() != ".npz":
        raise ConfigError(f"{path}: expected the folder of a store, or a file that ends with .npz")
    file = ArrayFile(path, _NEEDED)
    weather = _numbers(file, "weather", 3, None)
    count = len(weather)
    target, years = (_numbers(file, name, 1, count) for name in ("target", "harvest_year"))
    static = _numbers(file, "static", 2, count) if "static" in file.names else np.empty((count, 0))
    _check(path, weather, static, target, years)
    group = file.array("group", count=count).astype(str) if "group" in file.names else None
    samples = SampleSet(
        weather.astype(np.float32), static.astype(np.float32), target.astype(np.float32),
        np.zeros(count, np.int32), years.astype(np.int16), np.full(count, ""),
        np.array([f"{int(year)}-12-31" for year in years], "datetime64[D]"),
        _names(file, "weather_names", "variable", weather.shape[2]),
        _names(file, "static_names", "feature", static.shape[1]),
    )  # fmt: skip
    return samples, group


def _numbers(file: ArrayFile, name: str, dims: int, count: int | None) -> NDArray[np.float64]:
    values = file.array(name, dims, count)
    if values.dtype.kind not in "iuf":
        raise SchemaError(f"{file.path}: expected numbers in {name}, received {values.dtype}")
    return values.astype(np.float64)


def _names(file: ArrayFile, name: str, otherwise: str, count: int) -> tuple[str, ...]:
    if name not in file.names:
        return tuple(f"{otherwise}_{k + 1}" for k in range(count))
    return tuple(file.array(name, count=count).astype(str).tolist())


def _check(
    path: Path,
    weather: NDArray[np.float64],
    static: NDArray[np.float64],
    target: NDArray[np.float64],
    years: NDArray[np.float64],
) -> None:
    if not len(target):
        raise SchemaError(f"{path}: expected rows, received none")
    if lost := int((~np.isfinite(weather)).any(axis=(1, 2)).sum()):
        raise SchemaError(
            f"{path}: expected finite weather, received {lost} rows with gaps",
            "Leave them out, or fill them.",
        )
    if np.isinf(static).any():
        raise SchemaError(f"{path}: expected finite static features or NaN, received infinite ones")
    if lost := int((~(target >= 0)).sum() + np.isinf(target).sum()):
        raise SchemaError(
            f"{path}: expected yields of 0 kg/ha or more, received {lost} others", "Leave these rows out."
        )
    low, high = _USUAL_kg_ha
    if not low <= np.median(target) <= high:
        raise SchemaError(
            f"{path}: expected yields in kg/ha with a median of {low:g} to {high:g}, received a median of "
            f"{np.median(target):g}",
            "1 t/ha is 1000 kg/ha, 1 sack of 60 kg per ha is 60 kg/ha.",
        )
    if not (
        np.isfinite(years).all() and (years == np.round(years)).all() and (abs(years - 2000) < 300).all()
    ):
        raise SchemaError(f"{path}: expected harvest years such as 2018, received others")
