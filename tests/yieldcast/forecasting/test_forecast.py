"""Whole forecasts: the law that nothing later than `as_of` enters, what the table holds, who is in it."""

import datetime as dt
import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np
import pytest
import xarray as xr
from factories import constant_seasonal, synthetic_seasonal

from yieldcast.cli import app
from yieldcast.data.store import Store, Tables
from yieldcast.errors import ConfigError, LeakageError, MissingDataError, RunError
from yieldcast.forecasting.forecast import ForecastPlan, forecast
from yieldcast.forecasting.predictor import Ensemble
from yieldcast.forecasting.table import check_forecast, read_forecast, write_forecast
from yieldcast.publication import Publication, add_months
from yieldcast.training.run_directory import Run

ERA5T = Publication(weather_months=0, weather_days=5)
# Of the season 2015, September 2014 to September 2015: before sowing in most states, in season, after it.
DATES = (dt.date(2014, 10, 10), dt.date(2015, 2, 20), dt.date(2015, 7, 15))


@pytest.fixture(scope="module")
def members(forecast_run):
    return Ensemble.load(forecast_run)


@pytest.fixture(scope="module")
def run(forecast_run, tmp_path_factory):
    """A copy, into which hindcasts may be written."""
    return copied(forecast_run, tmp_path_factory.mktemp("own"))


def copied(run, folder):
    """The same run in another place of the same name, without hindcasts."""
    shutil.copytree(run.path, folder / run.path.name, ignore=shutil.ignore_patterns("hindcasts"))
    return Run.open(folder / run.path.name)


@pytest.fixture(scope="module")
def forecasts(run, forecast_store, members):
    """Forecasts of 2015 by date."""
    return {date: forecast(run, forecast_store, 2015, date, members=members) for date in DATES}


def stored(folder, store, weather=None, yields=None, static=None):
    """A store of the same tables, some of them changed: functions that write to a copy or give another."""
    tables = []
    for table, change in zip(store.tables, (static, weather, yields), strict=True):
        copy = table.copy(deep=True)
        tables.append(copy if change is None else (change(copy) if callable(change) else change))
    tables = [new if new is not None else old for new, old in zip(tables, store.tables, strict=True)]
    return Store.write(folder, Tables(*tables), {})


def future_changed(folder, store, as_of, seed):
    """The store with every month and every harvest year that was not public on a date replaced by noise."""
    rng = np.random.default_rng(seed)
    months = store.weather["time"].values.astype("datetime64[D]").tolist()
    late = np.array([ERA5T.weather_public(month) > as_of for month in months])
    years = np.array([ERA5T.yields_public(int(y)) > as_of for y in store.yields["harvest_year"].values])
    assert late.any()
    assert years.any()

    def weather(table):
        size = (table.sizes["municipality"], int(late.sum()))
        tmin = rng.uniform(-10, 20, size)
        values = {"tmin_degC": tmin, "tmax_degC": tmin + rng.uniform(0, 20, size),
                  "precipitation_mm": rng.uniform(0, 900, size)}  # fmt: skip
        gone = rng.random(size) < 0.1
        for name, noise in values.items():
            table[name].values[:, late] = np.where(gone, np.nan, noise)
        return table

    def yields(table):
        size = (1, table.sizes["municipality"], int(years.sum()))
        for name in table:
            noise = rng.uniform(1, 9000, size)
            table[name].values[:, :, years] = np.where(rng.random(size) < 0.1, np.nan, noise)
        return table

    return stored(folder, store, weather, yields)


# In season, over everything that is written: tests/yieldcast/operations/test_leak_law.py.
@pytest.mark.parametrize("date", DATES[::2], ids=str)
def test_law_nothing_published_after_as_of_changes_a_forecast(
    forecasts, forecast_run, forecast_store, members, tmp_path, date
):
    other = future_changed(tmp_path / "store", forecast_store, date, seed=1)
    fresh = copied(forecast_run, tmp_path)  # hindcasts are made anew, from the changed tables
    found = forecast(fresh, other, 2015, date, members=members)
    xr.testing.assert_identical(found, forecasts[date])
    assert ForecastPlan(fresh, other, 2015, date, "climatology").input_fingerprints == json.loads(
        forecasts[date].attrs["inputs"]
    )


def test_what_was_public_does_change_a_forecast(forecasts, forecast_run, forecast_store, members, tmp_path):
    # The law's test could pass with forecasts that never change. On 20 February 2015 January is the newest
    # month, 2013 the newest harvest year.
    date = DATES[1]

    def newest_month(table):
        table["precipitation_mm"].loc[{"time": "2015-01-01"}] *= 0.5
        return table

    def newest_year(table):
        table["yield_kg_ha"].loc[{"harvest_year": 2013}] *= 0.8
        return table

    for k, change in enumerate(({"weather": newest_month}, {"yields": newest_year})):
        other = stored(tmp_path / f"store{k}", forecast_store, **change)
        fresh = copied(forecast_run, tmp_path / f"{k}")
        found = forecast(fresh, other, 2015, date, members=members)
        assert (found["yield_kg_ha"] != forecasts[date]["yield_kg_ha"]).any()
        [table] = change
        before, after = (json.loads(one.attrs["inputs"]) for one in (forecasts[date], found))
        assert {name for name in before if before[name] != after[name]} == {table}


def test_law_a_forecast_made_after_the_harvest_never_reads_its_answer(run, forecast_store, members, tmp_path):
    # In December 2016 yields of 2015 are public; a forecast of 2015 sees those to 2014 all the same.
    def answer(table):
        for name in table:
            table[name].loc[{"harvest_year": 2015}] = 1.0
        return table

    date, found = dt.date(2016, 12, 15), []
    for k, change in enumerate((None, answer)):
        store = stored(tmp_path / f"store{k}", forecast_store, yields=change)
        found.append(forecast(copied(run, tmp_path / f"{k}"), store, 2015, date, members=members))
    xr.testing.assert_identical(*found)
    assert found[0].attrs["last_public_harvest_year"] == 2014
    assert (found[0]["observed_share"] == 1).all()


def seasonal_table(store, starts):
    """Two members, 2 and 4 degrees warmer and half as wet in all of their three months."""
    codes = store.weather["municipality"].values
    made = constant_seasonal(synthetic_seasonal(starts, leads=3, members=2), tmax=2, tmin=2, ratio=0.5)
    for name in ("tmax_anomaly_degC", "tmin_anomaly_degC"):
        made[name].values[:, :, 1] += 2
    made = made.drop_vars(["municipality_cell", "municipality"]).assign_coords(municipality=codes)
    made["municipality_cell"] = (("system", "municipality"), np.zeros((1, len(codes)), np.int32))
    return made


def test_law_holds_for_seasonal_forecasts_too(run, forecast_store, members, tmp_path):
    # On 20 February 2015 the start of that month, of the 7th, is out; the one of March is not.
    date, path = DATES[1], tmp_path / "store"
    stored(path, forecast_store)
    table = seasonal_table(forecast_store, ("2015-02", "2015-03"))
    found = []
    for warmer in ((0, 0), (0, 9), (9, 0)):
        ours = table.copy(deep=True)
        ours["tmax_anomaly_degC"].values[:] += np.array(warmer, np.float32)[:, None, None, None]
        store = Store.update(path, {"seasonal": ours}, {})
        found.append(forecast(run, store, 2015, date, "seasonal", members=members))
    one, other_future, other_past = found
    xr.testing.assert_identical(one, other_future)
    assert (one["yield_mean_kg_ha"] != other_past["yield_mean_kg_ha"]).any()
    assert json.loads(one.attrs["inputs"])["seasonal"].startswith("2015-02 ")
    assert one.attrs["inputs"] != other_past.attrs["inputs"]
    assert one.attrs["scenario_years"].endswith("(2 scenarios)")
    assert one.attrs["licence"] == "L"


def test_the_table_says_what_it_is(forecasts, forecast_store, tmp_path):
    found = check_forecast(forecasts[DATES[1]])
    about = found.attrs
    # MS, MT, PR and SP, with 159,764 of 281,550 ha in 2013, end in May 2015: 3 months after February.
    expected = {
        "crop": "soybean", "harvest_year": 2015, "as_of": "2015-02-20", "scenarios": "climatology",
        "members": 6, "lead_months": 3, "train_years": "2011-2013", "last_public_harvest_year": 2013,
        "weather_known_to": "2015-01", "synthetic": 1, "country": "",
    }  # fmt: skip
    assert {name: about[name] for name in expected} == expected
    assert about["title"].startswith("Synthetic forecast")
    years = ", ".join(map(str, range(2004, 2015)))
    assert about["scenario_years"] == f"{years} (11 scenarios)"
    calibration = json.loads(about["calibration"])
    # yields from 2005 on are too few for hindcasts: the residuals of all public years
    assert (calibration["method"], calibration["years"]) == ("posterior", list(range(2005, 2014)))
    write_forecast(tmp_path / "f.nc", found)
    again = read_forecast(tmp_path / "f.nc")
    for name in found.variables:
        np.testing.assert_array_equal(again[name].values, found[name].values)
    assert again.attrs.keys() == about.keys()


def test_the_lead_counts_down_and_the_columns_are_the_public_ones(forecasts, forecast_store):
    leads = [forecasts[date].attrs["lead_months"] for date in DATES]
    assert [leads[0] - lead for lead in leads] == [0, 4, 9]  # October, February, July
    found = forecasts[DATES[0]]
    table = forecast_store.yields.sel(crop="soybean").sel(municipality=found["municipality"])
    own = table["yield_kg_ha"].sel(harvest_year=2013).values
    there = np.isfinite(own)
    assert there.any()
    assert not there.all()
    np.testing.assert_array_equal(found["last_public_kg_ha"].values[there], own[there])
    assert np.isfinite(found["last_public_kg_ha"].values).all()  # the others have their state's
    planted = table["area_planted_ha"].sel(harvest_year=slice(None, 2013))
    for k in range(found.sizes["municipality"]):
        known = planted.values[k][np.isfinite(planted.values[k])]
        assert found["area_planted_ha"].values[k] == known[-1]
        five = table["yield_kg_ha"].sel(harvest_year=slice(2009, 2013)).values[k]
        if np.isfinite(five).any():
            assert found["mean_5y_public_kg_ha"].values[k] == pytest.approx(np.nanmean(five), rel=1e-6)
            assert found["own_history"].values[k] == 1


def test_quantiles_rise_and_low_yields_are_below_their_threshold(forecasts):
    for found in forecasts.values():
        values = found["yield_kg_ha"].values
        assert (np.diff(values, axis=1) >= 0).all()
        assert (values[:, -1] > values[:, 0]).all()
        low = found["low_threshold_kg_ha"].values
        certain = values[:, 0] > low
        assert (found["probability_low"].values[certain] <= 0.05 + 1e-6).all()
        whole = found["aggregate_yield_kg_ha"].values[0]
        assert values.min() < whole[3] < values.max()


def test_the_observed_share_grows_from_nothing_to_the_whole_season(run, forecast_store, members):
    # Of 2016: in December 2014 nothing is seen; in December 2015 some; in October 2016, after Para's
    # September, everything.
    dates, shares = (dt.date(2014, 12, 10), dt.date(2015, 12, 10), dt.date(2016, 10, 10)), []
    for date in dates:
        found = forecast(run, forecast_store, 2016, date, members=members)
        shares.append(found["observed_share"])
        assert found.attrs["last_public_harvest_year"] == {2014: 2013, 2015: 2014, 2016: 2015}[date.year]
    assert (shares[0] == 0).all()
    assert np.isnan(found["rain_so_far_pct"]).sum() == 0
    assert (shares[0] <= shares[1]).all()
    assert (shares[1] < shares[2]).all()
    assert (shares[2] == 1).all()
    states = found["state"].values.astype(str)
    # MT sows in September: three of its nine months were public in December 2015. Para's begin in January.
    np.testing.assert_allclose(shares[1].values[states == "MT"], 3 / 9)
    assert (shares[1].values[states == "PA"] == 0).all()


NEVER, OLD, BARE, DARK, ONCE = 1190001, 4390002, 1790001, 2190001, 2990001


@pytest.fixture(scope="module")
def odd(forecast_store, tmp_path_factory):
    """`NEVER` grew no soybean, `OLD` to 2006, `ONCE` in 2005; `BARE` has no soil, `DARK` no weather."""

    def yields(table):
        for name in table:
            values = table[name].sel(crop="soybean")
            values.loc[{"municipality": [NEVER, OLD, ONCE]}] = np.nan
            values.loc[{"municipality": OLD, "harvest_year": [2005, 2006]}] = 2500
            values.loc[{"municipality": ONCE, "harvest_year": 2005}] = 2000
        return table

    def static(table):
        for name in table:
            if "soil_layer" in table[name].dims:
                table[name].loc[{"municipality": BARE}] = np.nan
        return table

    def weather(table):
        return table.drop_sel(municipality=DARK)

    return stored(tmp_path_factory.mktemp("odd") / "store", forecast_store, weather, yields, static)


def test_who_is_forecast(odd, run, members):
    # In October 2015 the ten public harvest years are 2005 to 2014, so `ONCE` is the first of them.
    found = forecast(run, odd, 2016, dt.date(2015, 10, 10), members=members)
    codes = odd.static["municipality"].values.tolist()
    assert set(codes) - set(found["municipality"].values.tolist()) == {NEVER, DARK}
    # `DARK` is named, and its state if it has no other municipality; `NEVER` is left out by rule.
    left_out = json.loads(found.attrs["left_out"])
    assert left_out["weather"] == [str(DARK)]
    gone = set(odd.static["state"].values.tolist()) - set(found["aggregate"].values.tolist())
    assert set(left_out["states"]) == gone - {odd.static["state"].sel(municipality=NEVER).item()}
    old = found.sel(municipality=OLD)
    assert old["own_history"] == 0  # its last five years are empty: its state stands in
    assert old["mean_5y_public_kg_ha"] > 2500.5
    assert old["area_planted_ha"] == 2500
    bare = found.sel(municipality=BARE)
    assert bare["own_history"] == 1
    assert np.isfinite(bare["yield_kg_ha"]).all()
    # A year later they are 2006 to 2015.
    later = ForecastPlan(run, odd, 2017, dt.date(2016, 10, 10)).municipalities(everywhere=False)
    assert set(codes) - set(later.tolist()) == {NEVER, DARK, ONCE}


def test_everywhere_brings_those_that_never_grew_the_crop(odd, run, members):
    date = dt.date(2015, 10, 10)
    found = forecast(run, odd, 2016, date, members=members, everywhere=True)
    some = forecast(run, odd, 2016, date, members=members)
    codes = odd.static["municipality"].values.tolist()
    assert set(codes) - set(found["municipality"].values.tolist()) == {DARK}
    new = found.sel(municipality=NEVER)
    assert new["own_history"] == 0
    for name in ("area_planted_ha", "low_threshold_kg_ha", "probability_low"):
        assert np.isnan(new[name])
    assert np.isfinite(new["yield_kg_ha"]).all()
    # It adds no area, so the country's forecast is the same.
    np.testing.assert_allclose(found["aggregate_yield_kg_ha"][0], some["aggregate_yield_kg_ha"][0], rtol=1e-5)
    assert found["aggregate_municipalities"][0] == some["aggregate_municipalities"][0] + 1
    both = found.sel(municipality=some["municipality"])
    np.testing.assert_allclose(both["yield_mean_kg_ha"], some["yield_mean_kg_ha"], rtol=1e-5)


def test_no_place_with_both_weather_and_yields_says_so(forecast_store, forecast_run, tmp_path):
    def yields(table):
        for name in table:
            table[name].values[:, :12] = np.nan
        return table

    def weather(table):
        return table.isel(municipality=slice(0, 12))

    store = stored(tmp_path / "store", forecast_store, weather, yields)
    with pytest.raises(MissingDataError, match="no municipality with weather has a yield of soybean"):
        forecast(forecast_run, store, 2015, DATES[0])


def test_the_same_inputs_give_the_same_forecast(forecasts, run, forecast_store, members):
    # The second time hindcasts are read from the run, and members are loaded from it.
    assert len(list((run.path / "hindcasts").glob("2014-10-10-*"))) == 1
    told = []
    again = forecast(run, forecast_store, 2015, DATES[0], progress=lambda *counts: told.append(counts))
    xr.testing.assert_identical(again, forecasts[DATES[0]])
    assert told[-1] == (6, 6)
    assert len(list((run.path / "hindcasts").glob("2014-10-10-*"))) == 1


def test_a_damaged_file_of_hindcasts_costs_time_and_nothing_else(
    forecasts, forecast_run, forecast_store, members, tmp_path
):
    fresh = copied(forecast_run, tmp_path)
    for damage in (
        lambda file: None,
        lambda file: file.write_bytes(b"no archive"),
        lambda file: file.unlink(),
    ):
        found = forecast(fresh, forecast_store, 2015, DATES[0], members=members)
        xr.testing.assert_identical(found, forecasts[DATES[0]])
        [file] = (fresh.path / "hindcasts").iterdir()
        damage(file)


def test_inputs_are_of_public_data_only(forecast_run, forecast_store, tmp_path):
    date = DATES[1]

    def given(**changes):
        folder = tmp_path / f"store{len(list(tmp_path.iterdir()))}"
        return ForecastPlan(
            forecast_run, stored(folder, forecast_store, **changes), 2015, date, "climatology"
        ).input_fingerprints

    whole = given()
    assert whole["weather_known_to"] == "2015-01"
    assert whole["yields_known_to"] == "2013"
    # A store as it stood on the date, before later months and yields came in.
    assert given(weather=lambda table: table.sel(time=slice(None, "2015-01-01"))) == whole
    assert given(yields=lambda table: table.sel(harvest_year=slice(None, 2013))) == whole

    def revised(name, where, factor):
        def change(table):
            table[name].loc[where] *= factor
            return table

        return change

    for where, differs in (({"time": "2015-01-01"}, True), ({"time": "2015-02-01"}, False)):
        found = given(weather=revised("precipitation_mm", where, 0.9))
        assert (found["weather"] != whole["weather"]) == differs
        assert {k: v for k, v in found.items() if k != "weather"} == {
            k: v for k, v in whole.items() if k != "weather"
        }
    for year, differs in ((2013, True), (2014, False)):
        found = given(yields=revised("yield_kg_ha", {"harvest_year": year}, 0.9))
        assert (found["yields"] != whole["yields"]) == differs
    assert given(static=revised("clay_pct", {"soil_layer": "0cm"}, 0.9))["places"] != whole["places"]
    # A month later one more is public, and the inputs say so.
    plan = ForecastPlan(forecast_run, forecast_store, 2015, dt.date(2015, 3, 20), "climatology")
    later = plan.input_fingerprints
    assert later["weather_known_to"] == "2015-02"
    assert later["weather"] != whole["weather"]
    assert add_months(date, 1) < dt.date(2015, 3, 20)


_INPUTS = """
import datetime as dt, json, sys
from pathlib import Path
from yieldcast.forecasting.forecast import ForecastPlan
from yieldcast.training.run_directory import Run
from yieldcast.data.store import Store
run, store = Run.open(Path(sys.argv[1])), Store.open(Path(sys.argv[2]))
found = ForecastPlan(run, store, 2015, dt.date(2015, 2, 20), "climatology").input_fingerprints
print(json.dumps([found, [name for name in ("tensorflow", "keras") if name in sys.modules]]))
"""


def test_inputs_are_cheap_and_say_what_the_forecast_says(forecasts, run, forecast_store):
    command = [sys.executable, "-c", _INPUTS, str(run.path), str(forecast_store.path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found, loaded = json.loads(done.stdout)
    assert loaded == []
    assert found == json.loads(forecasts[DATES[1]].attrs["inputs"])


def test_a_run_without_hindcasts_is_refused(forecast_run, forecast_store, members):
    training = forecast_run.settings.training.model_copy(update={"validation": "last_year"})
    other = replace(forecast_run, settings=forecast_run.settings.model_copy(update={"training": training}))
    with pytest.raises(RunError, match="has no hindcasts") as caught:
        forecast(other, forecast_store, 2015, DATES[0], members=members)
    assert "each_year" in caught.value.hint
    with pytest.raises(RunError, match="hindcasts of 1 harvest year") as caught:
        forecast(forecast_run, forecast_store, 2015, DATES[0], members=members.take([1]))
    assert "at least 3 seeds" in caught.value.hint


def test_leaks_and_unknown_scenarios_are_refused_before_anything_is_computed(forecast_run, forecast_store):
    for make in (forecast, ForecastPlan):
        with pytest.raises(ConfigError, match="unknown scenarios 'best'"):
            make(forecast_run, forecast_store, 2015, DATES[0], "best")
        with pytest.raises(LeakageError, match="which are not before 2013, the season to forecast"):
            make(forecast_run, forecast_store, 2013, DATES[0], "climatology")
        with pytest.raises(LeakageError, match="were not public on 2014-09-30"):
            make(forecast_run, forecast_store, 2015, dt.date(2014, 9, 30), "climatology")
    with pytest.raises(MissingDataError, match="no seasonal forecasts"):
        forecast(forecast_run, forecast_store, 2015, DATES[0], "seasonal")


@pytest.mark.parametrize(
    ("year", "as_of", "text"),
    [
        (2013, "2014-12-10", "was trained on harvest years 2013, which are not before 2013"),
        (2015, "2014-09-30", "harvest years 2013 (public: 2013 on 2014-10-10)"),
    ],
)
def test_the_command_line_gives_a_leak_the_code_5(
    forecast_run, forecast_store, tmp_path, monkeypatch, capsys, year, as_of, text
):
    arguments = ["forecast", forecast_run.path, "--store", forecast_store.path, "--harvest-year", year]
    arguments += ["--as-of", as_of, "--out", tmp_path / "forecasts"]
    monkeypatch.setattr(sys, "argv", ["yieldcast", *map(str, arguments)])
    monkeypatch.setenv("COLUMNS", "400")
    with pytest.raises(SystemExit) as caught:
        app.main()
    assert caught.value.code == 5
    assert text in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "forecasts").exists()


def test_some_states_are_those_of_the_whole_forecast(run, forecast_store, members, forecasts):
    date, whole = DATES[0], forecasts[DATES[0]]
    some = forecast(run, forecast_store, 2015, date, members=members, states=["mt", "Paraná", "PR"])
    assert some["aggregate"].values.tolist() == ["all", "MT", "PR"]
    assert (some.attrs["states"], some.attrs["country"]) == ("MT, PR", "")
    mine = whole.sel(municipality=np.isin(whole["state"].values, ["MT", "PR"]), aggregate=["MT", "PR"])
    found = some.sel(aggregate=["MT", "PR"])
    for name in mine.variables:
        np.testing.assert_array_equal(found[name].values, mine[name].values, err_msg=name)
    area = some["aggregate_area_planted_ha"].values
    assert area[0] == area[1:].sum()
    mean = some["aggregate_yield_mean_kg_ha"].values
    # means of the method weigh by harvested areas, the column beside them holds planted ones
    assert mean[0] == pytest.approx(np.average(mean[1:], weights=area[1:]), rel=5e-4)
    assert json.loads(some.attrs["inputs"])["states"] == "MT, PR"
    with pytest.raises(ConfigError, match=r"received 'XX'"):
        ForecastPlan(run, forecast_store, 2015, date, states=["XX"])
