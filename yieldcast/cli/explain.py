"""`yieldcast explain`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from yieldcast.cli.arguments import JsonOption, ScreenLanguageOption, check_json_folder
from yieldcast.cli.panels import FORECASTS, Command
from yieldcast.cli.terminal import console, load_tensorflow


def add_commands(app: typer.Typer) -> None:
    """Add `explain` to the command line."""
    app.command(cls=Command, rich_help_panel=FORECASTS)(explain)


def explain(
    bulletin: Annotated[
        Path,
        typer.Argument(
            metavar="BULLETIN", help="Folder of a bulletin, e.g. BULLETINS/soybean-2018/2018-02-15."
        ),
    ],
    place: Annotated[
        str, typer.Option(metavar="CODE", help="Code of a municipality of the bulletin, or its name.")
    ],
    store: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Store of the bulletin; default: STORE or store beside it or here."),
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="Run of the bulletin; default: looked for beside it and here."),
    ] = None,
    file: JsonOption = None,
    lang: ScreenLanguageOption = "en",
) -> None:
    """Why so low? What rain and temperature of each month add to the forecast of a place, in kg/ha.

    The numbers add up to the difference from the forecast with usual weather so far. The network's part is
    split by integrated gradients, water balance and trees by what each month moved when it became known; what
    cannot be split is said.

    Example:

        yieldcast explain BULLETINS/soybean-2018/2018-02-15 --place 5107925 --store STORE
    """
    from yieldcast import language
    from yieldcast.cli.views.explain import explain_view
    from yieldcast.data.files import atomic_text
    from yieldcast.operations.explanation import explain_bulletin
    from yieldcast.reporting.weather_words import sentence_of

    check_json_folder(file)
    screen, words = console(), language.of(lang)
    load_tensorflow()
    with screen.status(words.gettext("making the forecast again, and with usual weather")):
        found = explain_bulletin(bulletin, place, store, run)
    screen.print(explain_view(found, lang))
    if file:
        text = {tag: sentence_of(found.explanation, found.about["name"], tag) for tag in language.tags()}
        content = {**found.to_json(), "text": text}
        atomic_text(file, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
        screen.print(words.gettext("written: {path}", path=file))
