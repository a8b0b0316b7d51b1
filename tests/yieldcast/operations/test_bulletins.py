"""Bulletins on disk, with the real exports and the real report; writers that are killed, refused or fail."""

import datetime as dt
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import factories
import numpy as np
import pytest
import xarray as xr
from factories import synthetic_forecast

from yieldcast.data.files import exclusive_lock
from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.operations import bulletins
from yieldcast.operations.bulletins import Bulletin, list_bulletins, newest, write_bulletin

CODES = np.array([4_100_103, 4_100_202, 5_100_102, 5_100_201])
STATES = ["PR", "PR", "MT", "MT"]


def forecast(as_of="2017-11-15", **more):
    return synthetic_forecast(CODES, ["São José", "B", "C", "D"], STATES, as_of=as_of, **more)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory):
    """Squares of one degree for the four municipalities."""
    features = []
    for i, code in enumerate(CODES.tolist()):
        west, south = -55.0 + i, -20.0
        ring = [[west, south], [west + 1, south], [west + 1, south + 1], [west, south + 1], [west, south]]
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "properties": {"code": code}, "geometry": geometry})
    path = tmp_path_factory.mktemp("mesh") / "mesh.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def contents(folder):
    """Every file below a folder with its bytes; hidden folders too."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


def test_a_bulletin_holds_tables_report_changes_and_a_manifest_of_all(tmp_path, mesh):
    made = forecast()
    made.attrs["inputs"] = '{"weather": "abc"}'
    bulletin = write_bulletin(tmp_path, made, mesh=mesh, lang="pt", notes=["a note"])
    assert bulletin.path == tmp_path / "soybean-2018" / "2017-11-15"
    there = {path.name for path in bulletin.path.iterdir()}
    wanted = {f"forecast.{kind}" for kind in ("csv", "geojson", "json", "nc")}
    wanted |= {"report.html", "changes.json", "issue.json"}
    assert wanted <= there
    assert set(bulletin.manifest["files"]) == there - {"issue.json"}
    for name, about in bulletin.manifest["files"].items():
        assert about["bytes"] == (bulletin.path / name).stat().st_size
    bulletin.verify()
    assert bulletin.as_of == dt.date(2017, 11, 15)
    assert bulletin.input_fingerprints == {"weather": "abc"}
    assert bulletin.manifest["previous"] is None
    assert (bulletin.manifest["run_id"], bulletin.manifest["synthetic"]) == ("0123456789ab", True)
    assert bulletin.manifest["notes"] == ["a note"]
    assert ";" in (bulletin.path / "forecast.csv").read_text(encoding="utf-8").splitlines()[0]
    assert json.loads((bulletin.path / "changes.json").read_text()) == {"previous_as_of": None}
    assert bulletin.summary("pt") == ""
    read = bulletin.forecast()
    xr.testing.assert_equal(read.drop_vars("forecast_reference_time"), made)
    assert {**made.attrs, "title": read.attrs["title"]}.items() <= read.attrs.items()
    assert "previsão" in read.attrs["title"]


def test_the_same_forecast_is_not_written_again_and_another_gets_a_number(tmp_path):
    first = write_bulletin(tmp_path, forecast())
    before = contents(tmp_path)
    assert write_bulletin(tmp_path, forecast()).path == first.path
    assert contents(tmp_path) == before
    second = write_bulletin(tmp_path, forecast(shift_kg_ha=10))
    assert (second.name, second.manifest["previous"]) == ("2017-11-15-2", "2017-11-15")
    # another run gave the same numbers: still another forecast
    third = write_bulletin(
        tmp_path, forecast(shift_kg_ha=10).assign_attrs(forecast().attrs | {"run_id": "f"})
    )
    assert (third.name, third.manifest["previous"]) == ("2017-11-15-3", "2017-11-15-2")
    assert contents(first.path) == {k.split("/")[-1]: v for k, v in before.items()}
    assert write_bulletin(tmp_path, forecast(shift_kg_ha=10)).name == "2017-11-15-2"
    assert json.loads((second.path / "changes.json").read_text())["aggregates"][0]["change_kg_ha"] == 10
    assert "+10;" in second.summary("en")


def test_bulletins_are_listed_by_date_and_number(two):
    folder = two / "soybean-2018"
    for name in ("2017-10-15-9", "2017-10-15-10"):  # names sort otherwise as texts
        shutil.copytree(folder / "2017-10-15", folder / name)
    (folder / "notes").mkdir()
    (folder / "2018-01-15.txt").write_text("a stranger")
    names = [bulletin.name for bulletin in list_bulletins(two, "soybean", 2018)]
    assert names == ["2017-09-15", "2017-10-15", "2017-10-15-9", "2017-10-15-10"]
    assert write_bulletin(two, forecast(as_of="2017-10-15", shift_kg_ha=5)).name == "2017-10-15-11"
    assert newest(two, "soybean", 2018).name == "2017-10-15-11"
    assert newest(two, "soybean", 2018, dt.date(2017, 10, 14)).name == "2017-09-15"
    assert newest(two, "soybean", 2018, dt.date(2017, 9, 15)).name == "2017-09-15"
    assert newest(two, "soybean", 2018, dt.date(2017, 9, 14)) is None
    assert newest(two, "corn", 2018) is None
    assert list_bulletins(two / "nowhere", "soybean", 2018) == []


def test_a_later_bulletin_is_not_what_an_earlier_date_is_compared_with(two):
    early = write_bulletin(two, forecast(as_of="2017-10-01"))
    assert early.manifest["previous"] == "2017-09-15"
    late = write_bulletin(two, forecast(as_of="2018-02-15"))
    assert late.manifest["previous"] == "2017-10-15"


def _flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "a flipped bit": (lambda p: _flip(p / "forecast.nc"), "forecast.nc is not what was written"),
    "cut off": (lambda p: os.truncate(p / "forecast.nc", 100), "forecast.nc is not what was written"),
    "gone": (lambda p: (p / "forecast.nc").unlink(), "forecast.nc cannot be read"),
    "no manifest": (lambda p: (p / "issue.json").unlink(), "issue.json cannot be read"),
    "half a manifest": (lambda p: os.truncate(p / "issue.json", 200), "issue.json cannot be read"),
    "an edited manifest": (
        lambda p: (p / "issue.json").write_text((p / "issue.json").read_text().replace("RUN", "OTHER")),
        "changed after it was written",
    ),
    "a manifest of a list": (lambda p: (p / "issue.json").write_text("[]"), "issue.json cannot be read"),
    "another format": (
        lambda p: (p / "issue.json").write_text('{"format": 99, "seal": ""}'), "expected bulletin format 1",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Two bulletins, as of September and October."""
    root = tmp_path_factory.mktemp("written")
    for as_of in ("2017-09-15", "2017-10-15"):
        write_bulletin(root, forecast(as_of=as_of))
    return root


@pytest.fixture
def two(written, tmp_path):
    """A copy of `written` that may be damaged."""
    return shutil.copytree(written, tmp_path / "bulletins")


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_bulletin_is_reported_and_passed_over(two, damage):
    harm, text = DAMAGE[damage]
    hurt = two / "soybean-2018" / "2017-10-15"
    harm(hurt)
    with pytest.raises(SchemaError, match=text) as caught:
        Bulletin.open(hurt).forecast()
    assert caught.value.hint
    notices = []
    assert newest(two, "soybean", 2018, notice=notices.append).name == "2017-09-15"
    assert [text in line and str(hurt) in line for line in notices] == [True]


def test_a_damaged_bulletin_is_neither_compared_with_nor_overwritten(two):
    hurt = two / "soybean-2018" / "2017-10-15"
    (hurt / "forecast.nc").unlink()
    before, notices = contents(hurt), []
    again = write_bulletin(two, forecast(as_of="2017-10-15"), notice=notices.append)
    assert (again.name, again.manifest["previous"]) == ("2017-10-15-2", "2017-09-15")
    assert any("forecast.nc cannot be read" in line for line in notices)
    assert contents(hurt) == before


def test_a_damaged_report_is_found_by_verify_and_does_not_spoil_the_forecast(two):
    bulletin = newest(two, "soybean", 2018)
    _flip(bulletin.path / "report.html")
    with pytest.raises(SchemaError, match=r"report\.html is not what was written"):
        bulletin.verify()
    assert newest(two, "soybean", 2018).name == bulletin.name


def test_what_is_no_forecast_or_cannot_be_drawn_leaves_nothing(two, tmp_path, mesh):
    before = contents(two)
    with pytest.raises(SchemaError):
        write_bulletin(two, forecast().drop_vars("yield_kg_ha"))
    bad = tmp_path / "bad.geojson"
    bad.write_text("{")
    with pytest.raises(SchemaError):
        write_bulletin(two, forecast(), mesh=bad)
    with pytest.raises(SchemaError):  # found by the report, when the tables are written already
        write_bulletin(two, forecast(), mesh=mesh, skill=[{"crop": "soybean"}])
    assert contents(two) == before
    assert len(list((two / "soybean-2018").iterdir())) == 2


def test_a_second_writer_is_refused(tmp_path):
    folder = tmp_path / "soybean-2018"
    folder.mkdir()
    with (
        exclusive_lock(folder, "held"),
        pytest.raises(MissingDataError, match="another job is writing a bulletin"),
    ):
        write_bulletin(tmp_path, forecast())
    assert list(folder.iterdir()) == []


def _writer(root, mesh, before=""):
    code = f"""
from pathlib import Path
from yieldcast.operations.bulletins import write_bulletin
from tests_forecast import forecast
{before}
write_bulletin(Path({str(root)!r}), forecast(as_of="2018-01-15"), mesh=Path({str(mesh)!r}))
"""
    return [sys.executable, "-c", code]


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A temporary folder; other processes can import this file's `forecast` from it."""
    source = Path(__file__).read_text(encoding="utf-8")
    folder = tmp_path / "python"
    folder.mkdir()
    (folder / "tests_forecast.py").write_text(source, encoding="utf-8")
    paths = (folder, Path(factories.__file__).parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, paths)))
    return tmp_path


def test_a_writer_killed_in_the_midst_leaves_no_bulletin_and_the_next_one_clears_up(elsewhere, two, mesh):
    root, first = two, newest(two, "soybean", 2018)
    before = contents(root)
    pipe = elsewhere / "pipe.geojson"
    os.mkfifo(pipe)  # the writer waits here for boundaries that do not come
    writer = subprocess.Popen(_writer(root, pipe))
    try:
        deadline = time.monotonic() + 60
        while not list(first.path.parent.glob(".writing-*")):
            assert time.monotonic() < deadline
            assert writer.poll() is None
            time.sleep(0.02)
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert len(list_bulletins(root, "soybean", 2018)) == 2
    assert len(list(first.path.parent.iterdir())) == 3
    second = write_bulletin(root, forecast(as_of="2018-01-15"), mesh=mesh)
    assert second.manifest["previous"] == first.name
    assert len(list(first.path.parent.iterdir())) == 3
    shutil.rmtree(second.path)
    assert contents(root) == before


def test_a_full_disk_leaves_the_bulletins_as_they_were(elsewhere, two, mesh):
    before = contents(two)
    # No file may grow above 30 kB: the report does.
    limit = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))"
    done = subprocess.run(_writer(two, mesh, limit), capture_output=True, text=True)
    assert done.returncode == 1
    assert "MissingDataError: cannot write" in done.stderr
    assert contents(two) == before
    assert len(list((two / "soybean-2018").iterdir())) == 2


def test_a_folder_that_is_no_bulletin(tmp_path):
    with pytest.raises(MissingDataError, match="no bulletin"):
        Bulletin.open(tmp_path / "2018-01-01")
    assert bulletins.season_folder(tmp_path, "corn", 2019) == tmp_path / "corn-2019"
