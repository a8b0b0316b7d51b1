"""Intervals of a past season rest on the other seasons only."""

import numpy as np
import pytest

from yieldcast.forecasting.hindcasts import RawForecasts
from yieldcast.forecasting.intervals import Hindcast
from yieldcast.forecasting.season_hindcasts import of_combination, of_network
from yieldcast.forecasting.table import QUANTILES

PLACES, YEARS = 30, (2010, 2011, 2012, 2013, 2014)
CODES = np.arange(5100001, 5100001 + PLACES, dtype=np.int32)
WORSE = 2012


def targets(shift: float) -> dict[int, np.ndarray]:
    """Yields by year; those of `WORSE` are lower by `shift`."""
    rng = np.random.default_rng(3)
    return {year: rng.normal(3000, 300, PLACES) - shift * (year == WORSE) for year in YEARS}


def network(shift: float):
    found, n = targets(shift), PLACES * len(YEARS)
    level = np.sort(np.random.default_rng(5).normal(3000, 100, (len(QUANTILES), n)), axis=0)
    none = np.full(n, np.nan)
    past = RawForecasts(
        np.tile(CODES, len(YEARS)), np.repeat(YEARS, PLACES).astype(np.int16), np.full(n, "MT"),
        np.concatenate(list(found.values())), level, level.mean(axis=0), np.full(n, 300.0), np.ones(n),
        np.full((3, n), 3000.0), np.ones(n, dtype=bool), none, none,
    )  # fmt: skip
    return of_network(past, None)


def combination(shift: float):
    seasons = [
        Hindcast(year, np.full(PLACES, 3000.0), truth, np.ones(PLACES), np.full(PLACES, 300.0))
        for year, truth in targets(shift).items()
    ]
    return of_combination(seasons, CODES, CODES[:20])


@pytest.mark.parametrize("made", [network, combination])
def test_a_seasons_own_yields_do_not_move_its_intervals(made):
    before, after = ({one.harvest_year: one for one in made(shift)} for shift in (0.0, 900.0))
    assert set(before) == set(YEARS)
    for year in YEARS:
        same = np.array_equal(before[year].quantiles, after[year].quantiles)
        assert same == (year == WORSE)  # the others learn of it
        assert (np.diff(after[year].quantiles, axis=1) >= 0).all()
    np.testing.assert_allclose(after[WORSE].target, before[WORSE].target - 900.0)


def test_only_wanted_places_with_a_yield_are_kept():
    (first, *_) = combination(0.0)
    assert first.municipality.tolist() == CODES[:20].tolist()
    one = Hindcast(2010, np.full(PLACES, 3000.0), np.full(PLACES, np.nan), np.ones(PLACES), np.ones(PLACES))
    others = [
        Hindcast(year, one.forecast, truth, one.area, one.scale)
        for year, truth in targets(0.0).items()
        if year != 2010
    ]
    assert of_combination([one, *others], CODES, CODES)[0].target.size == 0


def test_too_few_other_seasons_give_none():
    seasons = [
        Hindcast(year, np.full(PLACES, 3000.0), truth, np.ones(PLACES), np.ones(PLACES))
        for year, truth in list(targets(0.0).items())[:3]
    ]
    assert of_combination(seasons, CODES, CODES) == []
