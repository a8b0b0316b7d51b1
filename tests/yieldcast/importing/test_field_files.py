"""The four files of fields into a store: the tables as made directly; faults are refused, none is written."""

from __future__ import annotations

import json

import numpy as np
import pytest

from yieldcast.data.store import Store, is_synthetic
from yieldcast.data.synthetic_fields import field_data, field_tables, write_field_files
from yieldcast.errors import ConfigError, SchemaError
from yieldcast.importing.check import document
from yieldcast.importing.files import UserFiles, check_files, import_files


@pytest.fixture(scope="module")
def data():
    return field_data(seed=2, fields=12, seasons=2, units=2)


@pytest.fixture
def files(tmp_path, data):
    paths = write_field_files(tmp_path / "files", data)
    return UserFiles(
        fields=paths["fields"], yields=paths["yields"], daily=paths["days"],
        vegetation=(paths["vegetation"],),
    )  # fmt: skip


def test_an_import_gives_the_tables_that_were_written(files, data, tmp_path):
    store, reader = import_files(tmp_path / "store", files)
    tables, optional = field_tables(data)
    for name in ("field_seasons", "vegetation"):
        assert getattr(store, name).equals(optional[name])
    for name in ("tmax_degC", "precipitation_mm", "radiation_MJ_m2"):
        np.testing.assert_array_equal(store.daily[name].values, optional["daily"][name].values)
    assert store.daily["municipality_unit"].equals(optional["daily"]["municipality_unit"])
    assert "dewpoint_degC" in store.daily
    assert store.yields["yield_kg_ha"].equals(tables.yields["yield_kg_ha"])
    assert store.static["part_of"].equals(tables.static["part_of"])
    for name in tables.weather.data_vars:
        np.testing.assert_allclose(store.weather[name].values, tables.weather[name].values, rtol=1e-5)
    assert is_synthetic(store.tables)
    assert store.country.name == "Brazil"
    found = document(reader, store.path, store.fingerprints)
    assert {"table": "field_seasons", "what": "seasons of fields", "count": 24} in found["read"]


def test_vegetation_alone_is_added_to_a_store(files, data, tmp_path):
    plain = UserFiles(fields=files.fields, yields=files.yields, daily=files.daily)
    store, _ = import_files(tmp_path / "store", plain)
    assert "vegetation" not in store
    added, _ = import_files(store.path, UserFiles(vegetation=files.vegetation))
    assert added.vegetation.equals(field_tables(data)[1]["vegetation"])
    assert Store.open(store.path).field_seasons.equals(store.field_seasons)


def test_other_combinations_are_refused(files, tmp_path):
    with pytest.raises(ConfigError, match="received --places and --fields"):
        import_files(tmp_path / "store", UserFiles(places=files.fields, fields=files.fields))
    with pytest.raises(ConfigError, match="import needs --fields, --yields and --daily-weather"):
        import_files(tmp_path / "store", UserFiles(fields=files.fields, yields=files.yields))
    twice = UserFiles(
        fields=files.fields, yields=files.yields, daily=files.daily, vegetation=files.vegetation * 2
    )
    with pytest.raises(ConfigError, match="two files of the same kind"):
        import_files(tmp_path / "store", twice)
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("file", "add", "expected"),
    [
        ("yields", "77,corn,2025,9000\n", "expected codes of the places table, received 1 others: '77'"),
        ("vegetation", "77,2025-02-01,0.5,0.3,clear\n", "received 1 others: '77'"),
        ("yields", "1,soybean,2024,3000\n1,soybean,2024,3000\n", "every code and crop and year once"),
        ("yields", "1,barley,2999,3000\n", "expected a year|yields of harvests until today"),
        ("yields", "1,barley,2099,3000\n", "yields of harvests until today"),
        (
            "fields",
            "1,0,0,barley,2025,2025-01-01,2025-05-01,4190001,1\n",
            "of the field '1' in all of its rows",
        ),
    ],
)
def test_faults_are_refused_and_nothing_is_written(files, tmp_path, file, add, expected):
    path = files.vegetation[0] if file == "vegetation" else getattr(files, file)
    with path.open("a", encoding="utf-8") as stream:
        stream.write(add)
    with pytest.raises(SchemaError, match=expected):
        import_files(tmp_path / "store", files)
    assert not (tmp_path / "store").exists()
    faults = check_files(tmp_path / "store", files).faults
    assert [fault.error.exit_code for fault in faults] == [5]


def test_a_yield_before_its_planned_harvest_is_refused(files, tmp_path):
    text = files.fields.read_text(encoding="utf-8").splitlines()
    cells = text[1].split(",")
    cells[4:7] = ["2099", "2099-01-01", "2099-06-01"]
    files.fields.write_text("\n".join([*text, ",".join(cells)]) + "\n", encoding="utf-8")
    with files.yields.open("a", encoding="utf-8") as stream:
        stream.write(f"{cells[0]},{cells[3]},2099,3000\n")
    with pytest.raises(SchemaError, match="yields of harvests until today"):
        import_files(tmp_path / "store", files)


def test_command_line_checks_and_writes_json(files, tmp_path):
    from typer.testing import CliRunner

    from yieldcast.cli.app import app

    with files.daily.open("a", encoding="utf-8") as stream:
        stream.write("1,yesterday,30,20,1,70,15,1\n")
    given = ["--fields", files.fields, "--yields", files.yields, "--daily-weather", files.daily]
    out = tmp_path / "found.json"
    arguments = ["import", "--store", tmp_path / "store", *given, "--check", "--json", out, "--lang", "pt-BR"]
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert done.exit_code == 5
    found = json.loads(out.read_text(encoding="utf-8"))
    assert [fault["table"] for fault in found["faults"]] == ["daily"]
    assert found["unchecked"] == [{"table": "weather", "because_of": "daily"}]
    assert not (tmp_path / "store").exists()
