"""How municipalities share a state's surprise."""

import numpy as np
import pytest

from yieldcast.models.level_trend import Places
from yieldcast.models.sharing import PRIOR, Sharing, fit_sharing, relative_and_size, state_mean

PLACES = Places(np.array([0, 0, 0, 1, 1]), 3, np.zeros(5), np.zeros(5))
AREA = np.array([10.0, 30.0, np.nan, 5.0, 5.0])


def test_state_means_by_hand():
    found = state_mean(np.array([1000.0, 2000.0, 9000.0, np.nan, 3000.0]), AREA, PLACES)
    np.testing.assert_allclose(found, [1750.0, 3000.0, np.nan])


def test_relative_yield_and_size_by_hand():
    relative, size = relative_and_size(np.array([1750.0, 875.0, 8000.0, 3000.0, 3000.0]), AREA, PLACES)
    of_state = (1750 * 10 + 875 * 30) / 40
    np.testing.assert_allclose(relative, [1750 / of_state - 1, 875 / of_state - 1, 1.0, 0.0, 0.0])
    np.testing.assert_allclose(size, [-0.5, 0.5, -0.25, -0.5, 0.5])  # without an area: a small one


def test_known_coefficients_are_found_and_few_years_stay_near_the_prior():
    rng = np.random.default_rng(0)
    truth = np.array([0.7, 1.0, 0.2])

    def year(noise):
        of_state, relative, size = (rng.normal(0, s, 400) for s in (300, 0.3, 0.3))
        share = truth @ np.stack((np.ones(400), relative, size))
        return share * of_state + rng.normal(0, noise, 400), of_state, relative, size

    many = fit_sharing([year(100.0) for _ in range(30)])
    np.testing.assert_allclose([many.a, many.b, many.c], truth, atol=0.06)
    one = fit_sharing([year(1.0)])  # one year and a prior of one year: half way
    np.testing.assert_allclose([one.a, one.b, one.c], (truth + PRIOR) / 2, atol=0.02)


def test_without_years_the_prior():
    assert fit_sharing([]) == Sharing(*PRIOR)
    nothing = (np.full(3, np.nan), np.zeros(3), np.zeros(3), np.zeros(3))
    assert fit_sharing([nothing]) == Sharing(*PRIOR)


def test_shares_are_limited():
    found = Sharing(0.5, 5.0, 0.0).shares(np.array([-0.7, 0.0, 1.0]), np.zeros(3))
    assert found.tolist() == pytest.approx([0.0, 0.5, 2.5])
