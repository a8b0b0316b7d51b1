"""The store: contents survive, fingerprints follow contents alone, failures leave the earlier store."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from yieldcast.data import synthetic
from yieldcast.data.files import (
    atomic_text,
    atomic_write,
    exclusive_lock,
    fingerprint,
    read_netcdf,
    write_netcdf,
)
from yieldcast.data.store import Store, Tables
from yieldcast.errors import MissingDataError, SchemaError

OLD = synthetic.country(seed=1, municipalities=6, harvest_years=3)
NEW = synthetic.country(seed=2, municipalities=8, harvest_years=4)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.write(tmp_path / "store", OLD, {"places": "places.csv"})


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_tables_come_back_identical(store: Store) -> None:
    opened = Store.open(store.path)
    for table in Tables._fields:
        xr.testing.assert_identical(getattr(opened, table), getattr(OLD, table))
        assert opened.fingerprints[table] == fingerprint(getattr(OLD, table))
    assert opened.weather is opened.weather


def test_a_second_write_replaces_the_first_and_leaves_nothing_behind(store: Store) -> None:
    (store.path / "notes.txt").write_text("mine")
    (store.path / ".weather-0123456789ab.77.tmp.nc").write_text("left by a killed import")
    Store.write(store.path, NEW, {})
    xr.testing.assert_identical(Store.open(store.path).yields, NEW.yields)
    marks = {t: fingerprint(getattr(NEW, t))[:12] for t in Tables._fields}
    tables = [f"{table}-{mark}.nc" for table, mark in marks.items()]
    assert names(store.path) == sorted([*tables, "notes.txt", "store.json"])


def test_same_tables_same_fingerprints_other_value_other_fingerprint(store: Store) -> None:
    assert Store.write(store.path, OLD, {"other": "sources"}).fingerprints == store.fingerprints
    assert len(set(store.fingerprints.values())) == 3


def test_fingerprint_sees_every_part_of_the_contents() -> None:
    base = OLD.yields
    array = base["yield_kg_ha"]
    changed = [
        base.rename(yield_kg_ha="yield"),
        base.assign(yield_kg_ha=array.astype("float64")),
        base.assign(yield_kg_ha=array.where(array != array.max(), array.max() + 1)),
        base.assign(yield_kg_ha=array.assign_attrs(units="t/ha")),
        base.assign_coords(crop=["corn"]),
        base.transpose("municipality", "crop", "harvest_year"),
        base.assign_coords(harvest_year=base.harvest_year + np.int16(1)),
    ]
    marks = {fingerprint(ds) for ds in [base, *changed]}
    assert len(marks) == 1 + len(changed)


def test_fingerprint_ignores_order_byte_order_and_long_name() -> None:
    base = OLD.yields
    turned = base[sorted(map(str, base.data_vars), reverse=True)].assign_attrs(history="today")
    turned["yield_kg_ha"] = base["yield_kg_ha"].astype(">f4").assign_attrs(units="kg/ha", long_name="other")
    assert fingerprint(turned) == fingerprint(base)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12), min_size=1, max_size=5
    ),
    st.lists(st.floats(width=32), min_size=1, max_size=5),
)
def test_any_text_and_any_number_survives_the_disk(
    tmp_path: Path, texts: list[str], floats: list[float]
) -> None:
    ds = xr.Dataset(
        {"name": ("a", np.array(texts)), "value": ("b", np.array(floats, dtype=np.float32), {"units": "mm"})}
    )
    write_netcdf(tmp_path / "x.nc", ds)
    back = read_netcdf(tmp_path / "x.nc")
    assert back["name"].values.tolist() == texts
    np.testing.assert_array_equal(back["value"].values, ds["value"].values)
    assert fingerprint(back) == fingerprint(ds)


def test_status_counts_by_hand(store: Store) -> None:
    tables = store.status()["tables"]
    missing_soil = int(np.isnan(OLD.static["clay_pct"].values).all(axis=1).sum())
    assert tables["static"]["municipalities"] == 6
    assert tables["static"]["municipalities_without_soil"] == missing_soil
    assert tables["weather"]["first_month"] == "2006-01"
    soybean = tables["yields"]["crops"]["soybean"]
    assert soybean["rows"] == int(OLD.yields["yield_kg_ha"].notnull().sum())
    assert (soybean["first_harvest_year"], soybean["last_harvest_year"]) == (2007, 2009)
    assert store.status()["sources"] == {"places": "places.csv"}
    json.dumps(store.status())


def test_status_names_gaps(tmp_path: Path) -> None:
    weather, yields, static = (ds.copy(deep=True) for ds in (OLD.weather, OLD.yields, OLD.static))
    weather["tmax_degC"].values[:, 3] = np.nan  # April 2006, everywhere
    weather["precipitation_mm"].values[2] = np.nan  # a place without rain has no weather
    yields["yield_kg_ha"].values[:, :, 1] = np.nan  # 2008
    yields["yield_kg_ha"].values[0, 0, [0, 2]] = 3000
    for name in ("clay_pct", "ph_h2o"):
        static[name].values[:] = 1
    static["clay_pct"].values[4] = np.nan  # still has its pH, so it has soil
    tables = Store.write(tmp_path, Tables(static, weather, yields), {}).status()["tables"]
    assert tables["weather"]["missing_months"] == ["2006-04"]
    assert tables["weather"]["municipalities_without_weather"] == 1
    # 6 cells of April, and the place without rain adds the other months
    assert tables["weather"]["missing_cells"] == 6 + weather.sizes["time"] - 1
    assert tables["yields"]["crops"]["soybean"]["missing_years"] == [2008]
    assert tables["static"]["municipalities_without_soil"] == 0


def test_no_store(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent", Path(__file__)):
        with pytest.raises(MissingDataError, match="no data store at") as caught:
            Store.open(path)
        assert "yieldcast import" in caught.value.hint


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        '{"format": 99}',
        '{"format": 1}',
        '{"format": 1, "tables": {"static": 3}}',
        "\0\0",
    ],
)
def test_a_broken_manifest(store: Store, content: str) -> None:
    (store.path / "store.json").write_text(content)
    with pytest.raises(MissingDataError, match=r"broken|store format") as caught:
        Store.open(store.path)
    assert caught.value.hint


def table_file(store: Store, table: str) -> Path:
    return next(store.path.glob(f"{table}-*.nc"))


def test_a_table_that_is_gone(store: Store) -> None:
    table_file(store, "yields").unlink()
    with pytest.raises(SchemaError, match=r"damaged: yields-.*is missing"):
        Store.open(store.path)


@pytest.mark.parametrize("keep", [0, 8, 100, 2000, -1])
def test_a_table_cut_off(store: Store, keep: int) -> None:
    file = table_file(store, "weather")
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(SchemaError, match="damaged"):
        _ = Store.open(store.path).weather


def test_another_table_under_its_name(store: Store, tmp_path: Path) -> None:
    other = Store.write(tmp_path / "other", NEW, {})
    table_file(other, "weather").replace(table_file(store, "weather"))
    with pytest.raises(SchemaError, match="not those written"):
        _ = Store.open(store.path).weather


def test_a_bad_table_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    weather = OLD.weather.assign_coords(municipality=OLD.weather.municipality + np.int32(1))
    with pytest.raises(SchemaError, match="expected municipalities of the static table, received 6 others"):
        Store.write(tmp_path / "store", OLD._replace(weather=weather), {})
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("folder", ["file.txt/store", "/proc/store", "/dev/null/store"])
def test_a_folder_that_cannot_be_made(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file.txt").write_text("in the way")
    with pytest.raises(MissingDataError, match="cannot write") as caught:
        Store.write(tmp_path / folder, OLD, {})
    assert caught.value.exit_code == 3
    assert "Free space" in caught.value.hint


def test_atomic_write_removes_its_temporary_file_on_any_failure(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    atomic_text(target, "first")

    def half(temporary: Path) -> None:
        temporary.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        atomic_write(target, half)
    assert (target.read_text(), names(tmp_path)) == ("first", ["a.txt"])


def test_atomic_write_on_a_full_device(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    atomic_text(target, "first")

    def to_full(temporary: Path) -> None:
        temporary.write_text("begun")
        with open("/dev/full", "w") as device:
            device.write("x" * 100_000)

    with pytest.raises(MissingDataError, match=os.strerror(errno.ENOSPC)):
        atomic_write(target, to_full)
    assert (target.read_text(), names(tmp_path)) == ("first", ["a.txt"])


def test_atomic_write_into_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="No such file"):
        atomic_text(tmp_path / "absent" / "a.txt", "x")


def test_two_imports_at_once(store: Store) -> None:
    with (
        exclusive_lock(store.path, "another import"),
        pytest.raises(MissingDataError, match="another import"),
    ):
        Store.write(store.path, NEW, {})
    Store.write(store.path, NEW, {})


PROGRAM = """
import resource, signal, sys
from pathlib import Path
from yieldcast.data import synthetic
from yieldcast.errors import MissingDataError
from yieldcast.data.store import Store
new = synthetic.country(seed=2, municipalities=8, harvest_years=4)
{before}
print("begin", flush=True)
try:
    Store.write(Path(sys.argv[1]), new, {{}})
except MissingDataError as error:
    sys.exit(error.exit_code)
"""


def test_a_disk_that_fills_leaves_the_earlier_store(store: Store) -> None:
    """A limit on file size makes every write beyond it fail like a full disk (EFBIG for ENOSPC)."""
    before = names(store.path)
    limit = """signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))"""
    program = [sys.executable, "-c", PROGRAM.format(before=limit), str(store.path)]
    done = subprocess.run(program, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (3, "")
    xr.testing.assert_identical(Store.open(store.path).weather, OLD.weather)
    assert [n for n in names(store.path) if n.startswith(".")] == []
    assert set(before) <= set(names(store.path))


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.05, 0.1])
def test_a_killed_write_leaves_one_whole_store(store: Store, delay: float) -> None:
    program = [sys.executable, "-c", PROGRAM.format(before=""), str(store.path)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begin\n"
        time.sleep(delay)
        process.kill()
    left = Store.open(store.path)
    expected = OLD if left.weather.sizes["municipality"] == 6 else NEW
    for table in Tables._fields:
        xr.testing.assert_identical(getattr(left, table), getattr(expected, table))
    Store.write(store.path, NEW, {})
    assert len(names(store.path)) == 4
