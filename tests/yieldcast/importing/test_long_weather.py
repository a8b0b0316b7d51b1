"""Daily weather as a table with a row for each unit and day."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from yieldcast import clock
from yieldcast.errors import ConfigError, SchemaError
from yieldcast.importing.codes import Codes
from yieldcast.importing.columns import ImportLog
from yieldcast.importing.daily import read_daily
from yieldcast.importing.weather import months_of_days

CODES = Codes(["20", "9"])
FIELDS = """field_id,lat,lon,crop,harvest_year,weather_unit
9,-20,-48,soja,2018,A
20,-21,-48,soja,2018,A
9,-20,-48,soja,2017,A
"""
HEADER = "weather_unit,date,tmax_degC,tmin_degC,precipitation_mm,relative_humidity_pct\n"


def days(unit="A", first="2018-01-01", count=31):
    start = np.datetime64(first, "D")
    return "".join(f"{unit},{start + k},30,{18 + k % 2},{k % 3},70\n" for k in range(count))


@pytest.fixture
def read(tmp_path):
    def from_text(text, fields=FIELDS, part_of=("", ""), log=None, name="days.csv"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / "fields.csv").write_text(fields or "", encoding="utf-8")
        places = tmp_path / "fields.csv" if fields else None
        return read_daily(tmp_path / name, CODES, log or ImportLog(), places, part_of)

    return from_text


def test_fields_share_a_unit_and_its_dew_point(read):
    log = ImportLog()
    table = read(HEADER + days() + days("B"), log=log)
    assert table["municipality_unit"].values.tolist() == [0, 0]
    assert table.sizes["unit"] == 2
    # ea = 0.7 x (e(30) + e(18)) / 2 = 0.7 x (4.2431 + 2.0640) / 2 = 2.2075 kPa
    assert float(table["dewpoint_degC"][0, 0]) == pytest.approx(19.07, abs=0.02)
    assert ("daily", "dew points computed from relative humidity (FAO-56)", 62) in log.read
    monthly = months_of_days(table, CODES, log)
    assert monthly["precipitation_mm"].values[:, 0].tolist() == [30.0, 30.0]  # 0 + 1 + 2, ten times, and 0
    assert monthly["tmin_degC"].values[0, 0] == pytest.approx(18 + 15 / 31)


def test_units_are_not_taken_for_fields_of_the_same_number(read):
    fields = FIELDS.replace(",A\n", ",20\n")
    table = read(HEADER + days("9") + days("20"), fields)
    assert table["unit"].values.tolist() == [9, 20]
    assert table["municipality_unit"].values.tolist() == [1, 1]
    with pytest.raises(ConfigError, match="its units are of 'weather_unit', not fields"):
        read(HEADER + days("9"), fields=None)


def test_units_that_are_fields_or_municipalities(read):
    own = read(HEADER.replace("weather_unit", "field_id") + days("9"), fields=None)
    assert own["municipality_unit"].values.tolist() == [0, -1]
    other = HEADER.replace("weather_unit", "municipality_code") + days("4115804")
    table = read(other, fields=None, part_of=("4115804", ""))
    assert table["municipality_unit"].values.tolist() == [0, -1]


def test_portuguese_headings_with_units(read):
    text = "Estação;Data;Temperatura máxima (°C);Temperatura mínima (°C);Chuva (cm);Radiação (W/m²)\n"
    rows = "".join(f"A;{k:02d}/01/2018;30,5;18;{k % 3};250\n" for k in range(1, 32))
    table = read(text + rows, FIELDS.replace("weather_unit", "estacao"))
    assert float(table["tmax_degC"][0, 0]) == pytest.approx(30.5)
    assert float(table["precipitation_mm"][0, 0]) == 10.0
    assert float(table["radiation_MJ_m2"][0, 0]) == pytest.approx(21.6)


def test_days_from_year_and_day_of_year(read):
    text = "weather_unit,YEAR,DOY,tmax_degC,tmin_degC,precipitation_mm\n"
    rows = "".join(f"A,2018,{k},30,18,1\n" for k in range(30, 70))
    table = read(text + rows)
    assert str(table["time"].values[0])[:10] == "2018-01-30"


def test_a_mark_of_synthetic_weather_is_kept(read):
    text = HEADER.strip() + ",synthetic\n" + days().replace("\n", ",1\n")
    assert read(text).attrs["synthetic"] == 1
    assert "synthetic" not in read(text.replace(",1\n", ",0\n")).attrs


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEADER + days() + days(), "every unit and day once, received 'A' on 2018-01-01 on lines .2, 33."),
        (HEADER.replace("tmax_degC", "tmax") + days(), "expected a unit in its name"),
        (HEADER.replace("precipitation_mm", "wet") + days(), "expected the variables .'precipitation_mm'."),
        (HEADER + days("C"), "expected a column weather_unit with units of the daily weather such as 'C'"),
        (HEADER + days().replace(",70\n", ",0.7\n"), "relative humidity in per cent"),
        (HEADER + days() + "A,yesterday,30,18,1,70\n", "line 33, column 'date': expected a day"),
        ("date,tmax_degC,tmin_degC,precipitation_mm\n2018-01-01,30,18,1\n", "a column with the code"),
        ("weather_unit,date\nA,2018-01-01\n", "expected columns of weather"),
        (HEADER + days().replace(",30,", ",12,"), "tmin at or below tmax"),
    ],
)
def test_refused(read, text, expected):
    with pytest.raises(SchemaError, match=expected):
        read(text)


def test_two_units_of_one_field_are_refused(read):
    with pytest.raises(SchemaError, match="expected one weather_unit of each place"):
        read(HEADER + days() + days("B"), FIELDS.replace("2017,A", "2017,B"))


def test_days_to_come_are_refused(read, monkeypatch):
    monkeypatch.setattr(clock, "today", lambda: dt.date(2018, 1, 30))
    with pytest.raises(SchemaError, match="expected days until today, 2018-01-30"):
        read(HEADER + days())
