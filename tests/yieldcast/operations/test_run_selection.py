"""The run and the season that a job takes, on a small synthetic country."""

import datetime as dt
import json
import shutil

import pytest

from yieldcast.config import Settings
from yieldcast.data.store import Store
from yieldcast.errors import ConfigError, MissingDataError, RunError
from yieldcast.operations.run_selection import season_ahead, season_under_way, suitable_run, trained_run
from yieldcast.publication import Publication
from yieldcast.training.run_directory import Identity, Run

DAY = dt.date


@pytest.fixture(scope="module")
def mato_grosso(small, tmp_path_factory):
    """Soybean of MT alone, whose window is September to May; corn is in the yields without a value."""
    codes = small.static["municipality"].values[small.static["state"].values == "MT"]
    tables = [table.sel(municipality=codes) for table in small]
    tables[2] = tables[2].reindex(crop=["corn", "soybean"])
    return Store.write(tmp_path_factory.mktemp("mt"), type(small)(*tables), {})


@pytest.mark.parametrize(
    ("as_of", "year"),
    [(DAY(2017, 7, 1), 2018), (DAY(2017, 9, 15), 2018), (DAY(2018, 5, 31), 2018), (DAY(2018, 6, 1), 2019),
     (DAY(2018, 12, 31), 2019)],
)  # fmt: skip
def test_the_season_ahead_is_the_next_whose_window_has_not_ended(mato_grosso, calendar, as_of, year):
    assert season_ahead(mato_grosso, calendar, "soybean", as_of, Publication()) == year


@pytest.mark.parametrize(
    ("publication", "as_of", "year"),
    [
        # September 2017 is out on 1 January 2018, May 2018 on 1 September
        (Publication(), DAY(2017, 12, 31), 2017), (Publication(), DAY(2018, 1, 1), 2018),
        (Publication(), DAY(2018, 9, 1), 2018), (Publication(), DAY(2018, 12, 31), 2018),
        (Publication(), DAY(2019, 1, 1), 2019),
        # with preliminary weather September is out on 6 October
        (Publication(0, 5), DAY(2017, 10, 5), 2017), (Publication(0, 5), DAY(2017, 10, 6), 2018),
    ],
)  # fmt: skip
def test_the_season_under_way_is_the_newest_with_public_weather(
    mato_grosso, calendar, publication, as_of, year
):
    assert season_under_way(mato_grosso, calendar, "soybean", as_of, publication) == year


def test_every_month_of_a_season_of_twelve_comes_out_while_it_is_under_way(mato_grosso, calendar):
    twelve, publication = calendar.with_months({"soybean": 12}), Publication()
    for year in (2015, 2016, 2017):
        window = twelve.window("soybean", "MT", year)
        for month in window.astype("datetime64[D]").tolist():
            day = publication.weather_public(month)
            assert season_under_way(mato_grosso, twelve, "soybean", day, publication) == year


def test_the_state_with_the_middle_of_the_area_decides(small, calendar, tmp_path):
    # all of the area in RS, but for a hectare: its window is two months later than that of MT
    yields = small.yields.copy(deep=True)
    states = small.static["state"].sel(municipality=yields["municipality"]).values
    yields["area_harvested_ha"].values[:] = 1.0
    yields["area_harvested_ha"].values[:, states == "RS"] = 1000.0
    store = Store.write(tmp_path, small._replace(yields=yields), {})
    end = calendar.window("soybean", "RS", 2018)[-1]
    assert end > calendar.window("soybean", "MT", 2018)[-1]
    last_day = (end + 1).astype("datetime64[D]").item() - dt.timedelta(days=1)
    assert season_ahead(store, calendar, "soybean", last_day, Publication()) == 2018
    assert season_ahead(store, calendar, "soybean", last_day + dt.timedelta(days=1), Publication()) == 2019


@pytest.mark.parametrize(("crop", "as_of"), [("corn", 2017), ("wheat", 2017), ("soybean", 2010)])
def test_a_crop_without_a_public_yield_is_refused(mato_grosso, calendar, crop, as_of):
    with pytest.raises(MissingDataError, match=f"no yields of {crop}"):
        season_ahead(mato_grosso, calendar, crop, DAY(as_of, 9, 1), Publication())


@pytest.fixture(scope="module")
def trained(calendar, tmp_path_factory):
    """A run directory of two members, trained on 2012 to 2014; their contents do not matter here."""
    path = tmp_path_factory.mktemp("runs") / "soybean-to-2014"
    marks = {"calendar": calendar.fingerprint(), "rows": "r"}
    identity = Identity("soybean", (2012, 2013, 2014), 9, 60, ("tmax_degC",), ("clay_pct_0cm",), marks, True)
    settings = Settings.model_validate({"training": {"validation": "each_year"}})
    run = Run.start(path, identity, settings, calendar)
    for seed in (1, 2):
        run.member_path(seed).touch()
        run.member_path(seed).with_suffix(".json").write_text("{}")
    return path


def _copy(trained, runs, name, **identity):
    """A copy of the run with other values in its identity."""
    path = shutil.copytree(trained, runs / name)
    content = json.loads((path / "run.json").read_text())
    content["identity"] |= identity
    (path / "run.json").write_text(json.dumps(content))
    return path


def test_the_newest_run_not_trained_on_the_future(trained, small_store, tmp_path):
    for name, identity in {
        "soybean-to-2013": {"train_years": [2012, 2013]},
        "soybean-to-2014": {},
        "soybean-to-2014-2": {},
        "soybean-to-2015": {"train_years": [2012, 2013, 2014, 2015]},
        "corn-to-2014": {"crop": "corn"},
    }.items():
        _copy(trained, tmp_path, name, **identity)

    def name(as_of):
        return suitable_run(tmp_path, small_store, "soybean", as_of, 2).path.name

    # PAM of 2014 comes out on 1 October 2015, of 2015 a year later
    assert name(DAY(2015, 9, 30)) == "soybean-to-2013"
    assert name(DAY(2015, 10, 1)) == "soybean-to-2014-2"
    assert name(DAY(2016, 9, 30)) == "soybean-to-2014-2"
    assert name(DAY(2016, 10, 1)) == "soybean-to-2015"
    with pytest.raises(RunError, match=r"harvest years 2013 \(public: 2013 on 2014-10-01\)"):
        name(DAY(2014, 9, 30))
    # a season that a run was trained on is none that it can forecast
    later = suitable_run(tmp_path, small_store, "soybean", DAY(2018, 1, 1), 2, harvest_year=2014)
    assert later.path.name == "soybean-to-2013"


def test_runs_that_cannot_be_used_are_named_with_the_reason(trained, small_store, tmp_path):
    as_of = DAY(2016, 1, 1)
    with pytest.raises(RunError, match="none of this crop") as caught:
        suitable_run(tmp_path / "nowhere", small_store, "soybean", as_of, 2)
    assert "preseason_forecast" in caught.value.hint
    _copy(trained, tmp_path, "soybean-to-2014", synthetic=False)
    paper = _copy(trained, tmp_path, "soybean-paper")
    (paper / "resolved.json").write_text(Settings().model_dump_json())
    (tmp_path / "soybean-to-2013").mkdir()
    (tmp_path / "soybean-to-2013" / "run.json").write_text("{")
    unfinished = _copy(trained, tmp_path, "soybean-to-2012")
    (unfinished / "members" / "member_002.json").unlink()
    with pytest.raises(RunError) as caught:
        suitable_run(tmp_path, small_store, "soybean", as_of, 2)
    text = str(caught.value)
    assert "soybean-to-2014: not trained on synthetic data" in text
    assert "soybean-to-2013 is damaged" in text
    assert "soybean-paper: its members left no harvest year out" in text
    assert "soybean-to-2012: 1 of 2 members" in text
    assert suitable_run(tmp_path, small_store, "soybean", as_of, 1).path == unfinished


def test_settings_of_the_run_say_when_its_yields_are_public(trained, small_store, tmp_path):
    path = _copy(trained, tmp_path, "soybean-to-2014")
    resolved = json.loads((path / "resolved.json").read_text())
    resolved["data"]["yields_delay_months"] = 21
    (path / "resolved.json").write_text(Settings.model_validate(resolved).model_dump_json())
    with pytest.raises(RunError, match="public: 2014 on 2016-10-01"):
        suitable_run(tmp_path, small_store, "soybean", DAY(2016, 9, 30), 2)
    assert suitable_run(tmp_path, small_store, "soybean", DAY(2016, 10, 1), 2).path == path


def test_settings_without_hindcasts_are_refused_before_anything_is_trained(small_store, tmp_path):
    forecast = Settings.model_validate({"training": {"validation": "each_year"}})
    for settings, seeds in ((Settings(), 30), (forecast, 1)):
        with pytest.raises(ConfigError, match="validation") as caught:
            trained_run(tmp_path / "runs", small_store, "soybean", DAY(2016, 1, 1), seeds, settings)
        assert "forecast.toml" in caught.value.hint
    assert not (tmp_path / "runs").exists()
