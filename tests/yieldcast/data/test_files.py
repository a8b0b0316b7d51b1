"""Files that are written completely or not at all, where others can write too."""

import json
import os
import time

import numpy as np
import pytest
import xarray as xr

from yieldcast.data.files import atomic_text, netcdf_content, no_links, plain_name, read_netcdf, write_netcdf
from yieldcast.data.store import Store
from yieldcast.errors import SchemaError


def test_a_temporary_file_never_follows_a_link_that_was_planted(tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    monkeypatch.setattr("yieldcast.data.files._unique_number", lambda: "7")  # as if it had been guessed
    (tmp_path / ".table.7.tmp.txt").symlink_to(victim)
    with pytest.raises(Exception, match="cannot write"):
        atomic_text(tmp_path / "table.txt", "new")
    assert victim.read_text() == "precious"
    monkeypatch.undo()
    (tmp_path / "table.txt").symlink_to(victim)  # the final name: the link is replaced, not what it points to
    atomic_text(tmp_path / "table.txt", "new")
    assert (victim.read_text(), (tmp_path / "table.txt").read_text()) == ("precious", "new")


def test_known_names_are_opened_without_following_links(tmp_path):
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "log").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic"), open(tmp_path / "log", "a", opener=no_links):
        pass
    with open(tmp_path / "plain", "w", opener=no_links) as file:
        file.write("x")
    assert (tmp_path / "plain").read_text() == "x"


def test_the_same_table_gives_the_same_bytes_at_another_time(tmp_path):
    months = np.array(["2018-01", "2018-02", "2018-03"], "M8[ns]")
    ds = xr.Dataset(
        {"rain_mm": (("place", "time"), np.arange(6, dtype="float32").reshape(2, 3), {"units": "mm"})},
        coords={
            "place": np.array(["a", "bé"]),
            "time": months,
        },
    )
    first = netcdf_content(ds)
    write_netcdf(tmp_path / "one.nc", ds)
    time.sleep(1.1)  # HDF5 counts whole seconds
    assert netcdf_content(ds) == first
    write_netcdf(tmp_path / "two.nc", ds)
    assert (tmp_path / "one.nc").read_bytes() == (tmp_path / "two.nc").read_bytes()
    xr.testing.assert_identical(read_netcdf(tmp_path / "two.nc"), ds)


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "../up", "a/b", "a\\b", "a\0b", "a\nb", "x" * 151]
)
def test_a_name_from_data_never_leaves_its_folder(name):
    with pytest.raises(SchemaError, match="part of a file name"):
        plain_name(name, "crop")


def test_names_in_use_are_plain():
    assert [plain_name(name, "crop") for name in ("milho 2ª safra", "corn-2.v", "大豆")]


def test_a_store_whose_list_names_a_file_elsewhere_is_refused(tmp_path, small):
    Store.write(tmp_path / "S", small, {})
    path = tmp_path / "S" / "store.json"
    content = json.loads(path.read_text())
    content["tables"]["static"]["file"] = f"..{os.sep}outside.nc"
    path.write_text(json.dumps(content))
    with pytest.raises(SchemaError, match="part of a file name"):
        Store.open(tmp_path / "S")
