"""Files and places of the SEAS5 test server."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

SERVERS = Path(__file__).parents[1] / "servers"


@pytest.fixture(scope="module")
def files():
    """The stand-in's module of files, for tests that need no server."""
    sys.path.insert(0, str(SERVERS))
    try:
        yield importlib.import_module("seas5_files")
    finally:
        sys.path.remove(str(SERVERS))


@pytest.fixture(scope="module")
def static(files):
    """The stand-in country's places."""
    rows = importlib.import_module("country").municipalities()
    return xr.Dataset(
        {
            "latitude_deg": ("municipality", np.array([r["lat"] for r in rows])),
            "longitude_deg": ("municipality", np.array([r["lon"] for r in rows])),
        },
        coords={"municipality": np.array([r["id"] for r in rows], np.int32)},
    )
