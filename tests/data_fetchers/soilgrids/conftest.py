"""GDAL without long pauses, and addresses that it has not cached."""

from __future__ import annotations

from itertools import count

import numpy as np
import pytest
from soilgrids_world import (
    write_tiff,
)

from data_fetchers.engine import gdal

_BASES = count()


@pytest.fixture(autouse=True)
def _brief(monkeypatch):
    monkeypatch.setitem(gdal.SETTINGS, "GDAL_HTTP_MAX_RETRY", 1)
    monkeypatch.setitem(gdal.SETTINGS, "GDAL_HTTP_RETRY_DELAY", 0.01)
    monkeypatch.setitem(gdal.SETTINGS, "GDAL_HTTP_TIMEOUT", 5)


@pytest.fixture
def base(soil_server):
    """An address that GDAL has not seen in this process."""
    return f"{soil_server.url}/{next(_BASES)}"


@pytest.fixture(scope="module")
def grid_file(tmp_path_factory):
    """A folder with one flat file of random numbers, 1 degree around 12 S 57 W."""
    folder = tmp_path_factory.mktemp("grid")
    numbers = np.random.default_rng(5).integers(0, 200, (480, 480)).astype("int16")
    write_tiff(folder / "CECSOL_M_sl1_250m_ll.tif", numbers)
    return folder, numbers
