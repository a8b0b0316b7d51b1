"""Short summaries of an object for people: plain text for a terminal, one HTML table for a notebook."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import xarray as xr

from yieldcast.data.files import open_hdf5
from yieldcast.data.inventory import table_inventory

Rows = list[tuple[str, str]]
# A store can train and forecast without these. The last three are named only where they are: most stores have
# no fields and no vegetation.
OPTIONAL_TABLES = (
    "seasonal", "estimates", "daily", "field_seasons", "vegetation", "season_vegetation", "crop_area",
)  # fmt: skip
_RARE_TABLES = OPTIONAL_TABLES[3:]

# Colours are inherited and the lines are grey, so that light and dark notebooks can both show the table.
_CELL = "text-align: left; vertical-align: top; padding: 0.15em 0.8em 0.15em 0; color: inherit;"
_HEADING = f"{_CELL} font-weight: normal; opacity: 0.75; white-space: nowrap;"
_VALUE = f"{_CELL} overflow-wrap: anywhere; white-space: pre-line;"
_TABLE = "border-collapse: collapse; background: transparent; color: inherit; max-width: 60em;"


def summary_text(title: str, rows: Sequence[tuple[str, str]]) -> str:
    """A title and one line per row, names in a column of equal width.

    Args:
        title: what the object is, e.g. ``Store /data/brazil``.
        rows: names and values; a value may have several lines.

    Returns:
        the text, without a line break at its end.
    """
    width = max((len(name) for name, _ in rows), default=0)
    lines = [title]
    for name, value in rows:
        first, *more = value.split("\n")
        lines.append(f"  {name:<{width}}  {first}".rstrip())
        lines += [f"  {'':<{width}}  {line}".rstrip() for line in more]
    return "\n".join(lines)


def summary_html(title: str, rows: Sequence[tuple[str, str]]) -> str:
    """The same as one HTML table with its title above: all text escaped, nothing loaded from elsewhere.

    Args:
        title: as for `summary_text`.
        rows: as for `summary_text`.
    """
    cells = "".join(
        f'<tr style="background: transparent; border-top: 1px solid rgba(128, 128, 128, 0.35);">'
        f'<th scope="row" style="{_HEADING}">{html.escape(name)}</th>'
        f'<td style="{_VALUE}">{html.escape(value)}</td></tr>'
        for name, value in rows
    )
    caption = (
        '<caption style="caption-side: top; text-align: left; color: inherit; font-weight: bold;">'
        f"{html.escape(title)}</caption>"
    )
    return f'<table style="{_TABLE}">{caption}<tbody>{cells}</tbody></table>'


def number_spans(numbers: Iterable[int]) -> str:
    """Whole numbers in order, consecutive ones as a span: "2010-2013, 2015"; "none" without any."""
    spans: list[list[int]] = []
    for number in sorted({int(number) for number in numbers}):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in spans) or "none"


def some_names(names: Sequence[str], most: int = 6) -> str:
    """Names separated by commas; of a long list the first ones, the last one and how many there are."""
    if len(names) <= most:
        return ", ".join(names)
    return f"{', '.join(names[: most - 1])}, ... {names[-1]} ({len(names)} in all)"


def or_fault(describe: Callable[[], str]) -> str:
    """The text that `describe` returns; where it fails, what failed, so that a summary never raises."""
    try:
        return describe()
    except Exception as error:  # damaged files raise many kinds
        first = str(error).partition("\n")[0]
        return f"cannot be read: {type(error).__name__}: {first:.120}"


def store_summary(path: Path, manifest: Mapping[str, Any], loaded: Mapping[str, Any]) -> tuple[str, Rows]:
    """Title and rows of a store: what each table holds and where it comes from.

    Args:
        path: folder of the store.
        manifest: contents of its ``store.json``.
        loaded: tables already in memory, by name. Of the others only what is shown is read from disk: of
            weather and seasonal forecasts the coordinates, not the values. Fingerprints are not verified.
    """
    synthetic: set[bool] = set()

    def shown(table: str) -> str:
        if table not in manifest["tables"]:
            return "none" if table in OPTIONAL_TABLES else "missing"
        entry = manifest["tables"][table]
        kept = nullcontext(loaded[table]) if table in loaded else open_hdf5(path / str(entry["file"]))
        with kept as ds:
            synthetic.add(bool(ds.attrs.get("synthetic", 0)))
            return f"{_TABLES[table][1](ds)}\nfingerprint {str(entry['fingerprint'])[:12]}"

    lines = [
        (label, or_fault(partial(shown, table)))
        for table, (label, _) in _TABLES.items()
        if table not in _RARE_TABLES or table in manifest["tables"]
    ]
    sources = or_fault(lambda: "\n".join(_source(*one) for one in manifest["sources"].items()))
    return f"Store {path}{' (SYNTHETIC DATA)' if True in synthetic else ''}", [
        ("written", str(manifest.get("written"))),
        *lines,
        ("boundaries", str(manifest.get("mesh") or "none")),
        ("sources", sources or "not recorded"),
    ]


def _source(name: str, about: Any) -> str:
    if isinstance(about, Mapping):
        about = ", ".join(f"{key} {value}" for key, value in about.items() if key != "bytes")
    return f"{name}: {about}"


def _places(ds: xr.Dataset) -> str:
    have = table_inventory("static", ds)
    soil, lacking = have["soil_variables"], have["municipalities_without_soil"]
    properties = f"{len(soil)} soil properties x {len(have['soil_layers'])} layers" if soil else "no soil"
    gaps = f" (none for {lacking:,} municipalities)" if soil and lacking else ""
    return f"{have['municipalities']:,} municipalities in {len(have['states'])} states; {properties}{gaps}"


def _weather(ds: xr.Dataset) -> str:
    months = ds["time"].values.astype("datetime64[M]")
    return (
        f"{len(months)} months, {months[0]} to {months[-1]}, {ds.sizes['municipality']:,} municipalities\n"
        f"{', '.join(sorted(map(str, ds.data_vars)))}"
    )


def _yields(ds: xr.Dataset) -> str:
    crops = table_inventory("yields", ds)["crops"]
    return "\n".join(
        f"{crop}: {have['rows']:,} yields (kg/ha) of {have['municipalities']:,} municipalities, "
        f"harvest years {_years(have)}"
        for crop, have in crops.items()
    )


def _years(have: Mapping[str, Any]) -> str:
    if have["first_harvest_year"] is None:
        return "none"
    every = range(have["first_harvest_year"], have["last_harvest_year"] + 1)
    return number_spans(set(every) - set(have["missing_years"]))


def _seasonal(ds: xr.Dataset) -> str:
    have = table_inventory("seasonal", ds)
    starts = have["starts"]
    return (
        f"{len(starts)} starts, {min(starts)} to {max(starts)}; {have['members']} members x "
        f"{have['leads']} months x {have['cells']:,} cells"
    )


def _estimates(ds: xr.Dataset) -> str:
    sources = table_inventory("estimates", ds)["sources"]
    return "\n".join(
        f"{source}: {have['entries']:,} estimates of {', '.join(have['crops'])}, "
        f"{have['first_reference_month']} to {have['last_reference_month']}, "
        f"newest public from {have['newest_public_from']}"
        for source, have in sources.items()
    )


def _daily(ds: xr.Dataset) -> str:
    days = ds["time"].values.astype("datetime64[D]")
    names = sorted(n for n in map(str, ds.data_vars) if n != "municipality_unit")
    return f"{len(days):,} days, {days[0]} to {days[-1]}, {ds.sizes['unit']:,} units\n{', '.join(names)}"


def _field_seasons(ds: xr.Dataset) -> str:
    return "\n".join(
        f"{crop}: {have['seasons']:,} seasons of {have['fields']:,} fields, harvest years "
        f"{have['first_harvest_year']}-{have['last_harvest_year']}"
        for crop, have in table_inventory("field_seasons", ds)["crops"].items()
    )


def _vegetation(ds: xr.Dataset) -> str:
    have = table_inventory("vegetation", ds)
    return (
        f"{have['observations']:,} observations of {', '.join(have['variables'])}, {have['first_day']} to "
        f"{have['last_day']}, {have['municipalities']:,} places"
    )


def _season_vegetation(ds: xr.Dataset) -> str:
    have = table_inventory("season_vegetation", ds)
    return (
        f"{have['municipalities']:,} places, harvest years {have['first_harvest_year']}-"
        f"{have['last_harvest_year']}\n{', '.join(have['variables'])}"
    )


def _crop_area(ds: xr.Dataset) -> str:
    crops = table_inventory("crop_area", ds)["crops"]
    return "\n".join(f"{crop}: maps of {', '.join(have['mapped_ha'])}" for crop, have in crops.items())


_TABLES: Mapping[str, tuple[str, Callable[[xr.Dataset], str]]] = {
    "static": ("places", _places),
    "weather": ("weather", _weather),
    "yields": ("yields", _yields),
    "seasonal": ("seasonal", _seasonal),
    "estimates": ("estimates", _estimates),
    "daily": ("daily weather", _daily),
    "field_seasons": ("field seasons", _field_seasons),
    "vegetation": ("vegetation", _vegetation),
    "season_vegetation": ("vegetation of seasons", _season_vegetation),
    "crop_area": ("crop area from maps", _crop_area),
}
