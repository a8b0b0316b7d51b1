"""Store, Run and SampleSet show what they hold, in text and HTML, and never fail at it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest

import calendars
from yieldcast import FORECAST_SETTINGS, Run, SampleSet, Settings, Store, build_samples
from yieldcast.data import synthetic

OLD = Path(__file__).parents[1] / "old_files"


@pytest.fixture
def rows(small) -> SampleSet:
    return build_samples(small, calendars.brazil(), "soybean", [2013, 2014], Settings().data)[0]


def values(shown: str) -> dict[str, str]:
    """Name -> value of the one-line rows of a text; names are followed by two spaces or more."""
    pairs = (line.strip().split("  ", 1) for line in shown.splitlines()[1:])
    return {pair[0]: pair[1].strip() for pair in pairs if len(pair) == 2}


def test_a_store_shows_its_tables_years_crops_fingerprints_and_sources() -> None:
    store = Store.open(OLD / "store")
    shown = repr(store)
    assert shown.splitlines()[0] == f"Store {OLD / 'store'} (SYNTHETIC DATA)"
    assert values(shown) == {
        "written": "2026-11-30T07:24:32+00:00",
        "places": "12 municipalities in 11 states; 9 soil properties x 7 layers",
        "weather": "156 months, 2004-01 to 2016-12, 12 municipalities",
        "yields": "soybean: 127 yields (kg/ha) of 12 municipalities, harvest years 2005-2016",
        "seasonal": "none",
        "estimates": "none",
        "daily weather": "none",
        "boundaries": "mesh-3e9709e84ec2.geojson",
        "sources": "not recorded",
    }
    for mark in store.fingerprints.values():
        assert f"fingerprint {mark[:12]}\n" in shown
    assert "precipitation_mm, tmax_degC, tmin_degC" in shown


def test_a_store_shows_the_same_before_and_after_its_tables_are_loaded_and_loads_none() -> None:
    store = Store.open(OLD / "store")
    before = repr(store)
    assert not {"static", "weather", "yields"} & set(vars(store))
    assert store.tables.weather is not None
    assert repr(store) == before


def test_a_store_shows_missing_tables_missing_years_and_sources(tmp_path) -> None:
    tables = synthetic.country(seed=1, municipalities=6, first_harvest_year=2010, harvest_years=5)
    yields = tables.yields.copy(deep=True)
    yields["yield_kg_ha"][{"harvest_year": 2}] = np.nan  # 2012
    parts = {"static": tables.static, "yields": yields}
    store = Store.update(tmp_path / "s", parts, {"yields": {"file": "<pam>.csv", "bytes": 12}})
    shown = values(repr(store))
    assert shown["weather"] == "missing"
    assert shown["yields"].endswith("harvest years 2010-2011, 2013-2014")
    assert shown["sources"] == "yields: file <pam>.csv"
    assert "file &lt;pam&gt;.csv" in store._repr_html_()
    assert "<pam>" not in store._repr_html_()


def test_a_damaged_or_vanished_table_is_named_and_the_rest_is_shown(tmp_path) -> None:
    path = copytree(OLD / "store", tmp_path / "store")
    store = Store.open(path)
    for file in path.glob("weather-*.nc"):
        file.write_bytes(b"not a netCDF file")
    for file in path.glob("yields-*.nc"):
        file.unlink()
    shown = values(repr(store))
    assert shown["weather"].startswith("cannot be read: OSError")
    assert shown["yields"].startswith("cannot be read: FileNotFoundError")
    assert shown["places"].startswith("12 municipalities")
    assert "cannot be read" in store._repr_html_()


def test_a_run_shows_what_it_was_made_from(tmp_path) -> None:
    run = Run.open(OLD / "run")
    shown = values(repr(run))
    assert repr(run).splitlines()[0] == f"Run {OLD / 'run'} (SYNTHETIC DATA)"
    assert shown["crop"] == "soybean"
    assert shown["trained on"] == "harvest years 2011-2013, 34 rows"
    assert shown["members"] == "3 finished (seeds 1-3)"
    assert shown["settings"] == "other than the presets"
    assert shown["target"] == "departure from the history baseline, kg/ha; loss huber"
    assert shown["validation"].startswith("each_year")
    assert shown["noise"].startswith("0.3 ")
    assert shown["weather"].startswith("9 months x 4: anomaly_tmax_degC, ")
    assert shown["static"].startswith("74 features: clay_pct_0cm, ")
    assert shown["static"].endswith("... history_line_kg_ha (74 in all)")
    assert shown["data"].startswith("static 30bab53f821e, weather 015b60f1ec50, ")
    assert "tensorflow 2.21.0" in shown["made with"]
    assert run._repr_html_().startswith("<table")
    preset = values(repr(replace(run, settings=FORECAST_SETTINGS)))["settings"]
    assert preset == "preset forecast"


def test_a_run_shows_members_that_training_was_stopped_in_and_a_folder_that_is_gone(tmp_path) -> None:
    path = copytree(OLD / "run", tmp_path / "run")
    run = Run.open(path)
    (path / "members" / "member_003.json").unlink()
    (path / "unfinished").mkdir(exist_ok=True)
    (path / "unfinished" / "member_003.npz").write_bytes(b"")
    assert values(repr(run))["members"] == "2 finished (seeds 1-2); 1 unfinished (seeds 3)"
    assert values(repr(replace(run, path=tmp_path / "gone")))["members"] == "0 finished"


def test_a_sample_set_shows_sizes_names_target_and_missing_soil(rows) -> None:
    rows = rows.take(np.arange(3))
    target = np.array([1000.0, 4000.0, np.nan], dtype=np.float32)
    static = rows.static.copy()
    static[1, 0] = np.nan
    shown = values(repr(replace(rows, target_kg_ha=target, static=static)))
    places, states = len(set(rows.municipality.tolist())), len(set(rows.state.tolist()))
    assert shown["places"] == f"{places} municipalities in {states} states"
    assert shown["weather"].startswith("9 steps (months) x 4 variables: tmax_degC, ")
    assert shown["static"].startswith(f"{len(rows.static_names)} features: {rows.static_names[0]}, ")
    assert shown["static"].endswith(f"... longitude_deg ({len(rows.static_names)} in all)")
    assert shown["target"] == "mean 2,500 kg/ha, 1,000 to 4,000; unknown in 1 rows"
    assert shown["missing soil"] == "1 of 3 rows"
    assert set(shown["harvest years"].split("-")) <= {"2013", "2014"}


def test_a_sample_set_without_rows_or_soil_is_shown(rows) -> None:
    none = rows.take(np.arange(0))
    none = replace(none, static=none.static[:, -2:], static_names=none.static_names[-2:])
    shown = values(repr(none))
    assert shown["harvest years"] == "none"
    assert shown["target"] == "unknown in all rows"
    assert shown["missing soil"] == "no soil among the features"
    assert none._repr_html_().startswith("<table")


def test_showing_loads_neither_tensorflow_nor_matplotlib() -> None:
    code = (
        "import sys; from pathlib import Path; from yieldcast import Run, Store\n"
        f"repr(Store.open(Path({str(OLD / 'store')!r}))), repr(Run.open(Path({str(OLD / 'run')!r})))\n"
        "assert not {'tensorflow', 'keras', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
