"""The commands that open a connection: `yieldcast fetch` and `yieldcast doctor`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, cast

import typer

from yieldcast.cli.arguments import parse_months, parse_years
from yieldcast.errors import ConfigError, FetchError

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from rich.console import Console

    from data_fetchers.fetching.order import FetchOrder


INTERRUPTED = 130  # what typer makes of Ctrl-C


class What(StrEnum):
    """Targets of `fetch`."""

    places = "places"
    yields = "yields"
    weather = "weather"
    soil = "soil"
    seasonal = "seasonal"
    surveys = "surveys"
    all = "all"


class WeatherSource(StrEnum):
    """Where weather comes from."""

    era5 = "era5"
    era5_land = "era5-land"
    nasa_power = "nasa-power"


class Where(StrEnum):
    """Which point or area a value stands for."""

    centroid = "centroid"
    polygon = "polygon"


class Generation(StrEnum):
    """Generation of SoilGrids."""

    former = "2017"
    latest = "2.0"


class Resolution(StrEnum):
    """Resolution of SoilGrids."""

    fine = "250m"
    middle = "1km"
    coarse = "5km"


def add_commands(app: typer.Typer) -> None:
    """Add `fetch` and `doctor` to the command line."""
    app.command()(fetch)
    app.command()(doctor)


def fetch(
    what: Annotated[What, typer.Argument(help="What to fetch; all is everything but what is there already.")],
    store: Annotated[
        Path, typer.Option("--store", metavar="DIR", help="Folder of the store, made or added to.")
    ],
    years: Annotated[
        str | None,
        typer.Option(help="Calendar years of weather and harvest years of yields, e.g. 2009:2018."),
    ] = None,
    crops: Annotated[
        str | None, typer.Option(help="Crops, e.g. soybean,corn; those with a calendar if none.")
    ] = None,
    states: Annotated[
        str | None, typer.Option(help="States (UF), e.g. MT,GO; all of Brazil if none.")
    ] = None,
    weather_source: Annotated[
        WeatherSource, typer.Option(help="nasa-power needs no key; the others need one of the CDS.")
    ] = WeatherSource.era5,
    where: Annotated[
        Where, typer.Option(help="Weather and soil at the centroid (as in the paper) or over the polygon.")
    ] = Where.centroid,
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
            help="Start months of seasonal forecasts, e.g. 2026-09:2026-11; else the newest in --years."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show requests, counts, sizes; fetch nothing.")
    ] = False,
    partial: Annotated[
        bool, typer.Option("--partial", help="Write tables although parts are missing.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Drop a table that came from elsewhere.")
    ] = False,
    dask: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Fetch on a Dask cluster that sees the store's folder."),
    ] = None,
    tries: Annotated[int, typer.Option(min=1, help="Times that one part is tried.")] = 6,
    retry_wait: Annotated[
        float, typer.Option(min=0, help="Seconds before the second try, then doubled.")
    ] = 5.0,
    patience: Annotated[float, typer.Option(min=0, help="Hours to wait for one job at the CDS.")] = 6.0,
) -> None:
    """Fetch places, yields, weather, soil and forecasts from the services into a store.

    Stopped at any moment, the same command goes on where it was. What has arrived and verifies is not asked
    for again; preliminary months and revised yields are, and their earlier files are kept. Exit code 4 says
    that something is missing: run it again later.
    """
    from data_fetchers.engine import clock
    from data_fetchers.engine.source import Retry
    from data_fetchers.fetching.fetch import fetch as run
    from yieldcast.cli.views.fetch import show_plan, show_report

    order = _order(what, years, crops, states, starts, store)
    settings = {
        "weather": weather_source.value, "where": where.value, "soil": soilgrids.value,
        "soil_resolution": soil_resolution.value, "soil_folder": str(soil_folder or ""),
        "patience_s": patience * 3600, "partial": partial, "replace": replace,
    }  # fmt: skip
    order, screen = _with(order, settings), _console()
    today = clock.today()
    if dry_run:
        return show_plan(order, store, today, screen)
    retry = Retry(tries=tries, first_s=retry_wait, longest_s=max(retry_wait, 120.0))
    try:
        with _executor(dask) as executor, _progress(screen) as progress:
            report = run(order, store, executor=executor, retry=retry, progress=progress, today=today)
    except KeyboardInterrupt:
        _stop(screen)
    show_report(report, store, screen)
    report.raise_for_missing()


def doctor(
    store: Annotated[
        Path | None, typer.Option("--store", metavar="DIR", help="Folder that is to be filled.")
    ] = None,
    accept_licences: Annotated[
        bool, typer.Option("--accept-licences", help="Accept, for your CDS account, the licences it lacks.")
    ] = False,
) -> None:
    """Check credentials, licences, services, disk, clock and versions, and say what to do."""
    from rich.table import Table
    from rich.text import Text

    from data_fetchers.cds.client import Cds
    from data_fetchers.fetching import doctor as examination

    screen = _console()
    if accept_licences:
        for title in examination.accept_licences(Cds()):
            screen.print(f"accepted: {title}")
    colours = {"ok": "green", "warning": "yellow", "failed": "red"}
    table = Table("what", "", "found", "to do")
    with screen.status("looking"):
        findings = list(examination.examine(store))
    for finding in findings:
        mark = Text(finding.state, style=colours[finding.state])
        table.add_row(finding.what, mark, Text(finding.text), Text(finding.todo))
    screen.print(table)
    failed = [finding.what for finding in findings if finding.state == "failed"]
    if failed:
        raise FetchError(f"{len(failed)} checks failed: {', '.join(failed)}", "See what to do in the table.")


def _stop(screen: Console) -> NoReturn:
    """End at once: threads may hang in a service, and a fetch that is cut off anywhere goes on by itself."""
    screen.print("stopped; what has arrived is kept, the same command goes on from there")
    sys.stdout.flush()
    os._exit(INTERRUPTED)


def _order(
    what: What, years: str | None, crops: str | None, states: str | None, starts: str | None, store: Path
) -> FetchOrder:
    from data_fetchers.engine import clock
    from data_fetchers.fetching.order import DEFAULT_CROPS, TARGETS, FetchOrder
    from data_fetchers.fetching.plans import seasonal_default

    targets = TARGETS if what is What.all else (what.value,)
    if years is None and {"yields", "weather"} & set(targets):
        raise ConfigError(f"fetch {what.value}: --years is not given", "For example --years 2009:2018.")
    wanted = tuple(parse_years(years, "--years")) if years else ()
    months = tuple(parse_months(starts, "--starts")) if starts else ()
    if "seasonal" in targets and not months:
        months = seasonal_default(wanted, clock.today())
    return FetchOrder(
        targets=tuple(targets), years=wanted, starts=months,
        crops=_list(crops, str.lower) or DEFAULT_CROPS, states=_list(states, str.upper),
    )  # fmt: skip


def _list(text: str | None, case: Any) -> tuple[str, ...] | None:
    items = (
        tuple(dict.fromkeys(case(item.strip()) for item in text.split(",") if item.strip())) if text else ()
    )
    return items or None


def _with(order: FetchOrder, settings: dict[str, Any]) -> FetchOrder:
    from dataclasses import replace

    return replace(order, **settings)


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, markup=False)


@contextmanager
def _executor(address: str | None) -> Iterator[Executor | None]:
    if address is None:
        yield None
        return
    try:
        import distributed
    except ImportError:
        raise ConfigError(
            "--dask: Dask's distributed is not installed", "pip install 'yieldcast[scale]'"
        ) from None
    try:
        client: Any = cast(Any, distributed).Client(address, timeout="5s")
    except (OSError, TimeoutError, ValueError) as error:
        raise ConfigError(
            f"--dask: no scheduler at {address} ({type(error).__name__})", "For example tcp://host:8786."
        ) from error
    with client:
        yield client.get_executor()


@contextmanager
def _progress(screen: Console) -> Iterator[Any]:
    from yieldcast.cli.progress import fetch_progress

    with fetch_progress(screen) as update:
        yield update
