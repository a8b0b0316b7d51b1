"""Expected yields of a synthetic country with a known response: parts, dates, no leak of the future."""

import datetime as dt

import numpy as np
import pytest
import xarray as xr

from yieldcast.config import FORECAST_SETTINGS
from yieldcast.data import synthetic
from yieldcast.data.store import Tables
from yieldcast.features.seasons import last_known_day
from yieldcast.forecasting.combination import Combiner
from yieldcast.forecasting.evidence import crop_evidence
from yieldcast.forecasting.hindcasts import RawForecasts
from yieldcast.forecasting.table import QUANTILES
from yieldcast.publication import Publication, same_day

DATE, YEAR = dt.date(2016, 2, 15), 2016


@pytest.fixture(scope="module")
def tables():
    return synthetic.country(seed=7, municipalities=60, first_harvest_year=1998, harvest_years=20)


@pytest.fixture(scope="module")
def estimates(tables):
    """A state estimate every February, right up to 50 kg/ha."""
    states = np.unique(tables.static["state"].values.astype(str))
    years = np.arange(2005, 2018)
    rng = np.random.default_rng(0)
    truth = tables.yields["yield_kg_ha"].sel(crop="soybean").groupby(tables.static["state"]).mean()
    rows = [(s, y) for y in years for s in states]
    value = [float(truth.sel(state=s, harvest_year=y)) + rng.normal(0, 50) for s, y in rows]
    dims = ("estimate",)
    month = np.array([f"{y}-01" for _, y in rows], dtype="datetime64[ns]")
    day = np.array([f"{y}-02-10" for _, y in rows], dtype="datetime64[ns]")
    return xr.Dataset({
        "source": (dims, np.full(len(rows), "synthetic")), "crop": (dims, np.full(len(rows), "soybean")),
        "unit": (dims, np.array([s for s, _ in rows])),
        "harvest_year": (dims, np.array([y for _, y in rows], dtype=np.int16)),
        "reference_month": (dims, month), "public_from": (dims, day),
        "yield_kg_ha": (dims, np.array(value, dtype=np.float32)),
    })  # fmt: skip


@pytest.fixture(scope="module")
def evidence(tables, calendar, estimates):
    return crop_evidence(tables, "soybean", calendar, FORECAST_SETTINGS, estimates)


def raw(tables, mean=None):
    codes = tables.static["municipality"].values
    n = len(codes)
    zero = np.zeros(n)
    return RawForecasts(
        codes, np.full(n, YEAR, np.int16), tables.static["state"].values.astype(str), zero * np.nan,
        np.zeros((len(QUANTILES), n)), zero if mean is None else mean, zero + 1, zero, np.zeros((3, n)),
        zero > 0, zero, zero,
    )  # fmt: skip


def rmse(forecast, truth):
    return float(np.sqrt(np.nanmean((forecast - truth) ** 2)))


def test_each_ingredient_is_worth_something(evidence):
    truth = evidence.yields[:, evidence.column(YEAR)]
    early, late = (
        evidence.expected(YEAR, dt.date(2015, 10, 15)),
        evidence.expected(YEAR, dt.date(2016, 6, 15)),
    )
    assert rmse(late.level_trend + late.water_so_far, truth) < rmse(late.level_trend, truth)
    assert rmse(late.forecast, truth) < rmse(late.level_trend + late.water_so_far, truth)
    assert rmse(late.forecast, truth) < rmse(early.forecast, truth)
    assert (early.official == 0).all()
    # The level alone is what the place yields; the trend grows from it.
    np.testing.assert_allclose(late.level + late.trend, late.level_trend, rtol=1e-12)
    assert rmse(late.level, truth) < float(np.nanstd(truth))
    assert abs(late.trend).mean() < 0.3 * late.level.mean()


def poisoned(tables, estimates, date):
    """Everything that was not public on the date, changed."""
    publication = FORECAST_SETTINGS.data.publication()
    last = publication.last_public_harvest_year(date)
    day = last_known_day(publication, daily=False)(date)
    yields, weather, later = (
        tables.yields.copy(deep=True),
        tables.weather.copy(deep=True),
        estimates.copy(deep=True),
    )
    for name in yields.data_vars:
        yields[name] = yields[name].where(yields["harvest_year"] <= last, 77.0)
    for name in weather.data_vars:
        weather[name] = weather[name].where(weather["time"] <= day, 3.0)
    later["yield_kg_ha"] = later["yield_kg_ha"].where(later["public_from"] <= np.datetime64(date), 9.0)
    return Tables(tables.static, weather, yields), later


@pytest.mark.parametrize("date", [dt.date(2015, 10, 15), DATE, dt.date(2016, 6, 15)])
def test_nothing_leaks(tables, calendar, estimates, date):
    found = []
    for t, e in ((tables, estimates), poisoned(tables, estimates, date)):
        one = crop_evidence(t, "soybean", calendar, FORECAST_SETTINGS, e)
        combined = Combiner(one, t.static["municipality"].values, YEAR, date).combine(raw(t), None)
        found.append((one.expected(YEAR, date), combined))
    (plain, before), (changed, after) = found
    for name in ("level_trend", "water_so_far", "official", "forecast", "noise_sd"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(changed, name))
    np.testing.assert_array_equal(before.quantiles, after.quantiles)
    for name, values in before.aggregates.items():
        np.testing.assert_array_equal(values, after.aggregates[name])


def test_the_parts_add_up_to_the_median(evidence, tables):
    found = Combiner(evidence, tables.static["municipality"].values, YEAR, DATE).combine(raw(tables), None)
    np.testing.assert_allclose(sum(found.parts.values()), found.quantiles[:, 3], atol=1e-6)
    assert (np.diff(found.quantiles, axis=1) >= 0).all()
    assert found.network_share == 0.0
    assert set(found.aggregates) == {"all", *np.unique(tables.static["state"].values.astype(str))}


@pytest.mark.slow
def test_intervals_hold_over_the_years(evidence, tables):
    covered, widths = [], []
    for year in (2010, 2012, 2013, 2015, 2016):
        date = dt.date(year, 3, 15)
        found = Combiner(evidence, tables.static["municipality"].values, year, date).combine(
            raw(tables), None
        )
        truth = evidence.yields[:, evidence.column(year)]
        known = np.isfinite(truth)
        inside = (truth >= found.quantiles[:, 0]) & (truth <= found.quantiles[:, -1])
        covered.append(inside[known].mean())
        widths.append((found.quantiles[:, -1] - found.quantiles[:, 0]).mean())
    assert 0.84 <= np.mean(covered) <= 0.97
    assert min(covered) > 0.7


def test_a_network_that_knows_gets_a_share_and_noise_gets_none(evidence, tables):
    codes = tables.static["municipality"].values
    combiner = Combiner(evidence, codes, YEAR, DATE)
    rng = np.random.default_rng(1)
    shares = []
    for knows in (1.0, 0.0):
        parts = []
        for year in range(2009, 2014):
            truth = evidence.yields[:, evidence.column(year)]
            expected = combiner.hindcasts[year].forecast
            mean = expected + knows * (truth - expected) + rng.normal(0, 150 if knows else 1500, len(codes))
            one = raw(tables, mean)
            known = np.isfinite(truth)
            parts.append(
                RawForecasts(**{
                    **one.__dict__, "target_kg_ha": truth, "harvest_year": np.full(len(codes), year, np.int16)
                }).take(known)
            )  # fmt: skip
        shares.append(
            combiner.combine(raw(tables, combiner.expected.forecast), RawForecasts.join(parts)).network_share
        )
    assert shares[0] > 0.4
    assert shares[1] < 0.05


def test_the_last_known_day():
    final, preliminary = Publication(3, 0), Publication(0, 5)
    date = dt.date(2016, 3, 10)
    assert last_known_day(final, daily=True)(date) == np.datetime64("2015-11-30")
    assert last_known_day(preliminary, daily=False)(date) == np.datetime64("2016-02-29")
    assert last_known_day(preliminary, daily=True)(date) == np.datetime64("2016-03-04")


def test_the_same_day_of_another_year():
    assert same_day(dt.date(2016, 2, 29), -1) == dt.date(2015, 2, 28)
    assert same_day(dt.date(2015, 10, 15), -3) == dt.date(2012, 10, 15)
