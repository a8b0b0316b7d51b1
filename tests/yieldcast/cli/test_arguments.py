"""Options with several values; years and dates are tested with the commands that take them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yieldcast.cli.arguments import parse_dates, parse_leads, parse_months
from yieldcast.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "leads"),
    [
        ("3", (3,)),
        ("0,3,6", (0, 3, 6)),
        ("6, 0,3,3", (0, 3, 6)),
        ("0:3", (0, 1, 2, 3)),
        ("-1:1,9", (-1, 0, 1, 9)),
        ("-2:-1", (-2, -1)),
        ("all", None),
        (" All ", None),
    ],
)
def test_leads_as_typed(text, leads):
    assert parse_leads(text, "--leads") == leads


@pytest.mark.parametrize("text", ["", "soon", "1.5", "100", "1:", ":3", "1-3", "--1", "0,,3", "all,3"])
def test_leads_that_are_not(text):
    with pytest.raises(ConfigError, match="--leads: expected all, or months such as 3, 0:9 or 0,3,6"):
        parse_leads(text, "--leads")


def test_a_backward_range_is_empty():
    with pytest.raises(ConfigError, match="'9:0' is an empty range") as error:
        parse_leads("9:0", "--leads")
    assert error.value.hint == "Put the smaller number first."
    assert error.value.exit_code == 2


@given(st.sets(st.integers(-99, 99), min_size=1))
def test_any_leads_survive_being_typed(leads):
    assert parse_leads(",".join(map(str, leads)), "--leads") == tuple(sorted(leads))


@pytest.mark.parametrize(
    ("text", "months"),
    [
        ("2017-09", ["2017-09"]),
        ("2017-11:2018-01", ["2017-11", "2017-12", "2018-01"]),
        ("2018-01, 2017-09,2018-01", ["2017-09", "2018-01"]),
    ],
)
def test_months_as_typed(text, months):
    assert [str(month) for month in parse_months(text, "--starts")] == months


@pytest.mark.parametrize(
    "text", ["", "2017", "2017-13", "2018-01:2017-12", "2017-09:", "17-09", "2017-09-01"]
)
def test_months_that_are_not(text):
    with pytest.raises(ConfigError, match="--starts"):
        parse_months(text, "--starts")


def test_dates_as_typed():
    assert parse_dates("10-15, 01-15,06-30", "--dates") == ((10, 15), (1, 15), (6, 30))
    assert parse_dates(None, "--dates") is None


@pytest.mark.parametrize("text", ["", "15", "13-01", "02-30", "2015-10-15", "10-15,", "soon"])
def test_dates_that_are_not(text):
    with pytest.raises(ConfigError, match="--dates: expected months and days such as 10-15,01-15,06-15"):
        parse_dates(text, "--dates")


@pytest.mark.parametrize("text", ["01-15,01-20", "10-15,01-15,11-15,02-15", "10-15,01-15,11-15"])
def test_dates_that_are_no_season(text):
    with pytest.raises(ConfigError, match="different months, in order of time, within a year"):
        parse_dates(text, "--dates")
