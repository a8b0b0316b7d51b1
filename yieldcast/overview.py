"""What a store holds and what an import did, as rich tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from yieldcast.columns import ImportLog


def import_view(report: ImportLog, fingerprints: Mapping[str, str]) -> Group:
    """What an import read, dropped and found odd, and the fingerprints of what was written.

    Args:
        report: of `importing.read_tables`.
        fingerprints: table -> fingerprint, as in the store.
    """
    table = Table("table", "what", "count", title="import")
    table.columns[2].justify = "right"
    groups = (
        (report.read, "", ""),
        (report.dropped, "dropped: ", "yellow"),
        (report.warnings, "note: ", "yellow"),
    )
    for lines, label, style in groups:
        for name, text, count in lines:
            table.add_row(name, Text(label + text, style=style), f"{count:,}")
    marks = Text("fingerprints: " + ", ".join(f"{name} {text[:12]}" for name, text in fingerprints.items()))
    nothing = [] if report.dropped else [Text("nothing was dropped")]
    return Group(table, *nothing, marks)


def status_view(status: Mapping[str, Any]) -> Group:
    """A store's tables, years, gaps and fingerprints.

    Args:
        status: of `Store.status`.
    """
    tables = status["tables"]
    static, weather, yields = (tables[name] for name in ("static", "weather", "yields"))
    view = Table("table", "holds", "gaps", "fingerprint", title=Text(f"store {status['path']}"))
    view.add_row("places", _places(static), _places_gaps(static), static["fingerprint"][:12])
    view.add_row("weather", _weather(weather), _weather_gaps(weather), weather["fingerprint"][:12])
    view.add_row("yields", f"{len(yields['crops'])} crops, see below", "", yields["fingerprint"][:12])
    crops = Table("crop", "rows", "municipalities", "harvest years", "missing years", title="yields")
    for column in crops.columns[1:3]:
        column.justify = "right"
    for crop, have in yields["crops"].items():
        years = f"{have['first_harvest_year']}-{have['last_harvest_year']}"
        missing = ", ".join(map(str, have["missing_years"])) or "none"
        crops.add_row(crop, f"{have['rows']:,}", f"{have['municipalities']:,}", years, missing)
    return Group(view, crops, Text(f"written {status['written']} from {_sources(status['sources'])}"))


def _places(static: Mapping[str, Any]) -> str:
    properties, layers = len(static["soil_variables"]), len(static["soil_layers"])
    soil = f"soil: {properties} properties x {layers} layers" if properties else "no soil"
    return f"{static['municipalities']:,} municipalities, {len(static['states'])} states; {soil}"


def _places_gaps(static: Mapping[str, Any]) -> str:
    return _count(static["municipalities_without_soil"], "without soil")


def _weather(weather: Mapping[str, Any]) -> str:
    span = f"{weather['first_month']} to {weather['last_month']}, {weather['months']} months"
    return f"{span}: {', '.join(weather['variables'])}"


def _weather_gaps(weather: Mapping[str, Any]) -> str:
    months: Sequence[str] = weather["missing_months"]
    parts = [
        _count(weather["municipalities_without_weather"], "municipalities without"),
        _count(weather["missing_cells"], "cells missing"),
        f"months missing: {', '.join(months)}" if months else "",
    ]
    return "; ".join(part for part in parts if part != "none") or "none"


def _count(number: int, text: str) -> str:
    return f"{number:,} {text}" if number else "none"


def _sources(sources: Mapping[str, Any]) -> str:
    files = (value["file"] if isinstance(value, Mapping) else value for value in sources.values())
    return ", ".join(map(str, files)) or "tables in memory"
