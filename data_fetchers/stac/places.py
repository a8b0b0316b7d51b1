"""Points to fetch series for: a table of points, or a point inside each polygon of a mesh."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from data_fetchers.stac.grids import Box, check_box
from yieldcast.data.boundaries import Rings, polygons_of, read_geojson
from yieldcast.errors import SchemaError
from yieldcast.pixels.pixel_series import first
from yieldcast.pixels.series_tables import read_table

_MESHES = (".geojson", ".json")
_NAMES = {
    "sample_id": ("sample_id", "sample", "id", "field_id", "code"),
    "lat": ("lat", "latitude", "latitude_deg"),
    "lon": ("lon", "longitude", "longitude_deg"),
}


def read_places(path: Path) -> pd.DataFrame:
    """Points with the columns sample_id, lat, lon (degrees), and all others of the file.

    Args:
        path: CSV or Parquet of points, or GeoJSON of polygons (then a point inside the largest of each).

    Raises:
        MissingDataError: no such file.
        SchemaError: no such columns, an id twice, or no degrees.
    """
    frame = _of_mesh(path) if path.suffix.lower() in _MESHES else _of_table(path)
    ids = frame["sample_id"]
    if ids.duplicated().any() or ids.isna().any():
        wrong = first(ids[ids.duplicated() | ids.isna()].astype(str).to_numpy())
        raise SchemaError(f"{path}: expected each sample_id once, received {wrong} more than once or empty")
    good = frame["lat"].between(-80, 84) & frame["lon"].between(-180, 180)
    if not good.all():
        raise SchemaError(
            f"{path}: expected lat of -80 to 84 and lon of -180 to 180 degrees, received others in "
            f"{first(ids[~good].astype(str).to_numpy())}"
        )
    return frame


def _of_table(path: Path) -> pd.DataFrame:
    frame = read_table(path)
    by_lower = {str(name).lower(): name for name in frame.columns}
    chosen = {}
    for role, names in _NAMES.items():
        found = next((by_lower[name] for name in names if name in by_lower), None)
        if found is None:
            raise SchemaError(
                f"{path}: expected a column {' or '.join(names)}, received "
                f"{', '.join(map(str, frame.columns[:20]))}",
                "Give points in degrees with an id each.",
            )
        chosen[found] = role
    frame = frame.rename(columns=chosen)
    for role in ("lat", "lon"):
        frame[role] = pd.to_numeric(frame[role], errors="coerce")
    return frame


def _of_mesh(path: Path) -> pd.DataFrame:
    rows = []
    for number, feature in enumerate(read_geojson(path)["features"], 1):
        try:
            polygons = polygons_of(feature["geometry"])
            texts = {k: v for k, v in (feature.get("properties") or {}).items() if isinstance(v, str | int)}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise SchemaError(
                f"{path}: expected polygons in degrees, received another feature {number} ({error})",
                "Give points as CSV with sample_id, lat, lon instead.",
            ) from None
        found = next(
            (texts[name] for name in _NAMES["sample_id"] if name in texts), feature.get("id", number)
        )
        lon, lat = inside(max(polygons, key=lambda rings: float(np.ptp(rings[0], axis=0).prod())))
        rows.append({**texts, "sample_id": str(found), "lat": lat, "lon": lon})
    if not rows:
        raise SchemaError(f"{path}: expected polygons, received none")
    return pd.DataFrame(rows)


def inside(rings: Rings) -> tuple[float, float]:
    """A point inside a polygon: the middle of its widest part at half of its height.

    Args:
        rings: outline and holes, (corner, 2) degrees.
    """
    latitude = float((rings[0][:, 1].min() + rings[0][:, 1].max()) / 2)
    crossings = np.sort(np.concatenate([_crossings(ring, latitude) for ring in rings]))
    starts, ends = crossings[::2], crossings[1::2]
    if not starts.size:
        return float(rings[0][:, 0].mean()), latitude
    widest = int((ends - starts[: len(ends)]).argmax())
    return float((starts[widest] + ends[widest]) / 2), latitude


def _crossings(ring: NDArray[np.float64], latitude: float) -> NDArray[np.float64]:
    """Longitudes at which a ring crosses a parallel; an even number of them."""
    a, b = ring, np.roll(ring, -1, axis=0)
    cross = (a[:, 1] <= latitude) != (b[:, 1] <= latitude)
    a, b = a[cross], b[cross]
    made: NDArray[np.float64] = a[:, 0] + (latitude - a[:, 1]) / (b[:, 1] - a[:, 1]) * (b[:, 0] - a[:, 0])
    return made


def box_around(path: Path) -> Box:
    """The box around the points or polygons of a file (degrees).

    Raises:
        MissingDataError, SchemaError: as `read_places`.
        ConfigError: no area.
    """
    if path.suffix.lower() not in _MESHES:
        points = read_places(path)
        corners: Any = points[["lon", "lat"]].to_numpy(np.float64)
    else:
        read_places(path)  # refuses other features
        polygons = [polygons_of(feature["geometry"]) for feature in read_geojson(path)["features"]]
        corners = np.concatenate([rings[0] for parts in polygons for rings in parts])
    (west, south), (east, north) = corners.min(axis=0), corners.max(axis=0)
    return check_box((west, south, east, north))
