"""`yieldcast crop-type map`: a map from the command line, and bad input that leaves nothing behind."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from mapping_rasters import cube_of, field, make_run
from rich.console import Console
from typer.testing import CliRunner

from yieldcast.cli.app import app, main
from yieldcast.cli.views.crop_type_map import map_view
from yieldcast.pixels.cubes import write_cube


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("run") / "run")


def test_a_map_in_portuguese(run: Path, tmp_path: Path) -> None:
    write_cube(tmp_path / "cube.nc", cube_of(field()[1]))
    command = ["crop-type", "map", run, "--input", tmp_path / "cube.nc", "--out", tmp_path / "map", "--lang",
               "pt-BR", "--json", tmp_path / "map.json"]  # fmt: skip
    result = CliRunner().invoke(app, [str(one) for one in command])
    assert result.exit_code == 0, result.output
    assert "Mapa de culturas 2020/21" in result.output
    record = json.loads((tmp_path / "map.json").read_text())
    assert record == json.loads((tmp_path / "map/map.json").read_text())
    better = record | {"raw_is_better": True, "better_head": "catboost"}
    screen = Console(width=200, record=True, file=io.StringIO())
    screen.print(map_view(better))
    assert "train again with --encoder none --head catboost" in screen.export_text()


def exchanged(cube: xr.Dataset) -> xr.Dataset:
    return cube.assign(RED=cube["NIR"], NIR=cube["RED"])


def without_crs(cube: xr.Dataset) -> xr.Dataset:
    return cube.drop_vars("spatial_ref")


def moved(cube: xr.Dataset, months: int) -> np.ndarray:
    """Days some months later."""
    return (cube["time"].values.astype("datetime64[M]") + months).astype("datetime64[ns]")


def steps(cube: xr.Dataset, *months: str) -> xr.Dataset:
    return cube.sel(time=np.array(months, "datetime64[ns]"))


WRONG: dict[str, tuple[Any, str]] = {
    "other scale": (lambda c: c.assign(NDVI=c["NDVI"] * 100), "unit of NDVI is not clear"),
    "other order": (exchanged, "are the bands in another order"),
    "no CRS": (without_crs, "expected a coordinate system"),
    "one date": (lambda c: steps(c, "2020-12-01"), "two dates or more"),
    "other months": (lambda c: c.assign_coords(time=moved(c, 5)), "mixed seasons"),
    "other steps": (lambda c: c.assign_attrs(step="ten-days"), "consecutive steps"),
    "too few months": (lambda c: c.isel(time=slice(0, 4)), "mixed seasons"),
    "band missing": (lambda c: c.drop_vars("RED"), "expected the bands of the training"),
    "empty": (lambda c: c.assign({n: c[n] * np.nan for n in ("RED", "NIR", "NDVI")}), "a raster without any"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_bad_rasters_end_with_5_and_write_nothing(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    change, message = WRONG[case]
    change(cube_of(field()[1])).to_netcdf(tmp_path / "cube.nc", engine="h5netcdf")
    command = ["crop-type", "map", run, "--input", tmp_path / "cube.nc", "--out", tmp_path / "map"]
    with pytest.raises(SystemExit) as ended:
        main([str(one) for one in command])
    error = " ".join(capsys.readouterr().err.split())
    assert (ended.value.code, message in error) == (5, True), error
    assert not (tmp_path / "map").exists()
