"""All faults of a user's files at once, and what places lack."""

from __future__ import annotations

import json

import pytest

from yieldcast.data import synthetic
from yieldcast.data.missing import first_names, places_with_gaps, places_without
from yieldcast.errors import ConfigError, MissingDataError, SchemaError
from yieldcast.importing.check import document
from yieldcast.importing.files import UserFiles, check_files, import_files

MADE = synthetic.country(municipalities=6, harvest_years=4)


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "tables"
    synthetic.write_files(folder, MADE)
    return folder


def given(folder, **changed):
    names = {"places": "places.csv", "yields": "yields.csv", "weather": "weather.nc", "soil": "soil.csv"}
    return UserFiles(**({name: folder / file for name, file in names.items()} | changed))


def test_every_refused_file_is_reported_and_nothing_written(files, tmp_path):
    (files / "yields.csv").write_text((files / "yields.csv").read_text().replace("2007,", "x,", 1))
    (files / "weather.nc").write_bytes(b"CDF\x01" + bytes(60))
    (files / "mesh.geojson").write_text("{}")
    asked = given(files, mesh=files / "mesh.geojson", soil=files / "none.csv")
    found = check_files(tmp_path / "store", asked)
    assert [fault.table for fault in found.faults] == ["yields", "soil", "mesh", "weather"]
    assert [fault.error.exit_code for fault in found.faults] == [5, 3, 5, 5]
    assert not found.unchecked
    assert not (tmp_path / "store").exists()
    with pytest.raises(SchemaError) as caught:  # an import stops at the first of them
        import_files(tmp_path / "store", asked)
    assert str(caught.value) == str(found.faults[0].error)
    written = json.loads(json.dumps(document(found, tmp_path / "store", None)))
    assert written["written"] is False
    assert written["faults"][1]["file"].endswith("none.csv")
    assert all(fault["hint"] for fault in written["faults"])
    assert ("places", "places", 6) in [tuple(line.values()) for line in written["read"]]


def test_what_depends_on_refused_places_is_unchecked(files, tmp_path):
    (files / "places.csv").write_text("code\n1\n")
    found = check_files(tmp_path / "store", given(files))
    assert [fault.table for fault in found.faults] == ["places"]
    assert found.unchecked == {"yields": "places", "soil": "places", "weather": "places"}


def test_files_without_faults(files, tmp_path):
    found = check_files(tmp_path / "store", given(files))
    assert not found.faults
    store, imported = import_files(tmp_path / "store", given(files))
    assert imported.log == found.log  # the same reading
    assert document(imported, store.path, store.fingerprints)["written"] is True


def test_files_for_a_store_that_is_there(files, tmp_path):
    with pytest.raises(ConfigError, match="only some of them were given"):
        check_files(tmp_path / "store", given(files, yields=None))
    more = UserFiles(daily=files / "none.nc")
    with pytest.raises(MissingDataError, match="no data store"):
        check_files(tmp_path / "store", more)
    import_files(tmp_path / "store", given(files))
    assert [fault.table for fault in check_files(tmp_path / "store", more).faults] == ["daily"]


def test_places_and_years_that_lack_something_are_named(files, tmp_path):
    code = MADE.static["code"].values.tolist()
    weather = MADE.weather.copy(deep=True)
    weather["tmax_degC"][2] = float("nan")  # in the file, and without a value
    weather.isel(municipality=[0, 1, 2, 3, 5]).to_netcdf(files / "weather.nc", engine="h5netcdf")
    lines = (files / "yields.csv").read_text().splitlines()
    year = str(MADE.yields["harvest_year"].values[1])
    kept = [line for line in lines if not line.startswith(code[0]) and f",{year}," not in line]
    (files / "yields.csv").write_text("\n".join(kept))
    found = check_files(tmp_path / "store", given(files))
    assert not found.faults
    assert found.log.places_without["weather"] == [code[2], code[4]]
    assert found.log.places_without["yields"] == [code[0]]
    assert ("weather", f"places without weather: {code[2]}, {code[4]}", 2) in found.log.warnings
    assert ("yields", f"soybean: harvest years without a yield: {year}", 1) in found.log.warnings
    assert document(found, tmp_path, None)["places_without"]["weather"] == [code[2], code[4]]


def test_first_names():
    assert first_names([1, 2]) == "1, 2"
    assert first_names(list(range(9))) == "0, 1, 2, 3, 4 and 4 more"


def test_a_whole_country_lacks_nothing():
    tables = synthetic.country(municipalities=3, harvest_years=2)
    assert not places_without(tables.static, tables.weather, tables.yields).keys() - {"soil"}
    assert not places_with_gaps(tables.static, tables.weather)
    tables.weather["tmin_degC"][1, 3] = float("nan")
    assert places_with_gaps(tables.static, tables.weather) == [tables.static["code"].values[1]]


def test_places_where_nothing_grows_are_named(files, tmp_path):
    lines = (files / "places.csv").read_text().splitlines()
    header = lines[0].split(",")
    latitude, longitude = (header.index(name) for name in ("latitude_deg", "longitude_deg"))
    first, second = (line.split(",") for line in lines[1:3])
    first[latitude] = first[longitude] = "0"
    second[latitude] = "-62.4"
    (files / "places.csv").write_text("\n".join([lines[0], ",".join(first), ",".join(second), *lines[3:]]))
    found = [text for table, text, _ in check_files(tmp_path, given(files)).log.warnings if table == "places"]
    assert any("at latitude 0, longitude 0" in text and first[0] in text for text in found)
    assert any("in polar latitudes" in text and second[0] in text for text in found)
