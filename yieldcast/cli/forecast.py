"""The commands about what is to come: `yieldcast forecast` and `yieldcast backtest`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yieldcast.cli.arguments import parse_date, parse_leads, parse_years
from yieldcast.cli.startup import load_tensorflow
from yieldcast.errors import ConfigError, MissingDataError

if TYPE_CHECKING:
    from rich.console import Console


StoreOption = Annotated[Path, typer.Option("--store", metavar="DIR", help="Folder of the store.")]


class Method(StrEnum):
    """Where the weather of the months to come is taken from."""

    climatology = "climatology"
    analogue = "analogue"
    seasonal = "seasonal"


class Lang(StrEnum):
    """Language of what readers get."""

    en = "en"
    pt = "pt"


MethodOption = Annotated[
    Method,
    typer.Option(
        help="Weather of the months not public yet: every past year (climatology), the past years most like "
        "the season so far (analogue), or the members of a fetched seasonal forecast (seasonal)."
    ),
]


def add_commands(app: typer.Typer) -> None:
    """Add `forecast` and `backtest` to the command line."""
    app.command()(forecast)
    app.command()(backtest)


def forecast(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory of yieldcast train.")],
    store: StoreOption,
    harvest_year: Annotated[
        int, typer.Option(min=1800, max=2200, help="Season to forecast; 2018 is safra 2017/18.")
    ],
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of issues; this one goes to CROP-YEAR/DATE in it.")
    ],
    as_of: Annotated[
        str | None,
        typer.Option(metavar="YYYY-MM-DD", help="Nothing newer than this date is seen; default: today."),
    ] = None,
    scenarios: MethodOption = Method.climatology,
    lang: Annotated[
        Lang, typer.Option(help="Of tables and report; pt writes CSV with semicolon and decimal comma.")
    ] = Lang.en,
    skill: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Rows of yieldcast backtest --json, shown in the report."),
    ] = None,
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="Also municipalities that have not grown the crop.")
    ] = False,
) -> None:
    """Forecast a season, before sowing or while it grows: the same call with another date.

    Months public on the date are observed, the rest comes from scenarios. Writes CSV, XLSX, GeoPackage,
    GeoJSON, netCDF and a report that opens in any browser; an earlier issue is never overwritten. A run that
    knows yields or weather from after the date is refused (exit code 5).
    """
    import datetime as dt

    from yieldcast.cli.progress import counting_progress
    from yieldcast.cli.views.forecast import forecast_view
    from yieldcast.data.store import Store
    from yieldcast.forecasting.forecast import forecast as make
    from yieldcast.forecasting.forecast import input_fingerprints
    from yieldcast.operations.bulletins import write_bulletin
    from yieldcast.operations.job import check_date, read_skill
    from yieldcast.training.run_directory import Run

    today = dt.datetime.now(dt.UTC).date()
    date, screen = check_date(parse_date(as_of, "--as-of") or today, today), _console()
    opened, trained = Store.open(store), Run.open(run)
    rows = read_skill(skill, trained.identity.crop)
    input_fingerprints(
        trained, opened, harvest_year, date, scenarios.value
    )  # refuses leaks before TensorFlow is loaded
    load_tensorflow()
    with counting_progress("forecasting, members", screen) as progress:
        table = make(trained, opened, harvest_year, date, scenarios.value, progress, everywhere=everywhere)
    with screen.status("writing the issue"):
        issue = write_bulletin(out, table, mesh=opened.mesh, lang=lang.value, skill=rows, notice=screen.print)
    screen.print(forecast_view(table, lang.value))
    if text := issue.summary(lang.value):
        screen.print(text)
    screen.print(f"issue: {issue.path}")


def backtest(
    store: StoreOption,
    crop: Annotated[str, typer.Option("--crop", help="Crop, e.g. soybean.")],
    test_years: Annotated[str, typer.Option(help="Harvest years to forecast, e.g. 2014:2018.")],
    leads: Annotated[
        str, typer.Option(help="Months before the end of harvest: all, or numbers like 0,3,6 or 0:9.")
    ] = "all",
    file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the rows here.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder of runs and scores, continued if there; default backtest-CROP."
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=999, help="Members of each run.")] = 30,
    scenarios: MethodOption = Method.climatology,
    config: Annotated[
        Path | None, typer.Option(metavar="TOML", help="Settings; the preset forecast if none.")
    ] = None,
) -> None:
    """Skill by lead: retrain as of each year, forecast at each month, score beside the reference lines.

    Nothing looks ahead: each forecast uses a run trained on what was public then. Stopped at any moment, the
    same command goes on: runs and scores are kept.
    """
    from yieldcast import config as settings_file
    from yieldcast.cli.progress import counting_progress, training_progress
    from yieldcast.cli.views.forecast import skill_view, states_view
    from yieldcast.data.store import Store
    from yieldcast.evaluation.backtest import Backtest, run_backtest, write_results

    if file and not file.parent.is_dir():
        raise MissingDataError(f"--json: no folder {file.parent}", "Make it first, or give another path.")
    settings, screen, crop = settings_file.read_settings(config, preset="forecast"), _console(), crop.lower()
    if settings.training.validation != "each_year":
        raise ConfigError(
            f'{config}: a backtest needs training.validation = "each_year", received '
            f"{settings.training.validation!r}",
            "Intervals rest on hindcasts of a year that each member left out.",
        )
    folder = out or Path(f"backtest-{crop}")
    test = Backtest(
        Store.open(store), crop, tuple(parse_years(test_years, "--test-years")), folder, settings, seeds,
        scenarios.value, parse_leads(leads, "--leads"),
    )  # fmt: skip
    test.check()
    load_tensorflow()
    with counting_progress("backtest, forecasts", screen) as progress:
        result = run_backtest(
            test, progress=progress,
            training=lambda label: training_progress(settings.training.max_epochs, screen, label),
        )  # fmt: skip
    screen.print(skill_view(result.rows, result.synthetic))
    screen.print(states_view(result.by_state, result.synthetic))
    written = write_results(result, folder, file)
    figure = _figure(result.rows, folder, crop, result.synthetic, screen)
    for path in [*written, *figure]:
        screen.print(f"written: {path}")


def _figure(
    rows: list[dict[str, Any]], folder: Path, crop: str, synthetic: bool, screen: Console
) -> list[Path]:
    from yieldcast.reporting.figures import skill_png

    name = f"{'synthetic-' if synthetic else ''}skill-by-lead.png"
    try:
        return [skill_png(folder / name, rows, f"{'Synthetic ' if synthetic else ''}{crop}: skill by lead")]
    except ConfigError as error:  # matplotlib is an extra
        screen.print(f"no plot: {error} ({error.hint})")
        return []


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, markup=False)
