"""Rows of scores: what is written is what is read, and what cannot be compared is refused."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.evaluation.score_rows import (
    Said,
    ScoredPlaces,
    models_of,
    read_rows,
    score_table,
    write_rows,
)
from yieldcast.forecasting.table import QUANTILES

HEAD = "model,crop,municipality,harvest_year,as_of,state,yield_kg_ha,forecast_kg_ha"
ROW = "m,soybean,5100102,2015,2015-02-15,MT,3000,3100"


@pytest.fixture
def table():
    places = ScoredPlaces(
        "soybean", np.array([11, 12, 13]), np.array([2015, 2015, 2016]), np.datetime64("2015-02-15"),
        np.array(["MT", "MT", "GO"]), np.array([3000.0, 2000.0, 2500.125]), np.array([2, 0, -1]),
    )  # fmt: skip
    quantiles = np.arange(21.0).reshape(3, len(QUANTILES)) + 1000 / 3
    shares = np.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0], [1 / 3, 1 / 3, 1 / 3]])
    said = Said(np.array([2900.0, 2100.0, 2500.0]), quantiles, np.array([1, 0, 2]), shares)
    return score_table(places, {"ours": said, "line": Said(np.array([1.0, 2.0, 3.0]))})


def text_file(tmp_path, *lines, name="rows.csv"):
    file = tmp_path / name
    file.write_text("\n".join(lines) + "\n")
    return file


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz"])
def test_what_is_written_is_read(table, tmp_path, name):
    write_rows(tmp_path / name, [table])
    first = (tmp_path / name).read_bytes()
    found = read_rows(tmp_path / name)
    assert models_of(found) == ("ours", "line")
    assert found["class"].tolist() == ["high", "low", ""] * 2
    assert found["predicted_class"].tolist() == ["medium", "low", "high", "", "", ""]
    assert found["q05"].tolist()[:2] == [333.33, 340.33]
    assert found["p_low"].tolist()[:3] == [0.2, 1.0, 0.333333]
    assert np.isnan(found["q05"]).tolist() == [False] * 3 + [True] * 3
    assert found["as_of"].unique().tolist() == ["2015-02-15"]
    write_rows(tmp_path / name, [found])
    assert (tmp_path / name).read_bytes() == first  # the same rows are the same bytes


def test_columns_that_no_row_needs_are_not_written(table, tmp_path):
    line = table[table["model"] == "line"].assign(**{"class": ""})
    write_rows(tmp_path / "rows.csv.gz", [line])
    assert gzip.decompress((tmp_path / "rows.csv.gz").read_bytes()).decode().splitlines()[0] == HEAD


def test_a_file_of_another_program_needs_few_columns(tmp_path):
    file = text_file(tmp_path, "forecast_kg_ha,other,harvest_year,municipality,yield_kg_ha",
                     "3100,x,2015,1,3000", ",y,2015,2,2000")  # fmt: skip
    found = read_rows(file)
    assert found[["model", "crop", "as_of", "state"]].iloc[0].tolist() == ["forecast", "", "", ""]
    assert np.isnan(found["forecast_kg_ha"]).tolist() == [False, True]


@pytest.mark.parametrize(
    ("lines", "error", "said"),
    [
        ([HEAD.replace("municipality", "place"), ROW], SchemaError, "municipality"),
        ([HEAD.replace("forecast_kg_ha", "f"), ROW], SchemaError, "yield_kg_ha and forecast_kg_ha, or class"),
        ([HEAD + ",q05,q50", ROW + ",1,2"], SchemaError, "q10, q25, q75, q90, q95"),
        ([HEAD, ROW, ROW], SchemaError, "m soybean 5100102 2015 2015-02-15 twice"),
        ([HEAD, ROW, ROW.replace("m,", "n,").replace("3000", "3001")], SchemaError, "3000 and 3001"),
        ([HEAD, ROW.replace("3100", "3.1e")], SchemaError, "'3.1e' in row 1"),
        ([HEAD, ROW.replace("3000", "-1")], SchemaError, "a number of 0 or more"),
        ([HEAD, ROW.replace("3100", "inf")], SchemaError, "'inf'"),
        ([HEAD, ROW.replace("2015,2015", "2015.5,2015")], SchemaError, "a whole number"),
        ([HEAD, ROW.replace("2015-02-15", "15/02/2015")], SchemaError, "YYYY-MM-DD"),
        ([HEAD + ",class,predicted_class", ROW + ",low,lowest"], SchemaError, "'lowest'"),
        ([HEAD + ",p_low,p_medium,p_high", ROW + ",0.5,0.5,0.5"], SchemaError, "a sum of 1"),
        ([HEAD + ",model", ROW + ",n"], SchemaError, "different columns"),
        ([HEAD], MissingDataError, "received none"),
        ([""], SchemaError, "expected a CSV"),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path, lines, error, said):
    with pytest.raises(error, match=said):
        read_rows(text_file(tmp_path, *lines))


def test_files_that_are_no_text_are_refused(tmp_path):
    with pytest.raises(MissingDataError, match="no-file"):
        read_rows(tmp_path / "no-file.csv")
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(b"x" * 1000)[:20])
    with pytest.raises(MissingDataError, match="cut"):
        read_rows(tmp_path / "cut.csv.gz")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SchemaError, match="UTF-8"):
        read_rows(tmp_path / "bytes.csv")
