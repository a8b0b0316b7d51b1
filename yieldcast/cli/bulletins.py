"""`yieldcast bulletins`: what was issued, and how two bulletins differ."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from yieldcast.cli.arguments import JsonOption, LanguageOption, check_json_folder
from yieldcast.cli.panels import FORECASTS, Command
from yieldcast.cli.terminal import console

if TYPE_CHECKING:
    from rich.table import Table

    from yieldcast.language import Language


def add_commands(app: typer.Typer) -> None:
    """Add `bulletins` to the command line."""
    app.command(cls=Command, rich_help_panel=FORECASTS)(bulletins)


def bulletins(
    folder: Annotated[
        Path, typer.Argument(metavar="[FOLDER]", help="Folder of all bulletins; default: this one.")
    ] = Path(),
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="A B", help="Two bulletins of one season, e.g. 2017-10-15 2018-02-15."),
    ] = None,
    file: JsonOption = None,
    lang: LanguageOption = "en",
) -> None:
    """List the bulletins that were issued, or compare two of them.

    Of each one: date, crop, harvest year, median and 90 % interval of all its municipalities, and the newest
    yields and weather that it knew.

    Example:

        yieldcast bulletins BULLETINS

        yieldcast bulletins BULLETINS --compare soybean-2018/2017-10-15 soybean-2018/2018-02-15
    """
    from yieldcast import language
    from yieldcast.cli.views.scores import crop_name
    from yieldcast.data.files import atomic_text
    from yieldcast.operations import changes_text
    from yieldcast.operations.bulletin_list import compared, listed

    check_json_folder(file)
    screen, words = console(), language.of(lang)
    if compare is not None:
        found = compared(folder, compare)
        content: Any = found.to_json()
        head = words.gettext(
            "{crop} {year}: {before} and {now}",
            crop=crop_name(found.crop, words), year=found.harvest_year, before=found.before, now=found.now,
        )  # fmt: skip
        screen.print(head, style="bold")
        screen.print(changes_text.summary(found, lang))
    else:
        content = listed(folder, lambda text: screen.print(words.said(text)))
        screen.print(_table(content, words))
    if file:
        atomic_text(file, json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1) + "\n")
        screen.print(words.gettext("written: {path}", path=file))


def _table(rows: Sequence[Mapping[str, Any]], words: Language) -> Table:
    import datetime as dt

    from rich import box
    from rich.table import Table
    from rich.text import Text

    from yieldcast.cli.views.scores import crop_name

    title = words.gettext("bulletins, kg/ha")
    if any(row["synthetic"] for row in rows):
        title = words.gettext("{title} (synthetic data)", title=title)
    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(words.gettext("date"))
    table.add_column(words.gettext("crop"))
    for head in (
        words.gettext("harvest"), words.gettext("median"),
        words.gettext("{share} interval", share="90 %" if words.tag == "en" else words.percent(0.9)),
        words.gettext("yields to"), words.gettext("weather to"),
    ):  # fmt: skip
        table.add_column(head, justify="right")
    for row in rows:
        known = words.short_month(row["weather_known_to"]) if row["weather_known_to"] else "–"
        number = "" if row["number"] == 1 else f" ({row['number']})"
        states = f" {row['states']}" if row["states"] else ""
        table.add_row(
            f"{words.date(dt.date.fromisoformat(row['as_of']))}{number}",
            f"{crop_name(row['crop'], words)}{states}", str(row["harvest_year"]),
            words.number(row["median_kg_ha"]),
            f"{words.number(row['low_kg_ha'])}–{words.number(row['high_kg_ha'])}",
            str(row["yields_known_to"]), known,
        )  # fmt: skip
    return table
