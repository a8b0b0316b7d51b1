"""SoilGrids of ISRIC as a source: soil values of municipalities, read as windows of the global files.

Rule for the value of a municipality:

* ``centroid``: the pixel at the centroid. If it is empty (water, town, rock), the mean of all valid pixels
  whose centres are within 1 km of the centroid, else within 3 km, else within 10 km; else missing. A mean is
  taken because the nearest pixel lies at the edge of the empty area and is not representative.
* ``polygon``: the mean of the valid pixels whose centres are inside; if the polygon contains no centre, of
  the pixels that it touches. If fewer than 5 % of them are valid, pixels within 1, 3, 10 km of the centroid
  are added until 5 % are valid, or the largest radius is reached. A municipality without a polygon is
  treated as with ``centroid``.

Means are of the stored numbers, also for pH (not of H+ concentrations), as in Cunha & Silva (2020). The
answer records the number of pixels and the radius. Missing values are never 0, because zero clay is a valid
value.

Files in the homolosine projection (2.0) are warped by nearest neighbour to the longitude/latitude grid of the
2017 files; a centroid may therefore get the neighbour of its pixel (up to 250 m away).

Not verified against the live service: blocks and size of the 2017 files, size and exact grid of the VRTs of
2.0.
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
from data_fetchers.engine.gdal import ask_first, gdal
from data_fetchers.soilgrids.pixels import BASE_URL, WRONG_FILE, opened, row_of
from data_fetchers.soilgrids.table import LAYERS, VARIABLE_MAP, check_rows, file_path, read_rows, write_rows
from yieldcast.data.boundaries import boundaries_of, read_geojson
from yieldcast.errors import ConfigError, FetchError, MissingDataError, SchemaError

# other names are not asked for
_ONLY_RASTERS = {"CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".vrt,.tif,.ovr"}
_PER_DEGREE = {"250m": 480, "1km": 120, "5km": 24}


@dataclass(frozen=True)
class SoilGrids:
    """SoilGrids of ISRIC, with one request per property, layer and state.

    Args:
        base_url: address of the files; if empty YIELDCAST_SOILGRIDS_URL, else ISRIC's.
        folder: downloaded files with ISRIC's names, in one folder or in ISRIC's tree, to use instead of the
            network.
        generation: 2017 (63 layers as in Cunha & Silva (2020); the only one with pH in KCl) or 2.0.
        resolution: of the pixels; the coarser ones are ISRIC's own means.
        where: value at the centroid or mean over the polygon.
        mesh_file: path of the GeoJSON boundaries, for polygons; a path because the source is sent to workers.
    """

    base_url: str = ""
    folder: str = ""
    generation: Literal["2017", "2.0"] = "2017"
    resolution: Literal["250m", "1km", "5km"] = "250m"
    where: Literal["centroid", "polygon"] = "centroid"
    mesh_file: str = ""
    workers: int = 2  # no rate limit is documented; kept low
    seconds_between: float = 0.0

    def __post_init__(self) -> None:
        url = self.base_url or os.environ.get("YIELDCAST_SOILGRIDS_URL", "") or BASE_URL
        object.__setattr__(self, "base_url", url.rstrip("/"))

    @property
    def name(self) -> str:
        """Name of the source and of its folder in the cache."""
        return f"soilgrids-{self.generation}"

    @property
    def licence(self) -> str:
        """Licence of the data: 2017 by its paper (ISRIC's FAQ: CC BY 4.0 since 2019), 2.0 by ISRIC."""
        return "ODbL 1.0" if self.generation == "2017" else "CC BY 4.0"

    @property
    def attribution(self) -> str:
        """Text that products made with the data must show."""
        if self.generation == "2017":
            paper = "250m 2017 (Hengl et al. 2017, doi:10.1371/journal.pone.0169748)"
        else:
            paper = " 2.0 (Poggio et al. 2021, doi:10.5194/soil-7-217-2021)"
        return f"ISRIC - World Soil Information, SoilGrids{paper}"

    def probe_url(self) -> str:
        """Address of one of the smallest files, to test whether the service works."""
        parameters = {"generation": "2017", "code": "CLYPPT", "layer": "0cm", "resolution": "5km"}
        return f"{self.base_url}/{file_path(parameters)}"

    def soil_requests(self, static: xr.Dataset, mesh: Mapping[str, Any] | None = None) -> list[Request]:
        """Requests for the soil of places: by property, then layer, then state.

        Args:
            static: table of places: municipality, state, latitude_deg, longitude_deg.
            mesh: contents of `mesh_file`, for polygons.

        Raises:
            ConfigError: polygons are requested without boundaries.
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
            self._request(code, layer, state, places, polygons)
            for code in VARIABLE_MAP[self.generation]
            for layer in LAYERS[self.generation]
            # states last, because GDAL then reads the header of a file once for all states
            for state, places in sorted(states.items())
        ]

    def refuse_absent(self, requests: Sequence[Request]) -> None:
        """Check that the folder of downloaded files has every file that some requests need.

        Args:
            requests: those that have to be fetched. Without a folder nothing is checked.

        Raises:
            MissingDataError: no such folder, or missing files.
        """
        if not self.folder or not requests:
            return
        needed = list(dict.fromkeys(file_path(request.parameters) for request in requests))
        absent = [path for path in needed if self._local(path) is None]
        if not absent:
            return
        names = ", ".join(Path(path).name for path in absent[:3]) + (", ..." if len(absent) > 3 else "")
        found = "" if Path(self.folder).is_dir() else " is not a folder"
        raise MissingDataError(
            f"{self.folder}{found}: {len(absent)} of {len(needed)} SoilGrids files are missing: {names}",
            f"Download them from ISRIC, the first from {BASE_URL}/{absent[0]}, into one folder or ISRIC's "
            "tree (a .vrt with its folder of tiles), or omit --soil-folder to read over the network.",
        )

    def _request(
        self, code: str, layer: str, state: str, places: list[list[Any]], polygons: Mapping[int, Any]
    ) -> Request:
        parameters: dict[str, Any] = {
            "generation": self.generation, "code": code, "layer": layer,
            "resolution": self.resolution, "where": self.where, "places": places,
        }  # fmt: skip
        if self.where == "polygon":
            parameters["polygons_sha256"] = _hash_of(places, polygons)
        label = re.sub(r"[^a-z0-9]+", "-", state.lower())
        return Request(self.name, f"{code.lower()}-{layer}-{label}", parameters, ".csv")

    def fetch(self, request: Request, target: Path, job: PendingJob) -> Record:
        """Read the values of the request's places and write them to `target`."""
        parameters = request.parameters
        stored = VARIABLE_MAP[parameters["generation"]][parameters["code"]]
        polygons = self._polygons(parameters)
        path, shown = self._locate(file_path(parameters))
        with (
            gdal(path, shown, WRONG_FILE, _ONLY_RASTERS),
            opened(path, shown, stored, _PER_DEGREE[parameters["resolution"]]) as raster,
        ):
            places = sorted(parameters["places"], key=raster.block)
            rows = [row_of(raster, place, polygons, parameters["where"], stored) for place in places]
        write_rows(target, rows)
        return {"file": shown, "nodata": raster.nodata, "crs": raster.crs}

    def check(self, request: Request, file: Path) -> Record:
        """Check that every place occurs once, values are in range, and not all are missing."""
        return check_rows(request, read_rows(file))

    def split(self, request: Request) -> list[Request]:
        """Always empty: places are read one at a time."""
        return []

    def stale(self, request: Request, record: Record, today: Any) -> bool:
        """Always False: both generations are final."""
        return False

    def _polygons(self, parameters: Mapping[str, Any]) -> dict[int, Any]:
        if self.where == "centroid":
            return {}
        try:
            polygons = _load_mesh(self.mesh_file, os.stat(self.mesh_file).st_mtime_ns)
        except (OSError, MissingDataError, SchemaError) as error:
            raise FetchError(f"cannot read the boundaries in {self.mesh_file}: {error}") from error
        if _hash_of(parameters["places"], polygons) != parameters["polygons_sha256"]:
            raise FetchError(
                f"the boundaries in {self.mesh_file} have changed since the fetch was planned",
                "Start the fetch again.",
            )
        return polygons

    def _locate(self, path: str) -> tuple[str, str]:
        """Path for GDAL, and path or address for messages."""
        if self.folder:
            file = self._local(path)
            if file is None:
                raise FetchError(
                    f"{self.folder}: expected {Path(path).name}, or {path} as in ISRIC's tree; found neither",
                    f"Download it from {BASE_URL}/{path}.",
                )
            return str(file), str(file)
        url = f"{self.base_url}/{path}"
        ask_first(url, WRONG_FILE)
        return f"/vsicurl/{url}", http.shown(url)

    def _local(self, path: str) -> Path | None:
        folder = Path(self.folder)
        return next((file for file in (folder / path, folder / Path(path).name) if file.is_file()), None)


def _by_code(mesh: Mapping[str, Any]) -> dict[int, Any]:
    return {one.code: one.geometry for one in boundaries_of(mesh) if one.geometry is not None}


@lru_cache(1)
def _load_mesh(file: str, _changed_ns: int) -> dict[int, Any]:
    return _by_code(read_geojson(Path(file)))


def _hash_of(places: Sequence[Sequence[Any]], polygons: Mapping[int, Any]) -> str:
    text = json.dumps([[place[0], polygons.get(place[0])] for place in places])
    return hashlib.sha256(text.encode()).hexdigest()
