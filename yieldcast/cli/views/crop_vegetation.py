"""Vegetation of a crop for a terminal of 80 columns."""

from __future__ import annotations

import datetime as dt

from rich.console import Group
from rich.text import Text

from yieldcast import language
from yieldcast.cli.views.scores import scores_table
from yieldcast.language import message
from yieldcast.mapping.crop_vegetation import CropVegetation
from yieldcast.mapping.cube_indices import INDICES


def vegetation_view(made: CropVegetation, crop: str, lang: str = "en") -> Group:
    """Means of each step over the municipalities, and what a reader should know.

    Args:
        made: from `crop_vegetation`.
        crop: key of the crop.
        lang: language.
    """
    words = language.of(lang)
    indices = [name for name in INDICES if name in made.frame]
    table = scores_table(
        words.gettext("Vegetation of {crop}", crop=words.gettext(crop)),
        words.gettext("first day"), words.gettext("municipalities"), words.gettext("clear pixels"),
        *(name.upper() for name in indices), words.gettext("to be used from"),
    )  # fmt: skip
    for day, rows in made.frame.groupby("date"):
        clear = rows["clear_pixels"].sum() / rows["crop_pixels"].sum()
        table.add_row(
            words.date(dt.date.fromisoformat(str(day))), words.number(len(rows)), words.percent(clear),
            *(words.number(float(rows[name].mean()), 2) for name in indices),
            words.date(dt.date.fromisoformat(rows["public_from"].iloc[0])),
        )  # fmt: skip
    notes = [words.gettext("classes counted as the crop: {classes}", classes=", ".join(made.classes))]
    if made.without:
        text = message("municipalities without a pixel of the crop: {n}")
        notes.append(words.gettext(text, n=words.number(made.without)))
    hidden = int((made.frame["clear"] == 0).sum())
    if hidden:
        text = message("observations with too few clear pixels, marked as not clear: {n}")
        notes.append(words.gettext(text, n=words.number(hidden)))
    if made.later:
        text = message("steps that were not public yet, left out: {n}")
        notes.append(words.gettext(text, n=words.number(made.later)))
    return Group(table, *(Text(one, style="yellow") for one in notes))
