"""Backtests of the method "posterior" without a network: both protocols, no leak, work side by side."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from yieldcast.config import ForecastSettings
from yieldcast.data import synthetic
from yieldcast.data.daily import daily_table
from yieldcast.data.estimates import estimates_table
from yieldcast.data.store import Store
from yieldcast.errors import ConfigError, LeakageError, RunError
from yieldcast.evaluation.accuracy import KEYS, LEVELS
from yieldcast.evaluation.backtest import Backtest, run_backtest, runs_of, write_results
from yieldcast.forecasting.evidence import days_of_months
from yieldcast.forecasting.forecast import ForecastPlan

YEAR = 2013
DATES = ((10, 15), (3, 15))  # in October yields to 2010 are public, in March those to 2011
BASELINES = [
    "last_public", "mean_5y_public", "trend_10y_public", "boosted_history_public", "level_trend", "official",
    "climatology",
]  # fmt: skip


def estimates(tables, more_kg_ha=0.0, after="2100-01-01", before="2200-01-01"):
    """State means in February and June of every year, those published between two days changed."""
    yields = tables.yields["yield_kg_ha"].sel(crop="soybean").groupby(tables.static["state"]).mean()
    rows = []
    for year in range(2008, 2017):
        for state in yields["state"].values:
            value = float(yields.sel(state=state, harvest_year=year))
            for month in (2, 6):
                day = f"{year}-{month + 1:02d}-10"
                rows.append({
                    "source": "synthetic", "crop": "soybean", "unit": str(state), "harvest_year": year,
                    "reference": f"{year}-{month:02d}", "reference_month": f"{year}-{month:02d}-01",
                    "public_from": day, "yield_kg_ha": value + (more_kg_ha if after <= day < before else 0.0),
                })  # fmt: skip
    return estimates_table(pd.DataFrame([row for row in rows if np.isfinite(row["yield_kg_ha"])]))


def daily(tables, after="2100-01-01", before="2200-01-01"):
    """Days made from the monthly weather, hot and dry between two days."""
    days = days_of_months(tables.weather)
    codes = tables.weather["municipality"].values
    time = days["time"].values.astype("datetime64[D]")
    late = (time >= np.datetime64(after)) & (time < np.datetime64(before))
    fields = {name: days[name].values.astype(np.float32) for name in days.data_vars}
    fields["precipitation_mm"] = np.where(late, 0.2, 1.0).astype(np.float32) * fields["precipitation_mm"]
    for name in ("tmax_degC", "tmin_degC"):
        fields[name] = fields[name] + np.where(late, 5.0, 0.0).astype(np.float32)
    return daily_table(fields, time, np.arange(len(codes), dtype=np.int32), codes, np.arange(len(codes)))


def write(path, tables, known, weather):
    return Store.write(path, tables, {}, optional={"estimates": known, "daily": weather})


@pytest.fixture(scope="module")
def tables():
    return synthetic.country(seed=11, municipalities=24, first_harvest_year=1998, harvest_years=19)


@pytest.fixture(scope="module")
def settings(forecast_settings):
    return forecast_settings.model_copy(update={"forecast": ForecastSettings(method="posterior")})


@pytest.fixture(scope="module")
def forward(tables, settings, tmp_path_factory):
    folder = tmp_path_factory.mktemp("protocols")
    store = write(folder / "store", tables, estimates(tables), daily(tables))
    test = Backtest(store, "soybean", (YEAR,), folder / "b", settings, seeds=0, dates=DATES)
    return test, run_backtest(test)


@pytest.fixture(scope="module")
def left_out(forward):
    test = replace(forward[0], protocol="leave_year_out")
    return test, run_backtest(test)


def values(rows, *, dates=("2012-10-15", "2013-03-15")):
    return [row for row in rows if row["as_of"] in dates]


# --- rows -------------------------------------------------------------------------------------------------


def test_rows_of_every_level_and_model(forward):
    rows = forward[1].accuracy
    steps = ["level_trend+water", "posterior", "posterior+trees"]
    models = ["forecast", *BASELINES, *steps]
    assert all(list(row) == list(KEYS) for row in rows)
    for as_of, extra in (("2012-10-15", []), ("2013-03-15", ["official_estimate"])):
        for level in LEVELS:
            mine = [row for row in values(rows, dates=(as_of,)) if row["level"] == level]
            expected = models if level == "municipality" else [*models, *extra]
            assert [row["model"] for row in mine] == expected
            assert len({row["n"] for row in mine}) == 1
    for row in rows:
        assert (row["crop"], row["protocol"], row["harvest_year"]) == ("soybean", "forward", YEAR)
        spread = row["model"] in ("forecast", "posterior+trees") or (
            row["model"] == "climatology" and row["level"] == "municipality"
        )
        assert (row["coverage_90"] is not None) == spread
        assert row["rmse"] > 0


def test_every_municipality_with_a_yield_is_scored_also_without_a_recent_one(tables, settings, tmp_path):
    yields = tables.yields.copy(deep=True)
    truth = yields["yield_kg_ha"].sel(crop="soybean", harvest_year=YEAR).values
    place = int(np.flatnonzero(np.nan_to_num(truth) > 0)[0])
    yields["yield_kg_ha"].sel(crop="soybean").transpose("municipality", "harvest_year").values[
        place, : YEAR - 1998
    ] = np.nan
    store = Store.write(tmp_path / "s", tables._replace(yields=yields), {})
    rows = run_backtest(
        Backtest(store, "soybean", (YEAR,), tmp_path / "b", settings, seeds=0, dates=DATES[:1])
    ).accuracy
    assert {row["n"] for row in rows if row["level"] == "municipality"} == {
        int((np.nan_to_num(truth) > 0).sum())
    }


def test_the_rows_by_lead_are_those_of_the_municipalities(forward):
    by_date = {case.lead_months: case.as_of.isoformat() for case in forward[0].cases()}
    found = {
        (row["as_of"], row["model"]): row for row in forward[1].accuracy if row["level"] == "municipality"
    }
    for row in forward[1].rows:
        one = found[by_date[row["lead_months"]], row["model"]]
        assert (row["n"], row["rmse_kg_ha"]) == (one["n"], pytest.approx(one["rmse"]))
        assert row["coverage90"] == one["coverage_90"]


def test_states_as_estimated_are_nearest_where_the_estimate_is_the_truth(forward):
    # The estimates are the plain means of the states, the truth is weighted by area.
    rows = {
        row["model"]: row for row in values(forward[1].accuracy, dates=("2013-03-15",))
        if row["level"] == "state"
    }  # fmt: skip
    assert rows["official_estimate"]["rmse"] < 0.5 * rows["level_trend"]["rmse"]
    assert rows["forecast"]["rmse"] < rows["level_trend"]["rmse"]


# --- no leak ----------------------------------------------------------------------------------------------


def poisoned(tables, path, years, month, day):
    """A store in which yields and areas of some years, and all weather and estimates from days on, differ."""
    weather, yields = tables.weather.copy(deep=True), tables.yields.copy(deep=True)
    late = weather["time"].values >= np.datetime64(month)
    for name in weather.data_vars:
        array = weather[name].transpose("municipality", "time").values
        array[:, late] = array[:, late] * 0.3 if name == "precipitation_mm" else array[:, late] + 4
    for name, factor in (("yield_kg_ha", 0.4), ("area_harvested_ha", 3.0), ("area_planted_ha", 3.0)):
        if name in yields:
            yields[name].loc[{"harvest_year": years}] *= factor
    changed = tables._replace(weather=weather, yields=yields)
    return write(path, changed, estimates(tables, 900.0, day), daily(tables, day))


def test_nothing_published_later_moves_a_digit(forward, tables, tmp_path):
    # On 15 March 2013: yields to 2011, months to February, days to 9 March, estimates of 10 March.
    store = poisoned(tables, tmp_path / "s", [2012, 2014, 2015, 2016], "2013-03", "2013-03-11")
    found = run_backtest(replace(forward[0], store=store, folder=tmp_path / "b"))
    assert found.accuracy == forward[1].accuracy
    assert found.rows == forward[1].rows
    # what was public is read: the same estimates and days a month earlier move the forecast of March only
    store = poisoned(tables, tmp_path / "t", [2014], "2013-03", "2013-02-20")
    found = run_backtest(replace(forward[0], store=store, folder=tmp_path / "c"))
    moved = {
        (row["as_of"], row["model"])
        for row, before in zip(found.accuracy, forward[1].accuracy, strict=True) if row != before
    }  # fmt: skip
    march = (
        "forecast", "posterior", "posterior+trees", "level_trend+water", "official", "official_estimate",
    )  # fmt: skip
    assert moved == {("2013-03-15", model) for model in march}


def test_the_year_left_out_teaches_nothing(left_out, tables, tmp_path):
    # Its later weather and estimates move nothing; its yields are the truth alone: all biases move alike.
    yields = tables.yields.copy(deep=True)
    yields["yield_kg_ha"].loc[{"harvest_year": YEAR}] += np.float32(256.0)
    span = "2013-03-11", "2013-07-01"
    changed = estimates(tables, 900.0, *span), daily(tables, *span)
    store = write(tmp_path / "s", tables._replace(yields=yields), *changed)
    found = run_backtest(replace(left_out[0], store=store, folder=tmp_path / "b")).accuracy
    for row, before in zip(found, left_out[1].accuracy, strict=True):
        if row["level"] == "municipality":
            assert row["bias"] == pytest.approx(before["bias"] - 256.0, abs=0.01), row["model"]
            assert row["width_90"] == before["width_90"]


# --- leave-year-out ---------------------------------------------------------------------------------------


def test_leave_year_out_learns_from_later_years_and_says_so(forward, left_out, tmp_path):
    rows = left_out[1].accuracy
    assert {row["protocol"] for row in rows} == {"leave_year_out"}
    assert {row["protocol"] for row in left_out[1].rows} == {"leave_year_out"}
    assert all("protocol" not in row for row in forward[1].rows)
    models = [(row["level"], row["as_of"], row["model"], row["n"]) for row in rows]
    assert models == [(r["level"], r["as_of"], r["model"], r["n"]) for r in forward[1].accuracy]
    same = {
        row["model"] for row, other in zip(rows, forward[1].accuracy, strict=True)
        if row["rmse"] == other["rmse"] and row["level"] == "municipality"
    }  # fmt: skip
    # level, trend and the naive baselines know in both what was public on the date
    assert same >= {"level_trend", "official", "last_public", "mean_5y_public", "climatology"}
    assert same.isdisjoint(
        {"forecast", "posterior+trees", "posterior", "level_trend+water", "boosted_history_public"}
    )
    files = [path.name for path in write_results(left_out[1], tmp_path)]
    assert files == [
        "synthetic-leave-year-out-backtest.json", "synthetic-leave-year-out-by-state.csv",
        "synthetic-leave-year-out-reliability.csv", "synthetic-accuracy.json",
        "synthetic-leave-year-out-rows.csv.gz",
    ]  # fmt: skip
    # the rows of both protocols are in one file, each once
    for result in (forward[1], left_out[1]):
        write_results(result, tmp_path)
    kept = json.loads((tmp_path / "synthetic-accuracy.json").read_text())
    assert kept == [*forward[1].accuracy, *rows]


def test_what_leave_year_out_cannot_do(forward, settings):
    network = settings.model_copy(update={"forecast": ForecastSettings(method="network")})
    test = replace(forward[0], protocol="leave_year_out")
    with pytest.raises(ConfigError, match=r"leave-year-out protocol needs forecast\.method"):
        replace(test, seeds=2, settings=network).check()
    with pytest.raises(ConfigError, match=r"without members needs forecast\.method"):
        replace(forward[0], settings=network).check()
    with pytest.raises(ConfigError, match="received seasonal forecasts"):
        replace(test, scenarios="seasonal").check()


@pytest.mark.slow  # trains three members twice
def test_the_network_learns_from_the_other_years_in_one_process_and_in_two(left_out, tmp_path):
    test = replace(left_out[0], seeds=3, folder=tmp_path / "a", dates=DATES[1:])
    found = run_backtest(test)
    run = runs_of(test)(test.cases()[0])
    assert run.path.name == f"soybean-without-{YEAR}"
    assert YEAR not in run.identity.train_years
    assert max(run.identity.train_years) == 2016
    with pytest.raises(LeakageError, match=f"not before {YEAR}"):
        ForecastPlan(run, test.store, YEAR, test.cases()[0].as_of)
    rows = {row["model"]: row for row in found.accuracy if row["level"] == "municipality"}
    assert list(rows)[-2:] == ["forecast_1_member", "forecast_3_members"]
    assert rows["forecast_3_members"] == {**rows["forecast"], "model": "forecast_3_members"}
    assert {row["protocol"] for row in found.accuracy} == {"leave_year_out"}
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert run_backtest(replace(test, folder=tmp_path / "b"), executor=pool) == found


# --- side by side -----------------------------------------------------------------------------------------


def test_processes_find_what_one_process_finds(forward, tmp_path):
    folder = tmp_path / "b"
    shutil.copytree(forward[0].folder, folder)
    (lost, *_) = sorted((folder / "scores").glob("soybean-2013-2012-10-15-*"))
    lost.unlink()
    test, told = replace(forward[0], folder=folder), []
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = run_backtest(test, executor=pool, progress=lambda *at: told.append(at))
    assert found == forward[1]
    assert told == [(1, 2), (2, 2)]
    assert lost.is_file()


def test_an_error_of_a_worker_is_the_error_of_the_backtest(forward, tmp_path):
    test = replace(forward[0], folder=tmp_path / "b", test_years=(2001,))  # two public years
    spawn = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(1, mp_context=spawn) as pool,
        pytest.raises(RunError, match="need 3 harvest years of public yields"),
    ):
        run_backtest(test, executor=pool)
