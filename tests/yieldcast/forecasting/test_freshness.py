"""What a store lacks on a date: yields of 2005 to 2016 and weather of 2004 to 2016, by hand."""

import datetime as dt

import numpy as np
import pytest

from yieldcast.config import DataSettings, Settings
from yieldcast.data.store import Tables
from yieldcast.errors import MissingDataError
from yieldcast.forecasting.freshness import described, freshness, month_spans
from yieldcast.reporting.notices import notices

ERA5T = Settings(data=DataSettings(weather_delay_months=0, weather_delay_days=5))


@pytest.fixture
def found(forecast_store, calendar):
    def find(harvest_year, as_of, change=lambda tables: tables):
        tables = change(Tables(*(table.copy(deep=True) for table in forecast_store.tables)))
        return freshness(forecast_store, tables, "soybean", harvest_year, as_of, calendar, ERA5T)

    return find


def test_a_store_that_has_all_that_was_public_lacks_nothing(found):
    fresh = found(2016, dt.date(2016, 2, 20))
    assert (fresh.yields_known_to, fresh.yields_public_to, fresh.missing()) == (2014, 2014, {})
    assert fresh.outcome == "later"
    fresh.check()


@pytest.mark.parametrize(
    ("as_of", "years", "months", "refused"),
    [
        # Yields of a year are public on 1 October of the next, a month on the 6th of the next month.
        (dt.date(2017, 4, 5), [], ["2017-01", "2017-02"], False),
        (dt.date(2017, 4, 6), [], ["2017-01", "2017-02", "2017-03"], False),
        (dt.date(2017, 5, 6), [], ["2017-01", "2017-02", "2017-03", "2017-04"], True),
        (dt.date(2018, 10, 1), [2017], [], True),
        (dt.date(2019, 10, 1), [2017, 2018], [], True),
    ],
)
def test_what_is_behind_is_named_and_too_much_is_refused(found, as_of, years, months, refused):
    fresh = found(2020, as_of)
    assert fresh.yields_known_to == (2016 if as_of >= dt.date(2017, 10, 1) else 2015)
    lost = fresh.missing()
    assert lost.get("harvest_years", []) == years
    if months:
        assert lost["weather_months"] == months
    if not refused:
        return fresh.check()
    with pytest.raises(MissingDataError, match=r"no weather of 2017-01 to 20") as caught:
        fresh.check()
    assert caught.value.exit_code == 3
    assert "--allow-stale" in caught.value.hint
    return None


def test_one_harvest_year_behind_is_named_and_two_are_refused(found):
    def without(*years):
        def change(tables):
            tables.yields["yield_kg_ha"].loc[{"harvest_year": list(years)}] = np.nan
            return tables

        return change

    one, two = (found(2016, dt.date(2016, 2, 20), without(*y)) for y in ((2014,), (2013, 2014)))
    assert (one.yields_known_to, one.missing()) == (2013, {"harvest_years": [2014]})
    one.check()
    with pytest.raises(MissingDataError, match="no yields of harvest years 2013-2014"):
        two.check()
    # A year lost in the middle is named, and the store is not behind.
    middle = found(2016, dt.date(2016, 2, 20), without(2010, 2011))
    assert (middle.yields_known_to, middle.missing()) == (2014, {"harvest_years": [2010, 2011]})
    middle.check()


def test_only_what_a_forecast_can_read_counts(found):
    # Of the season 2016, whose last window (RR) ends in December 2016; years later nothing is missing.
    late = found(2016, dt.date(2030, 1, 1))
    assert (late.yields_known_to, late.missing(), late.outcome) == (2015, {}, "public")
    assert found(2017, dt.date(2016, 10, 10)).outcome == ""


def test_spans_and_sentences():
    assert month_spans(["2018-01", "2017-12", "2018-03"]) == "2017-12 to 2018-01, 2018-03"
    lost = {"harvest_years": [2016, 2017], "weather_months": ["2018-01"]}
    assert described(lost) == "no yields of harvest years 2016-2017; no weather of 2018-01"
    about = {"as_of": "2018-02-06", "harvest_year": 2018, "missing": '{"harvest_years": [2016, 2017]}'}
    english, portuguese = (notices({**about, "outcome_public": 1}, lang) for lang in ("en", "pt"))
    assert len(english) == len(portuguese) == 2
    assert "2016-2017" in english[0]
    assert "produtividades das colheitas 2016-2017" in portuguese[0]
    assert "harvest year 2018" in english[1]
    assert notices({"as_of": "2018-02-06", "harvest_year": 2018}, "en") == []


def test_municipalities_left_out_are_named():
    attrs = {"left_out": '{"weather": ["1100015"], "states": ["RO"]}'}
    assert notices(attrs, "en") == [
        "1 municipality left out: no weather: 1100015",
        "States without any municipality in this forecast: RO",
    ]
    attrs = {"left_out": '{"weather": ["1100015", "1100023"], "states": []}'}
    assert notices(attrs, "pt-BR") == [
        "2 municípios fora da previsão, sem dados meteorológicos: 1100015, 1100023"
    ]
