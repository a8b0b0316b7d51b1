"""Files that yieldcast 0.1 wrote (tests/old_files) are read, and give the same forecasts, in later versions.

They are a store of 12 synthetic municipalities, a run of soybean trained on 2011 to 2013 (seeds 1 to 3), and
two bulletins of harvest year 2015. All tests work on a copy.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from yieldcast.data.boundaries import read_boundaries
from yieldcast.data.files import file_facts, fingerprint
from yieldcast.data.store import Store
from yieldcast.evaluation.run_skill import hindcast_skill
from yieldcast.forecasting.forecast import ForecastPlan
from yieldcast.operations.bulletins import Bulletin, list_bulletins, write_bulletin
from yieldcast.operations.changes import compare
from yieldcast.training.run_directory import Run

OLD = Path(__file__).parents[1] / "old_files"
CROP, HARVEST_YEAR = "soybean", 2015
DATES = (dt.date(2014, 11, 15), dt.date(2015, 2, 15))
# Another processor or release of TensorFlow may round what the network computes differently in the last bits.
FROM_THE_NETWORK = (
    "yield_kg_ha", "yield_mean_kg_ha", "probability_low", "aggregate_yield_kg_ha",
    "aggregate_yield_mean_kg_ha",
)  # fmt: skip


def contents(folder: Path) -> dict[str, object]:
    """Size and SHA-256 of every file of a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): file_facts(path) for path in files}


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the old files; the originals must not change while the tests run."""
    before = contents(OLD)
    folder = tmp_path_factory.mktemp("old") / "files"
    shutil.copytree(OLD, folder)
    yield folder
    assert contents(OLD) == before


@pytest.fixture(scope="module")
def store(copy):
    return Store.open(copy / "store")


@pytest.fixture(scope="module")
def run(copy):
    return Run.open(copy / "run")


@pytest.fixture(scope="module")
def bulletins(copy) -> list[Bulletin]:
    return list_bulletins(copy / "bulletins", CROP, HARVEST_YEAR, notice=pytest.fail)


@pytest.fixture(scope="module", params=DATES, ids=str)
def plan(request, store, run):
    """Of the forecast of a date from the old store and run."""
    return ForecastPlan(run, store, harvest_year=HARVEST_YEAR, as_of=request.param)


@pytest.fixture(scope="module")
def made_again(plan):
    """The forecast of a date, made from the old store and run."""
    return plan.forecast()


def of_date(bulletins: list[Bulletin], made_again) -> Bulletin:
    (found,) = (one for one in bulletins if str(one.as_of) == made_again.attrs["as_of"])
    return found


def test_the_store_opens_with_the_fingerprints_it_was_written_with(copy, store):
    manifest = json.loads((copy / "store" / "store.json").read_text(encoding="utf-8"))
    written = {name: entry["fingerprint"] for name, entry in manifest["tables"].items()}
    assert store.fingerprints == written
    for name, table in store.tables._asdict().items():
        assert fingerprint(table) == written[name]
    codes = store.static["municipality"].values.tolist()
    assert [one.code for one in read_boundaries(store.mesh)] == codes
    assert len(codes) == 12


def test_the_run_opens_and_its_data_are_those_of_the_store(store, run):
    assert (run.identity.crop, tuple(run.identity.train_years)) == (CROP, (2011, 2012, 2013))
    assert list(run.seeds()) == [1, 2, 3]
    assert {name: run.identity.data[name] for name in store.fingerprints} == store.fingerprints


def test_the_bulletins_are_listed_and_none_of_their_files_was_changed(bulletins):
    assert [one.as_of for one in bulletins] == list(DATES)
    assert [one.manifest["previous"] for one in bulletins] == [None, "2014-11-15"]
    for one in bulletins:
        one.verify()
        assert one.summary("en") == "" or one.manifest["previous"]


def test_the_changes_between_the_bulletins_are_those_of_the_file(bulletins):
    first, second = bulletins
    written = json.loads((second.path / "changes.json").read_text(encoding="utf-8"))
    del written["text"]  # sentences
    found = compare(first.forecast(), second.forecast()).to_json()
    assert json.loads(json.dumps(found)) == written


def test_the_inputs_of_a_forecast_have_the_same_fingerprints(store, run, bulletins):
    for one in bulletins:
        found = ForecastPlan(run, store, HARVEST_YEAR, one.as_of, "climatology").input_fingerprints
        assert found == one.input_fingerprints == json.loads(one.forecast().attrs["inputs"])


def test_a_forecast_made_again_has_the_same_values(made_again, bulletins):
    old = of_date(bulletins, made_again).forecast()
    assert set(made_again.data_vars) == set(old.data_vars)
    for name, array in made_again.variables.items():
        assert array.dims == old.variables[name].dims
        assert array.dtype == old.variables[name].dtype
        if name in FROM_THE_NETWORK:
            np.testing.assert_allclose(array.values, old[name].values, rtol=1e-5, atol=1e-6, err_msg=name)
        else:
            np.testing.assert_array_equal(array.values, old[name].values, err_msg=str(name))


def test_a_forecast_made_again_has_the_same_attributes(made_again, bulletins):
    old = of_date(bulletins, made_again).forecast()
    for name in sorted(set(made_again.attrs) - {"made_with", "calibration"}):  # versions; numbers, see below
        assert made_again.attrs[name] == old.attrs[name], name
    now, then = (json.loads(ds.attrs["calibration"]) for ds in (made_again, old))
    assert now.keys() == then.keys()
    for key, value in then.items():  # rounded to four digits
        assert now[key] == pytest.approx(value, abs=2e-4), key


def test_the_same_forecast_is_not_written_twice(made_again, copy, store, bulletins):
    old = of_date(bulletins, made_again)
    then, before = old.forecast(), contents(old.path)
    now = made_again.assign_attrs(made_with=then.attrs["made_with"])  # versions count, and they do change
    same = now.attrs["calibration"] == then.attrs["calibration"] and all(
        np.array_equal(array.values, then.variables[name].values, equal_nan=array.dtype.kind == "f")
        for name, array in now.variables.items()
    )
    written = write_bulletin(copy / "bulletins", now, mesh=store.mesh)
    # With other last bits it is another forecast, the second of its date.
    assert written.name == (old.name if same else f"{old.name}-2")
    assert contents(old.path) == before


def test_the_hindcasts_of_the_run_say_how_good_it_is(plan, made_again, store):
    rows = hindcast_skill(plan)
    assert sorted({row["harvest_year"] for row in rows}) == [2011, 2012, 2013]  # those of the run, all public
    assert {(row["lead_months"], row["protocol"]) for row in rows} == {
        (made_again.attrs["lead_months"], "hindcasts")
    }
    yields = store.yields["yield_kg_ha"].sel(crop=CROP)
    for one in plan.season_hindcasts:
        found = {row["model"]: row for row in rows if row["harvest_year"] == one.harvest_year}
        assert set(found) == {"forecast", "climatology", "last_public", "mean_5y_public", "trend_10y_public"}
        truth = yields.sel(harvest_year=one.harvest_year, municipality=one.municipality).values
        last = yields.sel(harvest_year=one.harvest_year - 2, municipality=one.municipality).values
        both = np.isfinite(truth) & np.isfinite(last)
        if both.all():  # two years before the harvest is the newest public one, nine months after its year
            assert found["last_public"]["rmse_kg_ha"] == pytest.approx(
                float(np.sqrt(np.mean((truth - last) ** 2))), rel=1e-4
            )
        error = one.mean - truth
        assert found["forecast"]["rmse_kg_ha"] == pytest.approx(float(np.sqrt(np.mean(error**2))), rel=1e-4)
