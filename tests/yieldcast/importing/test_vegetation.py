"""Files of vegetation: observations and summaries of seasons."""

from __future__ import annotations

import numpy as np
import pytest

from yieldcast.errors import SchemaError
from yieldcast.importing.codes import Codes
from yieldcast.importing.columns import ImportLog
from yieldcast.importing.vegetation import read_vegetation

CODES = Codes(["20", "9"])
ROWS = """field_id,date,ndvi,evi,quality
9,2018-01-05,0.61,0.4,clear
20,2018-01-05,0.2,,cloud
9,2018-01-01,0.5,0.3,clear
"""


@pytest.fixture
def read(tmp_path):
    def from_text(text, log=None, fields=True, north=False):
        (tmp_path / "ndvi.csv").write_text(text, encoding="utf-8")
        return read_vegetation(tmp_path / "ndvi.csv", CODES, log or ImportLog(), fields, north)

    return from_text


def test_observations_by_hand(read):
    log = ImportLog()
    made = read(ROWS, log)
    assert made["municipality"].values.tolist() == [9, 9, 20]
    assert made["date"].values.astype("datetime64[D]").astype(str).tolist() == [
        "2018-01-01", "2018-01-05", "2018-01-05"
    ]  # fmt: skip
    assert made["ndvi"].values.tolist() == pytest.approx([0.5, 0.61, 0.2])
    assert made["clear"].values.tolist() == [1, 1, 0]
    assert ("vegetation", "observations of vegetation", 3) in log.read


def test_dates_of_composites_count_from_their_last_day(read):
    starts = ["2018-01-01", "2018-01-17", "2018-02-02", "2018-02-18", "2018-03-06", "2018-03-22"]
    text = "code,date,ndvi\n" + "".join(f"9,{day},0.5\n" for day in starts)
    log = ImportLog()
    made = read(text, log)
    assert str(made["date"].values[0])[:10] == "2018-01-16"
    assert str(made["date"].values[-1])[:10] == "2018-04-06"
    assert any("each lasts 16 days" in str(text) for _, text, _ in log.warnings)
    ended = read(text.replace("date,", "date_end,"))
    assert str(ended["date"].values[0])[:10] == "2018-01-01"


def test_days_with_several_observations(read):
    log = ImportLog()
    assert (
        read(ROWS + "9,2018-01-05,0.61,0.4,clear\n9,2018-01-05,0.1,0.1,cloud\n", log).sizes["observation"]
        == 3
    )
    assert [count for table, _, count in log.dropped if table == "vegetation"] == [1, 1]
    two = "code,date,ndvi,clear,sensor\n9,2018-01-05,0.6,1,L30\n9,2018-01-05,0.5,1,S30\n"
    assert read(two)["ndvi"].values.tolist() == pytest.approx([0.55])
    with pytest.raises(SchemaError, match="every place and date once"):
        read(two.replace(",sensor", ",note"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ROWS + "7,2018-01-05,0.6,0.4,clear\n", "expected codes of the places table, received 1 others: '7'"),
        (ROWS + "9,2118-01-05,0.6,0.4,clear\n", "expected a day|until today"),
        (ROWS + "9,2099-01-05,0.6,0.4,clear\n", "expected days until today"),
        (ROWS + "9,2018-01-06,0.6,0.4,blurry\n", "received 'blurry'"),
        ("code,date,green\n9,2018-01-05,0.6\n", "expected a column ndvi"),
        ("code,date,ndvi\n9,2018-01-05,55\n", "no factor is known"),
        ("code,date,ndvi\n9,2018-01-05,\n", "no observation has a value"),
        ("code,date,ndvi,public_from\n9,2018-01-05,0.6,2018-01-05\n", "after the day"),
        ("code,ndvi\n9,0.6\n", "expected a column date"),
        ("code,year,ndvi_max\n9,2018,0.6\n9,2018,0.7\n", "every place and year once"),
        ("code,year,ndvi_max\n9,2099,0.6\n", "expected harvest years to"),
        ("code,year,green_max\n9,2018,0.6\n", "summaries of seasons such as ndvi_max"),
    ],
)
def test_refused(read, text, expected):
    with pytest.raises(SchemaError, match=expected):
        read(text)


def test_summaries_in_portuguese_and_their_days(read):
    text = (
        "ndvi_max_safra,ndvi_plantio,ndvi_enchimento,ndvi_amplitude,codigo_ibge,ano\n"
        "0.8,,0.6,1.2,9,2000\n0.9,0.5,0.7,0.4,9,2001\n"
    )
    log = ImportLog()
    made = read(text, log, fields=False)
    assert made["summary"].values.tolist() == ["ndvi_amplitude", "ndvi_filling", "ndvi_max", "ndvi_sowing"]
    assert made["municipality"].values.tolist() == [9]
    assert made["ndvi_sowing"].values[0].tolist() == pytest.approx([np.nan, 0.5], nan_ok=True)
    assert made["ndvi_amplitude"].values[0].tolist() == pytest.approx([1.2, 0.4])
    days = made["public_from"].sel(harvest_year=2001).values.astype("datetime64[D]").astype(str).tolist()
    assert days == ["2001-06-01", "2001-06-01", "2001-06-01", "2001-01-01"]
    north = read(text, fields=False, north=True)["public_from"].sel(harvest_year=2001).values
    assert set(north.astype("datetime64[D]").astype(str).tolist()) == {"2002-01-01"}


def test_stated_days_of_publication_win(read):
    text = "code,year,ndvi_max,public_from\n9,2001,0.8,2001-04-20\n20,2001,0.7,2001-05-02\n"
    days = read(text)["public_from"].values.astype("datetime64[D]").astype(str).tolist()
    assert days == [["2001-05-02"]]  # of the year, the latest of its places
