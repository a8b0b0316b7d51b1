import numpy as np
import pytest

from yieldcast.forecasting.integrated_gradients import attribute, from_months, in_months


def linear(weights):
    return lambda points: ((points * weights).sum(axis=(1, 2)), np.broadcast_to(weights, points.shape))


def test_a_linear_model_by_hand():
    # Two months, rain and warmth: y = 2 rain1 + 3 rain2 - 10 warmth1 + 0 warmth2.
    weights = np.array([[2.0, -10.0], [3.0, 0.0]])
    found = attribute(
        linear(weights), np.array([[80.0, 1.0], [20.0, 4.0]]), np.array([[100.0, 0.0], [100.0, 0.0]])
    )
    np.testing.assert_allclose(found.values, [[-40.0, -10.0], [-240.0, 0.0]])
    assert (found.difference, found.error) == (pytest.approx(-290.0), pytest.approx(0.0))


def test_a_product_is_shared_and_the_sum_is_complete():
    # y = x0 x1 from 0: on the line both have half (Sundararajan et al. 2017, symmetry).
    def both(points):
        return points[:, 0, 0] * points[:, 0, 1], points[:, :, ::-1]

    found = attribute(both, np.array([[30.0, 40.0]]), np.zeros((1, 2)))
    np.testing.assert_allclose(found.values, [[600.0, 600.0]])


def test_more_points_are_taken_until_the_sum_is_complete():
    # A step at 0.501 of the way: with few points the gradient of the steep part is missed.
    def both(points):
        x = points[:, 0, 0]
        steep = 1 / (1 + np.exp(-(x - 50.1) * 8))
        return 1000 * steep, (8000 * steep * (1 - steep))[:, None, None]

    found = attribute(both, np.array([[100.0]]), np.array([[0.0]]))
    assert found.steps > 16
    assert abs(found.error) <= 10.0


def test_an_accumulated_variable_is_given_to_the_months_that_made_it():
    # y = 1 sum1 + 2 sum2 of degree days d1, d2: d1 counts in both sums, so 3 d1 + 2 d2.
    both = from_months(linear(np.array([[1.0], [2.0]])), summed=0)
    found = attribute(both, np.array([[10.0], [20.0]]), np.array([[0.0], [0.0]]))
    np.testing.assert_allclose(found.values, [[30.0], [40.0]])
    np.testing.assert_allclose(in_months(np.array([[10.0], [30.0]]), 0), [[10.0], [20.0]])
