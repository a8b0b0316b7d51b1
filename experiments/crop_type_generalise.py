"""Crop types where and when a classifier was not trained: the protocols of `yieldcast generalise --run`.

    python experiments/crop_type_generalise.py --data DIR --encoder presto_encoder.keras --folder WORK

DIR holds three tables with the columns of `yieldcast.pixels.series_tables`: monthly Sentinel series with
weather (A France 2023, B East Africa 2017, C cropland in five countries), 16-day MODIS series (D, Mato
Grosso), NDVI by day of year (E, Uzbekistan). `--folder` keeps every fit: the same command continues. Writes
crop-type-generalise.json, .md and the label-efficiency curves as .png.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from results_file import heading, markdown_table, write
from yieldcast import language
from yieldcast.cli.terminal import load_tensorflow, short_errors
from yieldcast.cli.views.generalise_crop_types import GAP, OOD, TREES
from yieldcast.crop_types.classifier import CropTypeSettings
from yieldcast.data.files import atomic_text, make_folder
from yieldcast.pixels.series_tables import TableSettings, read_series
from yieldcast.reporting.crop_type_plot import write_figure
from yieldcast.transfer.crop_types.advice import interval
from yieldcast.transfer.crop_types.learners import KINDS, RUN, RUN_WITH, learners
from yieldcast.transfer.crop_types.results import CropTypeResult, run_study
from yieldcast.transfer.crop_types.rows import HoldOut, rows_of
from yieldcast.transfer.crop_types.splits import FewLabels
from yieldcast.transfer.crop_types.study import CropTypeStudy
from yieldcast.transfer.crop_types.tables import bounds, crop_type_tables
from yieldcast.transfer.generalise import Protocol
from yieldcast.transfer.scores import ALL

A = ("grass", "maize", "oilseeds", "small_grain_cereals")
B = ("maize", "oilseeds", "sorghum_millet")
D5 = ("Cerrado", "Pasture", "Soy_Corn", "Soy_Cotton", "Soy_Millet")
D4 = ("Pasture", "Soy_Corn", "Soy_Cotton", "Soy_Millet")
E3 = ("cotton", "wheat", "wheat_then_summer_crop")
# Every check in every study would take an hour of one core.
SHORT = ("run", "trees", "location")
FEW = ("run", "trees")  # of the studies with many draws
EAST_AFRICA = "worldcereal_public_2017"
FRANCE = "worldcereal_fra2023_dekadal"


@dataclass(frozen=True)
class Plan:
    """One study: series by the key of `read`, classes (none: all), and how they are split."""

    name: str
    series: str
    classes: tuple[str, ...] | None
    protocol: Protocol
    hold_out: HoldOut = "group"
    seasons: tuple[str, ...] = ()
    ks: tuple[int, ...] = (0, 10)
    kinds: tuple[str, ...] = KINDS


PLANS = (
    Plan("A random", "A", A, "random"),
    Plan("A tiles", "A", A, "geographic"),
    Plan("A few labels", "A", A, "few-shot", "none", ks=(5, 10, 30), kinds=FEW),
    Plan("B random", "B", B, "random"),
    Plan("B tiles", "B", B, "geographic"),
    Plan("C random", "C", None, "random", kinds=SHORT),
    Plan("C countries", "C", None, "geographic", "country", kinds=SHORT),
    Plan("D 9 classes, random", "D", None, "random", kinds=SHORT),
    Plan("D 5 classes, cells of a degree", "D", D5, "geographic", kinds=SHORT),
    Plan("D 4 classes, 2016", "D", D4, "temporal", seasons=("2016",)),
    Plan("D 5 classes, few labels", "D", D5, "few-shot", "none", ks=(10, 100), kinds=FEW),
    Plan("E 7 classes, random", "E", None, "random", kinds=SHORT),
    Plan("E 3 classes, regions", "E", E3, "geographic", "region"),
    Plan("E Fergana, 2017 and 2018", "Fergana", E3, "temporal", seasons=("2017", "2018")),
    Plan("E 3 classes, few labels", "E", E3, "few-shot", "region", ks=(0, 10, 50), kinds=FEW),
)
POOLS = {"E": "global", "Fergana": "global"}  # NDVI alone: the same score, a twentieth of the columns


def read(folder: Path) -> dict[str, xr.Dataset]:
    """The series of all tasks."""
    sentinel = folder / "samples/s2_s1_meteo_monthly.parquet"
    monthly = read_series(sentinel, TableSettings("crop_group"))
    land = read_series(sentinel, TableSettings("landcover10", group="country"))
    modis = read_series(folder / "brazil/mato_grosso_mod13q1_samples.parquet", TableSettings("label"))
    ndvi = read_series(
        folder / "central_asia/cawa_ndvi.parquet",
        TableSettings("crop_group", group="region", step="16-days", start="01-01"),
    )
    source = monthly.frame["source"].to_numpy()
    labels = land.series["label"].values
    cropland = land.series.assign(
        label=("sample", np.where(labels == "temporary_crops", "cropland", "other"))
    )
    crops = ~np.isin(ndvi.series["label"].values, ["other", "fallow", ""])
    e = _take(ndvi.series, crops)
    return {
        "A": _take(monthly.series, source == FRANCE),
        "B": _take(monthly.series, source == EAST_AFRICA),
        "C": _take(cropland, ~np.isin(labels, ["ignore", ""]) & (source != FRANCE)),
        "D": modis.series, "E": e, "Fergana": _take(e, e["group"].values == "Fergana"),
    }  # fmt: skip


def _take(series: xr.Dataset, keep: Any) -> xr.Dataset:
    return series.isel(sample=np.flatnonzero(keep))


def results(given: argparse.Namespace) -> Iterator[tuple[Plan, CropTypeResult]]:
    """All studies."""
    from yieldcast.encoders.files import load_encoder

    encoder, tables = load_encoder(given.encoder), read(given.data)
    for plan in PLANS:
        if given.only and not plan.name.startswith(tuple(given.only)):
            continue
        began = time.perf_counter()
        rows = rows_of(tables[plan.series], plan.classes)
        settings = CropTypeSettings(pool=POOLS.get(plan.series, "time"))  # type: ignore[arg-type]
        made = learners(rows, settings, encoder, given.folder, plan.kinds)
        study = CropTypeStudy(
            rows, plan.protocol, made, plan.hold_out, test_seasons=plan.seasons,
            few=FewLabels(plan.ks, given.draws, "class"),
        )  # fmt: skip
        result = run_study(study, given.folder, progress(plan.name))
        seconds = time.perf_counter() - began
        macro = {one.model: round(one.macro_f1, 3) for one in hardest(result)}
        print(f"{plan.name} ({seconds:.0f} s): {macro}", flush=True)
        yield plan, result


def progress(name: str) -> Callable[[int, int], None]:
    """Say how far a study is, now and then."""

    def said(done: int, total: int) -> None:
        if done % 50 == 0:
            print(f"  {name}: {done} of {total} fits", flush=True)

    return said


def hardest(result: CropTypeResult) -> list[Any]:
    """Scores of all series in the way of training that decides: out of domain, with the most labels."""
    rows = [one for one in result.scores if one.domain == ALL]
    if not rows:
        return []
    last = (rows[-1].training, rows[-1].k)
    if any(one.training == "out_plus_k" for one in rows):
        last = ("out_plus_k", max(one.k or 0 for one in rows))
    return [one for one in rows if (one.training, one.k) == last]


def document(found: list[tuple[Plan, CropTypeResult]], note: str) -> list[str]:
    """The parts of crop-type-generalise.md."""
    words = language.of("en")
    parts = heading("Crop types: places and seasons that a classifier has not seen")
    parts.append(note)
    models = list(dict.fromkeys(one.model for _, result in found for one in hardest(result)))
    rows = []
    for plan, result in found:
        own = {one.model: one for one in hardest(result)}
        best = max(own.values(), key=lambda one: one.macro_f1, default=None)
        cells = [
            "–" if m not in own else _bold(f"{own[m].macro_f1:.3f} ({bounds(own[m], words)})", own[m] is best)
            for m in models
        ]
        rows.append([f"{plan.name} ({next(iter(own.values())).n})", *cells])
    parts += ["## Macro-F1 out of domain", _TABLE, markdown_table(["study (series tested)", *models], rows)]
    parts += ["## Latitude and longitude shown to the encoder", markdown_table(
        ["study", "no", "yes", "difference [95 % interval]"], list(_location(found, words))
    )]  # fmt: skip
    parts += ["## What to map with, by rule"]
    parts.append("\n".join(f"- {plan.name}: {' '.join(result.advice(words))}" for plan, result in found))
    parts.append("\n".join(f"- {text}" for text in (GAP, TREES, OOD)))
    for plan, result in found:
        for k, one in enumerate(crop_type_tables(result, words)):
            heads = [" ".join(head.split()) for head in one.heads]
            parts += [f"## {plan.name}: {one.title}", markdown_table(heads, one.lines)]
            if k == 0 and plan.protocol == "few-shot":
                parts.append(f"![Macro-F1 over the number of labels]({_figure(plan)})")
        parts.append("\n".join(f"- {note}" for note in result.notes))
    return parts


_TABLE = (
    "All series together, with the 95 % interval by blocks; random rows are in domain, few labels are those "
    "with the largest k. The best of each row is bold, whether or not the difference is real; the "
    "sentences below say that."
)


def _bold(text: str, wanted: bool) -> str:
    return f"**{text}**" if wanted else text


def _location(found: list[tuple[Plan, CropTypeResult]], words: Any) -> Iterator[list[str]]:
    for plan, result in found:
        own = {one.model: one for one in hardest(result)}
        pair = next(
            (one for one in result.pairs if (one.a, one.b) == (RUN_WITH, RUN)
             and (one.training, one.k) == (own[RUN].training, own[RUN].k)), None,
        )  # fmt: skip
        if pair is not None:
            d = pair.difference
            cells = [words.number(own[name].macro_f1, 3) for name in (RUN, RUN_WITH)]
            yield [plan.name, *cells, interval(d.difference, d.low, d.high, words)]


def _figure(plan: Plan) -> str:
    return f"crop-type-generalise-{plan.series}.png"


def main() -> None:
    """Write all files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--data", type=Path, required=True)
    add("--encoder", type=Path, required=True)
    add("--folder", type=Path, required=True, help="keeps every fit")
    add("--draws", type=int, default=5)
    add("--only", action="append", default=[], help="studies whose names begin so; several times")
    add("--write", type=Path, default=Path("experiments/results"))
    given = parser.parse_args()
    load_tensorflow()
    from yieldcast.encoders.files import licence, load_encoder

    found = list(results(given))
    make_folder(given.write)
    for plan, result in found:
        if plan.protocol == "few-shot":
            write_figure(given.write / _figure(plan), result.to_json())
    documents = [{"study": plan.name, **result.to_json()} for plan, result in found]
    lines = ",\n".join(json.dumps(one, allow_nan=False, ensure_ascii=False) for one in documents)
    atomic_text(given.write / "crop-type-generalise.json", f"[\n{lines}\n]\n")
    note = (
        f"Encoder: Presto, {licence(load_encoder(given.encoder))}. A: France 2023, Sentinel with weather, 4 "
        "classes; B: East Africa 2017, the same bands, 3 classes; C: cropland against other land in five "
        "countries and three years; D: Mato Grosso, MODIS; E: Uzbekistan, Landsat NDVI. Logistic regression "
        "on the embeddings of the frozen encoder (one for each step; of E one for each series) "
        "against boosted trees on the raw series with gaps filled in time."
    )
    print(f"written: {write(given.write / 'crop-type-generalise.md', document(found, note))}")


if __name__ == "__main__":
    with short_errors():
        main()
