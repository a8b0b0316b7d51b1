"""The command line: its root, `main`, and the commands demo, calendar, import,
new-country, status, train, evaluate.

Heavy imports stay inside the commands, so that ``--help`` is fast.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yieldcast.cli import (
    bulletins,
    compare,
    encoder,
    evaluate,
    explain,
    fetch,
    forecast,
    generalise,
    jobs,
    probe,
    risk,
)
from yieldcast.cli.arguments import (
    CropOption,
    HarvestYearOption,
    ScreenLanguageOption,
    StoreOption,
    check_json_folder,
    crop_key,
    parse_date,
    parse_years,
)
from yieldcast.cli.panels import DATA, FORECASTS, MODELS, START, Command
from yieldcast.cli.terminal import (
    DEBUG,
    INTERRUPTED,
    console,
    fail,
    lenient_streams,
    load_tensorflow,
    short_errors,
    signals_as_ctrl_c,
)
from yieldcast.errors import ConfigError, SchemaError
from yieldcast.language import message

if TYPE_CHECKING:
    from yieldcast.config import Settings
    from yieldcast.data.store import Store
    from yieldcast.language import Language

app = typer.Typer(
    name="yieldcast",
    epilog="--debug with any command shows the traceback of an error. Exit codes: 0 done, 1 unexpected "
    "error, 2 settings and options, 3 missing data or files, 4 fetch or credentials, 5 malformed contents or "
    "data from after the date of a forecast, 6 unusable run, 130 stopped by Ctrl-C.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",
)


SEEDS = 30  # members of a training that says nothing else


class Preset(StrEnum):
    """Settings that need no file, see `yieldcast.config.PRESETS`."""

    forecast = "forecast"
    paper = "paper"


def _version(wanted: bool) -> None:
    if wanted:
        import yieldcast

        console().print(f"yieldcast {yieldcast.__version__}")
        raise typer.Exit()


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Municipal crop-yield forecasts, before sowing and in season, with honest skill."""


@app.command(cls=Command, rich_help_panel=START)
def demo(
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder for tables, store, run and bulletins; default: demo-output, with --fields "
            "demo-output-fields.",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=2, max=30, help="Members to train.")] = 10,
    of_fields: Annotated[
        bool,
        typer.Option(
            "--fields",
            help="Fields instead of municipalities: import them with days and vegetation, classify "
            "their last season, and write P(low), scores and a report. No member is trained.",
        ),
    ] = False,
) -> None:
    """Import, train, evaluate and forecast on a small synthetic country, and write a report.

    Example:

        yieldcast demo --out demo-output

        yieldcast demo --fields
    """
    if of_fields:
        from yieldcast.cli.field_demo import run_field_demo

        run_field_demo(out or Path("demo-output-fields"), console())
        return
    load_tensorflow()
    from yieldcast.cli.demo import run_demo

    run_demo(out or Path("demo-output"), seeds, console())


@app.command(cls=Command, rich_help_panel=DATA)
def calendar(
    crop: Annotated[str, typer.Argument(help="corn, cotton, rice, soybean, sugarcane, or one of your own.")],
    state: Annotated[str, typer.Option(help="State, or a region of your own calendar.")],
    harvest_year: HarvestYearOption,
    file: Annotated[Path | None, typer.Option("--calendar", metavar="CSV", help="Your own calendar.")] = None,
    months: Annotated[
        int | None, typer.Option(help="Months of the window, instead of the calendar's number.")
    ] = None,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Print the months of a season window.

    The window of harvest year Y is the first n months from the start of planting. Planting falls in Y if its
    first month is not later than the first month of harvest, and in Y-1 otherwise.

    Example:

        yieldcast calendar soybean --state MT --harvest-year 2018
    """
    import calendars
    from yieldcast.cli.views.calendar import calendar_lines

    table = calendars.read(file) if file else calendars.brazil()
    crop = crop_key(crop, table.crops)
    if months is not None:
        table = table.with_months({crop: months})
    row = table.row(crop, state)
    window = [str(month) for month in table.window(crop, state, harvest_year)]
    for line in calendar_lines(row, window, state, lang):
        console().print(line)


@app.command("import", cls=Command, rich_help_panel=DATA)
def import_tables(
    store: StoreOption,
    places: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Code, name, state, lat, lon of municipalities.")
    ] = None,
    yields: Annotated[
        Path | None, typer.Option(metavar="CSV[.gz]", help="Code, crop, year, yield_kg_ha.")
    ] = None,
    weather: Annotated[
        Path | None,
        typer.Option(metavar="NC", help="netCDF (municipality, time), monthly or daily; days are kept too."),
    ] = None,
    weather_grid: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[tmax=]NC",
            help="Instead of --weather: gridded netCDF of CDS (also a zip), NASA POWER, cfgrib; averaged "
            "over the polygons of --mesh, or the nearest cell without it. May be given several times; "
            "tmax=FILE and tmin=FILE say what a file with t2m holds.",
        ),
    ] = None,
    soil: Annotated[Path | None, typer.Option(metavar="CSV[.gz]", help="Soil properties by layer.")] = None,
    mesh: Annotated[
        Path | None, typer.Option(metavar="GEOJSON", help="Boundaries of the municipalities, for maps.")
    ] = None,
    estimates: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="CSV[.gz]",
            help="Official estimates: crop, harvest_year, state, reference (month or survey), public_from, "
            "yield_kg_ha. May be given several times; earlier estimates of the store are kept.",
        ),
    ] = None,
    estimates_source: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Who published the estimates; default: column source or the file's name."
        ),
    ] = None,
    country: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|NAME",
            help="The country of the places: a country.toml (see yieldcast new-country), or brazil. Default: "
            "brazil where all codes and states are IBGE's, otherwise none.",
        ),
    ] = None,
    daily_weather: Annotated[
        Path | None,
        typer.Option(
            metavar="NC|CSV",
            help="netCDF (municipality, time) of days, or CSV with a row for each code and date; or of units "
            "X that the column X of --places or --fields names.",
        ),
    ] = None,
    fields: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Instead of --places: fields, a row for each season: id, lat, lon, crop, harvest_year, "
            "sowing_date, harvest_date, municipality. The monthly weather is then made of --daily-weather.",
        ),
    ] = None,
    vegetation: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="CSV[.gz]",
            help="NDVI or EVI: code, date, ndvi, quality flag; or summaries: code, year, ndvi_max, ... May "
            "be given twice, once for each kind.",
        ),
    ] = None,
    drop_outliers: Annotated[
        bool,
        typer.Option(
            "--drop-outliers",
            help="Leave out yields outside of 1.5 times the interquartile range of their crop and year. "
            "Without it they are counted (of fields) and kept: a failed field is no error.",
        ),
    ] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Read every file, report all faults at once and write nothing; exit code 5 if a file would "
            "be refused.",
        ),
    ] = False,
    file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Also write what was found to this file."),
    ] = None,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Check your own tables and write them into a store.

    Columns may come in any order and other columns are ignored; units are read from column names
    (yield_kg_ha or yield_t_ha, tmax_degC, precipitation_mm, clay_pct_0_30cm). If anything is wrong nothing
    is written, and an earlier store stays unchanged. Estimates, daily weather and vegetation can also be
    added to an existing store by themselves.

    Example:

        yieldcast import --store STORE --places places.csv --yields yields.csv --weather weather.nc

        yieldcast import --store STORE --places places.csv --yields yields.csv --weather-grid era5.zip

        yieldcast import --store STORE --estimates lspa_2018.csv

        yieldcast import --store STORE --fields fields.csv --yields yields.csv --daily-weather days.csv \\
                         --vegetation ndvi.csv
    """
    from yieldcast import language
    from yieldcast.cli.views.store import check_view, import_view
    from yieldcast.importing.check import write_document
    from yieldcast.importing.files import UserFiles, check_files, import_files

    check_json_folder(file)
    files = UserFiles(
        places, yields, weather, soil, mesh, tuple(estimates or ()), estimates_source, daily_weather,
        country, tuple(weather_grid or ()), fields, tuple(vegetation or ()), drop_outliers,
    )  # fmt: skip
    out, words = console(), language.of(lang)
    with out.status(words.gettext("reading and checking tables")):
        if check:
            found = check_files(store, files)
        else:
            written, found = import_files(store, files)
    write_document(file, found, store, None if check else written.fingerprints)
    if check:
        out.print(check_view(found, lang))
        raise typer.Exit(SchemaError.exit_code if found.faults else 0)
    out.print(import_view(found.log, written.fingerprints, lang))
    out.print(words.gettext("store written: {path}", path=store))


@app.command("new-country", cls=Command, rich_help_panel=DATA)
def new_country(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="New folder, or one without these files.")],
) -> None:
    """Write the files of a made-up country, to be changed to those of yours.

    They are country.toml (names, states, codes, days of publication, all explained), calendar.csv, synthetic
    places, yields, soil and weather, and a README with the commands that follow, which run as they are.

    Example:

        yieldcast new-country norland
    """
    from yieldcast.operations.new_country import write_skeleton

    for path in write_skeleton(folder):
        console().print(f"written: {path}")
    console().print(f"next: change them, then: yieldcast import --country {folder / 'country.toml'} ...")


@app.command(cls=Command, rich_help_panel=DATA)
def status(store: StoreOption, lang: ScreenLanguageOption = "en") -> None:
    """Show what a store holds: tables, years, gaps, fingerprints.

    Example:

        yieldcast status --store STORE
    """
    from yieldcast.cli.views.store import status_view
    from yieldcast.data.store import Store

    console().print(status_view(Store.open(store).status(), lang))


@app.command(cls=Command, rich_help_panel=MODELS)
def train(
    store: StoreOption,
    crop: CropOption,
    out: Annotated[Path, typer.Option(metavar="RUN", help="Run directory; an unfinished one is continued.")],
    train_years: Annotated[
        str | None, typer.Option(help="Harvest years, e.g. 2011:2017 (both included).")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="YYYY-MM-DD",
            help="Instead of --train-years: all harvest years whose yields and weather were public then.",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=999,
            help="Members: seeds 1 to N; default 30, with --from as many as that run has.",
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(metavar="TOML", help="Settings file; its keys have precedence over the preset's."),
    ] = None,
    preset: Annotated[
        Preset,
        typer.Option(
            help="Settings that the file does not give: forecast (needed for yieldcast forecast, because "
            "each member leaves out a harvest year that calibrates the intervals) or paper (as published)."
        ),
    ] = Preset.forecast,
    no_noise: Annotated[bool, typer.Option("--no-noise", help="Without the noise layer (Table 4).")] = False,
    strategy: Annotated[
        str,
        typer.Option(help="tf.distribute strategy: auto, default, one-device, mirrored or multi-worker."),
    ] = "auto",
    block: Annotated[
        int | None,
        typer.Option(min=1, help="Members per compiled block; default: by device."),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="RUN",
            help="Train the members of this run further, on other places or another crop; each starts from "
            "the one of the same seed. Without --config the settings are those of this run.",
        ),
    ] = None,
    freeze: Annotated[
        str | None,
        typer.Option(
            metavar="PARTS",
            help="With --from: parts of the network whose weights stay as they are: weather, static or "
            "weather,static.",
        ),
    ] = None,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Train the dual-path network: one member per seed, many at the same time.

    A training that was killed or stopped with Ctrl-C is continued by the same command: finished members are
    saved at once, unfinished ones every two minutes and on Ctrl-C.

    Example:

        yieldcast train --store STORE --crop soybean --train-years 2011:2016 --out RUN

        yieldcast train --store STORE --crop soybean --as-of 2017-10-15 --out RUN

        yieldcast train --store OTHER --crop corn --train-years 2011:2016 --from RUN --out TUNED
    """
    from yieldcast import language
    from yieldcast.cli.progress import training_progress
    from yieldcast.config import read_settings
    from yieldcast.data.store import Store
    from yieldcast.reporting import labels
    from yieldcast.training.fine_tuning import check_source, parse_parts, settings_from
    from yieldcast.training.pipeline import check_members, check_training, train_run
    from yieldcast.training.run_directory import Run

    opened, screen, words = Store.open(store), console(), language.of(lang)
    started = Run.open(source) if source else None
    parts = parse_parts(freeze)
    if parts and started is None:
        raise ConfigError("--freeze needs --from", "Give the run to start from, or leave --freeze out.")
    settings = read_settings(config, preset.value)
    if started is not None and config is None:
        settings = settings_from(started)
    settings = settings.for_country(opened.country)
    count = seeds or (len(started.seeds()) if started else 0) or SEEDS
    if no_noise:
        network = settings.network.model_copy(update={"noise": 0.0})
        settings = settings.model_copy(update={"network": network})
    crop = crop_key(crop, opened.yields["crop"].values.tolist())
    years = _years_to_train(opened, crop, train_years, as_of, settings, words)
    check_members(settings, years, range(1, count + 1))
    if started is not None:
        check_source(started, settings, range(1, count + 1))
    check_training(opened, crop, settings, out)
    load_tensorflow()
    with training_progress(settings.training.max_epochs, screen) as progress:
        run = train_run(
            opened, crop, years, range(1, count + 1), out, settings,
            config_text=config.read_text(encoding="utf-8") if config else "",
            strategy=strategy, block=block, progress=progress,
            notice=lambda text: screen.print(words.said(text)), source=started, frozen=parts,
        )  # fmt: skip
    verb = "forecast" if settings.training.validation == "each_year" else "evaluate"
    made = message("{n} members of {crop} in {out}; next: {command}")
    if run.identity.synthetic:
        made = message("{n} members of synthetic {crop} in {out}; next: {command}")
    name = crop if lang == "en" else labels.crop(crop, lang)
    command = f"yieldcast {verb} {out} ..."
    screen.print(words.gettext(made, n=len(run.seeds()), crop=name, out=out, command=command))


def _years_to_train(
    store: Store,
    crop: str,
    train_years: str | None,
    as_of: str | None,
    settings: Settings,
    words: Language,
) -> Sequence[int]:
    """The years typed, or those that were public on a date."""
    from yieldcast.features.daily_months import network_tables
    from yieldcast.forecasting.leakage import trainable_years

    date = parse_date(as_of, "--as-of")
    if train_years is not None and date is None:
        return parse_years(train_years, "--train-years")
    if train_years is not None or date is None:
        raise ConfigError(
            f"expected either --train-years or --as-of, received {'none' if date is None else 'both'}",
            "Give the years, for example --train-years 2011:2016, or the date whose public years are taken.",
        )
    tables = network_tables(store, settings.data)
    years = trainable_years(tables, crop, date, settings.data, store.country)
    text = message("training years public on {date}: {years}")
    console().print(words.gettext(text, date=words.date(date), years=", ".join(map(str, years))))
    return years


evaluate.add_commands(app)
fetch.add_commands(app)
forecast.add_commands(app)
bulletins.add_commands(app)
encoder.add_commands(app)
compare.add_commands(app)
explain.add_commands(app)
generalise.add_commands(app)
probe.add_commands(app)
risk.add_commands(app)
app.add_typer(jobs.jobs, rich_help_panel=FORECASTS)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: every error becomes a short message with a hint, and an exit code for schedulers.

    Args:
        arguments: what follows ``yieldcast`` on the command line; None takes it from `sys.argv`.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    lenient_streams()
    try:
        with signals_as_ctrl_c(), short_errors():
            app([argument for argument in given if argument != DEBUG], prog_name="yieldcast")
    except SystemExit as ended:
        if ended.code != INTERRUPTED:
            sys.stdout.flush()
            raise
        fail("stopped", "What was done is kept; the same command goes on from there.", INTERRUPTED)
    except Exception as error:
        if DEBUG in sys.argv:
            raise
        fail(
            f"unexpected {type(error).__name__}: {error}",
            "Run it again with --debug and report the traceback.",
            1,
        )
