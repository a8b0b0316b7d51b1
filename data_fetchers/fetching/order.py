"""An order, the store and day that it is for, and what a plan and a table made of it hold."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr

from data_fetchers.engine.cache import Request, RequestCache
from data_fetchers.engine.downloader import DownloadPlan
from data_fetchers.engine.source import Note, Source
from yieldcast.data.store import Store
from yieldcast.errors import ConfigError, SchemaError

WeatherSource = Literal["era5", "era5-land", "nasa-power"]
Where = Literal["centroid", "polygon"]
TARGETS = ("places", "yields", "weather", "soil", "seasonal", "surveys")
DEFAULT_CROPS = ("corn", "cotton", "rice", "soybean", "sugarcane")  # those with a calendar


@dataclass(frozen=True)
class FetchOrder:
    """What the user asked for.

    Args:
        targets: of `TARGETS`; places come first by themselves where a store has none.
        years: calendar years of weather and harvest years of yields.
        crops: English names, see `ibge.CROPS`.
        states: abbreviations (UF); None for all.
        weather: where weather comes from.
        where: values at the centroid (the paper) or averaged over the polygon, for weather and soil.
        soil: generation of SoilGrids.
        soil_resolution: of its grid.
        soil_folder: of downloaded files in place of the service; empty for the service.
        starts: start months of seasonal forecasts (datetime64[M]).
        patience_s: longest wait for one job at the CDS (s).
        partial: write tables although parts are missing.
        replace: let a table of another origin be replaced.
    """

    targets: tuple[str, ...]
    years: tuple[int, ...] = ()
    crops: tuple[str, ...] = DEFAULT_CROPS
    states: tuple[str, ...] | None = None
    weather: WeatherSource = "era5"
    where: Where = "centroid"
    soil: Literal["2017", "2.0"] = "2017"
    soil_resolution: Literal["250m", "1km", "5km"] = "250m"
    soil_folder: str = ""
    starts: tuple[np.datetime64, ...] = ()
    patience_s: float = 6 * 3600.0
    partial: bool = False
    replace: bool = False


@dataclass
class FetchContext:
    """An order in its store on a day.

    Args:
        order: what was asked.
        store: the folder.
        today: decides what is published and what is preliminary.
    """

    order: FetchOrder
    store: Path
    today: dt.date

    @property
    def folder(self) -> Path:
        """Where the parts lie."""
        return self.store / "parts"

    def shelf(self, source: Source) -> RequestCache:
        """The parts of one source."""
        return RequestCache(self.folder / source.name)

    def opened(self) -> Store | None:
        """The store as it is now, None where there is none."""
        return Store.open(self.store, damaged=True) if (self.store / "store.json").exists() else None

    def existing(self, table: str) -> xr.Dataset | None:
        """A table of the store, None where it is not there or so damaged that it must be made again."""
        opened = self.opened()
        if opened is None or table not in opened:
            return None
        with suppress(SchemaError):
            found: xr.Dataset = getattr(opened, table)
            return found
        return None

    def places(self) -> xr.Dataset:
        """All places of the store."""
        static = self.existing("static")
        if static is None:
            raise ConfigError(f"no places at {self.store}", "Run `yieldcast fetch places` first.")
        return static

    def static(self) -> xr.Dataset:
        """Places (and soil) of the asked states."""
        static = self.places()
        if self.order.states is None:
            return static
        absent = sorted(set(self.order.states) - set(static["state"].values.tolist()))
        if absent:
            raise ConfigError(
                f"the store has no places of {', '.join(absent)}",
                f"Fetch them: `yieldcast fetch places --states {','.join(absent)}`.",
            )
        return static.isel(municipality=np.isin(static["state"].values, self.order.states))

    def mesh(self) -> dict[str, Any] | None:
        """Boundaries of the municipalities, None where they are not there."""
        opened = self.opened()
        file = opened.mesh if opened is not None else None
        return json.loads(file.read_text(encoding="utf-8")) if file is not None else None

    def mesh_file(self) -> str:
        """Path of the boundaries; empty where they are not there."""
        opened = self.opened()
        return str(opened.mesh) if opened is not None and opened.mesh is not None else ""


@dataclass
class TableBuilt:
    """A table made from parts, and what the store should say of it.

    Args:
        tables: of the store, by name.
        about: source, licence, attribution and settings, by target.
        notes: what a reader should know.
        mesh: GeoJSON text, for places.
        surveys: CSV text, for surveys.
    """

    tables: dict[str, xr.Dataset]
    about: dict[str, Any]
    notes: list[Note] = field(default_factory=list)
    mesh: str | None = None
    surveys: str | None = None


@dataclass
class TablePlan:
    """Parts of one target and the function that makes its table from them."""

    target: str
    source: Source
    parts: list[Request]
    build: Callable[[], TableBuilt]
    notes: list[Note] = field(default_factory=list)

    @property
    def plan(self) -> DownloadPlan:
        """For `loop.fetch_requests`."""
        return self.source, self.parts
