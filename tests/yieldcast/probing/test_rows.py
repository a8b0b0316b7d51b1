import datetime as dt
from dataclasses import replace

import numpy as np
import pytest

from tests.yieldcast.probing.conftest import with_column
from yieldcast.config import FORECAST_SETTINGS, Settings
from yieldcast.data.store import Store
from yieldcast.data.synthetic_fields import field_data, field_tables
from yieldcast.errors import LeakageError, MissingDataError
from yieldcast.probing.pipeline import Pipeline, Ridge
from yieldcast.probing.probe import case_of_settings, early_yields
from yieldcast.probing.rows import Case, changed_future, harvest_days, later_weather
from yieldcast.probing.suspects import harvest_proxy


@pytest.fixture(scope="module")
def case(forecast_store):
    return case_of_settings(forecast_store, "soybean", FORECAST_SETTINGS, (2016,))


@pytest.fixture(scope="module")
def rows(case):
    return case.rows()


def test_a_case_takes_what_was_public_thirty_days_before_the_end(case, rows):
    # The main window ends in May or June 2016; yields of 2014 came out in September 2015.
    assert case.as_of in (dt.date(2016, 5, 1), dt.date(2016, 5, 31))
    assert max(case.train_years) == 2014
    assert set(rows.harvest_year) == {*case.train_years, 2016}
    assert {feature.group for feature in rows.features} == {"weather", "soil", "place", "history"}
    assert (rows.cutoff[rows.harvest_year == 2016] == np.datetime64(case.as_of)).all()


def test_what_was_public_stays_and_all_later_values_change(forecast_store, case):
    date = dt.date(2016, 1, 15)
    changed = changed_future(forecast_store, FORECAST_SETTINGS, date)
    for table, dim, first in (
        ("weather", "time", np.datetime64("2016-01-01")),
        ("yields", "harvest_year", 2015),
    ):
        old, new = getattr(forecast_store, table), getattr(changed, table)
        later = old[dim].values >= first
        for name in old.data_vars:
            if dim not in old[name].dims:
                continue
            before, after = (one[name].transpose(dim, ...).values for one in (old, new))
            np.testing.assert_array_equal(before[~later], after[~later])
            known = np.isfinite(before[later])
            assert known.any()
            assert (before[later][known] != after[later][known]).all(), name
    assert forecast_store.weather is not changed.weather


def test_rows_do_not_change_with_the_future(case, rows):
    again = case.after_changes(2016).rows()
    teach = rows.harvest_year < 2016
    np.testing.assert_array_equal(again.values, rows.values)
    np.testing.assert_array_equal(again.yield_kg_ha[teach], rows.yield_kg_ha[teach])
    assert (again.yield_kg_ha[~teach] != rows.yield_kg_ha[~teach]).all()


def test_rows_of_a_careless_date_do(case, rows):
    """The planted leak: features of the test year as they were known two months after the forecast."""

    class Careless(Case):
        def known_on(self, year):
            return dt.date(2016, 8, 1)

        def date(self, year):
            return super().date(year) + dt.timedelta(days=62)

    careless = Careless(**vars(case))
    other = Careless(**{**vars(case), "store": changed_future(case.store, case.settings, case.as_of)})
    assert (careless.rows().values != other.rows().values).any()


def test_later_weather_is_that_of_the_months_after_the_cutoff(case, rows):
    later = later_weather(case, rows)
    assert later.values.shape[0] == len(rows)
    one = np.flatnonzero(rows.harvest_year == 2013)[0]
    month = rows.cutoff[one].astype("datetime64[M]") + 1
    rain = case.store.weather["precipitation_mm"].sel(municipality=rows.municipality[one])
    of_month = rain[rain["time"].dt.month.values == int(str(month)[5:7])]
    wanted = float(rain.sel(time=str(month)).values[0] - of_month.mean())
    assert later.values[one, later.names.index("precipitation_mm, 1 months later")] == pytest.approx(
        wanted, abs=1e-3
    )


@pytest.fixture(scope="module")
def fields(tmp_path_factory):
    """Three seasons of twelve fields; a field is harvested later where it yields more."""
    tables, optional = field_tables(field_data(fields=12, seasons=5))
    return Store.write(tmp_path_factory.mktemp("fields"), tables, {}, optional=optional)


def test_fields_are_probed_with_rows_of_days_up_to_their_cutoffs(fields):
    case = case_of_settings(fields, "soybean", FORECAST_SETTINGS)
    rows = case.rows()
    assert {"weather", "vegetation", "place", "history"} <= {feature.group for feature in rows.features}
    day = harvest_days(case, rows)
    first = (rows.harvest_year.astype(int) - 1970).astype("datetime64[Y]").astype("datetime64[D]")
    assert (rows.cutoff.astype("datetime64[D]") <= np.datetime64(case.as_of)).all()
    assert (day[:, 0] > (rows.cutoff - first).astype(int)).all()  # cut before the harvest
    again = case.after_changes(max(case.test_years)).rows()
    assert again.names == rows.names
    np.testing.assert_array_equal(again.values, rows.values)
    planted = Pipeline(rows, case.test_years, Ridge())
    for column in (
        day[:, 0] * 2.0 + 1.0,
        day[:, 1] - 30.0,
    ):  # day of the year, days from sowing to the cut-off
        assert harvest_proxy(planted.with_rows(with_column(rows, "x7", column)), day).verdict == "failed"
    assert harvest_proxy(planted.with_rows(rows), day).verdict == "passed"


def test_years_that_cannot_be_probed_are_refused(forecast_store):
    with pytest.raises(MissingDataError, match="two harvest years"):
        case_of_settings(forecast_store, "soybean", Settings(), (2006,), dt.date(2008, 1, 1))
    with pytest.raises(MissingDataError, match="no yields of 'corn'"):
        case_of_settings(forecast_store, "corn", FORECAST_SETTINGS)


def test_yields_taken_for_public_too_early_are_a_warning(case):
    assert early_yields(case) == []
    data = case.settings.data.model_copy(update={"yields_delay_months": 0, "yield_releases": "rule"})
    early = replace(case, settings=case.settings.model_copy(update={"data": data}))
    (text,) = early_yields(early)
    assert str(text).startswith("the settings take yields of 2016 for public on 2017-01-01")


def test_a_run_is_tested_on_later_years_only(forecast_run, forecast_store):
    from yieldcast.probing.probe import case_of_run

    # Yields of 2013 came out in September 2014: the season of 2015 is the first that they may teach.
    assert case_of_run(forecast_run, forecast_store).test_years == (2015,)
    assert case_of_run(forecast_run, forecast_store, as_of=dt.date(2016, 1, 9)).test_years == (2016,)
    with pytest.raises(LeakageError):
        case_of_run(forecast_run, forecast_store, (2013,))
