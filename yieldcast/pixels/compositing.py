"""Observations of dates to months or ten-day steps, band by band.

Reflectance and indices: the median, which a cloud that was missed moves least. Radar: the mean of the power,
not of its decibels. Temperature: the mean. Rain: the sum, missing where any of it is.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from yieldcast.errors import SchemaError
from yieldcast.pixels.pixel_series import STEPS, TEXTS, create
from yieldcast.pixels.series_bands import BAND_OF, Floats, Kind

Ints = NDArray[np.int64]
_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
TENS = 3  # ten-day steps of a month: from day 1, 11 and 21


def combined(values: Floats, step: Ints, count: int, kind: Kind, least: Ints | None = None) -> Floats:
    """One value for each step from several.

    Args:
        values: (sample, observation) in the unit of the series, NaN where missing.
        step: (observation,) the step that each lies in, 0 to `count` - 1.
        count: number of steps.
        kind: of the band.
        least: (step,) for rain, how many values a sum needs; all that are given by default.

    Returns:
        (sample, step), NaN where a step has no value.
    """
    if kind == "radar":
        values = (10 ** (values / 10)).astype(np.float32)
    grouped = pd.DataFrame(values.T).groupby(step)
    if kind == "rain":
        need = grouped.size() if least is None else pd.Series(least)
        made = grouped.sum().where(grouped.count().ge(need, axis=0))
    else:
        made = grouped.mean() if kind in ("radar", "temperature") else grouped.median()
    result: Floats = made.reindex(range(count)).to_numpy(np.float32).T
    return (10 * np.log10(result)).astype(np.float32) if kind == "radar" else result


def over_observations(values: Floats, kind: Kind) -> Floats:
    """One value for each pixel from the observations of one step: `combined` for whole images.

    Args:
        values: (observation, ...) in the unit of the series, NaN where missing.
        kind: of the band; not rain, whose sums need every day.

    Returns:
        (...), NaN where no observation has a value.
    """
    count = np.isfinite(values).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        if kind in ("radar", "temperature"):
            powers = 10 ** (values.astype(np.float64) / 10) if kind == "radar" else values
            mean = np.nansum(powers, axis=0, dtype=np.float64) / count
            made = 10 * np.log10(mean) if kind == "radar" else mean
        else:
            ordered = np.sort(values, axis=0)  # NaN last
            low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, len(values) - 1)
            pair = [np.take_along_axis(ordered, k[None], axis=0)[0].astype(np.float64) for k in (low, high)]
            made = (pair[0] + pair[1]) / 2
    return np.where(count > 0, made, np.nan).astype(np.float32)


def to_months(series: xr.Dataset) -> xr.Dataset:
    """Series of ten-day or 16-day steps as series of months.

    A month at either end that has fewer steps than the others is kept; its rain is missing.

    Raises:
        SchemaError: less than two months.
    """
    month = series["month"].values[0].astype(np.int64)
    number = np.concatenate([[0], np.cumsum(month[1:] != month[:-1])])
    count, full = int(number[-1]) + 1, round(STEPS[series.attrs["step"]] / 12)
    bands = {
        name: combined(
            series["values"].values[..., k], number, count, BAND_OF[name].kind, np.full(count, full)
        )
        for k, name in enumerate(series["band"].values.tolist())
    }
    months = month[np.searchsorted(number, np.arange(count))]
    static = {
        name: series["static"].values[:, k] for k, name in enumerate(series["static_band"].values.tolist())
    }
    return create(
        bands, np.broadcast_to(months, (series.sizes["sample"], count)), series["latitude_deg"].values,
        series["longitude_deg"].values, series["sample"].values, "month", static,
        **{name: series[name].values for name in TEXTS},
    )  # fmt: skip


def of_dates(
    rows: pd.DataFrame, samples: pd.Series, dates: pd.Series, step: str, where: str
) -> tuple[dict[str, Floats], Ints, list[str]]:
    """Dated observations of many samples, on steps from the first month of the observations.

    Args:
        rows: (observation, band) in the units of the series, NaN where missing.
        samples, dates: id and day of each observation.
        step: month or ten-days.
        where: the table, for errors.

    Returns:
        band -> (sample, step); (sample, step) months, 0 = January; the ids in their order.

    Raises:
        SchemaError: a sample with observations of more than 13 months, or samples whose first months differ.
    """
    if step not in ("month", "ten-days"):
        raise SchemaError(
            f"{where}: dated observations: expected the step month or ten-days, received {step}"
        )
    per_month = 1 if step == "month" else TENS
    months = (dates.dt.year * 12 + dates.dt.month - 1).to_numpy(np.int64)
    part = 0 if step == "month" else np.minimum((dates.dt.day.to_numpy(np.int64) - 1) // 10, TENS - 1)
    codes, ids = pd.factorize(samples, sort=False)
    first, last = (pd.Series(months).groupby(codes).agg(how).to_numpy() for how in ("min", "max"))
    if (last - first >= 13).any():
        one = str(ids[int(np.argmax(last - first))])
        raise SchemaError(
            f"{where}: mixed seasons: expected observations of one season in each sample, received "
            f"{int((last - first).max()) + 1} months in {one}",
            "Give each season of a place its own sample_id.",
        )
    if len(set(first % 12)) > 1:
        found = ", ".join(str(one + 1) for one in sorted(set((first % 12).tolist())))
        raise SchemaError(
            f"{where}: mixed seasons: expected series that start in the same month, received series that "
            f"start in the months {found}",
            "Cut all series to the same months, or put each season into a table of its own.",
        )
    count = (int((last - first).max()) + 1) * per_month
    index = (months - first[codes]) * per_month + part
    cells, cell_rows = np.unique(codes * count + index, return_inverse=True)
    month = (first[:, None] + np.arange(count) // per_month) % 12
    bands = {}
    for name in rows.columns:
        kind = BAND_OF[str(name)].kind
        values = rows[name].to_numpy(np.float32)
        need = None
        if kind == "rain":  # a sum needs every day
            need = _days(month, per_month).ravel()[cells]
        made = np.full(len(ids) * count, np.nan, np.float32)
        made[cells] = combined(values[None], cell_rows.astype(np.int64), len(cells), kind, need)[0]
        bands[str(name)] = made.reshape(len(ids), count)
    return bands, month, [str(one) for one in ids]


def _days(month: Ints, per_month: int) -> Ints:
    """(sample, step) days; 28 in February, so that a leap year is not missing."""
    days = np.array(_DAYS)[month]
    if per_month == 1:
        return days
    third = np.arange(month.shape[1]) % TENS == TENS - 1
    return np.where(third, days - 20, 10)
