"""The encoder of pixel series: published weights, reference pairs, laws of masks and batches."""

from pathlib import Path

import numpy as np
import pytest

from yieldcast.encoders import published
from yieldcast.encoders.bands import BAND_NAMES, GROUPS, normalise
from yieldcast.encoders.embedding import embed, pixel_inputs, read_inputs
from yieldcast.errors import MissingDataError, SchemaError

PRESTO = Path(__file__).parents[4] / "shared" / "croptype" / "presto"
TOLERANCE = 1e-4
keras = pytest.importorskip("keras")


@pytest.fixture(scope="module")
def presto_files():
    if not PRESTO.is_dir():
        pytest.skip("published weights are not beside this checkout")
    return PRESTO


@pytest.fixture(scope="module")
def encoder():
    """With random weights: enough for laws."""
    from yieldcast.encoders.presto import PrestoEncoder

    keras.utils.set_random_seed(1)
    made = PrestoEncoder()
    made.build()
    return made


@pytest.fixture(scope="module")
def series():
    rng = np.random.default_rng(2)
    x = rng.random((5, 6, 17), dtype=np.float32)
    mask = rng.random(x.shape) < 0.3
    return pixel_inputs(x, rng.uniform(-60, 60, (5, 2)), [0, 3, 6, 9, 11], mask, rng.integers(0, 10, (5, 6)))


@pytest.fixture(scope="module")
def original(presto_files):
    arrays, _ = published.read_safetensors(presto_files / "presto_encoder.safetensors")
    return published.encoder_from(arrays, "presto")


@pytest.fixture(scope="module")
def pairs(presto_files):
    return np.load(presto_files / "reference_pairs.npz")


def test_reference_pairs_of_ragged_batch(original, pairs, presto_files):
    got = embed(original, read_inputs(presto_files / "reference_pairs.npz"))
    assert np.abs(got - pairs["embedding"]).max() <= TOLERANCE


@pytest.mark.parametrize("steps", [1, 6, 24])
def test_reference_pairs_of_other_lengths(original, pairs, steps):
    one = {name: pairs[f"T{steps}_{name}"] for name in ("x", "dynamic_world", "latlons", "month")}
    got = embed(original, pixel_inputs(**one))
    assert np.abs(got - pairs[f"T{steps}_embedding"]).max() <= TOLERANCE


def test_reference_pairs_of_decoder(original, pairs, presto_files):
    arrays, _ = published.read_safetensors(presto_files / "presto_decoder.safetensors")
    decoder = published.decoder_from(arrays, "presto")
    inputs = read_inputs(presto_files / "reference_pairs.npz")
    _, batch = next(iter(inputs.batches()))
    batch = {name: values[:32] for name, values in batch.items()}
    tokens, known = original.tokens(batch)
    encoded = original.norm(original.transform(tokens, known))
    bands, cover = decoder(encoded, known, batch["month"], original.channel.embeddings)
    assert np.abs(np.asarray(bands) - pairs["reconstruction"]).max() <= TOLERANCE
    assert np.abs(np.asarray(cover) - pairs["reconstruction_dynamic_world"]).max() <= TOLERANCE


def test_reference_pairs_of_worldcereal(presto_files, pairs):
    arrays, _ = published.read_safetensors(presto_files / "presto_worldcereal_encoder.safetensors")
    tuned = published.encoder_from(arrays, "worldcereal")
    wanted = np.load(presto_files / "reference_pairs_worldcereal.npz")
    monthly = pixel_inputs(pairs["x"], pairs["latlons"], wanted["month12"], pairs["mask"])
    tens = pixel_inputs(wanted["x36"], wanted["latlons36"], wanted["month36"], wanted["mask36"])
    for inputs, steps in ((monthly, 12), (tens, 36)):
        of_series, of_steps = wanted[f"embedding_global{steps}"], wanted[f"embedding_time{steps}"]
        assert np.abs(embed(tuned, inputs) - of_series).max() <= TOLERANCE
        assert np.abs(embed(tuned, inputs, "time")[: len(of_steps)] - of_steps).max() <= TOLERANCE


def test_masked_values_change_nothing(encoder, series):
    """A group's token is gone when any of its bands is masked; its other bands do not matter either."""
    other = series.x.copy()
    for group in GROUPS:
        if group.columns:
            gone = series.mask[..., list(group.columns)].any(axis=-1)
            if group.name == "SRTM":
                gone[:, 1:] = True  # only its first step is read
            other[..., list(group.columns)] = np.where(gone[..., None], 7.0, other[..., list(group.columns)])
    assert not np.array_equal(other, series.x)
    changed = pixel_inputs(other, series.latlons, series.month, series.mask, series.dynamic_world)
    np.testing.assert_allclose(embed(encoder, changed), embed(encoder, series), atol=1e-6)


def test_a_batch_is_its_series_one_by_one(encoder, series):
    alone = [
        embed(encoder, pixel_inputs(*(getattr(series, name)[i : i + 1] for name in (
            "x", "latlons", "month", "mask", "dynamic_world"))))
        for i in range(len(series))
    ]  # fmt: skip
    np.testing.assert_allclose(embed(encoder, series), np.concatenate(alone), atol=2e-6)


def test_series_without_any_value(encoder):
    """The token of the place stays, so that the embedding is defined; steps without tokens are zero."""
    empty = pixel_inputs(np.zeros((1, 3, 17)), [[10.0, 20.0]], 5, np.ones((1, 3, 17)))
    assert np.isfinite(embed(encoder, empty)).all()
    assert (embed(encoder, empty, "time") == 0).all()


def test_gradients_reach_every_weight(encoder, series):
    import tensorflow as tf

    _, batch = next(iter(series.batches()))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(encoder(batch) ** 2 * np.arange(128))
    gradients = tape.gradient(loss, encoder.trainable_variables)
    assert all(found is not None for found in gradients)
    assert sum(float(tf.reduce_sum(tf.abs(tf.convert_to_tensor(one))) > 0) for one in gradients) >= 40


def test_number_of_weights(encoder):
    """402,240 of the encoder are trained; the tables of months and positions are not (ARCHITECTURE, arXiv
    2304.14065, Section 4: 0.4 M)."""
    assert sum(int(np.prod(one.shape)) for one in encoder.trainable_variables) == 402_240
    assert encoder.count_params() == 404_160


def test_a_saved_encoder_is_the_same(encoder, series, tmp_path):
    from yieldcast.encoders.files import load_encoder

    encoder.save(tmp_path / "one.keras")
    again = load_encoder(tmp_path / "one.keras")
    np.testing.assert_array_equal(embed(again, series), embed(encoder, series))


def test_more_steps_than_positions(encoder):
    with pytest.raises(SchemaError, match="at most 24 steps"):
        embed(encoder, pixel_inputs(np.zeros((1, 25, 17)), [[0.0, 0.0]], 0))


def test_files_that_are_no_weights(tmp_path):
    from yieldcast.encoders.files import load_encoder

    with pytest.raises(MissingDataError):
        published.read_safetensors(tmp_path / "none.safetensors")
    for name in ("one.safetensors", "one.keras"):
        (tmp_path / name).write_bytes(b"not weights")
        with pytest.raises(SchemaError, match="not a"):
            load_encoder(tmp_path / name)
    from safetensors.numpy import save_file

    save_file({"pos_embed": np.zeros((1, 24, 64), np.float32)}, tmp_path / "part.safetensors")
    with pytest.raises(SchemaError, match="missing: blocks"):
        load_encoder(tmp_path / "part.safetensors")


def test_normalise_by_hand():
    raw = np.zeros((1, 1, 17), np.float32)
    raw[0, 0, :2] = -10, -25  # dB: (x + 25) / 25
    raw[0, 0, BAND_NAMES.index("B4")], raw[0, 0, BAND_NAMES.index("B8")] = 1000, 3000
    raw[0, 0, BAND_NAMES.index("temperature_2m")] = 290.15  # (x - 272.15) / 35
    raw[0, 0, BAND_NAMES.index("total_precipitation")] = 0.15  # metres a month
    missing = np.zeros(raw.shape, bool)
    values, mask = normalise(raw, missing)
    np.testing.assert_allclose(
        values[0, 0, [0, 1, 4, 8, 12, 13, 16]], [0.6, 0, 0.1, 0.3, 18 / 35, 5, 0.5], rtol=1e-5
    )
    assert not mask.any()
    missing[0, 0, BAND_NAMES.index("B4")] = True
    values, mask = normalise(raw, missing)
    assert mask[0, 0, 16]
    assert values[0, 0, 16] == 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"x": np.zeros((2, 3, 16))}, "17 bands"),
        ({"month": [0, 12]}, "0 to 11"),
        ({"latlons": [[100.0, 0], [0, 0]]}, "latitude"),
        ({"dynamic_world": np.full((2, 3), 10)}, "0 to 9"),
        ({"mask": np.zeros((2, 3))}, "mask of shape"),
        ({"x": np.full((2, 3, 17), np.nan)}, "finite"),
    ],
)
def test_refused_inputs(change, says):
    good = {"x": np.zeros((2, 3, 17)), "latlons": [[0.0, 0], [0, 0]], "month": [0, 1]}
    pixel_inputs(**good)
    with pytest.raises(SchemaError, match=says):
        pixel_inputs(**{**good, **change})


def test_inputs_of_heads_and_the_weights_of_a_run(encoder, tmp_path):
    """Without the location, places change nothing; a run takes the weights of its training only."""
    from yieldcast.crop_types.classifier import CropTypeSettings, head_inputs, train
    from yieldcast.crop_types.run import open_run, write_run
    from yieldcast.encoders.files import weights_mark
    from yieldcast.errors import ConfigError
    from yieldcast.pixels.pixel_series import create

    ndvi = np.random.default_rng(6).uniform(0.2, 0.5, (12, 4)).astype(np.float32)
    ndvi[::2, 1] += 0.4
    month, ids = np.broadcast_to(np.arange(4), ndvi.shape), [f"s{i}" for i in range(12)]
    labels = ["soybean", "pasture"] * 6
    here, there = (
        create({"NDVI": ndvi}, month, np.arange(12.0) + move, np.zeros(12), ids, "month", label=labels)
        for move in (0, 30)
    )
    settings = CropTypeSettings()
    made = head_inputs(here, settings, encoder)
    assert made.shape == (12, 4 * 128)
    np.testing.assert_array_equal(made, head_inputs(there, settings, encoder))
    located = CropTypeSettings(location=True, pool="global")
    assert not np.allclose(
        head_inputs(here, located, encoder), head_inputs(there, located, encoder), atol=1e-3
    )

    model = train(here, settings, encoder)
    encoder.save(tmp_path / "encoder.keras")
    about = {"path": str(tmp_path / "encoder.keras"), "weights_sha256": weights_mark(encoder)}
    write_run(tmp_path / "run", model, here, {"encoder": about})
    opened = open_run(tmp_path / "run")
    np.testing.assert_allclose(opened.probabilities(there), model.predict(here, encoder), atol=1e-6)
    write_run(tmp_path / "other", model, here, {"encoder": {**about, "weights_sha256": "0" * 64}})
    with pytest.raises(ConfigError, match="encoder of the training"):
        open_run(tmp_path / "other").probabilities(here)
