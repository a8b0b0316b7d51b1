"""The contents of a store and the log of an import as rich tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from yieldcast.data.summary import OPTIONAL_TABLES
from yieldcast.importing.check import Reader
from yieldcast.importing.columns import ImportLog


def import_view(report: ImportLog, fingerprints: Mapping[str, str]) -> Group:
    """What an import read, what it dropped, its warnings, and the fingerprints of the written tables.

    Args:
        report: log returned by `yieldcast.importing.files.import_files`.
        fingerprints: fingerprint of each table of the store.
    """
    marks = Text("fingerprints: " + ", ".join(f"{name} {text[:12]}" for name, text in fingerprints.items()))
    nothing = [] if report.dropped else [Text("nothing was dropped")]
    return Group(_log_table(report), *nothing, marks, *_loud_warnings(report))


def check_view(reader: Reader) -> Group:
    """What an import would read, drop, warn of and refuse; every refused file with what to do.

    Args:
        reader: result of `yieldcast.importing.files.check_files`.
    """
    lines = []
    for fault in reader.faults:
        lines.append(Text.assemble((f"REFUSED {fault.table}: ", "bold red"), str(fault.error)))
        if fault.error.hint:
            lines.append(Text.assemble(("  Hint: ", "bold"), fault.error.hint))
    for table, cause in reader.unchecked.items():
        lines.append(Text(f"not checked: {table}, because the {cause} are refused", style="yellow"))
    count = len(reader.faults)
    files = "file is" if count == 1 else "files are"
    result = (
        Text(f"{count} {files} refused; nothing was written", style="bold red")
        if count
        else Text("every file is accepted; nothing was written", style="bold green")
    )
    return Group(_log_table(reader.log), *_loud_warnings(reader.log), *lines, result)


def _log_table(report: ImportLog) -> Table:
    table = Table("table", "what", "count", title="import")
    table.columns[2].justify = "right"
    for lines, label, style in ((report.read, "", ""), (report.dropped, "dropped: ", "yellow")):
        for name, text, count in lines:
            table.add_row(name, Text(label + text, style=style), f"{count:,}")
    return table


def _loud_warnings(report: ImportLog) -> list[Text]:
    """The warnings below everything else, one a line, where they are not overlooked."""
    count = len(report.warnings)
    if not count:
        return []
    head = Text(f"{count} {'WARNING' if count == 1 else 'WARNINGS'}", style="bold yellow")
    lines = [
        Text.assemble((f"! {name}: ", "bold yellow"), f"{text} ({number:,})")
        for name, text, number in report.warnings
    ]
    return [head, *lines]


def status_view(status: Mapping[str, Any]) -> Group:
    """Tables, years, gaps and fingerprints of a store.

    Args:
        status: result of `Store.status`.
    """
    tables = status["tables"]
    view = Table("table", "holds", "gaps", "fingerprint", title=Text(f"store {status['path']}"))
    for table, (label, holds, gaps) in _ROWS.items():
        have = tables.get(table)
        if have is not None:
            view.add_row(label, holds(have), gaps(have), have["fingerprint"][:12])
        elif table not in OPTIONAL_TABLES:
            view.add_row(label, Text("missing", style="yellow"), f"yieldcast fetch {label}", "")
    crops = Table("crop", "rows", "municipalities", "harvest years", "missing years", title="yields")
    for column in crops.columns[1:3]:
        column.justify = "right"
    for crop, have in tables.get("yields", {}).get("crops", {}).items():
        years = f"{have['first_harvest_year']}-{have['last_harvest_year']}"
        missing = ", ".join(map(str, have["missing_years"])) or "none"
        crops.add_row(crop, f"{have['rows']:,}", f"{have['municipalities']:,}", years, missing)
    country = status["country"] or "not known"
    written = Text(f"country: {country}; written {status['written']} from {_sources(status['sources'])}")
    unlisted = _unlisted(status["sources"].get("yields"))
    return Group(view, *([crops] if crops.rows else []), *([unlisted] if unlisted else []), written)


def _unlisted(yields: Any) -> Text | None:
    """Municipalities that a fetch of yields found missing in PAM's own list; None without any."""
    lacking = yields.get("places_not_listed") if isinstance(yields, Mapping) else None
    if not lacking:
        return None
    return Text(f"PAM does not list {lacking['count']:,} places, the first: {lacking['first'][0]}")


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


def _seasonal(seasonal: Mapping[str, Any]) -> str:
    starts = seasonal["starts"]
    span = starts[0] if len(starts) == 1 else f"{len(starts)} starts, {starts[0]} to {starts[-1]}"
    return f"{span}: {seasonal['members']} members x {seasonal['leads']} months"


def _estimates(estimates: Mapping[str, Any]) -> str:
    return "; ".join(
        f"{source}: {have['entries']:,}, {have['first_reference_month']} to {have['last_reference_month']}, "
        f"harvest years {have['first_harvest_year']}-{have['last_harvest_year']}, "
        f"{len(have['units'])} states ({', '.join(have['crops'])}), "
        f"newest public from {have['newest_public_from']}"
        for source, have in estimates["sources"].items()
    )


def _estimates_gaps(estimates: Mapping[str, Any]) -> str:
    sources = estimates["sources"].values()
    parts = [
        _count(sum(have["carried_over"] for have in sources), "equal to the one before"),
        _count(sum(have["revisions"] for have in sources), "revisions"),
    ]
    return "; ".join(part for part in parts if part != "none") or "none"


def _daily(daily: Mapping[str, Any]) -> str:
    span = f"{daily['first_day']} to {daily['last_day']}, {daily['units']:,} units"
    return f"{span}: {', '.join(daily['variables'])}"


def _daily_gaps(daily: Mapping[str, Any]) -> str:
    parts = [
        _count(daily["municipalities_without_unit"], "municipalities without"),
        _count(daily["missing_cells"], "days of units missing"),
    ]
    return "; ".join(part for part in parts if part != "none") or "none"


def _count(number: int, text: str) -> str:
    return f"{number:,} {text}" if number else "none"


def _sources(sources: Mapping[str, Any]) -> str:
    files = (
        value.get("file", value.get("source", "")) if isinstance(value, Mapping) else value
        for value in sources.values()
    )
    return ", ".join(dict.fromkeys(map(str, files))) or "tables in memory"


_Describe = Callable[[Mapping[str, Any]], str]
# table of the store: its name for `yieldcast fetch`, and texts of its contents and of its gaps
_ROWS: Mapping[str, tuple[str, _Describe, _Describe]] = {
    "static": ("places", _places, _places_gaps),
    "weather": ("weather", _weather, _weather_gaps),
    "yields": ("yields", lambda have: f"{len(have['crops'])} crops, see below", lambda have: ""),
    "seasonal": ("seasonal", _seasonal, lambda have: ""),
    "estimates": ("estimates", _estimates, _estimates_gaps),
    "daily": ("daily weather", _daily, _daily_gaps),
}
