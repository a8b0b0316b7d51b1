"""What places have in common: blocks, weather series, climate zones; and the domains that are held out."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from yieldcast.data.store import Store
from yieldcast.errors import ConfigError, SchemaError
from yieldcast.variables import WEATHER

HoldOut = Literal["state", "region", "climate-zone", "block"]
HOLD_OUTS: tuple[HoldOut, ...] = get_args(HoldOut)
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
ZONES, BLOCK_FOLDS = 5, 5  # climate zones, and groups of blocks that are held out together (our choice)


def square(latitude_deg: Floats, longitude_deg: Floats, side_deg: float) -> Ints:
    """(place,) number of the square of a regular grid in which each place lies.

    Args:
        latitude_deg, longitude_deg: (place,) WGS 84.
        side_deg: side of a square, above 0.

    Raises:
        ConfigError: a side of 0 or less.
    """
    if not side_deg > 0:
        raise ConfigError(f"expected blocks of more than 0 degrees, received {side_deg:g}", "For example 1.")
    row, column = (np.floor(values / side_deg).astype(np.int64) for values in (latitude_deg, longitude_deg))
    return np.asarray(row * 1_000_000 + column)


def weather_series(store: Store, municipality: NDArray[np.int32]) -> Ints:
    """(place,) number of the weather series of each place: equal where two places share one.

    Places share a series where their monthly weather is equal in every value, or where they lie in the same
    unit of the daily weather.

    Args:
        store: tables.
        municipality: (place,) codes.
    """
    weather = store.weather.reindex(municipality=municipality)
    values = np.concatenate([weather[name].values for name in WEATHER], axis=1)
    # a place without any value shares its series with nobody
    bare = np.isnan(values).all(axis=1)
    mark = np.where(bare, np.arange(len(values)) + 1, 0)
    series = _numbers(np.column_stack([np.nan_to_num(values, nan=-9999.0), mark]))
    if "daily" not in store:
        return series
    unit = store.daily["municipality_unit"].reindex(municipality=municipality, fill_value=-1)
    own = unit.values.astype(np.int64)
    own = np.where(own >= 0, own, own.max(initial=0) + 1 + np.arange(len(own)))
    return _joined(series, own)


def _numbers(values: Floats) -> Ints:
    """(row,) equal numbers for equal rows."""
    return np.unique(values, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def _joined(a: Ints, b: Ints) -> Ints:
    """(place,) groups of places that are linked by equal numbers in `a` or in `b`."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    a, b = _numbers(a[:, None].astype(float)), _numbers(b[:, None].astype(float))
    size = int(a.max()) + 1
    links = coo_matrix((np.ones(len(a)), (a, size + b)), shape=(size + int(b.max()) + 1,) * 2)
    group = connected_components(links, directed=False)[1]
    return np.asarray(group[a], dtype=np.int64)


def blocks(latitude_deg: Floats, longitude_deg: Floats, series: Ints, side_deg: float) -> Ints:
    """(place,) block of each place: the square of the mean position of the places of its weather series.

    All places of a series are thus in one block.

    Args:
        latitude_deg, longitude_deg: (place,).
        series: (place,) from `weather_series`.
        side_deg: side of the squares.
    """
    _, group = np.unique(series, return_inverse=True)
    count = np.bincount(group)
    latitude, longitude = (np.bincount(group, values) / count for values in (latitude_deg, longitude_deg))
    return np.asarray(square(latitude, longitude, side_deg)[group])


def climate_zones(
    weather: xr.Dataset, municipality: NDArray[np.int32], zones: int = ZONES
) -> NDArray[np.str_]:
    """(place,) climate zone: k-means of long-term temperature and rain, each in standard deviations.

    Zones are numbered from the coldest, and named with their mean temperature and yearly rain.

    Args:
        weather: monthly table of the store.
        municipality: (place,) codes.
        zones: how many, 2 or more.

    Raises:
        SchemaError: fewer places with different climates than zones.
    """
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    table = weather.reindex(municipality=municipality).mean("time")
    temperature = ((table["tmax_degC"] + table["tmin_degC"]) / 2).values.astype(np.float64)
    rain = 12 * table["precipitation_mm"].values.astype(np.float64)
    climate = np.column_stack([temperature, rain])
    if len(np.unique(climate, axis=0)) < zones:
        raise SchemaError(
            f"expected {zones} places or more with different climates, received "
            f"{len(np.unique(climate, axis=0))}",
            "Use fewer zones, or another --hold-out.",
        )
    spread = climate.std(axis=0)
    scaled = (climate - climate.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    with threadpool_limits(1):
        zone = KMeans(zones, n_init=10, random_state=0).fit_predict(scaled)
    means = np.array([climate[zone == k].mean(axis=0) for k in range(zones)])
    number = np.argsort(np.argsort(means[:, 0], kind="stable"), kind="stable") + 1
    names = [f"Z{number[k]} ({means[k, 0]:.1f} degC, {means[k, 1]:.0f} mm)" for k in range(zones)]
    return np.asarray(np.array(names)[zone])


def domains(
    hold_out: HoldOut, static: xr.Dataset, weather: xr.Dataset, block: Ints, zones: int = ZONES
) -> NDArray[np.str_]:
    """(place,) name of the domain that each place is held out with.

    Args:
        hold_out: what is held out together; "block" holds out groups of blocks, drawn at random.
        static: places, one row each.
        weather: monthly table of the store.
        block: (place,) from `blocks`.
        zones: number of climate zones.

    Raises:
        SchemaError: the places have no region, or there are too few climates or blocks.
    """
    if hold_out == "state":
        return np.asarray(static["state"].values.astype(str))
    if hold_out == "climate-zone":
        return climate_zones(weather, static["municipality"].values, zones)
    if hold_out == "region":
        names = static["region"].values.astype(str)
        if (names == "").any():
            raise SchemaError(
                f"expected a region for every place, received {int((names == '').sum())} places without one",
                "Use --hold-out state, climate-zone or block.",
            )
        return np.asarray(names)
    return block_groups(block)


def block_groups(block: Ints) -> NDArray[np.str_]:
    """(place,) name of one of five groups of blocks, drawn at random, B1 to B5.

    Args:
        block: (place,) numbers.

    Raises:
        SchemaError: fewer than five blocks.
    """
    numbers, of_place = np.unique(block, return_inverse=True)
    if len(numbers) < BLOCK_FOLDS:
        raise SchemaError(
            f"expected {BLOCK_FOLDS} blocks or more, received {len(numbers)}",
            "Use smaller blocks with --block-degrees.",
        )
    fold = np.random.default_rng(1).permutation(len(numbers)) % BLOCK_FOLDS + 1
    return np.array([f"B{k}" for k in fold])[of_place]
