"""The response network: 0 for normal weather, straight in the crop-water effect, else bounded."""

import numpy as np
import pytest
from keras import ops

from yieldcast.models.response_network import ResponseNetwork

NETWORK = ResponseNetwork(lstm_units=5, place_units=3, head_units=4)
STEPS, VARIABLES, FEATURES = 6, 4, 3


def weights(seeds=(1, 2), kick=0.0):
    """Weights of some members, all of them moved by `kick` times random numbers."""
    rng = np.random.default_rng(0)
    members = [NETWORK.initial(seed, VARIABLES, FEATURES) for seed in seeds]
    stacked = {name: np.stack([one[name] for one in members]) for name in members[0]}
    return {n: (v + kick * rng.normal(size=v.shape)).astype(np.float32) for n, v in stacked.items()}


def inputs(rows=7, seed=3):
    rng = np.random.default_rng(seed)
    shapes = (rows, STEPS, VARIABLES), (rows, FEATURES), (2, rows)
    return tuple(rng.normal(size=shape).astype(np.float32) for shape in shapes)


def forward(*given, **more):
    return ops.convert_to_numpy(NETWORK.forward(*given, **more))


def test_normal_weather_gives_exactly_zero():
    _, place, _ = inputs(rows=301)
    nothing = np.zeros((301, STEPS, VARIABLES), np.float32), place, np.zeros((2, 301), np.float32)
    assert (forward(weights(kick=1.0), *nothing) == 0.0).all()


def test_an_untrained_member_is_the_water_response():
    weather, place, linear = inputs()
    np.testing.assert_array_equal(forward(weights(), weather, place, linear), linear)


def test_the_linear_path_goes_on_where_the_network_is_bounded():
    moved = weights(kick=0.5)
    weather, place, linear = inputs()
    one, three = (forward(moved, weather, place, k * linear) for k in (1, 3))
    gain = moved["gain"]
    np.testing.assert_allclose(three - one, gain * 2 * linear, rtol=1e-4, atol=1e-5)
    far = forward(moved, 1e6 * weather, place, 0 * linear)
    largest = np.abs(moved["join_weather/kernel"]).sum(axis=1)  # an LSTM's state lies within -1 to 1
    bound = NETWORK.scale * (largest * np.abs(moved["out/kernel"][..., 0])).sum(axis=1)
    assert (np.abs(far) <= bound[:, None] + 1e-5).all()
    assert np.abs(far).max() > 0


def test_members_are_independent():
    both, weather = weights(kick=0.5), inputs()
    alone = {name: value[1:] for name, value in both.items()}
    np.testing.assert_allclose(
        forward(both, *weather)[1:], forward(alone, weather[0], weather[1], weather[2][1:]), rtol=1e-5
    )


def test_noise_moves_the_weather_only():
    moved, (weather, place, linear) = weights(kick=0.5), inputs()
    noise = np.stack([np.ones_like(weather), np.zeros_like(weather)])
    noisy, plain = forward(moved, weather, place, linear, noise=noise), forward(moved, weather, place, linear)
    np.testing.assert_array_equal(noisy[1], plain[1])
    np.testing.assert_allclose(noisy[0], forward(moved, weather + 1, place, linear)[0], rtol=1e-5)


def test_the_penalty_is_the_square_of_kernels_and_of_the_gain_less_one():
    moved = weights(kick=0.5)
    kernels = sum((v**2).sum(axis=(1, 2)) for n, v in moved.items() if n.endswith("kernel"))
    expected = NETWORK.l2 * kernels + NETWORK.gain_l2 * (moved["gain"][:, 0] - 1) ** 2
    np.testing.assert_allclose(ops.convert_to_numpy(NETWORK.penalty(moved)), expected, rtol=1e-5)


def test_initial_weights_follow_from_the_seed():
    one, same, other = (NETWORK.initial(seed, VARIABLES, FEATURES) for seed in (1, 1, 2))
    assert all((one[name] == same[name]).all() for name in one)
    assert not (one["lstm/kernel"] == other["lstm/kernel"]).all()
    assert one["lstm/kernel"].std() == pytest.approx(np.sqrt(2 / (VARIABLES + 20)), rel=0.2)
