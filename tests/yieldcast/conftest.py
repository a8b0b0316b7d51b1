from pathlib import Path

import pytest

import calendars
from yieldcast import synthetic
from yieldcast.config import Settings
from yieldcast.store import Store

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
