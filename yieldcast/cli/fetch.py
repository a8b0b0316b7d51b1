"""`yieldcast fetch` and `yieldcast doctor`: the commands that open connections."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace as with_changes
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yieldcast.cli.arguments import BeforeMaps, ScreenLanguageOption, parse_months, parse_years
from yieldcast.cli.executors import dask_executor
from yieldcast.cli.fetch_pixels import FetchCommand
from yieldcast.cli.panels import DATA, Command
from yieldcast.cli.terminal import console, exit_during_fetch
from yieldcast.errors import ConfigError, FetchError

if TYPE_CHECKING:
    from data_fetchers.fetching.order import FetchOrder


class What(StrEnum):
    """Targets of `fetch`."""

    places = "places"
    yields = "yields"
    weather = "weather"
    soil = "soil"
    seasonal = "seasonal"
    surveys = "surveys"
    estimates = "estimates"
    all = "all"


class WeatherSource(StrEnum):
    """Where weather comes from."""

    era5 = "era5"
    era5_land = "era5-land"
    nasa_power = "nasa-power"


class Where(StrEnum):
    """Point or area that a municipality's weather and soil are taken from."""

    centroid = "centroid"
    polygon = "polygon"
    crop_area = "crop-area"


class Generation(StrEnum):
    """Release of SoilGrids."""

    former = "2017"
    latest = "2.0"


class Resolution(StrEnum):
    """Resolution of SoilGrids."""

    fine = "250m"
    middle = "1km"
    coarse = "5km"


def add_commands(app: typer.Typer) -> None:
    """Add `fetch` and `doctor` to the command line."""
    app.command(cls=FetchCommand, rich_help_panel=DATA)(fetch)
    app.command(cls=Command, rich_help_panel=DATA)(doctor)


def fetch(
    what: Annotated[What, typer.Argument(help="What to fetch; all: every table that is missing.")],
    store: Annotated[
        Path, typer.Option("--store", metavar="DIR", help="Folder of the store, made if needed.")
    ],
    years: Annotated[
        str | None,
        typer.Option(
            help="Calendar years of weather, harvest years of yields and estimates, e.g. 2009:2018."
        ),
    ] = None,
    crops: Annotated[
        str | None, typer.Option(help="Crops, e.g. soybean,corn; default: those with a calendar.")
    ] = None,
    states: Annotated[
        str | None,
        typer.Option(help="States, e.g. MT,GO; default: all of the store or, without places, all of Brazil."),
    ] = None,
    weather_source: Annotated[
        WeatherSource, typer.Option(help="nasa-power needs no key; the others need a key of the CDS.")
    ] = WeatherSource.era5,
    daily: Annotated[
        bool | None,
        typer.Option(
            "--daily/--no-daily",
            help="Fetch the days of the weather too, with radiation, dew point and wind; default: yes, "
            "unless the store's days come from elsewhere.",
        ),
    ] = None,
    where: Annotated[
        Where,
        typer.Option(
            help="Weather and soil at the centroid (as in the paper) or over the polygon; crop-area: weather "
            "over the cropped cells of --weights, soil over the polygon."
        ),
    ] = Where.centroid,
    weights: Annotated[
        Path | None,
        typer.Option(metavar="WEIGHTS", help="For --where crop-area: file of yieldcast crop-type mask."),
    ] = None,
    weights_before: Annotated[
        BeforeMaps,
        typer.Option(
            help="Months before the first map: refused, over the polygon, or over the cells of the first "
            "map, which was not known then (hindcasts only; outputs say so)."
        ),
    ] = BeforeMaps.refuse,
    soilgrids: Annotated[
        Generation, typer.Option(help="2017 has the paper's 63 layers, 2.0 is the latest.")
    ] = Generation.former,
    soil_resolution: Annotated[
        Resolution, typer.Option(help="Coarser grids are much faster.")
    ] = Resolution.fine,
    soil_folder: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Downloaded SoilGrids files instead of the service.")
    ] = None,
    starts: Annotated[
        str | None,
        typer.Option(
            help="Start months of seasonal forecasts, e.g. 2026-09:2026-11; default: the newest in --years."
        ),
    ] = None,
    seasonal_system: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of ECMWF's system for --starts; default: 5, and 51 from November 2022 on."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show requests, counts, sizes; fetch nothing.")
    ] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Write tables even if some requests failed.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace a table that came from another source.")
    ] = False,
    dask: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS", help="Fetch on a Dask cluster; all its workers must see the store's folder."
        ),
    ] = None,
    tries: Annotated[int, typer.Option(min=1, help="Attempts for each request.")] = 6,
    retry_wait: Annotated[
        float, typer.Option(min=0, help="Seconds before the second attempt; doubled for each one after it.")
    ] = 5.0,
    patience: Annotated[float, typer.Option(min=0, help="Hours to wait for one job at the CDS.")] = 6.0,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Fetch places, yields, weather, soil, seasonal forecasts and official estimates into a store.

    A fetch that was stopped at any moment is continued by the same command. Files that arrived and passed
    their checks are not asked for again, except preliminary months and yields that were revised; the earlier
    files of these are kept. Exit code 4 means that something is missing: run the command again later.

    Images of satellites are fetched by `yieldcast fetch pixels`, see its --help.

    Example:

        yieldcast fetch all --store STORE --years 2009:2018 --crops soybean,corn
    """
    from data_fetchers.engine.source import Retry
    from data_fetchers.fetching.fetch import fetch as run
    from yieldcast import clock
    from yieldcast.cli.progress import fetch_progress
    from yieldcast.cli.views.fetch import show_plan, show_report

    today, screen = clock.today(), console()
    order = with_changes(
        _order(what, years, crops, states, starts, today),
        weather=weather_source.value, where=where.value, soil=soilgrids.value,
        weights=str(weights or ""), weights_before=weights_before.value,
        daily=daily, seasonal_system=seasonal_system,
        soil_resolution=soil_resolution.value, soil_folder=str(soil_folder or ""),
        patience_s=patience * 3600, partial=partial, replace=replace,
    )  # fmt: skip
    if dry_run:
        return show_plan(order, store, today, screen, lang)
    retry = Retry(tries=tries, first_s=retry_wait, longest_s=max(retry_wait, 120.0))
    try:
        with dask_executor(dask) as executor, fetch_progress(screen) as progress:
            report = run(order, store, executor=executor, retry=retry, progress=progress, today=today)
    except KeyboardInterrupt:
        exit_during_fetch(screen)
    show_report(report, store, screen, lang)
    report.raise_for_missing()


def doctor(
    store: Annotated[
        Path | None,
        typer.Option("--store", metavar="DIR", help="Folder of the store to fill; its disk is checked."),
    ] = None,
    accept_licences: Annotated[
        bool,
        typer.Option("--accept-licences", help="Accept the missing data licences for your CDS account."),
    ] = False,
    live: Annotated[
        bool,
        typer.Option("--live", help="Send one small real request to each service and compare its answer."),
    ] = False,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Check credentials, licences, services, disk, clock and versions, and show what to do.

    Example:

        yieldcast doctor --store STORE
    """
    from data_fetchers.cds.client import Cds
    from data_fetchers.fetching import doctor as examination
    from data_fetchers.fetching.live import confirm_all
    from yieldcast import language
    from yieldcast.cli.views.fetch import show_findings, show_live

    screen, words = console(), language.of(lang)
    if accept_licences:
        for title in examination.accept_licences(Cds()):
            screen.print(words.gettext("accepted: {title}", title=title))
    if live:
        findings = show_live(confirm_all(), screen, lang)
    else:
        with screen.status(words.gettext("checking")):
            findings = list(examination.examine(store))
        show_findings(findings, screen, lang)
    failed = [finding.what for finding in findings if finding.state == "failed"]
    if failed:
        raise FetchError(f"{len(failed)} checks failed: {', '.join(failed)}", "See what to do above.")


def _order(
    what: What, years: str | None, crops: str | None, states: str | None, starts: str | None, today: dt.date
) -> FetchOrder:
    from data_fetchers.fetching.order import ALL_TABLES, DEFAULT_CROPS, FetchOrder
    from data_fetchers.fetching.plans import seasonal_default

    tables = ALL_TABLES if what is What.all else (what.value,)
    if years is None and {"yields", "weather", "estimates"} & set(tables):
        raise ConfigError(f"fetch {what.value}: --years is not given", "For example --years 2009:2018.")
    wanted = tuple(parse_years(years, "--years")) if years else ()
    months = tuple(parse_months(starts, "--starts")) if starts else ()
    if "seasonal" in tables and not months:
        months = seasonal_default(wanted, today)
    return FetchOrder(
        tables=tuple(tables), years=wanted, starts=months,
        crops=_list(crops, str.lower) or DEFAULT_CROPS, states=_list(states, str.upper),
    )  # fmt: skip


def _list(text: str | None, case: Any) -> tuple[str, ...] | None:
    items = (
        tuple(dict.fromkeys(case(item.strip()) for item in text.split(",") if item.strip())) if text else ()
    )
    return items or None
