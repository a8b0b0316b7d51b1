"""Fetched images to files: a raster cube, or a table of pixel series, with where they came from."""

from __future__ import annotations

import glob
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from rasterio.warp import transform

from data_fetchers.engine.cache import RequestCache
from data_fetchers.fetching.pixels import PixelPlan, PixelRequest
from data_fetchers.stac.collections import baseline
from data_fetchers.stac.composites import Answer, composite, merged, slope_of
from data_fetchers.stac.cube_file import Slab, write_cube_file
from data_fetchers.stac.grids import DEGREES, Grid, affine_of, shape_of
from data_fetchers.stac.weather import WEATHER_BANDS, StoreWeather
from yieldcast.data.files import atomic_text, atomic_write, exclusive_lock
from yieldcast.data.store import Store
from yieldcast.errors import ConfigError, FetchError
from yieldcast.pixels.series_bands import SERIES_BANDS, STATIC_BANDS, Floats

CUBE = (".nc",)
TABLE = (".csv", ".parquet", ".pq")
Count = Callable[[int, int], None]


@dataclass
class Seen:
    """What the images showed.

    Args:
        images: by step.
        clear: by step, share of the pixels with an image whose ground is seen; NaN without an image.
        filled: by step, share of all pixels with a value of the first band.
        never: share of the pixels without a value of the first band in any step.
    """

    images: list[int]
    clear: list[float]
    filled: list[float] = field(default_factory=list)
    never: float = 0.0


class _Answers:
    """The fetched images of a plan."""

    def __init__(self, plan: PixelPlan, folder: Path) -> None:
        self.plan = plan
        self.taken: list[tuple[PixelRequest, Answer, dict[str, Any]]] = []
        caches = {one.name: RequestCache(folder / one.name) for one in plan.order.sources}
        for one in plan.requests:
            cache = caches[one.source.name]
            record = cache.verified(one.request)
            if record is None:  # failed; --partial goes on without it
                continue
            bands = frozenset(one.request.parameters["assets"]) - {"flags"}
            seen_by = (f"{one.source.collection} {one.item.platform}", one.item.moment.date())
            self.taken.append((one, Answer(cache.path(one.request), bands, one.step, seen_by), record))
        self._counts: NDArray[np.int64] | None = None
        self._never = self._pixels = 0

    def seen(self) -> Seen:
        steps = len(self.plan.order.days)
        images: list[set[str]] = [set() for _ in range(steps)]
        seen, clear = np.zeros(steps), np.zeros(steps)
        for one, _, record in self.taken:
            if not one.source.about.static:
                images[one.step].add(f"{one.source.collection}/{one.item.name}")
                seen[one.step] += record["seen"]
                clear[one.step] += record["clear"]
        shares = [float(c / s) if s else float("nan") for c, s in zip(clear, seen, strict=True)]
        found = Seen([len(one) for one in images], shares)
        if self._counts is not None:
            found.filled = (self._counts / self._pixels).tolist()
            found.never = self._never / self._pixels
        return found

    def band(self, target: int, band: str) -> Floats:
        """(step, row, column) of a target; elevation has one step."""
        static = band == "elevation"
        mine = [
            answer
            for one, answer, _ in self.taken
            if one.target == target and one.source.about.static == static
        ]
        shape = shape_of(self.plan.targets[target])
        steps = 1 if static else len(self.plan.order.days)
        if static and self.plan.grid is None:  # with the neighbours of each point
            shape = (1, shape[1] * 5)
        values = composite(mine, band, steps, shape)
        if band == self.plan.order.bands[0]:
            self._note(values)
        return values

    def _note(self, values: Floats) -> None:
        known = np.isfinite(values)
        counts = known.sum(axis=(1, 2))
        self._counts = counts if self._counts is None else self._counts + counts
        self._never += int((~known.any(axis=0)).sum())
        self._pixels += known[0].size

    def refuse_nothing(self, filled: bool) -> None:
        """FetchError where not one pixel has a value."""
        if filled:
            return
        if not any(record["seen"] for _, _, record in self.taken):
            raise FetchError(
                "expected images over the box or the points, received images that do not reach them",
                "Check the coordinates: longitude first, in degrees.",
            )
        raise FetchError(
            "expected a clear image, received only clouds", "Give a longer season, or other collections."
        )

    def items(self) -> list[dict[str, Any]]:
        """Images that were used, each once."""
        found = {}
        for one, _, record in self.taken:
            number = baseline(one.item.properties, one.item.name)
            found[one.source.collection, one.item.name] = {
                "collection": one.source.collection, "item": one.item.name,
                "date": one.item.moment.isoformat(), "published": str(one.item.published),
                "fetched": record["fetched"], "baseline": None if number is None else f"{number:05.2f}",
                "offset": one.request.parameters["offset"],
            }  # fmt: skip
        return [found[key] for key in sorted(found)]

    def about(self) -> dict[str, str]:
        """Where the values come from, as texts."""
        order = self.plan.order
        texts = {
            "source": ", ".join(f"{one.collection} of {one.catalogue}" for one in order.sources),
            "licence": "; ".join(dict.fromkeys(one.licence for one in order.sources)),
            "attribution": "; ".join(dict.fromkeys(one.attribution for one in order.sources)),
            "season": f"{order.days[0]} to {order.end}", "max_cloud_pct": f"{order.max_cloud_pct:g}",
        }  # fmt: skip
        if order.box is not None:
            texts["box"] = ", ".join(f"{one:g}" for one in order.box)
        return texts | ({"as_of": str(order.as_of)} if order.as_of else {})


def write_result(plan: PixelPlan, folder: Path, out: Path, count: Count | None = None) -> Seen:
    """Write what was fetched: a cube for a box, a table for points.

    Args:
        plan: its images are in the cache.
        folder: of the cached answers.
        out: .nc, .csv or .parquet.
        count: called with the number of parts done and of all.

    Raises:
        FetchError: not one pixel has a value.
        MissingDataError: the disk refuses, another fetch works in the folder, or the store lacks the weather.
    """
    with exclusive_lock(folder, "another fetch is at work in"):
        answers, weather = _Answers(plan, folder), _weather(plan)
        for left in out.parent.glob(f".{glob.escape(out.stem)}.*.tmp{out.suffix}"):
            left.unlink(missing_ok=True)  # of a killed writer
        if plan.grid is not None:
            _write_cube(answers, plan.grid, weather, out, count)
        elif plan.order.points is not None:
            _write_table(answers, plan.order.points, weather, out, count)
        return answers.seen()


def _weather(plan: PixelPlan) -> StoreWeather | None:
    order = plan.order
    if order.store is None:
        return None
    if order.step != "month":
        raise ConfigError(
            f"the weather of a store has months, not steps of {order.step}", "Take --step month."
        )
    return StoreWeather(Store.open(order.store), order.days, order.as_of)


def _write_cube(
    answers: _Answers, grid: Grid, weather: StoreWeather | None, out: Path, count: Count | None
) -> None:
    plan = answers.plan
    heights = "elevation" in plan.order.bands
    changing = [band for band in plan.order.bands if band != "elevation"]
    names = {*changing, *(WEATHER_BANDS if weather else ())}
    bands = [band.name for band in SERIES_BANDS if band.name in names]
    bands += [band.name for band in STATIC_BANDS] if heights else []
    total = len(plan.targets) * len(changing)

    def slabs() -> Iterator[Slab]:
        filled, done = False, 0
        elevation = np.full((grid.height, grid.width), np.nan, np.float32)
        for number, part in enumerate(plan.parts):
            rows, columns = part
            for band in changing:
                values = answers.band(number, band)
                filled |= bool(np.isfinite(values).any())
                yield band, rows, columns, values
                done += 1
                if count:
                    count(done, total)
            if weather is not None:
                for band, values in _weather_of(weather, plan.targets[number]).items():
                    yield band, rows, columns, values
            if heights:
                elevation[rows, columns] = answers.band(number, "elevation")[0]
        answers.refuse_nothing(filled)
        if heights:
            everywhere = slice(0, grid.height), slice(0, grid.width)
            yield "elevation", *everywhere, elevation[None]
            yield "slope", *everywhere, slope_of(elevation, grid.pixel)[None]

    write_cube_file(
        out, grid, plan.order.days, plan.order.step, bands, slabs, answers.about(), answers.items()
    )


def _weather_of(weather: StoreWeather, target: dict[str, Any]) -> dict[str, Floats]:
    """Band -> (step, row, column)."""
    height, width = shape_of(target)
    across, down = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    x, y = affine_of(target) * (across.ravel(), down.ravel())
    lon, lat = (np.array(one) for one in transform(target["crs"], DEGREES, x, y))
    return {band: values.reshape(-1, height, width) for band, values in weather.at(lat, lon).items()}


def _write_table(
    answers: _Answers, points: pd.DataFrame, weather: StoreWeather | None, out: Path, count: Count | None
) -> None:
    days = answers.plan.order.days
    columns = _columns(answers, len(points), count)
    if weather is not None:
        lat, lon = (points[name].to_numpy(np.float64) for name in ("lat", "lon"))
        for band, series in weather.at(lat, lon).items():
            columns |= {f"{band}_{step:02d}": series[step] for step in range(len(days))}
    dates = {"start_date": str(days[0]), "end_date": str(days[-1])}
    kept = points.drop(columns=[name for name in (*columns, *dates) if name in points])
    table = pd.concat([kept.assign(**dates), pd.DataFrame(columns, index=points.index)], axis=1)
    if out.suffix.lower() == ".csv":
        atomic_text(out, table.to_csv(index=False))
    else:
        atomic_write(out, lambda temporary: table.to_parquet(temporary, index=False))
    about = {**answers.about(), "items": answers.items()}
    sidecar = out.with_name(f"{out.name}.meta.json")
    atomic_text(sidecar, json.dumps(about, indent=1, ensure_ascii=False) + "\n")


def _columns(answers: _Answers, points: int, count: Count | None) -> dict[str, Floats]:
    """Columns of the table: heights, and BAND_00, BAND_01, ... of each band."""
    plan, columns, filled = answers.plan, dict[str, Floats](), False

    def put(name: str, index: Any, values: Floats) -> None:
        columns.setdefault(name, np.full(points, np.nan, np.float32))[index] = values

    for number, index in enumerate(plan.parts):
        for band in plan.order.bands:
            values = answers.band(number, band)
            if band == "elevation":
                for name, one in merged({band: values.reshape(5, -1)}).items():
                    put(name, index, one)
                continue
            filled |= bool(np.isfinite(values).any())
            for step, row in enumerate(values[:, 0]):
                put(f"{band}_{step:02d}", index, row)
        if count:
            count(number + 1, len(plan.parts))
    answers.refuse_nothing(filled)
    return columns
