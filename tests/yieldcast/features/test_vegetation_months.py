"""Monthly NDVI and EVI: by hand, as of their day, and as inputs of a network."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

import calendars
from yieldcast.config import DataSettings, ForecastSettings, parse_settings
from yieldcast.data import synthetic
from yieldcast.data.store import Store
from yieldcast.data.vegetation import vegetation_table
from yieldcast.errors import ConfigError, MissingDataError
from yieldcast.features.daily_months import network_tables
from yieldcast.features.source import build_samples
from yieldcast.features.vegetation_months import with_vegetation_months
from yieldcast.publication import Publication

FIVE_DAYS = Publication(0, 5)


def observations(codes, months, seed=0):
    """Two observations of each place and month, on days 10 and 25."""
    rng, rows = np.random.default_rng(seed), []
    for code in codes:
        for month in months.astype("datetime64[M]"):
            for day in (9, 24):
                date = month.astype("datetime64[D]") + day
                rows.append((code, date, True, 0.5 + 0.3 * rng.random(), 0.3 + 0.2 * rng.random()))
    frame = pd.DataFrame(rows, columns=["municipality", "date", "clear", "ndvi", "evi"])
    return frame.astype({"date": "datetime64[s]"})


@pytest.fixture(scope="module")
def tables():
    return synthetic.country(seed=2, municipalities=6, first_harvest_year=2001, harvest_years=10)


@pytest.fixture(scope="module")
def frame(tables):
    weather = tables.weather
    return observations(weather["municipality"].values, weather["time"].values)


@pytest.fixture(scope="module")
def store(tables, frame, tmp_path_factory):
    optional = {"vegetation": vegetation_table(frame)}
    return Store.write(tmp_path_factory.mktemp("store"), tables, {}, optional=optional)


def months_of(rows, tables, name="ndvi", publication=FIVE_DAYS):
    """Values of the first place by month."""
    frame = pd.DataFrame(rows, columns=["date", "clear", "ndvi", "public_from"])
    frame = frame.assign(municipality=tables.weather["municipality"].values[0])
    for column in ("date", "public_from"):
        frame[column] = pd.to_datetime(frame[column])
    made = with_vegetation_months(tables.weather, vegetation_table(frame), [name], publication)
    return made[name].isel(municipality=0).to_series()


def test_months_by_hand(tables):
    rows = [
        ("2002-03-05", True, 0.4, "2002-03-06"), ("2002-03-20", True, 0.6, "2002-03-25"),
        ("2002-03-25", False, 0.1, "2002-03-26"), ("2002-03-26", True, 0.995, "2002-03-27"),
        ("2002-03-31", True, 0.9, "2002-04-07"),  # later than the weather of March, 6 April
        ("2003-03-05", True, 0.8, "2003-04-06"), ("2005-04-01", True, 0.2, "2005-04-02"),
    ]  # fmt: skip
    found = months_of(rows, tables)
    assert found["2002-03-01"] == pytest.approx(0.5)
    assert found["2003-03-01"] == pytest.approx(0.8)
    assert found["2004-03-01"] == found["2005-03-01"] == pytest.approx(0.65)  # mean of the earlier years
    assert np.isnan(found["2001-03-01"])
    assert np.isnan(found["2004-04-01"])
    assert found["2006-04-01"] == pytest.approx(0.2)


def test_a_later_observation_moves_no_month_that_was_public(tables, frame):
    """As-of law: other values in place of all that came out after a day."""
    day = np.datetime64("2006-01-06")  # the first day of December's weather
    public = frame["date"] + pd.Timedelta(days=1)
    later = (public > day).to_numpy()
    assert 0 < later.sum() < len(later)
    changed = frame.assign(ndvi=np.where(later, 0.05, frame["ndvi"]))
    one, other = (
        with_vegetation_months(tables.weather, vegetation_table(of), ["ndvi"], FIVE_DAYS)["ndvi"]
        for of in (frame, changed)
    )
    was = {"time": slice(None, "2005-12-01")}
    np.testing.assert_array_equal(one.sel(was), other.sel(was))
    assert not np.array_equal(one, other, equal_nan=True)


def test_samples_as_of_a_day_do_not_depend_on_later_vegetation(store, tables, frame, tmp_path):
    settings = DataSettings(
        weather_delay_months=0,
        weather_delay_days=5,
        vegetation_inputs=("evi", "ndvi"),
        weather_inputs="anomalies",
    )
    day, calendar = dt.date(2009, 1, 6), calendars.brazil()
    later = (frame["date"] + pd.Timedelta(days=1) > pd.Timestamp(day)).to_numpy()
    changed = vegetation_table(
        frame.assign(ndvi=np.where(later, 0.1, frame["ndvi"]), evi=np.where(later, 0.1, frame["evi"]))
    )
    other = Store.write(tmp_path / "other", tables, {}, optional={"vegetation": changed})
    one, two, hindsight = (
        build_samples(
            network_tables(of, settings), calendar, "soybean", [2009], settings, as_of=on, climate_to=2008
        )[0]
        for of, on in ((store, day), (other, day), (other, None))
    )
    assert one.dynamic_names[-2:] == ("anomaly_evi", "anomaly_ndvi")
    np.testing.assert_array_equal(one.dynamic, two.dynamic)
    assert not np.array_equal(one.dynamic, hindsight.dynamic)
    plain = DataSettings()
    assert network_tables(store, plain).weather is store.weather


def test_the_setting_is_written_only_where_it_is_chosen():
    assert "vegetation_inputs" not in DataSettings().model_dump()
    settings = parse_settings({"data": {"vegetation_inputs": ["ndvi"]}}, "a.toml")
    assert settings.model_dump(mode="json")["data"]["vegetation_inputs"] == ["ndvi"]
    with pytest.raises(ConfigError, match="each input once"):
        parse_settings({"data": {"vegetation_inputs": ["ndvi", "ndvi"]}}, "a.toml")
    with pytest.raises(ConfigError, match="vegetation_inputs"):
        parse_settings({"data": {"vegetation_inputs": ["ndwi"]}}, "a.toml")


def test_what_is_missing_is_said(tables, frame, tmp_path):
    chosen = DataSettings(vegetation_inputs=("ndvi",))
    bare = Store.write(tmp_path / "bare", tables, {})
    with pytest.raises(MissingDataError, match="no observations of vegetation"):
        network_tables(bare, chosen)
    late = vegetation_table(frame.assign(public_from=frame["date"] + pd.Timedelta(days=200)))
    with pytest.raises(MissingDataError, match="no clear observation of ndvi that was public"):
        with_vegetation_months(tables.weather, late, ["ndvi"], FIVE_DAYS)


@pytest.mark.slow
def test_a_network_trains_on_it_and_forecasts(store, tables, frame, forecast_settings, tmp_path):
    """Public vegetation reaches a forecast; what comes out later does not."""
    from yieldcast.forecasting.forecast import forecast
    from yieldcast.training.pipeline import train_run

    inputs = forecast_settings.data.model_copy(update={"vegetation_inputs": ("ndvi",)})
    method = ForecastSettings(method="network")
    settings = forecast_settings.model_copy(update={"data": inputs, "forecast": method})
    run = train_run(store, "soybean", range(2005, 2008), [1, 2, 3], tmp_path / "run", settings)
    assert run.identity.dynamic_names[-1] == "anomaly_ndvi"
    day = dt.date(2010, 1, 20)
    made = forecast(run, store, 2010, day)["yield_kg_ha"].values
    assert np.isfinite(made).all()
    for name, of, same in (
        ("later", frame["date"] >= pd.Timestamp(2010, 1, 1), True),
        ("public", frame["date"].between("2009-11-01", "2009-11-30"), False),
    ):
        table = vegetation_table(frame.assign(ndvi=np.where(of, 0.1, frame["ndvi"])))
        changed = Store.write(tmp_path / name, tables, {}, optional={"vegetation": table})
        assert np.array_equal(forecast(run, changed, 2010, day)["yield_kg_ha"].values, made) == same
