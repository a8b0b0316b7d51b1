"""Makes the seasonal table from cached answers of SEAS5: cells in use, hindcast means, anomalies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from data_fetchers.cds.netcdf import reading
from data_fetchers.engine.cache import Request, RequestCache
from data_fetchers.seas5.answers import MEMBERS, Asked, converted, field_of, published
from yieldcast.data import zonal
from yieldcast.data.schema import RATIO_MOST
from yieldcast.errors import FetchError

UNITS = {"tmax_anomaly_degC": "degC", "tmin_anomaly_degC": "degC", "precipitation_ratio": "1"}
DRY_mm = 1.0  # hindcast mean of a month below which the rain ratio is set to 1 (our choice)


class Cells(NamedTuple):
    """Cells of one grid that are nearest to a place, and the index of each place's cell (-1: none)."""

    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    flat: NDArray[np.int64]
    of_place: NDArray[np.int32]

    @classmethod
    def of(cls, field: xr.DataArray, static: xr.Dataset) -> Cells:
        """Cells of a field's grid for the places."""
        rows, columns = field["latitude"].values, field["longitude"].values
        points = zonal.nearest(rows, columns, static["latitude_deg"].values, static["longitude_deg"].values)
        index = np.unique(points.cell[points.cell >= 0])
        of_place = np.where(points.cell >= 0, np.searchsorted(index, points.cell), -1)
        return cls(
            rows[index // len(columns)], columns[index % len(columns)], index, of_place.astype(np.int32)
        )

    def same(self, other: Cells) -> bool:
        """Whether both are the same cells of the same grid."""
        positions = (
            (self.latitude, other.latitude),
            (self.longitude, other.longitude),
            (self.flat, other.flat),
        )
        return all(np.array_equal(one, two) for one, two in positions)


class Reader:
    """Reads answers at the cells of the places and counts irregular values."""

    def __init__(self, cache: RequestCache, static: xr.Dataset) -> None:
        self.cache, self.static = cache, static
        self.cells: dict[int, Cells] = {}
        self.means: dict[str, dict[str, NDArray[np.float64]]] = {}
        self.held: dict[str, list[tuple[Request, Path]]] = {}
        self.irregular: Counter[str] = Counter()

    def files(self, request: Request) -> list[tuple[Request, Path]]:
        """Files of a request, or of the smaller ones it was split into; none when one of them is missing."""

        def size(p: Request) -> int:
            return len(p.parameters["inputs"]["variable"]) * len(p.parameters["inputs"]["year"])

        if request.file not in self.held:
            held = [(leaf, path) for leaf, path, _ in self.cache.leaves(request)]
            self.held[request.file] = held if sum(size(leaf) for leaf, _ in held) == size(request) else []
        return self.held[request.file]

    def fields(self, request: Request) -> Iterator[tuple[str, NDArray[np.float64]]]:
        """Name and values (start, member, lead, cell) of each quantity in each file of a request."""
        for leaf, path in self.files(request):
            asked = Asked.of(leaf)
            for name in asked.variables:
                with reading(path) as datasets:
                    field = field_of(datasets, name, path)
                    here = Cells.of(field, self.static)
                    cells = self.cells.setdefault(asked.system, here)
                    if not here.same(cells):
                        raise self._discarded(asked.system, path)
                    values = converted(field, name)
                values = values.reshape(*values.shape[:3], -1)[..., cells.flat]
                if name == "precipitation_mm":
                    self.irregular["rain values below 0 (packing) set to 0"] += int((values < 0).sum())
                    values = values.clip(min=0)
                yield name, values

    def _discarded(self, system: int, path: Path) -> FetchError:
        """Remove a system's answers from the cache, because their grids differ; return the error to raise."""
        for leaf in [leaf for held in self.held.values() for leaf, _ in held]:
            if Asked.of(leaf).system == system:
                self.cache.forget(leaf)
        return FetchError(
            f"{path.name}: expected the grid of the other answers of system {system}, received another",
            "The service has changed its grid. These answers were discarded: run the same command again.",
        )

    def mean(self, request: Request) -> dict[str, NDArray[np.float64]]:
        """Hindcast mean over years and members by quantity, (lead, cell); NaN where a value is missing."""
        if request.file not in self.means:
            total: dict[str, NDArray[np.float64]] = {}
            count: Counter[str] = Counter()
            for name, values in self.fields(request):
                total[name] = total.get(name, 0.0) + values.sum(axis=(0, 1))
                count[name] += values.shape[0] * values.shape[1]
            self.means[request.file] = {name: total[name] / count[name] for name in total}
        return self.means[request.file]

    def departures(self, forecast: Request, hindcast: Request) -> dict[str, NDArray[np.float32]]:
        """Temperature anomalies and rain ratio of one start, each (lead, member, cell)."""
        mean, out = self.mean(hindcast), {}
        for name, values in self.fields(forecast):
            normal = mean[name][:, None, :]
            member = values[0].transpose(1, 0, 2)
            if name == "precipitation_mm":
                out["precipitation_ratio"] = self._ratio(member, normal)
            else:
                out[name.replace("_degC", "_anomaly_degC")] = (member - normal).astype(np.float32)
        self.irregular["values missing in a forecast or its hindcast"] += sum(
            int(np.isnan(v).sum()) for v in out.values()
        )
        return out

    def _ratio(self, rain: NDArray[np.float64], normal: NDArray[np.float64]) -> NDArray[np.float32]:
        dry = normal < DRY_mm
        ratio = np.where(dry, 1.0, rain / np.where(dry, 1.0, normal))
        text = f"months of cells with a hindcast mean below {DRY_mm:g} mm: rain ratio set to 1"
        self.irregular[text] += int(dry.sum())
        text = f"rain ratios above {RATIO_MOST:g} set to {RATIO_MOST:g}"
        self.irregular[text] += int((ratio > RATIO_MOST).sum())
        return np.where(np.isnan(rain + normal), np.nan, ratio.clip(0, RATIO_MOST)).astype(np.float32)


def assemble(
    attrs: Mapping[str, str],
    found: Mapping[np.datetime64, Mapping[str, NDArray[np.float32]]],
    system: Mapping[np.datetime64, int],
    cells: Mapping[int, Cells],
    static: xr.Dataset,
) -> xr.Dataset:
    """Join all starts in one table. Each system has its own cells; they are NaN for starts of other systems.

    Args:
        attrs: attributes of the table.
        found: by start month, from `Reader.departures`.
        system: number of the forecast system by start month.
        cells: by system.
        static: table of places.
    """
    starts, systems = list(found), sorted(cells)
    leads = len(next(iter(found[starts[0]].values())))
    first = dict(zip(systems, np.cumsum([0] + [cells[s].flat.size for s in systems]).tolist(), strict=False))
    total = sum(cells[s].flat.size for s in systems)
    size = (len(starts), leads, MEMBERS, total)
    arrays = {name: np.full(size, np.nan, np.float32) for name in UNITS}
    for row, start in enumerate(starts):
        left = first[system[start]]
        for name, values in found[start].items():
            arrays[name][row, ..., left : left + values.shape[-1]] = values
    dims = ("forecast_reference_time", "lead_month", "member", "cell")
    of_place = [np.where(cells[s].of_place >= 0, cells[s].of_place + first[s], -1) for s in systems]
    return xr.Dataset(
        {
            **{name: (dims, values, {"units": UNITS[name]}) for name, values in arrays.items()},
            "published": (dims[0], np.array([published(s) for s in starts], "datetime64[ns]")),
            "start_system": (dims[0], np.array([system[s] for s in starts], np.int16)),
            "cell_latitude_deg": ("cell", np.concatenate([cells[s].latitude for s in systems])),
            "cell_longitude_deg": ("cell", np.concatenate([cells[s].longitude for s in systems])),
            "municipality_cell": (("system", "municipality"), np.array(of_place, np.int32)),
        },
        coords={
            dims[0]: np.array(starts, "datetime64[ns]"),
            "lead_month": np.arange(1, leads + 1, dtype=np.int16),
            "member": np.arange(MEMBERS, dtype=np.int16),
            "cell": np.arange(total, dtype=np.int32),
            "system": np.array(systems, np.int16),
            "municipality": static["municipality"].values,
        },
        attrs=dict(attrs),
    )
