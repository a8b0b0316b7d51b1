"""Two forecasts of one season beside each other: what moved, where, and what arrived in between."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.errors import ConfigError

_LOW, _MEDIAN, _HIGH = 0.05, 0.5, 0.95  # the 90 % interval and its middle
_SO_FAR = ("rain_so_far_pct", "tmax_so_far_anomaly_degC")
_SAME_kg_ha = 0.5  # numbers are shown as whole kg/ha
# name in the comparison -> units, what it is
MOVED = {
    "median_change_kg_ha": ("kg/ha", "change of the median"),
    "width_change_kg_ha": ("kg/ha", "change of the width of the 90 % interval"),
    "probability_low_change": ("1", "change of the probability of a low yield"),
    "observed_share_change": ("1", "change of the share of the season that is observed"),
    "rain_so_far_change_pct": ("%", "change of the rain so far, in percent of the usual"),
    "tmax_so_far_change_degC": ("degC", "change of the departure of the maximum temperature so far"),
}


@dataclass(frozen=True)
class NewData:
    """What the later forecast was made from and the earlier one was not.

    Args:
        weather: months ("2017-08") that became known, with the share of municipalities (0..1) whose season
            holds them.
        yields: harvest years that became public.
        run: identity of the run before and after, where it is another one.
        scenarios: likewise the kind of weather scenarios.
        revised: of "weather", "yields", "places": other contents although nothing newer arrived.
    """

    weather: dict[str, float]
    yields: tuple[int, ...]
    run: tuple[str, str] | None
    scenarios: tuple[str, str] | None
    revised: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.weather or self.yields or self.run or self.scenarios or self.revised)


@dataclass(frozen=True)
class MunicipalityChange:
    """A municipality whose forecast moved, with the weather of its season so far.

    Args:
        code, name, state: of the municipality.
        median_kg_ha, change_kg_ha: of the later forecast, and its departure from the earlier one.
        rain_pct, tmax_degC: rain so far in percent of the usual and departure of the maximum temperature,
            (before, now); None where nothing of the season was observed.
    """

    code: str
    name: str
    state: str
    median_kg_ha: float
    change_kg_ha: float
    rain_pct: tuple[float | None, float | None]
    tmax_degC: tuple[float | None, float | None]


@dataclass(frozen=True)
class AggregateChange:
    """An aggregate in both forecasts.

    Args:
        name: `forecast_table.ALL_MUNICIPALITIES` or a state.
        median_kg_ha, change_kg_ha, change_pct: median of the later one and its departure.
        width_kg_ha, width_change_kg_ha: likewise of the 90 % interval.
        observed_share, observed_share_change: likewise of the share of the season that is observed.
    """

    name: str
    median_kg_ha: float
    change_kg_ha: float
    change_pct: float | None
    width_kg_ha: float
    width_change_kg_ha: float
    observed_share: float
    observed_share_change: float


@dataclass(frozen=True)
class Comparison:
    """What `compare` found.

    Args:
        crop, harvest_year, synthetic: of both forecasts.
        before, now: their dates (as_of).
        arrived: what was new.
        aggregates: whole country first.
        municipalities: the variables of `MOVED`, dim municipality (that of the later forecast), NaN where
            one of the two has no value; coordinates code, name, state and median_kg_ha of the later one.
        gone: codes that only the earlier one has.
    """

    crop: str
    harvest_year: int
    synthetic: bool
    before: str
    now: str
    arrived: NewData
    aggregates: tuple[AggregateChange, ...]
    municipalities: xr.Dataset
    gone: tuple[str, ...]

    def movers(self, direction: int, count: int = 3) -> list[MunicipalityChange]:
        """The municipalities that moved the whole most: by change x planted area.

        Args:
            direction: 1 for rises, -1 for falls.
            count: at most.
        """
        ds = self.municipalities
        change = np.nan_to_num(ds["median_change_kg_ha"].values.astype(np.float64))
        area = ds["area_planted_ha"].values.astype(np.float64)
        # A place without a known area counts nothing, unless none has one.
        weight = np.nan_to_num(area) if np.isfinite(area).any() else np.ones_like(area)
        score = np.where(direction * change >= _SAME_kg_ha, direction * change * weight, 0.0)
        order = np.argsort(-score, kind="stable")[:count]
        return [_mover(ds.isel(municipality=int(i))) for i in order if score[i] > 0]

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values, None for what is not there; municipalities by column."""
        ds = self.municipalities
        columns: dict[str, list[Any]] = {n: ds[n].values.tolist() for n in ("code", "name", "state")}
        for name in ("median_kg_ha", *MOVED):
            digits = 1 if name.endswith("kg_ha") else 4
            values = np.round(ds[name].values.astype(np.float64), digits).tolist()
            columns[name] = [None if np.isnan(value) else value for value in values]
        return {
            "crop": self.crop, "harvest_year": self.harvest_year, "synthetic": self.synthetic,
            "previous_as_of": self.before, "as_of": self.now, "arrived": asdict(self.arrived),
            "aggregates": [asdict(row) for row in self.aggregates],
            "up": [asdict(mover) for mover in self.movers(1, 10)],
            "down": [asdict(mover) for mover in self.movers(-1, 10)],
            "gone": list(self.gone), "municipalities": columns,
        }  # fmt: skip


def compare(previous: xr.Dataset, current: xr.Dataset) -> Comparison:
    """Set an earlier forecast of the same season beside a later one.

    Args:
        previous, current: tables of `forecast_table.check_forecast`.

    Raises:
        ConfigError: they are of another crop or season, or in the wrong order.
    """
    old, new = (f"{ds.attrs['crop']} {ds.attrs['harvest_year']}" for ds in (previous, current))
    if old != new:
        raise ConfigError(f"expected two forecasts of one season, received {old} and {new}")
    before, now = str(previous.attrs["as_of"]), str(current.attrs["as_of"])
    if before > now:
        raise ConfigError(f"expected the earlier forecast first, received {before} before {now}")
    codes = current["municipality"].values
    gone = ~np.isin(previous["municipality"].values, codes)
    return Comparison(
        str(current.attrs["crop"]), int(current.attrs["harvest_year"]),
        bool(previous.attrs["synthetic"]) or bool(current.attrs["synthetic"]), before, now,
        _arrived(previous, current), _aggregates(previous, current), _municipalities(previous, current),
        tuple(map(str, previous["code"].values[gone].tolist())),
    )  # fmt: skip


def _arrived(previous: xr.Dataset, current: xr.Dataset) -> NewData:
    old, new = previous.attrs, current.attrs
    weather = {
        str(month): round(_in_season(current, month), 4)
        for month in _months(str(old["weather_known_to"]), str(new["weather_known_to"]))
    }
    years = range(int(old["last_public_harvest_year"]) + 1, int(new["last_public_harvest_year"]) + 1)
    was, is_now = json.loads(str(old["inputs"])), json.loads(str(new["inputs"]))
    newer = {"weather": bool(weather), "yields": bool(years), "places": False}
    revised = [name for name, told in newer.items() if not told and was.get(name) != is_now.get(name)]

    def other(name: str) -> tuple[str, str] | None:
        return (str(old[name]), str(new[name])) if old[name] != new[name] else None

    return NewData(weather, tuple(years), other("run_id"), other("scenarios"), tuple(revised))


def _months(before: str, now: str) -> NDArray[np.datetime64]:
    """The months after `before` up to `now`; only the newest where nothing was known before."""
    if not now:
        return np.array([], "M8[M]")
    last = np.datetime64(now, "M")
    return np.arange(np.datetime64(before, "M") + 1 if before else last, last + 1)


def _in_season(forecast: xr.Dataset, month: np.datetime64) -> float:
    start, end = (forecast[f"window_{edge}"].values.astype("datetime64[M]") for edge in ("start", "end"))
    return float(((start <= month) & (month <= end)).mean())


def _width(ds: xr.Dataset, name: str) -> xr.DataArray:
    return _quantile(ds, name, _HIGH) - _quantile(ds, name, _LOW)


def _quantile(ds: xr.Dataset, name: str, level: float) -> xr.DataArray:
    return ds[name].sel(quantile=level, method="nearest", tolerance=1e-6).drop_vars("quantile")


def _municipalities(previous: xr.Dataset, current: xr.Dataset) -> xr.Dataset:
    codes = current["municipality"]
    own = ["yield_kg_ha", "probability_low", "observed_share", *_SO_FAR]
    old = previous[own].reset_coords(drop=True).reindex(municipality=codes)
    was, median = (_quantile(ds, "yield_kg_ha", _MEDIAN) for ds in (old, current))
    moved = {
        "median_change_kg_ha": median - was,
        "width_change_kg_ha": _width(current, "yield_kg_ha") - _width(old, "yield_kg_ha"),
        "probability_low_change": current["probability_low"] - old["probability_low"],
        "observed_share_change": current["observed_share"] - old["observed_share"],
        "rain_so_far_change_pct": current[_SO_FAR[0]] - old[_SO_FAR[0]],
        "tmax_so_far_change_degC": current[_SO_FAR[1]] - old[_SO_FAR[1]],
    }
    ds = xr.Dataset(
        {
            name: ("municipality", moved[name].values, {"units": units, "long_name": text})
            for name, (units, text) in MOVED.items()
        },
        coords={"municipality": codes.values},
    )
    beside = {name: current[name].values for name in ("code", "name", "state", "area_planted_ha", *_SO_FAR)}
    beside |= {f"{name}_before": old[name].values for name in _SO_FAR}
    beside["median_kg_ha"] = median.values
    return ds.assign_coords({name: ("municipality", values) for name, values in beside.items()})


def _mover(one: xr.Dataset) -> MunicipalityChange:
    def value(name: str) -> float | None:
        number = float(one[name])
        return None if np.isnan(number) else round(number, 2)

    rain, tmax = ((value(f"{name}_before"), value(name)) for name in _SO_FAR)
    return MunicipalityChange(
        str(one["code"].item()), str(one["name"].item()), str(one["state"].item()),
        round(float(one["median_kg_ha"]), 1), round(float(one["median_change_kg_ha"]), 1), rain, tmax,
    )  # fmt: skip


def _aggregates(previous: xr.Dataset, current: xr.Dataset) -> tuple[AggregateChange, ...]:
    there = set(previous["aggregate"].values.tolist())
    names = [str(name) for name in current["aggregate"].values.tolist() if name in there]
    return tuple(_moved(name, previous.sel(aggregate=name), current.sel(aggregate=name)) for name in names)


def _moved(name: str, old: xr.Dataset, new: xr.Dataset) -> AggregateChange:
    was, median = (float(_quantile(ds, "aggregate_yield_kg_ha", _MEDIAN)) for ds in (old, new))
    before, width = (float(_width(ds, "aggregate_yield_kg_ha")) for ds in (old, new))
    seen, share = (float(ds["aggregate_observed_share"]) for ds in (old, new))
    return AggregateChange(
        name, round(median, 1), round(median - was, 1), round(100 * (median / was - 1), 2) if was else None,
        round(width, 1), round(width - before, 1), round(share, 4), round(share - seen, 4),
    )  # fmt: skip
