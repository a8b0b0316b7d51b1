import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from yieldcast.publication import DEFAULT_YIELDS, Publication, add_months


def test_publication_dates_by_hand():
    default = Publication()
    # PAM 2017: nine months after 31 Dec 2017 is 1 Oct 2018.
    assert default.yields_public(2017) == dt.date(2018, 10, 1)
    # Final ERA5 of September 2017: three months after the end of the month, 1 January 2018.
    assert default.weather_public(dt.date(2017, 9, 1)) == dt.date(2018, 1, 1)
    # Preliminary ERA5T: the sixth of the next month.
    assert Publication(0, 5).weather_public(dt.date(2017, 12, 1)) == dt.date(2018, 1, 6)
    # At the end of a soybean window (31 May 2018) the newest PAM is 2016, in October 2018 it is 2017.
    assert default.last_public_harvest_year(dt.date(2018, 5, 31)) == 2016
    assert default.last_public_harvest_year(dt.date(2018, 9, 30)) == 2016
    assert default.last_public_harvest_year(dt.date(2018, 10, 1)) == 2017
    # Before sowing, on 15 September 2017, PAM 2016 is not public yet: Y-3 for harvest year 2018.
    assert default.last_public_harvest_year(dt.date(2017, 9, 15)) == 2015


@given(st.dates(dt.date(1990, 1, 1), dt.date(2060, 1, 1)), st.integers(-30, 30))
def test_months_add_up(date, months):
    there = add_months(date, months)
    assert there.day == 1
    assert add_months(there, -months) == date.replace(day=1)
    assert (there.year - date.year) * 12 + there.month - date.month == months


@given(st.dates(dt.date(1990, 1, 1), dt.date(2060, 1, 1)))
def test_the_last_public_year_is_public_and_the_next_is_not(date):
    publication = Publication()
    year = publication.last_public_harvest_year(date)
    assert publication.yields_public(year) <= date < publication.yields_public(year + 1)


def test_days_of_release_replace_the_rule():
    pam = Publication(releases=DEFAULT_YIELDS.released)
    assert pam.yields_public(2014) == dt.date(2015, 11, 5)
    assert pam.yields_public(2013) == dt.date(2014, 10, 10)  # assumed
    assert pam.yields_public(2021) == dt.date(2022, 10, 1)  # the rule
    # On 15 October 2015 PAM 2014 was not out yet, on 15 September 2018 PAM 2017 was.
    assert pam.last_public_harvest_year(dt.date(2015, 10, 15)) == 2013
    assert pam.last_public_harvest_year(dt.date(2018, 9, 15)) == 2017
    assert Publication().last_public_harvest_year(dt.date(2018, 9, 15)) == 2016
    assert hash(pam) == hash(Publication())


@given(st.dates(dt.date(1990, 1, 1), dt.date(2060, 1, 1)))
def test_with_days_of_release_the_last_public_year_is_public_and_the_next_is_not(date):
    pam = Publication(releases=DEFAULT_YIELDS.released)
    year = pam.last_public_harvest_year(date)
    assert pam.yields_public(year) <= date < pam.yields_public(year + 1)
