"""Plans for every table that can be fetched: its requests, and how the table is made from the answers."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import xarray as xr

from data_fetchers import conab
from data_fetchers.cds.client import Cds
from data_fetchers.engine.cache import Request, RequestCache
from data_fetchers.engine.downloader import DownloadPlan
from data_fetchers.engine.source import Note, Source
from data_fetchers.era5 import days as era5_days
from data_fetchers.era5 import table as era5_table
from data_fetchers.era5.answers import form_of
from data_fetchers.era5.source import Era5
from data_fetchers.fetching import continuing
from data_fetchers.fetching.areas import area_of, days_offset_h
from data_fetchers.fetching.merging import (
    merge_daily,
    merge_places,
    merge_soil,
    merge_weather,
    merge_yields,
)
from data_fetchers.fetching.order import DAILY, FetchContext, TableBuilt, TablePlan
from data_fetchers.fetching.provenance import existing_table, imported_part, same_source, weather_where
from data_fetchers.ibge import lspa, pam, places
from data_fetchers.ibge import source as ibge
from data_fetchers.nasa_power import days as power_days
from data_fetchers.nasa_power import source as nasa_power
from data_fetchers.seas5 import source as seas5
from data_fetchers.seas5.answers import SYSTEMS
from data_fetchers.soilgrids import source as soilgrids
from data_fetchers.soilgrids import table as soil_table
from yieldcast.data.store import ESTIMATE_SOURCES
from yieldcast.errors import MissingDataError


def _provenance(source: Source, **more: Any) -> dict[str, Any]:
    text = {"source": source.name, "licence": source.licence, "attribution": source.attribution}
    return {**text, **more}


def plan_places(context: FetchContext) -> TablePlan:
    """Plan for places, centroids and boundaries."""
    source = ibge.Ibge()
    codes = places.state_codes(context.order.states)
    cache = context.cache(source)

    def build() -> TableBuilt:
        static, notes = places.read_places(cache, source, context.order.states)
        mesh, more = places.read_mesh(cache, source, context.order.states)
        static, moved = merge_places(existing_table(context, "places"), static)
        if moved:
            more.append(Note("places", "moved by IBGE: fetch their soil again", moved))
        text = json.dumps(_merge_mesh(context.mesh(), mesh), ensure_ascii=False, sort_keys=True)
        return TableBuilt({"static": static}, {"places": _provenance(source)}, [*notes, *more], mesh=text)

    return TablePlan("places", source, [*source.place_requests(), *source.mesh_requests(codes)], build)


def _merge_mesh(old: dict[str, Any] | None, new: dict[str, Any]) -> dict[str, Any]:
    # as numbers: IBGE's codes are texts, those of imported boundaries are not
    features = {int(f["properties"]["code"]): f for f in (old or {"features": []})["features"]}
    features |= {int(f["properties"]["code"]): f for f in new["features"]}
    return {**new, "features": [features[code] for code in sorted(features)]}


def yield_metadata(context: FetchContext) -> DownloadPlan:
    """Requests needed before yields can be planned: labels, periods and places of SIDRA, and Localidades."""
    source = ibge.Ibge()
    return source, [*source.place_requests(), *source.metadata_requests(context.order.crops)]


def plan_yields(context: FetchContext) -> TablePlan:
    """Plan for yields, areas and production of PAM."""
    order, source = context.order, ibge.Ibge()
    cache = context.cache(source)
    states = None if order.states is None else places.state_codes(order.states)
    counts = places.municipality_counts(cache, source)
    requests, notes = source.yield_requests(order.crops, order.years, states, counts, cache)
    source = source.with_periods(cache)

    def build() -> TableBuilt:
        static = context.static()
        municipalities = static["municipality"].values
        names = dict(zip(municipalities.tolist(), static["name"].values.tolist(), strict=True))
        table, notes = pam.read_yields(cache, source, requests, municipalities, names)
        provenance = _provenance(source, **_not_listed(table))
        merged = merge_yields(existing_table(context, "yields"), table, whole=not _absent(cache, requests))
        return TableBuilt({"yields": merged}, {"yields": provenance}, notes)

    return TablePlan("yields", source, requests, build, notes)


def _not_listed(yields: xr.Dataset) -> dict[str, Any]:
    """What the manifest of the store says about municipalities that PAM does not list."""
    names = str(yields.attrs.get("not_listed", "")).split(", ")
    return {"places_not_listed": {"count": len(names), "first": names[:5]}} if names != [""] else {}


def plan_weather(context: FetchContext) -> TablePlan:
    """Plan for monthly weather of ERA5, ERA5-Land or NASA POWER."""
    order, static = context.order, context.static()
    if order.weather == "nasa-power":
        power = nasa_power.NasaPower()
        requests, notes = nasa_power.weather_requests(static, order.years, context.today)

        def read() -> tuple[xr.Dataset, list[Note]]:
            return nasa_power.read_weather(context.cache(power), power, requests, static)

        return _weather_plan(context, "weather", power, requests, read, notes)
    era5, mesh = _era5(context)
    cache = context.cache(era5)
    requests, notes = era5.weather_requests(order.years, context.today, cache)
    crop = order.crop()

    def read_era5() -> tuple[xr.Dataset, list[Note]]:
        return era5_table.read_weather(cache, era5, requests, static, order.where, mesh, crop)

    return _weather_plan(context, "weather", era5, requests, read_era5, notes)


def plan_daily(context: FetchContext) -> TablePlan:
    """Plan for daily weather, from the answers of `plan_weather` and more; also of the month under way."""
    order, static = context.order, context.static()
    if order.weather == "nasa-power":
        power = nasa_power.NasaPower()
        requests = nasa_power.weather_requests(static, order.years, context.today)[0]
        requests += power_days.daily_requests(static, order.years, context.today)

        def read() -> tuple[xr.Dataset, list[Note]]:
            return power_days.read_daily(context.cache(power), power, requests, static), []

        return _weather_plan(context, DAILY, power, requests, read)
    era5, mesh = _era5(context)
    cache = context.cache(era5)
    requests = [
        *era5.weather_requests(order.years, context.today, cache)[0],
        *era5.daily_requests(order.years, context.today, cache),
    ]
    requests = [request for request in requests if form_of(request) != "month"]
    crop = order.crop()

    def read_era5() -> tuple[xr.Dataset, list[Note]]:
        return era5_days.read_daily(cache, era5, requests, static, order.where, mesh, crop)

    return _weather_plan(context, DAILY, era5, requests, read_era5)


def _weather_plan(
    context: FetchContext,
    name: str,
    source: Source,
    requests: list[Request],
    read: Callable[[], tuple[xr.Dataset, list[Note]]],
    notes: Sequence[Note] = (),
) -> TablePlan:
    """Plan for one of the two tables of weather; a table from the same source is continued."""
    table, merge = ("daily", merge_daily) if name == DAILY else ("weather", merge_weather)
    provenance = _provenance(source, **weather_where(context.order))
    if context.order.weights:  # for jobs, which continue the table
        provenance["weights_file"] = str(Path(context.order.weights).resolve())

    def build() -> TableBuilt:
        made, more = read()
        origin, old = imported_part(context, table), context.existing(table)
        if table == "weather" and origin is not None and old is not None:
            until = str(origin.get("until") or continuing.last_month(old))
            merged, compared = continuing.continue_weather(old, made, until)
            about = {**provenance, continuing.CONTINUES: {**origin, "until": until}}
            return TableBuilt({table: merged}, {table: about}, [*more, *compared])
        merged = merge(existing_table(context, table), made)
        return TableBuilt({table: merged}, {table: provenance}, more)

    return TablePlan(name, source, requests, build, list(notes))


def _era5(context: FetchContext) -> tuple[Era5, dict[str, Any] | None]:
    """ERA5 for the area of the order, and the mesh if values are means over polygons."""
    order = context.order
    mesh = context.mesh() if order.where != "centroid" else None
    area = area_of(context, context.static(), mesh)
    offset_h = days_offset_h(context.places())
    return Era5(Cds(patience_s=order.patience_s), cast(Any, order.weather), area, offset_h), mesh


def plan_soil(context: FetchContext) -> TablePlan:
    """Plan for soil of SoilGrids, which is added to the table of places."""
    order, static = context.order, context.static()
    mesh_file = context.mesh_file() if order.soil_where == "polygon" else ""
    folder = str(Path(order.soil_folder).resolve()) if order.soil_folder else ""
    source = soilgrids.SoilGrids(
        folder=folder, generation=order.soil, resolution=order.soil_resolution,
        where=order.soil_where, mesh_file=mesh_file,
    )  # fmt: skip
    provenance = _provenance(source, resolution=order.soil_resolution, where=order.soil_where)
    origin, notes = imported_part(context, "soil"), list[Note]()
    if origin is not None:  # places that the import left without soil
        names = [stored.name for stored in soil_table.VARIABLE_MAP[order.soil].values()]
        continuing.refuse_other_soil(static, names, soil_table.LAYERS[order.soil])
        held, static = static.sizes["municipality"], continuing.without_soil(static)
        provenance[continuing.CONTINUES] = origin
        notes = [Note("soil", "places keep their imported soil", held - static.sizes["municipality"])]
    requests = source.soil_requests(static, context.mesh() if mesh_file else None)
    cache = context.cache(source)
    source.refuse_absent([request for request in requests if cache.verified(request) is None])

    def build() -> TableBuilt:
        codes = static["municipality"].values
        soil, notes = soil_table.read_soil(cache, source, requests, codes)
        existing = context.places()
        if origin is not None:
            merged = continuing.continue_soil(existing, soil)
        else:
            merged = merge_soil(existing, soil, keep=same_source(context, "soil"))
        return TableBuilt({"static": merged}, {"soil": provenance}, notes)

    return TablePlan("soil", source, requests, build, notes)


def plan_seasonal(context: FetchContext) -> TablePlan:
    """Plan for forecasts of SEAS5 with their hindcasts."""
    order, existing = context.order, context.existing("seasonal")
    systems: dict[str, int] = {}
    if existing is not None:  # a start that is not ordered keeps its system
        starts = existing["forecast_reference_time"].values.astype("datetime64[M]").astype(str).tolist()
        systems = dict(zip(starts, existing["start_system"].values.tolist(), strict=True))
    kept = [np.datetime64(start, "M") for start in systems]
    ordered = [str(start.astype("datetime64[M]")) for start in order.starts]
    systems = {start: number for start, number in systems.items() if start not in ordered}
    systems |= dict.fromkeys(ordered, order.seasonal_system) if order.seasonal_system else {}
    source = seas5.Seas5(
        Cds(patience_s=order.patience_s), area_of(context, context.places(), None),
        systems=tuple(sorted(systems.items())),
    )  # fmt: skip
    cache = context.cache(source)
    starts = sorted({*kept, *order.starts})
    requests, notes = source.seasonal_requests(starts, context.today)
    if not starts:
        notes.append(Note("seasonal", "no start month given, and none of SEAS5 within the years", 1))

    def build() -> TableBuilt:
        # All places of the store, not only the ordered states, because the whole table is made again.
        static = context.places()
        needed = {start: source.seasonal_requests([start], context.today)[0] for start in kept}
        lost = [start for start, some in needed.items() if _absent(cache, some)]
        if lost:
            raise MissingDataError(
                f"seasonal forecasts in the store cannot be made again without their cached answers: {lost}",
                "Fetch them again, with --starts.",
            )
        table, notes = seas5.read_seasonal(cache, source, starts, static, context.today)
        return TableBuilt({"seasonal": table}, {"seasonal": _provenance(source)}, notes)

    return TablePlan("seasonal", source, requests, build, notes)


def plan_surveys(context: FetchContext) -> TablePlan:
    """Plan for CONAB's surveys by state, for comparison: ``surveys.csv`` in the store."""
    source = conab.Conab()
    requests = conab.survey_requests()

    def build() -> TableBuilt:
        frame, notes = conab.read_surveys(context.cache(source), source, requests)
        return TableBuilt({}, {"surveys": _provenance(source)}, notes, surveys=frame.to_csv(index=False))

    return TablePlan("surveys", source, requests, build)


def estimate_metadata(context: FetchContext) -> DownloadPlan:
    """Requests needed before estimates of LSPA can be planned: labels and periods of its table."""
    source = ibge.Ibge()
    return source, source.estimate_metadata()


def plan_lspa(context: FetchContext) -> TablePlan:
    """Plan for IBGE's monthly estimates by state (LSPA)."""
    order, source = context.order, ibge.Ibge()
    cache = context.cache(source)
    requests, notes = source.estimate_requests(order.crops, order.years, cache)
    source = source.with_periods(cache)

    def build() -> TableBuilt:
        table, notes = lspa.read_estimates(cache, requests, _states(context))
        provenance = _provenance(source, table=lspa.TABLE)
        provenance["attribution"] = "Source: IBGE (Levantamento Sistemático da Produção Agrícola)"
        return TableBuilt({"estimates": table}, {f"{ESTIMATE_SOURCES}{lspa.SOURCE}": provenance}, notes)

    return TablePlan("estimates-lspa", source, requests, build, notes)


def plan_conab(context: FetchContext) -> TablePlan:
    """Plan for the estimates of CONAB's surveys 1 to 11."""
    order, source, notes = context.order, conab.Conab(), []
    requests = [one for one in conab.survey_requests() if one.parameters["file"] == conab.SURVEYS]
    if order.years and max(order.years) < conab.FIRST_SURVEYED:
        text = f"CONAB's surveys begin with harvest year {conab.FIRST_SURVEYED}"
        requests, notes = [], [Note("estimates", text, 1)]

    def build() -> TableBuilt:
        table, notes = conab.read_estimates(
            context.cache(source), source, requests, order.crops, order.years, _states(context)
        )
        tables = {} if table is None else {"estimates": table}
        sources = {} if table is None else {f"{ESTIMATE_SOURCES}{source.name}": _provenance(source)}
        return TableBuilt(tables, sources, notes)

    return TablePlan("estimates-conab", source, requests, build, notes)


def _states(context: FetchContext) -> list[str]:
    """Abbreviations of the ordered states of the store."""
    return sorted(set(context.static()["state"].values.tolist()))


PLANS: Mapping[str, Callable[[FetchContext], TablePlan]] = {
    "yields": plan_yields,
    "weather": plan_weather,
    DAILY: plan_daily,
    "soil": plan_soil,
    "seasonal": plan_seasonal,
    "surveys": plan_surveys,
    "estimates-lspa": plan_lspa,
    "estimates-conab": plan_conab,
}


def _absent(cache: RequestCache, requests: Sequence[Request]) -> list[Request]:
    """Requests without a complete stored answer."""
    return [request for request in requests if not cache.complete(request)]


def seasonal_default(years: Sequence[int], today: dt.date) -> tuple[np.datetime64, ...]:
    """The newest start month published on `today` and within the years; none before SEAS5 began."""
    newest = seas5.newest_start(today)
    start = min(newest, np.datetime64(f"{max(years)}-12")) if years else newest
    return (start,) if start >= np.datetime64(SYSTEMS[0][0]) else ()
