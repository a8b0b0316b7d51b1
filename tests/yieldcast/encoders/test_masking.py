"""What is hidden of a series: how much, which units, and nothing that is not there."""

import numpy as np
import pytest

from yieldcast.encoders.bands import LAND_COVER, NO_LAND_COVER, STATIC
from yieldcast.encoders.embedding import pixel_inputs
from yieldcast.encoders.masking import STRATEGIES, hide, known_tokens, without

STEPS = 12


@pytest.fixture(scope="module")
def inputs():
    """Random series; the fifth group and a tenth of the values are missing."""
    rng = np.random.default_rng(0)
    x = rng.random((40, STEPS, 17), dtype=np.float32)
    mask = rng.random(x.shape) < 0.1
    mask[..., 9] = True
    mask[:30, 0, 14:16] = False
    return pixel_inputs(x, np.zeros((40, 2)), 0, mask, rng.integers(0, 10, (40, STEPS)))


@pytest.mark.parametrize("strategy", [*STRATEGIES, None])
def test_three_quarters_of_the_known_tokens_are_hidden(inputs, strategy):
    known = known_tokens(inputs)
    hidden = hide(known, np.random.default_rng(1), strategy=strategy)
    assert not (hidden & ~known).any()
    moving = [k for k in range(known.shape[1]) if k != STATIC]
    of, wanted = hidden[:, moving].sum(axis=(1, 2)), np.round(0.75 * known[:, moving].sum(axis=(1, 2)))
    np.testing.assert_array_equal(of, wanted)
    assert 0 < hidden[:, STATIC].sum() < known[:, STATIC].sum()
    again = hide(known, np.random.default_rng(1), strategy=strategy)
    np.testing.assert_array_equal(hidden, again)


def whole_units(hidden, axis):
    """Number of groups (axis 2) or steps (axis 1) of each sample that are hidden whole."""
    return np.delete(hidden, STATIC, axis=1).all(axis=axis).sum(axis=1)


def test_units_are_hidden_whole():
    """Nine groups of twelve tokens: 81 of 108 are hidden, six groups or nine steps, and nine tokens more."""
    known = np.ones((50, 10, STEPS), bool)
    known[:, STATIC, 1:] = False
    made = {name: hide(known, np.random.default_rng(2), strategy=name) for name in STRATEGIES}
    assert (whole_units(made["groups"], 2) == 6).all()
    assert (whole_units(made["steps"], 1) == 9).all()
    assert (whole_units(made["chunk"], 1) == 9).all()
    assert whole_units(made["random"], 2).mean() < 1
    runs = np.diff(np.delete(made["chunk"], STATIC, axis=1).all(axis=1).astype(int), axis=1)
    assert (np.abs(runs).sum(axis=1) <= 2).all()  # one chunk has two ends
    assert (np.abs(np.diff(made["steps"][:, 0].astype(int), axis=1)).sum(axis=1) > 2).any()


def test_hidden_tokens_are_masked(inputs):
    known = known_tokens(inputs)
    hidden = hide(known, np.random.default_rng(3))
    shown = without(inputs, hidden)
    np.testing.assert_array_equal(known_tokens(shown), known & ~hidden)
    assert (shown.dynamic_world[hidden[:, LAND_COVER]] == NO_LAND_COVER).all()
    assert (inputs.mask <= shown.mask).all()
