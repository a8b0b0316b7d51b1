"""`yieldcast forecast` and `yieldcast backtest`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from yieldcast import clock
from yieldcast.cli.arguments import (
    CropOption,
    HarvestYearOption,
    JsonOption,
    LanguageOption,
    Method,
    MethodOption,
    ProtocolChoice,
    RunArgument,
    ScreenLanguageOption,
    SkillOption,
    StaleOption,
    StoreOption,
    check_json_folder,
    crop_key,
    parse_date,
    parse_dates,
    parse_leads,
    parse_years,
)
from yieldcast.cli.panels import FORECASTS, MODELS, Command
from yieldcast.cli.terminal import console, load_tensorflow
from yieldcast.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from yieldcast.evaluation.backtest import BacktestResult


def add_commands(app: typer.Typer) -> None:
    """Add `forecast` and `backtest` to the command line."""
    app.command(cls=Command, rich_help_panel=FORECASTS)(forecast)
    app.command(cls=Command, rich_help_panel=MODELS)(backtest)


def forecast(
    run: RunArgument,
    store: StoreOption,
    harvest_year: HarvestYearOption,
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="Folder of all bulletins; this one is written to CROP-YEAR/DATE in it."
        ),
    ],
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="YYYY-MM-DD",
            help="Date of the forecast: data that became public later are not used; default: today.",
        ),
    ] = None,
    scenarios: MethodOption = Method.climatology,
    lang: LanguageOption = "en",
    skill: SkillOption = None,
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="Also municipalities that have never grown the crop.")
    ] = False,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="The report also shows what the water of each month added to each place; it takes seconds "
            "with regional weather, up to a minute with that of 5,570 municipalities.",
        ),
    ] = False,
    allow_stale: StaleOption = False,
    states: Annotated[
        str | None,
        typer.Option(
            metavar="MT,GO",
            help="Codes or names of states; table, exports and aggregates hold only these. The forecast of "
            "each of them is that of the whole country.",
        ),
    ] = None,
) -> None:
    """Forecast a season before sowing or while the crop grows, and write a bulletin.

    Weather of the months that are public on the date is observed; for later months it comes from scenarios.
    A bulletin holds CSV, XLSX, GeoPackage, GeoJSON, JSON, netCDF and a report that opens in any browser; an
    earlier bulletin is never overwritten. A run that was trained on yields published after the date is
    refused (exit code 5), and a store that lacks more than one harvest year of yields or three months of
    weather that were public on the date (exit code 3).

    Example:

        yieldcast forecast RUN --store STORE --harvest-year 2018 --as-of 2017-10-15 --out BULLETINS
    """
    from yieldcast import language
    from yieldcast.cli.progress import counting_progress
    from yieldcast.cli.views.forecast import forecast_view
    from yieldcast.data.files import check_writable
    from yieldcast.data.store import Store
    from yieldcast.forecasting.forecast import ForecastPlan
    from yieldcast.operations.bulletins import write_bulletin
    from yieldcast.operations.job import check_date, hindcast_notes, read_skill
    from yieldcast.reporting.notices import notices, public_skill
    from yieldcast.training.run_directory import Run

    today, words = clock.today(), language.of(lang)
    date, screen = check_date(parse_date(as_of, "--as-of") or today, today), console()
    opened, trained = Store.open(store), Run.open(run)
    rows = read_skill(skill, trained.identity.crop)
    check_writable(out)
    # Refuses leaks and a stale store at once.
    plan = ForecastPlan(
        trained, opened, harvest_year, date, scenarios.value, allow_stale=allow_stale,
        states=states.split(",") if states else (),
    )  # fmt: skip
    load_tensorflow()
    with counting_progress(words.gettext("forecasting, members"), screen) as progress:
        table = plan.forecast(progress, everywhere=everywhere)
    notes = hindcast_notes(plan)
    with screen.status(words.gettext("writing the bulletin")):
        bulletin = write_bulletin(
            out, table, mesh=opened.mesh, lang=lang, skill=rows, plan=plan, notes=notes, explain=explain,
            notice=lambda text: screen.print(words.said(text)),
        )  # fmt: skip
    screen.print(forecast_view(table, lang))
    _, left_out = public_skill(table.attrs, rows, lang)
    for text in [*notices(table.attrs, lang), *left_out, *notes]:
        screen.print(words.said(text), style="bold")
    if summary := bulletin.summary(lang):
        screen.print(summary)
    screen.print(words.gettext("bulletin: {path}", path=bulletin.path))


def backtest(
    store: StoreOption,
    crop: CropOption,
    test_years: Annotated[str, typer.Option(help="Harvest years to forecast, e.g. 2014:2018.")],
    leads: Annotated[
        str,
        typer.Option(help="Lead times in months before the end of harvest: all, or e.g. 0,3,6 or 0:9."),
    ] = "all",
    dates: Annotated[
        str | None,
        typer.Option(
            metavar="MM-DD,...",
            help="Days of the forecasts in order of time instead of --leads, e.g. 10-15,01-15,02-15,06-15.",
        ),
    ] = None,
    protocol: Annotated[
        ProtocolChoice,
        typer.Option(
            help="forward: everything as it was public on the date. leave-year-out: water response, trees, "
            "weights and network are taught by all other years, later ones too; only level, trend and "
            "estimates are as public on the date. It judges a method and is labelled in every output."
        ),
    ] = ProtocolChoice.forward,
    file: JsonOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of runs and scores; an unfinished backtest there is continued; default "
            "backtest-CROP.",
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option(min=0, max=999, help="Members of each run; 0: forecasts without a network.")
    ] = 30,
    scenarios: MethodOption = Method.climatology,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="TOML", help="Settings file; its keys have precedence over the preset forecast."
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that train and score side by side.")] = 1,
    dask: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Train and score on a Dask cluster; all its workers must see the store and --out.",
        ),
    ] = None,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Measure the skill of forecasts of past seasons, next to the baselines, at three levels.

    For each test year a run is trained on what was public then, and a forecast is made and scored for each
    date. No forecast uses data from after its date. A backtest that was stopped is continued by the same
    command: runs and scores are kept.

    accuracy.json in the folder has a row for each date, level (municipality, state, country) and model: the
    forecast, every baseline, every ingredient.

    Example:

        yieldcast backtest --store STORE --crop soybean --test-years 2014:2018 --json skill.json
    """
    from yieldcast import language
    from yieldcast.cli.executors import chosen_executor
    from yieldcast.cli.progress import counting_progress, training_progress
    from yieldcast.cli.views.accuracy import accuracy_view
    from yieldcast.cli.views.forecast import skill_view, states_view
    from yieldcast.config import read_settings
    from yieldcast.data.store import Store
    from yieldcast.evaluation.backtest import Backtest, run_backtest, write_results

    check_json_folder(file)
    if dask is not None and workers > 1:
        raise ConfigError("--workers and --dask exclude each other", "Give one of them.")
    settings, screen = read_settings(config), console()
    if settings.training.validation != "each_year":
        raise ConfigError(
            f'{config}: a backtest needs training.validation = "each_year", received '
            f"{settings.training.validation!r}",
            "Intervals are calibrated on hindcasts of the year that each member was not trained on.",
        )
    opened = Store.open(store)
    crop = crop_key(crop, opened.yields["crop"].values.tolist())
    folder = out or Path(f"backtest-{crop}")
    test = Backtest(
        opened, crop, tuple(parse_years(test_years, "--test-years")), folder, settings, seeds,
        scenarios.value, parse_leads(leads, "--leads"), parse_dates(dates, "--dates"),
        cast(Any, protocol.value.replace("-", "_")),
    )  # fmt: skip
    test.check()
    if seeds:
        load_tensorflow()
    with (
        chosen_executor(workers, dask) as executor,
        counting_progress(language.of(lang).gettext("backtest, forecasts"), screen) as progress,
    ):
        result = run_backtest(
            test, progress=progress, executor=executor,
            training=lambda label: training_progress(settings.training.max_epochs, screen, label),
        )  # fmt: skip
    screen.print(skill_view(result.rows, result.synthetic, lang))
    screen.print(states_view(result.by_state, result.synthetic, lang))
    screen.print(accuracy_view(result.accuracy, result.synthetic, lang))
    written = write_results(result, folder, file)
    for path in [*written, *_figure(result, folder, crop, screen)]:
        screen.print(language.of(lang).gettext("written: {path}", path=path))


def _figure(result: BacktestResult, folder: Path, crop: str, screen: Console) -> list[Path]:
    """The plot of skill by lead, where matplotlib, which is an extra, is installed."""
    from yieldcast.evaluation.backtest import file_mark
    from yieldcast.reporting.figures import skill_png

    title = f"{'Synthetic ' if result.synthetic else ''}{crop}: skill by lead"
    title += "" if result.protocol == "forward" else ", leave-year-out"
    try:
        return [skill_png(folder / f"{file_mark(result)}skill-by-lead.png", result.rows, title)]
    except ConfigError as error:
        screen.print(f"no plot: {error} ({error.hint})")
        return []
