import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from yieldcast.config import DataSettings, Settings, TrainingSettings
from yieldcast.data.files import exclusive_lock
from yieldcast.data.store import Store, Tables
from yieldcast.data.synthetic import country, foreign
from yieldcast.errors import ConfigError, MissingDataError, RunError, SchemaError
from yieldcast.features.source import build_samples
from yieldcast.training.run_directory import Run

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
from yieldcast.evaluation.evaluate import evaluate_run
from yieldcast.features.splits import held_year, split_validation
from yieldcast.training import trainer
from yieldcast.training.pipeline import train_run
from yieldcast.training.scheduler import BlockRunner

YEARS = range(2011, 2015)


@pytest.fixture(scope="module")
def rows(small, calendar):
    return build_samples(small, calendar, "soybean", YEARS, DataSettings())[0]


def weights(run: Run, seed: int) -> list[np.ndarray]:
    return run.load_member(seed).get_weights()


def equal(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def close(a: list[np.ndarray], b: list[np.ndarray]) -> bool:
    """Equal but for rounding: blocks of other sizes multiply in another order."""
    return all(np.allclose(x, y, rtol=1e-5, atol=1e-6) for x, y in zip(a, b, strict=True))


@pytest.fixture(scope="module")
def run(small_store, tiny_settings, tmp_path_factory):
    """A finished run of three seeds."""
    out = tmp_path_factory.mktemp("runs") / "run"
    return train_run(small_store, "soybean", YEARS, [1, 2, 3], out, tiny_settings)


def test_a_run_holds_what_it_was_made_from(run, small_store, tiny_settings):
    assert run.seeds() == [1, 2, 3]
    assert Run.open(run.path).settings == tiny_settings
    content = json.loads((run.path / "run.json").read_text())
    assert content["versions"]["keras"]
    for table, text in small_store.fingerprints.items():
        assert content["identity"]["data"][table] == text
    history = (run.path / "history" / "member_002.csv").read_text().splitlines()
    assert history[0] == "epoch,loss,val_loss"
    record = run.records()[1]
    assert len(history) - 1 == record["epochs"] <= 4
    losses = [float(line.split(",")[2]) for line in history[1:]]
    assert record["best_validation_loss"] == pytest.approx(min(losses), rel=1e-5)
    card = (run.path / "model_card.md").read_text()
    assert "Synthetic data: soybean" in card
    assert "member_001.keras" in card


@pytest.mark.slow
def test_members_differ_and_a_member_does_not_depend_on_the_others(run, small_store, tiny_settings, tmp_path):
    assert not equal(weights(run, 1), weights(run, 2))
    alone = train_run(small_store, "soybean", YEARS, [3], tmp_path / "alone", tiny_settings)
    assert close(weights(alone, 3), weights(run, 3))


def test_a_member_is_scaled_by_the_rows_it_is_fitted_on(run, rows, tiny_settings):
    for seed in run.seeds():
        fit, held = (rows.take(part) for part in split_validation(rows, tiny_settings.training, seed))
        layer = run.load_member(seed).get_layer("weather_0_1")
        low = np.asarray(layer.mean).ravel()
        np.testing.assert_allclose(low, fit.dynamic.min(axis=(0, 1)), rtol=1e-5)
        if (held.dynamic.min(axis=(0, 1)) < fit.dynamic.min(axis=(0, 1))).any():
            return
    pytest.fail("no seed holds an extreme out: choose another fixture, this test proves nothing")


def test_more_seeds_extend_a_run_and_other_settings_do_not(small_store, tiny_settings, tmp_path):
    out = tmp_path / "run"
    train_run(small_store, "soybean", YEARS, [1], out, tiny_settings)
    before = (out / "members" / "member_001.keras").read_bytes()
    notices = []
    longer = train_run(small_store, "soybean", YEARS, [1, 2], out, tiny_settings, notice=notices.append)
    assert longer.seeds() == [1, 2]
    assert (out / "members" / "member_001.keras").read_bytes() == before
    assert any("1 of 2 members" in line for line in notices)
    quiet = tiny_settings.network.model_copy(update={"noise": 0.0})
    other = tiny_settings.model_copy(update={"network": quiet})
    with pytest.raises(RunError, match=r"differs in: network\.noise") as caught:
        train_run(small_store, "soybean", YEARS, [1], out, other)
    assert caught.value.exit_code == 6
    with pytest.raises(RunError, match="train_years"):
        train_run(small_store, "soybean", [2012, 2013], [1], out, tiny_settings)


def test_a_run_of_another_version_or_damaged_is_refused(small_store, tiny_settings, tmp_path):
    out = tmp_path / "run"
    train_run(small_store, "soybean", YEARS, [1], out, tiny_settings)
    content = json.loads((out / "run.json").read_text())
    content["format"] = 99
    content["versions"]["yieldcast"] = "9.9"
    (out / "run.json").write_text(json.dumps(content))
    with pytest.raises(RunError, match=r"made by yieldcast 9\.9"):
        Run.open(out)
    (out / "run.json").write_text("{")
    with pytest.raises(RunError, match="damaged"):
        Run.open(out)
    (out / "run.json").unlink()
    with pytest.raises(RunError, match=r"no run\.json"):
        train_run(small_store, "soybean", YEARS, [1], out, tiny_settings)
    with pytest.raises(MissingDataError):
        Run.open(tmp_path / "nothing")


def test_a_damaged_member_says_which_and_what_to_do(small_store, tiny_settings, tmp_path):
    run = train_run(small_store, "soybean", YEARS, [1], tmp_path / "run", tiny_settings)
    path, content = run.member_path(1), bytearray(run.member_path(1).read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(RunError, match="member 1"):
        run.load_member(1)
    path.write_bytes(content[:1000])
    with pytest.raises(RunError, match="member 1") as caught:
        run.load_member(1)
    assert "it is trained again" in caught.value.hint


def test_a_member_that_was_exchanged_is_refused_and_weights_decide_the_run_id(
    small_store, tiny_settings, tmp_path
):
    run = train_run(small_store, "soybean", YEARS, [1, 2], tmp_path / "run", tiny_settings)
    name, record = run.run_id(), run.member_path(1).with_suffix(".json")
    run.member_path(1).write_bytes(run.member_path(2).read_bytes())
    with pytest.raises(RunError, match="SHA-256") as caught:
        run.load_member(1)
    assert caught.value.exit_code == 6
    about = json.loads(record.read_text())
    record.write_text(json.dumps(about | {"weights": "0" * 64}))
    assert run.run_id() != name
    record.write_text(json.dumps({k: v for k, v in about.items() if k not in ("sha256", "weights")}))
    run.load_member(1)  # runs of 0.1 hold no marks


def test_a_store_that_grew_still_continues_a_run(small, tiny_settings, tmp_path):
    store = Store.write(tmp_path / "s", small, {})
    train_run(store, "soybean", YEARS, [1], tmp_path / "run", tiny_settings)
    yields = small.yields.copy(deep=True)
    yields["yield_kg_ha"].loc[{"harvest_year": 2016}] += 1  # a revision of a year that was not trained on
    grown = Store.write(tmp_path / "s", Tables(small.static, small.weather, yields), {})
    assert train_run(grown, "soybean", YEARS, [1, 2], tmp_path / "run", tiny_settings).seeds() == [1, 2]
    yields["yield_kg_ha"].loc[{"harvest_year": 2013}] += 1
    revised = Store.write(tmp_path / "s", Tables(small.static, small.weather, yields), {})
    with pytest.raises(RunError, match="rows"):
        train_run(revised, "soybean", YEARS, [1, 2, 3], tmp_path / "run", tiny_settings)


def test_a_member_of_another_shape_is_refused(run, small_store, tiny_settings, tmp_path):
    other = train_run(small_store, "soybean", YEARS, [1], tmp_path / "run", tiny_settings)
    content = json.loads((other.path / "run.json").read_text())
    content["identity"]["steps"] = 5
    (other.path / "run.json").write_text(json.dumps(content))
    with pytest.raises(RunError, match="expected the inputs"):
        Run.open(other.path).load_member(1)


def test_leftovers_of_a_killed_writer_are_removed_and_nothing_else(small_store, tiny_settings, tmp_path):
    out = tmp_path / "run"
    train_run(small_store, "soybean", YEARS, [1], out, tiny_settings)
    left = [out / ".run.77.tmp.json", out / "members" / ".member_002.77.tmp.keras"]
    kept = [out / ".notes.tmp", out / "members" / "mine.tmp.json"]
    for file in (*left, *kept):
        file.write_text("x")
    train_run(small_store, "soybean", YEARS, [1], out, tiny_settings)
    assert not any(file.exists() for file in left)
    assert all(file.exists() for file in kept)


def test_a_failed_start_does_not_bind_the_next(small_store, tiny_settings, tmp_path):
    late = Settings.model_validate({"training": {"validation": "last_year"}})
    with pytest.raises(ConfigError, match="last_year"):
        train_run(small_store, "soybean", [2012], [1], tmp_path / "run", late)
    assert train_run(small_store, "soybean", YEARS, [1], tmp_path / "run", tiny_settings).seeds() == [1]


@pytest.mark.slow
def test_a_calendar_with_region_rows_serves_evaluation_too(tmp_path, tiny_settings):
    tables, text = foreign()
    text = text.replace("AR-B", "Pampa").replace("AR-X", "Sierras")
    (tmp_path / "own.csv").write_text(text)
    data = DataSettings(calendar=tmp_path / "own.csv")
    store = Store.write(tmp_path / "s", tables, {})
    settings = tiny_settings.model_copy(update={"data": data})
    run = train_run(store, "soybean", range(2011, 2017), [1], tmp_path / "run", settings)
    assert evaluate_run(run, store, [2017]).scores.ensemble.n > 0
    (tmp_path / "run" / "regions.json").write_text("{}")
    with pytest.raises(RunError, match="calendar"):
        evaluate_run(run, store, [2017])


def test_seeds_below_one_are_refused(small_store, tiny_settings, tmp_path):
    with pytest.raises(ConfigError, match="-1"):
        train_run(small_store, "soybean", YEARS, [1, -1], tmp_path / "run", tiny_settings)


def test_validation_rows_are_disjoint_and_follow_the_setting(rows):
    quarter = TrainingSettings(validation_share=0.25)
    fit, held = split_validation(rows, quarter, seed=5)
    assert sorted([*fit, *held]) == list(range(len(rows)))
    assert len(held) == round(0.25 * len(rows))
    same, other = (split_validation(rows, quarter, seed)[1] for seed in (5, 6))
    assert held.tolist() == same.tolist() != other.tolist()
    late = TrainingSettings(validation="last_year")
    fit, held = (rows.take(part) for part in split_validation(rows, late, seed=5))
    assert set(held.harvest_year.tolist()) == {2014}
    assert set(fit.harvest_year.tolist()) == {2011, 2012, 2013}
    with pytest.raises(ConfigError, match="last_year"):
        split_validation(rows.take(rows.harvest_year == 2012), late, seed=5)


def test_each_member_leaves_out_one_year_in_turn(rows):
    each = TrainingSettings(validation="each_year")
    for seed, year in ((1, 2011), (2, 2012), (4, 2014), (5, 2011), (30, 2012)):
        assert held_year(rows.harvest_year, seed) == year
        fit, held = split_validation(rows, each, seed)
        assert sorted([*fit, *held]) == list(range(len(rows)))
        assert set(rows.harvest_year[held].tolist()) == {year}
        assert year not in rows.harvest_year[fit]
    with pytest.raises(ConfigError, match="'each_year' leaves") as caught:
        split_validation(rows.take(rows.harvest_year == 2012), each, seed=5)
    assert "more training years" in caught.value.hint


def test_every_member_is_fitted_on_all_years_but_its_own(forecast_run, forecast_store):
    table = forecast_store.yields["yield_kg_ha"].sel(crop="soybean")
    rows = {year: int((table.sel(harvest_year=year) > 0).sum()) for year in (2011, 2012, 2013)}
    assert len(set(rows.values())) > 1
    for record in forecast_run.records():
        left_out = 2011 + (record["seed"] - 1) % 3
        assert record["validation_rows"] == rows[left_out]
        assert record["fit_rows"] == sum(rows.values()) - rows[left_out]


@pytest.mark.slow
def test_members_that_left_out_different_years_train_as_alone(
    forecast_run, forecast_store, forecast_settings, tmp_path
):
    # Years differ in rows, so members are filled up to one size; seed 5 left 2012 out.
    years, out = range(2011, 2014), tmp_path / "alone"
    alone = train_run(forecast_store, "soybean", years, [5], out, forecast_settings, block=1)
    assert close(weights(alone, 5), weights(forecast_run, 5))
    assert not close(weights(alone, 5), weights(forecast_run, 2))


def test_rows_that_nothing_can_be_learnt_from_are_refused(rows):
    with pytest.raises(MissingDataError, match="empty"):
        trainer.check_trainable(rows.take(np.zeros(len(rows), bool)))
    with pytest.raises(MissingDataError, match="one municipality"):
        trainer.check_trainable(rows.take(rows.municipality == rows.municipality[0]))
    flat = rows.take(np.ones(len(rows), bool))
    flat.target_kg_ha[:] = 3000
    with pytest.raises(SchemaError, match="equal 3000"):
        trainer.check_trainable(flat)


def test_a_second_training_of_the_same_run_is_refused(small_store, tiny_settings, tmp_path):
    out = tmp_path / "run"
    train_run(small_store, "soybean", YEARS, [1], out, tiny_settings)
    with (
        exclusive_lock(out, "x"),
        pytest.raises(MissingDataError, match="another training is writing the run"),
    ):
        train_run(small_store, "soybean", YEARS, [1, 2], out, tiny_settings)
    assert Run.open(out).seeds() == [1]


@pytest.mark.slow
def test_training_learns_the_known_response(tmp_path):
    # 80 places, 6 years: with 60 epochs the fit must at least halve the variance it starts from.
    store = Store.write(tmp_path / "s", country(seed=2, municipalities=80, harvest_years=6), {})
    settings = Settings.model_validate(
        {
            "network": {"lstm_units": [8], "static_units": [8], "head_units": [8], "noise": 0.0},
            "training": {"max_epochs": 60, "batch_size": 32, "learning_rate": 0.005},
        }
    )
    run = train_run(store, "soybean", range(2007, 2013), [1], tmp_path / "run", settings)
    assert run.records()[0]["best_validation_loss"] < 0.5


def test_a_loss_that_is_not_finite_names_its_member_and_the_others_are_kept(
    run, small_store, tiny_settings, tmp_path, monkeypatch
):
    def poison(self, run):
        if self.seed == 2:
            self.state["weights"] = {n: np.full_like(w, np.nan) for n, w in self.state["weights"].items()}

    monkeypatch.setattr("yieldcast.training.member.Member._resume", poison)
    for block in (1, 3):
        out = tmp_path / f"run-{block}"
        with pytest.raises(SchemaError, match=r"^member 2: the validation loss became nan in epoch 1$"):
            train_run(small_store, "soybean", YEARS, [1, 2, 3], out, tiny_settings, block=block)
        assert Run.open(out).seeds() == [1, 3]
        for seed in (1, 3):
            assert close(weights(Run.open(out), seed), weights(run, seed))


@pytest.fixture(scope="module")
def long(small_store, tiny_settings, tmp_path_factory):
    """Settings of many epochs, and their run without disturbance."""
    training = tiny_settings.training.model_copy(update={"max_epochs": 300, "patience": 299})
    settings = tiny_settings.model_copy(update={"training": training})
    out = tmp_path_factory.mktemp("long") / "run"
    return settings, train_run(small_store, "soybean", YEARS, [1, 2, 3], out, settings)


@pytest.mark.parametrize("how", ["Ctrl-C", "an error in a thread"])
def test_stopped_in_the_middle_it_continues_from_the_same_epoch(long, small_store, tmp_path, how):
    settings, undisturbed = long
    heard = []
    # A shell that starts the tests in the background has SIGINT ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt(epoch):
        heard.append((epoch.seed, epoch.epoch))
        if len(heard) == 40 and how == "Ctrl-C":
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        elif len(heard) == 40:
            raise KeyboardInterrupt

    out = tmp_path / "run"
    try:
        with pytest.raises(KeyboardInterrupt):
            train_run(small_store, "soybean", YEARS, [1, 2, 3], out, settings, progress=interrupt)
    finally:
        signal.signal(signal.SIGINT, before)
    kept = sorted(int(p.stem[-3:]) for p in (out / "unfinished").glob("*.npz"))
    assert len(kept) >= 2
    heard.clear()
    again = train_run(
        small_store, "soybean", YEARS, [1, 2, 3], out, settings,
        progress=lambda epoch: heard.append((epoch.seed, epoch.epoch)),
    )  # fmt: skip
    assert all((seed, 1) not in heard and (seed, 300) in heard for seed in kept)
    for seed in (1, 2, 3):
        assert equal(weights(again, seed), weights(undisturbed, seed))
        assert len((out / "history" / f"member_{seed:03d}.csv").read_text().splitlines()) == 301
    assert not list((out / "unfinished").iterdir())


def test_a_damaged_unfinished_member_is_trained_again(run, small_store, tiny_settings, tmp_path):
    out = tmp_path / "run"
    train_run(small_store, "soybean", YEARS, [2], out, tiny_settings)
    (out / "unfinished" / "member_001.npz").write_bytes(b"PK no archive")
    np.savez(
        out / "unfinished" / "member_003.npz", losses=np.zeros((1, 2)), seconds=0.0
    )  # of another network
    again = train_run(small_store, "soybean", YEARS, [1, 2, 3], out, tiny_settings)
    for seed in (1, 2, 3):
        assert close(weights(again, seed), weights(run, seed))


@pytest.mark.parametrize("block", [1, 2, pytest.param(5, marks=pytest.mark.slow)])
def test_blocks_of_any_size_give_the_same_members(run, small_store, tiny_settings, tmp_path, block):
    other = train_run(
        small_store, "soybean", YEARS, [1, 2, 3, 4, 5], tmp_path / "run", tiny_settings, block=block
    )
    assert other.seeds() == [1, 2, 3, 4, 5]
    for seed in (1, 2, 3):
        assert close(weights(other, seed), weights(run, seed))


@pytest.mark.slow
def test_a_block_shrinks_when_its_members_stop(run, small_store, tiny_settings, tmp_path, monkeypatch):
    # Seeds stop at different epochs with this patience; every halving moves members between slots.
    # One thread: with two it depends on their speed which seeds share a block.
    monkeypatch.setattr("yieldcast.training.scheduler.SHRINK_FROM", 2)
    monkeypatch.setattr("yieldcast.training.scheduler.cores", lambda: 1)
    early = tiny_settings.training.model_copy(update={"max_epochs": 30, "patience": 1, "learning_rate": 0.05})
    settings = tiny_settings.model_copy(update={"training": early})
    seeds, sizes = range(1, 9), []
    fill = BlockRunner._fill

    def watched(self):
        fill(self)
        sizes.append(self.block)

    monkeypatch.setattr(BlockRunner, "_fill", watched)
    shrunk = train_run(small_store, "soybean", YEARS, seeds, tmp_path / "a", settings, block=4)
    assert {4, 2} <= set(sizes)
    plain = train_run(small_store, "soybean", YEARS, seeds, tmp_path / "b", settings, block=1)
    assert [r["epochs"] for r in shrunk.records()] == [r["epochs"] for r in plain.records()]
    assert len({r["epochs"] for r in plain.records()}) > 1
    assert all(close(weights(shrunk, seed), weights(plain, seed)) for seed in seeds)


def test_unfinished_members_are_not_continued_by_another_training(small_store, tiny_settings, tmp_path):
    def interrupt(epoch):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_run(small_store, "soybean", YEARS, [1], tmp_path / "run", tiny_settings, progress=interrupt)
    assert list((tmp_path / "run" / "unfinished").glob("*.npz"))
    quiet = tiny_settings.model_copy(
        update={"network": tiny_settings.network.model_copy(update={"noise": 0.0})}
    )
    with pytest.raises(RunError, match=r"differs in: network\.noise"):
        train_run(small_store, "soybean", YEARS, [1], tmp_path / "run", quiet)


def test_a_member_that_could_not_be_saved_is_not_trained_twice(
    run, small_store, tiny_settings, tmp_path, monkeypatch
):
    # The disk is full when the first member is saved; both are kept after their last epoch.
    save = Run.save_member

    def full(self, seed, model, record, history):
        raise MissingDataError("no space left", "")

    out = tmp_path / "run"
    monkeypatch.setattr(Run, "save_member", full)
    with pytest.raises(MissingDataError, match="no space"):
        train_run(small_store, "soybean", YEARS, [1, 2], out, tiny_settings, block=2)
    monkeypatch.setattr(Run, "save_member", save)
    again = train_run(small_store, "soybean", YEARS, [1, 2], out, tiny_settings, block=2)
    assert [r["epochs"] for r in again.records()] == [r["epochs"] for r in run.records()[:2]]
    assert all(close(weights(again, seed), weights(run, seed)) for seed in (1, 2))


def test_a_block_below_one_is_refused(small_store, tiny_settings, tmp_path):
    with pytest.raises(ConfigError, match="block of 1"):
        train_run(small_store, "soybean", YEARS, [1], tmp_path / "run", tiny_settings, block=0)


_TRAIN = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
from pathlib import Path
from yieldcast import Settings, Store, train_run
settings = Settings.model_validate_json(Path("settings.json").read_text())
train_run(Store.open(Path(sys.argv[1])), "soybean", range(2011, 2015), [1, 2, 3], Path("run"), settings)
"""


@pytest.mark.slow
def test_killed_at_any_moment_and_started_again_it_ends_with_the_same_members(
    run, small_store, tiny_settings, tmp_path
):
    (tmp_path / "settings.json").write_text(tiny_settings.model_dump_json())
    command = [sys.executable, "-c", _TRAIN, str(small_store.path)]
    started = time.monotonic()
    # Kill once a member is there, then in the middle of whatever comes later.
    for wait in (0.0, 1.5):
        process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
        before = len(list(tmp_path.glob("run/members/*.json")))
        while process.poll() is None and len(list(tmp_path.glob("run/members/*.json"))) == before:
            assert time.monotonic() - started < 240
            time.sleep(0.02)
        time.sleep(wait)
        process.kill()
        process.wait()
    subprocess.run(command, cwd=tmp_path, check=True, stderr=subprocess.DEVNULL)
    again = Run.open(tmp_path / "run")
    assert again.seeds() == [1, 2, 3]
    assert all(equal(weights(again, seed), weights(run, seed)) for seed in (1, 2, 3))
    left = [p.name for p in Path(tmp_path / "run").rglob("*") if p.name.startswith(".") or "tmp" in p.name]
    assert left == []
