"""What to fetch (order), for which store and date (context), and the plans and tables made from it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from data_fetchers.engine.cache import Request, RequestCache
from data_fetchers.engine.downloader import DownloadPlan
from data_fetchers.engine.source import Note, Source
from yieldcast.data.boundaries import read_geojson
from yieldcast.data.crop_cells import Before, CropChoice
from yieldcast.data.crop_weights import read_crop_weights
from yieldcast.data.store import Store
from yieldcast.errors import ConfigError, SchemaError

WeatherSource = Literal["era5", "era5-land", "nasa-power"]
Where = Literal["centroid", "polygon", "crop-area"]
ALL_TABLES = ("places", "yields", "weather", "soil", "seasonal", "surveys", "estimates")
DAILY = "weather-daily"  # the plan for the days of the weather
DEFAULT_CROPS = ("corn", "cotton", "rice", "soybean", "sugarcane")  # crops of the Brazilian calendar


@dataclass(frozen=True)
class FetchOrder:
    """What the user wants to fetch.

    Args:
        tables: of `ALL_TABLES`; places are added if the store has none.
        years: calendar years of weather and harvest years of yields and estimates.
        crops: English names, see `data_fetchers.ibge.sidra.CROPS`.
        states: abbreviations (UF); None for all.
        weather: source of the weather.
        where: for weather and soil, value at the centroid (as in Cunha & Silva (2020)), mean over the
            polygon, or (weather only, soil is then over the polygon) over cropped cells.
        weights: file of crop weights for the last, see `yieldcast.data.crop_weights`.
        weights_before: what months before its first map take, see `yieldcast.data.crop_cells.CropChoice`.
        daily: fetch the days of the weather too, as a table of their own, with more variables; None: unless
            the store's days come from another source.
        soil: generation of SoilGrids.
        soil_resolution: resolution of SoilGrids.
        soil_folder: folder of downloaded files to use instead of the service; empty for the service.
        starts: start months of seasonal forecasts (datetime64[M]).
        seasonal_system: number of the system that made these forecasts; None for that of
            `data_fetchers.seas5.answers.SYSTEMS`.
        patience_s: longest wait for one job at the CDS (s).
        partial: write tables although data are missing.
        replace: replace tables from another source.
    """

    tables: tuple[str, ...]
    years: tuple[int, ...] = ()
    crops: tuple[str, ...] = DEFAULT_CROPS
    states: tuple[str, ...] | None = None
    weather: WeatherSource = "era5"
    where: Where = "centroid"
    weights: str = ""
    weights_before: Before = "refuse"
    daily: bool | None = False
    soil: Literal["2017", "2.0"] = "2017"
    soil_resolution: Literal["250m", "1km", "5km"] = "250m"
    soil_folder: str = ""
    starts: tuple[np.datetime64, ...] = ()
    seasonal_system: int | None = None
    patience_s: float = 6 * 3600.0
    partial: bool = False
    replace: bool = False

    @property
    def soil_where(self) -> Literal["centroid", "polygon"]:
        """Where soil is taken from."""
        return "centroid" if self.where == "centroid" else "polygon"

    def crop(self) -> CropChoice | None:
        """Weights of cropped cells; None unless weather is averaged over them.

        Raises:
            ConfigError: no file of weights is given, or one without its `where`.
            MissingDataError, SchemaError: see `read_crop_weights`.
        """
        if (self.where == "crop-area") != bool(self.weights):
            raise ConfigError(
                f"--where crop-area needs --weights, and --weights needs it; received --where {self.where} "
                f"and {'--weights ' + self.weights if self.weights else 'no --weights'}",
                "Make weights with: yieldcast crop-type mask MAP... --places MESH --crop CROP --out WEIGHTS",
            )
        return CropChoice(_weights(self.weights), self.weights_before) if self.weights else None


@lru_cache(maxsize=2)
def _weights(path: str) -> xr.Dataset:
    return read_crop_weights(Path(path))


@dataclass
class FetchContext:
    """An order with its store and date.

    Args:
        order: what to fetch.
        store: folder of the store.
        today: decides which data are published and which are preliminary.
    """

    order: FetchOrder
    store: Path
    today: dt.date
    _opened: tuple[bytes, Store] | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def folder(self) -> Path:
        """Folder of the cached answers of all sources."""
        return self.store / "parts"

    def cache(self, source: Source) -> RequestCache:
        """Cache of one source."""
        return RequestCache(self.folder / source.name)

    def opened(self) -> Store | None:
        """The store in its current state; None if the folder has no store.

        The same object until the store changes, so that each table is read and checked once.
        """
        try:
            manifest = (self.store / "store.json").read_bytes()
        except FileNotFoundError:
            return None
        if self._opened is None or self._opened[0] != manifest:
            self._opened = (manifest, Store.open(self.store, damaged=True))
        return self._opened[1]

    def existing(self, table: str) -> xr.Dataset | None:
        """A table of the store; None if it is missing or damaged, so that it must be made again."""
        opened = self.opened()
        if opened is None or table not in opened:
            return None
        with suppress(SchemaError):
            found: xr.Dataset = getattr(opened, table)
            return found
        return None

    def places(self) -> xr.Dataset:
        """All places of the store; ConfigError without any."""
        static = self.existing("static")
        if static is None:
            raise ConfigError(f"no places at {self.store}", "Run `yieldcast fetch places` first.")
        return static

    def static(self) -> xr.Dataset:
        """Places (and soil) of the ordered states; ConfigError if the store lacks one of them."""
        static = self.places()
        if self.order.states is None:
            return static
        states = [str(state).upper() for state in static["state"].values]
        wanted = [state.upper() for state in self.order.states]
        absent = sorted(set(wanted) - set(states))
        if absent:
            held = ", ".join(sorted(set(static["state"].values.tolist())))
            raise ConfigError(
                f"the store has no places of {', '.join(absent)}",
                f"It has places of {held}. In Brazil others can be fetched: `yieldcast fetch places --states "
                f"{','.join(absent)}`.",
            )
        return static.isel(municipality=np.isin(states, wanted))

    def mesh(self) -> dict[str, Any] | None:
        """Boundaries of the municipalities; None without them."""
        opened = self.opened()
        file = opened.mesh if opened is not None else None
        return read_geojson(file) if file is not None else None

    def mesh_file(self) -> str:
        """Path of the boundaries; empty without them."""
        opened = self.opened()
        return str(opened.mesh) if opened is not None and opened.mesh is not None else ""


@dataclass
class TableBuilt:
    """Tables made from answers, with their provenance.

    Args:
        tables: tables of the store, by name.
        sources: source, licence, attribution and settings, by the name in the order.
        notes: remarks for readers of the table.
        mesh: GeoJSON text of the boundaries, for places.
        surveys: CSV text, for surveys.
    """

    tables: dict[str, xr.Dataset]
    sources: dict[str, Any]
    notes: list[Note] = field(default_factory=list)
    mesh: str | None = None
    surveys: str | None = None


@dataclass
class TablePlan:
    """Requests for one ordered table, and the function that makes the table from the answers."""

    table: str
    source: Source
    requests: list[Request]
    build: Callable[[], TableBuilt]
    notes: list[Note] = field(default_factory=list)

    @property
    def plan(self) -> DownloadPlan:
        """Argument for `fetch_requests`."""
        return self.source, self.requests
