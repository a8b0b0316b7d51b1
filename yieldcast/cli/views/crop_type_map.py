"""A finished crop-type map for a terminal of 80 columns."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from yieldcast import language
from yieldcast.cli.views.scores import scores_table
from yieldcast.language import message


def map_view(record: dict[str, Any], lang: str = "en") -> Group:
    """Pixels and hectares of each class, F1 of the run on left-out places, and notes.

    Args:
        record: what ``map.json`` holds.
        lang: language.
    """
    words = language.of(lang)
    title = words.gettext("Crop-type map")
    table = scores_table(
        f"{title} {record['season']}".strip(),
        *(words.gettext(one) for one in (message("class"), message("pixels"), message("hectares"))),
        words.gettext("F1 of the run"),
    )
    f1 = record["scores"]["head"]["f1"]
    for name, count in record["pixels"].items():
        area, score = words.number(record["hectares"][name], 1), words.number(f1[name], 3)
        table.add_row(name, words.number(count), area, score)
    parts: list[RenderableType] = [table]
    empty = words.number(record["pixels_without_data"])
    parts.append(Text(words.gettext("pixels without data: {n}", n=empty), style="dim"))
    if record["raw_is_better"]:
        text = message(
            "Trees on the raw series were better in the training: train again with --encoder none --head "
            "{head}, and map with that run."
        )
        parts.append(Text(words.gettext(text, head=record["better_head"]), style="bold yellow"))
    for name, count in record["impossible_values"].items():
        text = message("impossible values of {band}: {n}, now gaps")
        parts.append(Text(words.gettext(text, band=name, n=words.number(count)), style="yellow"))
    if record["unused_bands"]:
        names = ", ".join(record["unused_bands"])
        parts.append(Text(words.gettext("bands that the run does not use: {names}", names=names)))
    if reference := record.get("reference"):
        text = message("Against {name}: accuracy {accuracy}, macro-F1 {f1} of {n} pixels or points")
        parts.append(
            Text(words.gettext(
                text, name=reference["file"], accuracy=words.number(reference["accuracy"], 3),
                f1=words.number(reference["macro_f1"], 3), n=words.number(reference["count"]),
            ))
        )  # fmt: skip
    return Group(*parts)
