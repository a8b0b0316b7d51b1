"""GDAL without long pauses, and files at addresses that it has not cached."""

from __future__ import annotations

from itertools import count

import pytest
from stac_world import StacWorld

from data_fetchers.engine import gdal
from data_fetchers.stac import collections
from data_fetchers.stac.collections import Catalogue

_WORLDS = count()


@pytest.fixture(autouse=True)
def _brief(monkeypatch):
    monkeypatch.setitem(gdal.SETTINGS, "GDAL_HTTP_MAX_RETRY", 1)
    monkeypatch.setitem(gdal.SETTINGS, "GDAL_HTTP_RETRY_DELAY", 0.01)
    monkeypatch.setitem(gdal.SETTINGS, "GDAL_HTTP_TIMEOUT", 5)


@pytest.fixture
def world(tmp_path):
    """A folder whose files have names of their own: `world.file` puts a number before them."""
    made = StacWorld(tmp_path / "served")
    number, file = next(_WORLDS), made.file
    made.file = lambda name, *args, **kwargs: file(f"w{number}-{name}", *args, **kwargs)
    return made


@pytest.fixture
def local(stac_server, monkeypatch):
    """The name of a catalogue in the table that is the server."""
    table = {**collections.CATALOGUES, "local": Catalogue(stac_server.url)}
    monkeypatch.setattr(collections, "CATALOGUES", table)
    return "local"
