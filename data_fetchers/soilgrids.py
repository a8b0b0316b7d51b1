"""SoilGrids of ISRIC: the value of each municipality, read as windows of the global files.

How a value comes about:

* ``centroid``: the pixel at the centroid. Where it is empty (water, town, rock), the mean of all pixels with
  a value whose centres lie within 1 km of the centroid, else within 3, else within 10 km; else none. A mean,
  not the nearest pixel: that one lies on the shore of what made the hole.
* ``polygon``: the mean of the pixels with a value whose centres lie inside; where the polygon holds no
  centre, of those that it touches. Where fewer than 5 % have a value, those within 1, 3, 10 km of the
  centroid are added until there are as many; what there is by then is taken. A municipality without polygon
  is treated as with ``centroid``.

Means are of the stored numbers, pH too (not of H+ concentrations), as in the paper. A part keeps how many
pixels and which radius. Never 0 for missing: zero clay is a legal value.

Homolosine files (2.0) are read through GDAL's warper, nearest neighbour, onto the lon/lat grid that the 2017
files have; a centroid may so get the neighbour of its pixel (up to 250 m away).

Not seen live: block layout and size of the 2017 files, size of the VRTs of 2.0, their exact grid.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import rasterio
import rasterio.features
import xarray as xr
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError
from rasterio.errors import RasterioError
from rasterio.transform import Affine
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from data_fetchers import http
from data_fetchers.base import AgainError, pause
from data_fetchers.parts import Job, Part, Record
from data_fetchers.soil_table import (
    LAYERS,
    VARIABLE_MAP,
    Row,
    Stored,
    check_rows,
    file_path,
    read_rows,
    write_rows,
)
from yieldcast.errors import ConfigError, FetchError

BASE_URL = "https://files.isric.org/soilgrids"
RADII_km = (1.0, 3.0, 10.0)
ENOUGH_VALID = 0.05  # share of a polygon's pixels
HOMOLOSINE = "ESRI:54052"  # ISRIC's own EPSG:152160 is unknown to PROJ
_KM_PER_DEGREE = math.pi / 180 * 6371.0088  # mean radius of the Earth, GRS 80
_PER_DEGREE = {"250m": 480, "1km": 120, "5km": 24}
_EDGE = 1e-6  # a centroid on the edge of two pixels belongs to the one to the south or east
_TIFF_OR_VRT = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"<VRTDataset", b"<?xml")
_WRONG_FILE = f"Is the base address that of SoilGrids (ours: {BASE_URL}), and the generation one that it has?"
_BUSY = "The service is busy or down, or the connection broke; the next run asks only for what is missing."
# Files that failed in this process: GDAL keeps their failure, a 503 too, and would not ask again.
_FAILED: set[str] = set()
# GDAL's defaults list the folder, look for side-cars, never retry and wait for ever.
SETTINGS: dict[str, Any] = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".vrt,.tif,.ovr",
    "GDAL_HTTP_MAX_RETRY": 3,
    "GDAL_HTTP_RETRY_DELAY": 1,
    "GDAL_HTTP_TIMEOUT": 60,
    "GDAL_HTTP_CONNECTTIMEOUT": 15,
    "GDAL_HTTP_USERAGENT": http.AGENT,
    # the other ways go past GDAL's cache: 126 requests instead of 2 for 141 polygons that share blocks
    "GDAL_HTTP_MULTIRANGE": "SERIAL",
    "GDAL_INGESTED_BYTES_AT_OPEN": 32768,
    "GDAL_CACHEMAX": 256,
    "VSI_CACHE": True,
    "VSI_CACHE_SIZE": 32 * 2**20,
    "CPL_VSIL_CURL_CACHE_SIZE": 128 * 2**20,  # a VRT of megabytes is read once for all states
}


@dataclass(frozen=True)
class SoilGrids:
    """ISRIC's SoilGrids as a source of parts, one for each property, layer and state.

    Args:
        base_url: of the files; else the environment's YIELDCAST_SOILGRIDS_URL, else ISRIC's.
        folder: of files already here under ISRIC's names, side by side or in ISRIC's tree; no network then.
        generation: 2017 (the paper's 63 layers; it alone has pH in KCl) or 2.0.
        resolution: of the pixels; the coarser ones are ISRIC's own means.
        where: value at the centroid or mean over the polygon.
        mesh_file: GeoJSON FeatureCollection with ``properties.code``, for polygons; a path, so that the
            source stays small on its way to workers.
    """

    base_url: str = ""
    folder: str = ""
    generation: Literal["2017", "2.0"] = "2017"
    resolution: Literal["250m", "1km", "5km"] = "250m"
    where: Literal["centroid", "polygon"] = "centroid"
    mesh_file: str = ""
    workers: int = 2  # no rate limit is documented: be gentle
    seconds_between: float = 0.0

    def __post_init__(self) -> None:
        url = self.base_url or os.environ.get("YIELDCAST_SOILGRIDS_URL", "") or BASE_URL
        object.__setattr__(self, "base_url", url.rstrip("/"))

    @property
    def name(self) -> str:
        """Of the source and its shelf."""
        return f"soilgrids-{self.generation}"

    @property
    def licence(self) -> str:
        """Of the data: 2017 as its paper says (ISRIC's FAQ: CC BY 4.0 since 2019), 2.0 as ISRIC says."""
        return "ODbL 1.0" if self.generation == "2017" else "CC BY 4.0"

    @property
    def attribution(self) -> str:
        """The line that products must carry."""
        if self.generation == "2017":
            paper = "250m 2017 (Hengl et al. 2017, doi:10.1371/journal.pone.0169748)"
        else:
            paper = " 2.0 (Poggio et al. 2021, doi:10.5194/soil-7-217-2021)"
        return f"ISRIC - World Soil Information, SoilGrids{paper}"

    def probe_url(self) -> str:
        """One of the smallest files, to ask whether the service answers (take a range of it)."""
        request = {"generation": "2017", "code": "CLYPPT", "layer": "0cm", "resolution": "5km"}
        return f"{self.base_url}/{file_path(request)}"

    def soil_parts(self, static: xr.Dataset, mesh: Mapping[str, Any] | None = None) -> list[Part]:
        """The parts that hold the soil of places, all states of a property's layer one after the other.

        Args:
            static: table of places: municipality, state, latitude_deg, longitude_deg.
            mesh: what `mesh_file` holds, for polygons.

        Raises:
            ConfigError: polygons are asked for and there are none.
        """
        if self.where == "polygon" and (mesh is None or not self.mesh_file):
            raise ConfigError(
                "soil over polygons needs the boundaries of the municipalities",
                "Run `yieldcast fetch places` first, or take --where centroid.",
            )
        polygons = _by_code(mesh) if self.where == "polygon" and mesh is not None else {}
        states: dict[str, list[list[Any]]] = {}
        columns = ("municipality", "state", "latitude_deg", "longitude_deg")
        for code, state, lat, lon in zip(*(static[c].values for c in columns), strict=True):
            place = [int(code), round(float(lat), 6), round(float(lon), 6)]
            states.setdefault(str(state), []).append(place)
        return [
            self._part(code, layer, state, places, polygons)
            for code in VARIABLE_MAP[self.generation]
            for layer in LAYERS[self.generation]
            # a file's head is read once for all states while GDAL still holds it
            for state, places in sorted(states.items())
        ]

    def _part(
        self, code: str, layer: str, state: str, places: list[list[Any]], polygons: Mapping[int, Any]
    ) -> Part:
        request: dict[str, Any] = {
            "generation": self.generation, "code": code, "layer": layer,
            "resolution": self.resolution, "where": self.where, "places": places,
        }  # fmt: skip
        if self.where == "polygon":
            request["polygons_sha256"] = _hash_of(places, polygons)
        label = re.sub(r"[^a-z0-9]+", "-", state.lower())
        return Part(self.name, f"{code.lower()}-{layer}-{label}", request, ".csv")

    def fetch(self, part: Part, target: Path, job: Job) -> Record:
        """Read the part's places from its file."""
        request = part.request
        stored = VARIABLE_MAP[request["generation"]][request["code"]]
        polygons = self._polygons(request)
        path, shown = self._locate(file_path(request))
        with _gdal(path, shown), _opened(path, stored, _PER_DEGREE[request["resolution"]]) as raster:
            places = sorted(request["places"], key=raster.block)
            rows = [_row(raster, place, polygons, request["where"], stored) for place in places]
        write_rows(target, rows)
        return {"file": shown, "nodata": raster.nodata, "crs": raster.crs}

    def check(self, part: Part, file: Path) -> Record:
        """Every place once, values in range, and not a whole state without a value."""
        return check_rows(part, read_rows(file))

    def split(self, part: Part) -> list[Part]:
        """Never needed: places are read one at a time."""
        return []

    def stale(self, part: Part, record: Record, today: Any) -> bool:
        """Never: both generations are finished."""
        return False

    def _polygons(self, request: Mapping[str, Any]) -> dict[int, Any]:
        if self.where == "centroid":
            return {}
        try:
            polygons = _load_mesh(self.mesh_file, os.stat(self.mesh_file).st_mtime_ns)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FetchError(f"cannot read the boundaries in {self.mesh_file}: {error}") from error
        if _hash_of(request["places"], polygons) != request["polygons_sha256"]:
            raise FetchError(
                f"the boundaries in {self.mesh_file} are not those that were planned with",
                "They changed meanwhile: start the fetch again.",
            )
        return polygons

    def _locate(self, path: str) -> tuple[str, str]:
        """What GDAL opens, and how messages call it."""
        if self.folder:
            folder = Path(self.folder)
            for file in (folder / path, folder / Path(path).name):
                if file.is_file():
                    return str(file), str(file)
            raise FetchError(
                f"{folder}: expected {Path(path).name}, or {path} as in ISRIC's tree; neither is there",
                f"Download it from {BASE_URL}/{path}.",
            )
        url = f"{self.base_url}/{path}"
        _ask_first(url)
        return f"/vsicurl/{url}", http.shown(url)


def _by_code(mesh: Mapping[str, Any]) -> dict[int, Any]:
    return {int(f["properties"]["code"]): f["geometry"] for f in mesh["features"] if f["geometry"]}


@lru_cache(1)
def _load_mesh(file: str, _changed_ns: int) -> dict[int, Any]:
    return _by_code(json.loads(Path(file).read_text(encoding="utf-8")))


def _hash_of(places: Sequence[Sequence[Any]], polygons: Mapping[int, Any]) -> str:
    text = json.dumps([[place[0], polygons.get(place[0])] for place in places])
    return hashlib.sha256(text.encode()).hexdigest()


def _ask_first(url: str) -> None:
    """A first look through `requests`: it tells kinds of failure apart that are one for GDAL."""
    session = http.SafeSession()
    session.headers["Range"] = "bytes=0-511"
    try:
        head = http.get(session, url, limit=2**20)
    except AgainError as error:
        raise AgainError(str(error), error.hint or _BUSY, error.after_s) from error
    except FetchError as error:
        raise FetchError(str(error), _WRONG_FILE) from error
    if not head.startswith(_TIFF_OR_VRT):
        raise AgainError(f"{http.shown(url)} sent neither a TIFF nor a VRT but {head[:20]!r}", _WRONG_FILE)


@contextmanager
def _gdal(path: str, shown: str) -> Iterator[None]:
    """Our settings, and GDAL's errors as ours."""
    fresh = {"CPL_VSIL_CURL_NON_CACHED": "/vsicurl/"} if path in _FAILED else {}
    try:
        with rasterio.Env(**SETTINGS, **fresh):
            yield
    except (RasterioError, CPLE_BaseError) as error:
        _FAILED.add(path)
        raise _failure(error, path, shown) from error


def _failure(error: BaseException, path: str, shown: str) -> FetchError:
    causes: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        causes.append(str(cause))
        cause = cause.__cause__ or cause.__context__
    text = f"{shown} could not be read: {causes[-1]}"
    if not path.startswith("/vsicurl/"):
        return FetchError(text, "The file, or a tile that it names, is damaged or absent: download it again.")
    status = re.search(r"response code: (4\d\d)", " ".join(causes))
    if status and status[1] not in ("408", "429"):
        return FetchError(text, _WRONG_FILE)
    return AgainError(text, _BUSY)


class _Pixels(NamedTuple):
    """A window: stored numbers, which of them are values, and where their centres lie (degrees)."""

    stored: NDArray[Any]
    valid: NDArray[np.bool_]
    transform: Affine

    def within(self, lat: float, lon: float, radius_km: float) -> NDArray[np.bool_]:
        """Which centres lie within a circle."""
        rows, columns = np.arange(self.valid.shape[0])[:, None], np.arange(self.valid.shape[1])[None, :]
        north = self.transform.f + self.transform.e * (rows + 0.5) - lat
        east = (self.transform.c + self.transform.a * (columns + 0.5) - lon) * math.cos(math.radians(lat))
        return np.asarray(np.hypot(north, east) * _KM_PER_DEGREE <= radius_km)


@dataclass(frozen=True)
class _Raster:
    """An opened file on a lon/lat grid."""

    dataset: Any
    nodata: float
    crs: str

    def index(self, lat: float, lon: float) -> tuple[int, int]:
        """Row and column of the pixel that a point lies in."""
        grid = self.dataset.transform
        return math.floor((lat - grid.f) / grid.e + _EDGE), math.floor((lon - grid.c) / grid.a + _EDGE)

    def block(self, place: Sequence[Any]) -> tuple[int, int]:
        """By which places are sorted, so that neighbours share what was read."""
        row, column = self.index(place[1], place[2])
        height, width = self.dataset.block_shapes[0]
        return row // height, column // width

    def read(self, west: float, south: float, east: float, north: float) -> _Pixels:
        """The pixels that a box touches, as far as the file goes."""
        top, left = self.index(north, west)
        bottom, right = self.index(south, east)
        top, left = max(top, 0), max(left, 0)
        bottom, right = min(bottom + 1, self.dataset.height), min(right + 1, self.dataset.width)
        transform = self.dataset.transform * Affine.translation(left, top)
        if bottom <= top or right <= left:
            return _Pixels(np.empty((0, 0)), np.empty((0, 0), bool), transform)
        stored = self.dataset.read(1, window=Window(left, top, right - left, bottom - top))
        return _Pixels(stored, np.isfinite(stored) & (stored != self.nodata), transform)

    def around(self, lat: float, lon: float, radius_km: float) -> tuple[float, float, float, float]:
        """West, south, east, north of the box around a circle (degrees)."""
        north = radius_km / _KM_PER_DEGREE
        east = north / math.cos(math.radians(lat))
        return lon - east, lat - north, lon + east, lat + north


def _row(
    raster: _Raster, place: Sequence[Any], polygons: Mapping[int, Any], where: str, stored: Stored
) -> Row:
    """One place's value; the rule is at the top of this module."""
    pause(0)  # lets Ctrl-C in
    code, lat, lon = place
    polygon = polygons.get(code)
    how = where if where == "centroid" or polygon else "no polygon"
    box = rasterio.features.bounds(polygon) if polygon else (lon, lat, lon, lat)
    pixels = raster.read(*box)
    own = _inside(pixels, polygon) if polygon else np.ones(pixels.valid.shape, bool)
    total, enough = int(own.sum()), max(1.0, ENOUGH_VALID * own.sum())
    chosen, radius = own & pixels.valid, 0.0
    if chosen.sum() < enough:
        wide = raster.around(lat, lon, RADII_km[-1])
        pixels = raster.read(*np.minimum(box, wide)[:2], *np.maximum(box, wide)[2:])
        own = _inside(pixels, polygon) if polygon else np.zeros(pixels.valid.shape, bool)
        for radius in RADII_km:
            looked_at = own | pixels.within(lat, lon, radius)
            total, chosen = int(looked_at.sum()), looked_at & pixels.valid
            if chosen.sum() >= enough:
                break
    count = int(chosen.sum())
    if not count:
        return Row(code, math.nan, 0, total, math.nan, how)
    return Row(
        code, float(pixels.stored[chosen].mean(dtype=float)) * stored.factor, count, total, radius, how
    )


def _inside(pixels: _Pixels, polygon: Any) -> NDArray[np.bool_]:
    if not pixels.valid.size:
        return pixels.valid
    for touched in (False, True):
        outside = rasterio.features.geometry_mask(
            [polygon], pixels.valid.shape, pixels.transform, all_touched=touched
        )
        if not outside.all():
            break
    return np.asarray(~outside)


@contextmanager
def _opened(path: str, stored: Stored, per_degree: int) -> Iterator[_Raster]:
    with rasterio.open(path) as file:
        tag = file.nodata
        nodata = stored.nodata if tag is None or math.isnan(tag) else tag
        crs = file.crs
        if crs is not None and crs.is_geographic:
            yield _Raster(file, nodata, str(crs))
            return
        # a whole globe costs nothing: only what is read is warped
        grid = Affine(1 / per_degree, 0, -180, 0, -1 / per_degree, 90)
        known = crs is not None and "152160" not in crs.to_wkt()
        with WarpedVRT(
            file, src_crs=crs if known else HOMOLOSINE, crs="EPSG:4326", transform=grid,
            width=360 * per_degree, height=180 * per_degree, src_nodata=nodata, nodata=nodata,
        ) as warped:  # fmt: skip
            yield _Raster(warped, nodata, str(crs) if known else HOMOLOSINE)
