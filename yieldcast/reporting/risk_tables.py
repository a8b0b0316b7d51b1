"""The risk of a season as tables and files: CSV, XLSX, GeoPackage, JSON, and columns of the report's map."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast import language
from yieldcast.data.files import atomic_text
from yieldcast.forecasting.table import ALL_MUNICIPALITIES, QUANTILES
from yieldcast.language import Language, message
from yieldcast.reporting import geodata, labels, spreadsheets
from yieldcast.reporting.tables import Table, rounded
from yieldcast.risk.forecast import Risk

Floats = NDArray[np.float64]
CLASS_NAMES: Mapping[str, str] = {
    "low": message("low"), "medium": message("medium"), "high": message("high"),
    "not_low": message("not low"), "": "",
}  # fmt: skip
RULES: Mapping[str, str] = {
    "terciles": message("thirds of the yields of the training years"),
    "municipality": message("thirds of each municipality's ten newest public yields"),
    "threshold": message("break-even yield"),
}
SOURCES: Mapping[str, str] = {"forecast": message("forecast"), "classifier": message("classifier")}
_MEDIAN = QUANTILES.index(0.50)


def place_table(risk: Risk, forecast: xr.Dataset) -> Table:
    """One row per municipality: names, probabilities, class, flag, cost, borders, median.

    Args:
        risk: of the municipalities of the forecast.
        forecast: a checked table.
    """
    got = {name: forecast[name].values for name in ("code", "name", "state", "region")}
    rows, names = len(risk.municipality), risk.rule.names
    borders, found = risk.rule.borders(risk.municipality), risk.probabilities
    keys = ("border_low_kg_ha", "border_high_kg_ha")[: borders.shape[1]]
    table: Table = {key: values.astype(str) for key, values in got.items()}
    table |= _identity(risk, rows)
    table |= {f"p_{name}": found[:, k] for k, name in enumerate(names)}
    table |= {
        "class": np.array([*names, ""])[risk.classes],
        "flag": risk.flagged,
        "expected_cost": risk.expected_cost,
    }
    if len(risk.sources) > 1:
        table |= {f"{name}_p_low": values[:, 0] for name, values in risk.sources.items()}
    table |= dict(zip(keys, borders.T, strict=True))
    table |= {
        "yield_p50_kg_ha": forecast["yield_kg_ha"].values[:, _MEDIAN],
        "area_planted_ha": forecast["area_planted_ha"].values,
        "latitude_deg": forecast["latitude_deg"].values, "longitude_deg": forecast["longitude_deg"].values,
        "synthetic": np.full(rows, bool(forecast.attrs["synthetic"])),
    }  # fmt: skip
    return rounded(table)


def area_table(risk: Risk, forecast: xr.Dataset) -> Table:
    """One row for the country and one per state: flags, areas, mean of P(low), expected cost.

    Args:
        risk, forecast: see `place_table`.
    """
    names = [ALL_MUNICIPALITIES, *np.unique(risk.state).tolist()]
    inside = [np.ones(len(risk.state), dtype=bool), *(risk.state == name for name in names[1:])]
    area = np.nan_to_num(forecast["area_planted_ha"].values.astype(np.float64))
    low, flagged, cost = risk.p_low, risk.flagged, risk.expected_cost

    def total(values: Floats) -> Floats:
        return np.array([float(np.nansum(values[mine])) for mine in inside])

    known = total(np.isfinite(low).astype(np.float64))
    table: Table = {
        "level": np.array(["country", *["state"] * (len(names) - 1)]),
        "aggregate": np.array(names),
        "municipalities": np.array([int(mine.sum()) for mine in inside]),
        **_identity(risk, len(names)),
        "mean_p_low": np.where(known > 0, total(low) / np.maximum(known, 1.0), np.nan),
        "places_flagged": total(flagged.astype(np.float64)).astype(np.int64),
        "area_flagged_ha": total(area * flagged),
        "low_area_ha": total(area * low),
        "area_planted_ha": total(area),
        "expected_cost": total(cost),
        "synthetic": np.full(len(names), bool(forecast.attrs["synthetic"])),
    }
    return rounded(table)


def _identity(risk: Risk, rows: int) -> Table:
    return {
        "crop": np.full(rows, risk.crop),
        "harvest_year": np.full(rows, risk.harvest_year, dtype=np.int32),
        "as_of": np.full(rows, np.datetime64(risk.as_of, "D")),
    }


def title(risk: Risk, forecast: xr.Dataset, lang: str) -> str:
    """One line that says what the tables are; that of synthetic data says so."""
    words = language.of(lang)
    line = words.gettext(
        "{crop}, season {season}: risk of a low yield as of {date}",
        crop=labels.crop(risk.crop, lang).capitalize(), season=labels.season(forecast),
        date=words.date(risk.as_of),
    )  # fmt: skip
    return labels.marked(line, bool(forecast.attrs["synthetic"]), lang)


def facts(risk: Risk, lang: str) -> dict[str, str]:
    """What a reader must know of the numbers: heading -> text."""
    words = language.of(lang)
    sources = [words.gettext(SOURCES[name]) for name in risk.sources]
    borders = [words.number(border) for border in risk.rule.borders_kg_ha]
    shown = {
        words.gettext("Classes"): words.gettext(RULES[risk.rule.rule]),
        words.gettext("Harvest years of the classes"): labels.years_in_words(risk.rule.train_years, lang),
        words.gettext("Source of the probabilities"): ", ".join(sources),
        words.gettext("Cost of a missed low yield"): _number(risk.costs.miss, words),
        words.gettext("Cost of a false alarm"): _number(risk.costs.alarm, words),
        words.gettext("Flag from p_low"): _number(risk.costs.threshold, words),
    }
    if risk.rule.rule != "municipality":
        shown[words.gettext("Borders of the classes, kg/ha")] = ", ".join(borders)
    if risk.classifier:
        shown[words.gettext("Classifier")] = (
            f"{risk.classifier.name}, macro-F1 {words.number(risk.classifier.score, 3)}: "
            f"{', '.join(risk.classifier.chosen)}"
        )
    return shown


def _number(value: float, words: Language) -> str:
    """A number with at most three digits after the decimal sign."""
    digits = next((k for k in range(3) if round(value, k) == round(value, 3)), 3)
    return words.number(value, digits)


def write_risk(
    folder: Path, risk: Risk, forecast: xr.Dataset, shapes: geodata.Shapes | None, lang: str
) -> list[Path]:
    """Write risk.csv, risk-areas.csv, risk.xlsx and, with boundaries, risk.gpkg.

    Args:
        folder: existing folder; files of the same names are replaced.
        risk, forecast: see `place_table`.
        shapes: boundaries, see `geodata.read_shapes`; None leaves the GeoPackage out.
        lang: language.

    Raises:
        ConfigError: an unknown language, or a library that is not installed.
        MissingDataError: the disk refuses.
    """
    words, country = language.of(lang), str(forecast.attrs["country"])
    places, areas = place_table(risk, forecast), area_table(risk, forecast)
    shown = {**places, "class": np.array([words.gettext(CLASS_NAMES[name]) for name in places["class"]])}
    heading = title(risk, forecast, lang)
    attrs = {**labels.facts(forecast), **facts(risk, lang)}
    written = [
        spreadsheets.write_table(folder / "risk.csv", shown, country, lang),
        spreadsheets.write_table(folder / "risk-areas.csv", areas, country, lang),
        spreadsheets.write_workbook(folder / "risk.xlsx", (shown, areas), attrs, heading, lang),
    ]
    if shapes is not None:
        layers = (places, {**areas, "p_low": areas["mean_p_low"]})
        about = {**facts(risk, lang), "title": heading, "attribution": str(forecast.attrs["attribution"])}
        written.append(
            geodata.write_layers(
                folder / "risk.gpkg", forecast, shapes, lang, tables=layers, facts=about, styled="p_low"
            )
        )
    return written


def risk_json(risk: Risk, forecast: xr.Dataset) -> dict[str, Any]:
    """Everything as plain values, names in English: what ``yieldcast risk --json`` writes."""
    rule, about = risk.rule, risk.classifier
    return {
        "crop": risk.crop, "harvest_year": risk.harvest_year, "as_of": risk.as_of.isoformat(),
        "synthetic": bool(forecast.attrs["synthetic"]), "run": str(forecast.attrs["run_id"]),
        "classes": {
            "rule": rule.rule, "names": list(rule.names), "years": list(rule.train_years),
            "borders_kg_ha": [] if rule.rule == "municipality" else rule.borders_kg_ha.tolist(),
        },
        "costs": {"miss": risk.costs.miss, "alarm": risk.costs.alarm, "flag_from": risk.costs.threshold},
        "sources": list(risk.sources),
        "classifier": None if about is None else {
            "name": about.name, "macro_f1_of_folds": about.score, "features": list(about.chosen),
            "settings": {key: _plain(value) for key, value in about.settings.items()},
        },
        "left_out": dict(risk.left_out),
        "municipalities": _records(place_table(risk, forecast)),
        "areas": _records(area_table(risk, forecast)),
    }  # fmt: skip


def write_json(path: Path, risk: Risk, forecast: xr.Dataset) -> Path:
    """Write `risk_json` to a file."""
    text = json.dumps(risk_json(risk, forecast), ensure_ascii=False, allow_nan=False, indent=1)
    atomic_text(path, text)
    return path


def map_columns(risk: Risk) -> dict[str, dict[str, Any]]:
    """The layers of the report's map: columns of its ``places``, and what it says ``about`` the classes."""
    known = np.isfinite(risk.p_low)
    low = [round(value, 3) if ok else None for value, ok in zip(risk.p_low.tolist(), known, strict=True)]
    flag = [int(value) if ok else None for value, ok in zip(risk.flagged.tolist(), known, strict=True)]
    pooled = risk.rule.rule != "municipality"
    return {
        "places": {"p_low": low, "flag": flag},
        "about": {
            "flag_from": round(risk.costs.threshold, 3),
            "border": round(float(risk.rule.borders_kg_ha[0])) if pooled else None,
        },
    }


def _records(table: Table) -> list[dict[str, Any]]:
    columns = {key: [_plain(value) for value in values.tolist()] for key, values in table.items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _plain(value: Any) -> Any:
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, np.generic):
        value = value.item()
    return None if value != value else value
