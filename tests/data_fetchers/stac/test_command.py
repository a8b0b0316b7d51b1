"""`yieldcast fetch pixels` against the local STAC API."""

import json
import random
import shutil
import signal
import time

import numpy as np
import pandas as pd
import pytest
from forked_commands import Commands
from typer.testing import CliRunner

from data_fetchers.fetching import live
from data_fetchers.stac import source as stac
from data_fetchers.stac.places import read_places
from yieldcast.cli.fetch_pixels import pixels
from yieldcast.errors import ConfigError, FetchError, SchemaError
from yieldcast.pixels.cubes import open_cube

SEASON = ["--season", "2020-11:2020-12", "--bands", "B4,B8", "--retry-wait", "0.01"]
BOX = ["--bbox", "-55.502,-12.002,-55.5,-12.0"]


@pytest.fixture
def url(world, stac_server):
    for name, day in (("a", "2020-11-03"), ("b", "2020-12-03")):
        world.sentinel2(name, day, None, nir=True, **{"eo:cloud_cover": 20.0})
    return world.serve(stac_server)


def run(*arguments):
    return CliRunner().invoke(pixels, [*map(str, arguments)])


def test_a_check_shows_images_and_sizes_and_fetches_no_pixels(url, stac_server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*BOX, *SEASON, "--catalog", url, "--check", "--json", "plan.json", "--lang", "pt-BR")
    assert result.exit_code == 0, result.output
    assert {one["path"] for one in stac_server.log()} == {"/search"}
    assert [one.name for one in tmp_path.iterdir() if one.name != "served"] == ["plan.json"]
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert plan["collections"]["sentinel-2-l2a"]["images"] == ["a", "b"]
    assert (plan["windows_to_fetch"], plan["steps"]) == (2, ["2020-11-01", "2020-12-01"])
    assert plan["download_mb"] > 0
    for text in ("imagens", "nenhum pixel", "B4, B8", "licença"):
        assert text in result.output
    assert "None" not in result.output


def test_a_cube_is_written_and_says_where_it_is_from(url, tmp_path):
    out = tmp_path / "cube.nc"
    result = run(*BOX, *SEASON, "--catalog", url, "--out", out, "--json", tmp_path / "r.json")
    assert result.exit_code == 0, result.output
    assert "Contains modified Copernicus" in " ".join(result.output.split())
    with open_cube(out) as cube:
        assert np.isfinite(cube.B4.values).all()
    assert json.loads((tmp_path / "r.json").read_text())["filled"] == [1.0, 1.0]
    # the same command again asks for nothing
    content = out.read_bytes()
    assert run(*BOX, *SEASON, "--catalog", url, "--out", out).exit_code == 0
    assert out.read_bytes() == content


def test_polygons_give_a_table_or_a_cube_around_them(url, tmp_path):
    ring = [[-55.502, -12.002], [-55.5, -12.002], [-55.5, -12.0], [-55.502, -12.0], [-55.502, -12.002]]
    hole = [[-55.5015, -12.0015], [-55.5012, -12.0015], [-55.5012, -12.0005], [-55.5015, -12.0005],
            [-55.5015, -12.0015]]  # fmt: skip
    fields = {"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": {"id": "f1", "crop": "soybean"},
         "geometry": {"type": "Polygon", "coordinates": [ring, hole]}},
    ]}  # fmt: skip
    (tmp_path / "fields.geojson").write_text(json.dumps(fields))
    common = ("--places", tmp_path / "fields.geojson", *SEASON, "--catalog", url)
    result = run(*common, "--out", tmp_path / "table.csv")
    assert result.exit_code == 0, result.output
    table = pd.read_csv(tmp_path / "table.csv")
    assert table[["sample_id", "crop"]].to_numpy().tolist() == [["f1", "soybean"]]
    assert table["lat"][0] == pytest.approx(-12.001)
    assert table["lon"][0] == pytest.approx(-55.5006)  # the wider part, east of the hole
    assert table["B8_01"].notna().all()
    result = run(*common, "--out", tmp_path / "cube.nc", "--resolution", "20")
    assert result.exit_code == 0, result.output
    with open_cube(tmp_path / "cube.nc") as cube:
        assert cube.sizes["x"] in (11, 12, 13)


def test_limits_and_missing_months_stop_before_the_download(url, stac_server, tmp_path):
    out = tmp_path / "cube.nc"
    result = run(*BOX, *SEASON, "--catalog", url, "--out", out, "--limit-gb", "0.001")
    assert isinstance(result.exception, ConfigError)
    assert "--limit-gb" in str(result.exception)
    longer = [*BOX, "--season", "2020-11:2021-01", "--bands", "B4", "--catalog", url, "--out", out]
    result = run(*longer)
    assert isinstance(result.exception, FetchError)
    assert "2021-01-01" in str(result.exception)
    assert {one["path"] for one in stac_server.log()} == {"/search"}
    assert not out.exists()
    result = run(*longer, "--partial")
    assert result.exit_code == 0, result.output
    with open_cube(out) as cube:
        assert np.isnan(cube.B4.values[2]).all()


def test_what_arrived_is_kept_and_partial_writes_it(url, stac_server, tmp_path):
    out = tmp_path / "cube.nc"
    command = [*BOX, *SEASON, "--catalog", url, "--out", out, "--tries", "1"]
    stac_server.faults({"kind": "status", "status": 404, "match": "b-red", "times": 99})
    result = run(*command)
    assert isinstance(result.exception, FetchError)
    assert not out.exists()
    result = run(*command, "--partial")
    assert isinstance(result.exception, FetchError)  # exit code 4: something is missing
    with open_cube(out) as cube:
        assert np.isfinite(cube.B4.values[0]).all()
        assert np.isnan(cube.B4.values[1]).all()


@pytest.mark.parametrize(
    ("points", "text"),
    [
        ("sample_id,lat\na,1\n", "lon"), ("sample_id,lat,lon\na,1,2\na,3,4\n", "once"),
        ("sample_id,lat,lon\na,91,2\n", "degrees"), ("sample_id,lat,lon\na,x,2\n", "degrees"),
    ],
)  # fmt: skip
def test_points_that_are_none(tmp_path, points, text):
    (tmp_path / "points.csv").write_text(points)
    with pytest.raises(SchemaError, match=text):
        read_places(tmp_path / "points.csv")


def test_doctor_knows_the_catalogues(url, monkeypatch):
    assert {"STAC earth-search", "STAC planetary-computer"} <= set(stac.addresses())
    asked = [one for one in live.live_requests() if one.what == "STAC earth-search"]
    assert asked[0].url.startswith("https://earth-search.aws.element84.com/v1/search?")
    good = {
        "id": "a", "assets": {"red": {}, "scl": {}}, "properties": {"s2:processing_baseline": "05.00"},
    }  # fmt: skip
    assert asked[0].differs(json.dumps({"features": [good]}).encode()) == ""
    assert "baseline" in asked[0].differs(json.dumps({"features": [{**good, "properties": {}}]}).encode())
    assert "the assets red" in asked[0].differs(
        json.dumps({"features": [{**good, "assets": {"red": {}}}]}).encode()
    )
    monkeypatch.setenv(stac.ENVIRONMENT, url)
    assert [one.what for one in live.live_requests() if "STAC" in one.what] == ["STAC"]


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on(world, stac_server, tmp_path):
    """Five kills: what is in the cache is not asked for again, and the cube is that of a calm fetch."""
    for number in range(12):
        world.sentinel2(
            f"i{number:02d}x", f"2020-{11 + number % 2}-{10 + number}", 2000 + 100 * number, nir=True
        )
    url = world.serve(stac_server)
    arguments = ["fetch", "pixels", *BOX, *SEASON, "--catalog", url, "--out"]
    with Commands() as commands:
        for _ in range(2):  # the second one finds the server warm
            began = time.monotonic()
            assert commands.run([*arguments, tmp_path / "calm.nc", "--parts", tmp_path / "calm"]) == 0
            whole = time.monotonic() - began
            shutil.rmtree(tmp_path / "calm")
        dice, kills = random.Random(20261130), 0
        while kills < 5:
            parts, code = tmp_path / f"rough-{kills}", None
            while code != 0:
                kept = {file.name.rsplit("-", 1)[0] for file in parts.rglob("*.npz.meta.json")}
                before = len(stac_server.log())
                seconds = dice.uniform(0.2, 1.2) * whole
                code = commands.run([*arguments, tmp_path / "rough.nc", "--parts", parts], seconds)
                assert code in (0, -signal.SIGKILL)
                kills += code != 0
                asked = {one["path"].rsplit("-", 2)[-2] for one in stac_server.log()[before:]
                         if one["path"].endswith(".tif")}  # fmt: skip
                assert not {f"i{name}" for name in asked} & kept
            with open_cube(tmp_path / "rough.nc") as rough, open_cube(tmp_path / "calm.nc") as calm:
                for band in ("B4", "B8"):
                    np.testing.assert_array_equal(rough[band].values, calm[band].values)
            (tmp_path / "rough.nc").unlink()
            assert not list(tmp_path.glob(".*"))
