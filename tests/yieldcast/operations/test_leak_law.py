"""The law over everything that is written: nothing published after `as_of` moves a byte of any output.

One forecast of harvest year 2015 as of 20 February 2015 is made from three stores: the whole one, one whose
later contents are noise, and one that ends on that day. Public then: yields to 2013, weather to January.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
import sqlite3
import zipfile

import numpy as np
import pytest
import xarray as xr
from factories import constant_seasonal, synthetic_seasonal, synthetic_skill

from yieldcast.data.store import Store, Tables
from yieldcast.data.synthetic import synthetic_mesh
from yieldcast.evaluation.evaluate import evaluate_run
from yieldcast.evaluation.run_skill import hindcast_skill
from yieldcast.forecasting.forecast import ForecastPlan
from yieldcast.operations.bulletins import write_bulletin
from yieldcast.training.run_directory import Run

DATE, YEAR, NEWEST = dt.date(2015, 2, 20), 2015, 2013
STORES = ("whole", "noise", "cut")


def later_changed(tables, kind):
    """The tables whose months from February 2015 on and harvest years from 2014 on are changed."""
    static, weather, yields = (table.copy(deep=True) for table in tables)
    months = (weather["time"] >= np.datetime64("2015-02-01")).values
    years = (yields["harvest_year"] > NEWEST).values
    if kind == "cut":
        return Tables(static, weather.isel(time=~months), yields.isel(harvest_year=~years))
    if kind == "noise":
        rng = np.random.default_rng(7)
        shape = weather["tmin_degC"].values[:, months].shape
        cold = rng.uniform(-10, 20, shape)
        for name, noise in (("tmin_degC", cold), ("tmax_degC", cold + rng.uniform(0, 20, shape)),
                            ("precipitation_mm", rng.uniform(0, 900, shape))):  # fmt: skip
            weather[name].values[:, months] = noise
        for name in yields:  # yields, areas (so that state means would be weighted otherwise), production
            values = yields[name].values[:, :, years]
            yields[name].values[:, :, years] = rng.uniform(1, 9000, values.shape)
    return Tables(static, weather, yields)


def later_seasonal(store, kind):
    """The start of February was out on the 7th; the one of March was not."""
    codes = store.weather["municipality"].values
    starts = ("2015-02",) if kind == "cut" else ("2015-02", "2015-03")
    made = constant_seasonal(synthetic_seasonal(starts, leads=3, members=2), tmax=2, tmin=2, ratio=0.5)
    if kind == "noise":
        made["tmax_anomaly_degC"].values[1] += 9
    made = made.drop_vars(["municipality_cell", "municipality"]).assign_coords(municipality=codes)
    made["municipality_cell"] = (("system", "municipality"), np.zeros((1, len(codes)), np.int32))
    return made


def skill(kind):
    """Scores of 2013, and of 2014 and 2016, whose yields were not public."""
    rows = synthetic_skill(years=(2013, 2014, 2016))
    late = [row for row in rows if row["harvest_year"] > NEWEST]
    for row in late if kind == "noise" else []:
        row |= {"rmse_kg_ha": 9999.0, "crps_kg_ha": 1.0, "coverage90": 0.01, "n": 3}
    return rows


def plain(path):
    """Contents of a file without the time at which it was written."""
    if path.suffix == ".xlsx":
        with zipfile.ZipFile(path) as parts:
            return {name: parts.read(name) for name in parts.namelist() if name != "docProps/core.xml"}
    if path.suffix == ".gpkg":
        with sqlite3.connect(path) as tables:
            return [line for line in tables.iterdump() if "gpkg_contents" not in line]
    if path.suffix == ".nc":  # HDF5 keeps the time of writing
        return xr.load_dataset(path).to_dict()
    return path.read_bytes()


@pytest.fixture(scope="module")
def made(forecast_run, forecast_store, tmp_path_factory):
    """Kind of store -> name of a file or a baseline -> what it holds."""
    found = {}
    static = forecast_store.static
    about = (static[name].values.tolist() for name in ("municipality", "name", "state"))
    where = (static[name].values.tolist() for name in ("latitude_deg", "longitude_deg"))
    mesh = json.dumps(synthetic_mesh(*about, *where))
    for kind in STORES:
        place = tmp_path_factory.mktemp(kind)
        tables = later_changed(forecast_store.tables, kind)
        seasonal = {"seasonal": later_seasonal(forecast_store, kind)}
        store = Store.write(place / "store", tables, {}, mesh, seasonal)
        folder = place / forecast_run.path.name  # hindcasts are made anew
        shutil.copytree(forecast_run.path, folder, ignore=shutil.ignore_patterns("hindcasts"))
        run = Run.open(folder)
        plan = ForecastPlan(run, store, YEAR, DATE, "seasonal")
        table, out = plan.forecast(), place / "bulletins"
        bulletin = write_bulletin(out, table, mesh=store.mesh, skill=skill(kind), plan=plan)
        found[kind] = {"hindcasts": hindcast_skill(plan)}  # what the report shows without a backtest
        files = [path for path in bulletin.path.iterdir() if path.name != "issue.json"]
        found[kind] |= {path.name: plain(path) for path in files}
        notes = bulletin.manifest["notes"]
        assert notes == ["Skill: 2 harvest years left out, not public on 2015-02-20: 2014, 2016."]
        if kind != "cut":  # which has no yields to score
            scored = evaluate_run(run, store, [YEAR], DATE)
            public = {k: v.prediction for k, v in scored.baselines.items() if v.history != "hindsight"}
            found[kind] |= {**public, "members": scored.members}
    return found


@pytest.mark.parametrize("kind", STORES[1:])
def test_law_nothing_published_later_moves_a_byte(made, kind):
    assert {"forecast.csv", "forecast.json", "forecast.nc", "report.html"} <= set(made["whole"])
    assert {"forecast.xlsx", "forecast.gpkg", "forecast.geojson"} <= set(made["whole"])
    for name, contents in made[kind].items():
        np.testing.assert_equal(contents, made["whole"][name], err_msg=name)
    assert {"ridge", "last_public", "boosted_history_public", "level_trend"} <= set(made["noise"])


def test_the_report_counts_the_years_of_skill_that_it_leaves_out(made):
    page = made["whole"]["report.html"].decode()
    assert "2 harvest years left out, not public on 2015-02-20: 2014, 2016." in page
    assert "2 colheitas fora da conta" in page
    assert '"harvest_years":[2013]' in page
