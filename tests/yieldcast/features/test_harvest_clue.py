"""What features tell of the length of the season: all of it where it is planted, nothing where it is not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from yieldcast.data.field_seasons import field_seasons_table
from yieldcast.errors import MissingDataError
from yieldcast.features.feature_rows import Feature, FeatureRows
from yieldcast.features.harvest_clue import harvest_clue, season_lengths

YEARS, FIELDS = (2012, 2013, 2014), 40


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(4)
    rows = [(place, year) for place in range(1, FIELDS + 1) for year in YEARS]
    sown = np.array([np.datetime64(f"{year - 1}-10-10") for _, year in rows]) + rng.integers(0, 20, len(rows))
    frame = pd.DataFrame(rows, columns=["municipality", "harvest_year"]).assign(
        crop="soybean", sowing_date=sown.astype("datetime64[ns]"),
        harvest_date=(sown + rng.integers(100, 140, len(rows))).astype("datetime64[ns]"),
    )  # fmt: skip
    return field_seasons_table(frame)


def rows_of(table, *columns):
    count = table.sizes["season"]
    features = tuple(Feature(f"f{i}", "weather", "1", "", "") for i in range(len(columns)))
    nothing = np.zeros(count)
    return FeatureRows(
        np.stack(columns, axis=1), features, table["municipality"].values, table["harvest_year"].values,
        np.full(count, "PR"), np.full(count, np.datetime64("2014-01-01")), nothing, nothing, nothing,
    )  # fmt: skip


def test_lengths_are_found_by_place_and_year(table):
    rows = rows_of(table, np.arange(table.sizes["season"], dtype=float)).take(np.array([5, 2]))
    days = (table["harvest_date"].values - table["sowing_date"].values).astype("timedelta64[D]").astype(int)
    assert season_lengths(table, "soybean", rows).tolist() == [days[5], days[2]]
    assert np.isnan(season_lengths(table, "corn", rows)).all()


def test_a_planted_length_is_told_and_noise_is_not(table):
    rng = np.random.default_rng(7)
    noise = rng.normal(size=table.sizes["season"])
    lengths = season_lengths(table, "soybean", rows_of(table, noise))
    told = harvest_clue(rows_of(table, noise, lengths + rng.normal(0, 1, len(noise))), lengths)
    assert min(told.known_seasons, told.new_seasons) > 0.9
    silent = harvest_clue(rows_of(table, noise), lengths)
    assert max(silent.known_seasons, silent.new_seasons) < 0.1


def test_a_clue_within_the_season_alone_is_no_clue_for_a_new_one(table):
    rows = rows_of(table, np.zeros(table.sizes["season"]))
    lengths = season_lengths(table, "soybean", rows)
    # a number for each pair of season and length, as the weather up to a cut-off near harvest is
    codes = lengths + 1000.0 * np.searchsorted(YEARS, rows.harvest_year)
    mixed = np.random.default_rng(1).permutation(1 + int(codes.max()))[codes.astype(int)]
    clue = harvest_clue(rows_of(table, mixed.astype(float)), lengths)
    assert clue.new_seasons < 0.2


def test_too_few_dates_are_refused(table):
    rows = rows_of(table, np.zeros(table.sizes["season"]))
    lengths = np.full(len(rows), np.nan)
    with pytest.raises(MissingDataError, match="40 rows or more"):
        harvest_clue(rows, lengths)
