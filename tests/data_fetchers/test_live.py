"""The live services, one small request each: what no test server can prove. Off unless YIELDCAST_LIVE=1.

    YIELDCAST_LIVE=1 .venv/bin/python -m pytest tests/data_fetchers/test_live.py

The Climate Data Store's tests need a key in CDSAPI_URL and CDSAPI_KEY, or in the file that LIVE_CDSAPI_RC
names (the other tests hide yours).
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from data_fetchers.engine.cache import RequestCache
from data_fetchers.fetching import doctor
from data_fetchers.fetching.fetch import fetch
from data_fetchers.fetching.order import FetchOrder
from data_fetchers.ibge import places
from data_fetchers.ibge.source import Ibge
from yieldcast.data.store import Store

pytestmark = pytest.mark.skipif(os.environ.get("YIELDCAST_LIVE") != "1", reason="YIELDCAST_LIVE is not 1")
STATE = ("DF",)  # one municipality: every request is as small as it can be
KEY = {name: os.environ.get(name) for name in ("CDSAPI_URL", "CDSAPI_KEY", "LIVE_CDSAPI_RC")}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the real places of the Distrito Federal."""
    folder = tmp_path_factory.mktemp("live")
    report = fetch(FetchOrder(("places",), states=STATE), folder)
    assert report.written == ["places"], report
    return folder


@pytest.fixture
def cds_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner's own key, or a skip."""
    if KEY["LIVE_CDSAPI_RC"]:
        monkeypatch.setenv("CDSAPI_RC", KEY["LIVE_CDSAPI_RC"])
    elif KEY["CDSAPI_URL"] and KEY["CDSAPI_KEY"]:
        monkeypatch.setenv("CDSAPI_URL", KEY["CDSAPI_URL"])
        monkeypatch.setenv("CDSAPI_KEY", KEY["CDSAPI_KEY"])
    else:
        pytest.skip("no key of the Climate Data Store")


def _written(store: Path, order: FetchOrder, target: str) -> Store:
    report = fetch(order, store)
    assert target in report.written, [*report.missing, *report.notes]
    return Store.open(store)


def test_places(store: Path) -> None:
    static = Store.open(store).static
    assert static["code"].values.tolist() == ["5300108"]
    assert -16.1 < static["latitude_deg"].values[0] < -15.5
    counts = places.municipality_counts(RequestCache(store / "parts" / "ibge"), Ibge())
    assert sum(counts.values()) >= 5571


def test_yields(store: Path) -> None:
    opened = _written(
        store, FetchOrder(("yields",), years=(2020,), crops=("soybean", "corn"), states=STATE), "yields"
    )
    # PAM 2020, Distrito Federal: soybean above 3 t/ha on tens of thousands of hectares
    soybean = opened.yields.sel(crop="soybean", harvest_year=2020, municipality=5300108)
    assert 2500 < float(soybean["yield_kg_ha"]) < 4500
    assert float(soybean["area_harvested_ha"]) > 10_000


def _plausible_days(opened: Store) -> None:
    """Daily weather of Brasilia: its radiation, dew point and wind, and rain that adds up to the months."""
    days = opened.daily.sel(time="2020").isel(unit=0)
    assert 15 < float(days["radiation_MJ_m2"].mean()) < 25
    assert 8 < float(days["dewpoint_degC"].mean()) < 20
    assert 0.5 < float(days["wind_m_s"].mean()) < 5
    months = float(opened.weather["precipitation_mm"].sel(time="2020").sum())
    assert float(days["precipitation_mm"].sum()) == pytest.approx(months, rel=0.05)


def test_weather_without_a_key(store: Path) -> None:
    order = FetchOrder(
        ("weather",), years=(2020,), states=STATE, weather="nasa-power", replace=True, daily=True
    )
    _plausible_days(_written(store, order, "weather-daily"))
    weather = Store.open(store).weather
    assert weather.sizes["time"] == 12
    assert 23 < float(weather["tmax_degC"].mean()) < 33
    assert 900 < float(weather["precipitation_mm"].sum()) < 2500


@pytest.mark.parametrize(("generation", "resolution"), [("2017", "5km"), ("2.0", "250m")])
def test_soil(store: Path, generation: str, resolution: str) -> None:
    order = FetchOrder(("soil",), states=STATE, soil=generation, soil_resolution=resolution)
    static = _written(store, order, "soil").static
    texture = sum(static[name] for name in ("clay_pct", "sand_pct", "silt_pct"))
    np.testing.assert_allclose(texture.values, 100, atol=3)


def test_surveys(store: Path) -> None:
    _written(store, FetchOrder(("surveys",), states=STATE), "surveys")
    assert "soybean" in (store / "surveys.csv").read_text(encoding="utf-8")


def test_era5(store: Path, cds_key: None) -> None:
    order = FetchOrder(("weather",), years=(2020,), states=STATE, replace=True, daily=True)
    _plausible_days(_written(store, order, "weather-daily"))
    weather = Store.open(store).weather
    assert 23 < float(weather["tmax_degC"].mean()) < 33
    assert 900 < float(weather["precipitation_mm"].sum()) < 2500


def test_seasonal(store: Path, cds_key: None) -> None:
    order = FetchOrder(("seasonal",), states=STATE, starts=(np.datetime64("2024-11"),))
    assert _written(store, order, "seasonal").seasonal.sizes["member"] == 51


def test_doctor_finds_every_service(cds_key: None) -> None:
    failed = [finding for finding in doctor.examine(None) if finding.state == "failed"]
    assert not failed
