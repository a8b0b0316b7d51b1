"""Intervals of states and the country: errors of one year are shared, so they do not average out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from yieldcast.forecasting.aggregation import aggregate
from yieldcast.forecasting.calibration import calibrate
from yieldcast.forecasting.hindcasts import RawForecasts
from yieldcast.forecasting.table import QUANTILES
from yieldcast.forecasting.year_effects import YearEffectRecord

ENDS = QUANTILES.index(0.05), QUANTILES.index(0.95)


def rows(places, years, states, error=0.0, mean=3000.0, scale=100.0) -> RawForecasts:
    """Forecasts without any spread of their own; targets are `mean` + `error`."""
    n = len(places)
    mean, error, scale = (np.broadcast_to(np.float64(x), n) for x in (mean, error, scale))
    none = np.full(n, np.nan)
    return RawForecasts(
        np.asarray(places, dtype=np.int32), np.asarray(years, dtype=np.int16), np.asarray(states),
        mean + error, np.tile(mean, (len(QUANTILES), 1)), mean, scale, np.ones(n), np.full((3, n), np.nan),
        np.ones(n, dtype=bool), none, none,
    )  # fmt: skip


def panel_of(states, years, error, **more) -> RawForecasts:
    """Every place in every year; error (year, place)."""
    count = len(states)
    return rows(
        np.tile(np.arange(count), len(years)), np.repeat(years, count), np.tile(states, len(years)),
        np.asarray(error, dtype=np.float64).ravel(), **more,
    )  # fmt: skip


def width(quantiles) -> float:
    return float(quantiles[..., ENDS[1]] - quantiles[..., ENDS[0]])


def test_one_place_by_hand():
    # One place of 50 ha, scale 100, errors -100, 0, 100 in three years: scores -1, 0, 1, variance 1,
    # spread sqrt(4/3) with two degrees of freedom, around the new forecast's 4000.
    past = panel_of(["MT"], [2011, 2012, 2013], [[-100], [0], [100]])
    new = rows([0], [2014], ["MT"], mean=4000.0)
    found = aggregate(new, np.array([50.0]), past, None)
    assert found.names == ["all", "MT"]
    expected = 4000 + 100 * math.sqrt(4 / 3) * stats.t.ppf(QUANTILES, 2)
    np.testing.assert_allclose(found.quantiles_kg_ha, [expected, expected])
    assert found.mean_kg_ha.tolist() == [4000, 4000]
    assert (found.area_ha.tolist(), found.municipalities.tolist()) == ([50, 50], [1, 1])


def test_area_weighting_by_hand():
    # MT: 100 ha and 300 ha; RS: 600 ha. Means 2000, 4000, 3000, scales 100, 200, 400.
    states = ["MT", "MT", "RS"]
    mean, scale = np.array([2000.0, 4000, 3000]), np.array([100.0, 200, 400])
    error = np.array([[100.0, -100, 400], [-50, 150, -800]])
    past = panel_of(states, [2012, 2013], error, mean=np.tile(mean, 2), scale=np.tile(scale, 2))
    new = rows([0, 1, 2], [2014] * 3, states, mean=mean, scale=scale)
    found = aggregate(new, np.array([100.0, 300, 600]), past, None)
    assert found.names == ["all", "MT", "RS"]
    assert found.area_ha.tolist() == [1000, 400, 600]
    assert found.municipalities.tolist() == [3, 2, 1]
    # (100 x 2000 + 300 x 4000) / 400 = 3500; all: (1,400,000 + 600 x 3000) / 1000 = 3200
    np.testing.assert_allclose(found.mean_kg_ha, [3200, 3500, 3000])
    # MT: weighted scale (10,000 + 60,000) / 400 = 175; errors (10,000 - 30,000) / 70,000 = -2/7 and
    # (-5000 + 45,000) / 70,000 = 4/7. RS: 1 and -2. All: scale (70,000 + 240,000) / 1000 = 310; errors
    # (-20,000 + 240,000) / 310,000 = 22/31 and (40,000 - 480,000) / 310,000 = -44/31.
    for k, (at, scaled, effects) in enumerate(
        ((3200, 310, (22 / 31, -44 / 31)), (3500, 175, (-2 / 7, 4 / 7)), (3000, 400, (1, -2)))
    ):
        spread = math.sqrt(1.5 * np.var(effects, ddof=1))
        expected = at + scaled * spread * stats.t.ppf(QUANTILES, 1)
        np.testing.assert_allclose(found.quantiles_kg_ha[k], np.maximum(expected, 0))
    # values of the rows, weighted alike; those without a value do not count
    np.testing.assert_allclose(found.average(np.array([1.0, 5, 10])), [(100 + 1500 + 6000) / 1000, 4, 10])
    np.testing.assert_allclose(found.average(np.array([np.nan, 5, np.nan])), [5, 5, np.nan])


def test_the_longer_record_lends_its_variance_to_each_aggregate():
    past = panel_of(["MT", "RS"], [2012, 2013], [[100.0, 100], [-100, -100]])
    new = rows([0, 1], [2014] * 2, ["MT", "RS"])
    lent = {"all": np.array([3.0, -3] * 3), "MT": np.array([0.5, -0.5] * 3), "RS": np.array([1.0, -1])}
    record = YearEffectRecord(tuple(range(2000, 2006)), np.zeros(6), lent)
    found = aggregate(new, np.array([1.0, 1]), past, record)
    # own variance 2 with one degree; the record's 6/5 x 9 and 6/5 x 0.25 count for four; RS has too few years
    for k, (variance, dof) in enumerate((((2 + 4 * 10.8) / 5, 5), ((2 + 4 * 0.3) / 5, 5), (2.0, 1))):
        expected = 3000 + 100 * math.sqrt(1.5 * variance) * stats.t.ppf(QUANTILES, dof)
        np.testing.assert_allclose(found.quantiles_kg_ha[k], np.maximum(expected, 0))


def both_kinds(shared: float, own: float, years=8, places=60, seed=1):
    rng = np.random.default_rng(seed)
    states = ["MT"] * (places // 2) + ["RS"] * (places // 2)
    error = shared * rng.normal(0, 1, (years, 1)) + own * rng.normal(0, 1, (years, places))
    past = panel_of(states, np.arange(2005, 2005 + years), 100 * error)
    return rows(np.arange(places), [2014] * places, states), past


def test_errors_that_are_fully_shared_leave_the_aggregate_as_wide_as_its_municipalities():
    new, past = both_kinds(shared=1.0, own=0.0, years=3)  # so few that no conformal level is met
    found = aggregate(new, np.full(60, 10.0), past, None)
    municipal = calibrate(past, None).apply(new)
    for k in range(3):
        np.testing.assert_allclose(found.quantiles_kg_ha[k], municipal[0], rtol=1e-6)


def test_errors_that_are_independent_average_out():
    new, past = both_kinds(shared=0.0, own=1.0)
    found = aggregate(new, np.full(60, 10.0), past, None)
    municipal = calibrate(past, None).apply(new)[0]
    # of 60 places 1/sqrt(60) = 0.13 is left, of 30 of a state 0.18
    assert width(found.quantiles_kg_ha[0]) < 0.3 * width(municipal)
    assert width(found.quantiles_kg_ha[0]) < width(found.quantiles_kg_ha[1])


def test_a_years_place_in_the_interval_is_the_share_it_promises():
    # The 90 % interval of the country, over many worlds of eight years with shared and own errors.
    inside = []
    for world in range(250):
        new, past = both_kinds(shared=0.7, own=1.0, years=9, places=10, seed=world)
        last = past.harvest_year == 2013
        found = aggregate(new, np.full(10, 1.0), past.take(~last), None).quantiles_kg_ha[0]
        truth = past.target_kg_ha[last].mean()
        inside.append(found[ENDS[0]] <= truth <= found[ENDS[1]])
    assert np.mean(inside) == pytest.approx(0.90, abs=0.05)  # 2.6 standard errors of 250 coins


def test_a_state_without_hindcasts_takes_the_countrys_years():
    past = panel_of(["MT", "MT"], [2011, 2012, 2013], [[-100, 0], [50, 50], [200, 0]])
    new = rows([0, 1, 2], [2014] * 3, ["MT", "MT", "RS"])
    found = aggregate(new, np.array([10.0, 10, 10]), past, None)
    assert found.names == ["all", "MT", "RS"]
    np.testing.assert_allclose(found.quantiles_kg_ha[2], found.quantiles_kg_ha[0])
    # one year of its own says nothing of how far years lie apart either
    single = panel_of(["RS"], [2013], [[500.0]])
    third = single.take(np.array([0]))
    third = type(third)(**{**vars(third), "municipality": np.array([2], dtype=np.int32)})
    joined = RawForecasts.join([past, third])
    found = aggregate(new, np.array([10.0, 10, 10]), joined, None)
    np.testing.assert_allclose(found.quantiles_kg_ha[2], found.quantiles_kg_ha[0])


def test_without_any_area_places_count_alike():
    states = ["MT", "MT", "RS"]
    mean = np.array([2000.0, 4000, 3000])
    past = panel_of(states, [2012, 2013], [[10, 20, 30], [-10, 0, -40]])
    new = rows([0, 1, 2], [2014] * 3, states, mean=mean)
    none = aggregate(new, np.full(3, np.nan), past, None)
    alike = aggregate(new, np.ones(3), past, None)
    np.testing.assert_allclose(none.quantiles_kg_ha, alike.quantiles_kg_ha)
    np.testing.assert_allclose(none.mean_kg_ha, [3000, 3000, 3000])
    assert np.isnan(none.area_ha).all()  # no area is known: that is not an area of 0 ha
    # a state without areas stands for itself, and weighs next to nothing in the country
    some = aggregate(new, np.array([np.nan, np.nan, 1000.0]), past, None)
    np.testing.assert_allclose(some.mean_kg_ha, [(2000 + 4000 + 1000 * 3000) / 1002, 3000, 3000])
    np.testing.assert_array_equal(some.area_ha, [1000, np.nan, 1000])


def test_hindcasts_of_other_places_only_still_say_how_years_differ():
    # Everything that was hindcast has since stopped growing the crop: its years count alike.
    past = panel_of(["MT", "MT"], [2011, 2012, 2013], [[-100, 0], [50, 50], [200, 0]])
    new = rows([7, 8], [2014] * 2, ["MT", "RS"])
    found = aggregate(new, np.array([10.0, 10]), past, None)
    effects = np.array([-0.5, 0.5, 1.0])
    expected = 3000 + 100 * math.sqrt(4 / 3 * effects.var(ddof=1)) * stats.t.ppf(QUANTILES, 2)
    np.testing.assert_allclose(found.quantiles_kg_ha, [expected] * 3)


def test_no_aggregate_below_zero():
    past = panel_of(["MT"], [2012, 2013], [[-2000.0], [2000]], mean=np.full(2, 3000.0))
    found = aggregate(rows([0], [2014], ["MT"], mean=500.0), np.array([1.0]), past, None)
    assert (found.quantiles_kg_ha >= 0).all()
    assert found.quantiles_kg_ha[0, 0] == 0
    assert (np.diff(found.quantiles_kg_ha, axis=1) >= 0).all()
