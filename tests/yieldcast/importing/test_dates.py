"""Columns of days: one order of day, month and year for all cells."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from yieldcast.errors import SchemaError
from yieldcast.importing.dates import days_in, refuse_future


def read(*texts, needed=True):
    frame = pd.DataFrame({"day": texts}, index=range(2, len(texts) + 2), dtype=object)
    return days_in(frame, "day", "file.csv", needed).astype(str).tolist()


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("2018-01-31", "2018-2-1"), ["2018-01-31", "2018-02-01"]),
        (("20180131", "20180201.0"), ["2018-01-31", "2018-02-01"]),
        (("31/01/2018", "02/03/2018"), ["2018-01-31", "2018-03-02"]),  # one cell tells the order of all
        (("1.31.2018", "2.3.2018"), ["2018-01-31", "2018-02-03"]),
        (("05/05/2018",), ["2018-05-05"]),  # both orders are the same day
        (("2018-01-31T00:00:00Z", "2018-01-31 00:00"), ["2018-01-31"] * 2),
    ],
)
def test_orders(texts, expected):
    assert read(*texts) == expected


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("02/03/2018", "04/05/2018"), "'02/03/2018' is 2018-03-02 .day first. or 2018-02-03 .month first."),
        (("2018-02-30",), "line 2, column 'day': expected a day, received '2018-02-30'"),
        (("2018-01-31 10:30",), "expected a day"),
        (("2018-01-31", ""), "line 3, column 'day' is empty"),
        (("13/13/2018", "2018-01-01"), "expected a day"),
        (("1018-01-01",), "expected a day"),
    ],
)
def test_refused(texts, expected):
    with pytest.raises(SchemaError, match=expected):
        read(*texts)


def test_empty_cells_may_be_missing():
    assert read("2018-01-31", "", needed=False) == ["2018-01-31", "NaT"]


def test_days_to_come_are_refused():
    days = np.array(["2018-01-31", "2018-02-01"], dtype="datetime64[D]")
    refuse_future(days, [2, 3], "day", "file.csv", dt.date(2018, 2, 1))
    with pytest.raises(SchemaError, match="line 3, column 'day': expected days until today, 2018-01-31"):
        refuse_future(days, [2, 3], "day", "file.csv", dt.date(2018, 1, 31))
