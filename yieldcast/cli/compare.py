"""`yieldcast compare`: is the difference between two models real?"""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from yieldcast.cli.arguments import (
    ScreenLanguageOption,
    check_json_folder,
    crop_key,
    parse_date,
    parse_years,
)
from yieldcast.cli.panels import MODELS, Command
from yieldcast.cli.terminal import console, load_tensorflow
from yieldcast.errors import ConfigError

if TYPE_CHECKING:
    from yieldcast.comparison.sources import Source


class Blocks(StrEnum):
    """What is drawn as a whole."""

    year = "year"
    region = "region"


def add_commands(app: typer.Typer) -> None:
    """Add `compare` to the command line."""
    app.command(cls=Command, rich_help_panel=MODELS)(compare)


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="Run, folder of a backtest, or file of rows.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The same; PATH:MODEL chooses one of its models.")],
    by: Annotated[
        Blocks,
        typer.Option(
            help="What the interval that decides rests on: harvest years, or regions (states). Both are "
            "computed."
        ),
    ] = Blocks.year,
    crop: Annotated[
        str, typer.Option(help="Crop, where files hold several, e.g. soybean or soja.", show_default=False)
    ] = "",
    store: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the store; for run directories.")
    ] = None,
    test_years: Annotated[
        str | None, typer.Option(help="Harvest years on which run directories are scored.")
    ] = None,
    as_of: Annotated[
        str | None,
        typer.Option(metavar="YYYY-MM-DD", help="For run directories, as in yieldcast evaluate."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write everything to this file.")
    ] = None,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Compare two models on the rows that both have: is the difference real?

    Shows RMSE, mean absolute error, CRPS and macro-F1 of both with 95 % intervals of their difference, from
    whole harvest years and from whole regions; McNemar's test of classes; the Diebold-Mariano test of losses
    by year. One sentence says who wins. One harvest year names no winner.

    Without :MODEL the forecast of a file or folder is taken, or the mean of a run's members.

    Example:

        yieldcast compare backtest-soybean backtest-soybean:mean_5y_public

        yieldcast compare RUN1 RUN2 --store STORE --test-years 2017:2018
    """
    from yieldcast import language
    from yieldcast.cli.views.compare import comparison_view
    from yieldcast.comparison import compare as comparison
    from yieldcast.comparison.verdict import verdict_text
    from yieldcast.data.files import atomic_text

    check_json_folder(file)
    sides = _sources((a, b), store, test_years, as_of, lang)
    known = {name for side in sides for name in side.rows["crop"]}
    found = comparison.compare(*sides, by=by.value, crop=crop_key(crop, known))
    screen = console()
    screen.print(comparison_view(found, lang))
    screen.print(verdict_text(found.verdict, language.of(lang)), style="bold")
    if file:
        text = json.dumps(found.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        atomic_text(file, text)
        screen.print(language.of(lang).gettext("written: {path}", path=file))


def _sources(
    typed: tuple[str, str], store: Path | None, test_years: str | None, as_of: str | None, lang: str
) -> tuple[Source, Source]:
    """Rows of both sides; members are loaded only where a side is a run directory."""
    from yieldcast import language
    from yieldcast.cli.progress import counting_progress
    from yieldcast.comparison.sources import RunRows, is_run, read_source, split_model
    from yieldcast.data.store import Store

    if not any(is_run(split_model(text)[0]) for text in typed) or (store is None and test_years is None):
        a, b = (read_source(text) for text in typed)
        return a, b
    if store is None or test_years is None:
        raise ConfigError(
            "expected --store and --test-years with a run directory, received one of them",
            "Give the store and the harvest years on which the run is to be scored.",
        )
    load_tensorflow()
    years, date = parse_years(test_years, "--test-years"), parse_date(as_of, "--as-of")
    with counting_progress(language.of(lang).gettext("scoring members"), console()) as progress:
        scored = RunRows(Store.open(store), years, date, progress)
        a, b = (read_source(text, scored) for text in typed)
    return a, b
