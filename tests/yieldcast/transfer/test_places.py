import numpy as np
import pytest
import xarray as xr

from yieldcast.data import synthetic
from yieldcast.data.daily import daily_table
from yieldcast.data.store import Store
from yieldcast.errors import ConfigError, SchemaError
from yieldcast.transfer import places


def test_squares_by_hand():
    latitude, longitude = np.array([-0.1, 0.1, 0.9, 1.0]), np.array([10.2, 10.2, 10.9, 10.9])
    found = places.square(latitude, longitude, 1.0)
    assert found[1] == found[2]
    assert len(set(found.tolist())) == 3  # the equator is a border, and so is 1 degree
    assert len(set(places.square(latitude, longitude, 4.0).tolist())) == 2
    with pytest.raises(ConfigError, match="more than 0"):
        places.square(latitude, longitude, 0.0)


def test_places_with_the_same_weather_share_a_series_and_a_block(small, tmp_path):
    weather = small.weather.copy(deep=True)
    for name in weather.data_vars:
        weather[name].values[5] = weather[name].values[3]
    store = Store.write(tmp_path, small._replace(weather=weather), {})
    codes = small.static["municipality"].values
    series = places.weather_series(store, codes)
    assert series[5] == series[3]
    assert len(np.unique(series)) == len(codes) - 1
    where = small.static["latitude_deg"].values, small.static["longitude_deg"].values
    block = places.blocks(*where, series, 0.01)
    assert block[5] == block[3]
    assert len(np.unique(block)) == len(codes) - 1


def test_places_of_one_daily_unit_share_a_series(small, tmp_path):
    codes = small.static["municipality"].values
    unit = np.arange(len(codes)) // 2
    unit[0] = -1
    days = np.arange(np.datetime64("2015-01-01"), np.datetime64("2015-01-04"))
    values = np.full((len(codes) // 2, 3), 20.0, dtype=np.float32)
    fields = {"tmax_degC": values, "tmin_degC": values - 5, "precipitation_mm": values}
    daily = daily_table(fields, days, np.arange(1, len(values) + 1, dtype=np.int32), codes, unit)
    store = Store.write(tmp_path, small, {}, optional={"daily": daily})
    series = places.weather_series(store, codes)
    assert series[2] == series[3] != series[4]
    assert series[0] != series[1]


def test_climate_zones_are_named_from_the_coldest():
    place, month = (
        np.arange(6),
        np.arange("2010-01", "2012-01", dtype="datetime64[M]").astype("datetime64[ns]"),
    )
    temperature = np.array([10, 10.2, 20, 20.2, 20.1, 20.1])
    rain = np.array([50, 51, 50, 51, 200, 201]) / 1.0
    grid = np.ones((6, 24))
    table = xr.Dataset(
        {
            "tmax_degC": (("municipality", "time"), (temperature[:, None] + 5) * grid),
            "tmin_degC": (("municipality", "time"), (temperature[:, None] - 5) * grid),
            "precipitation_mm": (("municipality", "time"), rain[:, None] * grid),
        },
        {"municipality": place, "time": month},
    )
    found = places.climate_zones(table, place, 3).tolist()
    assert found[0] == found[1] == "Z1 (10.1 degC, 606 mm)"
    assert found[2] == found[3] != found[4] == found[5]
    with pytest.raises(SchemaError, match="different climates"):
        places.climate_zones(table, place, 7)


def test_domains_need_their_labels():
    tables = synthetic.country(seed=2, municipalities=8, harvest_years=2)
    static = tables.static.copy()
    static["region"] = ("municipality", np.array([""] * 8))
    with pytest.raises(SchemaError, match="8 places without one"):
        places.domains("region", static, tables.weather, np.arange(8))
    with pytest.raises(SchemaError, match="5 blocks or more, received 3"):
        places.domains("block", static, tables.weather, np.arange(8) % 3)
    folds = places.domains("block", static, tables.weather, np.arange(8) // 2 + np.arange(8) % 2 * 4)
    assert set(folds) == {"B1", "B2", "B3", "B4", "B5"}
