"""A forecast as netCDF that follows the CF conventions; `forecasting.table.read_forecast` reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from yieldcast import language
from yieldcast.data.files import atomic_write, fingerprint, netcdf_content, read_netcdf
from yieldcast.forecasting.parts import PARTS, part_variable
from yieldcast.forecasting.table import check_forecast
from yieldcast.language import Language, message
from yieldcast.reporting import labels
from yieldcast.reporting.place_names import code_name, country_of, place_word

CONVENTIONS = "CF-1.11"
_REFERENCE_TIME = "forecast_reference_time"
_DAYS = {"units": "days since 1970-01-01", "calendar": "standard", "dtype": "int32"}
_CF_ATTRIBUTES: dict[str, dict[str, Any]] = {
    "quantile": {"long_name": message("probability of a yield at or below the value"), "units": "1"},
    "aggregate": {"long_name": message("all municipalities, or a state")},
    "name": {"long_name": message("name of the municipality")},
    "state": {"long_name": message("state of the municipality")},
    "region": {"long_name": message("region of the municipality")},
    "latitude_deg": {"standard_name": "latitude", "long_name": message("latitude"), "units": "degrees_north"},
    "longitude_deg": {
        "standard_name": "longitude",
        "long_name": message("longitude"),
        "units": "degrees_east",
    },
    "window_start": {"long_name": message("first day of the season window")},
    "window_end": {"long_name": message("last day of the season window")},
    "official_source": {"long_name": message("source of the official estimate, empty where there is none")},
    "official_reference": {"long_name": message("month that the official estimate is of")},
    "official_public_from": {"long_name": message("day on which the official estimate became public")},
}
_PARTS = {part_variable(name): text for name, text in PARTS.items()}


def write_cf(path: Path, forecast: xr.Dataset, lang: str = "en") -> Path:
    """Write the table of a forecast as netCDF-4 (CF 1.11); the file is read back before it gets its name.

    The file holds the whole table, the attributes that CF requires (names, history, source, references) and
    the date of the bulletin as the scalar coordinate ``forecast_reference_time``.

    Args:
        path: file to write.
        forecast: a checked table.
        lang: language of the texts: titles, names, comments. Names of variables and attributes, values and
            what only machines read stay as they are.

    Raises:
        ConfigError: an unknown language.
        MissingDataError: the disk refuses.
    """
    ds = as_cf(forecast, lang)

    def write(temporary: Path) -> None:
        temporary.write_bytes(netcdf_content(ds))
        if fingerprint(check_forecast(read_netcdf(temporary))) != fingerprint(ds):
            raise OSError("it reads back differently than it was written")

    atomic_write(path, write)
    return path


def as_cf(forecast: xr.Dataset, lang: str = "en") -> xr.Dataset:
    """The table with the attributes and encodings of CF 1.11; values, names and dims do not change."""
    words, ds = language.of(lang), forecast.copy().drop_encoding()
    day = np.datetime64(ds.attrs["as_of"], "ns")
    ds = ds.assign_coords({_REFERENCE_TIME: ((), day, {"standard_name": _REFERENCE_TIME})})
    ds[_REFERENCE_TIME].attrs["long_name"] = message("date of the bulletin: nothing published later was used")
    for name, attributes in (_CF_ATTRIBUTES | _code_names(ds.attrs, words)).items():
        if name in ds:
            ds[name].attrs |= attributes
    flags: dict[str, Any] = {
        "flag_values": np.array([0, 1], dtype=np.int8),
        "flag_meanings": "of_its_state of_its_own",
    }
    ds["own_history"].attrs |= flags
    _set_encoding(ds)
    for key, variable in ds.variables.items():
        if "long_name" in variable.attrs:
            variable.attrs["long_name"] = _long_name(str(key), variable.attrs["long_name"], words)
    return ds.assign_attrs(_global_attributes(labels.facts(forecast), words))


def _code_names(attrs: dict[str, Any], words: Language) -> dict[str, dict[str, Any]]:
    of, lang = country_of(attrs), words.locale.language
    names = {"code": code_name(of, lang), "place": place_word(of, "municipality", lang)}
    return {
        "municipality": {"long_name": words.gettext("{code} of the {place}", **names)},
        "code": {"long_name": words.gettext("{code} of the {place}, as text", **names)},
    }


def _long_name(variable: str, text: str, words: Language) -> str:
    if variable in _PARTS:
        return words.gettext("part of the median: {part}", part=words.gettext(_PARTS[variable]))
    return words.gettext(text)


def _global_attributes(attrs: dict[str, Any], words: Language) -> dict[str, Any]:
    mark = words.gettext("Synthetic data: made-up numbers, of no real place.") if attrs["synthetic"] else ""
    english = words.tag == "en"
    made = {name: attrs[name] for name in ("made_with", "members", "run_id")}
    comment = words.gettext(
        "Quantiles are calibrated. The interval of an aggregate is not the sum of the municipalities' "
        "intervals, because their errors are correlated. Production is area_planted_ha times "
        "yield_kg_ha / 1000 (t)."
    )
    return {
        **({} if english else {"title": labels.title(attrs, words.tag)}),
        "Conventions": CONVENTIONS,
        "source": words.gettext(
            "{made_with}: ensemble of {members} networks, run {run_id}; "
            "weather of the rest of the season: {scenarios}",
            **made,
            scenarios=attrs["scenarios"] if english else labels.scenario(attrs["scenarios"], words.tag),
        ),
        "history": words.gettext(
            "{made_with}: forecast as of {date}, run {run_id}", **made, date=attrs["as_of"]
        ),
        "references": "Cunha & Silva 2020, doi:10.1109/LAGIRS48042.2020.9165608",
        "comment": " ".join(filter(None, (mark, comment))),
        "license": words.gettext(attrs["licence"]),
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
