"""A map from a crop-type run and a raster of one season: planned and checked, made block by block, recorded.

``map.json`` is written last, so that a folder with it is whole.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from yieldcast.crop_types.classifier import RAW_HEADS, SeriesKind
from yieldcast.crop_types.run import CropTypeRun
from yieldcast.data.files import atomic_text, check_writable, make_folder
from yieldcast.errors import ConfigError, RunError, SchemaError
from yieldcast.mapping.aligned import wanted_pixels
from yieldcast.mapping.blocks import (
    BlockStore,
    MapJob,
    Probabilities,
    Progress,
    classifier,
    refuse_empty,
    run_blocks,
)
from yieldcast.mapping.class_maps import ABOUT_FILE, CLASS_FILE
from yieldcast.mapping.geotiffs import PROBABILITY_FILE, MapTags, write_map
from yieldcast.mapping.raster_inputs import RasterInput, Window, open_inputs
from yieldcast.mapping.raster_series import units_of
from yieldcast.pixels.cubes import last_day

BLOCK = 256
_FORMAT = 1
_BLOCKS = ".blocks"  # folder of finished blocks while a map is made


@dataclass(frozen=True)
class MapSettings:
    """How a raster is read and mapped.

    Args:
        encoder: file of the encoder; None for that of the training.
        step, start: see `raster_inputs.open_inputs`; the start also chooses one of several seasons.
        units: band -> unit, of bands whose unit is known.
        block: pixels of a side of a block.
        bbox: west, south, east, north (degrees) to map; None for all.
        mask: raster whose pixels other than 0 are mapped.
    """

    encoder: Path | None = None
    step: str | None = None
    start: dt.date | None = None
    units: Mapping[str, str] = field(default_factory=dict)
    block: int = BLOCK
    bbox: tuple[float, float, float, float] | None = None
    mask: Path | None = None


@dataclass(frozen=True)
class MadeMap:
    """A finished map.

    Args:
        folder: of the files.
        record: what ``map.json`` holds.
        job: that made it.
        run: the classifier.
    """

    folder: Path
    record: dict[str, Any]
    job: MapJob
    run: CropTypeRun


def plan_map(run: Path, inputs: Sequence[Path], settings: MapSettings = MapSettings()) -> MapJob:
    """Everything that a map needs, checked; nothing is written.

    Args:
        run: directory of the classifier.
        inputs: a netCDF cube, or GeoTIFFs.
        settings: how they are read.

    Raises:
        RunError, MissingDataError, ConfigError: no such run or file, or unknown settings.
        SchemaError: no coordinate system, other steps, months or bands than in the training, units that are
            not clear, bands in another order, one date.
    """
    opened = classifier(run)
    kind = opened.model.kind
    raster = open_inputs(inputs, settings.step, settings.start)
    raster = raster.season(settings.start, len(kind.months))
    where = str(raster.files[0])
    kind.check(SeriesKind(raster.step, kind.bands, raster.months), where)
    raster = _as_in_training(raster, opened, settings.encoder, where)
    whole = Window(0, 0, raster.grid.height, raster.grid.width)
    region = raster.grid.window_of(settings.bbox) if settings.bbox else whole
    if settings.mask:
        wanted_pixels(settings.mask, raster.grid.part(Window(0, 0, 1, 1)))
    units = units_of(raster, region, settings.units)
    # Blocks may be classified in other processes, which do not know that the run is trusted.
    encoder = settings.encoder or opened.function()
    return MapJob(run, encoder, raster, units, kind.bands, region, settings.block, settings.mask)


def _as_in_training(raster: RasterInput, run: CropTypeRun, encoder: Path | None, where: str) -> RasterInput:
    """The raster with the static bands of the training; refused without a band that the training had seen."""
    bands = run.model.kind.bands
    try:
        series = run.series()
        if encoder or run.needs_encoder:  # refuses another one, before anything is written
            run.probabilities(series.isel(sample=[0]), encoder)
    except RunError:  # of an earlier version: nobody knows which bands were empty
        known, static = bands, raster.static
    else:
        seen, fixed = ~series["missing"].values, np.isfinite(series["static"].values)
        known = tuple(name for k, name in enumerate(bands) if seen[..., k].any())
        names = series["static_band"].values.tolist()
        static = tuple(name for k, name in enumerate(names) if fixed[:, k].any())
    lost = [name for name in (*known, *static) if name not in (*raster.bands, *raster.static)]
    if lost:
        raise SchemaError(
            f"{where}: expected the bands of the training, {', '.join((*known, *static))}, received "
            f"{', '.join((*raster.bands, *raster.static))}",
            f"Give a raster with {', '.join(lost)}, or train again without.",
        )
    held = (*raster.bands, *raster.static)
    used = tuple(name for name in raster.bands if name in bands)
    left = tuple(name for name in held if name not in (*used, *static))
    return replace(raster, bands=used, static=static, ignored=left)


def refuse_map(folder: Path) -> None:
    """Refuse a folder with a finished map, or one that cannot be written. ConfigError, MissingDataError."""
    if (folder / ABOUT_FILE).exists():
        raise ConfigError(f"{folder} holds a map already", "Choose another --out.")
    check_writable(folder)


def make_map(
    job: MapJob,
    folder: Path,
    executor: Executor | None = None,
    workers: int = 1,
    progress: Progress = lambda done, total: None,
) -> MadeMap:
    """Classify a raster and write ``class.tif`` and ``probability.tif``; goes on where it was cut off.

    Args:
        job: see `plan_map`.
        folder: of the map; is made.
        executor: processes or a cluster whose workers read the run and the rasters under the same paths; None
            for this process.
        workers: of the executor.
        progress: called with pixels done and all of them.

    Raises:
        SchemaError: no pixel has data.
        MissingDataError: the disk refuses.
    """
    refuse_map(folder)
    run = classifier(job.run)
    make_folder(folder)
    store = BlockStore(folder / _BLOCKS, job)
    run_blocks(job, store, executor, workers, progress)
    first, last = job.raster.days[0], last_day(job.raster.days[-1], job.raster.step)
    tags = MapTags(run.model.classes, _season(first, last), first.isoformat(), last.isoformat())
    if not job.raster.dated:
        tags = MapTags(run.model.classes)
    faults: dict[str, int] = {}
    amounts = write_map(folder, job.raster.grid.part(job.region), tags, _parts(job, store, faults))
    refuse_empty(amounts.pixels, job.raster.files[0])
    record = _record(job, run, tags) | {
        "pixels": amounts.pixels, "hectares": amounts.hectares,
        "pixels_without_data": int(np.prod(job.region.shape)) - sum(amounts.pixels.values()),
        "impossible_values": faults,
    }  # fmt: skip
    return MadeMap(folder, record, job, run)


def finish_map(made: MadeMap) -> None:
    """Write ``map.json``, then remove the blocks."""
    text = json.dumps(made.record, indent=2, ensure_ascii=False, allow_nan=False)
    atomic_text(made.folder / ABOUT_FILE, text + "\n")
    BlockStore(made.folder / _BLOCKS, made.job).remove()


def _parts(job: MapJob, store: BlockStore, faults: dict[str, int]) -> Iterator[tuple[Window, Probabilities]]:
    """Blocks in the grid of the region; impossible values are added up on the way."""
    for window, result in store.results():
        for name, count in result.faults.items():
            faults[name] = faults.get(name, 0) + count
        top, left = job.region.top, job.region.left
        moved = Window(window.top - top, window.left - left, window.bottom - top, window.right - left)
        yield moved, result.probability


def _season(first: dt.date, last: dt.date) -> str:
    """2021, or 2020/21."""
    return str(first.year) if first.year == last.year else f"{first.year}/{last.year % 100:02d}"


def _record(job: MapJob, run: CropTypeRun, tags: MapTags) -> dict[str, Any]:
    model = run.model
    counts = None if model.confusion is None else model.confusion.tolist()
    best = model.best_raw if model.raw_is_better else None
    return {
        "format": _FORMAT, "run": str(job.run), "season": tags.season, "first_day": tags.first_day,
        "last_day": tags.last_day, "step": job.raster.step, "classes": list(model.classes),
        "crs": job.raster.grid.crs_wkt,
        "confusion": None if counts is None else {"classes": list(model.classes), "counts": counts},
        "scores": {name: asdict(one) for name, one in model.scores.items()},
        "raw_is_better": model.raw_is_better, "better_head": RAW_HEADS[best] if best else None,
        "inputs": [path.name for path in job.raster.files],
        "units": dict(job.units),
        "unused_bands": list(job.raster.ignored),
        "encoder": run.record["encoder"],
        "files": {"class": CLASS_FILE, "probability": PROBABILITY_FILE},
    }  # fmt: skip
