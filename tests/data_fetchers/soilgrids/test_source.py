"""SoilGrids as a source: requests, downloaded folders, and what is refused before a fetch."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import xarray as xr
from soilgrids_world import (
    MT,
    download,
    expected,
    mesh_source,
    request_of,
    run,
    square,
    static,
)

from data_fetchers.engine.downloader import fetch_requests
from data_fetchers.engine.source import Retry
from data_fetchers.soilgrids import source as soilgrids
from data_fetchers.soilgrids.source import SoilGrids
from data_fetchers.soilgrids.table import LAYERS
from yieldcast.errors import ConfigError, FetchError, MissingDataError


def test_the_papers_63_features():
    requests = SoilGrids().soil_requests(static())
    codes = ("CLYPPT", "SLTPPT", "SNDPPT", "BLDFIE", "CRFVOL", "CECSOL", "ORCDRC", "PHIHOX", "PHIKCL")
    names = {f"former/2017-03-10/data/{code}_M_sl{k}_250m_ll.tif" for code in codes for k in range(1, 8)}
    assert {soilgrids.file_path(p.parameters) for p in requests} == names
    assert len(requests) == len(names) == 63
    depths = dict(zip(LAYERS["2017"].values(), LAYERS["2017"], strict=True))
    assert (depths["sl1"], depths["sl4"], depths["sl7"]) == ("0cm", "30cm", "200cm")


def test_generation_2_has_54_layers_and_no_ph_in_kcl():
    requests = SoilGrids(generation="2.0").soil_requests(static())
    paths = {soilgrids.file_path(p.parameters) for p in requests}
    assert len(paths) == 54
    assert "latest/data/phh2o/phh2o_100-200cm_mean.vrt" in paths
    assert not any("kcl" in path.lower() for path in paths)


@pytest.mark.parametrize(
    ("generation", "resolution", "code", "layer", "path"),
    [
        ("2017", "1km", "CLYPPT", "0cm", "former/2017-03-10/aggregated/1km/CLYPPT_M_sl1_1km_ll.tif"),
        ("2017", "5km", "PHIKCL", "200cm", "former/2017-03-10/aggregated/5km/PHIKCL_M_sl7_5km_ll.tif"),
        ("2.0", "1km", "soc", "5_15cm", "latest/data_aggregated/1000m/soc/soc_5-15cm_mean_1000.tif"),
        ("2.0", "5km", "cec", "0_5cm", "latest/data_aggregated/5000m/cec/cec_0-5cm_mean_5000.tif"),
    ],
)
def test_coarser_files(generation, resolution, code, layer, path):
    source = SoilGrids(generation=generation, resolution=resolution)
    assert soilgrids.file_path(request_of(source, layer, code).parameters) == path


def test_one_request_for_each_state_and_another_one_for_another_place():
    both = xr.concat([static(), static({5200100: (-16.0, -51.0)}, "GO")], "municipality")
    requests = SoilGrids().soil_requests(both)
    assert [p.name for p in requests[:3]] == ["clyppt-0cm-go", "clyppt-0cm-mt", "clyppt-5cm-go"]
    moved = SoilGrids().soil_requests(static({**MT, 5100100: (-12.00001, -57.0)}))
    assert moved[0].mark != requests[1].mark
    assert (
        SoilGrids().soil_requests(static({**MT, 5100100: (-12.0000001, -57.0)}))[0].mark == requests[1].mark
    )


def test_address_from_argument_environment_default(monkeypatch):
    assert SoilGrids().probe_url().startswith("https://files.isric.org/soilgrids/former/2017-03-10/")
    monkeypatch.setenv("YIELDCAST_SOILGRIDS_URL", "http://127.0.0.1:1/soil/")
    source = SoilGrids()
    assert source.base_url == "http://127.0.0.1:1/soil"
    assert SoilGrids("http://127.0.0.1:2").base_url == "http://127.0.0.1:2"
    monkeypatch.delenv("YIELDCAST_SOILGRIDS_URL")
    assert pickle.loads(pickle.dumps(source)) == source  # the address travels to workers without the variable


def test_licences_say_which_generation():
    assert SoilGrids().licence == "ODbL 1.0"
    assert "Hengl" in SoilGrids().attribution
    assert SoilGrids(generation="2.0").licence == "CC BY 4.0"
    assert "Poggio" in SoilGrids(generation="2.0").attribution


def test_polygons_need_a_mesh():
    with pytest.raises(ConfigError, match="boundaries"):
        SoilGrids(where="polygon").soil_requests(static())


def test_boundaries_that_changed_since_the_plan_are_refused(base, tmp_path):
    place = {5100100: MT[5100100]}
    source, mesh = mesh_source(tmp_path, base, {5100100: square(*MT[5100100])})
    request = request_of(source, "0cm", "CLYPPT", place, mesh)
    mesh_source(tmp_path, base, {5100100: square(*MT[5100100], half=0.1)})
    outcome, _ = run(source, request, tmp_path / "cache")
    assert "have changed since the fetch was planned" in str(outcome.error)
    Path(source.mesh_file).unlink()
    assert "cannot read the boundaries" in str(run(source, request, tmp_path / "cache")[0].error)


def test_what_verifies_is_not_fetched_again(soil_server, base, tmp_path):
    source = SoilGrids(base)
    requests = source.soil_requests(static())[:3]
    fetch_requests([(source, requests[:2])], tmp_path, retry=Retry(tries=1))
    before = len(soil_server.log())
    (summary,) = fetch_requests([(source, requests[:2])], tmp_path, retry=Retry(tries=1))
    assert (summary.kept, summary.fetched, len(soil_server.log())) == (2, 0, before)
    (summary,) = fetch_requests([(source, requests)], tmp_path, retry=Retry(tries=1))
    assert (summary.kept, summary.fetched) == (2, 1)
    assert {e["path"].rsplit("/", 1)[1] for e in soil_server.log()[before:]} == {"CLYPPT_M_sl3_250m_ll.tif"}


@pytest.mark.parametrize("flat", [True, False])
def test_files_in_a_folder_need_no_network(base, tmp_path, flat):
    source = SoilGrids("http://127.0.0.1:9", folder=str(tmp_path))
    request = request_of(source, "60cm", "CLYPPT")
    path = soilgrids.file_path(request.parameters)
    download(base, path, tmp_path / (Path(path).name if flat else path))
    outcome, rows = run(source, request, tmp_path / "cache")
    assert rows[5100100].value == expected("clay_pct", 5, *MT[5100100])
    assert outcome.record["file"].startswith(str(tmp_path))


def test_folder_without_the_file_says_what_is_expected(tmp_path):
    source = SoilGrids(folder=str(tmp_path), generation="2.0")
    outcome, _ = run(source, request_of(source, "0_5cm", "clay"), tmp_path / "cache", Retry(tries=3))
    assert type(outcome.error) is FetchError
    assert "clay_0-5cm_mean.vrt" in str(outcome.error)
    assert "https://files.isric.org/soilgrids/latest/data/clay/" in outcome.error.hint
    assert outcome.tries == 1


@pytest.mark.parametrize("generation", ["2017", "2.0"])
def test_what_a_folder_lacks_is_one_error_before_the_fetch(tmp_path, generation):
    requests = SoilGrids(generation=generation).soil_requests(
        xr.concat([static(), static({5200100: (-16.0, -51.0)}, "GO")], "municipality")
    )
    source = SoilGrids(folder=str(tmp_path), generation=generation)
    paths = list(dict.fromkeys(soilgrids.file_path(p.parameters) for p in requests))
    for path in paths[5:]:
        (tmp_path / Path(path).name).touch()
    with pytest.raises(MissingDataError) as caught:
        source.refuse_absent(requests)
    # two states share a file
    assert f"5 of {len(paths)} SoilGrids files" in str(caught.value)
    names = [Path(path).name for path in paths]
    assert f"{names[0]}, {names[1]}, {names[2]}, ..." in str(caught.value)
    assert names[3] not in str(caught.value)
    assert f"https://files.isric.org/soilgrids/{paths[0]}" in caught.value.hint
    source.refuse_absent([p for p in requests if soilgrids.file_path(p.parameters) in paths[5:]])
    for path in paths[:5]:  # ISRIC's tree will do
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    source.refuse_absent(requests)


def test_a_folder_that_is_none_is_one_error_and_no_folder_is_none(tmp_path):
    requests = SoilGrids().soil_requests(static())
    (tmp_path / "file").touch()
    for name in ("absent", "file"):
        with pytest.raises(MissingDataError, match=f"{name} is not a folder: 63 of 63 SoilGrids files"):
            SoilGrids(folder=str(tmp_path / name)).refuse_absent(requests)
        SoilGrids(folder=str(tmp_path / name)).refuse_absent([])
    SoilGrids().refuse_absent(requests)


def test_finished_generations_are_never_stale_and_never_split():
    request = request_of(SoilGrids(), "0cm", "CLYPPT")
    assert SoilGrids().split(request) == []
    assert SoilGrids().stale(request, {"fetched": "2001-01-01T00:00:00+00:00"}, None) is False
