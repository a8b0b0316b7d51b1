"""Maps of classes to the table of crop areas: of municipalities, and of the weather cells within them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from yieldcast.data.crop_weights import GRIDS, SHARES, VARIANCES, check_crop_weights
from yieldcast.errors import ConfigError, LeakageError, SchemaError
from yieldcast.mapping.area_error import UNKNOWN, CropShares, crop_shares, too_few
from yieldcast.mapping.class_maps import ClassMap, refuse_overlap
from yieldcast.mapping.places import Places
from yieldcast.mapping.reference_points import Confusion, own_confusion, read_points
from yieldcast.mapping.zones import WHOLE, Areas, Cell, Zone, cells_of, class_areas

COVERED_SHARE = 0.95  # municipalities of which less lies within the map are reported (our choice)
_ROUNDING_ha = 1e-6  # smaller areas come from borders that only touch a pixel


@dataclass(frozen=True)
class MaskSettings:
    """What becomes of the maps.

    Args:
        crop: key of the crop.
        classes: names or numbers of the classes that are the crop; empty for those with its name.
        grid: of the weather, see `crop_weights.GRIDS`.
        lag_days: after the last day of a season until its map may be used, 0 or more.
        as_of: only seasons that were over and public on this day.
        reference: table of labelled points, see `reference_points.read_points`; None takes the counts that
            come with the map, if any.
    """

    crop: str
    as_of: dt.date
    classes: tuple[str, ...] = ()
    grid: str = "era5"
    lag_days: int = 0
    reference: Any = None


@dataclass
class Season:
    """The maps of one harvest year.

    Args:
        harvest_year: of the season.
        last_day: of the season.
        maps: tiles, side by side.
    """

    harvest_year: int
    last_day: dt.date
    maps: list[ClassMap] = field(default_factory=list)


class Mask(NamedTuple):
    """The table and what a reader should know about it.

    Args:
        table: see `yieldcast.data.crop_weights.check_crop_weights`.
        classes: names of the classes counted as the crop, by harvest year.
        without: number of municipalities in the map without a pixel of the crop, by harvest year.
        uncovered: number of municipalities of which a part, but less than `COVERED_SHARE`, lies in the map.
        beyond: number of municipalities outside the map, the same.
        unknown_error: classes with too few reference points for an error, the same; None without points.
        outside: number of reference points without a class in the map, the same.
    """

    table: xr.Dataset
    classes: dict[int, tuple[str, ...]]
    without: dict[int, int]
    uncovered: dict[int, int]
    beyond: dict[int, int]
    unknown_error: dict[int, tuple[str, ...] | None]
    outside: dict[int, int]


def seasons_of(
    maps: Sequence[ClassMap], last_days: Sequence[dt.date] = (), harvest_years: Sequence[int] = ()
) -> list[Season]:
    """Maps by season.

    Args:
        maps: in any order.
        last_days: of the maps that do not say it themselves, in their order; a single one is that of all.
        harvest_years: of each map; empty for the year of the last day, a single one is that of all.

    Raises:
        ConfigError: another number of days or years than of maps, or two last days for one harvest year.
        SchemaError: tiles of one season that overlap.
    """
    silent = [one for one in maps if one.last_day is None]
    days = list(last_days) * (len(silent) if len(last_days) == 1 else 1)
    years = list(harvest_years) * (len(maps) if len(harvest_years) == 1 else 1)
    if len(days) < len(silent) or (len(days) > len(silent) and (silent or len(last_days) > 1)):
        held = ", ".join(str(one.file) for one in silent) or "none"
        raise ConfigError(
            f"--last-day: expected one for each map that does not say when its season ended ({held}), "
            f"received {len(last_days)}",
            "Give --last-day YYYY-MM-DD for each of them, in the order of the maps.",
        )
    if years and len(years) != len(maps):
        raise ConfigError(
            f"--harvest-year: expected one for each of {len(maps)} maps, received {len(years)}",
            "Give it for each map, in their order, or leave it out: it is the year of the last day.",
        )
    found: dict[int, Season] = {}
    given = iter(days)
    for number, one in enumerate(maps):
        last = one.last_day or next(given)
        year = years[number] if years else last.year
        season = found.setdefault(year, Season(year, last))
        if season.last_day != last:
            raise ConfigError(
                f"harvest year {year}: expected one season, received maps that end on {season.last_day} and "
                f"{last}",
                "Give --harvest-year for each map.",
            )
        season.maps.append(one)
    for season in found.values():
        refuse_overlap(season.maps)
    return [found[year] for year in sorted(found)]


def make_mask(
    seasons: Sequence[Season],
    places: Places,
    settings: MaskSettings,
    progress: Callable[[int, int], None] | None = None,
) -> Mask:
    """Crop areas of municipalities and weights of their weather cells, one year for each season.

    Args:
        seasons: from `seasons_of`.
        places: municipalities.
        settings: crop, classes, grid, dates.
        progress: called with the number of blocks done and of all in one map.

    Raises:
        ConfigError: an unknown class or grid, no library for polygons, or points with several seasons.
        LeakageError: a season that was not over, and public, on `settings.as_of`.
        SchemaError: contents of a map that cannot be used, or no place within any map.
    """
    if settings.grid not in GRIDS:
        raise ConfigError(f"grid: expected one of {sorted(GRIDS)}, received {settings.grid!r}", "")
    if settings.reference and len(seasons) > 1:
        raise ConfigError(
            f"--reference: expected maps of one season, which the points are of, received {len(seasons)}",
            "Make a file of weights for each season, or leave --reference out.",
        )
    for season in seasons:
        _refuse_future(season, settings)
    cells = cells_of(places.shapes, GRIDS[settings.grid])
    zones = [Zone(number, cell.shape) for number, cell in enumerate(cells)]
    years = [_Year(one, places, cells, settings, _areas_of(one, zones, progress)) for one in seasons]
    table = _table(years, places, cells, settings)
    return Mask(
        table,
        {one.season.harvest_year: one.classes for one in years},
        {one.season.harvest_year: one.without for one in years},
        {one.season.harvest_year: one.uncovered for one in years},
        {one.season.harvest_year: one.beyond for one in years},
        {one.season.harvest_year: one.unknown_error for one in years},
        {one.season.harvest_year: one.outside for one in years},
    )


def _refuse_future(season: Season, settings: MaskSettings) -> None:
    public = season.last_day + dt.timedelta(days=1 + settings.lag_days)
    if public > settings.as_of:
        raise LeakageError(
            f"{season.maps[0].file}: its season ends on {season.last_day}, so that it may be used from "
            f"{public} on, not on {settings.as_of}",
            "Leave this map out, or give a later --as-of.",
        )


def _areas_of(
    season: Season, zones: Sequence[Zone], progress: Callable[[int, int], None] | None
) -> list[Areas]:
    """Areas of each map of a season, by zone and value."""
    return [class_areas(one, zones, progress) for one in season.maps]


class _Year:
    """One year of the table while it is made.

    Args:
        season: its maps.
        places, cells, settings: as given.
        areas: of each map, by cell and value.
    """

    def __init__(
        self,
        season: Season,
        places: Places,
        cells: Sequence[Cell],
        settings: MaskSettings,
        areas: Sequence[Areas],
    ) -> None:
        self.season = season
        row_of = {code: row for row, code in enumerate(places.shapes)}
        self.cell_ha, self.other_ha = np.zeros(len(cells)), np.zeros(len(row_of))
        self.classes: tuple[str, ...] = ()
        for one, found in zip(season.maps, areas, strict=True):
            self.classes = settings.classes or one.crop_classes(settings.crop)
            values = set(one.values_of(self.classes))
            for (zone, value), ha in found.items():
                if zone != WHOLE and value in values:
                    self.cell_ha[zone] += ha
                elif zone != WHOLE:
                    self.other_ha[row_of[cells[zone][0]]] += ha
        self.cell_ha[self.cell_ha < _ROUNDING_ha] = 0.0
        self.crop_ha = np.zeros(len(row_of))
        np.add.at(self.crop_ha, [row_of[cell[0]] for cell in cells], self.cell_ha)
        polygon = np.array([places.hectares[code] for code in row_of])
        mapped = self.crop_ha + self.other_ha
        if not mapped.any():
            raise SchemaError(
                f"{season.maps[0].file}: expected a map of the places, none of them lies in it",
                "Is it the map of another region, or are its coordinates wrong?",
            )
        self.beyond = int((mapped <= 0).sum())
        self.without = int((self.crop_ha <= 0).sum()) - self.beyond
        self.uncovered = int((mapped < COVERED_SHARE * polygon).sum()) - self.beyond
        self.shares, self.unknown_error, self.outside = _shares(season, settings, self.classes, areas)


def _shares(
    season: Season, settings: MaskSettings, classes: Sequence[str], areas: Sequence[Areas]
) -> tuple[CropShares, tuple[str, ...] | None, int]:
    """What the reference points of a season say; classes with too few points; points outside."""
    found = (
        read_points(settings.reference, season.maps) if settings.reference else own_confusion(season.maps[0])
    )
    if found is None:
        return UNKNOWN, None, 0
    mapped = mapped_ha(found, areas)
    if lacking := too_few(found.counts, mapped):
        return UNKNOWN, tuple(found.classes[i] for i in lacking), found.outside
    crop = np.isin(found.values, season.maps[0].values_of(classes))
    return crop_shares(found.counts, mapped, crop), (), found.outside


def mapped_ha(found: Confusion, areas: Sequence[Areas]) -> np.ndarray:
    """(class) area of each class of a confusion in the whole of some maps.

    Raises:
        SchemaError: the maps show a class that the confusion lacks.
    """
    held = sorted({value for one in areas for zone, value in one if zone == WHOLE})
    if strange := sorted(set(held) - set(found.values)):
        raise SchemaError(
            f"expected reference points for every class of the map, it also shows the values {strange}",
            "Give a table of points with these classes too: --reference FILE",
        )
    return np.array([sum(one.get((WHOLE, value), 0.0) for one in areas) for value in found.values])


def _table(
    years: Sequence[_Year], places: Places, cells: Sequence[Cell], settings: MaskSettings
) -> xr.Dataset:
    codes = np.array(list(places.shapes), np.int32)
    last = np.array([one.season.last_day for one in years], "datetime64[D]")
    public = last + 1 + settings.lag_days
    both, one_year = ("harvest_year", "municipality"), ("harvest_year",)
    data: dict[str, Any] = {
        "crop_ha": (both, np.stack([one.crop_ha for one in years])),
        "other_ha": (both, np.stack([one.other_ha for one in years])),
        "polygon_ha": (("municipality",), np.array([places.hectares[code] for code in places.shapes])),
        "last_day": (one_year, last.astype("datetime64[ns]")),
        "public_from": (one_year, public.astype("datetime64[ns]")),
    }
    for names, kinds in ((SHARES, ("crop", "other")), (VARIANCES, ("crop_variance", "other_variance"))):
        for name, kind in zip(names, kinds, strict=True):
            data[name] = (one_year, np.array([float(getattr(one.shares, kind)) for one in years]))
    data |= _entries(years, places, cells)
    attrs: Mapping[str, Any] = {
        "title": f"Area of {settings.crop} from maps, by municipality and weather cell",
        "crop": settings.crop, "grid": settings.grid, "step_deg": GRIDS[settings.grid],
        "maps": json.dumps(
            {
                str(one.season.harvest_year): {
                    "classes": list(one.classes), "maps": [found.facts for found in one.season.maps],
                }
                for one in years
            },
            ensure_ascii=False,
        ),
        "fallback": "municipalities without a pixel of the crop take the mean over their polygon",
    }  # fmt: skip
    years_of = np.array([one.season.harvest_year for one in years], np.int16)
    ds = xr.Dataset(data, {"harvest_year": years_of, "municipality": codes}, dict(attrs))
    for name in ("crop_ha", "other_ha", "polygon_ha", "entry_ha"):
        ds[name].attrs["units"] = "ha"
    return check_crop_weights(ds)


def _entries(years: Sequence[_Year], places: Places, cells: Sequence[Cell]) -> dict[str, Any]:
    held: dict[str, list[Any]] = {
        name: [] for name in ("harvest_year", "municipality", "row", "column", "ha", "weight")
    }
    row_of = {code: row for row, code in enumerate(places.shapes)}
    for one in years:
        used = np.flatnonzero(one.cell_ha > 0).tolist()
        total = np.array([one.crop_ha[row_of[cells[i][0]]] for i in used])
        held["harvest_year"].append(np.full(len(used), one.season.harvest_year))
        for position, name in enumerate(("municipality", "row", "column")):
            held[name].append(np.array([cells[i][position] for i in used], np.int32))
        held["ha"].append(one.cell_ha[used])
        held["weight"].append(one.cell_ha[used] / total)
    types = {"harvest_year": np.int16, "ha": np.float64, "weight": np.float64}
    return {
        f"entry_{name}": ("entry", np.concatenate(parts).astype(types.get(name, np.int32)))
        for name, parts in held.items()
    }
