"""One layout for gridded netCDF of different times and services: one version of each value, longitudes from
-180 to 180.
"""

from __future__ import annotations

import numpy as np
import xarray as xr


def one_version(ds: xr.Dataset, time: str) -> xr.Dataset:
    """Final values of ERA5, and preliminary ones where there is no final value.

    Args:
        ds: with the dim ``expver`` (the layout of the CDS before late 2024): 1 is final, 5 preliminary.
        time: its dim of time.

    Returns:
        the dataset without that dim, and with ``expver`` as text along `time`.
    """
    versions = sorted(ds["expver"].values.tolist(), key=int)  # 1 (final) before 5 (preliminary)
    layers = [ds.sel(expver=v, drop=True) for v in versions]
    fields = [name for name, array in ds.data_vars.items() if "expver" in array.dims]
    merged = layers[0]
    text = np.full(ds.sizes[time], f"{int(versions[0]):04d}")
    for version, layer in zip(versions[1:], layers[1:], strict=True):
        empty = np.ones(len(text), bool)
        for name in fields:
            others = [d for d in merged[name].dims if d != time]
            empty &= merged[name].isnull().all(others).values
        text[empty] = f"{int(version):04d}"
        merged = merged.combine_first(layer)
    return merged.assign_coords(expver=(time, text))


def rising_longitudes(ds: xr.Dataset) -> xr.Dataset:
    """The dataset with ``longitude`` rising within -180 to 180, from any other way to count it."""
    # Rounded before, so that 180.00000000001 and 179.99999999999 do not end up 360 degrees apart; and
    # after, because 285.1 - 360 is not exactly -74.9.
    longitude = np.round((np.round(ds["longitude"].values, 6) + 180.0) % 360.0 - 180.0, 6)
    ds = ds.assign_coords(longitude=("longitude", longitude, ds["longitude"].attrs))
    return ds.isel(longitude=np.argsort(longitude)) if (np.diff(longitude) <= 0).any() else ds
