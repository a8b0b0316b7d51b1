"""The tables of a store as evidence of one crop: yields, areas, estimates, water index of weather units."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from calendars import Calendar, Country, country
from calendars.country import SecondCrop
from calendars.stages import has_stages, stages
from yieldcast.config import Settings
from yieldcast.data.store import Store, Tables
from yieldcast.features.evapotranspiration import extraterrestrial_radiation, reference
from yieldcast.features.official_estimates import OfficialEstimates
from yieldcast.features.seasons import last_known_day
from yieldcast.features.sowing import first_centres, second_centres
from yieldcast.features.unit_days import unit_mean
from yieldcast.features.water_balance import (
    DailyWeather,
    SeasonWater,
    WaterBalance,
    capacity_mm,
)
from yieldcast.forecasting.expected import CropEvidence, MonthlyWeather, WeatherUnits, one_of_each
from yieldcast.models.level_trend import Places

Floats = NDArray[np.float64]
SHOWER_DAYS = 5  # monthly rain falls on every fifth day where no daily weather is at hand
_DAILY = ("tmax_degC", "tmin_degC", "precipitation_mm")


def crop_evidence(
    tables: Tables,
    crop: str,
    calendar: Calendar,
    settings: Settings,
    estimates: xr.Dataset | None = None,
    daily: xr.Dataset | None = None,
    of: Country | None = None,
) -> CropEvidence:
    """Everything the tables say of a crop.

    Args:
        tables: places, monthly weather and yields.
        crop: crop of the yields and the calendar.
        calendar: planting windows.
        settings: delays of publication.
        estimates: official state estimates; None without.
        daily: daily weather; without it days are made from the monthly table.
        of: country of the tables, which gives second crops; None for the default one.
    """
    second = (of or country.default()).second_crops(crop)
    static = tables.static
    names = static["state"].values.astype(str)
    states, position = np.unique(names, return_inverse=True)
    latitude, longitude = (
        static[name].values.astype(np.float64) for name in ("latitude_deg", "longitude_deg")
    )
    places = Places(position.astype(np.int64), len(states), latitude, longitude)
    yields, area, first = _yields(tables, crop)
    publication = settings.data.publication()
    seasons = _Seasons(tables, daily, crop, calendar, states, places, second) if has_stages(crop) else None
    return CropEvidence(
        yields, area, first, places, OfficialEstimates(estimates, crop, states),
        seasons, publication.last_public_harvest_year, last_known_day(publication, daily is not None),
        _soil(static), _monthly(tables),
    )  # fmt: skip


def evidence_of(store: Store, crop: str, calendar: Calendar, settings: Settings) -> CropEvidence:
    """`crop_evidence` of a store, with its official estimates and daily weather where it has them."""
    estimates, daily = (getattr(store, name) if name in store else None for name in ("estimates", "daily"))
    return crop_evidence(store.tables, crop, calendar, settings, estimates, daily, store.country)


def _yields(tables: Tables, crop: str) -> tuple[Floats, Floats, int]:
    """(municipality, year) yields and areas over consecutive years, and the first year."""
    table = tables.yields.sel(crop=crop)
    years = table["harvest_year"].values.astype(int)
    table = table.reindex(
        municipality=tables.static["municipality"].values,
        harvest_year=np.arange(years.min(), years.max() + 1),
    ).transpose("municipality", "harvest_year")
    yields = table["yield_kg_ha"].values.astype(np.float64)
    yields = np.where(yields > 0, yields, np.nan)
    area = np.full(yields.shape, np.nan)
    for name in ("area_planted_ha", "area_harvested_ha"):
        if name in table:
            values = table[name].values.astype(np.float64)
            area = np.where(np.isfinite(values), values, area)
    # Before the first year with an area municipalities count the same. (Whether a year has areas must not
    # depend on later years.)
    none_yet = np.cumsum(np.isfinite(area).any(axis=0)) == 0
    area = np.where(none_yet, 1.0, area)
    return yields, np.where(np.isfinite(yields), area, np.nan), int(years.min())


class _Seasons:
    """Gives the water index of every unit with weather up to a day."""

    def __init__(
        self,
        tables: Tables,
        daily: xr.Dataset | None,
        crop: str,
        calendar: Calendar,
        states: NDArray[np.str_],
        places: Places,
        second: Mapping[str, SecondCrop],
    ) -> None:
        weather, self.unit = _units(tables, daily)
        count = weather.sizes["unit"]
        self.state = places.state[one_of_each(self.unit)]
        latitude = unit_mean(places.latitude_deg, self.unit, count)
        time = weather["time"].values.astype("datetime64[D]")
        self.weather = _daily_weather(weather, latitude, time)
        crop_stages = stages(crop)
        clay = unit_mean(_clay(tables.static), self.unit, count)
        self.balance = WaterBalance(crop_stages, capacity_mm(clay, crop_stages))
        self.years = range(int(str(time[0])[:4]), int(str(time[-1])[:4]) + 3)
        names = states[self.state].astype(str)
        self.centres = [first_centres(calendar, crop, names, self.years)]
        share = np.array([second[name].share if name in second else 0.0 for name in names])
        if share.any():
            self.centres.append(second_centres(second, names, self.years, self.centres[0]))
            self.share = np.stack((1.0 - share, share), axis=1)
        else:
            self.share = np.ones((count, 1))

    def __call__(self, day: np.datetime64) -> WeatherUnits:
        known = self.weather.known_to(day)
        seasons = tuple(SeasonWater(self.balance, known, centres) for centres in self.centres)
        return WeatherUnits(seasons, self.share, self.unit, self.state)


def _units(tables: Tables, daily: xr.Dataset | None) -> tuple[xr.Dataset, NDArray[np.int64]]:
    """Daily weather by unit, and the unit of every municipality (-1 without)."""
    codes = tables.static["municipality"].values
    if daily is None:
        days = days_of_months(tables.weather).rename(municipality="unit")
        unit = _positions(tables.weather["municipality"].values, codes)
    else:
        days = daily
        found = _positions(daily["municipality"].values, codes)
        unit = np.where(found >= 0, daily["municipality_unit"].values[np.maximum(found, 0)], -1).astype(
            np.int64
        )
    used = np.unique(unit[unit >= 0])
    renumbered = np.full(days.sizes["unit"], -1, dtype=np.int64)
    renumbered[used] = np.arange(len(used))
    return days.isel(unit=used), np.where(unit >= 0, renumbered[np.maximum(unit, 0)], -1)


def _positions(labels: NDArray[np.int32], wanted: NDArray[np.int32]) -> NDArray[np.int64]:
    at = np.minimum(np.searchsorted(labels, wanted), max(len(labels) - 1, 0))
    return np.where(labels[at] == wanted, at, -1).astype(np.int64)


def days_of_months(weather: xr.Dataset) -> xr.Dataset:
    """Days made from months: constant temperature, the rain in equal showers on every fifth day."""
    months = weather["time"].values.astype("datetime64[M]")
    days = np.arange(months[0].astype("datetime64[D]"), (months[-1] + 1).astype("datetime64[D]"))
    month = (days.astype("datetime64[M]") - months[0]).astype(int)
    shower = (days - days.astype("datetime64[M]").astype("datetime64[D]")).astype(int) % SHOWER_DAYS == 0
    showers = np.bincount(month, shower)
    dims = ("municipality", "time")
    values = {name: weather[name].transpose(*dims).values[:, month] for name in _DAILY}
    values["precipitation_mm"] = values["precipitation_mm"] * (shower / showers[month])
    return xr.Dataset(
        {name: (dims, array) for name, array in values.items()},
        coords={"municipality": weather["municipality"].values, "time": days.astype("datetime64[ns]")},
    )


def _daily_weather(weather: xr.Dataset, latitude: Floats, time: NDArray[np.datetime64]) -> DailyWeather:
    """Reference evapotranspiration, rain and temperature of every unit and day."""
    day = (time - time.astype("datetime64[Y]").astype("datetime64[D]")).astype(int) + 1
    top = extraterrestrial_radiation(latitude[:, None], day[None])
    dims = ("unit", "time")
    tmax, tmin, rain = (weather[name].transpose(*dims).values.astype(np.float64) for name in _DAILY)
    more = ("radiation_MJ_m2", "dewpoint_degC", "wind_m_s")
    sun, dewpoint, wind = (weather[n].transpose(*dims).values if n in weather else None for n in more)
    et0 = reference(tmax, tmin, top, sun, dewpoint, wind)
    warmth = (array.astype(np.float32) for array in (tmax, tmin))  # half the memory: 5,570 places x 20 years
    return DailyWeather(time[0], et0, rain, *warmth)


def _clay(static: xr.Dataset) -> Floats:
    """(municipality,) clay of the soil, mean over the layers, %; NaN where unknown."""
    if "clay_pct" not in static:
        return np.full(static.sizes["municipality"], np.nan)
    return _layer_mean(static["clay_pct"])


def _soil(static: xr.Dataset) -> Floats:
    """(municipality, property) all properties of the soil by name, means over the layers."""
    names = sorted(str(name) for name in static.data_vars if "soil_layer" in static[name].dims)
    means = [_layer_mean(static[name]) for name in names]
    return np.stack(means, axis=1) if means else np.empty((static.sizes["municipality"], 0))


def _monthly(tables: Tables) -> MonthlyWeather:
    """Temperatures and the root of the rain, whose distribution is more even, of every municipality."""
    weather = tables.weather.reindex(municipality=tables.static["municipality"].values)
    values = np.stack(
        [weather[name].transpose("municipality", "time").values.astype(np.float64) for name in _DAILY], axis=2
    )
    values[..., 2] = np.sqrt(np.maximum(values[..., 2], 0.0))
    return MonthlyWeather(weather["time"].values[0].astype("datetime64[M]"), values)


def _layer_mean(layers: xr.DataArray) -> Floats:
    values = layers.transpose("municipality", "soil_layer").values.astype(np.float64)
    known = np.isfinite(values)
    total = np.where(known, values, 0.0).sum(axis=1)
    return np.where(known.any(axis=1), total / np.maximum(known.sum(axis=1), 1), np.nan)
