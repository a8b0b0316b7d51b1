"""Checks before a fetch that need no service."""

import datetime as dt
import email.utils

import pytest

from data_fetchers.fetching import doctor


@pytest.mark.parametrize(
    ("seconds", "state", "text"),
    [
        (0, "ok", "differs from the services by 0 s"),
        (-299, "ok", "differs from the services by 299 s"),
        (3600, "warning", "this machine's clock differs from the services by -60 minutes"),
    ],
)
def test_the_clock_is_compared_with_the_services(now, seconds, state, text):
    """`seconds` is how much later the services' time is."""
    date = email.utils.format_datetime(
        now.replace(microsecond=0) + dt.timedelta(seconds=seconds), usegmt=True
    )
    finding = doctor._clock(["", "no date", date])
    assert (finding.state, finding.text) == (state, text)


def test_without_any_date_the_clock_is_unknown():
    assert doctor._clock(["", "no date"]).state == "warning"


def test_the_disk_is_checked_where_the_store_will_be(tmp_path):
    finding = doctor._disk(tmp_path / "not" / "yet")
    assert finding.state in ("ok", "warning")
    assert finding.text.startswith(str(tmp_path))
    assert list(tmp_path.iterdir()) == []
