"""The contents of a store and the log of an import as rich tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from yieldcast import language
from yieldcast.cli.views.scores import crop_name
from yieldcast.data.summary import OPTIONAL_TABLES
from yieldcast.importing.check import Reader
from yieldcast.importing.columns import ImportLog
from yieldcast.language import Language, message
from yieldcast.reporting import labels

_NONE = message("none")
_TABLES = {  # of an import, and of a store
    "places": message("places"),
    "yields": message("yields"),
    "weather": message("weather"),
    "soil": message("soil"),
    "mesh": message("mesh"),
    "seasonal": message("seasonal"),
    "estimates": message("estimates"),
    "daily": message("daily weather"),
    "field_seasons": message("field seasons"),
    "vegetation": message("vegetation"),
    "season_vegetation": message("vegetation of seasons"),
    "crop_area": message("crop area from maps"),
}


def import_view(report: ImportLog, fingerprints: Mapping[str, str], lang: str = "en") -> Group:
    """What an import read, what it dropped, its warnings, and the fingerprints of the written tables.

    Args:
        report: log returned by `yieldcast.importing.files.import_files`.
        fingerprints: fingerprint of each table of the store.
        lang: language.
    """
    words = language.of(lang)
    marks = ", ".join(f"{name} {text[:12]}" for name, text in fingerprints.items())
    nothing = [] if report.dropped else [Text(words.gettext("nothing was dropped"))]
    shown = Text(words.gettext("fingerprints: {marks}", marks=marks))
    return Group(_log_table(report, words), *nothing, shown, *_loud_warnings(report, words))


def check_view(reader: Reader, lang: str = "en") -> Group:
    """What an import would read, drop, warn of and refuse; every refused file with what to do.

    Args:
        reader: result of `yieldcast.importing.files.check_files`.
        lang: language; the reasons of refusals are English.
    """
    words, lines = language.of(lang), []
    for fault in reader.faults:
        head = words.gettext("REFUSED {table}: ", table=_table_name(fault.table, words))
        lines.append(Text.assemble((head, "bold red"), str(fault.error)))
        if fault.error.hint:
            lines.append(Text.assemble((words.gettext("  Hint: "), "bold"), fault.error.hint))
    for table, cause in reader.unchecked.items():
        text = message("not checked: {table}, because the {cause} are refused")
        names = {"table": _table_name(table, words), "cause": _table_name(cause, words)}
        lines.append(Text(words.gettext(text, **names), style="yellow"))
    count = len(reader.faults)
    refused = words.ngettext(
        "{n} file is refused; nothing was written", "{n} files are refused; nothing was written", count
    )
    accepted = words.gettext("every file is accepted; nothing was written")
    result = Text(refused, style="bold red") if count else Text(accepted, style="bold green")
    return Group(_log_table(reader.log, words), *_loud_warnings(reader.log, words), *lines, result)


def _table_name(name: str, words: Language) -> str:
    return words.gettext(_TABLES.get(name, name))


def _log_table(report: ImportLog, words: Language) -> Table:
    heads = (words.gettext("table"), words.gettext("what"), words.gettext("count"))
    table = Table(*heads, title=words.gettext("import"))
    table.columns[2].justify = "right"
    for lines, label, style in (
        (report.read, "", ""),
        (report.dropped, words.gettext("dropped: "), "yellow"),
    ):
        for name, text, count in lines:
            said = Text(label + words.said(text), style=style)
            table.add_row(_table_name(name, words), said, words.number(count))
    return table


def _loud_warnings(report: ImportLog, words: Language) -> list[Text]:
    """The warnings below everything else, one a line, where they are not overlooked."""
    count = len(report.warnings)
    if not count:
        return []
    head = Text(words.ngettext("{n} WARNING", "{n} WARNINGS", count), style="bold yellow")
    lines = [
        Text.assemble(
            (f"! {_table_name(name, words)}: ", "bold yellow"), f"{words.said(text)} ({words.number(number)})"
        )
        for name, text, number in report.warnings
    ]
    return [head, *lines]


def status_view(status: Mapping[str, Any], lang: str = "en") -> Group:
    """Tables, years, gaps and fingerprints of a store.

    Args:
        status: result of `Store.status`.
        lang: language.
    """
    words, tables = language.of(lang), status["tables"]
    heads = (
        words.gettext("table"), words.gettext("holds"), words.gettext("gaps"), words.gettext("fingerprint"),
    )  # fmt: skip
    view = Table(*heads, title=Text(words.gettext("store {path}", path=status["path"])))
    for table, (command, label, holds, gaps) in _ROWS.items():
        have = tables.get(table)
        if have is not None:
            lacking = "; ".join(part for part in gaps(have, words) if part)
            shown = (holds(have, words), lacking or ("" if gaps is _no_gaps else words.gettext(_NONE)))
            view.add_row(words.gettext(label), *shown, have["fingerprint"][:12])
        elif table not in OPTIONAL_TABLES:
            missing = Text(words.gettext("missing"), style="yellow")
            view.add_row(words.gettext(label), missing, f"yieldcast fetch {command}", "")
    crops = _crops(tables.get("yields", {}).get("crops", {}), words)
    unlisted = _unlisted(status["sources"].get("yields"), words)
    text = words.gettext(
        "country: {country}; written {written} from {sources}",
        country=labels.country(status["country"], lang) if status["country"] else words.gettext("not known"),
        written=_written(status["written"], words), sources=_sources(status["sources"], words),
    )  # fmt: skip
    return Group(view, *([crops] if crops.rows else []), *([unlisted] if unlisted else []), Text(text))


def _written(stamp: str, words: Language) -> str:
    """The moment when a store was written; its day as the language writes days."""
    day, between, time = stamp.partition("T")
    return f"{_day(day, words)}{between if words.tag == 'en' else ' '}{time}" if between else stamp


def _crops(have: Mapping[str, Mapping[str, Any]], words: Language) -> Table:
    heads = (
        words.gettext("crop"), words.gettext("rows"), words.gettext("municipalities"),
        words.gettext("harvest years"), words.gettext("missing years"),
    )  # fmt: skip
    table = Table(*heads, title=words.gettext("yields"))
    for column in table.columns[1:3]:
        column.justify = "right"
    for crop, one in have.items():
        missing = ", ".join(map(str, one["missing_years"])) or words.gettext(_NONE)
        counts = (words.number(one["rows"]), words.number(one["municipalities"]))
        table.add_row(crop_name(crop, words), *counts, _years(one), missing)
    return table


def _unlisted(yields: Any, words: Language) -> Text | None:
    """Places that a fetch of yields found missing in its source's own list; None without any."""
    lacking = yields.get("places_not_listed") if isinstance(yields, Mapping) else None
    if not lacking:
        return None
    text = message("PAM does not list {n} places, the first: {name}")
    return Text(words.gettext(text, n=words.number(lacking["count"]), name=lacking["first"][0]))


def _places(static: Mapping[str, Any], words: Language) -> str:
    properties, layers = len(static["soil_variables"]), len(static["soil_layers"])
    has = message("soil: {properties} properties x {layers} layers")
    soil = words.gettext(has, properties=properties, layers=layers) if properties else ""
    return words.gettext(
        "{n} municipalities, {states} states; {soil}",
        n=words.number(static["municipalities"]), states=len(static["states"]),
        soil=soil or words.gettext("no soil"),
    )  # fmt: skip


def _places_gaps(static: Mapping[str, Any], words: Language) -> list[str]:
    return [_count(static["municipalities_without_soil"], message("{n} without soil"), words)]


def _weather(weather: Mapping[str, Any], words: Language) -> str:
    return words.gettext(
        "{first} to {last}, {n} months: {names}",
        first=words.short_month(weather["first_month"]), last=words.short_month(weather["last_month"]),
        n=weather["months"], names=", ".join(weather["variables"]),
    )  # fmt: skip


def _weather_gaps(weather: Mapping[str, Any], words: Language) -> list[str]:
    months = ", ".join(map(words.short_month, weather["missing_months"]))
    return [
        _count(weather["municipalities_without_weather"], message("{n} municipalities without"), words),
        _count(weather["missing_cells"], message("{n} cells missing"), words),
        words.gettext("months missing: {months}", months=months) if months else "",
    ]


def _yields(yields: Mapping[str, Any], words: Language) -> str:
    return words.gettext("{n} crops, see below", n=len(yields["crops"]))


def _no_gaps(have: Mapping[str, Any], words: Language) -> list[str]:
    return []


def _seasonal(seasonal: Mapping[str, Any], words: Language) -> str:
    starts = [words.short_month(start) for start in seasonal["starts"]]
    several = message("{n} starts, {first} to {last}")
    values = {"n": len(starts), "first": starts[0], "last": starts[-1]}
    return words.gettext(
        "{span}: {members} members x {leads} months",
        span=starts[0] if len(starts) == 1 else words.gettext(several, **values),
        members=seasonal["members"], leads=seasonal["leads"],
    )  # fmt: skip


def _estimates(estimates: Mapping[str, Any], words: Language) -> str:
    text = message(
        "{source}: {n}, {first} to {last}, harvest years {years}, {states} states ({crops}), "
        "newest public from {day}"
    )
    return "; ".join(
        words.gettext(
            text, source=source, n=words.number(have["entries"]),
            first=words.short_month(have["first_reference_month"]),
            last=words.short_month(have["last_reference_month"]),
            years=_years(have), states=len(have["units"]),
            crops=", ".join(crop_name(crop, words) for crop in have["crops"]),
            day=_day(have["newest_public_from"], words),
        )
        for source, have in estimates["sources"].items()
    )  # fmt: skip


def _estimates_gaps(estimates: Mapping[str, Any], words: Language) -> list[str]:
    sources = estimates["sources"].values()
    carried = sum(have["carried_over"] for have in sources)
    return [
        _count(carried, message("{n} equal to the one before"), words),
        _count(sum(have["revisions"] for have in sources), message("{n} revisions"), words),
    ]


def _daily(daily: Mapping[str, Any], words: Language) -> str:
    return words.gettext(
        "{first} to {last}, {n} units: {names}",
        first=_day(daily["first_day"], words), last=_day(daily["last_day"], words),
        n=words.number(daily["units"]), names=", ".join(daily["variables"]),
    )  # fmt: skip


def _daily_gaps(daily: Mapping[str, Any], words: Language) -> list[str]:
    return [
        _count(daily["municipalities_without_unit"], message("{n} municipalities without"), words),
        _count(daily["missing_cells"], message("{n} days of units missing"), words),
    ]


def _field_seasons(seasons: Mapping[str, Any], words: Language) -> str:
    text = message("{crop}: {n} seasons of {fields} fields, harvest years {years}")
    return "; ".join(
        words.gettext(
            text, crop=crop_name(crop, words), n=words.number(have["seasons"]),
            fields=words.number(have["fields"]), years=_years(have),
        )
        for crop, have in seasons["crops"].items()
    )  # fmt: skip


def _field_seasons_gaps(seasons: Mapping[str, Any], words: Language) -> list[str]:
    return [
        _count(seasons["without_sowing_date"], message("{n} without a sowing date"), words),
        _count(seasons["without_harvest_date"], message("{n} without a harvest date"), words),
    ]


def _vegetation(vegetation: Mapping[str, Any], words: Language) -> str:
    return words.gettext(
        "{first} to {last}, {n} observations of {places} places: {names}",
        first=_day(vegetation["first_day"], words), last=_day(vegetation["last_day"], words),
        n=words.number(vegetation["observations"]), places=words.number(vegetation["municipalities"]),
        names=", ".join(vegetation["variables"]),
    )  # fmt: skip


def _vegetation_gaps(vegetation: Mapping[str, Any], words: Language) -> list[str]:
    return [_count(vegetation["not_clear"], message("{n} not clear"), words)]


def _season_vegetation(seasons: Mapping[str, Any], words: Language) -> str:
    return words.gettext(
        "{n} places, harvest years {years}: {names}",
        n=words.number(seasons["municipalities"]), years=_years(seasons),
        names=", ".join(seasons["variables"]),
    )  # fmt: skip


def _season_vegetation_gaps(seasons: Mapping[str, Any], words: Language) -> list[str]:
    return [_count(seasons["missing_cells"], message("{n} cells missing"), words)]


def _crop_area(have: Mapping[str, Any], words: Language) -> str:
    text = message("{crop}: maps of {years}")
    return "; ".join(
        words.gettext(text, crop=crop_name(crop, words), years=", ".join(one["mapped_ha"]))
        for crop, one in have["crops"].items()
    )


def _crop_area_gaps(have: Mapping[str, Any], words: Language) -> list[str]:
    return [_count(have["missing_cells"], message("{n} cells missing"), words)]


def _count(number: int, text: str, words: Language) -> str:
    return words.gettext(text, n=words.number(number)) if number else ""


def _years(have: Mapping[str, Any]) -> str:
    return f"{have['first_harvest_year']}-{have['last_harvest_year']}"


def _day(iso: str, words: Language) -> str:
    return words.date(dt.date.fromisoformat(iso))


def _sources(sources: Mapping[str, Any], words: Language) -> str:
    files = (
        value.get("file", value.get("source", "")) if isinstance(value, Mapping) else value
        for value in sources.values()
    )
    return ", ".join(dict.fromkeys(map(str, files))) or words.gettext("tables in memory")


_Describe = Callable[[Mapping[str, Any], Language], str]
_Gaps = Callable[[Mapping[str, Any], Language], list[str]]
# table of the store: its name for `yieldcast fetch` and for readers, and texts of its contents and its gaps
_ROWS: Mapping[str, tuple[str, str, _Describe, _Gaps]] = {
    "static": ("places", _TABLES["places"], _places, _places_gaps),
    "weather": ("weather", _TABLES["weather"], _weather, _weather_gaps),
    "yields": ("yields", _TABLES["yields"], _yields, _no_gaps),
    "seasonal": ("seasonal", _TABLES["seasonal"], _seasonal, _no_gaps),
    "estimates": ("estimates", _TABLES["estimates"], _estimates, _estimates_gaps),
    "daily": ("weather", _TABLES["daily"], _daily, _daily_gaps),
    "field_seasons": ("", _TABLES["field_seasons"], _field_seasons, _field_seasons_gaps),
    "vegetation": ("", _TABLES["vegetation"], _vegetation, _vegetation_gaps),
    "season_vegetation": (
        "",
        _TABLES["season_vegetation"],
        _season_vegetation,
        _season_vegetation_gaps,
    ),
    "crop_area": ("", _TABLES["crop_area"], _crop_area, _crop_area_gaps),
}
