"""Raster cubes: written and read back; anything that is not a season on a grid is refused."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from yieldcast.errors import MissingDataError, SchemaError
from yieldcast.pixels.cubes import (
    bands_of,
    check_cube,
    create_cube,
    first_days,
    last_day,
    open_cube,
    refuse_other_days,
    write_cube,
)

WKT = 'LOCAL_CS["a grid",UNIT["metre",1]]'
Y, X = 1000.0 - 10 * np.arange(4) - 5, 500.0 + 10 * np.arange(5) + 5


def cube(step: str = "month", count: int = 3, **changes: object) -> xr.Dataset:
    rng = np.random.default_rng(0)
    values = {name: rng.uniform(100, 3000, (count, 4, 5)).astype(np.float32) for name in ("B8", "B4")}
    values["B4"][-1, 2, 3] = np.nan
    given = {
        "bands": values, "time": first_days(dt.date(2020, 11, 1), count, step), "y": Y, "x": X,
        "crs_wkt": WKT, "step": step, "static": {"elevation": np.full((4, 5), 300.0, np.float32)},
    } | changes  # fmt: skip
    return create_cube(**given)  # type: ignore[arg-type]


def test_first_days_of_steps_across_a_year() -> None:
    days = first_days(dt.date(2020, 11, 17), 3, "month")
    assert days == [dt.date(2020, 11, 1), dt.date(2020, 12, 1), dt.date(2021, 1, 1)]
    tens = first_days(dt.date(2020, 12, 12), 4, "ten-days")
    assert [one.isoformat() for one in tens] == ["2020-12-11", "2020-12-21", "2021-01-01", "2021-01-11"]
    modis = first_days(dt.date(2007, 12, 3), 3, "16-days")  # days 337 and 353, then 1 January
    assert [one.isoformat() for one in modis] == ["2007-12-03", "2007-12-19", "2008-01-01"]
    assert last_day(dt.date(2007, 12, 19), "16-days") == dt.date(2007, 12, 31)
    assert last_day(dt.date(2020, 2, 1), "month") == dt.date(2020, 2, 29)


def test_a_cube_reads_back_as_it_was_written(tmp_path: Path) -> None:
    made = cube()
    write_cube(tmp_path / "cube.nc", made)
    with open_cube(tmp_path / "cube.nc") as read:
        assert bands_of(read) == ["B4", "B8"]
        xr.testing.assert_equal(read.load(), made)
        assert read.attrs["step"] == "month"
        assert read["spatial_ref"].attrs["GeoTransform"] == "500.0 10.0 0.0 1000.0 0.0 -10.0"
        assert read["B4"].attrs["units"] == "x10000"


def test_a_cube_of_others_is_read_with_our_names(tmp_path: Path) -> None:
    made = cube()
    scaled = made.rename({"time": "t", "B4": "B04", "spatial_ref": "crs"})
    del scaled.attrs["step"]
    encoding = {"dtype": "int16", "scale_factor": 0.5, "add_offset": 10.0, "_FillValue": -32768}
    scaled.to_netcdf(tmp_path / "other.nc", engine="h5netcdf", encoding={"B04": encoding})
    with open_cube(tmp_path / "other.nc") as read:
        assert (bands_of(read), read.attrs["step"]) == (["B4", "B8"], "month")
        np.testing.assert_allclose(read["B4"].values, made["B4"].values, atol=0.26)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bands": {"B44": np.ones((3, 4, 5))}}, "unknown bands B44"),
        ({"bands": {"NDVI": np.full((3, 4, 5), 7000.0)}}, "expected -2 to 2 1, received 7000"),
        ({"crs_wkt": ""}, "expected a coordinate system"),
        ({"time": ["2020-11-01", "2020-12-01", "2020-12-01"]}, "2020-12-01 in place of 2021-01-01"),
        ({"time": ["2020-11-02", "2020-12-01", "2021-01-01"]}, "2020-11-02 in place of 2020-11-01"),
        ({"step": "week"}, "received week"),
        ({"x": [0.0, 10.0, 20.0, 30.0, 50.0]}, "evenly spaced x"),
        ({"count": 1}, "two dates or more, received 1"),
    ],
)  # fmt: skip
def test_wrong_cubes_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        cube(**change)  # type: ignore[arg-type]


def test_corners_in_the_place_of_centres_are_refused() -> None:
    made = cube()
    with pytest.raises(SchemaError, match="centres of the pixels"):
        check_cube(made.assign_coords(x=made["x"] - 5))
    with pytest.raises(SchemaError, match="of \\('time', 'y', 'x'\\)"):
        check_cube(made.transpose("y", "x", "time"))


def test_files_that_are_no_cubes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="no cube"), open_cube(tmp_path / "none.nc"):
        pass
    (tmp_path / "text.nc").write_text("not a netCDF file")
    with pytest.raises(SchemaError, match="not a netCDF-4 file"), open_cube(tmp_path / "text.nc"):
        pass


def test_a_gap_is_allowed_between_seasons_but_not_within_one() -> None:
    days = [dt.date(2020, 11, 1), dt.date(2021, 1, 1)]
    refuse_other_days(days, "month", "cube")
    with pytest.raises(SchemaError, match="2021-01-01 in place of 2020-12-01"):
        refuse_other_days(days, "month", "cube", gaps=False)
