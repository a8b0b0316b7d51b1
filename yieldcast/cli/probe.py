"""`yieldcast probe`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yieldcast.cli.arguments import (
    JsonOption,
    ScreenLanguageOption,
    StoreOption,
    check_json_folder,
    crop_key,
    parse_date,
    parse_years,
)
from yieldcast.cli.panels import MODELS, Command
from yieldcast.cli.terminal import console, load_tensorflow
from yieldcast.errors import ConfigError, SchemaError

if TYPE_CHECKING:
    from yieldcast.data.store import Store


def add_commands(app: typer.Typer) -> None:
    """Add `probe` to the command line."""
    app.command(cls=Command, rich_help_panel=MODELS)(probe)


def probe(
    store: StoreOption,
    run: Annotated[
        Path | None, typer.Argument(metavar="[RUN]", help="Run directory; or give --config instead.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="TOML", help="Settings file; its keys have precedence over the preset forecast."
        ),
    ] = None,
    crop: Annotated[
        str | None, typer.Option(help="Crop; default: that of the run, or the only one of the store.")
    ] = None,
    test_years: Annotated[
        str | None,
        typer.Option(
            help="Harvest years to test; default: the first after the run's training years, or the "
            "newest of the store."
        ),
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(
            metavar="YYYY-MM-DD",
            help="Date of the forecast of the last test year, and the same day of the others; default: 30 "
            "days before the end of the season.",
        ),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV[.gz]",
            help="Your own features beside those of the run: columns municipality (or field), "
            "harvest_year and numbers.",
        ),
    ] = None,
    file: JsonOption = None,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Would a leak be noticed? Probe a run, or settings and a store.

    Models are taught again on inputs from which something was taken away, or in which something was changed
    that no honest model reads. Each line has the score, and the score that an honest pipeline must show; exit
    code 5 where one fails.

    Example:

        yieldcast probe RUN --store STORE

        yieldcast probe --config settings.toml --store STORE --crop soybean --features mine.csv
    """
    from yieldcast import language
    from yieldcast.cli.progress import counting_progress
    from yieldcast.cli.views.probe import probe_view
    from yieldcast.config import read_settings
    from yieldcast.data.store import Store
    from yieldcast.probing.given import read_given
    from yieldcast.probing.probe import case_of_run, case_of_settings, write_report
    from yieldcast.probing.probe import probe as run_probes
    from yieldcast.training.run_directory import Run

    check_json_folder(file)
    if (run is None) == (config is None):
        raise ConfigError(
            f"expected a run or --config, received {'none' if run is None else 'both'}",
            "Give the run directory, or a settings file with --config.",
        )
    years = parse_years(test_years, "--test-years") if test_years else []
    date, opened, words, screen = (
        parse_date(as_of, "--as-of"),
        Store.open(store),
        language.of(lang),
        console(),
    )
    trained = Run.open(run) if run else None
    if trained:
        if crop is not None and crop_key(crop) != trained.identity.crop:
            raise ConfigError(
                f"expected the crop of the run, {trained.identity.crop}, received {crop}", "Leave --crop out."
            )
        case = case_of_run(trained, opened, years, date)
        load_tensorflow()
    else:
        settings = read_settings(config).for_country(opened.country)
        case = case_of_settings(opened, _crop(opened, crop), settings, years, date)
    given = read_given(features, opened.static, case.crop) if features else None
    with counting_progress(words.gettext("probing"), screen) as progress:
        report = run_probes(case, run=trained, given=given, progress=progress)
    screen.print(probe_view(report, lang))
    if file:
        write_report(report, file)
        screen.print(words.gettext("written: {path}", path=file))
    if report.failed:
        raise typer.Exit(SchemaError.exit_code)


def _crop(store: Store, crop: str | None) -> str:
    """The crop typed, or the only one of the store."""
    known = [str(name) for name in store.yields["crop"].values]
    if crop is not None:
        return crop_key(crop, known)
    if len(known) != 1:
        raise ConfigError(
            f"expected --crop, because the store has several: {', '.join(known)}", f"--crop {known[0]}"
        )
    return known[0]
