"""Vegetation of seasons: each step of the cleaning counted, statistics of a known curve, no later day."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from yieldcast.data.vegetation import vegetation_table
from yieldcast.features.vegetation import Seasons, features, season_values

SOWING = np.datetime64("2014-10-01")
NAMES = [one.name for one in features()]


def curve(day):
    """Rises from 0.2 by 0.015 a day to 0.8 on day 40, holds to day 80, falls by 0.01 a day."""
    return np.interp(day, [0, 40, 80, 140], [0.2, 0.8, 0.8, 0.2])


def table(place=7, step=5, last=120, **changed):
    days = np.arange(0, last + 1, step)
    ndvi = curve(days)
    rows = {"municipality": place, "date": SOWING + days, "ndvi": ndvi, "evi": ndvi - 0.1, "clear": 1}
    frame = pd.DataFrame(rows | changed)
    frame["date"] = pd.to_datetime(frame["date"])
    return frame


def found(frame, cutoff=100, least=5, place=7):
    seasons = Seasons(
        np.array([place], np.int32), np.array([SOWING]), np.array([SOWING + np.timedelta64(cutoff, "D")])
    )
    values, removed = season_values(vegetation_table(frame), seasons, least)
    return dict(zip(NAMES, values[0].tolist(), strict=True)), removed


def test_statistics_of_a_known_curve():
    values, removed = found(table(step=1))
    assert removed == {}
    assert values["ndvi_max"] == pytest.approx(0.8, abs=0.02)
    assert values["ndvi_last"] == pytest.approx(0.61, abs=0.01)  # day 99: that of day 100 is public on 101
    assert values["ndvi_mean"] == pytest.approx(curve(np.arange(100)).mean(), abs=0.005)
    assert values["ndvi_sd"] == pytest.approx(curve(np.arange(100)).std(), abs=0.01)
    assert values["ndvi_integral_60d_days"] == pytest.approx(curve(np.arange(40, 100)).sum(), rel=0.01)
    assert 35 <= values["ndvi_peak_days"] <= 85
    assert values["ndvi_rise_per_day"] == pytest.approx(0.015, abs=0.001)
    assert values["ndvi_change_per_day"] == pytest.approx((0.61 - 0.8) / 30, abs=0.001)
    assert values["evi_max"] == pytest.approx(values["ndvi_max"] - 0.1, abs=1e-6)


def test_a_maximum_that_is_not_past_is_not_the_seasons():
    values, _ = found(table(), cutoff=38)
    assert np.isnan(values["ndvi_peak_days"])
    assert values["ndvi_max"] > 0.6


def test_each_step_of_the_cleaning_is_counted():
    ndvi = curve(np.arange(0, 121, 5))
    clear = np.ones(25, dtype=int)
    clear[:3] = 0
    ndvi[[4, 5]] = 0.995
    ndvi[6] = np.nan
    evi = np.where(np.isnan(ndvi), np.nan, ndvi - 0.1)
    values, removed = found(table(ndvi=ndvi, evi=evi, clear=clear))
    assert removed == {
        "observations that are not clear": 3,
        "observations with an NDVI above 0.99": 2,
        "observations without a value of -1 to 1": 1,
    }
    assert np.isfinite(values["ndvi_max"])
    # 19 observations up to day 95 of which 6 are removed: 14 are asked for
    values, removed = found(table(ndvi=ndvi, evi=evi, clear=clear), least=15)
    assert removed["seasons with too few clear observations"] == 1
    assert np.isnan(list(values.values())).all()


def test_one_index_may_have_fewer_observations_than_the_other():
    evi = np.full(25, np.nan)
    evi[:3] = 0.3
    values, _ = found(table(evi=evi))
    assert np.isnan(values["evi_max"])
    assert np.isfinite(values["ndvi_max"])
    only = table().drop(columns="evi")
    assert np.isnan(found(only)[0]["evi_mean"])
    assert found(only)[0]["ndvi_mean"] == values["ndvi_mean"]


def test_observations_of_other_places_seasons_and_later_days_change_nothing():
    frame = table()
    before = found(frame)
    later = frame["date"] >= pd.Timestamp(SOWING + np.timedelta64(100, "D"))
    changed = frame.assign(
        ndvi=np.where(later, -0.9, frame["ndvi"]), evi=np.where(later, 0.99, frame["evi"]),
        clear=np.where(later, 0, frame["clear"]),
    )  # fmt: skip
    other = table(place=9, ndvi=0.1)
    old = table(date=SOWING - np.arange(25) - 1, ndvi=0.5)
    found_again, _ = found(pd.concat([changed, other, old]))
    assert np.array_equal(list(found_again.values()), list(before[0].values()), equal_nan=True)


def test_an_observation_counts_from_its_publication_on():
    published = SOWING + np.arange(0, 121, 5) + 30
    values, _ = found(table(public_from=pd.to_datetime(published)), cutoff=100)
    assert values["ndvi_last"] == pytest.approx(found(table(), cutoff=71)[0]["ndvi_last"], abs=1e-12)


def test_without_a_sowing_date_nothing_is_known():
    seasons = Seasons(np.array([7], np.int32), np.array(["NaT"], "datetime64[D]"), np.array([SOWING + 90]))
    values, _ = season_values(vegetation_table(table()), seasons, 5)
    assert np.isnan(values).all()
