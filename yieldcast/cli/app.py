"""Command line: the only module that sees everything. Heavy imports stay inside the commands."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yieldcast.cli import forecast as cli_forecast
from yieldcast.cli.arguments import parse_date, parse_years
from yieldcast.cli.fetch import INTERRUPTED, add_commands
from yieldcast.cli.startup import DEBUG, load_tensorflow
from yieldcast.errors import ConfigError, MissingDataError, YieldcastError

if TYPE_CHECKING:
    from rich.console import Console


app = typer.Typer(
    name="yieldcast",
    help="Municipal crop-yield forecasts, before sowing and in season, with honest skill.",
    epilog="--debug anywhere on the line shows the traceback of an error. Exit codes: 0 done, 2 settings, "
    "3 missing data or files, 4 fetch or credentials, 5 malformed contents or leak, 6 unusable run, 1 other.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


class Preset(StrEnum):
    """Named settings of `config.PRESETS`."""

    forecast = "forecast"
    paper = "paper"


StoreOption = Annotated[Path, typer.Option("--store", metavar="DIR", help="Folder of the store.")]
CropArgument = Annotated[str, typer.Option("--crop", help="Crop, e.g. soybean.")]


def console(stderr: bool = False) -> Console:
    """A rich console; imported late because --help must be fast."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False)


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


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the store and the run.")] = Path("demo-output"),
    seeds: Annotated[int, typer.Option(min=2, max=30, help="Members to train.")] = 10,
) -> None:
    """Run the main job on a small synthetic country: import, train, evaluate, forecast, report."""
    load_tensorflow()
    from yieldcast.cli.demo import run_demo

    run_demo(out, seeds, console())


@app.command()
def calendar(
    crop: Annotated[str, typer.Argument(help="corn, cotton, rice, soybean, sugarcane, or your own.")],
    state: Annotated[str, typer.Option(help="State (UF), or a region of your own calendar.")],
    harvest_year: Annotated[
        int, typer.Option(min=1800, max=2200, help="Harvest year; 2018 is safra 2017/18.")
    ],
    file: Annotated[Path | None, typer.Option("--calendar", help="Your own calendar, CSV.")] = None,
    months: Annotated[int | None, typer.Option(help="Your own month count for the crop.")] = None,
) -> None:
    """Print the months of a season window.

    The window of harvest year Y is the first n months from the start of planting. Planting falls in Y
    when its first month is not later than the first month of harvest, else in Y-1.
    """
    import calendars

    table, crop = calendars.read(file) if file else calendars.brazil(), crop.lower()
    if months is not None:
        table = table.with_months({crop: months})
    row = table.row(crop, state)
    window = [str(month) for month in table.window(crop, state, harvest_year)]
    out = console()
    out.print(f"{window[0]} ... {window[-1]}")
    out.print(f"{len(window)} months: {' '.join(window)}")
    borrowed = "" if row.region == state else f" (row of {row.region}: {state} has none of its own)"
    dates = [
        f"{day:02d}/{month:02d}"
        for day, month in (row.planting_start, row.planting_end, row.harvest_start, row.harvest_end)
    ]
    out.print(f"planting {dates[0]} to {dates[1]}, harvest {dates[2]} to {dates[3]}{borrowed}")


@app.command("import")
def import_tables(
    store: StoreOption,
    places: Annotated[Path, typer.Option(metavar="CSV", help="Code, name, state, lat, lon per place.")],
    yields: Annotated[Path, typer.Option(metavar="CSV[.gz]", help="Code, crop, year, yield_kg_ha.")],
    weather: Annotated[
        Path, typer.Option(metavar="NC", help="netCDF (municipality, time), monthly or daily.")
    ],
    soil: Annotated[Path | None, typer.Option(metavar="CSV[.gz]", help="Soil properties by layer.")] = None,
    mesh: Annotated[
        Path | None, typer.Option(metavar="GEOJSON", help="Boundaries of the places, for maps.")
    ] = None,
) -> None:
    """Read your own tables into a store, checked.

    Columns may come in any order and extra ones are ignored; units are read from names
    (yield_kg_ha or yield_t_ha, tmax_degC, precipitation_mm, clay_pct_0_30cm). Nothing is written when
    anything is wrong, and an earlier store stays as it was.
    """
    from yieldcast.cli.views.store import import_view
    from yieldcast.data.boundaries import read_mesh
    from yieldcast.data.store import Store
    from yieldcast.data.user_tables import read_tables

    out = console()
    with out.status("reading and checking tables"):
        tables, report = read_tables(places, yields, weather, soil)
        boundaries = read_mesh(mesh, tables.static, report) if mesh else None
        written = Store.write(store, tables, report.sources, boundaries)
    out.print(import_view(report, written.fingerprints))
    out.print(f"store written: {store}")


@app.command()
def status(store: StoreOption) -> None:
    """Show what a store holds: tables, years, gaps, fingerprints."""
    from yieldcast.cli.views.store import status_view
    from yieldcast.data.store import Store

    console().print(status_view(Store.open(store).status()))


@app.command()
def train(
    store: StoreOption,
    crop: CropArgument,
    train_years: Annotated[str, typer.Option(help="Harvest years, e.g. 2011:2017 (both included).")],
    out: Annotated[Path, typer.Option(metavar="RUN", help="Run directory; an unfinished one is continued.")],
    seeds: Annotated[int, typer.Option(min=1, max=999, help="Members: seeds 1 to N.")] = 30,
    config: Annotated[
        Path | None, typer.Option(metavar="TOML", help="Settings; what it leaves out is the paper's.")
    ] = None,
    preset: Annotated[
        Preset | None,
        typer.Option(
            help="Settings without a file: forecast (the default: for yieldcast forecast, intervals from a "
            "harvest year that each member leaves out) or paper (as published)."
        ),
    ] = None,
    no_noise: Annotated[bool, typer.Option("--no-noise", help="Without the noise layer (Table 4).")] = False,
    strategy: Annotated[
        str, typer.Option(help="tf.distribute: auto, default, one-device, mirrored or multi-worker.")
    ] = "auto",
    block: Annotated[
        int | None, typer.Option(min=1, help="Members per compiled block; default: the fastest measured.")
    ] = None,
) -> None:
    """Train the dual-path network: one member per seed, all of them side by side.

    Killed at any moment or stopped with Ctrl-C, the same command goes on where it was: finished members
    are kept, those under way are kept every two minutes and on Ctrl-C.
    """
    from yieldcast import config as settings_file
    from yieldcast.cli.progress import training_progress
    from yieldcast.data.store import Store
    from yieldcast.training.pipeline import train_run

    if config and preset:
        raise ConfigError("--config and --preset exclude each other", "Give one of them.")
    settings = settings_file.read_settings(config, preset.value if preset else "forecast")
    if no_noise:
        network = settings.network.model_copy(update={"noise": 0.0})
        settings = settings.model_copy(update={"network": network})
    crop, years = crop.lower(), parse_years(train_years, "--train-years")
    opened, screen = Store.open(store), console()
    load_tensorflow()
    with training_progress(settings.training.max_epochs, screen) as progress:
        run = train_run(
            opened, crop, years, range(1, seeds + 1), out, settings,
            config_text=config.read_text(encoding="utf-8") if config else "",
            strategy=strategy, block=block, progress=progress, notice=screen.print,
        )  # fmt: skip
    label = "synthetic " if run.identity.synthetic else ""
    verb = "forecast" if settings.training.validation == "each_year" else "evaluate"
    screen.print(f"{len(run.seeds())} members of {label}{crop} in {out}; next: yieldcast {verb} {out} ...")


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Run directory of yieldcast train.")],
    store: StoreOption,
    test_years: Annotated[str, typer.Option(help="Harvest years to score, all after the training years.")],
    file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the scores here.")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="YYYY-MM-DD",
            help="Date of the public reference lines and of the weather seen; default: the end of each "
            "row's window for the lines, the whole window's weather for the models.",
        ),
    ] = None,
) -> None:
    """Score a run beside the simple reference lines, on the same rows."""
    from yieldcast.cli.progress import counting_progress
    from yieldcast.cli.views.scores import evaluation_table, years_table
    from yieldcast.data.store import Store
    from yieldcast.evaluation.evaluate import evaluate_run, write_scores
    from yieldcast.training.run_directory import Run

    if file and not file.parent.is_dir():
        raise MissingDataError(f"--json: no folder {file.parent}", "Make it first, or give another path.")
    years, date, screen = parse_years(test_years, "--test-years"), parse_date(as_of, "--as-of"), console()
    opened, trained = Store.open(store), Run.open(run)
    load_tensorflow()
    with counting_progress("scoring members", screen) as progress:
        result = evaluate_run(trained, opened, years, date, progress)
    screen.print(evaluation_table(result.scores, synthetic=result.synthetic, notes=result.notes))
    if len(result.scores.test_years) > 1:
        screen.print(years_table(result.by_year(), result.synthetic))
    for path in write_scores(result, trained, file):
        screen.print(f"written: {path}")


add_commands(app)
cli_forecast.add_commands(app)


def main() -> None:
    """Entry point: every error becomes one screen with a hint, and an exit code a scheduler can act on."""
    from calendars import CalendarError

    debug = DEBUG in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != DEBUG]
    try:
        app(arguments)
    except (YieldcastError, CalendarError) as error:
        if debug:
            raise
        _fail(str(error), error.hint, error.exit_code)
    except SystemExit as ended:
        if ended.code != INTERRUPTED:
            raise
        _fail("stopped", "What was done is kept; the same command goes on from there.", INTERRUPTED)
    except Exception as error:
        if debug:
            raise
        _fail(
            f"unexpected {type(error).__name__}: {error}",
            "Run it again with --debug for the traceback and report it.",
            1,
        )


def _fail(message: str, hint: str, code: int) -> None:
    from rich.text import Text

    screen = console(stderr=True)
    screen.print(Text.assemble(("Error: ", "bold red"), message))
    if hint:
        screen.print(Text.assemble(("Hint: ", "bold"), hint))
    sys.exit(code)
