"""Threefry against its authors' known answers, JAX's own, and the distributions that are asked of it."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import numpy as np
import pytest
from scipy import stats

from yieldcast.training import rng


def words(*values):
    return tuple(np.array([value], np.uint32) for value in values)


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [  # kat_vectors of Random123, threefry2x32 with 20 rounds
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_known_answers(counter, key, expected):
    received = rng.bits(words(*key), words(*counter))
    assert tuple(int(np.asarray(word)[0]) for word in received) == expected


def test_normal_numbers_are_normal_and_differ_by_member_epoch_and_stream():
    seed, epoch = np.array([1, 2], np.int32), np.array([0, 5], np.int32)
    found = np.asarray(rng.normal(seed, epoch, np.uint32(3), (100, 9, 4)))
    assert found.shape == (2, 100, 9, 4)
    for member in found:
        assert stats.kstest(member.ravel(), "norm").pvalue > 0.01
    others = [
        rng.normal(seed, epoch + 1, np.uint32(3), (100, 9, 4)),
        rng.normal(seed + 1, epoch, np.uint32(3), (100, 9, 4)),
        rng.normal(seed, epoch, np.uint32(4), (100, 9, 4)),
    ]
    for other in others:
        assert abs(np.corrcoef(np.asarray(other).ravel(), found.ravel())[0, 1]) < 0.05
    alone = np.asarray(rng.normal(seed[1:], epoch[1:], np.uint32(3), (100, 9, 4)))
    np.testing.assert_array_equal(alone[0], found[1])


def test_the_ends_of_the_distribution_are_finite():
    # The largest and smallest 23-bit cell lie 2**-23 from the ends: |z| = 5.29.
    cells = np.array([0, 2**23 - 1], np.float32)
    uniform = cells * np.float32(2.0**-22) + np.float32(2.0**-23 - 1)
    assert uniform.tolist() == [-(1 - 2.0**-23), 1 - 2.0**-23]
    assert np.abs(stats.norm.ppf((uniform.astype(float) + 1) / 2)) == pytest.approx(5.29, abs=0.01)


def test_shuffles_are_orders_of_all_rows_and_every_place_is_as_likely():
    seeds = np.arange(1, 3001, dtype=np.int32)
    orders = np.asarray(rng.shuffles(seeds, np.zeros_like(seeds), 7))
    assert (np.sort(orders, axis=1) == np.arange(7)).all()
    counts = np.stack([np.bincount(orders[:, place], minlength=7) for place in range(7)])
    # 3000 / 7 expected in each cell, 36 degrees of freedom: the 0.999 quantile of chi squared is 68.
    assert ((counts - 3000 / 7) ** 2 / (3000 / 7)).sum() < 68


def test_uniform_numbers_are_uniform_below_1_and_of_one_member_alone():
    seed, epoch = np.array([1, 2], np.int32), np.array([-1, 5], np.int32)
    found = np.asarray(rng.uniform(seed, epoch, rng.SEASONS, (700, 4)))
    assert found.shape == (2, 700, 4)
    assert found.dtype == np.float32
    assert 0 <= found.min() < found.max() < 1
    for member in found:
        assert stats.kstest(member.ravel(), "uniform").pvalue > 0.01
    np.testing.assert_array_equal(found * 2**24 % 1, 0)  # whole 24-bit cells: nothing was rounded up to 1
    assert np.float32((2**24 - 1) * 2.0**-24) < 1
    alone = np.asarray(rng.uniform(seed[1:], epoch[1:], rng.SEASONS, (700, 4)))
    np.testing.assert_array_equal(alone[0], found[1])
    for other in (
        rng.uniform(seed, epoch + 1, rng.SEASONS, (700, 4)),
        rng.uniform(seed, epoch, rng.SEASONS + 1, (700, 4)),
    ):
        assert abs(np.corrcoef(np.asarray(other).ravel(), found.ravel())[0, 1]) < 0.06


def test_shuffles_of_members_with_fewer_rows_put_these_first():
    seeds = np.arange(1, 3001, dtype=np.int32)
    used = np.where(seeds % 2, 5, 7).astype(np.int32)
    orders = np.asarray(rng.shuffles(seeds, np.zeros_like(seeds), 7, used))
    assert (np.sort(orders, axis=1) == np.arange(7)).all()
    fewer = orders[used == 5]
    assert (np.sort(fewer[:, :5], axis=1) == np.arange(5)).all()
    counts = np.stack([np.bincount(fewer[:, place], minlength=5) for place in range(5)])
    # 1500 / 5 = 300 expected in each cell, 16 degrees of freedom: the 0.999 quantile of chi squared is 39.
    assert ((counts - 300) ** 2 / 300).sum() < 39
    # A member that has all of them is shuffled as without the argument, and as alone.
    whole = np.asarray(rng.shuffles(seeds, np.zeros_like(seeds), 7))
    np.testing.assert_array_equal(orders[used == 7], whole[used == 7])
    alone = np.asarray(rng.shuffles(seeds[:1], np.zeros(1, np.int32), 7, used[:1]))
    np.testing.assert_array_equal(alone[0], orders[0])
