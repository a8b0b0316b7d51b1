"""Fetches pixels as ordered: search, plan with sizes, images, and a cube or a table of series."""

from __future__ import annotations

import datetime as dt
import math
import os
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from data_fetchers.engine.cache import Request, RequestCache
from data_fetchers.engine.downloader import Progress, SourceSummary, fetch_requests
from data_fetchers.engine.source import Retry
from data_fetchers.stac.collections import CATALOGUES, COLLECTIONS, collection
from data_fetchers.stac.composites import CROSS_m
from data_fetchers.stac.grids import (
    Box,
    Grid,
    Target,
    box_of,
    grid_of,
    point_groups,
    points_target,
    shape_of,
)
from data_fetchers.stac.items import Chosen, Item, choose
from data_fetchers.stac.source import ENVIRONMENT, Stac
from yieldcast import clock
from yieldcast.errors import ConfigError, CredentialsError, FetchError
from yieldcast.pixels.cubes import first_days, last_day
from yieldcast.pixels.series_bands import BAND_OF, SERIES_BANDS

_BLOCK_MB = 0.4  # of 512 x 512 compressed pixels in a file
_BLOCK_deg = 0.046  # 512 pixels of 10 m
_PAD_deg = 1e-4  # around a single point
_M_PER_DEGREE = 111_195.0


@dataclass(frozen=True)
class PixelOrder:
    """What the user wants.

    Args:
        sources: collections of catalogues.
        bands: names; empty for all of the collections.
        first, last: days of the season, both included.
        step: month, ten-days or 16-days.
        box: degrees, for a cube.
        points: sample_id, lat, lon, for a table.
        pixel_m: of the cube; None for that of the finest collection.
        max_cloud_pct: of a whole image.
        as_of: only what was public on this day; None for all.
        store: folder of a store whose weather gives temperature and precipitation.
    """

    sources: tuple[Stac, ...]
    bands: tuple[str, ...]
    first: dt.date
    last: dt.date
    step: str = "month"
    box: Box | None = None
    points: pd.DataFrame | None = None
    pixel_m: float | None = None
    max_cloud_pct: float = 100.0
    as_of: dt.date | None = None
    store: Path | None = None

    @property
    def days(self) -> list[dt.date]:
        """First day of each step."""
        found: list[dt.date] = first_days(self.first, 1, self.step)
        while last_day(found[-1], self.step) < self.last:
            found.append(last_day(found[-1], self.step) + dt.timedelta(1))
        return found

    @property
    def end(self) -> dt.date:
        """Last day of the last step."""
        return last_day(self.days[-1], self.step)


@dataclass(frozen=True)
class PixelRequest:
    """A request for an image over a target.

    Args:
        target: its number.
        source: of the request.
        item: the image.
        request: as the cache knows it.
        step: of the season.
    """

    target: int
    source: Stac
    item: Item
    request: Request
    step: int


@dataclass
class PixelPlan:
    """What will be fetched.

    Args:
        order: as ordered, with its bands.
        grid: of a cube; None for points.
        targets: blocks of the grid, or groups of points.
        parts: (rows, columns) of each block, or indices of the points of each group.
        chosen: images by collection.
        requests: for images.
        empty: first days of the steps that should have an image and have none.
        missing: requests that are not in the cache.
    """

    order: PixelOrder
    grid: Grid | None
    targets: list[Target]
    parts: list[tuple[slice, slice] | np.ndarray]
    chosen: dict[str, Chosen]
    requests: list[PixelRequest]
    empty: list[dt.date]
    missing: list[PixelRequest] = field(default_factory=list)

    @property
    def download_mb(self) -> float:
        """About how much (MB) is not in the cache yet, at most."""
        return sum(_size_mb(one, self.targets[one.target]) for one in self.missing)

    @property
    def result_mb(self) -> float:
        """Size (MB) of the values before compression."""
        pixels = sum(shape_of(target)[0] * shape_of(target)[1] for target in self.targets)
        sizes = [2 if BAND_OF[band].kind in ("reflectance", "index") else 4 for band in self.order.bands]
        return pixels * len(self.order.days) * sum(sizes) / 1e6


def sources_of(names: Sequence[str], catalogue: str | None) -> tuple[Stac, ...]:
    """Collections of a catalogue; without one, YIELDCAST_STAC_URL or the first that has all of them.

    Args:
        names: our names, or NAME=ID with the name in a catalogue given by address.
        catalogue: name or address.

    Raises:
        ConfigError: unknown, or no catalogue has all of them.
    """
    pairs = [name.partition("=")[::2] for name in names]
    known = [collection(name) for name, _ in pairs]
    catalogue = catalogue or os.environ.get(ENVIRONMENT) or None
    if catalogue is None:
        fitting = [name for name in CATALOGUES if all(name in one.ids for one in known)]
        if not fitting:
            listed = "; ".join(f"{name}: {', '.join(COLLECTIONS[name].ids)}" for name, _ in pairs)
            raise ConfigError(f"no catalogue has all of {', '.join(names)}", f"They are in {listed}.")
        catalogue = fitting[0]
    return tuple(Stac(catalogue, name, its) for name, its in dict(pairs).items())


def ordered_bands(sources: Sequence[Stac], wanted: Sequence[str]) -> tuple[str, ...]:
    """Bands in the order of a series: all of the collections, or those that are wanted.

    Raises:
        ConfigError: a band of no collection, a collection without a wanted band, or one band of two kinds of
            satellites, whose values differ.
    """
    having: dict[str, set[str]] = {}
    for source in sources:
        for band in source.about.bands:
            having.setdefault(band, set()).add(source.about.family)
    if absent := [band for band in wanted if band not in having]:
        raise ConfigError(
            f"expected bands of the collections, received {', '.join(absent)}",
            f"They have {', '.join(having)}.",
        )
    taken = set(wanted or having)
    if mixed := [band for band in having if band in taken and len(having[band]) > 1]:
        raise ConfigError(
            f"expected each band from one kind of satellite, received {mixed[0]} from "
            f"{' and '.join(sorted(having[mixed[0]]))}",
            "Fetch them into files of their own, or leave bands out with --bands.",
        )
    for source in sources:
        if not taken & set(source.about.bands):
            raise ConfigError(f"{source.collection} has none of the bands {', '.join(wanted)}")
    ordered = [band.name for band in SERIES_BANDS if band.name in taken]
    if not ordered:
        raise ConfigError(
            "expected bands that change over a season, received elevation only",
            "Give a collection of images beside it: --collections sentinel-2-l2a,cop-dem-glo-30.",
        )
    return (*ordered, *(["elevation"] if "elevation" in taken else []))


def plan_pixels(
    order: PixelOrder,
    folder: Path,
    *,
    retry: Retry | None = None,
    progress: Progress | None = None,
    today: dt.date | None = None,
    partial: bool = False,
) -> PixelPlan:
    """Search the catalogues, and plan the images.

    Args:
        order: what is wanted.
        folder: of the cached answers.
        retry: number of tries and pauses.
        progress: see `fetch_requests`.
        today: the current date if None.
        partial: leave out images that lack an asset or their processing baseline.

    Raises:
        FetchError: a search failed, nothing was found, or an image lacks an asset or its baseline.
        ConfigError: unknown or mixed bands, or a box of less than two pixels.
    """
    today = today or clock.today()
    order = replace(order, bands=ordered_bands(order.sources, order.bands))
    grid, targets, parts = _targets(order)
    boxes = [order.box] if order.box is not None else [_padded(box_of(target)) for target in targets]
    searches = {
        one: [r for box in boxes for r in one.searches(box, order.days[0], order.end)]
        for one in order.sources
    }
    summaries = fetch_requests(
        list(searches.items()), folder, retry=retry, progress=progress, today=today,
        labels=[f"search {one.collection}" for one in order.sources],
    )  # fmt: skip
    raise_for_missing(summaries)
    chosen, requests = {}, []
    for source, asked in searches.items():
        cache = RequestCache(folder / source.name)
        items = {one.name: one for r in asked for one in source.items(cache.path(r))}
        chosen[source.collection] = _chosen(order, source, list(items.values()))
        requests += _image_requests(order, source, chosen[source.collection].items, targets, partial)
    plan = PixelPlan(order, grid, targets, parts, chosen, requests, [])
    plan.empty = _empty_steps(plan, order.as_of or today)
    plan.missing = [
        one for one in requests if RequestCache(folder / one.source.name).verified(one.request) is None
    ]
    return plan


def fetch_images(
    plan: PixelPlan,
    folder: Path,
    *,
    executor: Executor | None = None,
    retry: Retry | None = None,
    progress: Progress | None = None,
    today: dt.date | None = None,
) -> list[SourceSummary]:
    """Fetch the images of a plan; those in the cache are not fetched again.

    Args:
        plan: see `plan_pixels`.
        folder: of the cached answers.
        executor, retry, progress, today: as `fetch_requests`.

    Returns:
        one summary for each collection, with what failed.
    """
    by_source: dict[Stac, list[Request]] = {}
    for one in plan.requests:
        by_source.setdefault(one.source, []).append(one.request)
    return fetch_requests(
        list(by_source.items()), folder, executor=executor, retry=retry, progress=progress, today=today,
        labels=[one.collection for one in by_source],
    )  # fmt: skip


def raise_for_missing(summaries: Sequence[SourceSummary]) -> None:
    """Raise the first error of requests that failed.

    Raises:
        CredentialsError: a login was refused.
        FetchError: any other.
    """
    missing = [entry for summary in summaries for entry in summary.missing]
    for _, error in missing:
        if isinstance(error, CredentialsError):
            raise error
    if missing:
        _, error = missing[0]
        raise FetchError(
            f"{len(missing)} requests failed; first: {error}",
            f"{error.hint} Run the same command again later: it fetches only what is missing.".strip(),
        )


def _targets(
    order: PixelOrder,
) -> tuple[Grid | None, list[Target], list[tuple[slice, slice] | np.ndarray]]:
    if order.points is not None:
        lat, lon = (order.points[name].to_numpy(np.float64) for name in ("lat", "lon"))
        groups = point_groups(lat, lon)
        return None, [points_target(lat[one], lon[one]) for one in groups], list(groups)
    if order.box is None:
        raise ConfigError("expected a box or points, received neither", "Give --bbox or --places.")
    changing = [one.about for one in order.sources if not one.about.static]
    finest = min(changing, key=lambda one: one.pixel_m)
    grid = grid_of(order.box, order.pixel_m or finest.pixel_m, finest.crs)
    blocks = list(grid.blocks())
    return grid, [target for _, _, target in blocks], [(rows, columns) for rows, columns, _ in blocks]


def _padded(box: Box) -> Box:
    west, south, east, north = box
    return west - _PAD_deg, south - _PAD_deg, east + _PAD_deg, north + _PAD_deg


def _chosen(order: PixelOrder, source: Stac, items: list[Item]) -> Chosen:
    if source.about.static:
        return Chosen(sorted(items, key=lambda one: one.name), 0, 0, 0)
    found = choose(items, order.as_of, order.max_cloud_pct, order.days[0], order.end)
    if not found.items:
        left = f"{found.later} public only after {order.as_of}, {found.cloudy} too cloudy"
        raise FetchError(
            f"{source.catalogue}: expected images of {source.collection} from {order.days[0]} to "
            f"{order.end}, received none ({left})",
            "Check the box and the season, or take another catalogue.",
        )
    return found


def _image_requests(
    order: PixelOrder, source: Stac, items: Sequence[Item], targets: Sequence[Target], partial: bool
) -> list[PixelRequest]:
    starts, made = np.array(order.days, "datetime64[D]"), []
    for number, target in enumerate(targets):
        asked = _with_neighbours(target) if source.about.static else target
        for item in items:
            try:
                request = source.image_request(item, asked, order.bands)
            except FetchError:
                if not partial:
                    raise
                continue
            if request is not None:
                day = np.datetime64(item.moment.date())
                step = 0 if source.about.static else int(np.searchsorted(starts, day, side="right")) - 1
                made.append(PixelRequest(number, source, item, request, step))
    return made


def _with_neighbours(target: Target) -> Target:
    """Points with their neighbours in the north, south, west and east, for the slope."""
    if "pixel" in target:
        return target
    lat, lon = np.array(target["latitude"]), np.array(target["longitude"])
    north = CROSS_m / _M_PER_DEGREE
    east = north / np.cos(np.radians(lat))
    same = np.zeros_like(lat)
    lats = [lat, lat + north, lat - north, lat, lat]
    lons = [lon + one for one in (same, same, same, -east, east)]
    return points_target(np.concatenate(lats), np.concatenate(lons))


def _empty_steps(plan: PixelPlan, on: dt.date) -> list[dt.date]:
    """Steps over on this day, and long enough ago to be public, for which a changing band has no image."""
    order, found = plan.order, set()
    for band in order.bands:
        having = [one for one in order.sources if band in one.about.bands and not one.about.static]
        steps = {one.step for one in plan.requests if one.source in having}
        lag = dt.timedelta(max((one.about.lag_days for one in having), default=0))
        over = [k for k, day in enumerate(order.days) if last_day(day, order.step) + lag <= on]
        found |= {order.days[k] for k in over if having and k not in steps}
    return sorted(found)


def _size_mb(one: PixelRequest, target: Target) -> float:
    """About the size (MB) of the blocks that are read of one image, at most."""
    files = len(one.request.parameters["assets"])
    if "pixel" in target:
        sides = (side * target["pixel"] / one.source.about.pixel_m for side in shape_of(target))
        return float(files * math.prod(math.ceil(side / 512 + 1) for side in sides) * _BLOCK_MB)
    where = zip(target["latitude"], target["longitude"], strict=True)
    return files * len({(lat // _BLOCK_deg, lon // _BLOCK_deg) for lat, lon in where}) * _BLOCK_MB
