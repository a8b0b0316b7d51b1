"""What can be fetched: for each target the parts it needs, and the table that they become."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from rasterio.features import bounds

from data_fetchers import conab, nasa_power
from data_fetchers.cds.client import Cds
from data_fetchers.engine.cache import Request, RequestCache
from data_fetchers.engine.downloader import DownloadPlan
from data_fetchers.engine.source import Note, Source
from data_fetchers.era5 import table as era5_table
from data_fetchers.era5.source import Era5
from data_fetchers.fetching.merging import merge_places, merge_soil, merge_weather, merge_yields
from data_fetchers.fetching.order import FetchContext, FetchOrder, TableBuilt, TablePlan
from data_fetchers.fetching.provenance import held, same
from data_fetchers.ibge import pam, places
from data_fetchers.ibge import source as ibge
from data_fetchers.seas5 import source as seas5
from data_fetchers.seas5.answers import SYSTEMS
from data_fetchers.soilgrids import source as soilgrids
from data_fetchers.soilgrids import table as soil_table
from yieldcast.errors import MissingDataError

Area = tuple[float, float, float, float]
# From Roraima to Rio Grande do Sul and from Acre to Fernando de Noronha (32.4 W), in whole degrees.
BRAZIL: Area = (6.0, -74.0, -34.0, -32.0)


def _about(source: Source, **more: Any) -> dict[str, Any]:
    text = {"source": source.name, "licence": source.licence, "attribution": source.attribution}
    return {**text, **more}


def plan_places(context: FetchContext) -> TablePlan:
    """Places, centroids and boundaries."""
    source = ibge.Ibge()
    codes = places.state_codes(context.order.states)
    shelf = context.shelf(source)

    def build() -> TableBuilt:
        static, notes = places.read_places(shelf, source, context.order.states)
        mesh, more = places.read_mesh(shelf, source, context.order.states)
        static, moved = merge_places(held(context, "places"), static)
        if moved:
            more.append(Note("places", "moved by IBGE: fetch their soil again", moved))
        text = json.dumps(_merge_mesh(context.mesh(), mesh), ensure_ascii=False, sort_keys=True)
        return TableBuilt({"static": static}, {"places": _about(source)}, [*notes, *more], mesh=text)

    return TablePlan("places", source, [*source.place_parts(), *source.mesh_parts(codes)], build)


def _merge_mesh(old: dict[str, Any] | None, new: dict[str, Any]) -> dict[str, Any]:
    features = {f["properties"]["code"]: f for f in (old or {"features": []})["features"]}
    features |= {f["properties"]["code"]: f for f in new["features"]}
    return {**new, "features": [features[code] for code in sorted(features)]}


def table_requests(context: FetchContext) -> DownloadPlan:
    """What yields need before they can be planned: SIDRA's labels and years, and IBGE's list of places."""
    source = ibge.Ibge()
    return source, [*source.place_parts(), *source.table_requests(context.order.crops)]


def plan_yields(context: FetchContext) -> TablePlan:
    """PAM yields, areas and production."""
    order, source = context.order, ibge.Ibge()
    shelf = context.shelf(source)
    about = _about(source)
    states = None if order.states is None else places.state_codes(order.states)
    counts = places.municipality_counts(shelf, source)
    parts, notes = source.yield_parts(order.crops, order.years, states, counts, shelf)
    source = source.with_periods(shelf)

    def build() -> TableBuilt:
        municipalities = context.static()["municipality"].values
        table, notes = pam.read_yields(shelf, source, parts, municipalities)
        merged = merge_yields(held(context, "yields"), table, whole=not _absent(shelf, parts))
        return TableBuilt({"yields": merged}, {"yields": about}, notes)

    return TablePlan("yields", source, parts, build, notes)


def plan_weather(context: FetchContext) -> TablePlan:
    """Monthly weather of ERA5, ERA5-Land or NASA POWER."""
    order, static = context.order, context.static()
    if order.weather == "nasa-power":
        power = nasa_power.NasaPower()
        about = _about(power, where="centroid")
        parts, notes = nasa_power.weather_requests(static, order.years, context.today)

        def build_power() -> TableBuilt:
            table, notes = nasa_power.read_weather(context.shelf(power), power, parts, static)
            merged = merge_weather(held(context, "weather"), table)
            return TableBuilt({"weather": merged}, {"weather": about}, notes)

        return TablePlan("weather", power, parts, build_power, notes)
    mesh = context.mesh() if order.where == "polygon" else None
    area = area_of(order, static, mesh)
    era5 = Era5(Cds(patience_s=order.patience_s), dataset=order.weather, area=area)
    about = _about(era5, where=order.where)
    shelf = context.shelf(era5)
    parts, notes = era5.weather_requests(order.years, context.today, shelf)

    def build() -> TableBuilt:
        table, notes = era5_table.read_weather(shelf, era5, parts, static, order.where, mesh)
        merged = merge_weather(held(context, "weather"), table)
        return TableBuilt({"weather": merged}, {"weather": about}, notes)

    return TablePlan("weather", era5, parts, build, notes)


def plan_soil(context: FetchContext) -> TablePlan:
    """SoilGrids, into the table of places."""
    order, static = context.order, context.static()
    mesh_file = context.mesh_file() if order.where == "polygon" else ""
    folder = str(Path(order.soil_folder).resolve()) if order.soil_folder else ""
    source = soilgrids.SoilGrids(
        folder=folder, generation=order.soil, resolution=order.soil_resolution,
        where=order.where, mesh_file=mesh_file,
    )  # fmt: skip
    about = _about(source, resolution=order.soil_resolution, where=order.where)
    parts = source.soil_parts(static, context.mesh() if mesh_file else None)
    shelf = context.shelf(source)
    source.refuse_absent([part for part in parts if shelf.verified(part) is None])

    def build() -> TableBuilt:
        codes = static["municipality"].values
        soil, notes = soil_table.read_soil(shelf, source, parts, codes)
        existing = context.existing("static")
        merged = merge_soil(existing, soil, keep=same(context, "soil"))
        return TableBuilt({"static": merged}, {"soil": about}, notes)

    return TablePlan("soil", source, parts, build)


def plan_seasonal(context: FetchContext) -> TablePlan:
    """SEAS5 forecasts with their hindcasts."""
    source = seas5.Seas5(Cds(patience_s=context.order.patience_s), area=BRAZIL)
    shelf = context.shelf(source)
    existing = context.existing("seasonal")
    times = existing["forecast_reference_time"].values if existing is not None else np.array([], "M8[M]")
    kept = list(times.astype("datetime64[M]"))
    starts = sorted({*kept, *context.order.starts})
    parts, notes = source.seasonal_parts(starts, context.today)
    if not starts:
        notes.append(Note("seasonal", "no start asked for, and none of SEAS5 within the years", 1))

    def build() -> TableBuilt:
        # All places of the store, whatever the order's states: the table is made anew from its parts.
        static = context.places()
        lost = [start for start in kept if _absent(shelf, source.seasonal_parts([start], context.today)[0])]
        if lost:
            raise MissingDataError(
                f"seasonal forecasts in the store cannot be made again, their parts are gone: {lost}",
                "Fetch them again, with --starts.",
            )
        table, notes = seas5.read_seasonal(shelf, source, starts, static, context.today)
        return TableBuilt({"seasonal": table}, {"seasonal": _about(source)}, notes)

    return TablePlan("seasonal", source, parts, build, notes)


def plan_surveys(context: FetchContext) -> TablePlan:
    """CONAB's national series by state, for comparison: ``surveys.csv`` in the store."""
    source = conab.Conab()
    parts = conab.survey_parts()

    def build() -> TableBuilt:
        frame, notes = conab.read_surveys(context.shelf(source), source, parts)
        return TableBuilt({}, {"surveys": _about(source)}, notes, surveys=frame.to_csv(index=False))

    return TablePlan("surveys", source, parts, build)


def area_of(order: FetchOrder, static: xr.Dataset, mesh: dict[str, Any] | None) -> Area:
    """The box to ask for: north, west, south, east, in whole degrees.

    All of Brazil is always the same box, so that its requests stay the same when a place is added. Of some
    states only their own box is asked for, with all of their boundaries where those are averaged over: the
    service works as long on it, but sends less.
    """
    if order.states is None:
        return BRAZIL
    corners = [np.stack([static["longitude_deg"].values, static["latitude_deg"].values], axis=1)]
    if mesh is not None:
        inside = set(static["code"].values.tolist())
        for feature in mesh["features"]:
            if feature["properties"]["code"] in inside and feature["geometry"]:
                west, south, east, north = bounds(feature["geometry"])
                corners.append(np.array([[west, south], [east, north]]))
    points = np.concatenate(corners)
    (west, south), (east, north) = np.floor(points.min(axis=0)) - 1, np.ceil(points.max(axis=0)) + 1
    return float(north), float(west), float(south), float(east)


PLANS: Mapping[str, Callable[[FetchContext], TablePlan]] = {
    "yields": plan_yields,
    "weather": plan_weather,
    "soil": plan_soil,
    "seasonal": plan_seasonal,
    "surveys": plan_surveys,
}


def _absent(shelf: RequestCache, parts: Sequence[Request]) -> list[Request]:
    """Parts of which no file is here, or only some of those that they were split into."""
    return [part for part in parts if not shelf.complete(part)]


def seasonal_default(years: Sequence[int], today: dt.date) -> tuple[np.datetime64, ...]:
    """The newest start that is out on `today` and lies within the years; none before SEAS5 began."""
    newest = seas5.newest_start(today)
    start = min(newest, np.datetime64(f"{max(years)}-12")) if years else newest
    return (start,) if start >= np.datetime64(SYSTEMS[0][0]) else ()
