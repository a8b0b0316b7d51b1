"""Crop areas of maps for a terminal of 80 columns, and as plain values for JSON."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from yieldcast import language
from yieldcast.cli.views.scores import scores_table
from yieldcast.data.crop_weights import crop_area_ha
from yieldcast.language import Language, message
from yieldcast.mapping.area_error import Z_95, AreaEstimate
from yieldcast.mapping.crop_weights import Mask
from yieldcast.mapping.map_areas import MapAreas
from yieldcast.reporting.labels import crop as crop_name


def mask_view(made: Mask, lang: str = "en") -> Group:
    """Area of the crop by year, first day of use, and what a reader should know.

    Args:
        made: from `make_mask`.
        lang: language.
    """
    words = language.of(lang)
    table = scores_table(
        words.gettext("Area of {crop} from maps", crop=crop_name(str(made.table.attrs["crop"]), lang)),
        words.gettext("harvest year"), words.gettext("mapped, ha"), words.gettext("corrected, ha"),
        words.gettext("standard error"), words.gettext("to be used from"),
    )  # fmt: skip
    for row in mask_document(made)["years"]:
        corrected, error = (row[name] for name in ("corrected_ha", "standard_error_ha"))
        table.add_row(
            str(row["harvest_year"]), words.number(row["mapped_ha"]),
            "–" if corrected is None else words.number(corrected),
            "–" if error is None else words.number(error),
            words.date(dt.date.fromisoformat(row["public_from"])),
        )  # fmt: skip
    return Group(table, *(Text(one, style="yellow") for one in _mask_notes(made, words)))


def _mask_notes(made: Mask, words: Language) -> list[str]:
    notes = []
    for year, classes in made.classes.items():
        text = message("{year}: classes counted as the crop: {classes}")
        notes.append(words.gettext(text, year=year, classes=", ".join(classes)))
        for text, count in (
            (
                message(
                    "{year}: municipalities without a pixel of the crop: {n}, weather over their polygon"
                ),
                made.without[year],
            ),
            (message("{year}: municipalities of which part lies outside the map: {n}"), made.uncovered[year]),
            (message("{year}: municipalities outside the map: {n}, no area"), made.beyond[year]),
            (
                message("{year}: reference points without a class in the map, left out: {n}"),
                made.outside[year],
            ),
        ):
            if count:
                notes.append(words.gettext(text, year=year, n=words.number(count)))
        unknown = made.unknown_error[year]
        if unknown is None:
            notes.append(
                words.gettext("{year}: no reference points, so that the error is unknown", year=year)
            )
        elif unknown:
            text = message("{year}: the error is unknown, fewer than 2 reference points of: {classes}")
            notes.append(words.gettext(text, year=year, classes=", ".join(unknown)))
    return notes


def mask_document(made: Mask) -> dict[str, Any]:
    """The same as values for JSON, with the areas of every municipality."""
    table, years = made.table, []
    maps = json.loads(table.attrs["maps"])
    for position, year in enumerate(table["harvest_year"].values.tolist()):
        corrected, error = crop_area_ha(table, position)
        known = not np.isnan(error)
        one = table.isel(harvest_year=position)
        years.append({
            "harvest_year": year,
            "last_day": str(one["last_day"].values.astype("datetime64[D]")),
            "public_from": str(one["public_from"].values.astype("datetime64[D]")),
            "mapped_ha": float(one["crop_ha"].sum()),
            "corrected_ha": corrected if known else None,
            "standard_error_ha": error if known else None,
            "cells": int((table["entry_harvest_year"].values == year).sum()),
            "without_crop": made.without[year],
            "uncovered": made.uncovered[year],
            "outside": made.beyond[year],
            **maps[str(year)],
            "municipalities": {
                str(code): {"crop_ha": crop, "other_ha": other}
                for code, crop, other in zip(
                    table["municipality"].values.tolist(), one["crop_ha"].values.tolist(),
                    one["other_ha"].values.tolist(), strict=True,
                )
            },
        })  # fmt: skip
    about = {name: table.attrs[name] for name in ("crop", "grid", "step_deg", "fallback")}
    return {**about, "years": years}


def area_view(found: MapAreas, lang: str = "en") -> Group:
    """Areas of classes, with their accuracies where there are reference points.

    Args:
        found: from `map_areas`.
        lang: language.
    """
    words, one = language.of(lang), found.corrected
    headings = [words.gettext("class"), words.gettext("mapped, ha")]
    if one is not None:
        headings += [
            words.gettext(text)
            for text in (
                message("corrected, ha"), message("± 95 %"), message("user's"), message("producer's"),
            )
        ]  # fmt: skip
    table = scores_table(words.gettext("Area of classes"), *headings)
    for k, name in enumerate(found.classes):
        cells = [words.number(float(found.hectares[k]))]
        if one is not None:
            cells += [
                words.number(float(one.area_ha[k])), words.number(float(Z_95 * one.area_error_ha[k])),
                _accuracy(one.users[k], one.users_error[k], words),
                _accuracy(one.producers[k], one.producers_error[k], words),
            ]  # fmt: skip
        table.add_row(name, *cells)
    return Group(table, *_area_notes(found, one, words))


def _area_notes(found: MapAreas, one: AreaEstimate | None, words: Language) -> list[RenderableType]:
    if one is None:
        return [Text(words.gettext("no reference points, so that the error is unknown"), style="yellow")]
    accuracy = _accuracy(one.overall, one.overall_error, words)
    text = message("overall accuracy {accuracy} (standard error in brackets), {n} reference points")
    notes: list[RenderableType] = [Text(words.gettext(text, accuracy=accuracy, n=words.number(one.points)))]
    if not found.sampled:
        text = message(
            "The points are left-out training samples, not a random sample of the map: the error is only as "
            "good as they resemble one. Better: --reference with points drawn within each class of the map."
        )
        notes.append(Text(words.gettext(text), style="yellow"))
    if found.outside:
        text = message("reference points without a class in the map, left out: {n}")
        notes.append(Text(words.gettext(text, n=words.number(found.outside)), style="yellow"))
    return notes


def _accuracy(share: float, error: float, words: Language) -> str:
    if np.isnan(share):
        return "–"
    return f"{words.number(float(share), 3)} ({words.number(float(error), 3)})"


def area_document(found: MapAreas) -> dict[str, Any]:
    """The same as values for JSON."""
    one = found.corrected
    rows = []
    for k, name in enumerate(found.classes):
        row: dict[str, Any] = {"class": name, "mapped_ha": float(found.hectares[k])}
        if one is not None:
            row |= {field: _number(getattr(one, field)[k]) for field in AreaEstimate._fields[1:-3]}
        rows.append(row)
    about: dict[str, Any] = {"classes": rows}
    if one is not None and found.counts is not None:
        about |= {
            "overall_accuracy": one.overall, "overall_accuracy_error": one.overall_error,
            "points": one.points, "points_outside": found.outside,
            "points_are": "reference table" if found.sampled else "left-out training samples",
            "counts_mapped_by_true": found.counts.tolist(),
        }  # fmt: skip
    if found.by_place:
        about["municipalities"] = {
            str(code): dict(zip(found.classes, areas.tolist(), strict=True))
            for code, areas in found.by_place.items()
        }
    return about


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
