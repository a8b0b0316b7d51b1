import fcntl
import os
import shutil
from pathlib import Path

import pytest
from report_pages import ARGUMENTS

import calendars
from yieldcast.config import FORECAST_SETTINGS, Settings
from yieldcast.data import synthetic
from yieldcast.data.store import Store

BRAZIL = Path(__file__).parents[3] / "shared" / "brazil"


@pytest.fixture(scope="session")
def brazil_files():
    if not BRAZIL.is_dir():
        pytest.skip("the real data is not beside this checkout")
    return BRAZIL


@pytest.fixture(scope="session")
def small():
    """Tables of a small synthetic country."""
    return synthetic.country(seed=3, municipalities=24, first_harvest_year=2011, harvest_years=6)


@pytest.fixture(scope="session")
def small_store(small, tmp_path_factory):
    return Store.write(tmp_path_factory.mktemp("small"), small, {})


@pytest.fixture(scope="session")
def calendar():
    return calendars.brazil()


@pytest.fixture(scope="session")
def tiny_settings():
    """A network that trains in seconds: for what training does, not for how well."""
    return Settings.model_validate(
        {
            "network": {"lstm_units": [4], "static_units": [4], "head_units": [4]},
            "training": {"max_epochs": 4, "patience": 2, "batch_size": 32},
        }
    )


@pytest.fixture(scope="session")
def forecast_settings():
    """What forecasts are made with, at the size of a test."""
    small = {"lstm_units": (4,), "static_units": (4,), "head_units": (4,)}
    return FORECAST_SETTINGS.model_copy(
        update={
            "network": FORECAST_SETTINGS.network.model_copy(update=small),
            "training": FORECAST_SETTINGS.training.model_copy(update={"max_epochs": 3, "batch_size": 32}),
        }
    )


@pytest.fixture(scope="session")
def forecast_store(tmp_path_factory):
    """A small synthetic country whose yields, of 2005 to 2016, begin years before those trained on."""
    tables = synthetic.country(seed=5, municipalities=24, first_harvest_year=2005, harvest_years=12)
    return Store.write(tmp_path_factory.mktemp("longer"), tables, {})


@pytest.fixture(scope="session")
def forecast_run(forecast_store, forecast_settings, tmp_path_factory):
    """Six members on the harvest years 2011 to 2013, two for each year left out; treat it as read-only.

    The first of several test processes trains it, the others wait and open it.
    """
    from yieldcast.training.run_directory import Run

    here = tmp_path_factory.getbasetemp()
    shared = here.parent if "PYTEST_XDIST_WORKER" in os.environ else here
    out = shared / "forecast-run"
    with (shared / "forecast-run.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (shared / "forecast-run.whole").exists():
            return Run.open(out)
        from yieldcast.training.pipeline import train_run

        run = train_run(forecast_store, "soybean", range(2011, 2014), range(1, 7), out, forecast_settings)
        (shared / "forecast-run.whole").touch()
        return run


@pytest.fixture(scope="session")
def browser():
    """Chromium; without it these tests are skipped, unless YIELDCAST_CHROMIUM names one."""
    named = os.environ.get("YIELDCAST_CHROMIUM")
    names = [named] if named else ["chromium", "chromium-browser", "google-chrome"]
    found = next((path for name in names if (path := shutil.which(name))), None)
    if named and found is None:
        pytest.fail(f"YIELDCAST_CHROMIUM names {named}, which is not installed")
    if found is None:
        pytest.skip("needs a Chromium: install chromium, or name one in YIELDCAST_CHROMIUM")
    if not named:
        pytest.importorskip("playwright.sync_api", reason="needs the Python package playwright")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=found, args=list(ARGUMENTS))
        yield chromium
        chromium.close()
