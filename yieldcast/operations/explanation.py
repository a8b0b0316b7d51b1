"""A bulletin to the explanation of one of its places: finds the run and the store that it was made from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from yieldcast.data.store import Store
from yieldcast.errors import MissingDataError, SchemaError, YieldcastError
from yieldcast.forecasting.attribution import Explanation, explain
from yieldcast.forecasting.forecast import ForecastPlan
from yieldcast.forecasting.table import QUANTILES
from yieldcast.operations.bulletins import Bulletin
from yieldcast.training.run_directory import Run

LARGEST_DIFFERENCE = 1.0  # kg/ha between the bulletin's number and the one made again
_STORES = ("STORE", "store", "data/store")
_FOLDERS_UP = 4  # a bulletin lies in BULLETINS/CROP-YEAR/DATE


@dataclass(frozen=True)
class Explained:
    """An explanation with what readers must know of the place.

    Args:
        explanation: kg/ha by variable and month.
        about: of place and bulletin, for JSON.
    """

    explanation: Explanation
    about: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        one = self.explanation
        network = None
        if one.network is not None:
            network = {
                "share": one.network_share, "difference_kg_ha": one.network.difference,
                "completeness_error_kg_ha": one.network.error,
                "steps": one.network.steps,
                "by_variable_and_month": [
                    {"variable": part.variable, "month": part.month, "kg_ha": part.kg_ha}
                    for part in one.network_alone
                ],
            }  # fmt: skip
        return {
            **self.about, "forecast_kg_ha": one.forecast_kg_ha, "usual_weather_kg_ha": one.usual_kg_ha,
            "difference_kg_ha": one.forecast_kg_ha - one.usual_kg_ha,
            "completeness_error_kg_ha": one.error_kg_ha,
            "contributions": [dict(vars(part)) for part in one.contributions],
            "by_variable_and_month": [
                {"variable": variable, "month": month, "kg_ha": value}
                for (variable, month), value in one.by_variable_and_month().items()
            ],
            "not_split_kg_ha": one.not_split(), "network_gradients": network,
        }  # fmt: skip


def explain_bulletin(path: Path, place: str, store: Path | None = None, run: Path | None = None) -> Explained:
    """Explain the forecast of one place of a bulletin.

    Args:
        path: folder of the bulletin.
        place: code of a municipality, or its name if it is the only one.
        store, run: that it was made from; None to look for them beside the bulletin and in this folder.

    Raises:
        MissingDataError: no bulletin, no such place in it, no run or store found.
        SchemaError: the bulletin is damaged, or run or store are not those that it was made from.
    """
    bulletin = Bulletin.open(path)
    forecast = bulletin.forecast()
    row = position(forecast, place)
    places = [Path(), *list(path.resolve().parents)[:_FOLDERS_UP]]
    used = _the_run(bulletin, _run_folders(bulletin, run, places))
    opened = Store.open(store if store is not None else _the_store(places))
    states = tuple(filter(None, str(forecast.attrs.get("states", "")).split(", ")))
    plan = ForecastPlan(
        used, opened, int(bulletin.manifest["harvest_year"]), bulletin.as_of,
        str(bulletin.manifest["scenarios"]), allow_stale=True, states=states,
    )  # fmt: skip
    _check_inputs(bulletin, plan)
    found = explain(plan, int(forecast["municipality"].values[row]))
    posterior = used.settings.forecast.method == "posterior"
    values = (
        forecast["yield_kg_ha"].values[:, QUANTILES.index(0.5)] if posterior else forecast["yield_mean_kg_ha"]
    )
    known = float(values[row])
    if abs(known - found.forecast_kg_ha) > LARGEST_DIFFERENCE:
        raise SchemaError(
            f"expected the forecast of the bulletin, {known:.0f} kg/ha, received {found.forecast_kg_ha:.0f} "
            "when it was made again",
            "Use the versions that made it: its attribute made_with names them.",
        )
    about = {
        name: str(forecast[name].values[row]) for name in ("code", "name", "state")
    } | {
        "crop": str(bulletin.manifest["crop"]), "harvest_year": int(bulletin.manifest["harvest_year"]),
        "as_of": bulletin.as_of.isoformat(), "statistic": "median" if posterior else "mean",
        "synthetic": bool(bulletin.manifest["synthetic"]),
    }  # fmt: skip
    return Explained(found, about)


def position(forecast: xr.Dataset, place: str) -> int:
    """Row of a place.

    Raises:
        MissingDataError: no such place in the forecast, or several of this name.
    """
    codes, names = forecast["code"].values.astype(str), forecast["name"].values.astype(str)
    found = np.flatnonzero((codes == place) | (forecast["municipality"].values.astype(str) == place))
    if not found.size:
        found = np.flatnonzero(names == place)
    if found.size != 1:
        several = ", ".join(f"{codes[k]} ({forecast['state'].values[k]})" for k in found[:5])
        raise MissingDataError(
            f"--place: expected a municipality of the bulletin, received {place!r}"
            + (f", the name of {several}" if several else ""),
            f"Give its code, for example {codes[0]}; forecast.csv of the bulletin lists all.",
        )
    return int(found[0])


def _run_folders(bulletin: Bulletin, run: Path | None, places: Iterable[Path]) -> Iterator[Path]:
    if run is not None:
        yield run
        return
    name = str(bulletin.manifest["run"])
    for place in places:
        yield from (place / name, place / "runs" / name)


def _the_run(bulletin: Bulletin, folders: Iterable[Path]) -> Run:
    """The run of a bulletin among some folders.

    Raises:
        SchemaError: there are runs, but not this one.
        MissingDataError: there is none.
    """
    others = []
    for folder in folders:
        with suppress(YieldcastError):
            found = Run.open(folder)
            if found.run_id() == bulletin.manifest["run_id"]:
                return found
            others.append(str(folder))
    hint = "Give its folder with --run."
    if others:
        raise SchemaError(
            f"expected the run {bulletin.manifest['run_id']} of the bulletin, received another one in "
            f"{', '.join(others)}",
            hint,
        )
    raise MissingDataError(f"no run {bulletin.manifest['run']} beside the bulletin or in this folder", hint)


def _the_store(places: Iterable[Path]) -> Path:
    for place in places:
        for name in _STORES:
            if (place / name / "store.json").is_file():
                return place / name
    raise MissingDataError("no store beside the bulletin or in this folder", "Give its folder with --store.")


def _check_inputs(bulletin: Bulletin, plan: ForecastPlan) -> None:
    """Refuse inputs that were not the bulletin's.

    Raises:
        SchemaError: names what differs.
    """
    now, then = plan.input_fingerprints, bulletin.input_fingerprints
    differs = [name for name in then if now.get(name) != then[name]]
    if differs:
        raise SchemaError(
            f"the bulletin was made from other inputs than these; they differ in {', '.join(differs)}",
            "Give the store and the run that it was made from, with --store and --run.",
        )
