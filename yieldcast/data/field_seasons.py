"""The table of field seasons: which crop grew in a place, for which harvest, from when to when."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr

from yieldcast.data import schema
from yieldcast.data.files import plain_name
from yieldcast.errors import SchemaError

TABLE = "field_seasons"
KEY = ("municipality", "crop", "harvest_year")
DATES = ("sowing_date", "harvest_date")
# Two years from sowing to harvest: sugarcane of eighteen months is below it, two seasons of one crop are not.
LONGEST_days = 731
# Years from the harvest year to a date of it: a harvest around New Year may count for either year, and a crop
# is sown up to two years before it. Further away, date and harvest year contradict each other.
_YEARS_APART = {"sowing_date": (-3, 1), "harvest_date": (-1, 1)}
_REIMPORT = "Correct the table of fields and import it again."


def check_field_seasons(ds: xr.Dataset) -> xr.Dataset:
    """Check the table of field seasons and return it.

    A harvest date is known from that day on, never before: no feature may be computed from that of the season
    whose harvest is forecast.

    Args:
        ds: dim season: municipality int32, crop text, harvest_year int16, sorted by the three, each once;
            sowing_date and harvest_date datetime64[ns] (whole days), NaT where unknown.

    Raises:
        SchemaError: the table differs; the message names the first wrong season.
    """
    if "season" not in ds.dims or ds.sizes["season"] == 0:
        raise SchemaError(f"{TABLE}: expected a dim 'season' with rows, received {dict(ds.sizes)}", _REIMPORT)
    schema.check_names(ds, TABLE, (*KEY, *DATES), ())
    types = {"municipality": "int32", "crop": "text", "harvest_year": "int16"}
    for name, dtype in (types | dict.fromkeys(DATES, "datetime64[ns]")).items():
        schema.check_array(ds, TABLE, name, ("season",), dtype)
    for crop in np.unique(ds["crop"].values.astype(str)).tolist():
        plain_name(crop, f"{TABLE}, crop")
    _check_dates(ds)
    keys = pd.MultiIndex.from_arrays([ds[name].values for name in KEY])
    repeated = np.asarray(keys.duplicated())
    schema.refuse(ds["municipality"], TABLE, repeated, "one season for each place, crop and year", _REIMPORT)
    if not keys.is_monotonic_increasing:
        raise SchemaError(f"{TABLE}: expected rows sorted by {', '.join(KEY)}", "Sort the table.")
    return ds


def field_seasons_table(frame: pd.DataFrame) -> xr.Dataset:
    """The checked table of seasons in any order.

    Args:
        frame: columns of `KEY` and `DATES`; dates NaT where unknown.
    """
    rows = frame.sort_values(list(KEY), kind="stable")
    data = {
        "municipality": ("season", rows["municipality"].to_numpy(dtype=np.int32)),
        "crop": ("season", rows["crop"].to_numpy(dtype=str)),
        "harvest_year": ("season", rows["harvest_year"].to_numpy(dtype=np.int16)),
        **{name: ("season", rows[name].to_numpy(dtype="datetime64[ns]")) for name in DATES},
    }
    return check_field_seasons(xr.Dataset(data))


def _check_dates(ds: xr.Dataset) -> None:
    sowing, harvest = (ds[name] for name in DATES)
    for array in (sowing, harvest):
        days = array.values.astype("datetime64[D]")
        times = days.astype("datetime64[ns]") != array.values
        schema.refuse(array, TABLE, times & ~np.isnat(days), "a whole day", _REIMPORT)
        low, high = _YEARS_APART[str(array.name)]
        apart = days.astype("datetime64[Y]").astype(np.int64) + 1970 - ds["harvest_year"].values
        away = ~np.isnat(days) & ((apart < low) | (apart > high))
        text = f"a day in the years {low:+d} to {high:+d} from its harvest year"
        schema.refuse(array, TABLE, away, text, _REIMPORT)
    length = (harvest.values - sowing.values) / np.timedelta64(1, "D")  # NaN where a date is unknown
    schema.refuse(harvest, TABLE, length <= 0, "a day after its sowing date", _REIMPORT)
    schema.refuse(
        harvest, TABLE, length > LONGEST_days, f"at most {LONGEST_days} days after its sowing date", _REIMPORT
    )
