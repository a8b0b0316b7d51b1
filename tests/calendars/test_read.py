"""Calendar files of users: other countries, and every way to be malformed."""

import numpy as np
import pytest

from calendars import CalendarError, CalendarFileError, read

HEADER = "region,crop,planting_start,planting_end,harvest_start,harvest_end,months"
# India, simplified: two crops, own region codes, own lengths, columns in another order, one column extra.
INDIA = """crop,months,region,note,planting_start,planting_end,harvest_start,harvest_end
wheat,6,PB,rabi,01/11,30/11,01/04,30/04
wheat,6,HR,rabi,25/10,30/11,01/04,30/04
rice,5,PB,"kharif, wet",15/06,15/07,01/10,15/11
rice,5,South,kharif,01/07,31/07,01/11,31/12
"""
STATES = {"PB": "North", "HR": "North", "DL": "North", "KL": "South"}


@pytest.fixture
def write(tmp_path):
    def save(content):
        path = tmp_path / "mine.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return save


def test_calendar_of_another_country(write):
    india = read(write(INDIA), STATES)
    assert india.crops == ("rice", "wheat")
    assert (india.steps("rice"), india.steps("wheat")) == (5, 6)
    # planted Nov, harvested from Apr: Nov > Apr, so Nov 2019 and six months
    assert [str(m) for m in india.window("wheat", "PB", 2020)] == [
        "2019-11", "2019-12", "2020-01", "2020-02", "2020-03", "2020-04"]  # fmt: skip
    # planted Jun, harvested from Oct of the same year, five months
    assert [str(m) for m in india.window("rice", "PB", 2020)] == [
        "2020-06", "2020-07", "2020-08", "2020-09", "2020-10"]  # fmt: skip
    # KL has no row, its region South has one: from Jul
    assert str(india.window("rice", "KL", 2020)[0]) == "2020-07"
    # DL: North has no row; HR starts in Oct, PB in Nov, once each, and HR comes first
    assert india.row("wheat", "DL").region == "HR"
    starts = india.starts("wheat", ["PB", "DL", "PB"], np.array([2020, 2020, 2001]))
    assert [str(m) for m in starts] == ["2019-11", "2019-10", "2000-11"]


def test_without_regions_only_own_rows_hold(write):
    with pytest.raises(CalendarError, match="'DL'"):
        read(write(INDIA)).row("wheat", "DL")


@pytest.mark.parametrize(
    "dress",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\n" + text.replace("\n", "\n\n") + ",,,\n",
        lambda text: text.replace(",", ", ").replace("PB", "PB "),
    ],
    ids=["byte-order mark", "Windows line ends", "blank lines", "spaces"],
)
def test_harmless_differences_are_accepted(write, dress):
    assert read(write(dress(INDIA))) == read(write(INDIA))


GOOD = "SP,corn,01/10,31/12,01/03,31/05,9"
# name: (text of the file, line, column or None where there is none, part of the message)
MALFORMED = {
    "column missing": (HEADER.replace(",months", "") + "\n" + GOOD, 1, "months", "once in the header"),
    "column twice": (HEADER + ",crop\n" + GOOD + ",corn", 1, "crop", "once in the header"),
    "semicolons": (f"{HEADER}\n{GOOD}".replace(",", ";"), 1, "region", "once in the header"),
    "empty file": ("", 1, "region", "an empty file"),
    "blank file": (" \n\n", 1, "region", "an empty file"),
    "31 February": (f"{HEADER}\n{GOOD}\nMT,corn,01/10,31/02,01/03,31/05,9", 3, "planting_end", "'31/02'"),
    "month 13": (f"{HEADER}\n{GOOD.replace('01/10', '01/13')}", 2, "planting_start", "'01/13'"),
    "day 0": (f"{HEADER}\n{GOOD.replace('01/03', '00/03')}", 2, "harvest_start", "'00/03'"),
    "text for a date": (
        f"{HEADER}\n{GOOD.replace('31/05', 'May')}",
        2,
        "harvest_end",
        "DD/MM, received 'May'",
    ),
    "ISO date": (f"{HEADER}\n{GOOD.replace('31/05', '--05-31')}", 2, "harvest_end", "DD/MM"),
    "one digit": (f"{HEADER}\n{GOOD.replace('01/10', '1/10')}", 2, "planting_start", "DD/MM"),
    "date with year": (f"{HEADER}\n{GOOD.replace('01/10', '01/10/2018')}", 2, "planting_start", "DD/MM"),
    "date empty": (f"{HEADER}\n{GOOD.replace('01/10', '')}", 2, "planting_start", "received ''"),
    "months not whole": (f"{HEADER}\n{GOOD}.5", 2, "months", "whole number, received '9.5'"),
    "months text": (f"{HEADER}\n{GOOD[:-1]}nine", 2, "months", "received 'nine'"),
    "months 0": (f"{HEADER}\n{GOOD[:-1]}0", 2, "months", "1..24, received 0"),
    "months 25": (f"{HEADER}\n{GOOD[:-1]}25", 2, "months", "1..24, received 25"),
    "months negative": (f"{HEADER}\n{GOOD[:-1]}-9", 2, "months", "received '-9'"),
    "row cut short": (f"{HEADER}\n{GOOD[:-2]}", 2, "months", "received ''"),
    "row too long": (f"{HEADER}\n{GOOD},9", 2, 8, "expected 7 cells"),
    "row twice": (f"{HEADER}\n{GOOD}\n\n{GOOD}", 4, "region", "already on line 2"),
    "region empty": (f"{HEADER}\n{GOOD[2:]}", 2, "region", "a name, received ''"),
    "crop empty": (f"{HEADER}\n{GOOD.replace('corn', ' ')}", 2, "crop", "a name, received ''"),
    "lengths differ": (
        f"{HEADER}\n{GOOD}\nMT,{GOOD[3:-1]}8",
        3,
        "months",
        "9 as for corn on line 2, received 8",
    ),
    "no rows": (HEADER + "\n", None, None, "rows below the header"),
    "quote not closed": (f'{HEADER}\n{GOOD}\n"MT,corn\n', 3, None, "separated by commas"),
    "Latin-1": (f"{HEADER}\n{GOOD}\nPará,x".encode("latin-1"), 3, None, "UTF-8 text"),
    "UTF-16": (f"{HEADER}\n{GOOD}".encode("utf-16"), 1, None, "UTF-8 text"),
    "workbook": (b"PK\x03\x04\n\x00\x00\x08\x00", 2, None, "UTF-8 text"),
    # a quoted line end: the rows begin on lines 2 (to 3) and 4 (to 5)
    "cells of two lines": (f'{HEADER}\n"S\nP"{GOOD[2:]}\n"M\nT",corn,x', 4, "planting_start", "received 'x'"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_files_name_row_and_column(write, case):
    content, line, column, part = MALFORMED[case]
    path = write(content)
    with pytest.raises(CalendarError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert part in message
    if line is not None:
        assert f", line {line}" in message
    if column is not None:
        assert f", column {column!r}: " in message
    assert caught.value.hint
    assert caught.value.exit_code == 5


def test_dates_say_that_only_one_form_is_read(write):
    with pytest.raises(CalendarError) as caught:
        read(write(MALFORMED["ISO date"][0]))
    assert "Only DD/MM is read" in caught.value.hint


def test_a_file_that_is_not_there(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(CalendarFileError, match="a file to read") as caught:
            read(path)
        assert caught.value.exit_code == 3
