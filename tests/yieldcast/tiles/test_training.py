"""Augmentation, scores, and the training of a small network, also after a stop."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score
from sklearn.utils.class_weight import compute_class_weight

from yieldcast.errors import ConfigError, RunError, SchemaError
from yieldcast.tiles.augmentation import augmented, random_window
from yieldcast.tiles.generalise import cells, mean_scores, study
from yieldcast.tiles.patches import PatchSet, survey
from yieldcast.tiles.run import open_run, refuse_existing, train_run
from yieldcast.tiles.scores import confusion, tile_scores
from yieldcast.tiles.synthetic import synthetic_patches
from yieldcast.tiles.trainer import TrainSettings, batches, class_weights
from yieldcast.tiles.unet import small_encoder, tile_network

SIDE = 32
SETTINGS = TrainSettings(seed=1, epochs=20, batch=2, patience=20)
CLASSES = ("maize", "soybean", "rice", "wheat", "other")


def patch_set(count, seed=0):
    images, labels = synthetic_patches(count, SIDE, seed, shares=(1, 0, 0, 1, 0))
    texts = np.full(count, "", dtype="U1")

    def load(k):
        return np.moveaxis(images[k], 0, -1).astype(np.float32) / 1e4, labels[k].astype(np.int8) - 1

    return PatchSet(np.array([str(k) for k in range(count)]), texts, texts, texts, CLASSES, (), load)


def pixel_network(classes=5, seed=0):
    """In the place of the U-Net, which takes seconds to compile: a frozen and a trained layer of pixels."""
    import keras

    keras.utils.set_random_seed(seed)
    image = keras.Input((None, None, 13))
    encoder = keras.Model(image, keras.layers.Conv2D(32, 1, activation="relu")(image), name="encoder")
    encoder.trainable = False
    hidden = keras.layers.BatchNormalization()(encoder(image))
    return keras.Model(image, keras.layers.Conv2D(classes, 1)(hidden))


def test_augmented_images_and_labels_stay_together():
    """In an image that holds its own positions, each label comes from the pixel nearest to the value."""
    y, x = np.mgrid[:40, :30].astype(np.float32)
    image = np.stack([y, x], axis=-1)
    label = (np.arange(1200).reshape(40, 30) % 120).astype(np.int8)
    flips = set()
    for seed in range(30):
        rng = np.random.default_rng(seed)
        made, codes = augmented(image, label, 32, rng)
        at = np.floor(made + 0.5).astype(int)
        np.testing.assert_array_equal(codes, label[at[..., 0], at[..., 1]])
        flips.add((made[0, 0, 0] > made[-1, 0, 0], made[0, 0, 1] > made[0, -1, 1]))
    assert len(flips) == 4
    assert augmented(image, label, 32, np.random.default_rng(1))[0].shape == (32, 32, 2)


def test_crops_keep_half_of_the_area():
    rng = np.random.default_rng(0)
    for _ in range(200):
        (top, down), (left, right) = random_window(50, 40, rng)
        assert 0 <= top <= 50 - down
        assert 0 <= left <= 40 - right
        assert 0.45 * 2000 <= down * right <= 2000


def test_scores_are_those_of_scikit_learn():
    rng = np.random.default_rng(0)
    truth = rng.integers(-1, 4, (3, 20, 20)).astype(np.int8)  # the last class never occurs
    found = rng.integers(0, 5, truth.shape)
    known = truth >= 0
    scores = tile_scores(confusion(truth, found, 5), CLASSES)
    assert scores.pixels == known.sum()
    assert scores.accuracy == pytest.approx(accuracy_score(truth[known], found[known]))
    wanted = f1_score(truth[known], found[known], labels=range(4), average=None)
    assert list(scores.f1.values()) == pytest.approx(wanted)
    assert scores.macro_f1 == pytest.approx(wanted.mean())


def test_weights_of_classes():
    pixels = np.array([50, 30, 0, 20, 100])
    assert class_weights(pixels, "plain").tolist() == [1] * 5
    every = np.repeat([0, 1, 3, 4], [50, 30, 20, 100])
    wanted = compute_class_weight("balanced", classes=np.array([0, 1, 3, 4]), y=every)
    assert class_weights(pixels, "weighted")[[0, 1, 3, 4]] == pytest.approx(wanted)
    assert class_weights(pixels, "weighted")[2] == 0


def test_pixels_without_data_have_no_weight():
    patches, settings = patch_set(3), TrainSettings(batch=2)
    made = list(batches(patches, np.arange(3), SIDE, np.ones(5, np.float32), settings, 0))
    assert [len(images) for images, _, _ in made] == [2, 1]
    for _, labels, weight in made:
        assert weight.sum() == pytest.approx(1, abs=1e-5)
        assert (weight == 0).any()
        assert labels.min() == 0
    again = list(batches(patches, np.arange(3), SIDE, np.ones(5, np.float32), settings, 0))
    np.testing.assert_array_equal(made[0][0], again[0][0])
    other = list(batches(patches, np.arange(3), SIDE, np.ones(5, np.float32), settings, 1))
    assert (made[0][0] != other[0][0]).any()


class StopError(Exception):
    """In the place of Ctrl-C."""


def digest(network):
    return hashlib.sha256(b"".join(np.asarray(v).tobytes() for v in network.get_weights())).hexdigest()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run, and the weights that its encoder had before."""
    network = pixel_network()
    before = network.get_layer("encoder").get_weights()
    path = tmp_path_factory.mktemp("tiles") / "run"
    return train_run(path, survey(patch_set(24)), network, SETTINGS, {"weights": None}), before


def test_a_network_learns_and_its_frozen_part_stays(trained):
    run, before = trained
    losses = [held for _, held in run.record["training"]["history"]]
    assert min(losses) < 0.8 * losses[0]
    assert losses[run.record["training"]["best_epoch"] - 1] == min(losses)
    assert run.scores.accuracy > run.scores.majority + 0.2
    encoder = run.network.get_layer("encoder")
    assert all((a == b).all() for a, b in zip(before, encoder.get_weights(), strict=True))
    parts = run.record["patches"]
    assert (parts["train"], parts["stop"], parts["test"]) == (20, 2, 2)


def test_a_training_that_was_stopped_goes_on_to_the_same_weights(trained, tmp_path):
    found, path = survey(patch_set(24)), tmp_path / "run"

    def stop(done, total):
        if done == 3:
            raise StopError

    with pytest.raises(StopError):
        train_run(path, found, pixel_network(), SETTINGS, {"weights": None}, stop)
    with pytest.raises(RunError, match="has not ended"):
        open_run(path)
    for settings, patches in ((TrainSettings(seed=1, epochs=20, batch=3), found), (SETTINGS, patch_set(23))):
        other = patches if patches is found else survey(patches)
        with pytest.raises(ConfigError, match="received another one"):
            train_run(path, other, pixel_network(), settings, {})
    epochs = []
    run = train_run(path, found, pixel_network(), SETTINGS, {}, lambda done, total: epochs.append(done))
    assert epochs == list(range(4, 21))
    assert digest(run.network) == digest(trained[0].network)
    assert run.record["scores"] == trained[0].record["scores"]
    assert not (path / "unfinished.npz").exists()


@pytest.mark.slow
def test_the_network_of_tiles_learns_on_a_frozen_encoder(tmp_path):
    network = tile_network(small_encoder(0), len(CLASSES), frozen=True, channels=(16, 16, 16, 16, 16))
    before = network.get_layer("encoder").get_weights()
    run = train_run(tmp_path / "run", survey(patch_set(24)), network, SETTINGS, {"weights": None})
    assert run.scores.accuracy > run.scores.majority + 0.1
    after = network.get_layer("encoder").get_weights()
    assert all((a == b).all() for a, b in zip(before, after, strict=True))
    # normalisation of a frozen encoder does not look at the other images of a batch
    images = np.random.default_rng(0).uniform(0, 0.5, (2, 32, 32, 13)).astype(np.float32)
    together, alone = (np.asarray(network(x, training=False)) for x in (images, images[:1]))
    np.testing.assert_allclose(together[:1], alone, atol=1e-4)


def test_an_opened_run_is_the_trained_one(trained, tmp_path):
    run, _ = trained
    opened = open_run(run.path)
    assert digest(opened.network) == digest(run.network)
    assert (opened.classes, opened.scores) == (CLASSES, run.scores)
    with pytest.raises(ConfigError, match="holds a run already"):
        refuse_existing(run.path)
    (tmp_path / "network.keras").write_bytes(b"network")
    (tmp_path / "tiles.json").write_bytes((run.path / "tiles.json").read_bytes())
    with pytest.raises(RunError, match="was changed"):
        open_run(tmp_path)
    with pytest.raises(RunError, match="not a run"):
        open_run(tmp_path / "none")


def of_countries(countries):
    found = survey(patch_set(len(countries)))
    return replace(found, patches=replace(found.patches, countries=np.array(countries)))


def test_cells_of_the_study_keep_the_test_patches_out():
    found = of_countries(["a"] * 30 + ["b"] * 20 + ["c"] * 12)
    made = list(cells(found, (5, 15), 2, 0))
    names = ["OOD", "OOD + 5 ID", "OOD + 15 ID", "5 ID", "15 ID"]
    assert [one.setting for one in made if one.country == "a"] == names * 2
    assert [one.setting for one in made if one.country == "c"] == ["OOD", "OOD + 5 ID", "5 ID"] * 2
    for one in made:
        own = found.patches.countries[one.test]
        assert set(own) == {one.country}
        taught = np.concatenate([one.train, one.stop])
        assert not set(taught) & set(one.test)
        local = (found.patches.countries[taught] == one.country).sum()
        assert (local, len(one.test)) == (one.k, {"a": 3, "b": 2, "c": 1}[one.country])
        others = (found.patches.countries != one.country).sum() if one.outside else 0
        assert len(taught) == len(set(taught)) == others + one.k
        same = [set(two.test) for two in made if (two.country, two.draw) == (one.country, one.draw)]
        assert all(tests == set(one.test) for tests in same)
    with pytest.raises(SchemaError, match="two countries or more"):
        list(cells(of_countries(["a"] * 5), (5,), 1, 0))
    with pytest.raises(ConfigError, match="from 1 on"):
        list(cells(found, (0, 5), 1, 0))


@pytest.mark.slow
def test_a_study_goes_on_where_it_was_stopped(tmp_path):
    found = of_countries(["a"] * 8 + ["b"] * 8)
    settings, trained = TrainSettings(epochs=2, batch=8), []

    def network(classes, seed):
        if len(trained) == 2:
            raise StopError
        trained.append(seed)
        return pixel_network(classes, seed)

    with pytest.raises(StopError):
        study(found, (4,), 1, settings, network, tmp_path)
    results = study(found, (4,), 1, settings, pixel_network, tmp_path)
    assert [(one.country, one.setting, one.train, one.test) for one in results] == [
        ("a", "OOD", 7, 1), ("a", "OOD + 4 ID", 11, 1), ("a", "4 ID", 3, 1),
        ("b", "OOD", 7, 1), ("b", "OOD + 4 ID", 11, 1), ("b", "4 ID", 3, 1),
    ]  # fmt: skip
    assert study(found, (4,), 1, settings, network, tmp_path) == results  # nothing is trained again
    assert mean_scores(results)["a", "4 ID"][0] == results[2].scores.accuracy
    with pytest.raises(ConfigError, match="another study"):
        study(found, (4,), 1, TrainSettings(epochs=3, batch=8), network, tmp_path)
