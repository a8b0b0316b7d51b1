"""The longer record of yields: year effects of the history line, and places' usual spread."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from yieldcast.features.yield_history import PlaceYears, YieldHistory
from yieldcast.forecasting import year_effects
from yieldcast.forecasting.year_effects import YearEffectRecord, yield_sd

NAN = np.nan
STATES = {1: "AA", 2: "BB"}
AREA = {1: 100.0, 2: 300.0}


def history(own, first_year=2000, states=STATES) -> YieldHistory:
    own = np.asarray(own, dtype=np.float64)
    years = np.arange(first_year, first_year + own.shape[1])
    table = xr.Dataset(
        {"yield_kg_ha": (("crop", "municipality", "harvest_year"), own[None])},
        coords={"crop": ["soybean"], "municipality": np.arange(1, len(own) + 1), "harvest_year": years},
    )
    return YieldHistory.of(table, states, "soybean")


OWN = [[1000, 1200, 1100, 900, 1500], [2000, 2000, 2000, 2000, 2600]]  # 2000 to 2004
# Place 1. 2003 sees 2000 to 2002: mean 1100, slope 50, trend 1100 + 2 x 50 = 1200, line 1150: -250.
# 2004 sees 2000 to 2003: mean 1050, slope (75 - 75 + 25 - 225) / 5 = -40, trend 1050 - 2.5 x 40 = 950,
# line 1000: +500. Place 2: line 2000 in both years: 0 and +600.
# Variances 10,000 and 50,000/3 of place 1, 0 and 0 of place 2, with 3 and 4 values; mean of the four rows
# 20,000/3. States: AA (80,000/3 + 5 x 20,000/3) / (2 + 5) = 60,000/7, BB (0 + 100,000/3) / 7 = 100,000/21.
SCALE = {
    (1, 2003): math.sqrt((3 * 10_000 + 5 * 60_000 / 7) / 8),
    (1, 2004): math.sqrt((4 * 50_000 / 3 + 5 * 60_000 / 7) / 9),
    (2, 2003): math.sqrt(5 * 100_000 / 21 / 8),
    (2, 2004): math.sqrt(5 * 100_000 / 21 / 9),
}


def rows(places, years, states=STATES) -> PlaceYears:
    return PlaceYears(
        np.array(places, dtype=np.int32),
        np.array([states[p] for p in places]),
        np.array(years, dtype=np.int16),
    )


def test_usual_spread_by_hand():
    places, years = zip(*SCALE, strict=True)
    np.testing.assert_allclose(yield_sd(history(OWN), rows(places, years), 1), list(SCALE.values()))


def test_usual_spread_of_a_place_without_three_years_is_its_states():
    # Place 3 has two values: it has the state's (m u + 5 a) / (m + 5) alone, with one place in the state.
    own = [[1000, 1200, 1100, NAN], [NAN, 500, 900, NAN]]
    found = yield_sd(
        history(own, states={1: "AA", 2: "AA"}), rows([1, 2], [2003, 2003], {1: "AA", 2: "AA"}), 1
    )
    np.testing.assert_allclose(found, [100, 100])  # u = a = 10,000 for both


def test_usual_spread_has_floors():
    # A place that reports the same for years: (9 x 0 + 5 w) / 14, but its state's few places draw it up to w.
    same, wild = np.full(9, 3000.0), 3000 + np.array([-900, 900] * 4 + [0.0])
    many = np.vstack([np.tile(same, (200, 1)), wild])
    states = dict.fromkeys(range(1, 202), "AA")
    found = yield_sd(history(many, states=states), rows(range(1, 202), [2009] * 201, states), 1)
    overall = wild.var(ddof=1) / 201
    assert found[0] == pytest.approx(math.sqrt(5 / 14 * overall))  # above a quarter of the root
    # in a state of its own kind nothing does (w = 5 a / 205): then a quarter of the root of a
    lone = {**states, 201: "BB"}
    quiet = yield_sd(history(many, states=lone), rows(range(1, 202), [2009] * 201, lone), 1)
    assert quiet[0] == pytest.approx(0.25 * math.sqrt(overall))
    assert quiet[200] == pytest.approx(math.sqrt((9 * 201 + 5 * (201 + 5) / 6) / 14 * overall))
    # nothing varies anywhere: one kg/ha, never 0, which errors are divided by
    nothing = yield_sd(history(many[:3], states=states), rows([1, 2, 3], [2009] * 3, states), 1)
    assert nothing.tolist() == [1, 1, 1]
    # nothing is known anywhere: a fifth of the level there is, else 1
    short = yield_sd(history([[1000, NAN], [3000, NAN]]), rows([1, 2], [2002, 2002]), 1)
    np.testing.assert_allclose(short, 400)
    assert yield_sd(history([[NAN, 1], [NAN, 1]]), rows([1, 2], [2001, 2001]), 1).tolist() == [1, 1]


def test_the_record_by_hand():
    found = year_effects.year_effects_to(history(OWN), STATES, 2004, 1, AREA)
    assert found.years == (2003, 2004)
    first = -250 / SCALE[1, 2003]
    second = 500 / SCALE[1, 2004], 600 / SCALE[2, 2004]
    np.testing.assert_allclose(found.effects, [first / 2, sum(second) / 2])
    assert list(found.aggregates) == ["all", "AA", "BB"]
    np.testing.assert_allclose(found.aggregates["AA"], [first, second[0]])
    np.testing.assert_allclose(found.aggregates["BB"], [0, second[1]])
    # weighted by 100 and 300 ha: error over scale, not the mean of their quotients
    together = [
        (100 * -250 + 300 * 0) / (100 * SCALE[1, 2003] + 300 * SCALE[2, 2003]),
        (100 * 500 + 300 * 600) / (100 * SCALE[1, 2004] + 300 * SCALE[2, 2004]),
    ]
    np.testing.assert_allclose(found.aggregates["all"], together)
    assert found.variance is None  # two years say too little
    assert found.aggregate_variance("all") is None


def test_the_record_at_a_longer_lag():
    # Two years from the newest public year to the harvest: 2004 sees 2000 to 2002 and is the first.
    # Place 1: mean 1100, trend 1100 + 3 x 50 = 1250, line 1175, error 325; place 2: 600.
    # Variances 10,000 and 0, mean 5000: states (10,000 + 5 x 5000) / 6 and (0 + 5 x 5000) / 6.
    found = year_effects.year_effects_to(history(OWN), STATES, 2004, 2, AREA)
    assert found.years == (2004,)
    variance = (3 * 10_000 + 5 * 35_000 / 6) / 8, 5 * 25_000 / 6 / 8
    np.testing.assert_allclose(
        found.effects, [np.mean([325 / math.sqrt(variance[0]), 600 / math.sqrt(variance[1])])]
    )


def test_one_odd_year_stands_out():
    rng = np.random.default_rng(1)
    own = 3000 + rng.normal(0, 30, (2, 14))
    own[:, 10] -= 900
    found = year_effects.year_effects_to(history(own), STATES, 2013, 1, AREA)
    assert found.years == tuple(range(2003, 2014))
    odd = found.years.index(2010)
    assert found.effects.argmin() == odd
    assert found.effects[odd] < -5 * np.abs(np.delete(found.effects, odd)[:odd]).max()
    # variance: of the year effects, sample variance; five years or more
    assert found.variance == pytest.approx(found.effects.var(ddof=1))
    assert found.aggregate_variance("AA") == pytest.approx(found.aggregates["AA"].var(ddof=1))
    assert found.aggregate_variance("nowhere") is None


def test_places_without_three_years_before_do_not_count():
    # Place 3 begins in 2002: in 2003 and 2004 it has one and two years behind it.
    late = [*OWN, [NAN, NAN, 9000, 500, 7000]]
    states, area = {**STATES, 3: "BB"}, {**AREA, 3: 1000.0}
    found = year_effects.year_effects_to(history(late, states=states), states, 2004, 1, area)
    expected = year_effects.year_effects_to(history(OWN), STATES, 2004, 1, AREA)
    np.testing.assert_allclose(found.effects, expected.effects)
    for name, effects in expected.aggregates.items():
        np.testing.assert_allclose(found.aggregates[name], effects)


def test_variance_needs_five_known_years():
    gaps = {"AA": np.array([1.0, NAN, 2, 3, 4, NAN]), "BB": np.array([1.0, NAN, 2, 3, 4, 7])}
    some = YearEffectRecord(tuple(range(6)), np.arange(6.0), gaps)
    assert some.aggregate_variance("AA") is None
    assert some.aggregate_variance("BB") == pytest.approx(np.var([1, 2, 3, 4, 7], ddof=1))
    assert some.variance == pytest.approx(3.5)
    assert replace(some, effects=np.arange(4.0)).variance is None


def test_areas_that_nobody_knows_leave_an_aggregate_without_a_record():
    found = year_effects.year_effects_to(history(OWN), STATES, 2004, 1, {1: 100.0})
    assert np.isnan(found.aggregates["BB"]).all()
    np.testing.assert_allclose(found.aggregates["all"], found.aggregates["AA"])
    np.testing.assert_allclose(
        found.effects, year_effects.year_effects_to(history(OWN), STATES, 2004, 1, AREA).effects
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(2003, 2011))
def test_nothing_after_the_last_year_is_read(seed, lag, last):
    rng = np.random.default_rng(seed)
    own = 3000 + rng.normal(0, 300, (6, 12))
    own[rng.random(own.shape) < 0.1] = NAN
    states = {code: "AB"[code % 2] for code in range(1, 7)}
    area = {code: float(code) for code in states}
    later = np.where(np.arange(2000, 2012) > last, rng.uniform(0, 9e4, own.shape), own)
    before, after = (
        year_effects.year_effects_to(history(o, states=states), states, last, lag, area) for o in (own, later)
    )
    assert before.years == after.years
    assert all(year <= last for year in before.years)
    np.testing.assert_array_equal(before.effects, after.effects)
    for name, effects in before.aggregates.items():
        np.testing.assert_array_equal(effects, after.aggregates[name])
    if before.years:  # and the last year itself is
        own[:, last - 2000] += 500
        moved = year_effects.year_effects_to(history(own, states=states), states, last, lag, area)
        assert before.years[-1] < last or moved.effects[-1] > before.effects[-1]


def test_a_table_that_ends_before_the_newest_public_year_gives_what_it_has():
    # PAM of 2006 is out, but was not fetched.
    found = year_effects.year_effects_to(history(OWN), STATES, 2006, 1, AREA)
    assert found.years == (2003, 2004)


def test_a_crop_that_begins_later_than_the_table_has_the_same_record():
    # Another crop of the table begins in 1990; this one has no value before 2000.
    padded = np.hstack([np.full((2, 10), NAN), np.array(OWN, dtype=float), np.full((2, 3), NAN)])
    found = year_effects.year_effects_to(history(padded, 1990), STATES, 2007, 1, AREA)
    expected = year_effects.year_effects_to(history(OWN), STATES, 2004, 1, AREA)
    assert found.years == expected.years
    np.testing.assert_array_equal(found.effects, expected.effects)


def test_no_record_at_all():
    for own, last in ((OWN, 2002), ([[NAN] * 4] * 2, 2003), (OWN, 1990)):
        none = year_effects.year_effects_to(history(own), STATES, last, 1, AREA)
        assert (none.years, none.variance, none.aggregate_variance("all")) == ((), None, None)
