"""The seasonal table, with numbers worked by hand.

The test server's formula is in servers/seas5_files.py: departures of a forecast from the hindcast mean are
0.05 (year - 2004.5) + 0.1 (member - 12) for tmax, 0.03 (...) + 0.05 (...) for tmin, and the ratio of rain is
1 + 0.02 (member - 12); a drift by lead is added to both and must cancel.
"""

import datetime as dt
import pickle

import numpy as np
import pytest
from seas5_store import AREA, NOVEMBER, TODAY, Store, fetched, table_of, texts

from data_fetchers.cds.client import Cds
from data_fetchers.engine.cache import RequestCache
from data_fetchers.seas5.source import Seas5, read_seasonal
from yieldcast.data.files import read_netcdf, write_netcdf
from yieldcast.data.schema import check_seasonal
from yieldcast.errors import MissingDataError


def test_the_table_by_hand(tmp_path, quick, files, static):
    table, notes = table_of(tmp_path, quick, Store(files), static, [NOVEMBER])
    check_seasonal(table)
    # 2024: 0.05 * 19.5 = 0.975; member 0: 0.1 * -12 = -1.2; member 50: 0.1 * 38 = 3.8. No drift, any lead.
    tmax = table["tmax_anomaly_degC"].values
    np.testing.assert_allclose(tmax[:, :, 0], 0.975 - 1.2, atol=2e-4)
    np.testing.assert_allclose(tmax[:, :, 50], 0.975 + 3.8, atol=2e-4)
    # 0.03 * 19.5 = 0.585; 0.05 * -12 = -0.6; 0.05 * 38 = 1.9
    tmin = table["tmin_anomaly_degC"].values
    np.testing.assert_allclose(tmin[:, :, 0], 0.585 - 0.6, atol=2e-4)
    np.testing.assert_allclose(tmin[:, :, 50], 0.585 + 1.9, atol=2e-4)
    # 1 - 0.24 and 1 + 0.76; April, where a cell is dry, is left out. February (lead 4) has 28 days now, 28.25
    # on average in 1994-2017 (6 of 24 are leap years).
    days = np.array([1, 1, 1, 28 / 28.25, 1])[:, None]
    ratio = table["precipitation_ratio"].values[0, :5]
    for member, by_hand in ((0, 0.76), (50, 1.76)):
        wanted = np.broadcast_to(by_hand * days, ratio[:, member].shape)
        np.testing.assert_allclose(ratio[:, member], wanted, rtol=1e-4)
    assert table["published"].values.astype("datetime64[D]").astype(str).tolist() == ["2024-11-07"]
    assert table.attrs["hindcast_years"] == "1993-2016"
    assert texts(notes)["places outside the area of the forecast"] == 16
    assert not [note for note in notes if note.missing]


def test_places_take_the_nearest_cell_and_only_those_are_kept(tmp_path, quick, files, static):
    table, _ = table_of(tmp_path, quick, Store(files), static, [NOVEMBER])
    cell = table["municipality_cell"].sel(system=51).values
    inside = static["latitude_deg"].values > -13
    assert (cell[~inside] == -1).all()
    for axis in ("latitude", "longitude"):
        centre, place = table[f"cell_{axis}_deg"].values[cell[inside]], static[f"{axis}_deg"].values[inside]
        assert (np.abs(centre - place) <= 0.5).all()
        assert (centre % 1 == 0.5).all()
    assert sorted(set(cell[inside])) == list(range(table.sizes["cell"]))


def test_dry_months_keep_the_climatology(tmp_path, quick, files, static):
    # May to October: where the formula's rain times days times the drift (0.8 + 0.1 lead) is below 1 mm: 1.
    start = np.datetime64("2025-05", "M")
    table, notes = table_of(tmp_path, quick, Store(files), static, [start])
    lat, lon = table["cell_latitude_deg"].values, table["cell_longitude_deg"].values
    usual = np.array([[files.usual("tprate", m, [a], [b]).item() for a, b in zip(lat, lon, strict=True)]
                      for m in range(5, 11)])  # fmt: skip
    mean_mm = usual * np.array([31, 30, 31, 31, 30, 31])[:, None] * (0.8 + 0.1 * np.arange(1, 7))[:, None]
    dry = mean_mm < 1
    ratio = table["precipitation_ratio"].values[0]
    assert 0 < dry.sum() < dry.size
    assert (ratio.transpose(0, 2, 1)[dry] == 1).all()
    np.testing.assert_allclose(ratio[:, 0][~dry], 0.76, rtol=1e-4)
    assert texts(notes)["months of cells with a hindcast mean below 1 mm: rain ratio set to 1"] == dry.sum()


def test_two_systems_in_one_table_each_on_its_own_grid(tmp_path, quick, files, static):
    starts = [np.datetime64("2022-10", "M"), np.datetime64("2022-11", "M")]
    table, _ = table_of(tmp_path, quick, Store(files), static, starts)
    check_seasonal(table)
    assert table["start_system"].values.tolist() == [5, 51]
    for row, (system, offset) in enumerate(((5, 0.0), (51, 0.5))):
        cell = table["municipality_cell"].sel(system=system).values
        mine = np.isin(np.arange(table.sizes["cell"]), cell)
        tmax = table["tmax_anomaly_degC"].values[row]
        # 2022: 0.05 * 17.5 = 0.875; member 12 adds nothing
        np.testing.assert_allclose(tmax[:, 12][:, mine], 0.875, atol=2e-4)
        assert np.isnan(tmax[..., ~mine]).all()
        assert (table["cell_latitude_deg"].values[mine] % 1 == offset).all()


def test_the_table_survives_the_disk_and_the_source_travels(tmp_path, quick, files, static):
    table, _ = table_of(tmp_path, quick, Store(files), static, [NOVEMBER])
    write_netcdf(tmp_path / "seasonal.nc", table)
    back = check_seasonal(read_netcdf(tmp_path / "seasonal.nc"))
    assert back.identical(table) or back.equals(table)
    assert back.attrs == table.attrs
    source = Seas5(Cds(), AREA)
    assert pickle.loads(pickle.dumps(source)) == source


def rain_below_zero(ds):
    # 1e-12 m/s are 0.0026 mm in a month of 30 days
    return ds.assign(tprate=(ds["tprate"] - 1e-12).assign_attrs(ds["tprate"].attrs)) if "tprate" in ds else ds


def floods(ds):
    forecast = "tprate" in ds and ds.sizes["number"] == 51
    return ds.assign(tprate=(ds["tprate"] * 10).assign_attrs(ds["tprate"].attrs)) if forecast else ds


def a_hole(ds):
    hole = (ds["latitude"] == -12.5) & (ds["longitude"] == -56.5) & (ds["number"] == 7)
    return ds.where(~hole) if ds.sizes["number"] == 51 else ds


def test_odd_values_are_counted(tmp_path, quick, files, static):
    dry_start = [np.datetime64("2025-05", "M")]
    table, notes = table_of(tmp_path / "a", quick, Store(files, edit=rain_below_zero), static, dry_start)
    assert texts(notes)["rain values below 0 (packing) set to 0"] > 0
    assert table["precipitation_ratio"].values.min() >= 0
    # ten times the rain: member 0 at 7.6 times the usual and all others above, but for a dry cell in April
    table, notes = table_of(tmp_path / "b", quick, Store(files, edit=floods), static, [NOVEMBER])
    ratio = table["precipitation_ratio"].values
    assert (ratio[:, :5] == 5).all()
    assert texts(notes)["rain ratios above 5 set to 5"] == (ratio == 5).sum()
    # one cell of one member, three variables, six leads
    table, notes = table_of(tmp_path / "c", quick, Store(files, edit=a_hole), static, [NOVEMBER])
    assert texts(notes)["values missing in a forecast or its hindcast"] == 18
    assert np.isnan(table["tmax_anomaly_degC"].values).sum() == 6


def test_one_start_missing_leaves_the_others(tmp_path, quick, files, static):
    source, _ = fetched(tmp_path, quick, Store(files), [NOVEMBER])
    starts = [NOVEMBER, np.datetime64("2025-11", "M")]
    table, notes = read_seasonal(RequestCache(tmp_path / "seas5"), source, starts, static)
    assert table.sizes["forecast_reference_time"] == 1
    assert [n.missing for n in notes if "2025-11" in n.text] == [True]


def test_a_start_that_is_not_published_is_noted_once(tmp_path, quick, files, static):
    starts = [NOVEMBER, np.datetime64("2025-11", "M"), np.datetime64("2026-12", "M")]
    source, _ = fetched(tmp_path, quick, Store(files), [NOVEMBER])
    cache = RequestCache(tmp_path / "seas5")
    planned = source.seasonal_requests(starts, TODAY)[1]
    _, read = read_seasonal(cache, source, starts, static, TODAY)
    assert [n.missing for n in [*planned, *read] if "2026-12" in n.text] == [True]
    assert [n.missing for n in read if "2025-11" in n.text] == [True]  # out, and not here
    # Out by a later day, it should be here.
    _, read = read_seasonal(cache, source, starts, static, dt.date(2026, 12, 7))
    assert [n.missing for n in read if "2026-12" in n.text] == [True]
    with pytest.raises(MissingDataError, match="starts in 2026-12 is missing"):
        read_seasonal(cache, source, starts[2:], static, TODAY)


def test_no_place_in_the_area_is_an_error(tmp_path, quick, files, static):
    source, _ = fetched(tmp_path, quick, Store(files), [NOVEMBER])
    south = static.isel(municipality=static["latitude_deg"].values < -20)
    with pytest.raises(MissingDataError, match="area of the forecast"):
        read_seasonal(RequestCache(tmp_path / "seas5"), source, [NOVEMBER], south)
