"""Training without labels: it lowers the error of series that it has not seen."""

import numpy as np
import pytest

from yieldcast.encoders.embedding import pixel_inputs

keras = pytest.importorskip("keras")


def waves(count, seed):
    """Red, infrared and a land cover class that follow one curve with another size in each series."""
    rng = np.random.default_rng(seed)
    x, mask = np.zeros((count, 6, 17), np.float32), np.ones((count, 6, 17), bool)
    curve = np.sin(np.arange(6) + rng.uniform(0, 3, (count, 1))) * rng.uniform(0.5, 1.5, (count, 1))
    for column, size in ((8, 1.0), (16, -0.5)):
        x[..., column], mask[..., column] = size * curve, False
    cover = np.where(curve > 0, 2, 7)
    return pixel_inputs(x, np.zeros((count, 2)), 0, mask, cover)


def test_an_epoch_lowers_the_error_of_held_out_series():
    from yieldcast.encoders.presto import PrestoDecoder, PrestoEncoder
    from yieldcast.encoders.pretraining import PretrainingSettings, pretrain, reconstruction_error

    keras.utils.set_random_seed(1)
    encoder, decoder = PrestoEncoder(), PrestoDecoder()
    for one in (encoder, decoder):
        one.build()
    start = [one.get_weights() for one in (encoder, decoder)]
    taught, held = waves(128, 0), waves(32, 1)
    before = reconstruction_error(encoder, decoder, held)
    settings = PretrainingSettings(epochs=1, learning_rate=1e-3)
    pretrain(encoder, decoder, taught, settings, seed=3)
    after = reconstruction_error(encoder, decoder, held)
    assert after < 0.9 * before
    made = encoder.get_weights()
    for one, weights in zip((encoder, decoder), start, strict=True):
        one.set_weights(weights)
    pretrain(encoder, decoder, taught, settings, seed=3)
    for first, second in zip(made, encoder.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)
