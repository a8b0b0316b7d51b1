"""A page to look at a map: patches of input, prediction, confidence and reference, areas, scores.

The visual check is that of Butsko et al., "Deploying Geospatial Foundation Models in the Real World: Lessons
from WorldCereal" (fields with clean borders, no pepper and salt, no stripes). The page loads nothing.
"""

from __future__ import annotations

import base64
import datetime as dt
import html
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from yieldcast import language
from yieldcast.data.files import atomic_text
from yieldcast.language import Language, message
from yieldcast.mapping.crop_maps import MadeMap
from yieldcast.mapping.geotiffs import colours
from yieldcast.mapping.map_reference import MapReference
from yieldcast.mapping.quicklook import QUICKLOOK_FILE, Patch, patches_of, write_quicklook

PAGE_FILE = "map.html"
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2933; max-width: 72rem; margin: 2rem auto;
  padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.2rem; margin-top: 2.5rem }
table { border-collapse: collapse; margin: 0.75rem 0; font-variant-numeric: tabular-nums }
th, td { border-bottom: 1px solid #d5dae0; padding: 0.25rem 1.25rem 0.25rem 0; text-align: right }
th:first-child, td:first-child { text-align: left }
.box { display: inline-block; width: 0.9em; height: 0.9em; margin-right: 0.5em; vertical-align: -0.1em }
.note { border-left: 4px solid #b7791f; padding: 0.25rem 0.75rem; background: #fffbea }
.patch { display: flex; flex-wrap: wrap; gap: 1rem; margin-bottom: 1.5rem }
figure { margin: 0 } figcaption { font-size: 0.85rem }
.patch img { width: 16rem; image-rendering: pixelated; border: 1px solid #d5dae0 }
.whole { max-width: 100% }
.bar { display: inline-block; width: 12rem; height: 0.8em; vertical-align: -0.05em;
  background: linear-gradient(to right, #00224e, #35456c, #666970, #948e77, #c8b866, #fee838) }
"""


def describe_map(made: MadeMap, reference: MapReference | None = None, lang: str = "en") -> MadeMap:
    """Compare a map with a reference, write the quick look and the page; the map with its record completed.

    Args:
        made: see `crop_maps.make_map`.
        reference: or None.
        lang: language of the pictures and the page.

    Raises:
        SchemaError: see `MapReference.compare`.
        MissingDataError: the disk refuses.
    """
    record = dict(made.record)
    if reference:
        record["reference"] = reference.compare(made.folder)
    classes, words = record["classes"], language.of(lang)
    title = f"{words.gettext(message('Crop-type map'))} {record['season']}".strip()
    write_quicklook(made.folder, classes, title, record["hectares"], words)
    job, picture = made.job, (made.folder / QUICKLOOK_FILE).read_bytes()
    patches, shown = patches_of(made.folder, classes, job.raster, job.region, reference)
    atomic_text(made.folder / PAGE_FILE, map_page(record, picture, patches, shown, lang))
    record["files"] = {**record["files"], "quicklook": QUICKLOOK_FILE, "page": PAGE_FILE}
    return replace(made, record=record)


def map_page(
    record: dict[str, Any], quicklook: bytes, patches: Sequence[Patch], shown: str, lang: str = "en"
) -> str:
    """The page as HTML.

    Args:
        record: what ``map.json`` holds.
        quicklook: picture of the whole map, PNG.
        patches: pictures of its parts.
        shown: what the pictures of the input show, bands and first day.
        lang: language.
    """
    words = language.of(lang)
    title = f"{words.gettext(message('Crop-type map'))} {record['season']}".strip()
    picture = base64.b64encode(quicklook).decode()
    whole = f'<img class="whole" alt="{html.escape(title)}" src="data:image/png;base64,{picture}">'
    below = words.gettext(message("Parts of the map"))
    parts = [
        f"<h1>{html.escape(title)}</h1>", _facts(record, words), _notes(record, words), whole,
        _areas(record, words), _reference(record, words), f"<h2>{below}</h2>",
        _hints(shown, words), *(_patch(patch, words) for patch in patches),
    ]  # fmt: skip
    return (
        f'<!doctype html>\n<html lang="{words.tag}"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def _facts(record: dict[str, Any], words: Language) -> str:
    pixels = sum(record["pixels"].values())
    facts = [
        words.gettext(
            message("{first} to {last}, {n} pixels with a class, {empty} without data"),
            first=_day(record["first_day"]), last=_day(record["last_day"]), n=words.number(pixels),
            empty=words.number(record["pixels_without_data"]),
        ),
    ]  # fmt: skip
    return "<ul>" + "".join(f"<li>{html.escape(one)}</li>" for one in facts) + "</ul>"


def _day(text: str) -> dt.date | str:
    return dt.date.fromisoformat(text) if text else "–"


def _notes(record: dict[str, Any], words: Language) -> str:
    if not record["raw_is_better"]:
        return ""
    text = words.gettext(
        message(
            "Trees on the raw series were better in the training: train again with --encoder none --head "
            "{head}, and map with that run."
        ),
        head=record["better_head"],
    )
    return f'<p class="note">{html.escape(text)}</p>'


def _areas(record: dict[str, Any], words: Language) -> str:
    heads = [words.gettext(one) for one in (message("class"), message("pixels"), message("hectares"))]
    heads.append(words.gettext(message("F1 of the run")))
    reference = record.get("reference")
    if reference:
        heads.append(words.gettext(message("F1 against the reference")))
    table, f1 = colours(record["classes"]), record["scores"]["head"]["f1"]
    rows = []
    for k, name in enumerate(record["classes"], 1):
        box = f'<span class="box" style="background:rgb{table[k][:3]}"></span>{html.escape(name)}'
        cells = [box, words.number(record["pixels"][name]), words.number(record["hectares"][name], 1)]
        cells.append(words.number(f1[name], 3))
        if reference:
            own = reference["f1"][name]
            cells.append("–" if own is None else words.number(own, 3))
        rows.append(cells)
    heading = words.gettext(message("Classes"))
    text = words.gettext(
        message(
            "F1 of the run is that of left-out places of the training. Hectares are counted pixels, not "
            "corrected for the errors of the map."
        )
    )
    return f"<h2>{heading}</h2>{_table(heads, rows)}<p>{html.escape(text)}</p>"


def _reference(record: dict[str, Any], words: Language) -> str:
    reference = record.get("reference")
    if not reference:
        return ""
    text = words.gettext(
        message("Against {name}: accuracy {accuracy}, macro-F1 {f1} of {n} pixels or points"),
        name=reference["file"], accuracy=words.number(reference["accuracy"], 3),
        f1=words.number(reference["macro_f1"], 3), n=words.number(reference["count"]),
    )  # fmt: skip
    heads = [words.gettext(message("reference, below; map, right")), *map(html.escape, record["classes"])]
    rows = [
        [html.escape(name), *(words.number(count) for count in counts)]
        for name, counts in zip(record["classes"], reference["counts"], strict=True)
    ]
    heading = words.gettext(message("Reference"))
    return f"<h2>{heading}</h2><p>{html.escape(text)}</p>{_table(heads, rows)}"


def _hints(shown: str, words: Language) -> str:
    texts = (
        message("Parts with many classes. Input: {shown}, stretched in each part."),
        message(
            "Look for fields with clean borders. Single pixels of another class within a field, stripes, or "
            "borders of clouds in the classes are errors; so is a high confidence where no crop grows."
        ),
    )
    said = "".join(f"<p>{html.escape(words.gettext(one, shown=shown))}</p>" for one in texts)
    low, high = words.number(0), words.number(1)
    label = html.escape(words.gettext(message("confidence: probability of the class")))
    return f'{said}<p>{label} {low} <span class="bar"></span> {high}</p>'


def _patch(patch: Patch, words: Language) -> str:
    pictures = [
        (message("input"), patch.input), (message("prediction"), patch.classes),
        (message("confidence"), patch.confidence), (message("reference"), patch.reference),
    ]  # fmt: skip
    figures = "".join(
        f'<figure><img alt="{html.escape(words.gettext(name))}" src="data:image/png;base64,{picture}">'
        f"<figcaption>{html.escape(words.gettext(name))}</figcaption></figure>"
        for name, picture in pictures
        if picture
    )
    place = words.gettext(
        message("around latitude {latitude}, longitude {longitude}"),
        latitude=words.number(patch.latitude, 4), longitude=words.number(patch.longitude, 4),
    )  # fmt: skip
    return f"<h3>{html.escape(place)}</h3><div class='patch'>{figures}</div>"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are HTML."""
    head = "".join(f"<th>{cell}</th>" for cell in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
