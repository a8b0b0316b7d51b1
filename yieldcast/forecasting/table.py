"""The table of a forecast: its variables and units, its checks, and its file.

One table holds one forecast: a crop, a harvest year and a date (as of). It has municipalities and aggregates
(the country, then states) side by side, because the interval of an aggregate cannot be computed from the
intervals of its municipalities: errors within a harvest year are correlated.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import xarray as xr

from yieldcast.data import schema
from yieldcast.data.files import read_netcdf, write_netcdf
from yieldcast.data.summary import summary_html, summary_text
from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.forecasting.parts import PARTS, aggregate_parts, municipal_parts, part_variable
from yieldcast.language import message

QUANTILES = (0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95)
ALL_MUNICIPALITIES = "all"  # name of the aggregate over all municipalities
_TABLE = "forecast"
_MUNICIPALITY, _AGGREGATE = ("municipality",), ("aggregate",)
KG_HA, HA, SHARE = "kg/ha", "ha", "1"
# name -> dims, type, units, (low, high), may be missing (NaN)
ARRAYS: dict[str, tuple[tuple[str, ...], str, str, tuple[float, float], bool]] = {
    "yield_kg_ha": (("municipality", "quantile"), "float32", KG_HA, (0, 500_000), False),
    "yield_mean_kg_ha": (_MUNICIPALITY, "float32", KG_HA, (0, 500_000), False),
    "observed_share": (_MUNICIPALITY, "float32", SHARE, (0, 1), False),
    "probability_low": (_MUNICIPALITY, "float32", SHARE, (0, 1), True),
    "low_threshold_kg_ha": (_MUNICIPALITY, "float32", KG_HA, (0, 500_000), True),
    "area_planted_ha": (_MUNICIPALITY, "float32", HA, (0, 1e8), True),
    "last_public_kg_ha": (_MUNICIPALITY, "float32", KG_HA, (0, 500_000), True),
    "mean_5y_public_kg_ha": (_MUNICIPALITY, "float32", KG_HA, (0, 500_000), True),
    "trend_10y_public_kg_ha": (_MUNICIPALITY, "float32", KG_HA, (0, 500_000), True),
    "own_history": (_MUNICIPALITY, "int8", SHARE, (0, 1), False),
    "rain_so_far_pct": (_MUNICIPALITY, "float32", "%", (0, 1e5), True),
    "tmax_so_far_anomaly_degC": (_MUNICIPALITY, "float32", "degC", (-60, 60), True),
    "aggregate_yield_kg_ha": (("aggregate", "quantile"), "float32", KG_HA, (0, 500_000), False),
    "aggregate_yield_mean_kg_ha": (_AGGREGATE, "float32", KG_HA, (0, 500_000), False),
    "aggregate_observed_share": (_AGGREGATE, "float32", SHARE, (0, 1), False),
    "aggregate_area_planted_ha": (_AGGREGATE, "float64", HA, (0, 1e10), True),
    "aggregate_last_public_kg_ha": (_AGGREGATE, "float32", KG_HA, (0, 500_000), True),
    "aggregate_mean_5y_public_kg_ha": (_AGGREGATE, "float32", KG_HA, (0, 500_000), True),
    "aggregate_municipalities": (_AGGREGATE, "int32", SHARE, (0, 1e6), False),
}
# Only in forecasts by the method "posterior", or from stores with more tables, each where it is known.
OPTIONAL_ARRAYS: dict[str, tuple[tuple[str, ...], str, str, tuple[float, float], bool]] = {
    **{part_variable(name): (_MUNICIPALITY, "float32", KG_HA, (-500_000, 500_000), False) for name in PARTS},
    "level_trend_public_kg_ha": (_MUNICIPALITY, "float32", KG_HA, (0, 500_000), True),
    "official_public_kg_ha": (_MUNICIPALITY, "float32", KG_HA, (0, 500_000), True),
    "aggregate_official_kg_ha": (_AGGREGATE, "float32", KG_HA, (0, 500_000), True),
    # where the store has areas from maps
    "area_mapped_ha": (_MUNICIPALITY, "float32", HA, (0, 1e8), True),
    "area_mapped_error_ha": (_MUNICIPALITY, "float32", HA, (0, 1e8), True),
    "aggregate_area_mapped_ha": (_AGGREGATE, "float64", HA, (0, 1e10), True),
    "aggregate_area_mapped_error_ha": (_AGGREGATE, "float64", HA, (0, 1e10), True),
}
# Of the official estimate of each state, empty where there is none: source, reference (month or survey) and
# the day on which it became public. They come with aggregate_official_kg_ha.
OFFICIAL_TEXTS = ("official_source", "official_reference", "official_public_from")
LARGEST_REST_kg_ha = 0.1  # by which the parts of a median may miss it: rounding of float32
TEXTS = ("code", "name", "state", "region")  # per municipality
_NUMBERS = ("latitude_deg", "longitude_deg")
_DATES = ("window_start", "window_end")  # first and last day of the season window, per municipality
LONG_NAMES = {
    "yield_kg_ha": message("forecast yield, calibrated quantiles"),
    "yield_mean_kg_ha": message("forecast yield, mean"),
    "observed_share": message("share of the season's months whose weather was public"),
    "probability_low": message("probability of a yield below low_threshold_kg_ha"),
    "low_threshold_kg_ha": message("lowest tercile of the municipality's last ten public yields"),
    "area_planted_ha": message("planted area, last public (harvested where planted is not known)"),
    "last_public_kg_ha": message("yield of the newest public harvest year"),
    "mean_5y_public_kg_ha": message("mean yield of the five newest public harvest years"),
    "trend_10y_public_kg_ha": message(
        "linear trend of ten public harvest years, drawn on to the harvest year"
    ),
    "own_history": message(
        "1 where the reference lines are the municipality's own, 0 where its state stands in"
    ),
    "rain_so_far_pct": message(
        "rain of the observed months of the season, percent of the mean of the known years"
    ),
    "tmax_so_far_anomaly_degC": message(
        "maximum temperature of the observed months, departure from the known years"
    ),
    "aggregate_yield_kg_ha": message("forecast yield weighted by planted area, calibrated quantiles"),
    "aggregate_yield_mean_kg_ha": message("forecast yield weighted by planted area, mean"),
    "aggregate_observed_share": message("observed share, weighted by planted area"),
    "aggregate_area_planted_ha": message("planted area, last public"),
    "aggregate_last_public_kg_ha": message("newest public yield, weighted by the same area"),
    "aggregate_mean_5y_public_kg_ha": message(
        "mean of the five newest public yields, weighted by the same area"
    ),
    "aggregate_municipalities": message("number of municipalities"),
    **{part_variable(name): f"part of the median: {text}" for name, text in PARTS.items()},
    "level_trend_public_kg_ha": message("level and trend of published yields (baseline)"),
    "official_public_kg_ha": message(
        "mean of five years moved to the official estimate of the state (baseline)"
    ),
    "aggregate_official_kg_ha": message("newest official estimate that was public"),
    "area_mapped_ha": message("area of the crop in the newest public map, corrected for its errors"),
    "area_mapped_error_ha": message("standard error of the area in the map"),
    "aggregate_area_mapped_ha": message(
        "area of the crop in the newest public map, corrected for its errors"
    ),
    "aggregate_area_mapped_error_ha": message("standard error of the area in the map"),
}
# Attributes of every forecast (text; harvest_year, members, synthetic and lead_months are int).
ATTRIBUTES = (
    "title", "crop", "harvest_year", "as_of", "lead_months", "scenarios", "scenario_years", "members",
    "run", "run_id", "train_years", "last_public_harvest_year", "weather_known_to", "calibration", "inputs",
    "country", "synthetic", "made_with", "licence", "attribution",
)  # fmt: skip
# Further attribute of a forecast whose country is not the default one: the text of the store's country.toml,
# empty where the country is not known. Exports take the names of codes and places from it.
COUNTRY_FILE = "country_file"
# Further attributes of a forecast with areas from a map, and of one whose weather is averaged over cropped
# cells: harvest year of the map; which cells; the day before which they are of a map that was not known yet.
AREA_MAP, WEATHER_CELLS, LATER_MAP = "area_map_year", "weather_cells", "later_map_before"


AnyDataset = TypeVar("AnyDataset", bound=xr.Dataset)


class Forecast(xr.Dataset):  # type: ignore[no-untyped-call]  # __init_subclass__ of xarray has no types
    """A forecast: an `xarray.Dataset` that shows crop, dates, yields and provenance at a glance.

    The summary is shown as long as the dataset is a whole forecast, see `check_forecast` (some municipalities
    of one are still a forecast); anything else derived from it is shown as xarray shows a Dataset.
    """

    __slots__ = ()

    @classmethod
    def of(cls, ds: xr.Dataset) -> Forecast:
        """The same variables (in the same order), attributes and encoding as a `Forecast`."""
        forecast = cls(dict(ds.variables), attrs=ds.attrs).set_coords(list(ds.coords))
        forecast.encoding = ds.encoding
        return forecast

    @property
    def parts(self) -> xr.DataArray:
        """(part, municipality) kg/ha of each ingredient in the median, see `parts.municipal_parts`."""
        return municipal_parts(self)

    @property
    def aggregate_parts(self) -> xr.DataArray:
        """(part, aggregate) kg/ha, the same of the country and the states."""
        return aggregate_parts(self)

    def __repr__(self) -> str:
        rows = self._summary()
        return super().__repr__() if rows is None else summary_text(str(self.attrs["title"]), rows)

    def _repr_html_(self) -> str:
        rows = self._summary()
        return super()._repr_html_() if rows is None else summary_html(str(self.attrs["title"]), rows)

    def _summary(self) -> list[tuple[str, str]] | None:
        """Names and values to show; None where this is not a whole forecast."""
        try:
            check_forecast(self)
        except SchemaError:
            return None
        about = self.attrs
        low, median, high = (
            float(self["aggregate_yield_kg_ha"].values[0, QUANTILES.index(level)])
            for level in (0.05, 0.50, 0.95)
        )
        place = str(about["country"]) or "all municipalities"
        return [
            ("crop", str(about["crop"])),
            ("harvest year", str(about["harvest_year"])),
            ("as of", str(about["as_of"])),
            ("lead time", f"{about['lead_months']} months before the end of harvest"),
            (f"median of {place}", f"{median:.0f} kg/ha, 90 % interval {low:.0f} to {high:.0f} kg/ha"),
            ("municipalities", str(self.sizes["municipality"])),
            ("aggregates", ", ".join(map(str, self["aggregate"].values))),
            ("quantiles", ", ".join(map(str, QUANTILES))),
            ("yields", "yield_kg_ha, aggregate_yield_kg_ha (kg/ha); other variables: .data_vars"),
            ("members", str(about["members"])),
            ("scenarios", f"{about['scenarios']}: {about['scenario_years']}"),
            ("weather known to", str(about["weather_known_to"]) or "none of the season's months"),
            ("yields known to", f"harvest year {about['last_public_harvest_year']}"),
            *self._parts_row(),
            ("run", f"{about['run']} ({about['run_id']}), trained on {about['train_years']}"),
            ("licence", str(about["licence"])),
        ]

    def _parts_row(self) -> list[tuple[str, str]]:
        """Parts of the median of the country, if the forecast has parts."""
        parts = self.aggregate_parts.isel(aggregate=0)
        names = parts["part"].values.tolist()
        texts = [f"{name} {value:.0f}" for name, value in zip(names, parts.values, strict=True)]
        more = "(.parts, .aggregate_parts)"
        return [("parts of this median", f"{', '.join(texts)} kg/ha {more}")] if texts else []


def check_forecast(ds: AnyDataset) -> AnyDataset:
    """Check the table of a forecast and return it.

    Args:
        ds: dims municipality (int32, sorted), quantile (`QUANTILES`) and aggregate (text:
            `ALL_MUNICIPALITIES` first, then states); the variables of `ARRAYS`; per municipality the texts
            `TEXTS`, latitude and longitude, and the season window; the attributes `ATTRIBUTES`.

    Raises:
        SchemaError: anything else, or quantiles that decrease with their level.
    """
    schema.check_coordinate(ds, _TABLE, "municipality", "int32")
    levels, aggregates = (
        np.atleast_1d(ds[name].values).tolist() if name in ds.coords else None
        for name in ("quantile", "aggregate")
    )
    if not levels or ds["quantile"].dtype.kind != "f" or tuple(np.round(levels, 6)) != QUANTILES:
        raise SchemaError(f"{_TABLE}: expected the quantiles {QUANTILES}, received {levels}")
    if not aggregates or aggregates[0] != ALL_MUNICIPALITIES:
        raise SchemaError(
            f"{_TABLE}: expected the aggregates {ALL_MUNICIPALITIES!r}, then states, received {aggregates}"
        )
    schema.check_names(ds, _TABLE, tuple(ARRAYS), tuple(OPTIONAL_ARRAYS))
    arrays = {**ARRAYS, **{name: rule for name, rule in OPTIONAL_ARRAYS.items() if name in ds}}
    for name, (dims, dtype, units, (low, high), gaps) in arrays.items():
        schema.check_array(ds, _TABLE, name, dims, dtype)
        array = ds[name]
        if array.attrs.get("units") != units:
            raise SchemaError(
                f"{_TABLE}: expected {name} in {units!r}, received {array.attrs.get('units')!r}"
            )
        inside = (array.values >= low) & (array.values <= high)
        bad = ~(inside | np.isnan(array.values)) if gaps else ~inside
        schema.refuse(
            array, _TABLE, bad, f"{low:g} to {high:g} {units}", "This is a fault: please report it."
        )
    for name in ("yield_kg_ha", "aggregate_yield_kg_ha"):
        falls = np.diff(ds[name].values, axis=1, prepend=-np.inf) < 0
        schema.refuse(ds[name], _TABLE, falls, "rising quantiles", "This is a fault: please report it.")
    _check_parts(ds)
    official = OFFICIAL_TEXTS if "aggregate_official_kg_ha" in ds else ()
    wanted = {*TEXTS, *_NUMBERS, *_DATES, *official}
    if lost := sorted(wanted - set(map(str, ds.coords))):
        raise SchemaError(f"{_TABLE}: expected coordinates {sorted(wanted)}, received none of {lost}")
    if lost := [name for name in ATTRIBUTES if name not in ds.attrs]:
        raise SchemaError(f"{_TABLE}: expected the attributes {ATTRIBUTES}, received none of {lost}")
    return ds


def _check_parts(ds: xr.Dataset) -> None:
    """Raise SchemaError unless the parts of every median add up to it."""
    parts = municipal_parts(ds)
    if parts.sizes["part"]:
        median = ds["yield_kg_ha"].isel(quantile=QUANTILES.index(0.50))
        wrong = ~(abs(parts.values.sum(axis=0) - median.values) <= LARGEST_REST_kg_ha)
        schema.refuse(
            median, _TABLE, wrong, "parts that add up to the median", "This is a fault: please report it."
        )


def assemble(
    values: dict[str, Any],
    coords: dict[str, Any],
    aggregates: list[str],
    attrs: dict[str, Any],
    aggregate_texts: Mapping[str, npt.ArrayLike] = {},
) -> Forecast:
    """A checked forecast from arrays without labels.

    Args:
        values: an array for every name of `ARRAYS`, and for any of `OPTIONAL_ARRAYS`.
        coords: municipality codes, and an array for each coordinate per municipality.
        aggregates: names, `ALL_MUNICIPALITIES` first.
        attrs: the attributes `ATTRIBUTES`.
        aggregate_texts: `OFFICIAL_TEXTS`, where the values hold official estimates.

    Raises:
        SchemaError: see `check_forecast`.
    """
    per_place = {
        name: (_MUNICIPALITY, np.asarray(array)) for name, array in coords.items() if name != "municipality"
    }
    tables = {
        name: (dims, np.asarray(values[name]).astype(dtype), {"units": units, "long_name": LONG_NAMES[name]})
        for name, (dims, dtype, units, _, _) in {**ARRAYS, **OPTIONAL_ARRAYS}.items()
        if name in ARRAYS or name in values
    }
    texts = {name: (_AGGREGATE, np.array(given, dtype=str)) for name, given in aggregate_texts.items()}
    place = np.asarray(coords["municipality"], dtype=np.int32)
    shared = {"municipality": place, "quantile": np.array(QUANTILES), "aggregate": np.array(aggregates)}
    return check_forecast(Forecast(tables, coords={**shared, **per_place, **texts}, attrs=attrs))


def production_t(forecast: xr.Dataset, aggregate: bool = False) -> xr.DataArray:
    """Quantiles of production (t) on the newest public planted area: area x yield / 1000.

    Args:
        forecast: a checked table.
        aggregate: True for the aggregates, False for the municipalities.
    """
    prefix = "aggregate_" if aggregate else ""
    tonnes = forecast[f"{prefix}yield_kg_ha"] * forecast[f"{prefix}area_planted_ha"] / 1000.0
    return tonnes.assign_attrs(units="t", long_name="production on the last public planted area")


def write_forecast(path: Path, forecast: xr.Dataset) -> None:
    """Write a forecast as netCDF; after an error there is no file.

    Raises:
        MissingDataError: the file cannot be written.
    """
    write_netcdf(path, forecast)


def read_forecast(path: Path) -> Forecast:
    """Read a file of `write_forecast`.

    Raises:
        MissingDataError: no such file.
        SchemaError: it cannot be read, or does not hold a forecast.
    """
    if not path.is_file():
        raise MissingDataError(f"no forecast {path}", "Make one with: yieldcast forecast RUN ...")
    try:
        ds = read_netcdf(path)
    except Exception as error:  # h5py raises many kinds on a damaged file
        raise SchemaError(f"the forecast {path} cannot be read: {error}", "Make it again.") from error
    return Forecast.of(check_forecast(ds))
