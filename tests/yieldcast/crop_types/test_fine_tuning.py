"""Networks of encoder and head: their start, their gradients, what they may not know, runs that continue."""

import numpy as np
import pytest

from yieldcast.crop_types.classifier import CropTypeSettings, train
from yieldcast.crop_types.heads import fit_head
from yieldcast.crop_types.run import open_run, write_run
from yieldcast.crop_types.tuning import Tuning, check_settings
from yieldcast.encoders.embedding import pixel_inputs
from yieldcast.errors import ConfigError

keras = pytest.importorskip("keras")


@pytest.fixture(scope="module")
def encoder():
    from yieldcast.encoders.presto import PrestoEncoder

    keras.utils.set_random_seed(1)
    made = PrestoEncoder(notes={"licence": "MIT", "source": "a test"})
    made.build()
    return made


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_a_network_starts_as_the_head_on_the_frozen_encoder(head, classes, encoder):
    from yieldcast.crop_types.fine_tuning import dense_layers, softmax
    from yieldcast.crop_types.network import CropTypeNetwork

    rng = np.random.default_rng(0)
    truth = np.arange(60) % classes
    embedding = (rng.normal(3, 2, (60, 128)) + truth[:, None]).astype(np.float32)
    trained = fit_head(head, embedding, truth)
    hidden = (64,) if head == "mlp" else ()
    network = CropTypeNetwork(encoder, classes + 1, 128, hidden)
    network.build()
    network.start_head(embedding, dense_layers(trained, 128, classes + 1))
    made = softmax(np.asarray(network.classify(embedding), np.float64))
    np.testing.assert_allclose(made[:, :classes], trained.predict_proba(embedding), atol=1e-4)
    assert made[:, classes].max() < 0.01  # a class that the head has not seen


def test_gradients_flow_to_every_weight_of_the_encoder(encoder):
    import tensorflow as tf

    from yieldcast.crop_types.network import CropTypeNetwork
    from yieldcast.encoders.presto import ALL_GROUPS

    rng = np.random.default_rng(2)
    inputs = pixel_inputs(
        rng.random((4, 3, 17), dtype=np.float32), rng.uniform(-60, 60, (4, 2)), 0,
        dynamic_world=rng.integers(0, 9, (4, 3)),
    )  # fmt: skip
    network = CropTypeNetwork(encoder, 2, 128, (8,), ALL_GROUPS, "global")
    network.build()
    _, batch = next(inputs.batches(4))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(network(batch)[:, 0] ** 2)
    for weight, gradient in zip(
        network.trainable_variables, tape.gradient(loss, network.trainable_variables), strict=True
    ):
        assert gradient is not None, weight.path
        assert float(tf.reduce_max(tf.abs(tf.convert_to_tensor(gradient)))) > 0, weight.path
    assert len(encoder.trainable_variables) > 40


def test_settings_that_do_not_go_together_are_refused():
    cases = {
        "expected --head linear or mlp": (CropTypeSettings(head="boosted", mode="finetune"), True, False),
        "received --encoder none": (CropTypeSettings(mode="ssl+finetune"), False, False),
        "uses no --decoder": (CropTypeSettings(mode="finetune"), True, True),
        "belong to networks": (CropTypeSettings(epochs=3), True, False),
    }
    for said, (settings, has_encoder, has_decoder) in cases.items():
        with pytest.raises(ConfigError, match=said):
            check_settings(settings, has_encoder, has_decoder)
    check_settings(CropTypeSettings(mode="scratch", balance="none"), False, False)


def test_left_out_labels_move_nothing(encoder, crops):
    """A network does not know the labels, nor the series, of the places that it is scored on."""
    from yieldcast.crop_types.fine_tuning import TunedLearner

    series = crops(each=8, unlabelled=0)
    classes = np.repeat([0, 1, 2], 8)
    taught, left = np.flatnonzero(np.arange(24) % 4), np.flatnonzero(np.arange(24) % 4 == 0)
    other = classes.copy()
    other[left] = 2 - other[left]
    settings = CropTypeSettings(mode="finetune", epochs=2, learning_rate=0.001)
    changed = series.copy(deep=True)
    changed["values"][left] = changed["values"][left] * 0.5
    first, second = (
        TunedLearner(one, truth, 3, settings, encoder).fit(taught, 0, lambda done, total: None)
        for one, truth in ((series, classes), (changed, other))
    )
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.slow
def test_a_stopped_training_continues_and_the_run_keeps_its_networks(encoder, crops, tmp_path):
    series = crops(each=12)
    settings = CropTypeSettings(mode="ssl+finetune", epochs=2, learning_rate=0.001)
    calls = []

    def stop(done, total):
        calls.append((done, total))
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(series, settings, encoder, tuning=Tuning(None, tmp_path / "RUN", stop))
    parts = sorted(file.name for file in (tmp_path / "RUN" / "unfinished").glob("fold*"))
    assert parts == ["fold_1_1.npz", "fold_2_1.npz"]
    with pytest.raises(ConfigError, match="a training with other series"):
        train(crops(seed=3), settings, encoder, tuning=Tuning(None, tmp_path / "RUN"))
    calls.clear()
    model = train(
        series, settings, encoder, tuning=Tuning(None, tmp_path / "RUN", lambda *c: calls.append(c))
    )
    assert min(calls)[0] > 4  # of eight epochs: the first two folds are not trained again
    other = crops(seed=7)
    expected = model.predict(other, None)
    write_run(tmp_path / "RUN", model, series, {"encoder": {"path": "elsewhere.keras"}})
    assert not (tmp_path / "RUN" / "unfinished").exists()
    opened = open_run(tmp_path / "RUN")
    np.testing.assert_allclose(opened.probabilities(other), expected, atol=1e-6)
    assert opened._own_networks()[0].encoder.notes["licence"] == "MIT"
    with pytest.raises(ConfigError, match="expected no encoder"):
        opened.probabilities(other, tmp_path / "encoder.keras")
    assert set(model.scores) >= {"head", "frozen", "raw"}
