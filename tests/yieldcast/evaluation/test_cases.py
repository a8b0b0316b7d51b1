"""Dates of the forecasts of a season."""

import datetime as dt

import numpy as np
import pytest

from yieldcast.evaluation.cases import days_of_season

SIX = ((10, 15), (1, 15), (2, 15), (3, 15), (4, 15), (6, 15))


def days(dates, end):
    return [day.isoformat() for day in days_of_season(dates, np.datetime64(end))]


def test_six_dates_of_a_season_that_ends_in_may():
    assert days(SIX, "2016-05") == [
        "2015-10-15", "2016-01-15", "2016-02-15", "2016-03-15", "2016-04-15", "2016-06-15",
    ]  # fmt: skip


def test_the_same_dates_of_a_season_of_a_calendar_year():
    # The last one, in June, lies in the season; October before January is that of the year before.
    assert days(SIX, "2016-12") == days(SIX, "2016-05")
    assert days(((1, 15), (10, 15)), "2016-12") == ["2016-01-15", "2016-10-15"]


@pytest.mark.parametrize(
    ("date", "end", "found"),
    [
        ((10, 15), "2016-05", "2015-10-15"),
        ((6, 30), "2016-05", "2016-06-30"),  # one month after the season
        ((7, 1), "2016-05", "2015-07-01"),
        ((1, 15), "2016-12", "2017-01-15"),
        ((2, 15), "2016-12", "2016-02-15"),
    ],
)
def test_a_single_date_lies_in_the_year_before_the_end(date, end, found):
    assert days((date,), end) == [found]
    assert list(days_of_season((date,), np.datetime64(end))) == [dt.date.fromisoformat(found)]
