"""A user's CSV of official estimates: columns by name, symbols, states, surveys, real files."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.importing.columns import ImportLog
from yieldcast.importing.estimates import read_estimates

HEADER = (
    "crop,harvest_year,state,estimate_month,public_from,"
    "yield_kg_ha,area_harvested_ha,area_planted_ha,production_t\n"
)
LSPA = f"""{HEADER}Soybean,2018,MT,2018-01,2018-02-15,3100,1000,1010,3100
soybean,2018,MT,2018-02,2018-03-15,3100,1000,1010,3100
soybean,2018,PR,2018-01,2018-02-15,-,-,..,-
soybean,2018,PR,2018-02,2018-03-15,X,20,...,60
corn_1,2018,Brasil,2018-02,2018-03-15,5000,7,,35
"""
CONAB = """crop,season,harvest_year,uf,survey,published,area_ha,production_t
soybean,2017/18,2018,MT,1,2017-10-10,200,600
soybean,2017/18,2018,MT,11,2018-08-09,200,640
soybean,2017/18,2018,MT,12,2018-09-11,200,650
"""
STATES = ("MT", "PR")


def read(tmp_path: Path, text: str, name: str = "lspa_months.csv", **options):
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    log = ImportLog()
    return read_estimates([file], STATES, log, **options), log


def test_lspa_by_hand(tmp_path):
    table, log = read(tmp_path, LSPA)
    assert table["source"].values.tolist() == ["lspa"] * 4
    assert table["crop"].values.tolist() == ["corn_1", "soybean", "soybean", "soybean"]
    assert table["unit"].values.tolist() == ["country", "MT", "MT", "PR"]
    assert table["reference"].values.tolist() == ["2018-02", "2018-01", "2018-02", "2018-02"]
    assert table["public_from"].values[1] == np.datetime64("2018-02-15")
    assert table["reference_month"].values[1] == np.datetime64("2018-01-01")
    assert table["carried_over"].values.tolist() == [0, 0, 1, 0]
    withheld = table.isel(estimate=3)  # X and ... are unknown; the row has an area and a production
    assert np.isnan(withheld["yield_kg_ha"])
    assert np.isnan(withheld["area_planted_ha"])
    assert float(withheld["area_harvested_ha"]) == 20
    assert log.dropped == [("estimates", "no value above zero", 1)]
    assert ("estimates", "equal to the estimate before, marked as carried over", 1) in log.read
    assert log.sources["estimates-lspa"]["file"].endswith("lspa_months.csv")


def test_conab_keeps_surveys_1_to_11_and_computes_yields(tmp_path):
    table, log = read(tmp_path, CONAB, "conab_surveys.csv")
    assert table["source"].values.tolist() == ["conab", "conab"]
    assert table["reference"].values.tolist() == ["survey 1", "survey 11"]
    assert table["reference_month"].values[0] == np.datetime64("2017-10-01")
    assert table["yield_kg_ha"].values.tolist() == [3000, 3200]
    assert table["area_planted_ha"].values.tolist() == [200, 200]
    assert log.dropped == [
        ("estimates", "surveys after the 11th, which CONAB overwrites with the final figure", 1)
    ]


def test_the_source_is_named_by_option_or_column(tmp_path):
    assert set(read(tmp_path, LSPA, source="ibge")[0]["source"].values) == {"ibge"}
    text = LSPA.replace("crop,", "source,crop,").replace("\nsoy", "\na,soy").replace("\nSoy", "\nb,Soy")
    table, log = read(tmp_path, text.replace("\ncorn", "\na,corn"), source="ignored")
    assert set(table["source"].values) == {"a", "b"}
    assert {"estimates-a", "estimates-b"} == set(log.sources)


def test_several_files_and_gzip(tmp_path):
    first, second = tmp_path / "lspa.csv", tmp_path / "conab.csv.gz"
    first.write_text(LSPA, encoding="utf-8")
    second.write_bytes(gzip.compress(CONAB.encode()))
    table = read_estimates([first, second, first], STATES, ImportLog())
    assert sorted(set(table["source"].values)) == ["conab", "lspa"]
    assert table.sizes["estimate"] == 6


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("2018,MT,2018-01", "2018,XX,2018-01", r"line 2: expected a state of the store \(MT, PR\)"),
        ("2018-02-15,3100", "15/02/2018,3100", "line 2, column 'public_from': expected a date"),
        ("2018-02-15,3100", ",3100", "expected a date"),
        ("2018-02-15,3100", "2018-02-15,x", "line 2, column 'yield_kg_ha': expected a number"),
        ("Soybean,2018", ",2018", "line 2: no crop"),
        ("MT,2018-01", "MT,", "line 2: no reference"),
        ("Soybean,2018", "Soybean,18", "expected a year"),
        ("public_from", "known", "expected a column public_from or published"),
        ("2018-02,2018-03-15,3100,1000", "2018-01,2018-02-15,3000,1000", "one value of an estimate on a day"),
        ("yield_kg_ha", "yield", "unit in its name"),
    ],
)
def test_wrong_cells_are_refused(tmp_path, old, new, message):
    assert old in LSPA
    with pytest.raises(SchemaError, match=message) as caught:
        read(tmp_path, LSPA.replace(old, new, 1))
    assert caught.value.hint


def test_files_that_are_none(tmp_path):
    with pytest.raises(MissingDataError, match="cannot read"):
        read_estimates([tmp_path / "no.csv"], STATES, ImportLog())
    with pytest.raises(SchemaError, match="no row has an estimate"):
        read(tmp_path, "\n".join(LSPA.splitlines()[:1] + LSPA.splitlines()[3:4]))
    bare = CONAB.replace(",production_t", ",tons")
    with pytest.raises(SchemaError, match="expected a yield"):
        read(tmp_path, bare)


def test_real_lspa_and_conab(brazil_files):
    files = [brazil_files / "lspa_state_monthly.csv.gz", brazil_files / "conab_surveys_state.csv.gz"]
    log, states = (
        ImportLog(),
        "AC AL AM AP BA CE DF ES GO MA MG MS MT PA PB PE PI PR RJ RN RO RR RS SC SE SP TO",
    )
    table = read_estimates(files, states.split(), log)
    source = table["source"].values
    assert [(source == name).sum() for name in ("lspa", "conab")] == [10_202, 957]
    mine = table.isel(estimate=(source == "lspa") & (table["crop"].values == "soybean"))
    assert mine.sizes["estimate"] == 2390
    assert min(mine["reference"].values.tolist()) == "2006-09"
    assert table["public_from"].values.max() == np.datetime64("2019-01-15")
    assert 0.2 < float(mine["carried_over"].mean()) < 0.9
