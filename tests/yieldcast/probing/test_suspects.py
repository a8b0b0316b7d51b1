import numpy as np
import pytest

from tests.yieldcast.probing.conftest import make_rows, with_column
from yieldcast.probing import suspects
from yieldcast.probing.pipeline import Pipeline, Ridge, Trees


def probed(rows):
    return Pipeline(rows, (2017, 2018), Ridge())


def thirds(rows):
    return np.digitize(rows.yield_kg_ha, np.quantile(rows.yield_kg_ha, (1 / 3, 2 / 3)))


@pytest.mark.parametrize("seed", range(5))
def test_honest_features_do_not_tell_the_outcome(seed):
    assert suspects.tells_outcome(probed(make_rows(seed))).verdict == "passed"


@pytest.mark.parametrize("kind", ["rescaled", "rescaled with noise", "class"])
def test_the_outcome_in_disguise_is_noticed(rows, kind):
    rng = np.random.default_rng(0)
    column = {
        "rescaled": rows.yield_kg_ha / 60,  # sacks a hectare
        "rescaled with noise": rows.yield_kg_ha / 60 + rng.normal(0, 0.7, len(rows)),
        "class": 60 - 15.0 * thirds(rows) + rng.normal(0, 2, len(rows)),
    }[kind]
    planted = probed(with_column(rows, "x7", column))
    if kind == "class":  # steps, which a line does not follow
        planted = planted.with_learner(Trees())
    line = suspects.tells_outcome(planted)
    assert (line.verdict, "x7" in line.detail) == ("failed", True), line


def test_twins_of_a_leak_do_not_hide_it(rows):
    planted = with_column(rows, "a", rows.yield_kg_ha / 60)
    planted = with_column(planted, "b", rows.yield_kg_ha * 0.0149)
    assert suspects.tells_outcome(probed(planted)).verdict == "failed"


@pytest.mark.parametrize(
    "name", ["harvest_day_of_year", "days_to_harvest", "season_length_days", "DIA_COLHEITA"]
)
def test_a_harvest_date_is_noticed_by_its_name(rows, name):
    line = suspects.harvest_proxy(probed(with_column(rows, name, np.zeros(len(rows)))), None)
    assert line.verdict == "failed"


def test_names_like_harvest_year_are_no_harvest_dates(rows):
    for name in ("harvest_year", "area_harvested_ha", "harvested_area_share", "rain_30_days_before_cutoff"):
        line = suspects.harvest_proxy(probed(with_column(rows, name, np.zeros(len(rows)))), None)
        assert line.verdict == "not tested", name


def test_a_harvest_date_is_noticed_under_another_name(rows):
    rng = np.random.default_rng(1)
    day = (
        60 - 15.0 * thirds(rows) + rng.normal(0, 2, len(rows))
    )  # Xavier et al. 2026: it separates the classes
    assert suspects.harvest_proxy(probed(rows), day[:, None]).verdict == "passed"
    for planted in (day**2 + rng.normal(0, 2, len(rows)), 366 - day):
        line = suspects.harvest_proxy(probed(with_column(rows, "x7", planted)), day[:, None])
        assert (line.verdict, "x7" in line.detail) == ("failed", True)
    # One day for each year: a copy is noticed, weather that happens to be ordered like it is not.
    of_year = np.array([40.0, 55, 47, 61, 38, 52, 44, 59, 49, 57])[rows.harvest_year - 2009]
    copy = with_column(rows, "x7", of_year / 365)
    assert suspects.harvest_proxy(probed(copy), of_year[:, None]).verdict == "failed"
    alike = with_column(rows, "x7", of_year**2)
    assert suspects.harvest_proxy(probed(alike), of_year[:, None]).verdict == "passed"


def later_than(rows, seed):
    """Rain of two months after the cut-off, one with some persistence of the month before."""
    rng = np.random.default_rng(seed)
    persistent = 0.3 * rows.values[:, 0] + rng.normal(size=len(rows))
    return suspects.Later(np.stack([persistent, rng.normal(size=len(rows))], axis=1), ("rain 1", "rain 2"))


@pytest.mark.parametrize("seed", range(5))
def test_honest_columns_know_nothing_of_what_came_later(rows, seed):
    honest = with_column(rows, "ndvi", rows.values[:, 0] + np.random.default_rng(9).normal(size=len(rows)))
    line = suspects.tells_later(probed(honest), ("ndvi",), later_than(rows, seed))
    assert line.verdict == "passed", line


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_weather_after_the_date_is_noticed(rows, noise):
    later = later_than(rows, 3)
    column = 40 + 7 * later.values[:, 1] + 7 * noise * np.random.default_rng(4).normal(size=len(rows))
    line = suspects.tells_later(probed(with_column(rows, "x7", column)), ("x7",), later)
    assert (line.verdict, "x7 and rain 2" in line.detail) == ("failed", True), line


def test_few_years_or_no_table_are_not_tested(rows):
    assert suspects.tells_later(probed(rows), (), None).verdict == "not tested"
    short = probed(rows.take(rows.harvest_year > 2015))
    assert suspects.tells_later(short, ("clay_pct",), later_than(short.rows, 1)).verdict == "not tested"
