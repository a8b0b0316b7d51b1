"""Tables of fields: places, seasons, states by codes of municipalities, and what is refused."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from yieldcast import clock
from yieldcast.data import schema
from yieldcast.errors import SchemaError
from yieldcast.importing.columns import ImportLog
from yieldcast.importing.field_places import read_field_places

HEADER = "field_id,lat,lon,crop,harvest_year,sowing_date,harvest_date,municipality_code\n"
ROWS = """F2,-25.1,-53.9,soja,2014,2013-10-02,2014-02-10,4115804
F1,-25.2,-53.8,Milho,2014,2013-09-20,2014-02-01,4115804
F2,-25.1,-53.9,trigo,2014,2014-05-02,2014-09-20,4115804
"""


@pytest.fixture
def read(tmp_path):
    def from_text(text, given=None, log=None):
        (tmp_path / "fields.csv").write_text(text, encoding="utf-8")
        return read_field_places(tmp_path / "fields.csv", given, log or ImportLog())

    return from_text


def test_fields_and_their_seasons(read):
    log = ImportLog()
    static, codes, seasons = read(HEADER + ROWS, log=log)
    assert static["code"].values.tolist() == ["F1", "F2"]
    assert static["municipality"].values.tolist() == [1, 2]
    assert static["state"].values.tolist() == ["PR", "PR"]  # 41 is Parana
    assert static[schema.PART_OF].values.tolist() == ["4115804"] * 2
    assert static["latitude_deg"].values.tolist() == [-25.2, -25.1]
    assert seasons["municipality"].values.tolist() == [1, 2, 2]
    assert seasons["crop"].values.tolist() == ["corn", "soybean", "wheat"]
    assert str(seasons["harvest_date"].values[2])[:10] == "2014-09-20"
    assert ("places", "states by the codes of the municipalities", 2) in log.read
    assert codes.find(["F2"]).tolist() == [1]


def test_portuguese_headings_and_dates(read):
    text = (
        "Talhão;Latitude;Longitude;Cultura;Safra;Data de plantio;Data de colheita;Município;UF\n"
        "T 1;-25,1;-53,9;soja;2013/14;02/10/2013;20/02/2014;Medianeira;PR\n"
    )
    static, _, seasons = read(text)
    assert (static["code"].item(), static["state"].item()) == ("T 1", "PR")
    assert static[schema.PART_OF].item() == "Medianeira"
    assert seasons["harvest_year"].item() == 2014
    assert str(seasons["sowing_date"].values[0])[:10] == "2013-10-02"


def test_seasons_named_as_in_the_paper_and_years_from_harvest_dates(read):
    header = "id,latitude,longitude,crop,season,state\n"
    seasons = read(header + "1,-25,-53,wheat,2013 S2,PR\n1,-25,-53,corn,2013 S1,PR\n").seasons
    assert seasons["harvest_year"].values.tolist() == [2013, 2013]
    dated = read("id,latitude,longitude,crop,harvest_date,state\n1,-25,-53,wheat,2013-09-30,PR\n").seasons
    assert dated["harvest_year"].item() == 2013
    beside = read("id,lat,lon,crop,year,season,state\n1,-25,-53,wheat,2013,S2,PR\n").seasons
    assert beside["harvest_year"].item() == 2013


def test_without_state_and_municipality(read):
    log = ImportLog()
    made = read("id,lat,lon,crop,harvest_year\nA,52.0,5.6,wheat,2020\n", log=log)
    assert made.static["state"].item() == "unknown"
    assert np.isnat(made.seasons["harvest_date"].values).all()
    assert ("field_seasons", "seasons without a sowing date", 1) in log.warnings


def test_a_planned_harvest_is_stored_and_named(read, monkeypatch):
    monkeypatch.setattr(clock, "today", lambda: dt.date(2014, 2, 5))
    log = ImportLog()
    read(HEADER + ROWS, log=log)
    assert ("field_seasons", "harvest dates after today: planned, not known", 2) in log.warnings


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "F2,-25.1,-53.9,trigo",
            "F2,-25.1,-53.9,soja",
            "every field and crop and harvest year once.*lines .2, 4",
        ),
        ("2014-02-10", "2013-10-01", "line 2, field 'F2': expected a harvest after sowing"),
        ("2013-10-02,2014-02-10", "2012-01-02,2014-02-10", "at most 731 days"),
        ("F2,-25.1,-53.9,trigo", "F2,-25.9,-53.9,trigo", "one lat of the field 'F2' in all of its rows"),
        ("F1,-25.2", "F1,", "line 3, column 'lat' is empty"),
        ("2014-02-10", "2014-02-31", "expected a day"),
        ("soja,2014,2013-10-02,2014-02-10", "soja,2014,2017-10-02,2018-02-10", "harvest year"),
        ("F1,", ",", "'field_id' is empty"),
        ("-53.8,Milho", "-53.8,", "'crop' is empty"),
        ("2014-02-01,4115804", "2014-02-01,", "a state of every field"),
    ],
)
def test_refused(read, old, new, expected):
    text = HEADER + ROWS
    assert old in text
    with pytest.raises(SchemaError, match=expected):
        read(text.replace(old, new, 1))


def test_columns_that_lack_are_named(read):
    with pytest.raises(SchemaError, match="expected a column latitude_deg"):
        read("field_id,crop,harvest_year\nF1,soja,2014\n")
    with pytest.raises(SchemaError, match="expected a column harvest_year"):
        read("field_id,lat,lon,crop\nF1,-25,-53,soja\n")
