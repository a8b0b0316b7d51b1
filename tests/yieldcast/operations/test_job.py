"""The jobs in this process: a real run of a tiny network, real forecasts, real bulletins."""

import datetime as dt
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from yieldcast.data.files import exclusive_lock
from yieldcast.data.store import Store
from yieldcast.errors import ConfigError, FetchError, MissingDataError, SchemaError
from yieldcast.forecasting.leakage import trainable_years
from yieldcast.operations.job import Job, carry_out, check_date, read_skill
from yieldcast.operations.run_selection import suitable_run, trained_run
from yieldcast.training.run_directory import Run

SEPTEMBER, FEBRUARY = dt.date(2015, 9, 15), dt.date(2016, 2, 20)


@pytest.fixture(scope="module")
def store(forecast_store):
    """Harvest years 2005 to 2016; as of September 2015 those to 2013 are public."""
    return forecast_store


@pytest.fixture(scope="module")
def runs(forecast_run, tmp_path_factory):
    """A folder with a run of six members, trained on 2011 to 2013."""
    folder = tmp_path_factory.mktemp("runs")
    shutil.copytree(forecast_run.path, folder / "soybean-to-2013")
    return folder


@pytest.fixture
def job(store, tmp_path):
    return Job(store.path, tmp_path / "bulletins", "soybean", 2016, SEPTEMBER)


@pytest.fixture
def carry(runs, job):
    """Carry a job out with the newest suitable run."""

    def call(fetch=None, notices=None, **changes):
        changed = replace(job, **changes)

        def run_for(store):
            return suitable_run(runs, store, changed.crop, changed.as_of, 6)

        return carry_out(
            changed, run_for, fetch=fetch, notice=(notices if notices is not None else []).append
        )

    return call


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_season_of_bulletins(carry, job):
    first = carry()
    assert first.new
    assert first.summary == ""
    assert first.bulletin.name == "2015-09-15"
    made = first.bulletin.forecast()
    assert (made.attrs["as_of"], made.attrs["harvest_year"], made.attrs["synthetic"]) == (
        "2015-09-15",
        2016,
        1,
    )
    assert first.bulletin.input_fingerprints == json.loads(made.attrs["inputs"])
    before = contents(job.bulletins)
    # the same day, and days later with nothing published in between
    for as_of in (SEPTEMBER, dt.date(2015, 9, 28)):
        again = carry(as_of=as_of)
        assert not again.new
        assert again.bulletin.path == first.bulletin.path
    assert contents(job.bulletins) == before
    # weather of the season has come out, and the yields of 2014
    second = carry(as_of=FEBRUARY)
    assert second.new
    assert second.bulletin.manifest["previous"] == first.bulletin.name
    assert contents(first.bulletin.path).items() == {k.split("/")[-1]: v for k, v in before.items()}.items()
    changes = json.loads((second.bulletin.path / "changes.json").read_text())
    assert list(changes["arrived"]["weather"]) == ["2015-09", "2015-10", "2015-11", "2015-12", "2016-01"]
    assert changes["arrived"]["yields"] == [2014]
    assert changes["arrived"]["revised"] == []
    assert "New data: weather of September 2015 to January 2016" in second.summary
    assert "yields of 2014" in second.summary
    median = [ds["yield_kg_ha"].sel(quantile=0.5) for ds in (second.bulletin.forecast(), made)]
    moved = (median[0] - median[1]).values  # of the municipalities in both
    written = [change for change in changes["municipalities"]["median_change_kg_ha"] if change is not None]
    assert written == pytest.approx(moved, abs=0.06)


@pytest.mark.slow
def test_other_scenarios_and_revised_weather_are_something_new(carry, job, store, tmp_path):
    carry()
    assert not carry().new
    other = carry(scenarios="analogue")
    assert other.bulletin.name == "2015-09-15-2"
    assert "scenarios" in other.summary
    revised = tmp_path / "revised"
    shutil.copytree(store.path, revised)
    weather = store.weather.copy(deep=True)
    weather["precipitation_mm"].loc[{"time": "2015-05"}] += 1
    Store.update(revised, {"weather": weather}, {})
    assert carry(store=revised, scenarios="analogue").new
    # what is published later is no reason for a new bulletin
    weather = store.weather.copy(deep=True)
    weather["precipitation_mm"].loc[{"time": "2015-10"}] += 1
    Store.update(revised, {"weather": weather}, {})
    later = carry(store=revised, bulletins=tmp_path / "others")
    Store.update(revised, {"weather": store.weather}, {})
    assert not carry(store=revised, bulletins=tmp_path / "others").new
    xr.testing.assert_equal(
        later.bulletin.forecast(), carry(bulletins=tmp_path / "thirds").bulletin.forecast()
    )


def test_a_failed_fetch_does_not_stop_a_forecast_that_has_something_new(carry):
    lost = FetchError("the service is down", "Later.")
    notices = []
    done = carry(lambda store: lost, notices)
    assert done.new
    assert done.trouble is lost
    hindcast, incomplete = done.bulletin.manifest["notes"]  # the store holds 2016, which it may not read
    assert hindcast.startswith("Hindcast: the store holds yields of harvest year 2016")
    assert incomplete == "The fetch was incomplete: the service is down"
    assert any("the service is down" in line for line in notices)
    # nothing new to forecast from: now the scheduler must see the failure
    with pytest.raises(FetchError, match="the service is down"):
        carry(lambda store: lost)
    assert not carry(lambda store: None).new
    with pytest.raises(FetchError, match="the service is down"):
        carry(lambda store: lost, as_of=FEBRUARY, strict=True)
    assert carry(lambda store: lost, as_of=FEBRUARY).bulletin.name == "2016-02-20"


@pytest.mark.slow
def test_what_the_fetch_brought_is_forecast_from(carry, store, tmp_path):
    young = tmp_path / "young"
    early = store.weather.sel(time=slice(None, "2015-06"))
    Store.write(young, store.tables._replace(weather=early), {})
    first = carry(store=young)

    def fetch(opened):
        assert opened.path == young
        Store.update(young, {"weather": store.weather}, {})

    second = carry(fetch, store=young)
    assert second.bulletin.name == "2015-09-15-2"
    assert second.bulletin.input_fingerprints["weather"] != first.bulletin.input_fingerprints["weather"]


def test_a_second_copy_is_refused_and_other_seasons_are_not(carry, job, tmp_path):
    held = job.bulletins / "soybean-2016" / ".one-job"
    held.mkdir(parents=True)
    with exclusive_lock(held, "held"):
        with pytest.raises(MissingDataError, match="another copy of this job is running"):
            carry()
        with pytest.raises(MissingDataError, match="no data store"):  # other seasons are not held
            carry(harvest_year=2015, store=tmp_path / "none")


@pytest.fixture
def prepare(runs, store, tmp_path, forecast_settings):
    """The pre-season job's search for a run, in a copy of the folder; gives the name of the run it took."""
    folder = tmp_path / "runs"
    shutil.copytree(runs, folder)
    # A run of all public years, which would take longer to train: only its run.json counts.
    file = folder / "soybean-to-2013" / "run.json"
    content = json.loads(file.read_text())
    content["identity"]["train_years"] = trainable_years(
        store.tables, "soybean", SEPTEMBER, forecast_settings.data
    )
    file.write_text(json.dumps(content))

    def call(opened=store, seeds=6, settings=forecast_settings):
        epochs, notices = [], []
        run = trained_run(
            folder,
            opened,
            "soybean",
            SEPTEMBER,
            seeds,
            settings,
            progress=epochs.append,
            notice=notices.append,
        )
        return run.path.name, {epoch.seed for epoch in epochs}, " ".join(notices)

    call.folder = folder
    return call


@pytest.fixture
def revised(store, tmp_path):
    """A store in which every yield was revised."""
    yields = store.yields.copy(deep=True)
    yields["yield_kg_ha"] = yields["yield_kg_ha"] + np.float32(1)
    return Store.write(tmp_path / "revised", store.tables._replace(yields=yields), {})


def test_a_finished_run_is_taken_as_it_is_also_when_yields_were_revised(prepare, revised):
    before = contents(prepare.folder)
    assert prepare() == ("soybean-to-2013", set(), "")
    name, trained, notices = prepare(revised)
    assert (name, trained) == ("soybean-to-2013", set())
    assert "the store's yields changed since" in notices
    assert contents(prepare.folder) == before


@pytest.mark.slow
def test_a_run_goes_on_and_another_training_goes_beside_it(prepare, revised):
    shutil.rmtree(prepare.folder)
    assert prepare(seeds=2)[:2] == ("soybean-to-2013", {1, 2})
    # one more member: the same run goes on
    assert prepare(seeds=3)[:2] == ("soybean-to-2013", {3})
    # not finished, and its data are others now: it stays as it is
    name, trained, notices = prepare(revised, seeds=4)
    assert (name, trained) == ("soybean-to-2013-2", {1, 2, 3, 4})
    assert "holds another training" in notices
    assert prepare(revised, seeds=4)[:2] == ("soybean-to-2013-2", set())
    assert Run.open(prepare.folder / "soybean-to-2013").seeds() == [1, 2, 3]
    # a damaged one is left alone too; the one before it will do for fewer members
    (prepare.folder / "soybean-to-2013-2" / "run.json").write_text("{")
    name, trained, notices = prepare(revised, seeds=2)
    assert (name, trained) == ("soybean-to-2013", set())
    assert "soybean-to-2013-2 is damaged" in notices
    assert prepare(revised, seeds=4)[0] == "soybean-to-2013-3"


def test_skill_is_read_and_refused(tmp_path):
    file = tmp_path / "skill.json"
    assert read_skill(None, "soybean") == []
    rows = [{"crop": "soybean", "r": 0.5}, {"crop": "corn", "r": 0.1}]
    file.write_text(json.dumps(rows))
    assert read_skill(file, "soybean") == rows[:1]
    for text, error in (("{", SchemaError), ("{}", SchemaError), ("[1]", SchemaError)):
        file.write_text(text)
        with pytest.raises(error, match=r"skill\.json"):
            read_skill(file, "soybean")
    file.write_text(json.dumps([{**row, "protocol": "leave_year_out"} for row in rows]))
    with pytest.raises(
        SchemaError, match="expected scores of forecasts, received those of the leave-year-out"
    ):
        read_skill(file, "soybean")
    with pytest.raises(MissingDataError, match="no file"):
        read_skill(tmp_path / "none.json", "soybean")


def test_a_date_to_come_is_refused():
    today = dt.date(2018, 1, 15)
    assert check_date(today, today) == today
    with pytest.raises(ConfigError, match="not after today"):
        check_date(dt.date(2018, 1, 16), today)


def test_a_stale_store_is_refused_unless_it_is_allowed(carry):
    # Two harvest years after the last of the store: yields of 2017 and 2018 were public, and 34 months.
    late = {"harvest_year": 2020, "as_of": dt.date(2019, 11, 10)}
    with pytest.raises(MissingDataError, match="no yields of harvest years 2017-2018"):
        carry(**late)
    lost = FetchError("the service is down", "Later.")
    with pytest.raises(FetchError, match="the service is down"):  # the cause, so that a scheduler tries again
        carry(lambda store: lost, **late)
    done = carry(allow_stale=True, **late)
    attrs = done.bulletin.forecast().attrs
    assert (attrs["last_public_harvest_year"], attrs["yields_public_to"]) == (2016, 2018)
    assert done.bulletin.input_fingerprints["yields_known_to"] == "2016"
    assert json.loads(attrs["missing"])["weather_months"][0] == "2017-01"
    assert "yields of harvest years 2017-2018" in done.bulletin.manifest["notes"][0]
    written = json.loads((done.bulletin.path / "forecast.json").read_text(encoding="utf-8"))
    assert written["missing"]["harvest_years"] == [2017, 2018]
    page = (done.bulletin.path / "report.html").read_text(encoding="utf-8")
    assert "produtividades das colheitas 2017-2018" in page
