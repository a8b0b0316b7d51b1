"""A forecast as netCDF that follows the CF conventions; `forecasting.table.read_forecast` reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from yieldcast.data.files import atomic_write, fingerprint, netcdf_content, read_netcdf
from yieldcast.forecasting.table import check_forecast
from yieldcast.reporting.place_names import code_name, country_of, place_word

CONVENTIONS = "CF-1.11"
_REFERENCE_TIME = "forecast_reference_time"
_DAYS = {"units": "days since 1970-01-01", "calendar": "standard", "dtype": "int32"}
_CF_ATTRIBUTES: dict[str, dict[str, Any]] = {
    "quantile": {"long_name": "probability of a yield at or below the value", "units": "1"},
    "aggregate": {"long_name": "all municipalities, or a state"},
    "name": {"long_name": "name of the municipality"},
    "state": {"long_name": "state of the municipality"},
    "region": {"long_name": "region of the municipality"},
    "latitude_deg": {"standard_name": "latitude", "long_name": "latitude", "units": "degrees_north"},
    "longitude_deg": {"standard_name": "longitude", "long_name": "longitude", "units": "degrees_east"},
    "window_start": {"long_name": "first day of the season window"},
    "window_end": {"long_name": "last day of the season window"},
    "official_source": {"long_name": "source of the official estimate, empty where there is none"},
    "official_reference": {"long_name": "month that the official estimate is of"},
    "official_public_from": {"long_name": "day on which the official estimate became public"},
}


def write_cf(path: Path, forecast: xr.Dataset) -> Path:
    """Write the table of a forecast as netCDF-4 (CF 1.11); the file is read back before it gets its name.

    The file holds the whole table, the attributes that CF requires (names, history, source, references) and
    the date of the bulletin as the scalar coordinate ``forecast_reference_time``. Its texts are English.

    Args:
        path: file to write.
        forecast: a checked table.

    Raises:
        MissingDataError: the disk refuses.
    """
    ds = as_cf(forecast)

    def write(temporary: Path) -> None:
        temporary.write_bytes(netcdf_content(ds))
        if fingerprint(check_forecast(read_netcdf(temporary))) != fingerprint(ds):
            raise OSError("it reads back differently than it was written")

    atomic_write(path, write)
    return path


def as_cf(forecast: xr.Dataset) -> xr.Dataset:
    """The table with the attributes and encodings of CF 1.11; values, names and dims do not change."""
    ds = forecast.copy().drop_encoding()
    day = np.datetime64(ds.attrs["as_of"], "ns")
    ds = ds.assign_coords({_REFERENCE_TIME: ((), day, {"standard_name": _REFERENCE_TIME})})
    ds[_REFERENCE_TIME].attrs["long_name"] = "date of the bulletin: nothing published later was used"
    for name, attributes in (_CF_ATTRIBUTES | _code_names(ds.attrs)).items():
        if name in ds:
            ds[name].attrs |= attributes
    flags: dict[str, Any] = {
        "flag_values": np.array([0, 1], dtype=np.int8),
        "flag_meanings": "of_its_state of_its_own",
    }
    ds["own_history"].attrs |= flags
    _set_encoding(ds)
    return ds.assign_attrs(_global_attributes(ds.attrs))


def _code_names(attrs: dict[str, Any]) -> dict[str, dict[str, Any]]:
    of = country_of(attrs)
    text = f"{code_name(of, 'en')} of the {place_word(of, 'municipality')}"
    return {"municipality": {"long_name": text}, "code": {"long_name": f"{text}, as text"}}


def _global_attributes(attrs: dict[str, Any]) -> dict[str, Any]:
    mark = "Synthetic data: made-up numbers, of no real place. " if attrs["synthetic"] else ""
    return {
        "Conventions": CONVENTIONS,
        "source": f"{attrs['made_with']}: ensemble of {attrs['members']} networks, run {attrs['run_id']}; "
        f"weather of the rest of the season: {attrs['scenarios']}",
        "history": f"{attrs['made_with']}: forecast as of {attrs['as_of']}, run {attrs['run_id']}",
        "references": "Cunha & Silva 2020, doi:10.1109/LAGIRS48042.2020.9165608",
        "comment": f"{mark}Quantiles are calibrated. The interval of an aggregate is not the sum of the "
        "municipalities' intervals, because their errors are correlated. Production is area_planted_ha times "
        "yield_kg_ha / 1000 (t).",
        "license": attrs["licence"],
    }


def _set_encoding(ds: xr.Dataset) -> None:
    """Set how each variable is stored.

    CF allows neither fill values in coordinates (CF 1.11, section 2.5.1) nor coordinate variables of texts
    (2.4). Texts are stored as arrays of characters, the only form that programs older than CF 1.8 read. These
    have a second dim, so they are auxiliary coordinates, which must be named in ``coordinates`` (6.1).
    """
    for name, array in ds.coords.items():
        ds[name].encoding = {"dtype": "S1"} if array.dtype.kind == "U" else {"_FillValue": None}
    for name in ("window_start", "window_end", _REFERENCE_TIME):
        ds[name].encoding |= _DAYS
    for array in ds.data_vars.values():
        packed: dict[str, Any] = {"zlib": True, "complevel": 1} if array.dtype.kind == "f" else {}
        named = {"coordinates": f"aggregate {_REFERENCE_TIME}"} if array.dims[0] == "aggregate" else {}
        array.encoding = packed | named
