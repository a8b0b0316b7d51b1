"""Items of a search: what is read of them, and which are taken."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from data_fetchers.stac.collections import Collection, baseline
from data_fetchers.stac.grids import Box
from data_fetchers.stac.search import Feature
from yieldcast.errors import FetchError

_PLACES = 3  # decimals of degrees (about 100 m) by which footprints are compared


@dataclass(frozen=True)
class Item:
    """One image.

    Args:
        collection: our name.
        name: id in the catalogue.
        moment: of the image; the middle of a composite.
        published: day on which it became public in this form.
        cloud_pct: share of clouds of the whole image; None where unknown.
        spot: tile and, within it, the footprint: images of one place.
        platform: satellite.
        version: of the processing; a larger one replaces a smaller one.
        box: around the image (degrees); None where unknown.
        assets: name -> address.
        properties: as in the catalogue.
    """

    collection: str
    name: str
    moment: dt.datetime
    published: dt.date
    cloud_pct: float | None
    spot: tuple[str, str]
    platform: str
    version: tuple[float, str]
    box: Box | None
    assets: Mapping[str, str]
    properties: Mapping[str, Any]

    @property
    def scene(self) -> tuple[str, str, str, dt.date]:
        """What an image shows: reprocessings have the same."""
        return self.collection, self.platform, self.spot[0], self.moment.date()


@dataclass(frozen=True)
class Chosen:
    """Items that are taken, and how many were not, by reason."""

    items: list[Item]
    later: int
    cloudy: int
    replaced: int


def item_of(feature: Feature, name: str, made_by: Collection) -> Item:
    """An item of a search.

    Args:
        feature: GeoJSON.
        name: our name of its collection.
        made_by: the same in the table.

    Raises:
        FetchError: no date, or no assets.
    """
    properties, known = feature.get("properties"), feature.get("assets")
    if not isinstance(properties, dict) or not isinstance(known, dict):
        raise FetchError(f"{feature['id']}: expected properties and assets, received {sorted(feature)}")
    moment = _moment(properties, feature["id"])
    assets = {
        key: str(one["href"]) for key, one in known.items() if isinstance(one, dict) and one.get("href")
    }
    cloud, corners = properties.get("eo:cloud_cover"), _box(feature.get("bbox"))
    shape = ",".join(f"{one:.{_PLACES}f}" for one in corners or ())
    tile = properties.get("grid:code") or properties.get("s2:mgrs_tile") or shape
    return Item(
        name, feature["id"], moment, _published(properties, moment, made_by),
        float(cloud) if isinstance(cloud, int | float) else None, (str(tile), shape),
        str(properties.get("platform", "")).lower(), _version(properties, feature["id"]), corners, assets,
        properties,
    )  # fmt: skip


def _box(corners: Any) -> Box | None:
    """West, south, east, north of a bbox with or without heights."""
    if not isinstance(corners, list) or len(corners) not in (4, 6):
        return None
    if not all(isinstance(one, int | float) for one in corners):
        return None
    west, south = corners[:2]
    east, north = corners[len(corners) // 2 :][:2]
    return float(west), float(south), float(east), float(north)


def _moment(properties: Mapping[str, Any], where: str) -> dt.datetime:
    single = _time(properties.get("datetime"))
    if single is not None:
        return single
    start, end = _time(properties.get("start_datetime")), _time(properties.get("end_datetime"))
    if start is None or end is None:
        raise FetchError(f"{where}: expected a date, received {properties.get('datetime')!r}")
    return start + (end - start) / 2


def _time(text: Any) -> dt.datetime | None:
    try:
        found = dt.datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found.astimezone(dt.UTC) if found.tzinfo else found.replace(tzinfo=dt.UTC)


def _published(properties: Mapping[str, Any], moment: dt.datetime, made_by: Collection) -> dt.date:
    """Day of publication; the later of creation and change where the item does not say it."""
    stated = _time(properties.get("published"))
    if stated is None:
        times = [_time(properties.get(name)) for name in ("created", "updated")]
        stated = max((one for one in times if one is not None), default=None)
    return (stated or moment + dt.timedelta(made_by.lag_days)).date()


def _version(properties: Mapping[str, Any], name: str) -> tuple[float, str]:
    made = properties.get("s2:generation_time") or properties.get("processing:datetime") or ""
    return baseline(properties, name) or 0.0, str(made)


def choose(
    items: Sequence[Item], as_of: dt.date | None, max_cloud_pct: float, first: dt.date, last: dt.date
) -> Chosen:
    """The items to read.

    Args:
        items: of a search.
        as_of: leave out what became public after this day; None takes all.
        max_cloud_pct: leave out images with a larger share of clouds.
        first, last: days of the season, both included.
    """
    within = [one for one in items if first <= one.moment.date() <= last]
    public = [one for one in within if as_of is None or one.published <= as_of]
    clear = [one for one in public if one.cloud_pct is None or one.cloud_pct <= max_cloud_pct]
    newest = _newest(clear)
    return Chosen(newest, len(within) - len(public), len(public) - len(clear), len(clear) - len(newest))


def _newest(items: Sequence[Item]) -> list[Item]:
    """One of each reprocessing: the newest baseline of a scene, and of equal footprints the newest file.

    An image of a tile may come in two parts, at the seam of two receptions: they have different footprints.
    """
    baselines: dict[tuple[Any, ...], float] = {}
    for one in items:
        baselines[one.scene] = max(baselines.get(one.scene, 0.0), one.version[0])
    kept: dict[tuple[Any, ...], Item] = {}
    for one in items:
        if one.version[0] < baselines[one.scene]:
            continue
        key = (*one.scene, one.spot[1])
        if key not in kept or _age(kept[key]) < _age(one):
            kept[key] = one
    return sorted(kept.values(), key=lambda one: (one.moment, one.name))


def _age(item: Item) -> tuple[str, dt.date, str]:
    return item.version[1], item.published, item.name
