"""Synthetic fields with days, vegetation and a known yield response, in the size of Xavier et al. (2026).

Nothing here is observed. A field grows one crop a year: soybean, corn or wheat. Its yield is a potential
times a level of the field, a trend, a loss for each dry day and each hot day while it flowers, the vigour
of the season, which the vegetation shows, and noise, which nothing shows. Days of harvest follow the yield
only by ``harvest_leak_days``: with it, who knows the harvest date knows part of the yield, as in the paper's
harvest_day_of_year. The constants are our choice.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from yieldcast import variables
from yieldcast.data import degree_days, schema
from yieldcast.data.daily import daily_table
from yieldcast.data.field_seasons import field_seasons_table
from yieldcast.data.files import atomic_write
from yieldcast.data.store import Tables
from yieldcast.data.vegetation import vegetation_table
from yieldcast.errors import ConfigError, MissingDataError

Array = NDArray[np.float64]
FIELDS, SEASONS = 2560, 14
FILES = ("fields.csv", "yields.csv", "days.csv", "vegetation.csv")
DRY_mm, OUTLIER_SHARE, CLOUD_SHARE = 1.0, 0.01, 0.35
STATE = "PR"
_MUNICIPALITIES, _FIRST_CODE = 8, 4_190_001  # real IBGE codes of the state stay below 4190000
_LATITUDE_deg, _LONGITUDE_deg = (-25.6, -24.4), (-54.2, -53.0)
_NOISE, _VIGOUR, _LEVEL, _TREND = 0.06, 0.10, 0.06, 0.008
# The last wheat (sown on day 120, 128 + 22 days) is harvested before the first soybean is sown (day 280).
_MOST_LATER_days = 22
_LONGEST = 170  # days of the longest season
_STEP_days = 8  # between images of a field


@dataclass(frozen=True)
class Crop:
    """A synthetic crop.

    Args:
        potential_kg_ha: without any loss, in the first year.
        share: of the fields in a year.
        sowing: first and last day after 1 January of the harvest year, negative in the year before.
        length_days: mean of the days from sowing to harvest.
        flowering: first and last day of flowering after sowing.
        hot_degC: a day with a maximum above it is hot.
        dry_loss, heat_loss: share of the yield that a dry or a hot day of flowering takes.
        ndvi: highest NDVI of a season of mean vigour.
    """

    potential_kg_ha: float
    share: float
    sowing: tuple[int, int]
    length_days: int
    flowering: tuple[int, int]
    hot_degC: float
    dry_loss: float
    heat_loss: float
    ndvi: float


CROPS: Mapping[str, Crop] = {
    "corn": Crop(10_500.0, 0.35, (-88, -60), 140, (55, 80), 32.0, 0.016, 0.022, 0.84),
    "soybean": Crop(4_300.0, 0.45, (-85, -50), 122, (50, 80), 32.0, 0.013, 0.016, 0.88),
    "wheat": Crop(3_600.0, 0.20, (92, 120), 128, (65, 90), 27.0, 0.014, 0.020, 0.80),
}


@dataclass(frozen=True)
class FieldData:
    """Tables in the shape in which people bring them, and what is behind the yields.

    Args:
        fields: a row for each field and season: field_id, lat, lon, crop, harvest_year, sowing_date,
            harvest_date, municipality_code, weather_unit.
        yields: field_id, crop, harvest_year, yield_kg_ha; one in a hundred is an artefact of the yield
        monitor.
        days: weather_unit, date, tmax_degC, tmin_degC, precipitation_mm, relative_humidity_pct,
            radiation_MJ_m2, synthetic.
        vegetation: field_id, date, ndvi, evi, quality (clear or cloud).
        truth: for each row of `yields`: dry_days and hot_days of flowering, expected_kg_ha (of what can be
            known: level, trend, stress, vigour), true_kg_ha (with noise), artefact.
    """

    fields: pd.DataFrame
    yields: pd.DataFrame
    days: pd.DataFrame
    vegetation: pd.DataFrame
    truth: pd.DataFrame


def field_data(
    seed: int = 1,
    fields: int = FIELDS,
    seasons: int = SEASONS,
    last_harvest_year: int = 2025,
    units: int = 8,
    harvest_leak_days: float = 5.0,
) -> FieldData:
    """Synthetic fields; the same arguments give the same numbers.

    Args:
        seed: of all random numbers.
        fields: 1 or more, near to one another in a few municipalities of one state.
        seasons: harvest years, 1 or more.
        last_harvest_year: the newest of them.
        units: of daily weather, 1 or more; the fields are distributed over them.
        harvest_leak_days: days by which a harvest is later for a yield one standard deviation above that of
            its crop; 0 for a harvest date that says nothing.

    Raises:
        ConfigError: a number below 1.
    """
    if min(fields, seasons, units) < 1:
        raise ConfigError(
            f"expected at least 1 field, season and unit, received {fields}, {seasons} and {units}"
        )
    years = np.arange(last_harvest_year - seasons + 1, last_harvest_year + 1)
    days = _days(seed, units, years)
    places = _places(seed, fields, units)
    rows = _seasons(seed, places, years)
    truth = _truth(seed, rows, days, years)
    rng = _stream(seed, "harvest")
    later = harvest_leak_days * truth["anomaly"].to_numpy() + rng.normal(0.0, 5.0, len(rows))
    length = rows["crop"].map({name: crop.length_days for name, crop in CROPS.items()}).to_numpy()
    later = np.clip(np.round(later), -_MOST_LATER_days, _MOST_LATER_days)
    length = (length + later).astype(np.int64)
    rows = rows.assign(harvest_date=rows["sowing_date"] + pd.to_timedelta(length, "D"))
    yields = rows[["field_id", "crop", "harvest_year"]].assign(yield_kg_ha=truth["published_kg_ha"])
    vegetation = _vegetation(seed, rows, truth, length)
    columns = [
        "field_id", "lat", "lon", "crop", "harvest_year", "sowing_date", "harvest_date",
        "municipality_code", "weather_unit",
    ]  # fmt: skip
    names = ["dry_days", "hot_days", "expected_kg_ha", "true_kg_ha", "artefact"]
    return FieldData(rows[columns], yields, _listed(days), vegetation, truth[names])


def write_field_files(folder: Path, made: FieldData) -> dict[str, Path]:
    """Write the four files (`FILES`) for `yieldcast import --fields`; files of these names are replaced.

    Returns:
        path by the name of the table: fields, yields, days, vegetation.

    Raises:
        MissingDataError: the disk refuses.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MissingDataError(f"expected a folder, received {folder}: {error}", "Choose another.") from error
    written = {}
    for file in FILES:
        table = file.removesuffix(".csv")
        frame: pd.DataFrame = getattr(made, table)
        written[table] = folder / file
        atomic_write(folder / file, partial(frame.to_csv, index=False))
    return written


def field_tables(made: FieldData) -> tuple[Tables, dict[str, xr.Dataset]]:
    """The same as tables of a store: places, monthly weather and yields; and field seasons, daily weather and
    vegetation by name. Codes of fields are their numbers."""
    marks = {"synthetic": 1, "title": "synthetic fields"}
    first = made.fields.drop_duplicates("field_id").sort_values("field_id")
    code = first["field_id"].to_numpy(dtype=np.int32)
    texts = {
        "code": code.astype(str), "name": np.array([f"Synthetic field {one}" for one in code]),
        "state": np.full(len(code), STATE), "region": np.full(len(code), ""),
        schema.PART_OF: first["municipality_code"].to_numpy().astype(str),
        "latitude_deg": first["lat"].to_numpy(), "longitude_deg": first["lon"].to_numpy(),
    }  # fmt: skip
    static = xr.Dataset(
        {name: ("municipality", values) for name, values in texts.items()}, {"municipality": code}, marks
    )
    daily = _daily(made, first, code, marks)
    index = pd.MultiIndex.from_product(
        [sorted(CROPS), code, np.unique(made.yields["harvest_year"])],
        names=["crop", "municipality", "harvest_year"],
    )
    keyed = made.yields.rename(columns={"field_id": "municipality"}).set_index(list(index.names))
    cube = keyed["yield_kg_ha"].reindex(index).to_xarray().astype(np.float32)
    yields = xr.Dataset({"yield_kg_ha": cube}, attrs=marks)
    yields = yields.assign_coords(harvest_year=yields["harvest_year"].astype(np.int16))
    tables = Tables(*map(schema.set_units, (static, _months(daily, marks), yields)))
    seasons = field_seasons_table(made.fields.rename(columns={"field_id": "municipality"}))
    seen = made.vegetation.rename(columns={"field_id": "municipality"})
    seen = seen.assign(clear=(seen["quality"] == "clear").astype(np.int8))
    return tables, {"field_seasons": seasons, "daily": daily, "vegetation": vegetation_table(seen, marks)}


def _stream(seed: int, name: str) -> np.random.Generator:
    """Random numbers of one component, which do not change when other components are added."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def _days(seed: int, units: int, years: NDArray[np.int64]) -> xr.Dataset:
    """Daily weather (unit, time) from the July before the first harvest year to the end of the last year.

    Wet days follow a Markov chain of the unit's region, with dry spells in one year of four; a wet day is
    cooler and moister.
    """
    time = np.arange(f"{years[0] - 1}-07-01", f"{years[-1] + 1}-01-01", dtype="datetime64[D]")
    of_year = (time - time.astype("datetime64[Y]").astype("datetime64[D]")).astype(np.int64)
    season = np.cos((of_year - 15) * 2 * np.pi / 365.25)  # 1 in the middle of January
    rng = _stream(seed, "weather")
    year = time.astype("datetime64[Y]").astype(np.int64) - (years[0] - 1 - 1970)
    dry_year = (_stream(seed, "dry years").random(year[-1] + 1) < 0.25)[year]
    chance = np.clip(0.35 + 0.06 * season - 0.15 * dry_year, 0.05, 0.9)
    uniform = 0.7 * rng.random(len(time)) + 0.3 * rng.random((units, len(time)))
    wet = np.zeros((units, len(time)), dtype=bool)
    for t in range(1, len(time)):
        wet[:, t] = uniform[:, t] < np.clip(chance[t] + 0.28 * wet[:, t - 1] - 0.04, 0.03, 0.95)
    rain = np.where(wet, rng.gamma(0.8, 15.0, wet.shape), 0.0)
    warmth = np.zeros(len(time))
    steps = rng.normal(0.0, 1.6, len(time))
    for t in range(1, len(time)):
        warmth[t] = 0.75 * warmth[t - 1] + steps[t]
    mean = 20.5 + 4.8 * season + warmth + 1.3 * dry_year + rng.normal(0.0, 0.5, wet.shape)
    span = np.where(wet, 8.0, 12.5) + rng.normal(0.0, 1.2, wet.shape)
    humidity = np.clip(np.where(wet, 84.0, 66.0) + rng.normal(0.0, 5.0, wet.shape) - 4.0 * dry_year, 25, 100)
    radiation = np.clip(17.0 + 5.5 * season - 5.5 * wet + rng.normal(0.0, 1.8, wet.shape), 2.0, 32.0)
    values = {
        "tmax_degC": mean + span / 2, "tmin_degC": mean - span / 2, "precipitation_mm": rain,
        "relative_humidity_pct": humidity, "radiation_MJ_m2": radiation,
    }  # fmt: skip
    arrays = {name: (("unit", "time"), np.round(one, 1)) for name, one in values.items()}
    return xr.Dataset(arrays, {"unit": np.arange(1, units + 1), "time": time.astype("datetime64[ns]")})


def _listed(days: xr.Dataset) -> pd.DataFrame:
    frame = days.to_dataframe().reset_index().rename(columns={"unit": "weather_unit", "time": "date"})
    return frame.assign(synthetic=1)


def _places(seed: int, fields: int, units: int) -> pd.DataFrame:
    """Fields by number, neighbours in the same municipality and unit of weather."""
    rng = _stream(seed, "places")
    latitude, longitude = (
        np.round(low + rng.random(fields) * (high - low), 5) for low, high in (_LATITUDE_deg, _LONGITUDE_deg)
    )
    share = (longitude - _LONGITUDE_deg[0]) / (_LONGITUDE_deg[1] - _LONGITUDE_deg[0])
    part = np.minimum((share * _MUNICIPALITIES).astype(np.int64), _MUNICIPALITIES - 1)
    return pd.DataFrame(
        {
            "field_id": np.arange(1, fields + 1),
            "lat": latitude,
            "lon": longitude,
            "municipality_code": _FIRST_CODE + part,
            "weather_unit": 1 + np.minimum((share * units).astype(np.int64), units - 1),
        }
    )


def _seasons(seed: int, places: pd.DataFrame, years: NDArray[np.int64]) -> pd.DataFrame:
    """A season for each field and year, with its crop and its sowing date."""
    count = len(places) * len(years)
    rng = _stream(seed, "seasons")
    names = np.array(list(CROPS))
    crop = rng.choice(len(names), count, p=[one.share for one in CROPS.values()])
    year = np.repeat(years, len(places))
    first = year.astype(str).astype("datetime64[Y]").astype("datetime64[D]")
    low, high = (np.array([one.sowing[k] for one in CROPS.values()])[crop] for k in (0, 1))
    sowing = first + (low + rng.random(count) * (high - low)).astype(np.int64)
    frame = pd.concat([places] * len(years), ignore_index=True)
    return frame.assign(crop=names[crop], harvest_year=year, sowing_date=sowing.astype("datetime64[ns]"))


def _truth(seed: int, rows: pd.DataFrame, days: xr.Dataset, years: NDArray[np.int64]) -> pd.DataFrame:
    """Stress, vigour and yield of each season."""
    rng, number = _stream(seed, "yields"), rows["field_id"].to_numpy() - 1
    crops = rows["crop"].to_numpy()
    start = (rows["sowing_date"].to_numpy() - days["time"].values[0]) // np.timedelta64(1, "D")
    unit = rows["weather_unit"].to_numpy() - 1
    dry, hot = np.zeros(len(rows)), np.zeros(len(rows))
    potential, loss = np.zeros(len(rows)), np.zeros(len(rows))
    for name, crop in CROPS.items():
        mine = crops == name
        window = np.arange(crop.flowering[0], crop.flowering[1] + 1)
        cell = (unit[mine][:, None], start[mine][:, None] + window)
        dry[mine] = (days["precipitation_mm"].values[cell] < DRY_mm).sum(axis=1)
        hot[mine] = (days["tmax_degC"].values[cell] > crop.hot_degC).sum(axis=1)
        potential[mine] = crop.potential_kg_ha
        loss[mine] = crop.dry_loss * dry[mine] + crop.heat_loss * hot[mine]
    level = 1.0 + rng.normal(0.0, _LEVEL, number.max() + 1)[number]
    trend = 1.0 + _TREND * (rows["harvest_year"].to_numpy() - years[0])
    vigour = rng.normal(0.0, _VIGOUR, len(rows))
    expected = potential * level * trend * np.exp(vigour - loss)
    true = expected * np.exp(rng.normal(0.0, _NOISE, len(rows)))
    artefact = rng.random(len(rows)) < OUTLIER_SHARE
    factor = np.where(rng.random(len(rows)) < 0.5, 0.08, 2.6)
    logarithm = pd.Series(np.log(true))
    grouped = logarithm.groupby(crops)
    spread = grouped.transform("std").fillna(0.0).replace(0.0, 1.0)
    return pd.DataFrame(
        {
            "dry_days": dry.astype(np.int64),
            "hot_days": hot.astype(np.int64),
            "expected_kg_ha": expected,
            "true_kg_ha": true,
            "artefact": artefact,
            "published_kg_ha": np.round(np.where(artefact, true * factor, true)),
            "condition": vigour - loss + (level - 1.0),
            "anomaly": ((logarithm - grouped.transform("mean")) / spread).clip(-3, 3),
        }
    )


def _vegetation(
    seed: int, rows: pd.DataFrame, truth: pd.DataFrame, length: NDArray[np.int64]
) -> pd.DataFrame:
    """Images of each season from sowing to harvest: a curve whose top follows the condition of the season."""
    rng = _stream(seed, "vegetation")
    steps = np.arange(0, _LONGEST, _STEP_days)
    day = steps + rng.integers(0, _STEP_days, (len(rows), 1))
    row, column = np.nonzero(day <= length[:, None])
    day = day[row, column]
    crops = rows["crop"].to_numpy()[row]
    top = np.array([CROPS[name].ndvi for name in CROPS])[pd.Index(list(CROPS)).get_indexer(crops)]
    condition = truth["condition"].to_numpy()
    mean = pd.Series(condition).groupby(rows["crop"].to_numpy()).transform("mean").to_numpy()
    top = np.clip(top + 0.30 * (condition - mean)[row], 0.35, 0.95)
    share = day / length[row]
    shape = 1 / (1 + np.exp(-(share - 0.22) / 0.06)) - 1 / (1 + np.exp(-(share - 0.85) / 0.06))
    ndvi = 0.17 + (top - 0.17) * shape + rng.normal(0.0, 0.02, len(row))
    cloud = rng.random(len(row)) < CLOUD_SHARE
    ndvi = np.where(cloud, ndvi * rng.uniform(0.05, 0.6, len(row)), ndvi)
    evi = 0.03 + 0.62 * np.maximum(ndvi, 0.0) ** 1.35
    date = rows["sowing_date"].to_numpy()[row] + day.astype("timedelta64[D]")
    return pd.DataFrame(
        {
            "field_id": rows["field_id"].to_numpy()[row],
            "date": date,
            "ndvi": np.round(np.clip(ndvi, -0.2, 0.99), 3),
            "evi": np.round(np.clip(evi, -0.2, 0.99), 3),
            "quality": np.where(cloud, "cloud", "clear"),
        }
    ).sort_values(["field_id", "date"], ignore_index=True)


def _daily(
    made: FieldData, first: pd.DataFrame, code: NDArray[np.int32], marks: Mapping[str, object]
) -> xr.Dataset:
    names = ["tmax_degC", "tmin_degC", "precipitation_mm", "radiation_MJ_m2"]
    cube = made.days.set_index(["weather_unit", "date"])[names].to_xarray()
    unit = cube["weather_unit"].values.astype(np.int32)
    position = np.searchsorted(unit, first["weather_unit"].to_numpy())
    days = cube["date"].values.astype("datetime64[D]")
    return daily_table({name: cube[name].values for name in names}, days, unit, code, position, marks)


def _months(daily: xr.Dataset, marks: Mapping[str, object]) -> xr.Dataset:
    """Monthly weather of the fields from the days of their units; the days begin with a month."""
    days = daily["time"].values.astype("datetime64[D]")
    months, start = np.unique(days.astype("datetime64[M]"), return_index=True)
    length = np.diff(np.append(start, len(days)))
    place = daily["municipality_unit"].values
    fields = {name: daily[name].values.astype(np.float64) for name in variables.WEATHER}
    for name, pair in degree_days.quantities().items():
        fields[name] = degree_days.daily(fields["tmax_degC"], fields["tmin_degC"], *pair)
    data = {}
    for name, values in fields.items():
        total = np.add.reduceat(values, start, axis=1)
        monthly = total / length if name in ("tmax_degC", "tmin_degC") else total
        data[name] = (("municipality", "time"), monthly[place].astype(np.float32))
    coords = {"municipality": daily["municipality"], "time": months.astype("datetime64[ns]")}
    return xr.Dataset(data, coords, dict(marks))
