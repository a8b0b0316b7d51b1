"""Tables to the rows of a `samples.SampleSet`: which there are, and their static inputs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import xarray as xr

from yieldcast.errors import MissingDataError
from yieldcast.variables import SOIL


def rows_with_yield(
    yields: xr.Dataset, static: xr.Dataset, crop: str, harvest_years: Sequence[int]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int16], npt.NDArray[np.float32]]:
    """Place index, harvest year and yield (kg/ha) of every positive yield, by municipality, then year.

    Args:
        yields, static: tables.
        crop: crop.
        harvest_years: the years wanted.

    Raises:
        MissingDataError: no yields of the crop or of a year.
    """
    crops = [str(c) for c in yields["crop"].values]
    if crop not in crops:
        raise MissingDataError(
            f"the store has no yields of {crop!r}; it has: {', '.join(crops)}",
            "Import a yields table with that crop.",
        )
    table = yields["yield_kg_ha"].sel(crop=crop).transpose("municipality", "harvest_year")
    have = table["harvest_year"].values[np.isfinite(table.values).any(axis=0)]
    absent = sorted(set(map(int, harvest_years)) - set(map(int, have)))
    if absent or not len(harvest_years):
        span = f"{have.min()} to {have.max()}" if len(have) else "none"
        raise MissingDataError(
            f"no {crop} yields of harvest year {', '.join(map(str, absent)) or '(none asked)'}; "
            f"the store has {span}",
            "Ask for years that are there (yieldcast status lists them), or import more.",
        )
    table = table.reindex(municipality=static["municipality"].values)
    wanted = np.isin(table["harvest_year"].values, harvest_years)
    place, column = np.nonzero(np.nan_to_num(table.values) * wanted[None, :] > 0)
    return place, table["harvest_year"].values[column].astype(np.int16), table.values[place, column]


def check_every_year(
    whole: npt.NDArray[np.bool_],
    years: npt.NDArray[np.int16],
    season: xr.Dataset,
    weather: xr.Dataset,
    as_of: dt.date | None,
) -> None:
    """A year that was asked for must leave rows: else a run would claim years that it never saw.

    Args:
        whole: (sample,) rows with weather in every month of their window.
        years: (sample,) harvest years.
        season: of the rows.
        weather: the table.
        as_of: date up to which it was seen.

    Raises:
        MissingDataError: a year without such a row.
    """
    lost = sorted(set(years.tolist()) - set(years[whole].tolist()))
    if not lost:
        return
    first, last = (str(weather["time"].values[i])[:7] for i in (0, -1))
    months = season["month"].values.astype("datetime64[M]")[np.isin(years, lost)]
    known = "" if as_of is None else f", of which only what was public on {as_of} is used"
    raise MissingDataError(
        f"harvest year {', '.join(map(str, lost))}: no row has weather in every month of its window "
        f"({months.min()} to {months.max()}); the store's weather covers {first} to {last}{known}",
        "Ask for other years or a later date, or import weather for these months.",
    )


def static_matrix(
    static: xr.Dataset, place: npt.NDArray[np.intp], wanted: Sequence[str] | None
) -> tuple[npt.NDArray[np.float32], tuple[str, ...]]:
    """Soil properties x layers, then latitude and longitude; (sample, feature) and names.

    Args:
        static: table of places.
        place: (sample,) position in it.
        wanted: names, in order; all that are there when None.

    Raises:
        MissingDataError: a wanted one is not there.
    """
    columns: dict[str, npt.NDArray[np.float32]] = {}
    for name in SOIL:
        if name in static:
            table = static[name].transpose("municipality", "soil_layer")
            for position, layer in enumerate(table["soil_layer"].values):
                values = table.values[:, position]
                if np.isfinite(values).any():
                    columns[f"{name}_{layer}"] = values
    for name in ("latitude_deg", "longitude_deg"):
        columns[name] = static[name].values
    names = tuple(wanted or columns)
    lost = [name for name in names if name not in columns]
    if lost:
        raise MissingDataError(
            f"the store has no {', '.join(lost[:3])}, which this run was trained with",
            "Use the store that it was trained from, or import the same soil table.",
        )
    matrix = np.stack([columns[name] for name in names], axis=1).astype(np.float32)
    return matrix[place], names
