"""Hectares by class of real fields: as published, from their polygons, and from maps of them.

    python experiments/crop_areas.py --fields FIELDS.parquet

FIELDS has a row for each field: area_ha as its authors computed it, a label for each month (Feb_2020, ...),
geometry_wkb (WGS 84). The fields become class maps on four grids, by the class of each pixel's centre, and
these are measured as any map is (`yieldcast crop-type area`). Writes crop-areas.json and crop-areas.md.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import shapely

from results_file import heading, markdown_table, write
from yieldcast.cli.terminal import short_errors
from yieldcast.data.files import atomic_text
from yieldcast.mapping.areas import polygons_ha
from yieldcast.mapping.class_maps import open_map
from yieldcast.mapping.map_areas import map_areas

MONTHS = ("Feb_2020", "Jul_2020")
SINUSOIDAL = "+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R=6371007.181 +units=m +no_defs"
GRIDS: tuple[tuple[str, str, float], ...] = (
    ("UTM 23 S, 10 m", "EPSG:32723", 10.0), ("UTM 23 S, 30 m", "EPSG:32723", 30.0),
    ("degrees, 0.00025", "EPSG:4326", 0.00025), ("MODIS sinusoidal, 231.7 m", SINUSOIDAL, 231.656358),
)  # fmt: skip


def main() -> None:
    """Measure and write the tables."""
    parser = argparse.ArgumentParser(description="Hectares by class of fields and of maps of them.")
    parser.add_argument("--fields", type=Path, required=True, metavar="PARQUET")
    parser.add_argument("--least", type=float, default=1000.0, help="hectares of a class that is shown")
    given = parser.parse_args()
    with short_errors():
        fields = pd.read_parquet(given.fields)
        shapes = shapely.from_wkb(fields["geometry_wkb"].to_numpy())
        found = {month: _month(fields, shapes, month) for month in MONTHS}
        atomic_text(_results() / "crop-areas.json", json.dumps(found, indent=1, ensure_ascii=False))
        write(_results() / "crop-areas.md", _page(found, given.least))


def _results() -> Path:
    return Path(__file__).with_name("results")


def _month(fields: pd.DataFrame, shapes: np.ndarray, month: str) -> dict[str, dict[str, float]]:
    """Hectares by class and by way of measuring."""
    labels = fields[month].fillna("unknown").astype(str)
    own = np.array([polygons_ha(_rings(shape)) for shape in shapes])
    made = {
        "as published": fields["area_ha"].astype(float).groupby(labels).sum().to_dict(),
        "polygons": pd.Series(own).groupby(labels.to_numpy()).sum().to_dict(),
    }
    classes = sorted(set(labels))
    with tempfile.TemporaryDirectory() as folder:
        for name, crs, step in GRIDS:
            path = Path(folder) / "class.tif"
            _burn(path, shapes, [classes.index(one) + 1 for one in labels], classes, crs, step)
            areas = map_areas([open_map(path)])
            made[name] = dict(zip(areas.classes, areas.hectares.tolist(), strict=True))
    return made


def _rings(shape: Any) -> list[list[np.ndarray]]:
    return [
        [shapely.get_coordinates(ring) for ring in (part.exterior, *part.interiors)]
        for part in shapely.get_parts(shape)
    ]


def _burn(
    path: Path, shapes: np.ndarray, values: list[int], classes: list[str], crs: str, step: float
) -> None:
    """A class map of fields, by the centre of each pixel."""
    import rasterio
    from rasterio import Affine, features
    from rasterio.warp import transform_geom

    moved = transform_geom("EPSG:4326", crs, [shapely.geometry.mapping(shape) for shape in shapes])
    west, south, east, north = shapely.total_bounds([shapely.geometry.shape(one) for one in moved])
    west, north = math.floor(west / step) * step, math.ceil(north / step) * step
    grid = Affine(step, 0, west, 0, -step, north)
    size = math.ceil((north - south) / step), math.ceil((east - west) / step)
    burnt = features.rasterize(list(zip(moved, values, strict=True)), size, transform=grid, dtype="uint8")
    about = {"driver": "GTiff", "dtype": "uint8", "count": 1, "crs": crs, "nodata": 0, "compress": "deflate"}
    with rasterio.open(path, "w", height=size[0], width=size[1], transform=grid, **about) as raster:
        raster.write(burnt, 1)
        raster.update_tags(YIELDCAST_CLASSES=json.dumps(classes))


def _page(found: dict[str, dict[str, dict[str, float]]], least: float) -> list[str]:
    parts = [
        *heading("Hectares by class of real fields"),
        "Fields of western Bahia with a land-use label for each month (LEM+). Their polygons were simplified "
        "to 10 m after the published `area_ha` was computed. In brackets: difference from the polygons. "
        "Published areas of round fields (pivots; coffee) are above those of their simplified polygons, "
        "which cut off the arcs. Maps hold the class at the centre of each pixel, so that small fields in "
        "coarse pixels are scattered by chance.",
    ]
    for month, ways in found.items():
        names = [name for name, ha in ways["polygons"].items() if ha >= least]
        names.sort(key=lambda name: -ways["polygons"][name])
        rows = [[name, *_cells(ways, name)] for name in names]
        total = {way: {"all fields": sum(areas.values())} for way, areas in ways.items()}
        rows.append(["all fields", *_cells(total, "all fields")])
        parts += [f"## {month.replace('_', ' ')}", markdown_table(["class, ha", *ways], rows)]
    return parts


def _cells(ways: dict[str, dict[str, float]], name: str) -> list[str]:
    base = ways["polygons"][name]
    return [
        f"{areas.get(name, 0.0):,.0f}"
        + ("" if way == "polygons" else f" ({100 * (areas.get(name, 0.0) / base - 1):+.2f} %)")
        for way, areas in ways.items()
    ]


if __name__ == "__main__":
    main()
