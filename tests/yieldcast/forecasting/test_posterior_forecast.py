"""A forecast by the method "posterior" from a store on disk: estimates and daily weather in, parts out."""

import datetime as dt
import json

import numpy as np
import pandas as pd
import pytest

from yieldcast.config import ForecastSettings
from yieldcast.data import synthetic
from yieldcast.data.daily import daily_table
from yieldcast.data.estimates import estimates_table
from yieldcast.data.store import Store
from yieldcast.forecasting.evidence import days_of_months
from yieldcast.forecasting.forecast import ForecastPlan, forecast
from yieldcast.forecasting.parts import part_variable
from yieldcast.forecasting.table import PARTS, Forecast, read_forecast, write_forecast
from yieldcast.training.pipeline import train_run

pytestmark = pytest.mark.slow  # trains five members and makes eight forecasts with their hindcasts
YEAR, DATE = 2016, dt.date(2016, 3, 15)


def estimates(tables):
    """The final state means of 2010 to 2016, each known from 10 March of its year on."""
    yields = tables.yields["yield_kg_ha"].sel(crop="soybean").groupby(tables.static["state"]).mean()
    rows = [
        {
            "source": "synthetic", "crop": "soybean", "unit": str(state), "harvest_year": year,
            "reference": f"{year}-02", "reference_month": f"{year}-02-01", "public_from": f"{year}-03-10",
            "yield_kg_ha": float(yields.sel(state=state, harvest_year=year)),
        }
        for year in range(2010, 2017)
        for state in yields["state"].values
        if np.isfinite(yields.sel(state=state, harvest_year=year))
    ]  # fmt: skip
    return estimates_table(pd.DataFrame(rows))


def daily(tables):
    """Days made from the monthly weather: a unit per municipality."""
    days = days_of_months(tables.weather)
    codes = tables.weather["municipality"].values
    fields = {name: days[name].values.astype(np.float32) for name in days.data_vars}
    time = days["time"].values.astype("datetime64[D]")
    return daily_table(fields, time, np.arange(len(codes), dtype=np.int32), codes, np.arange(len(codes)))


@pytest.fixture(scope="module")
def made(tmp_path_factory, forecast_settings):
    """Store with the optional tables, the same without them, and a run."""
    folder = tmp_path_factory.mktemp("posterior")
    tables = synthetic.country(seed=11, municipalities=24, first_harvest_year=2000, harvest_years=17)
    plain = Store.write(folder / "plain", tables, {})
    Store.write(folder / "whole", tables, {})
    whole = Store.update(folder / "whole", {"estimates": estimates(tables), "daily": daily(tables)}, {})
    settings = forecast_settings.model_copy(update={"forecast": ForecastSettings(method="posterior")})
    run = train_run(plain, "soybean", range(2009, 2014), range(1, 6), folder / "run", settings)
    return plain, whole, run


def test_the_forecast_shows_its_parts_and_is_kept_on_disk(made, tmp_path):
    _, whole, run = made
    found = forecast(run, whole, YEAR, DATE)
    assert isinstance(found, Forecast)
    parts = sum(found[f"part_{name}_kg_ha"].values for name in PARTS)
    np.testing.assert_allclose(parts, found["yield_kg_ha"].sel(quantile=0.5).values, atol=0.01)
    assert float(abs(found["part_official_kg_ha"]).max()) > 0
    assert float(abs(found["part_water_so_far_kg_ha"]).max()) > 0
    assert json.loads(found.attrs["calibration"])["method"] == "posterior"
    write_forecast(tmp_path / "f.nc", found)
    again = read_forecast(tmp_path / "f.nc")
    np.testing.assert_array_equal(again["part_network_kg_ha"].values, found["part_network_kg_ha"].values)


def test_estimates_make_states_better_and_days_of_months_change_nothing(made):
    plain, whole, run = made
    truth = plain.yields["yield_kg_ha"].sel(crop="soybean", harvest_year=YEAR)
    errors = []
    for store in (plain, whole):
        found = forecast(run, store, YEAR, DATE)
        errors.append(float(abs(found["yield_mean_kg_ha"] - truth).mean()))
        water = found["part_water_so_far_kg_ha"].values
    assert errors[1] < errors[0]
    before = dt.date(2016, 3, 6)  # before the estimates; both weather tables are known to 29 February
    one, other = (
        forecast(run, store, YEAR, before)["part_water_so_far_kg_ha"].values for store in (plain, whole)
    )
    np.testing.assert_allclose(one, other, atol=1e-3)
    assert np.isfinite(water).all()


def test_fingerprints_hold_what_was_public_only(made):
    plain, whole, run = made
    early, late = (
        ForecastPlan(run, whole, YEAR, day).input_fingerprints for day in (dt.date(2016, 3, 9), DATE)
    )
    assert early["estimates"] != late["estimates"]
    assert early["daily"]
    nothing = ForecastPlan(run, plain, YEAR, DATE).input_fingerprints
    assert nothing["estimates"] == nothing["daily"] == ""


def test_the_response_network_takes_the_place_of_the_dual_path(made, forecast_settings, tmp_path):
    plain, _, run = made
    network = forecast_settings.network.model_copy(update={"form": "response"})
    settings = run.settings.model_copy(update={"network": network})
    other = train_run(plain, "soybean", run.identity.train_years, range(1, 6), tmp_path / "run", settings)
    assert other.run_id() != run.run_id()
    dual, response = (forecast(one, plain, YEAR, DATE) for one in (run, other))
    names = [name for name in map(part_variable, PARTS) if name in dual]
    for name in names:
        same = np.array_equal(dual[name].values, response[name].values)
        assert same or name in ("part_network_kg_ha", "part_calibration_kg_ha")
    parts = sum(response[name].values for name in names)
    np.testing.assert_allclose(parts, response["yield_kg_ha"].sel(quantile=0.5).values, atol=0.01)
    assert not np.array_equal(dual["part_network_kg_ha"].values, response["part_network_kg_ha"].values)
