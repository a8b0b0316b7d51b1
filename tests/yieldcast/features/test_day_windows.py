"""Windows of daily weather by hand, on the edges of what is known."""

from __future__ import annotations

import numpy as np
import pytest

from calendars.stages import stages
from yieldcast.data.daily import daily_table
from yieldcast.features.day_windows import Season, features, stage_bounds, window_values

SOWING = np.datetime64("2014-10-01")
FIRST = np.datetime64("2014-08-01")


def windows(last="2015-02-28", sowing=SOWING, crop="soybean", count=260, units=1, **fields):
    """Features of one row for each unit, by name."""
    values = {"tmax_degC": 29.0, "tmin_degC": 19.0, "precipitation_mm": 5.0} | fields
    arrays = {
        name: np.broadcast_to(np.asarray(one, np.float32), (units, count)) for name, one in values.items()
    }
    codes = np.arange(1, units + 1, dtype=np.int32)
    daily = daily_table(arrays, np.arange(FIRST, FIRST + count), codes, codes, np.arange(units))
    season = Season(np.arange(units), np.full(units, sowing), np.full(units, np.datetime64(last)))
    found = window_values(daily, np.full(units, -24.0), crop, stages(crop), season)
    return dict(zip([one.name for one in features()], found[0].tolist(), strict=True))


def day(date):
    return int((np.datetime64(date) - FIRST).astype(int))


def test_the_stages_of_soybean():
    # 120 days: to day 18, 48, half of the way to 96, 96, 120
    assert stage_bounds(stages("soybean")) == (0, 18, 48, 72, 96, 120)


def test_sums_and_means_of_the_windows_by_hand():
    rain = np.full(260, 5.0)
    rain[day("2015-02-22") : day("2015-02-25")] = [0.0, 0.9, 40.0]
    tmax = np.full(260, 29.0)
    tmax[[day("2015-02-22"), day("2015-02-26")]] = 33.0
    found = windows(precipitation_mm=rain, tmax_degC=tmax)
    assert found["precipitation_7d_mm"] == pytest.approx(4 * 5 + 40.9, abs=1e-5)
    assert found["dry_7d_days"] == 2
    assert found["hot_7d_days"] == 2  # above 30 degC
    assert found["hot_and_dry_7d_days"] == 1
    assert found["temperature_7d_degC"] == pytest.approx(24 + 2 * 2 / 7, abs=1e-5)
    assert found["degree_days_7d_degC_day"] == pytest.approx(7 * 14 + 4, abs=1e-5)
    assert found["precipitation_flowering_mm"] == pytest.approx(24 * 5)
    assert found["mean_day_dry_since_sowing_days"] == pytest.approx(2 / 151, abs=1e-6)
    assert windows(crop="wheat")["degree_days_7d_degC_day"] == pytest.approx(7 * 24)
    assert windows(crop="corn", tmax_degC=29.5)["hot_7d_days"] == 7  # its limit is 29 degC


def test_dry_air_takes_radiation_from_use():
    # 30 / 20 degC with a dew point of 15: deficit 1.586 kPa (FAO-56), of which 0.65 to 4.3 counts against it
    found = windows(tmax_degC=30.0, tmin_degC=20.0, dewpoint_degC=15.0, radiation_MJ_m2=20.0)
    assert found["vpd_7d_kPa"] == pytest.approx(1.586, abs=2e-3)
    assert found["radiation_7d_MJ_m2"] == pytest.approx(140.0)
    assert found["useful_radiation_7d_MJ_m2"] == pytest.approx(140 * (4.3 - 1.586) / 3.65, rel=1e-3)


def test_the_longest_dry_spell_ends_at_the_edges_of_the_window():
    rain = np.full(260, 5.0)
    rain[day("2014-10-10") : day("2014-10-25")] = 0.0  # 15 days, 9 of them in the first 18 after sowing
    found = windows(precipitation_mm=rain)
    assert found["longest_dry_spell_establishment_days"] == 9
    assert found["longest_dry_spell_growth_days"] == 6
    assert found["longest_dry_spell_30d_days"] == 0
    alternate = np.where(np.arange(260) % 3 == 0, 5.0, 0.0)
    assert windows(precipitation_mm=alternate)["longest_dry_spell_30d_days"] == 2


def test_a_stage_counts_once_it_is_over():
    before = windows(last="2014-12-11")  # day 71 is the last one of flowering, 12-11
    assert before["precipitation_flowering_mm"] == pytest.approx(120)
    assert np.isnan(windows(last="2014-12-10")["precipitation_flowering_mm"])
    assert np.isnan(before["precipitation_filling_mm"])


def test_without_sowing_only_the_last_days_are_known():
    found = windows(sowing=np.datetime64("NaT"))
    assert found["precipitation_30d_mm"] == pytest.approx(150)
    assert all(np.isnan(v) for name, v in found.items() if "_7d" not in name and "_30d" not in name)
    early = windows(last="2014-10-06")  # six days: too few for a mean day
    assert np.isnan(early["temperature_since_sowing_degC"])


def test_a_missing_day_makes_its_windows_unknown_and_no_others():
    rain = np.full(260, 5.0)
    rain[day("2015-02-10")] = np.nan
    found = windows(precipitation_mm=rain)
    assert np.isnan(found["precipitation_30d_mm"])
    assert np.isnan(found["longest_dry_spell_30d_days"])
    assert found["precipitation_7d_mm"] == pytest.approx(35)
    assert found["temperature_30d_degC"] == pytest.approx(24)
    assert np.isnan(windows(last="2015-09-01")["precipitation_7d_mm"])  # beyond the table


def test_many_units_in_blocks_are_as_one_alone():
    alone = windows()
    assert windows(units=130) == pytest.approx(alone, nan_ok=True)
