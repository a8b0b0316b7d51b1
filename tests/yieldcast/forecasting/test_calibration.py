"""Intervals that hold for a year nobody has seen: by hand, against oracles, and on many synthetic worlds."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from yieldcast.errors import RunError
from yieldcast.forecasting.calibration import (
    MAX_POOLED_SHARE,
    PRIOR_DOF,
    Calibration,
    YearEffect,
    calibrate,
    conformal_quantile,
    year_effect_quantile,
)
from yieldcast.forecasting.hindcasts import RawForecasts
from yieldcast.forecasting.table import QUANTILES
from yieldcast.forecasting.year_effects import YearEffectRecord

LAW = settings(max_examples=60, deadline=None)


def raw(years, target, quantiles=None, scale=1.0) -> RawForecasts:
    """Hindcasts of one place a row; the forecast says 0 at every level unless told otherwise."""
    target, n = np.asarray(target, dtype=np.float64), len(years)
    none = np.full(n, np.nan)
    return RawForecasts(
        np.arange(n, dtype=np.int32), np.asarray(years, dtype=np.int16), np.full(n, "MT"), target,
        np.zeros((len(QUANTILES), n)) if quantiles is None else np.asarray(quantiles, dtype=np.float64),
        np.zeros(n), np.broadcast_to(np.float64(scale), n), np.ones(n), np.full((3, n), np.nan),
        np.ones(n, dtype=bool), none, none,
    )  # fmt: skip


def record_of(effects) -> YearEffectRecord:
    effects = np.asarray(effects, dtype=np.float64)
    return YearEffectRecord(tuple(range(2000, 2000 + len(effects))), effects, {})


# --- conformal --------------------------------------------------------------------------------------------


def test_conformal_by_hand():
    # Three years; a year weighs 1/3 whatever its rows: 10 with weight 1/3, then 1, 2 with 1/6 each and
    # 3, 4, 5, 6 with 1/12 each. In order: 1 (1/6), 2 (1/3), 3 (5/12), 4 (1/2), 5 (7/12), 6 (2/3), 10 (1).
    score = np.array([10.0, 1, 2, 3, 4, 5, 6])
    block = np.array([0, 1, 1, 2, 2, 2, 2])
    # Level t needs 4/3 t of the pooled weight: 0.375 -> 1/2, reached at 4 and not before.
    assert conformal_quantile(score, block, 0.5) == 6  # 2/3
    assert conformal_quantile(score, block, 0.51) == 10  # 0.68 > 2/3
    assert conformal_quantile(score, block, 0.74) == 10  # 0.987, just below 99 %
    assert conformal_quantile(score, block, 0.75) == math.inf  # 1: the oddest row would decide
    # From below: 1 - 0.49 = 0.51 asks for 0.68 of the weight above: 10 (1/3), 6 to 3 (2/3), 2 (5/6).
    assert conformal_quantile(score, block, 0.49) == 2
    assert conformal_quantile(score, block, 0.25) == -math.inf


def test_a_year_weighs_the_same_whatever_its_rows():
    rng = np.random.default_rng(1)
    few, more = np.sort(rng.normal(0, 1, 4)), rng.normal(3, 1, 9)
    block = np.array([0] * 4 + [1] * 9)
    once = conformal_quantile(np.concatenate([few, more]), block, 0.6)
    tenfold = np.concatenate([np.repeat(few, 10), more])
    assert conformal_quantile(tenfold, np.array([0] * 40 + [1] * 9), 0.6) == once
    # rows counted alike would have moved: 40 of 49 lie around 0
    assert np.quantile(tenfold, 0.9, method="inverted_cdf") != once


@LAW
@given(st.integers(1, 40), st.floats(0.5, 0.96), st.integers(0, 10**6))
def test_one_row_a_year_is_split_conformal(years, level, seed):
    # Vovk et al. 2005: the ceil((K + 1) t)-th smallest of K exchangeable scores.
    score = np.random.default_rng(seed).normal(0, 1, years)
    rank = math.ceil((years + 1) * level - years * 1e-12)
    expected = np.sort(score)[rank - 1] if level * (years + 1) / years <= MAX_POOLED_SHARE else math.inf
    assert conformal_quantile(score, np.arange(years), level) == expected


@LAW
@given(
    st.lists(st.lists(st.integers(-5, 5), min_size=1, max_size=6), min_size=1, max_size=6),
    st.floats(0.5, 0.9),
)
def test_conformal_is_the_smallest_score_that_enough_of_the_years_lie_below(worlds, level):
    score = np.array([s for year in worlds for s in year], dtype=np.float64)
    block = np.repeat(np.arange(len(worlds)), [len(year) for year in worlds])
    wanted = level * (len(worlds) + 1) / len(worlds)

    def below(c: float) -> Fraction:  # years alike, exactly
        return sum(Fraction(sum(s <= c for s in year), len(year)) for year in worlds) / len(worlds)

    enough = [c for c in sorted(set(score)) if below(c) >= wanted - 1e-12]  # the definition, on every score
    found = conformal_quantile(score, block, level)
    assert found == (enough[0] if wanted <= MAX_POOLED_SHARE else math.inf)
    if level > 0.5:  # one half is asked from above only
        assert conformal_quantile(-score, block, 1 - level) == -found


def test_levels_that_so_many_years_can_meet():
    # t (K + 1) / K <= 0.99: K = 4 allows 0.75 (0.9375) and not 0.90; 10 allows 0.90 (exactly 0.99);
    # 23 does not allow 0.95 (0.9913), 24 does (0.9896).
    rng = np.random.default_rng(2)
    for years, expected in (
        (3, {0.5}),
        (4, {0.25, 0.5, 0.75}),
        (10, {0.1, 0.25, 0.5, 0.75, 0.9}),
        (23, {0.1, 0.25, 0.5, 0.75, 0.9}),
        (24, set(QUANTILES)),
    ):
        found = calibrate(raw(np.arange(2000, 2000 + years), rng.normal(0, 1, years)), None)
        assert {level for level, met in zip(QUANTILES, found.conformal, strict=True) if met} == expected


# --- the year effect --------------------------------------------------------------------------------------


def test_year_effect_by_hand():
    # Effects -1, 0, 1: variance 1 with 2 degrees of freedom; a new year is wider by sqrt(1 + 1/3).
    alone = YearEffect.of(np.array([-1.0, 0, 1]), None)
    assert (alone.spread, alone.dof) == (pytest.approx(math.sqrt(4 / 3)), 2)
    # The record's variance of 4 counts for four years: (2 x 1 + 4 x 4) / 6 = 3, 6 degrees.
    assert PRIOR_DOF == 4
    both = YearEffect.of(np.array([-1.0, 0, 1]), 4.0)
    assert (both.spread, both.dof) == (pytest.approx(math.sqrt(3 * 4 / 3)), 6)
    # One year alone says nothing of how far years lie apart: the record's variance as it is, times 1 + 1.
    one = YearEffect.of(np.array([5.0]), 4.0)
    assert (one.spread, one.dof) == (pytest.approx(math.sqrt(8)), 4)
    assert YearEffect.of(np.array([5.0]), None) == YearEffect(0.0, 1.0)


def mixture(rng, years=5, rows=400):
    block = np.repeat(np.arange(years), rows)
    score = rng.normal(0, 0.8, years)[block] + rng.gamma(2, 0.5, years * rows) * rng.choice(
        [-1, 1], years * rows
    )
    return score, block


@pytest.mark.parametrize("prior", [None, 0.5])
def test_year_effect_quantile_solves_its_equation(prior):
    score, block = mixture(np.random.default_rng(3))
    effects = np.array([score[block == k].mean() for k in range(5)])
    spread = math.sqrt(
        (1 + 1 / 5) * (effects.var(ddof=1) if prior is None else (4 * effects.var(ddof=1) + 4 * prior) / 8)
    )
    dof = 4 if prior is None else 8
    rest = score - effects[block]
    for level in QUANTILES:
        found = year_effect_quantile(score, block, level, prior)
        # the explicit mixture over all rows, not over the 200 quantiles of each year
        assert stats.t.cdf((found - rest) / spread, dof).mean() == pytest.approx(level, abs=0.002)


def test_year_effect_quantile_against_random_draws():
    score, block = mixture(rng := np.random.default_rng(4))
    effects = np.array([score[block == k].mean() for k in range(5)])
    draws = 400_000
    new_year = stats.t.rvs(4, size=draws, random_state=rng) * math.sqrt(1.2 * effects.var(ddof=1))
    rest = rng.choice(score - effects[block], draws)
    for level in (0.05, 0.25, 0.5, 0.95):
        drawn = np.quantile(new_year + rest, level)
        assert year_effect_quantile(score, block, level, None) == pytest.approx(drawn, abs=0.04)


def test_years_without_any_effect_leave_the_rows_own_distribution():
    rows = np.linspace(-1, 1, 201)
    score, block = np.tile(rows, 3), np.repeat(np.arange(3), 201)
    for level in QUANTILES:
        found = year_effect_quantile(score, block, level, None)
        assert found == pytest.approx(2 * level - 1, abs=0.006)  # uniform on -1..1; steps of the grid: 0.005


def test_a_year_of_few_rows_counts_as_much_as_one_of_many():
    # Year 0 has 2 rows 4 apart, year 1 has 400 rows all alike; both have the mean 0, so no year effect.
    score = np.concatenate([[-2.0, 2.0], np.zeros(400)])
    block = np.array([0] * 2 + [1] * 400)
    # Half of the mixture lies evenly (linear between its two rows) on -2..2: 10 % of all lies below -1.2.
    assert year_effect_quantile(score, block, 0.10, None) == pytest.approx(-1.2, abs=0.03)


@LAW
@given(st.integers(0, 10**6), st.one_of(st.none(), st.floats(0.01, 4)), st.floats(-3, 3), st.floats(0.1, 9))
def test_year_effect_quantile_moves_as_the_scores_do(seed, prior, shift, factor):
    score, block = mixture(np.random.default_rng(seed), years=3, rows=15)
    low, high = (year_effect_quantile(score, block, level, prior) for level in (0.1, 0.9))
    assert low < high
    # A left-out year errs to either side: a shift common to all years is taken off with the effects.
    assert year_effect_quantile(score + shift, block, 0.9, prior) == pytest.approx(high, abs=1e-6)
    wider = None if prior is None else prior * factor**2
    assert year_effect_quantile(score * factor, block, 0.9, wider) == pytest.approx(high * factor, rel=1e-6)
    assert year_effect_quantile(-score, block, 0.1, prior) == pytest.approx(-high, abs=1e-6)


# --- both together ----------------------------------------------------------------------------------------


def test_the_outer_of_the_two_counts_at_every_level():
    rng = np.random.default_rng(5)
    years = np.repeat(np.arange(2000, 2030), 20)
    target = rng.normal(0, 1, 30)[years - 2000] + rng.normal(0, 1, 600)
    hindcasts, record = raw(years, target, scale=2.0), record_of([0.1, -0.3, 0.2, 0.4, -0.1])
    found = calibrate(hindcasts, record)
    assert found.years == tuple(range(2000, 2030))
    assert found.record == 5
    assert found.conformal.all()
    outer = 0
    for shift, level in zip(found.shift, QUANTILES, strict=True):
        score, block = target / 2.0, years - 2000
        smooth = year_effect_quantile(score, block, level, record.variance)
        strict = conformal_quantile(score, block, level)
        assert shift == (max if level > 0.5 else min if level < 0.5 else lambda a, _: a)(smooth, strict)
        outer += shift == strict
    assert 0 < outer < len(QUANTILES)  # each decides somewhere


def test_calibration_by_hand():
    # Three years, forecasts 100 at every level, yields 90, 110, 130, scale 10: scores -1, 1, 3; no rest.
    found = calibrate(raw([2010, 2011, 2012], [90.0, 110.0, 130.0], np.full((7, 3), 100.0), 10.0), None)
    # Variance 4, with 1 + 1/3: spread sqrt(16/3). Student's t with two degrees of freedom has the quantile
    # (2 p - 1) / sqrt(2 p (1 - p)).
    p = np.array(QUANTILES)
    expected = math.sqrt(16 / 3) * (2 * p - 1) / np.sqrt(2 * p * (1 - p))
    np.testing.assert_allclose(found.shift, expected, atol=1e-6)
    assert found.conformal.tolist() == [False, False, False, True, False, False, False]  # 0.5 x 4/3 only
    assert (found.years, found.record) == ((2010, 2011, 2012), 0)
    new = raw([2013, 2013], [np.nan] * 2, np.array([[5000.0, 100.0]] * 7), np.array([10.0, 50.0]))
    applied = found.apply(new)
    np.testing.assert_allclose(applied[0], 5000 + 10 * expected)
    np.testing.assert_allclose(applied[1], np.maximum(100 + 50 * expected, 0))


def test_two_years_alone_make_no_interval():
    two = raw([2010, 2011], [90.0, 130.0])
    for record, kept in ((None, 0), (record_of([0.1, 0.2, 0.3, 0.4]), 4)):
        with pytest.raises(
            RunError, match=f"three harvest years.*of 5 years or more; received 2 and {kept}$"
        ):
            calibrate(two, record)
    assert calibrate(two, record_of([0.1, 0.2, 0.3, 0.4, -0.5])).record == 5


@LAW
@given(st.integers(0, 10**6))
def test_applied_quantiles_rise_and_are_not_below_zero(seed):
    rng = np.random.default_rng(seed)
    shift = np.sort(rng.normal(0, 3, 7))[rng.permutation(7)]  # even a shift that falls
    quantiles = rng.uniform(0, 3000, (7, 50))
    scale = rng.uniform(1, 900, 50)
    some = Calibration(shift, (1, 2), 0, np.zeros(7, dtype=bool)).apply(
        raw([2012] * 50, [np.nan] * 50, quantiles, scale)
    )
    assert some.shape == (50, 7)
    assert (np.diff(some, axis=1) >= 0).all()
    assert (some >= 0).all()
    # no level was lowered: falling quantiles are lifted to the one before
    assert (some >= (quantiles.T + scale[:, None] * shift) - 1e-9).all()


# --- does it hold? ----------------------------------------------------------------------------------------


def covered(years: int, worlds: int, seed: int) -> tuple[float, float]:
    """Mean share of a new year's rows within 90 % intervals: ours, and of all rows taken as exchangeable.

    Fifty rows a year, shared year effects and rows' own errors of the same spread.
    """
    rng, rows = np.random.default_rng(seed), 50
    block, shares = np.repeat(np.arange(years), rows), []
    for _ in range(worlds):
        error = np.repeat(rng.normal(0, 1, years + 1), rows) + rng.normal(0, 1, (years + 1) * rows)
        past, new = error[:-rows], error[-rows:]
        ours = [year_effect_quantile(past, block, level, None) for level in (0.05, 0.95)]
        order, rank = np.sort(past), math.ceil(0.95 * (len(past) + 1))
        pooled = order[-rank], order[rank - 1]
        shares.append([((new >= low) & (new <= high)).mean() for low, high in (ours, pooled)])
    mine, naive = np.mean(shares, axis=0)
    return float(mine), float(naive)


def test_intervals_cover_a_year_nobody_has_seen():
    ours, pooled = covered(years=8, worlds=150, seed=1)
    assert 0.88 <= ours <= 0.94
    assert pooled < 0.87
    assert ours - pooled > 0.03
    ours, pooled = covered(years=3, worlds=150, seed=2)
    assert ours >= 0.85
    assert ours - pooled > 0.08
