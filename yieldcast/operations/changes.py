"""Compare two forecasts of one season: what changed, where, and which data were new."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.errors import ConfigError
from yieldcast.operations.changes_parts import PartChanges, compare_parts
from yieldcast.reporting.labels import season

_LOW, _MEDIAN, _HIGH = 0.05, 0.5, 0.95  # quantile levels: the ends of the 90 % interval, and the median
_SO_FAR = ("rain_so_far_pct", "tmax_so_far_anomaly_degC")
_SAME_kg_ha = 0.5  # numbers are shown as whole kg/ha
# variables of the comparison of municipalities -> units, meaning
MUNICIPALITY_VARIABLES = {
    "median_change_kg_ha": ("kg/ha", "change of the median"),
    "width_change_kg_ha": ("kg/ha", "change of the width of the 90 % interval"),
    "probability_low_change": ("1", "change of the probability of a low yield"),
    "observed_share_change": ("1", "change of the observed share of the season"),
    "rain_so_far_change_pct": ("%", "change of the rain so far, in percent of the mean of the known years"),
    "tmax_so_far_change_degC": ("degC", "change of the anomaly of the maximum temperature so far"),
}


@dataclass(frozen=True)
class NewData:
    """Inputs of the later forecast that the earlier one did not have.

    Args:
        weather: months ("2017-08") that became public, each with the share of municipalities (0..1) whose
            season window contains it.
        yields: harvest years that became public.
        run: identities of the earlier and the later run, None if they are the same.
        scenarios: kinds of the earlier and the later weather scenarios, None if they are the same.
        revised: names among "weather", "yields", "places" whose contents changed although no newer month or
            year became public.
        estimates: months ("2018-02") of official estimates that only the later forecast used.
    """

    weather: dict[str, float]
    yields: tuple[int, ...]
    run: tuple[str, str] | None
    scenarios: tuple[str, str] | None
    revised: tuple[str, ...]
    estimates: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any(vars(self).values())

    def to_json(self) -> dict[str, Any]:
        """Plain values; estimates, which older bulletins lack, only where there are some."""
        return {name: value for name, value in asdict(self).items() if value or name != "estimates"}


@dataclass(frozen=True)
class MunicipalityChange:
    """The change of the forecast of one municipality, with the weather of its season so far.

    Args:
        code, name, state: of the municipality.
        median_kg_ha, change_kg_ha: median of the later forecast, and its change since the earlier one.
        rain_pct: rain so far in percent of the mean of the known years: (earlier, later forecast).
        tmax_degC: anomaly of the maximum temperature so far: (earlier, later forecast). Both are None where
            no month of the season was observed.
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
    """The change of the forecast of the country or of one state.

    Args:
        name: `forecasting.table.ALL_MUNICIPALITIES` or a state.
        median_kg_ha, change_kg_ha, change_pct: median of the later forecast, and its change since the
            earlier one; change_pct is None if the earlier median is 0.
        width_kg_ha, width_change_kg_ha: width of the 90 % interval, and its change.
        observed_share, observed_share_change: observed share of the season (0..1), and its change.
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
    """The result of `compare`.

    Args:
        crop, harvest_year: of both forecasts.
        season: of both, as `labels.season` writes it.
        country: attribute of the later forecast.
        synthetic: whether one of them was made from synthetic data.
        before, now: dates (as_of) of the earlier and the later forecast.
        new_data: inputs that only the later forecast had.
        aggregates: the country first, then the states that both forecasts have.
        municipalities: the variables of `MUNICIPALITY_VARIABLES`, dim municipality (that of the later
            forecast), NaN where one of the two has no value; coordinates code, name, state and median_kg_ha
            of the later forecast.
        gone: codes of municipalities that only the earlier forecast has.
        parts: change of each part of the medians; None unless both forecasts have parts.
    """

    crop: str
    harvest_year: int
    season: str
    country: str
    synthetic: bool
    before: str
    now: str
    new_data: NewData
    aggregates: tuple[AggregateChange, ...]
    municipalities: xr.Dataset
    gone: tuple[str, ...]
    parts: PartChanges | None = None

    def largest_changes(self, direction: int, count: int = 3) -> list[MunicipalityChange]:
        """The municipalities that changed the country's total most, ranked by change x planted area.

        Args:
            direction: 1 for increases, -1 for decreases.
            count: length of the list at most.
        """
        ds = self.municipalities
        change = np.nan_to_num(ds["median_change_kg_ha"].values.astype(np.float64))
        area = ds["area_planted_ha"].values.astype(np.float64)
        # A municipality without a known area is left out, unless none has one.
        weight = np.nan_to_num(area) if np.isfinite(area).any() else np.ones_like(area)
        score = np.where(direction * change >= _SAME_kg_ha, direction * change * weight, 0.0)
        order = np.argsort(-score, kind="stable")[:count]
        return [_municipality_change(ds.isel(municipality=int(i))) for i in order if score[i] > 0]

    def to_json(self) -> dict[str, Any]:
        """Contents of changes.json: plain values, None where missing; municipalities by column."""
        ds = self.municipalities
        columns: dict[str, list[Any]] = {n: ds[n].values.tolist() for n in ("code", "name", "state")}
        for name in ("median_kg_ha", *MUNICIPALITY_VARIABLES):
            digits = 1 if name.endswith("kg_ha") else 4
            values = np.round(ds[name].values.astype(np.float64), digits).tolist()
            columns[name] = [None if np.isnan(value) else value for value in values]
        parts = {} if self.parts is None else {"parts": self.parts.to_json()}
        return {
            "crop": self.crop, "harvest_year": self.harvest_year, "synthetic": self.synthetic,
            "previous_as_of": self.before, "as_of": self.now, "arrived": self.new_data.to_json(),
            "aggregates": [asdict(row) for row in self.aggregates],
            "up": [asdict(change) for change in self.largest_changes(1, 10)],
            "down": [asdict(change) for change in self.largest_changes(-1, 10)],
            "gone": list(self.gone), "municipalities": columns, **parts,
        }  # fmt: skip


def compare(previous: xr.Dataset, current: xr.Dataset) -> Comparison:
    """Compare an earlier forecast with a later one of the same season.

    Args:
        previous, current: tables as `forecasting.table.check_forecast` checks them.

    Raises:
        ConfigError: the crops or harvest years differ, or `previous` is the later one.
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
        str(current.attrs["crop"]), int(current.attrs["harvest_year"]), season(current),
        str(current.attrs["country"]),
        bool(previous.attrs["synthetic"]) or bool(current.attrs["synthetic"]), before, now,
        _new_data(previous, current), _aggregates(previous, current), _municipalities(previous, current),
        tuple(map(str, previous["code"].values[gone].tolist())), compare_parts(previous, current),
    )  # fmt: skip


def _new_data(previous: xr.Dataset, current: xr.Dataset) -> NewData:
    old, new = previous.attrs, current.attrs
    weather = {
        str(month): round(_in_season(current, month), 4)
        for month in _months(str(old["weather_known_to"]), str(new["weather_known_to"]))
    }
    years = range(int(old["last_public_harvest_year"]) + 1, int(new["last_public_harvest_year"]) + 1)
    was, is_now = json.loads(str(old["inputs"])), json.loads(str(new["inputs"]))
    newer = {"weather": bool(weather), "yields": bool(years), "places": False}
    revised = [name for name, is_new in newer.items() if not is_new and was.get(name) != is_now.get(name)]

    def other(name: str) -> tuple[str, str] | None:
        return (str(old[name]), str(new[name])) if old[name] != new[name] else None

    months = sorted(_estimates(current) - _estimates(previous))
    return NewData(weather, tuple(years), other("run_id"), other("scenarios"), tuple(revised), tuple(months))


def _estimates(forecast: xr.Dataset) -> set[str]:
    """Months of the official estimates that a forecast used."""
    if "official_reference" not in forecast:
        return set()
    return set(forecast["official_reference"].values.astype(str).tolist()) - {""}


def _months(before: str, now: str) -> NDArray[np.datetime64]:
    """The months after `before` up to `now`; only `now` if no month was known before."""
    if not now:
        return np.array([], "M8[M]")
    last = np.datetime64(now, "M")
    return np.arange(np.datetime64(before, "M") + 1 if before else last, last + 1)


def _in_season(forecast: xr.Dataset, month: np.datetime64) -> float:
    """Share of the municipalities whose season window contains the month."""
    start, end = (forecast[f"window_{edge}"].values.astype("datetime64[M]") for edge in ("start", "end"))
    return float(((start <= month) & (month <= end)).mean())


def _width(ds: xr.Dataset, name: str) -> xr.DataArray:
    return _quantile(ds, name, _HIGH) - _quantile(ds, name, _LOW)


def _quantile(ds: xr.Dataset, name: str, level: float) -> xr.DataArray:
    return ds[name].sel(quantile=level, method="nearest", tolerance=1e-6).drop_vars("quantile")


def _municipalities(previous: xr.Dataset, current: xr.Dataset) -> xr.Dataset:
    codes = current["municipality"]
    compared = ["yield_kg_ha", "probability_low", "observed_share", *_SO_FAR]
    old = previous[compared].reset_coords(drop=True).reindex(municipality=codes)
    was, median = (_quantile(ds, "yield_kg_ha", _MEDIAN) for ds in (old, current))
    changes = {
        "median_change_kg_ha": median - was,
        "width_change_kg_ha": _width(current, "yield_kg_ha") - _width(old, "yield_kg_ha"),
        "probability_low_change": current["probability_low"] - old["probability_low"],
        "observed_share_change": current["observed_share"] - old["observed_share"],
        "rain_so_far_change_pct": current[_SO_FAR[0]] - old[_SO_FAR[0]],
        "tmax_so_far_change_degC": current[_SO_FAR[1]] - old[_SO_FAR[1]],
    }
    ds = xr.Dataset(
        {
            name: ("municipality", changes[name].values, {"units": units, "long_name": text})
            for name, (units, text) in MUNICIPALITY_VARIABLES.items()
        },
        coords={"municipality": codes.values},
    )
    coords = {name: current[name].values for name in ("code", "name", "state", "area_planted_ha", *_SO_FAR)}
    coords |= {f"{name}_before": old[name].values for name in _SO_FAR}
    coords["median_kg_ha"] = median.values
    return ds.assign_coords({name: ("municipality", values) for name, values in coords.items()})


def _municipality_change(one: xr.Dataset) -> MunicipalityChange:
    def value(name: str) -> float | None:
        number = float(one[name])
        return None if np.isnan(number) else round(number, 2)

    rain, tmax = ((value(f"{name}_before"), value(name)) for name in _SO_FAR)
    return MunicipalityChange(
        str(one["code"].item()), str(one["name"].item()), str(one["state"].item()),
        round(float(one["median_kg_ha"]), 1), round(float(one["median_change_kg_ha"]), 1), rain, tmax,
    )  # fmt: skip


def _aggregates(previous: xr.Dataset, current: xr.Dataset) -> tuple[AggregateChange, ...]:
    earlier = set(previous["aggregate"].values.tolist())
    names = [str(name) for name in current["aggregate"].values.tolist() if name in earlier]
    return tuple(
        _aggregate_change(name, previous.sel(aggregate=name), current.sel(aggregate=name)) for name in names
    )


def _aggregate_change(name: str, old: xr.Dataset, new: xr.Dataset) -> AggregateChange:
    was, median = (float(_quantile(ds, "aggregate_yield_kg_ha", _MEDIAN)) for ds in (old, new))
    before, width = (float(_width(ds, "aggregate_yield_kg_ha")) for ds in (old, new))
    seen, share = (float(ds["aggregate_observed_share"]) for ds in (old, new))
    return AggregateChange(
        name, round(median, 1), round(median - was, 1), round(100 * (median / was - 1), 2) if was else None,
        round(width, 1), round(width - before, 1), round(share, 4), round(share - seen, 4),
    )  # fmt: skip
