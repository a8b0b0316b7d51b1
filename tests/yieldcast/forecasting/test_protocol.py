"""The two protocols: what each may read, and that the year left out is not read at all."""

import datetime as dt

import numpy as np
import pytest
import xarray as xr

from yieldcast.config import FORECAST_SETTINGS
from yieldcast.data import synthetic
from yieldcast.data.store import Tables
from yieldcast.errors import ConfigError
from yieldcast.forecasting.combination import Combiner
from yieldcast.forecasting.evidence import crop_evidence
from yieldcast.forecasting.protocol import Protocol

DATE, YEAR = dt.date(2012, 3, 15), 2012


@pytest.fixture(scope="module")
def tables():
    return synthetic.country(seed=7, municipalities=30, first_harvest_year=1998, harvest_years=20)


@pytest.fixture(scope="module")
def estimates(tables):
    """The final state means, in March and again in July of every year."""
    truth = tables.yields["yield_kg_ha"].sel(crop="soybean").groupby(tables.static["state"]).mean()
    states = np.unique(tables.static["state"].values.astype(str))
    rows = [(s, y, m) for y in range(2006, 2018) for m in (3, 7) for s in states]
    texts = {"source": ["synthetic"] * len(rows), "crop": ["soybean"] * len(rows)}
    return xr.Dataset({name: ("estimate", np.array(values)) for name, values in {
        **texts, "unit": [s for s, _, _ in rows],
        "harvest_year": np.array([y for _, y, _ in rows], dtype=np.int16),
        "reference_month": np.array([f"{y}-0{m - 1}" for _, y, m in rows], dtype="datetime64[ns]"),
        "public_from": np.array([f"{y}-0{m}-10" for _, y, m in rows], dtype="datetime64[ns]"),
        "yield_kg_ha": np.array(
            [float(truth.sel(state=s, harvest_year=y)) + 10 * m for s, y, m in rows], dtype=np.float32
        ),
    }.items()})  # fmt: skip


def evidence(tables, calendar, estimates):
    return crop_evidence(tables, "soybean", calendar, FORECAST_SETTINGS, estimates)


def test_the_years_that_teach(tables, calendar, estimates):
    known = evidence(tables, calendar, estimates)
    forward, left_out = Protocol(known, YEAR, DATE), Protocol(known, YEAR, DATE, "leave_year_out")
    assert forward.last == left_out.last == 2010
    assert max(forward.seasons) == 2011
    assert max(forward.teachers) == 2010
    assert YEAR not in left_out.seasons
    assert max(left_out.seasons) == 2017
    assert forward.hindcast_years == list(range(2005, 2011))
    assert left_out.hindcast_years[-1] == 2017
    assert YEAR not in left_out.hindcast_years
    np.testing.assert_array_equal(  # the level and trend of the season are those of the date in both
        left_out.evidence.expected_line(YEAR, DATE)[0], known.expected_line(YEAR, DATE)[0]
    )
    with pytest.raises(ConfigError, match="received 'backward'"):
        Protocol(known, YEAR, DATE, "backward")


def test_nothing_of_the_year_left_out_is_read(tables, calendar, estimates):
    yields, later = tables.yields.copy(deep=True), estimates.copy(deep=True)
    for name in yields.data_vars:
        yields[name] = yields[name].where(yields["harvest_year"] != YEAR, 77.0)
    hidden = (later["harvest_year"] == YEAR) & (later["public_from"] > np.datetime64(DATE))
    later["yield_kg_ha"] = later["yield_kg_ha"].where(~hidden, 9.0)
    codes = tables.static["municipality"].values
    found = [
        Combiner(evidence(t, calendar, e), codes, YEAR, DATE, "leave_year_out").without_network()
        for t, e in ((tables, estimates), (Tables(tables.static, tables.weather, yields), later))
    ]
    np.testing.assert_array_equal(found[0].quantiles, found[1].quantiles)
    np.testing.assert_array_equal(found[0].aggregates["all"], found[1].aggregates["all"])
    assert found[0].about()["protocol"] == "leave_year_out"


@pytest.mark.slow
def test_later_years_teach_when_the_year_is_left_out(tables, calendar, estimates):
    yields = tables.yields.copy(deep=True)
    later = yields["yield_kg_ha"]["harvest_year"] > YEAR
    yields["yield_kg_ha"] = yields["yield_kg_ha"].where(~later, 0.8 * yields["yield_kg_ha"])
    changed = Tables(tables.static, tables.weather, yields)
    codes = tables.static["municipality"].values
    for protocol, same in (("forward", True), ("leave_year_out", False)):
        one, other = (
            Combiner(evidence(t, calendar, estimates), codes, YEAR, DATE, protocol).expected
            for t in (tables, changed)
        )
        assert (one.water_so_far == other.water_so_far).all() == same
