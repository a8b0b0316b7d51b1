"""Training that starts from another run: what is refused, what is recorded, frozen bits, another country."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calendars.country import skeleton
from yieldcast.config import Settings
from yieldcast.data import synthetic
from yieldcast.data.store import Store
from yieldcast.errors import ConfigError, LeakageError, RunError
from yieldcast.features.source import build_samples
from yieldcast.training import fine_tuning
from yieldcast.training.run_directory import Identity, Origin, Run

ORIGIN = Origin("0123456789ab", "corn", (2011, 2012, 2013), "2014-10-10", True, ("weather",))


@pytest.fixture(scope="module")
def rows(small, calendar):
    return build_samples(small, calendar, "soybean", range(2011, 2015), Settings().data)[0]


@pytest.fixture
def source(rows, tmp_path):
    """A run without members; enough for what is refused before anything is read."""
    identity = Identity(
        "soybean", (2011, 2012), rows.dynamic.shape[1], len(rows), rows.dynamic_names, rows.static_names, {},
        True,
    )  # fmt: skip
    return Run(tmp_path / "source", identity, Settings(), {})


def test_parts_are_read_in_one_order():
    assert fine_tuning.parse_parts(None) == ()
    assert fine_tuning.parse_parts("static, weather") == ("weather", "static")
    with pytest.raises(ConfigError, match="weather or static or both, received 'soil'"):
        fine_tuning.parse_parts("soil")


def test_another_network_or_other_inputs_are_named(source):
    wide = Settings.model_validate({"network": {"lstm_units": [8, 8]}, "data": {"yield_history": True}})
    with pytest.raises(ConfigError) as caught:
        fine_tuning.check_source(source, wide, [1])
    assert "network.lstm_units = (32, 32)" in str(caught.value)
    assert "data.yield_history = False" in str(caught.value)
    with pytest.raises(RunError, match="no finished member of seed 1, 2; it has none"):
        fine_tuning.check_source(source, Settings(), [1, 2])
    own = Settings.model_validate({"model": {"build": "some.module:function"}})
    with pytest.raises(ConfigError, match=r"some\.module:function"):
        fine_tuning.check_source(source, own, [1])


def test_rows_with_other_inputs_are_refused_and_other_degree_days_are_said(source, rows):
    assert fine_tuning.check_inputs(source, rows) == []
    fewer = replace(rows, static=rows.static[:, 1:], static_names=rows.static_names[1:])
    with pytest.raises(RunError, match=f"missing {rows.static_names[0]}; not in the run none"):
        fine_tuning.check_inputs(source, fewer)
    last = rows.dynamic_names[-1]
    names = (*rows.dynamic_names[:-1], "accumulated_gdd_8_30_degC_day")
    other = replace(rows, dynamic=rows.dynamic[:, :-1], dynamic_names=names)
    first, second = fine_tuning.check_inputs(source, other)
    assert first == f"accumulated_gdd_8_30_degC_day takes the place of {last}, scaled as in the source"
    assert (
        second
        == f"windows have {rows.dynamic.shape[1] - 1} months, those of the source {source.identity.steps}"
    )


def test_an_origin_is_stored_only_where_there_is_one(source):
    assert "origin" not in source.identity.content()
    started = replace(source.identity, origin=replace(ORIGIN, origin=replace(ORIGIN, train_years=(2009,))))
    assert started.all_years == {2009, 2011, 2012, 2013}
    content = json.loads(json.dumps(started.content()))
    from yieldcast.training.run_directory import _identity

    assert _identity(content) == started
    assert _identity(json.loads(json.dumps(source.identity.content()))) == source.identity


def test_a_member_has_not_seen_the_year_that_it_and_its_origin_left_out():
    assert ORIGIN.years_seen(1) == {2012, 2013}  # seed 1 leaves out the first year
    assert replace(ORIGIN, each_year=False).years_seen(1) == {2011, 2012, 2013}
    before = Origin("ba9876543210", "corn", (2010, 2011), "2013-10-10", False)
    assert replace(ORIGIN, origin=before).years_seen(1) == {2010, 2011, 2012, 2013}


@pytest.mark.slow
def test_a_run_of_another_country_starts_from_a_brazilian_one(forecast_run, forecast_settings, tmp_path):
    """Frozen weights keep their bits, a training that was stopped ends with the same bits, and the years of
    the source count."""
    import datetime as dt

    from yieldcast.evaluation.evaluate import evaluate_run
    from yieldcast.forecasting.leakage import check_leaks
    from yieldcast.models.stacked import weights_of
    from yieldcast.training.pipeline import train_run

    tables = synthetic.northern(municipalities=24, harvest_years=10)
    store = Store.write(tmp_path / "store", tables, {}, country=skeleton())
    said: list[str] = []

    def train(name: str, progress=lambda epoch: None, frozen=("weather",)) -> Run:
        return train_run(
            store, "corn", range(2015, 2018), [1, 2, 3], tmp_path / name, source=forecast_run, frozen=frozen,
            progress=progress, notice=said.append,
        )  # fmt: skip

    run = train("whole")
    assert any("takes the place of" in text for text in said)
    assert run.settings.network == forecast_settings.network
    assert run.settings.data.publication().yields_public(2018) == dt.date(2019, 3, 1)  # not PAM's day
    for seed in (1, 2, 3):
        before, after = (weights_of(one.load_member(seed)) for one in (forecast_run, run))
        for name, values in before.items():
            assert np.array_equal(values, after[name]) == name.startswith("lstm_"), name

    origin = run.identity.origin
    assert (origin.run_id, origin.crop, origin.frozen) == (forecast_run.run_id(), "soybean", ("weather",))
    assert origin.public_from == "2014-10-10"  # PAM of 2013
    assert Run.open(run.path).identity == run.identity
    card = (run.path / "model_card.md").read_text()
    assert f"run `{forecast_run.run_id()}`: soybean, harvest years 2011-2013; frozen: weather" in card

    heard = []

    def stop(epoch):
        heard.append(epoch)
        if len(heard) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("stopped", stop)
    assert list((tmp_path / "stopped" / "unfinished").glob("*.npz"))
    again = train("stopped")
    assert again.run_id() == run.run_id()
    with pytest.raises(RunError, match="differs in: origin"):
        train("stopped", frozen=())

    result = evaluate_run(run, store, [2018, 2019])
    assert np.isfinite(result.scores.ensemble.rmse_kg_ha)
    old = replace(run, identity=replace(run.identity, train_years=(2009, 2010)))
    with pytest.raises(LeakageError, match="was started from run"):
        check_leaks(old, 2013, dt.date(2020, 1, 1))
    with pytest.raises(LeakageError):
        evaluate_run(old, store, [2012])
    assert Path(run.path / "calendar.csv").read_text() != (forecast_run.path / "calendar.csv").read_text()
