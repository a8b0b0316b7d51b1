"""Forecasts from few years of yields: intervals from residuals, said so, and refused below three years."""

import datetime as dt

import numpy as np
import pytest

from yieldcast.config import FORECAST_SETTINGS
from yieldcast.data import synthetic
from yieldcast.data.store import Tables
from yieldcast.errors import RunError
from yieldcast.forecasting.combination import Combiner
from yieldcast.forecasting.evidence import crop_evidence
from yieldcast.forecasting.few_years import line_widening, mean_widening

DATE, YEAR = dt.date(2016, 2, 15), 2016


@pytest.fixture(scope="module")
def tables():
    return synthetic.country(seed=7, municipalities=60, first_harvest_year=1998, harvest_years=20)


def combiner(tables, calendar, first_year, last_year=None):
    some = Tables(tables.static, tables.weather, tables.yields.sel(harvest_year=slice(first_year, last_year)))
    evidence = crop_evidence(some, "soybean", calendar, FORECAST_SETTINGS)
    return Combiner(evidence, tables.static["municipality"].values, YEAR, DATE)


def test_widening_worked_by_hand():
    # Five years, two ahead: mean year 3, distance 4, squares 10: (1 + 0.2 + 1.6) * 5 / 3.
    assert line_widening(5, 2) == pytest.approx(np.sqrt(2.8 * 5 / 3))
    assert line_widening(3, 2) == pytest.approx(np.sqrt((1 + 1 / 3 + 4.5) * 3))
    assert mean_widening(5) == pytest.approx(np.sqrt(1.2 * 5 / 4))


def test_widening_is_the_error_of_a_line_on_random_years():
    rng = np.random.default_rng(3)
    years, noise = np.arange(6), rng.normal(size=(4000, 8))
    slope, level = np.polyfit(years, noise[:, :6].T, 1)
    residual = noise[:, :6] - level[:, None] - slope[:, None] * years
    ahead = noise[:, 7] - level - slope * 7
    assert ahead.std() / np.sqrt((residual**2).mean()) == pytest.approx(line_widening(6, 2), rel=0.03)


@pytest.mark.parametrize("first_year", [2010, 2012])
def test_intervals_from_residuals_hold(tables, calendar, first_year):
    truth = tables.yields["yield_kg_ha"].sel(crop="soybean", harvest_year=YEAR).values
    found = combiner(tables, calendar, first_year).without_network()
    assert found.about()["intervals"] == "residuals"
    assert found.years == tuple(range(first_year, 2015))
    inside = (truth >= found.quantiles[:, 0]) & (truth <= found.quantiles[:, -1])
    assert inside[np.isfinite(truth)].mean() > 0.8
    np.testing.assert_allclose(sum(found.parts.values()), found.quantiles[:, 3], atol=1e-6)
    whole = combiner(tables, calendar, 1998).without_network()
    assert "intervals" not in whole.about()
    widths = [np.mean(one.quantiles[:, -1] - one.quantiles[:, 0]) for one in (found, whole)]
    assert widths[0] > widths[1]


def test_a_record_that_ends_early_counts_from_its_end(tables, calendar):
    found = combiner(tables, calendar, 1998, 2012)
    assert found.protocol.last == 2012
    assert found.without_network().years[-1] == 2012


@pytest.mark.parametrize(("first_year", "received"), [(2013, 2), (2015, 0)])
def test_too_few_years_are_refused(tables, calendar, first_year, received):
    with pytest.raises(RunError, match=f"need 3 harvest years of public yields, received {received}"):
        combiner(tables, calendar, first_year).without_network()
