"""Submissions through the sandbox: both phases, and every way to end otherwise."""

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from sandbox_jobs import save_tile_model, save_value_model, tile_task, value_task

from yieldcast.workspace.sandbox import Confinement, SandboxJob, run_job
from yieldcast.workspace.sandbox.job import Ended, _Heard, _verdict, validation_rows
from yieldcast.workspace.sandbox.walls import Limits
from yieldcast.workspace.settings import TrainingOptions

QUICK = TrainingOptions(epochs=1, batch_size=16)


@pytest.fixture(scope="module")
def sandbox():
    with Confinement.probe(trust=True).sandbox() as made:
        yield made


@pytest.fixture(scope="module")
def tiles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiles")
    return folder, tile_task(folder)


@pytest.fixture(scope="module")
def tile_model(tmp_path_factory):
    return save_tile_model(tmp_path_factory.mktemp("model") / "model.keras")


def run(sandbox, folder, task, model, on_progress=lambda progress, flop: None, **settings):
    return run_job(sandbox, SandboxJob(model, folder, task, **{"options": QUICK, **settings}), on_progress)


@pytest.mark.slow
def test_both_phases_of_a_classifier(sandbox, tiles, tile_model):
    folder, task = tiles
    options = TrainingOptions(
        epochs=25, learning_rate=0.05, batch_size=16, class_weights=True, patience=25,
        augmentation=("flips", "rotations", "shifts", "noise"),
    )  # fmt: skip
    seen = []
    outcome = run(
        sandbox,
        folder,
        task,
        tile_model,
        lambda progress, flop: seen.append((progress, flop)),
        options=options,
    )
    assert (outcome.state, outcome.reason) == ("done", None)
    target = np.load(folder / "holdout" / "target.npy")
    before, after = (np.mean(outcome.predictions[phase].argmax(axis=1) == target) for phase in (1, 2))
    assert after > before
    assert [point["epoch"] for point in outcome.curve] == list(range(1, 26))
    assert outcome.curve[-1]["loss"] < outcome.curve[0]["loss"]
    # 51 rows train and 9 stop; of one row: forward and backward of a model trained whole, less the gradient
    # of the inputs of its first layer
    import keras

    from yieldcast.workspace.sandbox.flop import of_model

    cost = of_model(keras.models.load_model(tile_model))
    epochs = 25 * (51 * (cost.forward + cost.backward) + 9 * cost.forward)
    assert outcome.flop == epochs + 2 * 30 * cost.forward
    assert [flop for _, flop in seen] == sorted(flop for _, flop in seen)
    assert {progress.get("stage") for progress, _ in seen} >= {"training"}


@pytest.mark.slow
def test_a_model_of_other_classes_has_no_phase_1_and_gets_a_new_head(sandbox, tiles, tmp_path):
    folder, task = tiles
    model = save_tile_model(tmp_path / "other.keras", outputs=2)
    outcome = run(sandbox, folder, task, model, outputs=("maize", "rye"))
    assert outcome.state == "done"
    assert "No result of phase 1" in outcome.reason
    assert list(outcome.predictions) == [2]
    assert outcome.predictions[2].shape == (30, 3)
    # classes in another order and one more: matched, nothing is replaced
    model = save_tile_model(tmp_path / "more.keras", outputs=4, activation=None)
    outcome = run(sandbox, folder, task, model, outputs=("Oats", "maize", "Sugar Beet", "barley"))
    assert (outcome.state, sorted(outcome.predictions)) == ("done", [1, 2])
    np.testing.assert_allclose(outcome.predictions[1].sum(axis=1), 1, rtol=1e-5)


@pytest.mark.slow
def test_yields_and_their_quantiles(sandbox, tmp_path):
    task = value_task(tmp_path)
    target = np.load(tmp_path / "holdout" / "target.npy")
    options = TrainingOptions(epochs=20, learning_rate=0.03, batch_size=16, new_head=True)
    one = run(sandbox, tmp_path, task, save_value_model(tmp_path / "one.keras"), options=options)
    assert one.predictions[2].shape == (40, 1)
    assert np.abs(one.predictions[2][:, 0] - target).mean() < 0.5 * target.std()
    model = save_value_model(tmp_path / "three.keras", outputs=3)
    three = run(sandbox, tmp_path, task, model, outputs=("0.1", "0.5", "0.9"), options=options)
    low, middle, high = three.predictions[2].mean(axis=0)
    assert low < middle < high


@pytest.mark.slow
def test_limits_stop_a_job_and_keep_phase_1(sandbox, tiles, tile_model):
    folder, task = tiles
    long = TrainingOptions(epochs=10_000, batch_size=1, patience=10_000)
    spent = run(sandbox, folder, task, tile_model, budget_flop=200_000)
    assert (spent.state, list(spent.predictions)) == ("stopped", [1])
    assert "budget" in spent.reason
    assert spent.flop <= 200_000
    timed = run(sandbox, folder, task, tile_model, options=long, seconds=6.0)
    assert (timed.state, list(timed.predictions)) == ("stopped", [1])
    assert "time" in timed.reason
    assert timed.seconds < 12
    full = run(sandbox, folder, task, tile_model, limits=Limits(memory=100 * 10**6))
    assert full.state == "stopped"
    assert "memory" in full.reason
    asked = run(sandbox, folder, task, tile_model, lambda progress, flop: flop > 0, options=long)
    assert asked.state == "stopped"


@pytest.mark.slow
def test_models_that_do_not_fit_are_refused_with_a_reason(sandbox, tiles, tile_model, tmp_path):
    import keras

    folder, task = tiles
    wide = run(sandbox, folder, task, save_tile_model(tmp_path / "wide.keras", side=7))
    assert wide.state == "refused"
    assert "expected inputs image [6, 6, 1], received pixels [7, 7, 1]" in wide.reason
    broken = keras.models.load_model(tile_model)
    broken.layers[0].set_weights([np.full_like(one, np.nan) for one in broken.layers[0].get_weights()])
    broken.save(tmp_path / "nan.keras")
    lost = run(sandbox, folder, task, tmp_path / "nan.keras")
    assert lost.state == "refused"
    assert "finite" in lost.reason
    (tmp_path / "text.keras").write_text("no archive")
    assert run(sandbox, folder, task, tmp_path / "text.keras").state == "refused"
    frozen = run(
        sandbox, folder, task, tile_model, options=QUICK.model_copy(update={"frozen_layers": ("x",)})
    )
    assert (frozen.state, list(frozen.predictions)) == ("failed", [1])
    assert "the model has no x" in frozen.reason


@pytest.mark.slow
def test_a_process_that_is_killed_from_outside_is_tried_again(sandbox, tiles, tile_model):
    folder, task = tiles
    long = TrainingOptions(epochs=10_000, batch_size=1, patience=10_000)

    def kill():
        time.sleep(3.0)
        for name in os.listdir("/proc"):
            try:
                if name.isdigit() and Path("/proc", name, "comm").read_text() and _inside(name, sandbox):
                    os.kill(int(name), signal.SIGKILL)
            except OSError:
                continue

    killer = threading.Thread(target=kill)
    killer.start()
    outcome = run(sandbox, folder, task, tile_model, options=long)
    killer.join()
    assert (outcome.state, outcome.again) == ("failed", True)
    assert run(sandbox, folder, task, tile_model).state == "done"


def _inside(name, sandbox):
    """Whether a process is the sandbox or a descendant."""
    while name not in ("0", "1"):
        if int(name) == sandbox._process.pid:
            return True
        name = Path("/proc", name, "stat").read_text().rsplit(")", 1)[1].split()[1]
    return False


def test_whole_groups_stop_the_training(tiles):
    folder, task = tiles
    chosen = validation_rows(SandboxJob(Path("model.keras"), folder, task))
    group = np.load(folder / "training" / "group.npy")
    assert 9 <= chosen.sum() <= 12
    assert not set(group[chosen]) & set(group[~chosen])
    other = validation_rows(SandboxJob(Path("model.keras"), folder, task, seed=1))
    assert not np.array_equal(chosen, other)


def test_what_comes_out_is_not_believed():
    heard = _Heard(lambda progress, flop: None)
    heard(
        {
            "progress": {"loss": float("nan"), "stage": "x" * 30, "epoch": True, "rows": 5, "step": 2},
            "flop": "9",
        }
    )
    heard({"end": {"state": "winner"}, "predicted": 3})
    assert (heard.progress, heard.flop, heard.end, heard.predicted) == ({"step": 2}, 0, None, set())
    heard({"progress": {}, "flop": 10})
    heard({"progress": {}, "flop": 5})
    assert heard.flop == 10
    heard({"end": {"state": "done", "reason": None}})
    assert _verdict(heard, Ended(0, None, "", 1.0), True)[0] == "failed"  # no predictions of phase 2
