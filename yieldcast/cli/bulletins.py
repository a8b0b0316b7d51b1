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
    from yieldcast.data.files import atomic_text
    from yieldcast.operations import changes_text
    from yieldcast.operations.bulletin_list import compared, listed

    check_json_folder(file)
    screen = console()
    if compare is not None:
        found = compared(folder, compare)
        content: Any = found.to_json()
        screen.print(f"{found.crop} {found.harvest_year}: {found.before} and {found.now}", style="bold")
        screen.print(changes_text.summary(found, lang))
    else:
        content = listed(folder, screen.print)
        screen.print(_table(content))
    if file:
        atomic_text(file, json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1) + "\n")
        screen.print(f"written: {file}")


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    title = "bulletins, kg/ha" + (" (synthetic data)" if any(row["synthetic"] for row in rows) else "")
    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("date")
    table.add_column("crop")
    for head in ("harvest", "median", "90 % interval", "yields to", "weather to"):
        table.add_column(head, justify="right")
    for row in rows:
        number = "" if row["number"] == 1 else f" ({row['number']})"
        states = f" {row['states']}" if row["states"] else ""
        table.add_row(
            f"{row['as_of']}{number}", f"{row['crop']}{states}", str(row["harvest_year"]),
            f"{row['median_kg_ha']:,.0f}", f"{row['low_kg_ha']:,.0f}–{row['high_kg_ha']:,.0f}",
            str(row["yields_known_to"]), row["weather_known_to"] or "–",
        )  # fmt: skip
    return table
