"""Observations of one step to one value, as whole images."""

import numpy as np
import pytest

from yieldcast.pixels.compositing import combined, over_observations


@pytest.mark.parametrize("kind", ["reflectance", "index", "radar", "temperature"])
def test_whole_images_are_combined_as_series_are(kind):
    draws = np.random.default_rng(3)
    values = draws.normal(-12 if kind == "radar" else 250, 3, (7, 4, 5)).astype(np.float32)
    values[draws.random(values.shape) < 0.5] = np.nan
    values[:, 1, 2] = np.nan
    images = over_observations(values, kind)
    series = combined(values.reshape(7, -1).T, np.zeros(7, np.int64), 1, kind)[:, 0]
    np.testing.assert_allclose(images.ravel(), series, rtol=1e-6)
    assert np.isnan(images[1, 2])
    assert np.isfinite(images).sum() > 10


def test_the_median_and_the_mean_power_by_hand():
    four = np.array([[1000], [4000], [np.nan], [1200], [1300]], np.float32)
    assert over_observations(four, "reflectance").tolist() == [1250.0]
    decibels = np.array([[-10.0], [-20.0]], np.float32)  # powers 0.1 and 0.01
    assert over_observations(decibels, "radar")[0] == pytest.approx(10 * np.log10(0.055), abs=1e-5)
