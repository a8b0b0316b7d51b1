"""Hindcasts by the members that left a year out, against Keras and numpy; and their cache in the run."""

import datetime as dt
import os
import shutil
from dataclasses import fields, replace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np
import pytest

from yieldcast.data.store import Tables
from yieldcast.errors import RunError
from yieldcast.forecasting import hindcasts as hindcasts_module
from yieldcast.forecasting.hindcasts import Forecaster, RawForecasts, cached_hindcasts, hindcasts
from yieldcast.forecasting.predictor import Ensemble
from yieldcast.forecasting.scenarios import build_scenarios
from yieldcast.forecasting.table import QUANTILES
from yieldcast.forecasting.year_effects import yield_sd
from yieldcast.publication import same_day
from yieldcast.training.run_directory import Run

AS_OF = dt.date(2015, 1, 20)  # of the season 2015


@pytest.fixture(scope="module")
def members(forecast_run):
    return Ensemble.load(forecast_run)


@pytest.fixture(scope="module")
def forecaster(forecast_run, forecast_store):
    return Forecaster(forecast_run, forecast_store.tables, AS_OF)


@pytest.fixture(scope="module")
def made(forecaster, members):
    return hindcasts(forecaster, members, 2015)


def equal(one, two):
    for field in fields(RawForecasts):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(two, field.name), err_msg=field.name)


@pytest.mark.parametrize(
    ("day", "years", "expected"),
    [
        ((2018, 3, 15), 4, (2014, 3, 15)),
        ((2016, 2, 29), 4, (2012, 2, 29)),
        ((2016, 2, 29), 3, (2013, 2, 28)),
        ((2000, 2, 29), 100, (1900, 2, 28)),
        ((2016, 12, 31), 0, (2016, 12, 31)),
    ],
)
def test_the_same_day_some_years_earlier(day, years, expected):
    assert same_day(dt.date(*day), -years) == dt.date(*expected)


def test_every_training_year_is_there_with_what_was_harvested(made, forecast_store):
    table = forecast_store.yields["yield_kg_ha"].sel(crop="soybean")
    assert np.unique(made.harvest_year).tolist() == [2011, 2012, 2013]
    for year in (2011, 2012, 2013):
        mine = made.take(made.harvest_year == year)
        own = table.sel(harvest_year=year).sel(municipality=mine.municipality)
        np.testing.assert_array_equal(mine.target_kg_ha, own.values)
        grown = table.sel(harvest_year=year) > 0
        assert mine.municipality.tolist() == table["municipality"].values[grown.values].tolist()


def test_a_hindcast_is_of_the_members_that_left_the_year_out(made, forecaster, forecast_run):
    # 2012 was left out by seeds 2 and 5. As of 20 January 2015 for 2015, so seen to 20 January 2012.
    source, seen = forecaster.source, dt.date(2012, 1, 20)
    rows, _ = source.build([2012], static_names=forecast_run.identity.static_names)
    rows = source.with_history(rows, 2)  # on that day PAM of 2010 was the newest
    weather, usable = build_scenarios(source, rows, AS_OF, season_as_of=seen)
    assert usable.all()
    assert 2012 not in weather.years
    cast = []
    for seed in (2, 5):
        model = forecast_run.load_member(seed)
        for season in weather.weather:
            cast.append(np.asarray(model({"weather": season, "static": rows.static}, training=False))[:, 0])
    mine = made.take(made.harvest_year == 2012)
    np.testing.assert_allclose(mine.quantiles_kg_ha, np.quantile(cast, QUANTILES, axis=0), rtol=1e-4)
    np.testing.assert_allclose(mine.mean_kg_ha, np.mean(cast, axis=0), rtol=1e-4)
    np.testing.assert_allclose(mine.observed_share, weather.observed.mean(axis=1))
    np.testing.assert_array_equal(mine.scale_kg_ha, yield_sd(source.history, rows, 2))
    np.testing.assert_allclose(mine.naive_kg_ha[0], rows.static[:, -9], rtol=1e-6)  # last_public_kg_ha


def test_no_hindcast_knows_yields_that_came_out_after_its_day(made, forecaster, members):
    # Of 2012, seen on 20 January 2012: yields from 2011 on are to come. Only what is compared with changes.
    tables, seen = forecaster.tables, dt.date(2012, 1, 20)
    yields = tables.yields.copy(deep=True)
    late = yields["harvest_year"].values >= 2011
    for name in yields:
        yields[name].values[:, :, late] *= np.float32(1.5)
    chosen = members.take([1, 4])
    changed = replace(forecaster, tables=Tables(tables.static, tables.weather, yields))
    found = changed.hindcast(chosen, 2012, seen)
    mine = made.take(made.harvest_year == 2012)
    np.testing.assert_allclose(found.target_kg_ha, 1.5 * mine.target_kg_ha)
    equal(replace(found, target_kg_ha=mine.target_kg_ha), mine)
    yields["yield_kg_ha"].values[:, :, yields["harvest_year"].values == 2010] *= np.float32(1.5)
    changed = replace(forecaster, tables=Tables(tables.static, tables.weather, yields))
    assert (changed.hindcast(chosen, 2012, seen).quantiles_kg_ha != mine.quantiles_kg_ha).any()


def test_seasonal_forecasts_do_not_reach_back_so_past_years_stand_in(made, forecaster, members):
    chosen = members.take([1, 4])
    found = replace(forecaster, method="seasonal").hindcast(chosen, 2012, dt.date(2012, 1, 20))
    equal(found, made.take(made.harvest_year == 2012))


def test_rows_are_taken_and_joined(made):
    order = np.argsort(made.harvest_year, kind="stable")
    parts = [made.take(made.harvest_year == year) for year in (2011, 2012, 2013)]
    equal(RawForecasts.join(parts), made.take(order))
    some = made.take(np.array([3, 1]))
    assert some.quantiles_kg_ha.shape == (7, 2)
    np.testing.assert_array_equal(some.quantiles_kg_ha, made.quantiles_kg_ha[:, [3, 1]])
    np.testing.assert_array_equal(some.naive_kg_ha, made.naive_kg_ha[:, [3, 1]])


def test_a_run_without_a_year_left_out_has_no_hindcasts(forecaster, members):
    run = forecaster.run
    training = run.settings.training.model_copy(update={"validation": "random"})
    other = replace(run, settings=run.settings.model_copy(update={"training": training}))
    with pytest.raises(RunError, match="has no hindcasts") as caught:
        hindcasts(replace(forecaster, run=other), members, 2015)
    assert 'validation = "each_year"' in caught.value.hint
    assert caught.value.exit_code == 6


@pytest.mark.parametrize("chosen", [[0], [0, 3]])
def test_members_of_one_left_out_year_are_too_few(forecaster, members, chosen):
    # Seeds 1 and 4 both left out 2011.
    with pytest.raises(RunError, match=rf"hindcasts of 1 harvest year \({len(chosen)} members\)") as caught:
        hindcasts(forecaster, members.take(chosen), 2015)
    assert "at least 3 seeds" in caught.value.hint


def test_two_left_out_years_will_do_and_are_counted(forecaster, members):
    told = []
    some = hindcasts(forecaster, members.take([0, 2]), 2015, lambda done, total: told.append((done, total)))
    assert np.unique(some.harvest_year).tolist() == [2011, 2013]
    assert told == [(1, 2), (2, 2)]


@pytest.fixture
def own(forecast_run, forecast_store, tmp_path):
    """A forecaster whose run is a copy: its cache is empty and its own."""
    shutil.copytree(forecast_run.path, tmp_path / "run", ignore=shutil.ignore_patterns("hindcasts"))
    return Forecaster(Run.open(tmp_path / "run"), forecast_store.tables, AS_OF)


def files(forecaster):
    return sorted((forecaster.run.path / "hindcasts").iterdir())


INPUTS = {"weather": "abc", "yields": "def"}


def test_hindcasts_are_made_once_and_then_read(own, members, made):
    equal(cached_hindcasts(own, members, 2015, INPUTS), made)
    [file] = files(own)
    assert file.name.startswith("2015-01-20-")
    # What is read next is what the file says.
    with np.load(file) as kept:
        content = dict(kept)
    np.savez(file, **{**content, "mean_kg_ha": content["mean_kg_ha"] + 1})
    again = cached_hindcasts(own, members, 2015, INPUTS)
    np.testing.assert_array_equal(again.mean_kg_ha, made.mean_kg_ha + 1)
    equal(replace(again, mean_kg_ha=made.mean_kg_ha), made)


def test_other_inputs_members_and_dates_have_files_of_their_own(own, members):
    cached_hindcasts(own, members, 2015, INPUTS)
    cached_hindcasts(own, members, 2015, {**INPUTS, "weather": "abd"})
    fewer = cached_hindcasts(own, members.take([0, 1]), 2015, INPUTS)
    assert np.unique(fewer.harvest_year).tolist() == [2011, 2012]
    cached_hindcasts(replace(own, as_of=dt.date(2015, 1, 21)), members, 2015, INPUTS)
    assert len(files(own)) == 4


def _cut(file):
    file.write_bytes(file.read_bytes()[:-300])


def _lacking(file):
    with np.load(file) as kept:
        np.savez(file, **{name: kept[name] for name in kept if name != "own"})


def _flipped(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    file.write_bytes(bytes(content))


DAMAGE = {
    "gone": lambda file: file.unlink(), "empty": lambda file: file.write_bytes(b""),
    "no archive": lambda file: file.write_bytes(b"PK no archive"), "text": lambda file: file.write_text("x"),
    "cut short": _cut, "another version's": _lacking, "a bit flipped": _flipped,
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_made_again(own, members, made, damage):
    cached_hindcasts(own, members, 2015, INPUTS)
    [file] = files(own)
    DAMAGE[damage](file)
    equal(cached_hindcasts(own, members, 2015, INPUTS), made)
    assert files(own) == [file]
    with np.load(file) as kept:
        np.testing.assert_array_equal(kept["mean_kg_ha"], made.mean_kg_ha)


def test_the_oldest_files_go(own, members, monkeypatch):
    monkeypatch.setattr(hindcasts_module, "CACHE_FILES", 2)
    for k in range(4):
        before = set(files(own)) if k else set()
        cached_hindcasts(own, members.take([0, 1]), 2015, {"weather": str(k)})
        [new] = set(files(own)) - before
        os.utime(new, (1e9 + k, 1e9 + k))  # as if days had passed
        assert len(files(own)) == min(k + 1, 2)
        assert {int(file.stat().st_mtime - 1e9) for file in files(own)} == {k, max(k - 1, 0)}


def test_a_run_that_cannot_be_written_to_serves_all_the_same(own, members, made):
    (own.run.path / "hindcasts").write_text("a file stands where the folder should be")
    equal(cached_hindcasts(own, members, 2015, INPUTS), made)
