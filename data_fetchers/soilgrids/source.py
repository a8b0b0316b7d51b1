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
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import xarray as xr

from data_fetchers.engine import http
from data_fetchers.engine.cache import PendingJob, Record, Request
from data_fetchers.soilgrids.pixels import BASE_URL, ask_first, gdal, opened, row_of
from data_fetchers.soilgrids.table import LAYERS, VARIABLE_MAP, check_rows, file_path, read_rows, write_rows
from yieldcast.errors import ConfigError, FetchError, MissingDataError

_PER_DEGREE = {"250m": 480, "1km": 120, "5km": 24}


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

    def soil_parts(self, static: xr.Dataset, mesh: Mapping[str, Any] | None = None) -> list[Request]:
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

    def refuse_absent(self, parts: Sequence[Request]) -> None:
        """One error for all files that a given folder lacks, before anything is fetched.

        Args:
            parts: those that have to be fetched; without a folder nothing is looked at.

        Raises:
            MissingDataError: the folder is none, or files that the parts need are not in it.
        """
        if not self.folder or not parts:
            return
        needed = list(dict.fromkeys(file_path(part.request) for part in parts))
        absent = [path for path in needed if self._local(path) is None]
        if not absent:
            return
        names = ", ".join(Path(path).name for path in absent[:3]) + (", ..." if len(absent) > 3 else "")
        found = "" if Path(self.folder).is_dir() else " is no folder"
        raise MissingDataError(
            f"{self.folder}{found}: {len(absent)} of {len(needed)} SoilGrids files are not there: {names}",
            f"Download them from ISRIC, the first from {BASE_URL}/{absent[0]}, side by side or in ISRIC's "
            "tree (a .vrt with its folder of tiles), or leave --soil-folder out to read over the network.",
        )

    def _part(
        self, code: str, layer: str, state: str, places: list[list[Any]], polygons: Mapping[int, Any]
    ) -> Request:
        request: dict[str, Any] = {
            "generation": self.generation, "code": code, "layer": layer,
            "resolution": self.resolution, "where": self.where, "places": places,
        }  # fmt: skip
        if self.where == "polygon":
            request["polygons_sha256"] = _hash_of(places, polygons)
        label = re.sub(r"[^a-z0-9]+", "-", state.lower())
        return Request(self.name, f"{code.lower()}-{layer}-{label}", request, ".csv")

    def fetch(self, part: Request, target: Path, job: PendingJob) -> Record:
        """Read the part's places from its file."""
        request = part.request
        stored = VARIABLE_MAP[request["generation"]][request["code"]]
        polygons = self._polygons(request)
        path, shown = self._locate(file_path(request))
        with gdal(path, shown), opened(path, shown, stored, _PER_DEGREE[request["resolution"]]) as raster:
            places = sorted(request["places"], key=raster.block)
            rows = [row_of(raster, place, polygons, request["where"], stored) for place in places]
        write_rows(target, rows)
        return {"file": shown, "nodata": raster.nodata, "crs": raster.crs}

    def check(self, part: Request, file: Path) -> Record:
        """Every place once, values in range, and not a whole state without a value."""
        return check_rows(part, read_rows(file))

    def split(self, part: Request) -> list[Request]:
        """Never needed: places are read one at a time."""
        return []

    def stale(self, part: Request, record: Record, today: Any) -> bool:
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
            file = self._local(path)
            if file is None:
                raise FetchError(
                    f"{self.folder}: expected {Path(path).name}, or {path} as in ISRIC's tree; "
                    "neither is there",
                    f"Download it from {BASE_URL}/{path}.",
                )
            return str(file), str(file)
        url = f"{self.base_url}/{path}"
        ask_first(url)
        return f"/vsicurl/{url}", http.shown(url)

    def _local(self, path: str) -> Path | None:
        folder = Path(self.folder)
        return next((file for file in (folder / path, folder / Path(path).name) if file.is_file()), None)


def _by_code(mesh: Mapping[str, Any]) -> dict[int, Any]:
    return {int(f["properties"]["code"]): f["geometry"] for f in mesh["features"] if f["geometry"]}


@lru_cache(1)
def _load_mesh(file: str, _changed_ns: int) -> dict[int, Any]:
    return _by_code(json.loads(Path(file).read_text(encoding="utf-8")))


def _hash_of(places: Sequence[Sequence[Any]], polygons: Mapping[int, Any]) -> str:
    text = json.dumps([[place[0], polygons.get(place[0])] for place in places])
    return hashlib.sha256(text.encode()).hexdigest()
